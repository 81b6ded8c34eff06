//! The bootstrap of an EzloPi board that is not simulated: the test plays the side of the firmware.

use sha2::Digest as _;

use ezlo_mock_cloud::{Config, MockCloud};
use ezlo_testkit::{Answer, Socket, address, http as ask, within};
use serde_json::{Value, json};

use crate::support::{http, login_text, pair, register_text, serial, started};

async fn get(cloud: &MockCloud, path: &str) -> Answer {
    ask(http(cloud), &format!("GET {path}"), &[], b"").await
}

/// Calls the RPC gateway as the demo user and returns the answer.
async fn gateway(cloud: &MockCloud, call: &str, params: Value) -> Value {
    let login = json!({"user_id": "demo.user", "user_password": "demo-password"}).to_string();
    let token = ask(http(cloud), "POST /api/v4/login/1/sessions", &[], login.as_bytes()).await.json();
    let bearer = format!("Bearer {}", token["token"].as_str().unwrap());
    let body = json!({"call": call, "params": params}).to_string();
    ask(http(cloud), "POST /v1/request", &[("authorization", &bearer)], body.as_bytes()).await.json()
}

/// The `register` of the firmware.
fn register(serial: &str, uuid: &str, max_frame_size: u64) -> String {
    json!({"id": "__ID__", "method": "register", "params": {"serial": serial, "firmware": "3.9.1", "timeOffset": 20700,
        "media": "radio", "hubType": "32.1", "controller_uuid": uuid, "mac_address": "AA:BB:CC:00:00:07",
        "maxFrameSize": max_frame_size}})
    .to_string()
}

const UUID: &str = "3c9a3b1e-9f1f-4a55-9d0e-0123456789ab";

