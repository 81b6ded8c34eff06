//! `mock-cloud evidence`.

use clap::Args;
use ezlo_mock_cloud::{Evidence, evidence};

use crate::cli::say;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Only what is known this well or less: captured, vendor, client-source, community or inferred.
    #[arg(long, value_name = "LEVEL")]
    from: Option<Evidence>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), String> {
    let mut entries = evidence::ledger();
    entries.retain(|entry| arguments.from.is_none_or(|from| entry.evidence >= from));
    if arguments.json {
        let text = serde_json::to_string_pretty(&entries).map_err(|error| super::with_causes(&error))?;
        say!("{text}");
        return Ok(());
    }
    for entry in &entries {
        say!("{:<13} {:<14} {:<44} {}", entry.evidence.as_str(), entry.surface, entry.name, entry.source);
    }
    for level in Evidence::ALL {
        let count = entries.iter().filter(|entry| entry.evidence == *level).count();
        if count > 0 {
            say!("{count:>4} {}", level.as_str());
        }
    }
    Ok(())
}
