//! Helpers shared by the integration tests.

use std::net::SocketAddr;

use ezlo::{Account, Credentials, Environment};
use ezlo_mock_cloud::{Builder, Clock, MockCloud};
use ezlo_protocol::identity::IdentityPair;
use ezlo_protocol::serial::Serial;
use ezlo_testkit::{Socket, address, within};
use serde_json::{Value, json};

/// The start time of frozen clocks in Unix seconds, fixed so that snapshots with times are stable.
pub(crate) const START: i64 = 1_700_000_000;

/// The serial of the online hub of `demo.user`.
pub(crate) const HUB: &str = "90000001";

pub(crate) fn serial(text: &str) -> Serial {
    text.parse().unwrap()
}

/// Starts a cloud with a frozen clock.
pub(crate) async fn frozen() -> MockCloud {
    started(MockCloud::builder().clock(Clock::frozen(START))).await
}

pub(crate) async fn started(builder: Builder) -> MockCloud {
    within(builder.start()).await.unwrap()
}

pub(crate) fn http(cloud: &MockCloud) -> SocketAddr {
    address(&cloud.ready().http)
}

/// Returns the environment that uses the plain HTTP address for all services.
pub(crate) fn plain(cloud: &MockCloud) -> Environment {
    Environment::from_base_url(&cloud.ready().http).unwrap()
}

/// Returns the environment with the vendor's host names over verified TLS.
pub(crate) fn mapped(cloud: &MockCloud) -> Environment {
    Environment::with_host_override(address(&cloud.ready().https)).trust_pem(cloud.ca_pem()).unwrap()
}

pub(crate) fn demo() -> Credentials {
    Credentials::new("demo.user", "demo-password")
}

pub(crate) async fn account(cloud: &MockCloud) -> Account {
    within(Account::log_in(plain(cloud), &demo())).await.unwrap()
}

pub(crate) async fn pair(cloud: &MockCloud) -> IdentityPair {
    account(cloud).await.session().await.unwrap().pair().clone()
}

/// Returns the text of a `loginUserMios` call.
pub(crate) fn login_text(pair: &IdentityPair) -> String {
    json!({
        "method": "loginUserMios",
        "id": "login",
        "params": {"MMSAuth": pair.identity.expose(), "MMSAuthSig": pair.signature.expose()},
    })
    .to_string()
}

pub(crate) fn register_text(serial: &Value) -> String {
    json!({"method": "register", "id": "reg", "params": {"serial": serial}}).to_string()
}

/// Connects a client without the SDK, logs in and registers for [`HUB`].
pub(crate) async fn registered(cloud: &MockCloud) -> Socket {
    let pair = pair(cloud).await;
    let mut socket = Socket::connect(http(cloud)).await;
    assert_eq!(socket.ask(login_text(&pair)).await["error"], Value::Null);
    assert_eq!(socket.ask(register_text(&json!(HUB))).await["method"], "registered");
    socket
}

/// Runs `mock-cloud` to its end and returns the exit code, standard output and standard error.
pub(crate) fn mock_cloud(arguments: &[&str]) -> (Option<i32>, String, String) {
    let done = std::process::Command::new(crate::program()).args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (done.status.code(), text(done.stdout), text(done.stderr))
}

/// Runs a script of `tests/python` in the virtual environment that `cargo xtask ci` creates, and returns its standard output.
#[cfg(feature = "python")]
pub(crate) fn python(script: &str, arguments: &[String]) -> String {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let interpreter = root.join("../target/python/bin/python");
    let done = std::process::Command::new(interpreter).arg(root.join("python").join(script)).args(arguments).output();
    let done = done.expect("target/python exists; `cargo xtask ci` creates it");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

/// The path of a temporary directory for one test, removed on drop.
pub(crate) struct Folder(pub(crate) std::path::PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("ezlo-state-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Self(path)
    }

    pub(crate) fn text(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
