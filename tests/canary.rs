//! Redaction of secrets: logs at all levels, errors and `Debug` output of a run are searched for every secret that was issued
//! or entered in it.

use std::fmt::Debug;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ezlo::{Account, Credentials, Environment, LocalAddress, LocalOptions, NewAccount, Plan, SessionConfig};
use ezlo_mock_cloud::MockCloud;
use ezlo_protocol::identity::IdentityPair;
use ezlo_testkit::{address, within};
use serde_json::{Value, json};
use tracing_subscriber::fmt::MakeWriter;

use crate::support::{HUB, demo, http, plain, serial, started};

/// A shared buffer of all log, error and `Debug` output.
#[derive(Clone, Default)]
struct Capture(Arc<Mutex<Vec<u8>>>);

impl Capture {
    fn print(&mut self, thing: impl Debug) {
        writeln!(self, "{thing:?}").unwrap();
        writeln!(self, "{thing:#?}").unwrap();
    }

    fn error(&mut self, error: &(dyn std::error::Error + 'static)) {
        let mut error = Some(error);
        while let Some(cause) = error {
            writeln!(self, "{cause}").unwrap();
            self.print(cause);
            error = cause.source();
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl Write for Capture {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Capture {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// The secrets of a run, each with a description.
type Secrets = Vec<(&'static str, String)>;

#[tokio::test]
async fn logs_errors_and_debug_output_contain_no_secret() {
    let mut capture = Capture::default();
    let log = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(capture.clone()).finish();
    let _guard = tracing::subscriber::set_default(log);
    let cloud = started(MockCloud::builder()).await;
    let digest = ezlo_protocol::password::sha1_password("demo.user", &"demo-password".into());
    let mut secrets: Secrets =
        vec![("password", "demo-password".into()), ("digest of the password", digest.expose().to_owned())];
    account(&cloud, &mut capture, &mut secrets).await;
    hub(&cloud, &mut capture, &mut secrets).await;
    wifi(&cloud, &mut capture, &mut secrets).await;
    capture.print(cloud.ready());
    capture.print(&cloud);
    let text = capture.text();
    assert!(
        text.contains("ezlo_mms") && text.contains("ezlo_relay"),
        "the log contains no entries of ezlo_mms or ezlo_relay"
    );
    for (what, secret) in &secrets {
        assert!(secret.len() >= 4, "the {what} is too short to search for");
        assert!(!text.contains(secret.as_str()), "the {what} is in the output: {}", around(&text, secret));
    }
    assert!(secrets.len() >= 14, "only {} secrets were collected", secrets.len());
}

/// Returns the line that contains a secret, with the secret masked.
fn around(text: &str, secret: &str) -> String {
    let line = text.lines().find(|line| line.contains(secret)).unwrap_or_default();
    line.replace(secret, "<here>").chars().take(400).collect()
}

async fn account(cloud: &MockCloud, capture: &mut Capture, secrets: &mut Secrets) {
    let new_account = NewAccount {
        credentials: Credentials::new("canary.user", "canary-password-1"),
        email: "canary.user@example.com".into(),
    };
    secrets.push(("password of a new account", "canary-password-1".into()));
    capture.print(&new_account);
    let created = within(Account::create(plain(cloud), &new_account)).await.unwrap();
    pair(created.session().await.unwrap().pair(), secrets);
    capture.error(&within(Account::create(plain(cloud), &new_account)).await.unwrap_err());
    secrets.push(("wrong password", "wrong-password-2".into()));
    let wrong = Credentials::new("demo.user", "wrong-password-2");
    capture.print(&wrong);
    capture.error(&within(Account::log_in(plain(cloud), &wrong)).await.unwrap_err());
    capture.error(&within(Account::log_in(nowhere(), &demo())).await.unwrap_err());
    secrets.push(("proxy password", "proxy-password-6".into()));
    let proxied = nowhere().proxy("http://proxy-user:proxy-password-6@127.0.0.1:1").unwrap();
    capture.print(&proxied);
    capture.error(&within(Account::log_in(proxied, &demo())).await.unwrap_err());
    capture.error(&nowhere().proxy("http://proxy-user:proxy-password-6@ no proxy").unwrap_err());
    capture.error(&within(Account::log_in(echo().await, &demo())).await.unwrap_err());
    let account = within(Account::log_in(plain(cloud), &demo())).await.unwrap();
    let session = account.session().await.unwrap();
    pair(session.pair(), secrets);
    capture.print(&account);
    capture.print(&session);
    let mms = account.login().client();
    let token = within(mms.session_token(&session)).await.unwrap();
    secrets.push(("session token", token.expose().to_owned()));
    capture.print(&token);
    capture.print((*session).clone().with_session_token(token));
    let token = within(mms.exchange(&session)).await.unwrap();
    secrets.push(("cloud token", token.expose().to_owned()));
    capture.print(&token);
    let keys = within(mms.access_keys(&token)).await.unwrap();
    capture.print(&keys);
    capture.print(within(account.record()).await.unwrap());
    capture.print(within(account.hub_record(&serial(HUB))).await.unwrap());
    capture.error(&within(account.hub_record(&serial("99999999"))).await.unwrap_err());
    capture.error(&within(account.claim(&serial(HUB), "AA:BB:CC:00:00:99".parse().unwrap())).await.unwrap_err());
}

fn nowhere() -> Environment {
    Environment::from_base_url("http://127.0.0.1:1").unwrap()
}

/// Starts a server whose error page repeats the request line, as some proxies do.
async fn echo() -> Environment {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 8192];
            let read = stream.read(&mut request).await.unwrap_or_default();
            let line = String::from_utf8_lossy(&request[..read]).lines().next().unwrap_or_default().to_owned();
            let answer = format!("HTTP/1.1 400 Bad Request\r\ncontent-length: {}\r\n\r\n{line}", line.len());
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    Environment::from_base_url(&format!("http://{address}")).unwrap()
}

fn pair(pair: &IdentityPair, secrets: &mut Secrets) {
    secrets.push(("Identity", pair.identity.expose().to_owned()));
    secrets.push(("signature", pair.signature.expose().to_owned()));
}

async fn hub(cloud: &MockCloud, capture: &mut Capture, secrets: &mut Secrets) {
    let account = within(Account::log_in(plain(cloud), &demo())).await.unwrap();
    pair(account.session().await.unwrap().pair(), secrets);
    let hub = within(account.connect(&serial(HUB))).await.unwrap();
    within(hub.synced()).await.unwrap();
    capture.print(&hub);
    let lamp = within(hub.device("Kitchen light")).await.unwrap();
    capture.print(within(lamp.item("switch").unwrap().set(true).send_and_confirm()).await.unwrap());
    capture.error(&within(lamp.item("switch").unwrap().set("bright").send_and_confirm()).await.unwrap_err());
    let raw = within(hub.session().call_raw("hub.no.such.method", json!({"password": "in-a-call-3"}))).await;
    secrets.push(("password in a call", "in-a-call-3".into()));
    capture.error(&raw.unwrap_err());
    let credentials = within(account.local_credentials(&serial(HUB))).await.unwrap();
    secrets.push(("hub token", credentials.token.expose().to_owned()));
    let lan = address(cloud.ready().hubs[0].lan.as_deref().unwrap());
    let local = LocalOptions::new(LocalAddress::Fixed(lan), credentials.clone());
    capture.print(&local);
    let hub = within(account.connect_with(&serial(HUB), Some(local), SessionConfig::default())).await.unwrap();
    capture.print(&hub);
    within(hub.close()).await;
    let mut wrong = credentials;
    wrong.token = "a-wrong-hub-token".into();
    secrets.push(("wrong hub token", "a-wrong-hub-token".into()));
    capture.error(&within(Account::connect_local(&serial(HUB), lan, wrong, None)).await.unwrap_err());
    // A client without the SDK sends a broken pair, so that the relay's log is checked too.
    let mut socket = ezlo_testkit::Socket::connect(http(cloud)).await;
    let login = json!({"id": 1, "method": "loginUserMios", "params": {"MMSAuth": "broken-identity-4", "MMSAuthSig": "broken-signature-4"}});
    assert_ne!(socket.ask(login.to_string()).await["error"], Value::Null);
    secrets.push(("broken Identity", "broken-identity-4".into()));
    secrets.push(("broken signature", "broken-signature-4".into()));
}

async fn wifi(cloud: &MockCloud, capture: &mut Capture, secrets: &mut Secrets) {
    let fresh = &cloud.ready().hubs[1];
    let access_point = ezlo::AccessPoint::at(fresh.ap.as_deref().unwrap(), fresh.ap_root.as_deref().unwrap()).unwrap();
    secrets.push(("Wi-Fi key", "wrong-wifi-key-5".into()));
    let mut plan = Plan::new("NETWORK_SSID", Some("wrong-wifi-key-5".into()));
    plan.appear_time = Duration::ZERO;
    capture.print(&plan);
    capture.print(&access_point);
    capture.error(&within(ezlo::onboard(&access_point, plan, &mut OfflineCloud, |_| ())).await.unwrap_err());
}

struct OfflineCloud;

impl ezlo::Cloud for OfflineCloud {
    async fn is_online(&mut self) -> bool {
        false
    }
}
