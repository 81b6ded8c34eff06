//! A running `mock-cloud` under attack.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::Run;
use super::client::{PATIENCE, http};

/// Maximum memory of a program under attack, in MiB.
pub(super) const MAX_MIB: u64 = 256;

/// A running program, which is killed when it is dropped.
pub(super) struct Program {
    child: Child,
    pub(super) ready: Value,
    log: PathBuf,
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Program {
    /// Starts `mock-cloud serve` with arguments.
    pub(super) fn start(run: &Run, arguments: &[&str]) -> Result<Self, String> {
        let mut command = Command::new(&run.plan.program);
        command.arg("serve").args(arguments);
        Self::spawn(run, command)
    }

    /// Starts the program with a limit of file descriptors.
    pub(super) fn start_limited(run: &Run, descriptors: u32) -> Result<Self, String> {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -n {descriptors} && exec \"$0\" serve")]).arg(&run.plan.program);
        Self::spawn(run, command)
    }

    fn spawn(run: &Run, mut command: Command) -> Result<Self, String> {
        let log = run.folder.path().join("log");
        let stderr = File::create(&log).map_err(|error| error.to_string())?;
        let mut child = command.stdout(Stdio::piped()).stderr(stderr).spawn().map_err(|error| error.to_string())?;
        let mut line = String::new();
        let stdout = child.stdout.take().ok_or("no standard output")?;
        let read = BufReader::new(stdout).read_line(&mut line);
        let mut program = Self { child, ready: Value::Null, log };
        match read
            .map_err(|error| error.to_string())
            .and_then(|_| serde_json::from_str(&line).map_err(|error| error.to_string()))
        {
            Ok(ready) => program.ready = ready,
            Err(error) => return Err(format!("the program did not start: {error}; {}", program.last_log())),
        }
        Ok(program)
    }

    /// Returns the address of a member of the ready line, such as `/http`.
    pub(super) fn address(&self, pointer: &str) -> SocketAddr {
        ezlo_testkit::address(self.ready.pointer(pointer).and_then(Value::as_str).unwrap_or_default())
    }

    /// Kills the process without a chance to finish anything.
    pub(super) fn kill(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks the process to end and returns whether it did.
    pub(super) fn stop(mut self) -> bool {
        let asked = Command::new("kill").arg(self.child.id().to_string()).status();
        asked.is_ok_and(|status| status.success()) && self.child.wait().is_ok_and(|status| status.success())
    }

    /// Returns the memory of the process in MiB, or 0 where the system does not tell.
    pub(super) fn memory_mib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).unwrap_or_default() / 1024
    }

    /// Checks that the program answers, has not panicked and is not too large.
    pub(super) fn check(&mut self, run: &mut Run, attack: &'static str) -> Result<(), String> {
        if let Ok(Some(status)) = self.child.try_wait() {
            return Err(format!("the program ended with {status}; {}", self.last_log()));
        }
        let healthy = http(
            self.address("/control"),
            b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
            PATIENCE,
        );
        if !healthy.starts_with(b"HTTP/1.1 200") {
            return Err(format!("the control API does not answer after {attack}; {}", self.last_log()));
        }
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        if log.contains("panicked at") {
            run.report.violation(format!("{attack}: a task panicked: {}", self.last_log()));
        }
        let mib = self.memory_mib();
        if mib > MAX_MIB {
            run.report.violation(format!("{attack}: the program uses {mib} MiB, at most {MAX_MIB}"));
        }
        Ok(())
    }

    fn last_log(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        log.lines().rev().take(5).collect::<Vec<_>>().join(" | ")
    }
}

/// Runs the program to its end, and returns exit code, standard output and standard error. `None` if it does not end in time.
pub(super) fn run_to_end(program: &Path, arguments: &[&str]) -> Option<(Option<i32>, Vec<u8>, String)> {
    let mut command = Command::new(program);
    let child = command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().ok()?;
    let id = child.id();
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::spawn(move || send.send(child.wait_with_output()));
    match receive.recv_timeout(PATIENCE + Duration::from_secs(10)) {
        Ok(Ok(output)) => {
            Some((output.status.code(), output.stdout, String::from_utf8_lossy(&output.stderr).into_owned()))
        }
        _ => {
            let _ = Command::new("kill").args(["-9", &id.to_string()]).status();
            None
        }
    }
}
