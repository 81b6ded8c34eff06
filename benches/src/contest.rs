//! Who is measured: a program that runs beside the driver, with what it costs.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

/// A program that serves; killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Contestant {
    pub(crate) name: &'static str,
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Drop for Contestant {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Contestant {
    /// One of the reference programs, or mock-cloud; on one core if wished.
    pub(crate) fn peer(name: &'static str, core: Option<usize>, arguments: &[&str]) -> Result<Self, String> {
        let mut command = Command::new(std::env::current_exe().map_err(|error| error.to_string())?);
        command.arg("peer");
        if let Some(core) = core {
            command.arg(format!("--core={core}"));
        }
        command.args(arguments);
        Self::start(name, command)
    }

    /// A script for Node; `None` where there is no Node or its package cannot be had.
    pub(crate) fn node(name: &'static str, script: &str, arguments: &[&str]) -> Option<Self> {
        let folder = node_folder()?;
        let mut command = Command::new("node");
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(script)).args(arguments);
        command.env("NODE_PATH", folder.join("node_modules"));
        Self::start(name, command).ok()
    }

    pub(crate) fn start(name: &'static str, mut command: Command) -> Result<Self, String> {
        let failed = |error: &dyn std::fmt::Display| format!("{name}: {error}");
        let spawned = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn();
        let mut child = spawned.map_err(|error| failed(&error))?;
        let mut line = String::new();
        let out = child.stdout.take().ok_or_else(|| failed(&"no output"))?;
        BufReader::new(out).read_line(&mut line).map_err(|error| failed(&error))?;
        let ready: Value = serde_json::from_str(&line).map_err(|error| failed(&format!("{error}: {line}")))?;
        let url = ready["http"].as_str().unwrap_or_default().trim_start_matches("http://");
        let address = url.parse().map_err(|error| failed(&error))?;
        Ok(Self { name, child, address })
    }

    /// Seconds of processor time that it has had.
    pub(crate) fn cpu(&self) -> f64 {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id()));
        let nanos = tasks.into_iter().flatten().flatten().filter_map(|task| {
            let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<f64>().ok()
        });
        nanos.sum::<f64>() / 1e9
    }

    /// Bytes of memory that it has.
    pub(crate) fn memory(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
        kilobytes.unwrap_or_default() * 1024.0
    }
}

/// A folder with Node's `ws`, fetched once a machine; `None` where that cannot be.
fn node_folder() -> Option<PathBuf> {
    let folder = std::env::temp_dir().join("ezlo-bench-node");
    if folder.join("node_modules/ws").is_dir() {
        return Some(folder);
    }
    std::fs::create_dir_all(&folder).ok()?;
    let install = ["install", "--silent", "--no-audit", "--no-fund", "ws@8"];
    let fetched = Command::new("npm").args(install).current_dir(&folder).stdout(Stdio::null()).status();
    fetched.is_ok_and(|status| status.success()).then_some(folder)
}
