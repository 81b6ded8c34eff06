//! The SDK compared with the libraries below it: typed lists with `serde_json::Value`, calls with a bare WebSocket client, and
//! the path from login to the first reply with the same requests written by hand.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use ezlo::protocol::hub::Empty;
use ezlo::protocol::hub::device::DeviceList;
use ezlo::protocol::hub::item::ItemList;
use ezlo::protocol::hub::method::{InfoGet, Method as _, ModesCurrent};
use ezlo::{Account, Credentials, Environment};
use ezlo_mock_cloud::{Config, MockCloud};
use futures_util::{SinkExt as _, StreamExt as _};
use rustls_pki_types::ServerName;
use rustls_pki_types::pem::PemObject as _;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::Message;

use crate::client::Client;
use crate::drive::http::answer_length;
use crate::measure::{Goal, Measure, Scale, median, rate};

const USER: (&str, &str) = ("demo.user", "demo-password");
const SERIAL: &str = "90000001";
/// Flows per round.
const FLOWS: usize = 30;

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

pub(crate) fn run(scale: Scale) -> Result<Vec<Measure>, String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(text)?;
    runtime.block_on(async {
        let config = Config { world: "villa".into(), ..Config::default() };
        let cloud = MockCloud::builder().config(config).start().await.map_err(text)?;
        let mut measures = decoding(&cloud, scale).await?;
        measures.extend(calls(&cloud, scale).await?);
        measures.push(flows(&cloud, scale).await?);
        Ok(measures)
    })
}

async fn decoding(cloud: &MockCloud, scale: Scale) -> Result<Vec<Measure>, String> {
    let mut client = Client::at_hub(cloud, USER, SERIAL).await?;
    let mut list = async |method: &str| {
        let answer = client.ask(json!({"id": 1, "method": method, "params": {}}).to_string()).await?;
        let answer: Value = serde_json::from_str(&answer).map_err(text)?;
        Ok::<_, String>(answer["result"].to_string())
    };
    let (devices, items) = (list("hub.devices.list").await?, list("hub.items.list").await?);
    Ok(vec![
        decoded::<DeviceList>("devices as types", &devices, scale).await?,
        decoded::<ItemList>("items as types", &items, scale).await?,
    ])
}

async fn decoded<T: DeserializeOwned>(name: &str, list: &str, scale: Scale) -> Result<Measure, String> {
    let (mut typed, mut values) = (Vec::new(), Vec::new());
    for _ in 0..scale.rounds() {
        let read = async || serde_json::from_str::<T>(black_box(list)).map(|read| drop(black_box(read)));
        typed.push(rate(scale.round(), read).await.map_err(text)?);
        let read = async || serde_json::from_str::<Value>(black_box(list)).map(|read| drop(black_box(read)));
        values.push(rate(scale.round(), read).await.map_err(text)?);
    }
    let (typed, values) = (median(typed), median(values));
    Ok(Measure {
        name: name.into(),
        peer: "serde_json::Value".into(),
        ratio: typed / values,
        goal: Goal::AtLeast(1.8),
        detail: format!("{typed:.0}/s against {values:.0}/s, {} bytes", list.len()),
    })
}

/// Measures the cost that the SDK adds to a call, for a short reply and for a longer reply that only the SDK decodes.
async fn calls(cloud: &MockCloud, scale: Scale) -> Result<[Measure; 2], String> {
    let environment = Environment::from_base_url(&cloud.ready().http).map_err(text)?;
    let account = Account::log_in(environment, &Credentials::new(USER.0, USER.1)).await.map_err(text)?;
    let hub = account.connect(&SERIAL.parse().map_err(text)?).await.map_err(text)?;
    let mut bare = Client::at_hub(cloud, USER, SERIAL).await?;
    let call = |method: &str| json!({"id": 1, "method": method, "params": {}}).to_string();
    let (short, long) = (call(ModesCurrent::NAME), call(InfoGet::NAME));
    let mut rates = [const { Vec::new() }; 4];
    for _ in 0..scale.rounds() {
        let asked = rate(scale.round(), async || hub.session().call(ModesCurrent, Empty::default()).await.map(drop));
        rates[0].push(asked.await.map_err(text)?);
        rates[1].push(rate(scale.round(), async || bare.ask(short.clone()).await.map(drop)).await?);
        let asked = rate(scale.round(), async || hub.info().await.map(drop));
        rates[2].push(asked.await.map_err(text)?);
        rates[3].push(rate(scale.round(), async || bare.ask(long.clone()).await.map(drop)).await?);
    }
    let [ours, theirs, ours_long, theirs_long] = rates.map(median);
    let measure = |name: &str, ours: f64, theirs: f64, goal| Measure {
        name: name.into(),
        peer: "a bare tungstenite client".into(),
        ratio: ours / theirs,
        goal,
        detail: format!("{ours:.0}/s against {theirs:.0}/s"),
    };
    Ok([
        measure("calls of the SDK, one at a time", ours, theirs, Goal::AtLeast(0.9)),
        measure("calls of the SDK, answers of 1 kB decoded", ours_long, theirs_long, Goal::None),
    ])
}

