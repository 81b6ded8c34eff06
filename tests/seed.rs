//! The requests of the vendor's note, sent by `curl` to the `mock-cloud` program. They use the vendor's host names and
//! verified TLS.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use ezlo_protocol::identity::IdentityDocument;
use ezlo_testkit::{Socket, address};
use serde_json::{Value, json};

/// A `mock-cloud serve` process that is killed on drop.
pub(crate) struct Program {
    child: Child,
    pub(crate) ready: Value,
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

impl Program {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_logging(arguments, Stdio::inherit())
    }

    /// Starts the program with its log in a file.
    #[cfg(feature = "cluster")]
    pub(crate) fn start_with_log(arguments: &[&str], log: &Path) -> Self {
        Self::start_logging(arguments, Stdio::from(std::fs::File::create(log).unwrap()))
    }

    fn start_logging(arguments: &[&str], log: Stdio) -> Self {
        let mut child = Command::new(crate::program())
            .arg("serve")
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, ready: serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}")) }
    }

    /// Sends a signal to the process.
    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    pub(crate) fn stop(mut self, signal: &str) -> Option<i32> {
        self.signal(signal);
        self.child.wait().unwrap().code()
    }

    /// Waits until the process ends by itself.
    pub(crate) fn wait(mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }

    pub(crate) fn port(&self, pointer: &str) -> u16 {
        address(self.ready.pointer(pointer).unwrap().as_str().unwrap()).port()
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/seed")
}

/// The user name and account for a reply without an Identity.
const NOBODY: (&str, u64) = ("", 0);

/// The values that replace `{{NAME}}` in the files of the note.
struct Values {
    identity: String,
    signature: String,
    serial: &'static str,
    mac: &'static str,
    app_key: &'static str,
}

impl Values {
    fn new() -> Self {
        Self {
            identity: String::new(),
            signature: String::new(),
            serial: "90000002",
            mac: "AA:BB:CC:00:00:02",
            app_key: "APPKEY_ID",
        }
    }

    fn fill(&self, text: &str) -> String {
        let pairs = [
            ("IDENTITY", self.identity.as_str()),
            ("SIGNATURE", &self.signature),
            ("SERIAL", self.serial),
            ("MAC", self.mac),
            ("APPKEY_ID", self.app_key),
        ];
        pairs.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{{{name}}}}}"), value))
    }
}

/// Returns the arguments in a `.curl` file.
fn arguments(name: &str, values: &Values) -> Vec<String> {
    let text = fs::read_to_string(folder().join(format!("{name}.curl"))).unwrap();
    let mut arguments = Vec::new();
    let mut long: Option<Vec<&str>> = None;
    for line in text.lines() {
        match (line, &mut long) {
            ("<<<", None) => long = Some(Vec::new()),
            (">>>", Some(lines)) => {
                arguments.push(lines.join("\n"));
                long = None;
            }
            (line, Some(lines)) => lines.push(line),
            (line, None) if line.starts_with('#') => {}
            (line, None) => arguments.push(values.fill(line)),
        }
    }
    arguments
}

/// Runs a `.curl` file. The vendor's host names are redirected to the ports of the program.
fn curl(program: &Program, name: &str, values: &Values) -> String {
    let ca = program.ready["ca_pem"].as_str().unwrap();
    let output = Command::new("curl")
        .args(["-sS", "--max-time", "20", "--noproxy", "*", "--write-out", "\n%{http_code}", "--cacert", ca])
        .args(["--connect-to", &format!("192.168.4.1:54540:127.0.0.1:{}", program.port("/hubs/1/ap"))])
        .args(["--connect-to", &format!("192.168.4.1:80:127.0.0.1:{}", program.port("/hubs/1/ap_root"))])
        .args(["--connect-to", &format!(":443:127.0.0.1:{}", program.port("/https"))])
        .args(arguments(name, values))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let (body, status) = text.rsplit_once('\n').unwrap();
    assert_eq!(status, "200", "{name}: {body} {}", String::from_utf8_lossy(&output.stderr));
    body.to_owned()
}

/// Returns true for a text in the format `2023-01-22 23:25:54`.
fn is_date(text: &str) -> bool {
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    shape == "0000-00-00 00:00:00"
}

fn snapshot(name: &str, body: &str, (username, account): (&str, u64)) {
    let mut value: Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{name}: {error}: {body}"));
    if let Some(identity) = value["Identity"].as_str() {
        let document = IdentityDocument::decode(&identity.into()).unwrap();
        assert_eq!((document.username.as_deref(), document.account), (Some(username), account));
        assert_eq!(document.expires - document.generated, 86_400);
        assert_eq!(value["IdentitySignature"].as_str().unwrap().len(), 344);
        value["Identity"] = json!("[identity]");
        value["IdentitySignature"] = json!("[signature]");
    }
    for hub in value.get_mut("Devices").and_then(Value::as_array_mut).into_iter().flatten() {
        let assigned = hub["DeviceAssigned"].as_str().unwrap();
        assert!(is_date(assigned), "{assigned}");
        hub["DeviceAssigned"] = json!("[date]");
    }
    insta::with_settings!({ snapshot_path => "snapshots", prepend_module_to_snapshot => false }, {
        insta::assert_json_snapshot!(format!("seed__{name}"), value);
    });
}

