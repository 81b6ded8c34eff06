//! The relay as an independent client sees it: raw text through a WebSocket library that neither the SDK nor the server uses.

use ezlo_testkit::{Came, Socket};
use serde_json::{Value, json};

use crate::support::{HUB, frozen, http, login_text, pair, register_text, registered};

#[tokio::test]
async fn messages_of_the_vendor_note_work_as_raw_text() {
    let cloud = frozen().await;
    let pair = pair(&cloud).await;
    let mut socket = Socket::connect(http(&cloud)).await;
    let login = socket.ask(login_text(&pair)).await;
    assert_eq!(login.to_string(), r#"{"id":"login","method":"loginUserMios","error":null,"result":{}}"#);
    let registered = socket.ask(register_text(&json!(HUB))).await;
    assert_eq!(registered.to_string(), r#"{"id":"reg","method":"registered","error":null,"result":{}}"#);
    let info = socket.ask(r#"{"id":7,"method":"hub.info.get","params":{}}"#).await;
    assert_eq!((&info["id"], &info["error"], &info["result"]["serial"]), (&json!(7), &Value::Null, &json!(HUB)));
    assert_eq!(info["sender"]["type"], "ui");
}

#[tokio::test]
async fn reply_ids_keep_their_json_type() {
    let cloud = frozen().await;
    let mut socket = registered(&cloud).await;
    for id in [json!("_ID_"), json!(0.6133), json!(null), json!({"a": 1}), json!([1])] {
        let reply = socket.ask(json!({"id": id, "method": "hub.modes.current.get", "params": {}}).to_string()).await;
        assert_eq!(reply["id"], id);
    }
}

#[tokio::test]
async fn calls_out_of_order_are_refused_with_the_errors_of_the_vendor() {
    let cloud = frozen().await;
    let mut socket = Socket::connect(http(&cloud)).await;
    let data = |reply: &Value| reply["error"]["data"].as_str().unwrap_or("none").to_owned();
    let call = r#"{"id":"1","method":"hub.devices.list","params":{}}"#;
    assert_eq!(data(&socket.ask(call).await), "nma.user.notlogged");
    assert_eq!(data(&socket.ask(register_text(&json!(HUB))).await), "nma.user.notlogged");
    assert_eq!(data(&socket.ask(r#"{"id":"1","method":"loginUserMios"}"#).await), "rpc.params.notfound");
    assert_eq!(
        data(&socket.ask(r#"{"id":"1","method":"loginUserMios","params":{"MMSAuth":"x","MMSAuthSig":"y"}}"#).await),
        "user.login.badpassword"
    );
    let pair = pair(&cloud).await;
    assert_eq!(data(&socket.ask(login_text(&pair)).await), "none");
    assert_eq!(data(&socket.ask(login_text(&pair)).await), "user.login.alreadylogged");
    assert_eq!(data(&socket.ask(call).await), "nma.ezlo.notregistered");
    let cases = [
        (json!(null), "rpc.params.notfound.serial"),
        (json!(90_000_001), "rpc.params.invalid"),
        (json!("9"), "rpc.params.tooshort.serial"),
        (json!("9000000x"), "nma.invalid.ezlo.serial"),
        (json!("99999999"), "nma.ezlo.notfound"),
        (json!("90000002"), "nma.ezlo.notlinked"),
        (json!("92000001"), "nma.ezlo.notconnected"),
        (json!("50000001"), "nma.ezlo.notregistered"),
    ];
    for (serial, expected) in cases {
        assert_eq!(data(&socket.ask(register_text(&serial)).await), expected);
    }
    assert_eq!(socket.ask(register_text(&json!(HUB))).await["method"], "registered");
    assert_eq!(data(&socket.ask(r#"{"id":"1","method":"hub.nothing","params":{}}"#).await), "rpc.method.notfound");
}

#[tokio::test]
async fn a_reply_precedes_the_broadcast_that_it_causes() {
    let cloud = frozen().await;
    let mut socket = registered(&cloud).await;
    let items = socket.ask(r#"{"id":"1","method":"hub.items.list","params":{}}"#).await;
    let item =
        items["result"]["items"].as_array().unwrap().iter().find(|item| item["name"] == "switch").unwrap().clone();
    let set = json!({"id": "2", "method": "hub.item.value.set", "params": {"_id": item["_id"], "value": true}});
    assert_eq!(socket.ask(set.to_string()).await["id"], "2");
    let broadcast = socket.json().await;
    assert_eq!((&broadcast["id"], &broadcast["msg_subclass"]), (&json!("ui_broadcast"), &json!("hub.item.updated")));
    assert_eq!((&broadcast["result"]["_id"], &broadcast["result"]["value"]), (&item["_id"], &json!(true)));
    assert_eq!(broadcast["msg_id"].as_str().unwrap().len(), 24);
    // Users send 0 and 1 for a bool over HTTP. The broadcast carries a bool.
    let zero = json!({"id": "3", "method": "hub.item.value.set", "params": {"_id": item["_id"], "value": 0}});
    socket.ask(zero.to_string()).await;
    assert_eq!(socket.json().await["result"]["value"], json!(false));
}

/// A client that does not read its broadcasts is disconnected, so that no broadcast is lost unnoticed.
#[tokio::test]
async fn a_client_that_reads_too_slowly_is_disconnected() {
    let cloud = frozen().await;
    let mut socket = registered(&cloud).await;
    let hub = cloud.hub(HUB).unwrap();
    // More reports than the queue of the connection holds, before its task runs.
    for number in 0..1200 {
        hub.report("Bedroom temperature", "temp", json!(f64::from(number) / 100.0)).unwrap();
    }
    loop {
        match socket.next().await {
            Came::Json(_) => {}
            end => {
                assert_eq!(end, Came::Closed(1013));
                break;
            }
        }
    }
}
