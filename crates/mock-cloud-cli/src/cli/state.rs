//! The command `mock-cloud state`.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use ezlo_mock_cloud::state;

use crate::cli::say;

/// Examples at the end of the help.
pub(crate) const EXAMPLES: &str = "\
Examples:
  Show a summary of a state directory:
    mock-cloud state show --state-dir ./state
  Export it, and create a copy from the export:
    mock-cloud state export --state-dir ./state state.json
    mock-cloud state import --state-dir ./copy state.json
  Replace a damaged state by an export:
    mock-cloud state import --state-dir ./state --replace state.json";

#[derive(Debug, Args)]
pub(crate) struct State {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Verify every page of a persisted state and print a summary.
    #[command(after_help = "\
Examples:
  Show what a state directory holds:
    mock-cloud state show --state-dir ./state
  Read the seed in a script:
    mock-cloud state show --state-dir ./state --json | jq .seed")]
    Show {
        /// State directory of `serve --state-dir`.
        #[arg(long, value_name = "DIR")]
        state_dir: PathBuf,
        /// Print JSON (default: one line of text).
        #[arg(long)]
        json: bool,
    },
    /// Export a persisted state as one JSON document.
    ///
    /// The document contains every token, password digest and private key of the world. Do not share it.
    #[command(after_help = "\
Examples:
  Export a state to a file:
    mock-cloud state export --state-dir ./state state.json
  Compare two states:
    mock-cloud state export --state-dir ./state | jq --sort-keys . > state.json")]
    Export {
        /// State directory of `serve --state-dir`.
        #[arg(long, value_name = "DIR")]
        state_dir: PathBuf,
        /// File to write, readable by its owner only (default: standard output).
        file: Option<PathBuf>,
    },
    /// Create a state directory from an exported document.
    ///
    /// The whole document is validated first. An invalid document changes nothing.
    #[command(after_help = "\
Examples:
  Create a state directory from an export:
    mock-cloud state import --state-dir ./copy state.json
  Replace a damaged state:
    mock-cloud state import --state-dir ./state --replace state.json")]
    Import {
        /// State directory to create or replace, for `serve --state-dir`.
        #[arg(long, value_name = "DIR")]
        state_dir: PathBuf,
        /// Document written by `mock-cloud state export` or by `GET /worlds/0/export` of the control API.
        file: PathBuf,
        /// Replace an existing state. A damaged state is moved to state.redb.damaged first (default: refuse).
        #[arg(long)]
        replace: bool,
    },
}

pub(crate) fn run(state: &State) -> Result<(), String> {
    match &state.command {
        Command::Show { state_dir, json } => {
            let summary = state::summary(state_dir).map_err(|error| crate::cli::with_causes(&error))?;
            if *json {
                say!("{}", serde_json::to_string(&summary).map_err(|error| crate::cli::with_causes(&error))?);
            } else {
                say!("{}", summary_line(&summary));
            }
            Ok(())
        }
        Command::Export { state_dir, file } => {
            let text = state::export(state_dir).map_err(|error| crate::cli::with_causes(&error))?;
            match file {
                Some(path) => write_private(path, &text),
                None => {
                    say!("{}", text.trim_end());
                    Ok(())
                }
            }
        }
        Command::Import { state_dir, file, replace } => {
            let failed =
                |error: &dyn std::error::Error| format!("{}: {}", file.display(), crate::cli::with_causes(error));
            let text = std::fs::read_to_string(file).map_err(|error| failed(&error))?;
            let summary = state::import(state_dir, &text, *replace).map_err(|error| failed(&error))?;
            say!("{}", summary_line(&summary));
            Ok(())
        }
    }
}

fn summary_line(summary: &state::Summary) -> String {
    let state::Summary { world, time, users, hubs, owned, devices, sessions } = summary;
    format!(
        "world {world} at {time}: {users} users, {owned} owned hubs, {hubs} persisted hubs with {devices} devices, \
         {sessions} sessions"
    )
}

/// Writes a file that only its owner can read, because it contains secrets.
fn write_private(path: &Path, text: &str) -> Result<(), String> {
    use std::io::Write as _;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| format!("cannot write {}: {error}", path.display()))
}
