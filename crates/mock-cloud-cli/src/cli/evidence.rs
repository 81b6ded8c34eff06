//! The command `mock-cloud evidence`.

use clap::Args;
use ezlo_mock_cloud::{Evidence, evidence};

use crate::cli::say;

/// Examples at the end of the help.
pub(crate) const EXAMPLES: &str = "\
Examples:
  List everything that is simulated:
    mock-cloud evidence
  List what neither real messages, vendor documents nor client sources confirm:
    mock-cloud evidence --from community
  Export the list as JSON:
    mock-cloud evidence --json > evidence.json";

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// List only entries with this level or a weaker one: captured, vendor, client-source, community or inferred (default: all
    /// entries).
    #[arg(long, value_name = "LEVEL")]
    from: Option<Evidence>,
    /// Print JSON (default: a table).
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), String> {
    let mut entries = evidence::ledger();
    entries.retain(|entry| arguments.from.is_none_or(|from| entry.evidence >= from));
    if arguments.json {
        let text = serde_json::to_string_pretty(&entries).map_err(|error| crate::cli::with_causes(&error))?;
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