#[tokio::test]
async fn every_request_of_the_vendor_note_works_with_curl() {
    let program = Program::start(&[]);
    let mut values = Values::new();
    for name in ["01-wifi-networks", "02-wifi-status", "03-wifi-connect"] {
        snapshot(name, &curl(&program, name, &values), NOBODY);
    }
    let joined = (0..2000).find_map(|_| {
        let body = curl(&program, "02-wifi-status", &values);
        body.contains("\"connected\"").then_some(body)
    });
    snapshot("02-wifi-status-connected", &joined.expect("the hub did not join the network"), NOBODY);
    for name in ["04-wifi-close", "05-restart"] {
        snapshot(name, &curl(&program, name, &values), NOBODY);
    }
    snapshot("06-create-account", &curl(&program, "06-create-account", &values), ("test69212", 3_000_000));
    let login = curl(&program, "08-login", &values);
    snapshot("08-login", &login, ("test4521", 1_207_762));
    let login: Value = serde_json::from_str(&login).unwrap();
    values.identity = login["Identity"].as_str().unwrap().to_owned();
    values.signature = login["IdentitySignature"].as_str().unwrap().to_owned();
    for name in ["07-claim", "09-account", "10-change-account", "11-users", "12-devices"] {
        snapshot(name, &curl(&program, name, &values), NOBODY);
    }
    // The restarted hub reconnects to the relay after a short time.
    let online = (0..2000).find_map(|_| {
        let body = curl(&program, "13-device-info", &values);
        body.contains("\"NMAControllerStatus\":1").then_some(body)
    });
    snapshot("13-device-info", &online.expect("the hub did not reconnect to the relay"), NOBODY);
    relay(&program, &values).await;
    assert_eq!(program.stop("-TERM"), Some(0));
}

async fn relay(program: &Program, values: &Values) {
    let mut socket = Socket::connect(address(program.ready["http"].as_str().unwrap())).await;
    for (name, method) in [("14-loginUserMios", "loginUserMios"), ("15-register", "registered")] {
        let text = values.fill(&fs::read_to_string(folder().join(format!("{name}.json"))).unwrap());
        let answer = socket.ask(text).await;
        assert_eq!(answer["method"], method);
        snapshot(name, &answer.to_string(), NOBODY);
    }
}

#[test]
fn the_program_exits_cleanly_and_reports_start_errors() {
    let file = std::env::temp_dir().join(format!("mock-cloud-endpoints-{}.json", std::process::id()));
    let program = Program::start(&["--world", "bare", "--seed", "7", "--endpoints-file", file.to_str().unwrap()]);
    assert_eq!((&program.ready["seed"], &program.ready["hubs"][0]["owner"]), (&json!(7), &Value::Null));
    let written: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert_eq!(written, program.ready);
    let port = program.port("/https").to_string();
    let taken = Command::new(crate::program()).args(["serve", "--https-port", &port]).output().unwrap();
    assert_eq!(taken.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&taken.stderr).contains("choose another port"));
    let no_world = Command::new(crate::program()).args(["serve", "--world", "nowhere"]).output().unwrap();
    assert!(String::from_utf8_lossy(&no_world.stderr).contains("bundled worlds: demo, bare"));
    let no_folder = Command::new(crate::program()).args(["serve", "--state-dir", "/dev/null/x"]).output().unwrap();
    let stderr = String::from_utf8_lossy(&no_folder.stderr).into_owned();
    assert!(no_folder.status.code() == Some(1) && stderr.contains("/dev/null/x"), "{stderr}");
    assert_eq!(program.stop("-INT"), Some(0));
    assert!(!file.exists(), "the endpoints file is deleted on exit");
    for second in ["-70000000000", "9223372036854775807"] {
        let frozen = Command::new(crate::program()).args(["serve", &format!("--frozen-at={second}")]).output().unwrap();
        assert_eq!(frozen.status.code(), Some(2), "{second}");
        assert!(String::from_utf8_lossy(&frozen.stderr).contains("--frozen-at"), "{second}");
    }
}

#[test]
fn logs_contain_no_secret_at_any_level() {
    let file = tempfile();
    let program = Program::start_logging(&["--log", "trace"], fs::File::create(&file).unwrap().into());
    let mut values = Values::new();
    curl(&program, "03-wifi-connect", &values);
    curl(&program, "06-create-account", &values);
    let login: Value = serde_json::from_str(&curl(&program, "08-login", &values)).unwrap();
    values.identity = login["Identity"].as_str().unwrap().to_owned();
    values.signature = login["IdentitySignature"].as_str().unwrap().to_owned();
    curl(&program, "07-claim", &values);
    curl(&program, "13-device-info", &values);
    assert_eq!(program.stop("-TERM"), Some(0));
    let log = fs::read_to_string(&file).unwrap();
    fs::remove_file(&file).unwrap();
    assert!(log.contains("answering"), "the log is empty: {log}");
    let digest = "a3c26fa12cd14e035833c89dc019759f2713706c";
    for secret in ["WIFIPASS", "Ezlo@2021", "Ezlo%402021", digest, &values.identity, &values.signature] {
        assert!(!log.contains(secret), "a secret of {} characters is in the log", secret.len());
    }
}

fn tempfile() -> PathBuf {
    std::env::temp_dir().join(format!("mock-cloud-log-{}.txt", std::process::id()))
}
