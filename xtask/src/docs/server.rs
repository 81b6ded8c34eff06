//! A running `mock-cloud` for the examples of one page.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

/// Longest wait for the ready line.
const READY_TIMEOUT: Duration = Duration::from_secs(60);
/// Longest wait for the reply to a request.
const REPLY_TIMEOUT: Duration = Duration::from_secs(30);

/// A server process. Dropping it ends the process.
pub(super) struct Server {
    process: Child,
    /// The ready line.
    pub(super) ready: Value,
}

impl Server {
    /// Starts `mock-cloud serve` and waits for its ready line.
    pub(super) fn start(programs: &Path) -> Result<Self, String> {
        let mut process = Command::new(programs.join("mock-cloud"))
            .args(["serve", "--log", "off"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start mock-cloud: {error}"))?;
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        let stdout = process.stdout.take();
        // A thread of its own, so that the wait has a limit.
        std::thread::spawn(move || {
            let mut line = String::new();
            if stdout.is_some_and(|stdout| BufReader::new(stdout).read_line(&mut line).is_ok()) {
                let _ = sender.send(line);
            }
        });
        let ready = match receiver.recv_timeout(READY_TIMEOUT) {
            Ok(line) if !line.is_empty() => {
                serde_json::from_str(&line).map_err(|error| format!("the ready line is not JSON: {error}"))
            }
            _ => Err("mock-cloud ended or hung before its ready line".to_owned()),
        };
        match ready {
            Ok(ready) => Ok(Self { process, ready }),
            Err(error) => {
                let _ = process.kill();
                let _ = process.wait();
                Err(error)
            }
        }
    }

    /// Returns a text member of the ready line.
    pub(super) fn member(&self, name: &str) -> String {
        self.ready[name].as_str().unwrap_or_default().to_owned()
    }

    /// Sends a GET request to the control API and returns the body as JSON.
    pub(super) fn get(&self, path: &str) -> Result<Value, String> {
        let control = self.member("control");
        let address = control.trim_start_matches("http://");
        let failed = |error: std::io::Error| format!("GET {control}{path}: {error}");
        let mut stream = TcpStream::connect(address).map_err(failed)?;
        stream.set_read_timeout(Some(REPLY_TIMEOUT)).map_err(failed)?;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").map_err(failed)?;
        let mut reply = String::new();
        stream.read_to_string(&mut reply).map_err(failed)?;
        let body = reply.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
        serde_json::from_str(body).map_err(|error| format!("GET {control}{path}: {error}"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
