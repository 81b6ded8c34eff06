//! `mock-cloud state`.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use ezlo_mock_cloud::state;

use crate::cli::say;

#[derive(Debug, Args)]
pub(crate) struct State {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say what a kept state holds. Every page of it is checked.
    Show {
        /// The folder that was given to `serve`.
        #[arg(long, value_name = "DIR")]
        state_dir: PathBuf,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Write a kept state as one readable file (JSON). It holds every token and password digest of the world.
    Export {
        /// The folder that was given to `serve`.
        #[arg(long, value_name = "DIR")]
        state_dir: PathBuf,
        /// Where to; standard output when absent.
        file: Option<PathBuf>,
    },
    /// Put a state that was written out into a folder.
    Import {
        /// The folder, for `serve`.
        #[arg(long, value_name = "DIR")]
        state_dir: PathBuf,
        /// What `export`, or the control API, wrote.
        file: PathBuf,
        /// Take the place of the state that is there.
        #[arg(long)]
        replace: bool,
    },
}

pub(crate) fn run(state: &State) -> Result<(), String> {
    match &state.command {
        Command::Show { state_dir, json } => {
            let summary = state::summary(state_dir).map_err(|error| super::with_causes(&error))?;
            if *json {
                say!("{}", serde_json::to_string(&summary).map_err(|error| super::with_causes(&error))?);
            } else {
                say!("{}", told(&summary));
            }
            Ok(())
        }
        Command::Export { state_dir, file } => {
            let text = state::export(state_dir).map_err(|error| super::with_causes(&error))?;
            match file {
                Some(path) => write_private(path, &text),
                None => {
                    say!("{}", text.trim_end());
                    Ok(())
                }
            }
        }
        Command::Import { state_dir, file, replace } => {
            let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
            let text = std::fs::read_to_string(file).map_err(|error| failed(&error))?;
            let summary = state::import(state_dir, &text, *replace).map_err(|error| failed(&error))?;
            say!("{}", told(&summary));
            Ok(())
        }
    }
}

fn told(summary: &state::Summary) -> String {
    let state::Summary { world, time, users, hubs, owned, devices, sessions } = summary;
    format!(
        "world {world} at {time}: {users} users, {owned} owned hubs, {hubs} touched hubs with {devices} devices, \
         {sessions} sessions"
    )
}

/// For the eyes of this user only: it holds secrets.
fn write_private(path: &Path, text: &str) -> Result<(), String> {
    use std::io::Write as _;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| format!("cannot write {}: {error}", path.display()))
}
