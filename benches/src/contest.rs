//! The measured processes, with their processor time and memory.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// A server process, killed on drop.
#[derive(Debug)]
pub(crate) struct Contestant {
    pub(crate) name: &'static str,
    child: Child,
    pub(crate) address: SocketAddr,
    /// The TLS address, if the server has one.
    pub(crate) https: Option<SocketAddr>,
}

/// Time limit for the start of a program that prints no ready line, and for its replies.
const PATIENCE: Duration = Duration::from_secs(60);

impl Drop for Contestant {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Contestant {
    /// Starts a reference program or mock-cloud, optionally bound to one core.
    pub(crate) fn peer(name: &'static str, core: Option<usize>, arguments: &[&str]) -> Result<Self, String> {
        Self::started(name, core, arguments, None)
    }

    /// Starts a program under valgrind, which writes its counts to the file `out`.
    pub(crate) fn counted(name: &'static str, arguments: &[&str], out: &Path) -> Result<Self, String> {
        Self::started(name, None, arguments, Some(out))
    }

    fn started(
        name: &'static str,
        core: Option<usize>,
        arguments: &[&str],
        counts: Option<&Path>,
    ) -> Result<Self, String> {
        let own = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut command = match counts {
            None => Command::new(own),
            Some(out) => {
                let mut command = Command::new("valgrind");
                command.args(["--tool=callgrind", "--quiet"]);
                command.arg(format!("--callgrind-out-file={}", out.display())).arg(own);
                command
            }
        };
        command.arg("peer");
        if let Some(core) = core {
            command.arg(format!("--core={core}"));
        }
        command.args(arguments);
        Self::start(name, command)
    }

    /// Starts a script with Node. Returns `None` if Node or its package is not available.
    pub(crate) fn node(name: &'static str, script: &str, arguments: &[&str]) -> Option<Self> {
        let folder = node_folder()?;
        let mut command = Command::new("node");
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(script)).args(arguments);
        command.env("NODE_PATH", folder.join("node_modules"));
        // The script ends with its standard input, so it ends also when this process is killed.
        command.stdin(Stdio::piped());
        Self::begun(name, command).ok()
    }

    pub(crate) fn start(name: &'static str, mut command: Command) -> Result<Self, String> {
        command.stdin(Stdio::null());
        Self::begun(name, command)
    }

    fn begun(name: &'static str, mut command: Command) -> Result<Self, String> {
        let failed = |error: &dyn std::fmt::Display| format!("{name}: {error}");
        let spawned = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn();
        let mut child = spawned.map_err(|error| failed(&error))?;
        let mut line = String::new();
        let out = child.stdout.take().ok_or_else(|| failed(&"no output"))?;
        BufReader::new(out).read_line(&mut line).map_err(|error| failed(&error))?;
        let ready: Value = serde_json::from_str(&line).map_err(|error| failed(&format!("{error}: {line}")))?;
        let url = ready["http"].as_str().unwrap_or_default().trim_start_matches("http://");
        let address = url.parse().map_err(|error| failed(&error))?;
        let https = ready["https"].as_str().and_then(|url| url.trim_start_matches("https://").parse().ok());
        Ok(Self { name, child, address, https })
    }

    /// Starts WireMock with one stub that answers every request with a body of `bytes` bytes. Returns `None` if Java or
    /// WireMock is not available.
    pub(crate) fn wiremock_jar(bytes: usize) -> Option<Self> {
        let jar = wiremock_jar()?;
        let listener = TcpListener::bind("127.0.0.1:0").ok()?;
        let address = listener.local_addr().ok()?;
        drop(listener);
        let mut command = Command::new("java");
        command.arg("-jar").arg(jar).args(["--port", &address.port().to_string(), "--disable-banner"]);
        command.args(["--bind-address", "127.0.0.1", "--use-chunked-encoding", "never", "--disable-gzip"]);
        // WireMock creates folders in its working directory.
        command.current_dir(std::env::temp_dir());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let contestant = Self { name: "WireMock", child: command.spawn().ok()?, address, https: None };
        let answer = json!({"status": 200, "body": "x".repeat(bytes), "headers": {"Content-Type": "application/json"}});
        let stub = json!({"request": {"method": "ANY", "urlPattern": ".*"}, "response": answer}).to_string();
        let add = format!(
            "POST /__admin/mappings HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{stub}",
            stub.len()
        );
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if exchange(address, add.as_bytes()).is_some_and(|answer| answer.starts_with(b"HTTP/1.1 201")) {
                return Some(contestant);
            }
            std::thread::yield_now();
        }
        None
    }

    /// Sends SIGTERM and waits for the end of the process.
    pub(crate) fn end(mut self) -> Result<(), String> {
        let signalled = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        signalled.map_err(|error| error.to_string())?;
        self.child.wait().map(drop).map_err(|error| error.to_string())
    }

    /// Returns the processor time of all threads in seconds.
    pub(crate) fn cpu(&self) -> f64 {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id()));
        let nanos = tasks.into_iter().flatten().flatten().filter_map(|task| {
            let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<f64>().ok()
        });
        nanos.sum::<f64>() / 1e9
    }

    /// Returns the resident memory in bytes.
    pub(crate) fn memory(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
        kilobytes.unwrap_or_default() * 1024.0
    }
}

/// Sends a request with `connection: close` and returns the whole response.
fn exchange(address: SocketAddr, request: &[u8]) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.write_all(request).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    Some(answer)
}

/// Returns the jar in WireMock's npm package, or `None` if the package is not available.
pub(crate) fn wiremock_jar() -> Option<PathBuf> {
    let build = package("wiremock", "wiremock@3")?.join("node_modules/wiremock/build");
    let is_jar = |path: &PathBuf| path.extension().is_some_and(|kind| kind == "jar");
    std::fs::read_dir(build).ok()?.flatten().map(|entry| entry.path()).find(is_jar)
}

fn node_folder() -> Option<PathBuf> {
    package("ws", "ws@8")
}

/// Returns a folder with an npm package, which is fetched once per machine, or `None` if that fails.
fn package(name: &str, wanted: &str) -> Option<PathBuf> {
    let folder = std::env::temp_dir().join(format!("ezlo-bench-{name}"));
    if folder.join("node_modules").join(name).is_dir() {
        return Some(folder);
    }
    std::fs::create_dir_all(&folder).ok()?;
    let install = ["install", "--silent", "--no-audit", "--no-fund", wanted];
    let fetched = Command::new("npm").args(install).current_dir(&folder).stdout(Stdio::null()).status();
    fetched.is_ok_and(|status| status.success()).then_some(folder)
}
