//! Runs the `sh` blocks of a page in one shell, against a server that is started for the page.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::server::Server;
use crate::say::say;
use crate::{Failure, root};

/// Longest time for all blocks of a page.
const PAGE_TIMEOUT: Duration = Duration::from_secs(180);

/// Runs the blocks of a page that are fenced `sh`, and returns their number. Other blocks are not run.
pub(super) fn run(page: &Path) -> Result<usize, Failure> {
    let text = fs::read_to_string(page).map_err(|error| format!("{}: {error}", page.display()))?;
    let blocks = blocks(&text);
    if blocks.is_empty() {
        return Ok(0);
    }
    let name = page.strip_prefix(root()).unwrap_or(page).display().to_string();
    let home = tempfile::tempdir().map_err(|error| format!("cannot create a folder: {error}"))?;
    let mut script = "set -eu\n".to_owned();
    for (line, block) in &blocks {
        // Records the line of the current block, for the error message.
        let _ = write!(script, "printf '%s\\n' {line} > \"$HOME/.block\"\n{block}");
    }
    let programs = super::programs()?;
    let server = Server::start(&programs)?;
    let output =
        fs::File::create(home.path().join(".output")).map_err(|error| format!("cannot create a file: {error}"))?;
    let errors = output.try_clone().map_err(|error| format!("cannot share a file: {error}"))?;
    let path = std::env::var("PATH").unwrap_or_default();
    let child = Command::new("sh")
        .args(["-c", &script])
        .current_dir(root())
        .env("HOME", home.path())
        .env("PATH", format!("{}:{path}", programs.display()))
        .envs(
            [("CONTROL", "control"), ("HTTP", "http"), ("HTTPS", "https"), ("CA", "ca_pem")]
                .map(|(name, member)| (name, server.member(member))),
        )
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .spawn();
    let ended = wait(child.map_err(|error| format!("cannot run sh: {error}"))?);
    if ended.is_some_and(|status| status.success()) {
        return Ok(blocks.len());
    }
    let read = |file: &str| fs::read_to_string(home.path().join(file)).unwrap_or_default();
    say!("{}", read(".output"));
    let how =
        ended.map_or_else(|| format!("did not end within {} s", PAGE_TIMEOUT.as_secs()), |status| status.to_string());
    Err(format!("{name}:{}: the example failed: {how}", read(".block").trim()).into())
}

/// Waits for the end of a process. Returns `None` if the process was killed at the deadline.
#[expect(clippy::disallowed_methods, reason = "the simulated clock does not apply to a process")]
fn wait(mut child: Child) -> Option<ExitStatus> {
    let deadline = Instant::now() + PAGE_TIMEOUT;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(20)),
            Ok(None) | Err(_) => {
                let _ = child.kill();
                let _ = child.wait();
                return None;
            }
        }
    }
}

/// Returns the `sh` blocks of a page, each with the number of its first line.
fn blocks(text: &str) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    let mut fence = None;
    for (at, line) in text.lines().enumerate() {
        match (line.trim_start().strip_prefix("```"), fence) {
            (Some(language), None) => {
                fence = Some(language == "sh");
                if language == "sh" {
                    found.push((at + 2, String::new()));
                }
            }
            (Some(_), Some(_)) => fence = None,
            (None, Some(true)) => {
                if let Some((_, block)) = found.last_mut() {
                    block.push_str(line);
                    block.push('\n');
                }
            }
            (None, _) => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_blocks_fenced_sh_are_run() {
        let text = "a\n```sh\none\ntwo\n```\n```console\nthree\n```\n```sh\nfour\n```\n";
        assert_eq!(blocks(text), [(3, "one\ntwo\n".to_owned()), (10, "four\n".to_owned())]);
    }
}
