//! The controller side of the relay: hubs outside the simulator.

use ezlo_testkit::Socket;
use serde_json::{Value, json};

use crate::support::{HUB, frozen, http, login_text, pair, register_text};

fn controller_register(serial: &str, mac: &str) -> String {
    json!({"id": "__ID__", "method": "register", "params": {"serial": serial, "firmware": "3.x", "timeOffset": 0,
        "media": "radio", "hubType": "32.1", "controller_uuid": "00000000-0000-4000-8000-000000000001",
        "mac_address": mac, "maxFrameSize": 20480}})
    .to_string()
}

#[tokio::test]
async fn controller_answers_for_its_hub_until_it_disconnects() {
    let cloud = frozen().await;
    // A controller with another hardware address is refused for an offline hub of the demo user.
    let mut hub = Socket::connect(http(&cloud)).await;
    let stranger = hub.ask(controller_register("92000001", "AA:BB:CC:00:00:09")).await;
    assert_eq!(stranger["error"]["data"], "cloud.error.login_controller_failed");
    let registered = hub.ask(controller_register("92000001", "AA:BB:CC:00:00:03")).await;
    assert_eq!(registered, json!({"id": "__ID__", "method": "registered", "error": null, "result": {}}));
    let mut app = Socket::connect(http(&cloud)).await;
    app.ask(login_text(&pair(&cloud).await)).await;
    assert_eq!(app.ask(register_text(&json!("92000001"))).await["method"], "registered");

    app.text(r#"{"id":"a","method":"hub.info.get","params":{}}"#).await;
    let call = hub.json().await;
    assert_eq!((&call["id"], &call["sender"]["type"]), (&json!("a"), &json!("ui")));
    let answer =
        json!({"id": "a", "method": "hub.info.get", "error": null, "result": {"serial": 1}, "sender": call["sender"]});
    hub.text(answer.to_string()).await;
    assert_eq!(app.json().await, answer);

    hub.text(r#"{"id":"ui_broadcast","msg_subclass":"hub.item.updated","result":{"_id":"x"}}"#).await;
    assert_eq!(app.json().await["result"]["_id"], "x");
    drop(hub);
    let disconnected = app.json().await;
    assert_eq!(
        (&disconnected["msg_subclass"], &disconnected["result"]["connected"]),
        (&json!("EzloStateChanged"), &json!(false))
    );
    let refused = app.ask(r#"{"id":"b","method":"hub.info.get","params":{}}"#).await;
    assert_eq!(refused["error"]["data"], "nma.ezlo.notconnected");
}

#[tokio::test]
async fn unknown_hub_registers_and_can_be_claimed() {
    let cloud = frozen().await;
    let mut hub = Socket::connect(http(&cloud)).await;
    assert_eq!(hub.ask(controller_register("105000001", "AA:BB:CC:00:00:09")).await["error"], Value::Null);
    let account = crate::support::account(&cloud).await;
    account.claim(&"105000001".parse().unwrap(), "AA:BB:CC:00:00:09".parse().unwrap()).await.unwrap();
    let record = account.hub_record(&"105000001".parse().unwrap()).await.unwrap();
    assert_eq!(record.is_online(), Some(true));
    assert_ne!(HUB, "105000001");
}
