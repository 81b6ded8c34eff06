//! Who is measured: a program that runs beside the driver, with what it costs.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// A program that serves; killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Contestant {
    pub(crate) name: &'static str,
    child: Child,
    pub(crate) address: SocketAddr,
    /// Where it speaks TLS, if it does.
    pub(crate) https: Option<SocketAddr>,
}

/// How long a program may take that does not say when it is there.
const PATIENCE: Duration = Duration::from_secs(60);

impl Drop for Contestant {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Contestant {
    /// One of the reference programs, or mock-cloud; on one core if wished.
    pub(crate) fn peer(name: &'static str, core: Option<usize>, arguments: &[&str]) -> Result<Self, String> {
        Self::started(name, core, arguments, None)
    }

    /// The same under valgrind, which writes to that file what it has counted.
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

    /// A script for Node; `None` where there is no Node or its package cannot be had.
    pub(crate) fn node(name: &'static str, script: &str, arguments: &[&str]) -> Option<Self> {
        let folder = node_folder()?;
        let mut command = Command::new("node");
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(script)).args(arguments);
        command.env("NODE_PATH", folder.join("node_modules"));
        // It ends when its input does: also when whoever measures is killed.
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

    /// WireMock with one stub that answers everything with so many bytes; `None` where there is no Java, or it cannot be had.
    pub(crate) fn wiremock_jar(bytes: usize) -> Option<Self> {
        let jar = wiremock_jar()?;
        let listener = TcpListener::bind("127.0.0.1:0").ok()?;
        let address = listener.local_addr().ok()?;
        drop(listener);
        let mut command = Command::new("java");
        command.arg("-jar").arg(jar).args(["--port", &address.port().to_string(), "--disable-banner"]);
        command.args(["--bind-address", "127.0.0.1", "--use-chunked-encoding", "never", "--disable-gzip"]);
        // It makes folders where it stands.
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
            if said(address, add.as_bytes()).is_some_and(|answer| answer.starts_with(b"HTTP/1.1 201")) {
                return Some(contestant);
            }
            std::thread::yield_now();
        }
        None
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn end(mut self) -> Result<(), String> {
        let asked = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        asked.map_err(|error| error.to_string())?;
        self.child.wait().map(drop).map_err(|error| error.to_string())
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

/// Everything that is said to a request that closes its connection.
fn said(address: SocketAddr, request: &[u8]) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.write_all(request).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    Some(answer)
}

/// The jar in WireMock's npm package; `None` where that cannot be had.
pub(crate) fn wiremock_jar() -> Option<PathBuf> {
    let build = package("wiremock", "wiremock@3")?.join("node_modules/wiremock/build");
    let is_jar = |path: &PathBuf| path.extension().is_some_and(|kind| kind == "jar");
    std::fs::read_dir(build).ok()?.flatten().map(|entry| entry.path()).find(is_jar)
}

fn node_folder() -> Option<PathBuf> {
    package("ws", "ws@8")
}

/// A folder with that package of npm's, fetched once a machine; `None` where that cannot be.
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