async fn flows(cloud: &MockCloud, scale: Scale) -> Result<Measure, String> {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let hand = ByHand::new(cloud)?;
    for _ in 0..scale.rounds() * FLOWS {
        let began = Instant::now();
        let address = cloud.ready().https.trim_start_matches("https://").parse().map_err(text)?;
        let environment = Environment::with_host_override(address).trust_pem(cloud.ca_pem()).map_err(text)?;
        let account = Account::log_in(environment, &Credentials::new(USER.0, USER.1)).await.map_err(text)?;
        account.record().await.map_err(text)?;
        let hub = account.connect(&SERIAL.parse().map_err(text)?).await.map_err(text)?;
        hub.info().await.map_err(text)?;
        ours.push(began.elapsed().as_secs_f64() * 1e3);
        drop(hub);
        let began = Instant::now();
        hand.flow().await?;
        theirs.push(began.elapsed().as_secs_f64() * 1e3);
    }
    let (ours, theirs) = (median(ours), median(theirs));
    Ok(Measure {
        name: "login, account, first call, TLS".into(),
        peer: "the same by hand".into(),
        ratio: ours / theirs,
        goal: Goal::AtMost(1.3),
        detail: format!("{ours:.2} ms against {theirs:.2} ms"),
    })
}

/// A hand-written client with the fewest steps: three connections and literal requests.
struct ByHand {
    connector: TlsConnector,
    address: String,
}

impl ByHand {
    fn new(cloud: &MockCloud) -> Result<Self, String> {
        let mut roots = rustls::RootCertStore::empty();
        let certificate = rustls_pki_types::CertificateDer::from_pem_slice(cloud.ca_pem().as_bytes());
        roots.add(certificate.map_err(text)?).map_err(text)?;
        let builder = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
        let config = builder.with_safe_default_protocol_versions().map_err(text)?;
        let config = config.with_root_certificates(roots).with_no_client_auth();
        let address = cloud.ready().https.trim_start_matches("https://").to_owned();
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), address })
    }

    async fn connect(&self) -> Result<TlsStream<TcpStream>, String> {
        let stream = TcpStream::connect(&self.address).await.map_err(text)?;
        stream.set_nodelay(true).map_err(text)?;
        let name = ServerName::try_from("vera-us-oem-autha.mios.com").map_err(text)?;
        self.connector.connect(name, stream).await.map_err(text)
    }

    async fn get(&self, path: &str, headers: &str) -> Result<Value, String> {
        let mut stream = self.connect().await?;
        let request = format!("GET {path} HTTP/1.1\r\nhost: vera-us-oem-autha.mios.com\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.map_err(text)?;
        let (mut bytes, mut buffer) = (Vec::new(), [0; 8192]);
        loop {
            if let Some(length) = answer_length(&bytes)? {
                let head = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or_default() + 4;
                return serde_json::from_slice(&bytes[head..length]).map_err(text);
            }
            let read = stream.read(&mut buffer).await.map_err(text)?;
            bytes.extend_from_slice(&buffer[..read]);
            if read == 0 {
                return Err("the connection ended without a reply".into());
            }
        }
    }

    async fn flow(&self) -> Result<(), String> {
        let hash = ezlo::protocol::password::sha1_password(USER.0, &USER.1.into());
        let path = format!("/autha/auth/username/{}?SHA1Password={}&PK_Oem=1", USER.0, hash.expose());
        let login = self.get(&path, "").await?;
        let [identity, signature] = ["Identity", "IdentitySignature"].map(|name| login[name].as_str().unwrap_or(""));
        let keys = format!("mmsauth: {identity}\r\nmmsauthsig: {signature}\r\n");
        self.get("/account/account/account/1200001", &keys).await?;
        let stream = self.connect().await?;
        let url = "wss://vera-us-oem-autha.mios.com/";
        let (mut socket, _) = tokio_tungstenite::client_async(url, stream).await.map_err(text)?;
        for call in [
            json!({"id": 1, "method": "loginUserMios", "params": {"MMSAuth": identity, "MMSAuthSig": signature}}),
            json!({"id": 2, "method": "register", "params": {"serial": SERIAL}}),
            json!({"id": 3, "method": "hub.info.get", "params": {}}),
        ] {
            socket.send(Message::text(call.to_string())).await.map_err(text)?;
            socket.next().await.ok_or("the connection ended without a reply")?.map_err(text)?;
        }
        Ok(())
    }
}
