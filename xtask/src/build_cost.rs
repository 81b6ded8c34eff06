//! `cargo xtask bench build-cost`: the processor time that a dependency adds to a clean debug build.

use std::path::Path;
use std::process::Command;
use std::{fs, io};

use crate::say::say;
use crate::{Failure, Outcome, root};

/// The measured dependencies: name, the line of the manifest, and the highest ratio to the first one that is the goal.
const MEASURED: &[(&str, &str, f64)] = &[
    ("wiremock", "wiremock = \"0.6\"", 1.0),
    ("ezlo-mock-cloud", "ezlo-mock-cloud = { path = \"{root}/mock-cloud\" }", 2.0),
    ("ezlo", "ezlo = { path = \"{root}/crates/ezlo\" }", 1.7),
];

/// Builds an empty package with each dependency in turn, and prints the processor seconds and the ratio to `wiremock`.
pub(crate) fn run() -> Outcome {
    let mut base = None;
    say!("{:<18}{:>12}{:>10}{:>8}", "dependency", "processor s", "ratio", "goal");
    for (name, line, goal) in MEASURED {
        let seconds = measure(line).map_err(|error| format!("{name}: {}", error.0))?;
        let base = *base.get_or_insert(seconds);
        say!("{name:<18}{seconds:>12.1}{:>10.2}{goal:>8.1}", seconds / base);
    }
    Ok(())
}

/// Returns the processor seconds of a clean debug build of an empty package with this dependency.
fn measure(dependency: &str) -> Result<f64, Failure> {
    let folder = tempfile::tempdir().map_err(|error| format!("cannot create a folder: {error}"))?;
    write_package(folder.path(), dependency).map_err(|error| format!("cannot write the package: {error}"))?;
    // The download is not part of the build.
    timed(folder.path(), "cargo fetch --quiet")?;
    timed(folder.path(), "cargo build --quiet --offline")
}

fn write_package(folder: &Path, dependency: &str) -> io::Result<()> {
    let dependency = dependency.replace("{root}", &root().display().to_string());
    let manifest = format!(
        "[package]\nname = \"empty\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[dependencies]\n{dependency}\n\n[workspace]\n"
    );
    fs::write(folder.join("Cargo.toml"), manifest)?;
    // The same versions as in this workspace.
    fs::copy(root().join("Cargo.lock"), folder.join("Cargo.lock"))?;
    fs::create_dir(folder.join("src"))?;
    fs::write(folder.join("src/lib.rs"), "")
}

/// Runs a command in a shell and returns the processor seconds of all its processes.
fn timed(folder: &Path, command: &str) -> Result<f64, Failure> {
    let script = format!("{command} && times");
    let run = Command::new("sh")
        .args(["-c", &script])
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", folder.join("target"))
        .env("CARGO_INCREMENTAL", "0")
        .output()
        .map_err(|error| format!("cannot run sh: {error}"))?;
    if !run.status.success() {
        return Err(format!("`{command}` failed: {}", String::from_utf8_lossy(&run.stderr).trim()).into());
    }
    let text = String::from_utf8_lossy(&run.stdout);
    // The second line of `times` is that of the child processes: user time, system time.
    let line = text.lines().nth(1).ok_or("`times` printed no second line")?;
    line.split_whitespace().map(seconds).sum::<Option<f64>>().ok_or_else(|| format!("cannot read {line:?}").into())
}

/// Reads a time such as `1m2.50s`.
fn seconds(text: &str) -> Option<f64> {
    let (minutes, seconds) = text.strip_suffix('s')?.split_once('m')?;
    Some(minutes.parse::<f64>().ok()? * 60.0 + seconds.parse::<f64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_the_shell_are_read() {
        assert_eq!(seconds("1m2.50s"), Some(62.5));
        assert_eq!(seconds("0m0.010000s"), Some(0.01));
        assert_eq!(seconds("62.5"), None);
    }
}
