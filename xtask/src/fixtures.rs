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
    let failed = report.failed.iter().filter(|(file, _)| !is_malformed(file)).count();
    if failed == 0 { Ok(()) } else { Err(format!("{failed} fixtures failed the round trip").into()) }
}

/// Returns whether a fixture is a message that a real hub sent although it is not JSON. It fails the round trip.
fn is_malformed(file: &std::path::Path) -> bool {
    file.file_stem().is_some_and(|stem| stem.to_string_lossy().ends_with("-malformed"))
}