#[tokio::test]
async fn self_provisioned_board_joins_and_is_used_through_the_relay() {
    let cloud = started(MockCloud::builder()).await;
    let requested = gateway(&cloud, "self_provision_request", json!({"description": "a board", "meta": {}})).await;
    assert_eq!(requested["status"], 1, "{requested}");
    let given = gateway(&cloud, "self_provision_get", json!({"uuid": requested["data"]["uuid"]})).await;
    let uuid = given["data"]["controller_uuid"].as_str().unwrap();
    let data: Value = serde_json::from_str(given["data"]["provision_data"].as_str().unwrap()).unwrap();
    let number = data["id"].as_u64().unwrap().to_string();
    assert!(number.starts_with("105") && number.len() == 9, "{number}");
    assert_eq!(data["signing_ca_certificate"], cloud.ca_pem());
    assert!(data["ssl_private_key"].as_str().unwrap().starts_with("-----BEGIN PRIVATE KEY-----"));
    assert!(data["ssl_shared_key"].as_str().unwrap().starts_with("-----BEGIN CERTIFICATE-----"));

    // The firmware asks for new provisioning until it has the present version.
    let token = data["provision_token"].as_str().unwrap();
    let first = get(&cloud, &format!("/provision-sync?token={token}&version=1")).await;
    let provision = &first.json()["data"];
    assert_eq!((&provision["id"], provision["uuid"].as_str()), (&json!(number), Some(uuid)));
    let version = provision["version"].as_i64().unwrap();
    assert_eq!(get(&cloud, &format!("/provision-sync?token={token}&version={version}")).await.status, 304);
    let coordinator = provision["coordinator_url"].as_str().unwrap();
    let (_, path) = coordinator.split_at(coordinator.rfind('/').unwrap());
    let uri = get(&cloud, &format!("{path}?json=true")).await.json();
    assert_eq!(uri["uri"], cloud.ready().http.replacen("http", "ws", 1));

    let mut board = Socket::connect(address(&cloud.ready().http)).await;
    assert_eq!(board.ask(register(&number, uuid, 20_480)).await["method"], "registered");
    let account = crate::support::account(&cloud).await;
    let record = within(account.hub_record(&serial(&number))).await.unwrap();
    assert_eq!((record.is_online(), record.nma_uuid.as_deref()), (Some(true), Some(uuid)));
    assert_eq!(record.mac.get().unwrap().to_string(), "AA:BB:CC:00:00:07", "the cloud learned the address");

    let firmware = board.ask(r#"{"id":"1","method":"cloud.firmware.info.get","params":{"type":"ezlopi"}}"#).await;
    assert_eq!((&firmware["method"], &firmware["error"]), (&json!("cloud.firmware.info.get"), &Value::Null));
    assert_eq!(firmware["result"], json!({"version": "3.9.1"}), "no update");
    let other = board.ask(r#"{"id":"2","method":"cloud.controller_abstracts_list","params":{}}"#).await;
    assert_eq!(other["error"]["data"], "rpc.method.notfound");

    // The journal shows no secret of the board.
    board.ask(r#"{"api":"3","id":"k","method":"cloud.access_keys_controller_sync","params":{}}"#).await;
    let journal = format!("{:?}", cloud.journal(&ezlo_mock_cloud::journal::Filter::default()));
    let digits = token.split_once('.').unwrap().1;
    assert!(journal.contains("provision-sync") && !journal.contains("PRIVATE KEY") && !journal.contains(digits));

    let mut app = Socket::connect(http(&cloud)).await;
    app.ask(login_text(&pair(&cloud).await)).await;
    assert_eq!(app.ask(register_text(&json!(number))).await["method"], "registered");
    app.text(r#"{"id":"a","method":"hub.info.get","params":{}}"#).await;
    let call = board.json().await;
    let answer = json!({"id": "a", "method": "hub.info.get", "error": null, "result": {}, "sender": call["sender"]});
    board.text(answer.to_string()).await;
    assert_eq!(app.json().await, answer);
}

#[tokio::test]
async fn board_from_a_shop_registers_and_receives_the_keys_of_its_users() {
    let cloud = started(MockCloud::builder()).await;
    let unknown = get(&cloud, "/provision-sync?token=token-of-the-vendor&version=0").await;
    assert_eq!(unknown.status, 304, "the firmware asks again at once after any other status");
    let mut board = Socket::connect(http(&cloud)).await;
    assert_eq!(board.ask(register("105000077", UUID, 20_480)).await["method"], "registered");
    let account = crate::support::account(&cloud).await;
    within(account.claim(&serial("105000077"), "AA:BB:CC:00:00:07".parse().unwrap())).await.unwrap();
    let announced = board.json().await;
    assert_eq!(announced["method"], "hub.offline.credentials.updated");
    let sync = r#"{"api":"3","id":"k","method":"cloud.access_keys_controller_sync","params":{}}"#;
    let keys = board.ask(sync).await["result"].clone();
    let local = within(account.local_credentials(&serial("105000077"))).await.unwrap();
    let digests = keys["clients"][&local.user].as_array().unwrap();
    assert_eq!(digests.len(), 1);
    assert_eq!(digests[0], sha256(local.token.expose()));
    assert!(keys["current"][0]["private"].as_str().unwrap().contains("PRIVATE KEY"));
    assert_eq!(keys["current"][0]["public_parent"], cloud.ca_pem());

    let list = gateway(&cloud, "controller_list", json!({"local_key": 1})).await;
    let entries = list["data"]["controllers"].as_array().unwrap();
    let entry = entries.iter().find(|entry| entry["serial"] == "105000077").unwrap();
    assert_eq!(entry["uuid"], UUID, "the UUID of the registration");
}

/// A board reads no frame that is longer than the size that it announces.
#[tokio::test]
async fn long_call_reaches_a_board_in_frames_of_its_size() {
    let cloud = started(MockCloud::builder()).await;
    let mut board = ezlo_testkit::RawSocket::connect(http(&cloud), "localhost").await;
    board.send(&ezlo_testkit::frame(0x81, register("105000077", UUID, 1000).as_bytes())).await;
    assert!(board.next().await.is_some());
    let account = crate::support::account(&cloud).await;
    within(account.claim(&serial("105000077"), "AA:BB:CC:00:00:07".parse().unwrap())).await.unwrap();
    assert!(board.next().await.is_some(), "the announcement of the keys");
    let mut app = Socket::connect(http(&cloud)).await;
    app.ask(login_text(&pair(&cloud).await)).await;
    app.ask(register_text(&json!("105000077"))).await;
    let call = json!({"id": "a", "method": "hub.room.create", "params": {"name": "x".repeat(2500)}});
    app.text(call.to_string()).await;
    let (mut text, mut frames) = (Vec::new(), Vec::new());
    while !text.ends_with(b"}}") {
        let (code, part) = within(board.next()).await.unwrap();
        frames.push((code, part.len()));
        text.extend(part);
    }
    assert!(frames.len() >= 3 && frames.iter().all(|(_, length)| *length <= 1000), "{frames:?}");
    let received: Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(received["params"], call["params"]);
}

#[tokio::test]
async fn coordinator_has_a_port_of_its_own_on_request() {
    assert!(started(MockCloud::builder()).await.ready().coordinator.is_none());
    let mut config = Config::default();
    config.ports.coordinator = Some(0);
    let cloud = started(MockCloud::builder().config(config)).await;
    assert!(cloud.ready().coordinator.as_deref().unwrap().starts_with("https://127.0.0.1:"));
}

/// Returns the SHA-256 digest of a text as hexadecimal digits.
fn sha256(text: &str) -> String {
    sha2::Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}
