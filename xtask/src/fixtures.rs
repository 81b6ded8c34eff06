//! `cargo xtask fixtures`: lists the message fixtures with their types.

use serde_json::json;

use crate::roundtrip::{Report, visit};
use crate::say::say;
use crate::{Outcome, root};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Print one JSON object per line.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let wire = root().join("fixtures/wire");
    let mut report = Report::default();
    visit(&wire, &mut report).map_err(|error| format!("cannot read {}: {error}", wire.display()))?;
    let all = [("typed", &report.typed), ("other", &report.other), ("failed", &report.failed)];
    for (state, (file, what)) in all.iter().flat_map(|(state, files)| files.iter().map(move |file| (state, file))) {
        let file = file.strip_prefix(&wire).unwrap_or(file).display().to_string();
        if arguments.json {
            say!("{}", json!({"file": file, "state": state, "what": what}));
        } else {
            say!("{state:<6} {file:<70} {what}");
        }
    }
    let good = report.failed.is_empty();
    if good { Ok(()) } else { Err(format!("{} fixtures failed the round trip", report.failed.len()).into()) }
}
