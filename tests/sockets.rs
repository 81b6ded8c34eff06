//! Edge cases of WebSockets, written frame by frame: pipelined calls, floods, deep nesting and abrupt ends.

use std::time::Duration;

use ezlo_mock_cloud::MockCloud;
use ezlo_mock_cloud::faults::{FaultKind, FaultSpec, Trigger};
use ezlo_testkit::{CLOSE, Came, Control, PING, PONG, RawSocket, Socket, TEXT, address, frame, within};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use crate::support::{Folder, HUB, frozen, http, login_text, pair, register_text, registered, started};

fn call(id: usize) -> String {
    json!({"id": id, "method": "hub.modes.current.get", "params": {}}).to_string()
}

fn answers(frames: &[(u8, Vec<u8>)]) -> Vec<Value> {
    let texts = frames.iter().filter(|(code, _)| *code == TEXT);
    texts.map(|(_, payload)| serde_json::from_slice(payload).unwrap()).collect()
}

/// Opens a raw socket that has logged in and registered with the demo hub.
async fn registered_raw(cloud: &MockCloud) -> RawSocket {
    let pair = pair(cloud).await;
    let mut socket = RawSocket::connect(http(cloud), "x").await;
    for text in [login_text(&pair), register_text(&json!(HUB))] {
        socket.send(&frame(TEXT, text.as_bytes())).await;
        assert_eq!(socket.next().await.unwrap().0, TEXT);
    }
    socket
}

/// Calls are answered although the client sends a close frame, or ends its stream, directly after them.
#[tokio::test]
async fn calls_sent_before_a_close_are_answered() {
    let cloud = frozen().await;
    let mut closing = registered_raw(&cloud).await;
    let close = frame(CLOSE, &1000_u16.to_be_bytes());
    closing.send(&[frame(TEXT, call(1).as_bytes()), frame(TEXT, call(2).as_bytes()), close].concat()).await;
    let frames = closing.rest().await;
    let ids: Vec<Value> = answers(&frames).iter().map(|answer| answer["id"].clone()).collect();
    assert_eq!(ids, [1, 2], "{frames:?}");
    assert_eq!(frames.last().map(|(code, payload)| (*code, &payload[..2])), Some((CLOSE, &[0x03, 0xe8][..])));

    let mut half_closed = registered_raw(&cloud).await;
    half_closed.send(&frame(TEXT, call(3).as_bytes())).await;
    half_closed.stream().shutdown().await.unwrap();
    assert_eq!(answers(&half_closed.rest().await)[0]["id"], 3);
}

/// The calls are more than the outgoing queue holds, and each of them waits for the disk.
#[tokio::test]
async fn thousands_of_pipelined_calls_are_answered_in_order() {
    let folder = Folder::new("pipelined");
    let cloud = started(MockCloud::builder().state_dir(&folder.0)).await;
    let items = registered(&cloud).await.ask(r#"{"id":1,"method":"hub.items.list","params":{}}"#).await;
    let is_dimmer = |item: &&Value| item["name"] == "dimmer";
    let dimmer = items["result"]["items"].as_array().unwrap().iter().find(is_dimmer).unwrap()["_id"].clone();
    let mut socket = registered_raw(&cloud).await;
    let set = |id: usize| {
        json!({"id": id, "method": "hub.item.value.set", "params": {"_id": dimmer, "value": id % 100}}).to_string()
    };
    let calls: Vec<u8> = (0..3000).flat_map(|id| frame(TEXT, set(id).as_bytes())).collect();
    socket.send(&calls).await;
    let mut answered = 0;
    while answered < 3000 {
        let (code, payload) = socket.next().await.unwrap();
        assert_ne!(code, CLOSE, "{answered} answered: {}", String::from_utf8_lossy(&payload));
        let is_next = code == TEXT && serde_json::from_slice::<Value>(&payload).unwrap()["id"] == answered;
        answered += usize::from(is_next);
    }
}

/// The server stops reading pings while its pongs are not read. They fill only the socket buffers of the system.
#[tokio::test]
async fn a_flood_of_pings_gets_backpressure() {
    let cloud = frozen().await;
    let mut socket = RawSocket::connect(http(&cloud), "x").await;
    let flood = frame(PING, &[b'p'; 125]).repeat(500);
    let mut sent = 0_usize;
    let is_limited = loop {
        match tokio::time::timeout(Duration::from_secs(2), socket.stream().write_all(&flood)).await {
            Ok(Ok(())) => sent += flood.len(),
            _ => break true,
        }
        if sent > 256 << 20 {
            break false;
        }
    };
    assert!(is_limited, "the server accepted {sent} bytes of pings without backpressure");
    let mut other = RawSocket::connect(http(&cloud), "x").await;
    other.send(&frame(PING, b"p")).await;
    assert_eq!(other.next().await, Some((PONG, b"p".to_vec())), "other connections still work");
}

#[tokio::test]
async fn malformed_messages_get_errors_under_content_faults() {
    let cloud = frozen().await;
    let deep = format!("{}1{}", "[".repeat(5000), "]".repeat(5000));
    for kind in [FaultKind::UnknownMember, FaultKind::UnknownToken, FaultKind::WrongSerial, FaultKind::NullLists] {
        cloud.remove_fault(None);
        cloud.add_fault(FaultSpec::new(kind.clone())).unwrap();
        let mut socket = Socket::connect(http(&cloud)).await;
        for text in ["[]", "[1,[2]]", "null", r#""text""#, "{}", r#"[{"id":1,"method":"register"}]"#, &deep] {
            let answer = within(socket.ask(text)).await;
            assert_eq!(answer["error"]["code"], -32700, "{kind:?}, {}: {answer}", &text[..text.len().min(20)]);
        }
        let answer = within(socket.ask(format!(r#"{{"id":1,"method":"x","params":{deep}}}"#))).await;
        assert!(answer["error"].is_object(), "{kind:?}: {answer}");
    }
}

/// The fault `no_pong` applies to WebSockets only: the response to a refused upgrade keeps its body.
#[tokio::test]
async fn a_refused_upgrade_keeps_its_body_under_no_pong() {
    let cloud = frozen().await;
    cloud.add_fault(FaultSpec::new(FaultKind::NoPong)).unwrap();
    let elsewhere = "GET /elsewhere HTTP/1.1\r\nhost: x\r\nconnection: upgrade, close\r\nupgrade: websocket\r\n\
        sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let answer = String::from_utf8(ezlo_testkit::raw(http(&cloud), elsewhere.as_bytes()).await).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 404 "), "{head}");
    assert!(head.contains(&format!("content-length: {}", body.len())) && !body.is_empty(), "{answer}");
}

#[tokio::test]
async fn slow_close_delays_the_end_of_a_websocket() {
    let cloud = frozen().await;
    cloud.add_fault(FaultSpec::new(FaultKind::SlowClose { millis: 150 }).when(Trigger::First(1))).unwrap();
    let mut socket = RawSocket::connect(http(&cloud), "x").await;
    let began = std::time::Instant::now();
    socket.send(&frame(CLOSE, &1000_u16.to_be_bytes())).await;
    assert_eq!(socket.rest().await.last().map(|(code, _)| *code), Some(CLOSE));
    assert!(began.elapsed() >= Duration::from_millis(150), "{:?}", began.elapsed());
}

/// Connections to a fork by its host name end with the fork. Connections to the original world do not.
#[tokio::test]
async fn connections_by_host_name_end_with_their_world() {
    let cloud = frozen().await;
    let control = Control::at(&cloud.ready().control);
    within(control.fork(0)).await.unwrap();
    let mut fork = RawSocket::connect(http(&cloud), "w1.localhost").await;
    let mut world = RawSocket::connect(http(&cloud), "localhost").await;
    within(control.end(1)).await.unwrap();
    let (code, payload) = fork.next().await.unwrap();
    assert_eq!((code, &payload[..2]), (CLOSE, &1001_u16.to_be_bytes()[..]));
    world.send(&frame(PING, b"p")).await;
    assert_eq!(world.next().await, Some((PONG, b"p".to_vec())));
}

/// A moved relay has a different, reachable address, whichever host name the request uses.
#[tokio::test]
async fn a_moved_relay_is_reachable_by_every_host_name() {
    let cloud = frozen().await;
    let control = Control::at(&cloud.ready().control);
    within(control.fork(0)).await.unwrap();
    let pair = pair(&cloud).await;
    let relay = async |host: &str| {
        let text = format!(
            "GET /device/device/device/{HUB} HTTP/1.1\r\nhost: {host}:{}\r\nmmsauth: {}\r\nmmsauthsig: {}\r\n\
             connection: close\r\n\r\n",
            http(&cloud).port(),
            pair.identity.expose(),
            pair.signature.expose()
        );
        let answer = String::from_utf8(ezlo_testkit::raw(http(&cloud), text.as_bytes()).await).unwrap();
        let body: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
        body["Server_Relay"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    };
    for (host, world) in [("127.0.0.1", 0), ("localhost", 0), ("w1.localhost", 1)] {
        let worlds = within(control.worlds()).await.unwrap();
        let at = Control::at(worlds["worlds"][world]["ready"]["control"].as_str().unwrap());
        let before = relay(host).await;
        within(at.add_fault(json!({"fault": "relay_moved"}))).await.unwrap();
        let moved = relay(host).await;
        within(at.remove_fault(None)).await.unwrap();
        assert_ne!(before, moved, "{host}");
        let name = moved.split_once("://").unwrap().1.split([':', '/']).next().unwrap();
        let mut socket = RawSocket::connect(http(&cloud), name).await;
        socket.send(&frame(TEXT, login_text(&pair).as_bytes())).await;
        assert_eq!(answers(&[socket.next().await.unwrap()])[0]["error"], Value::Null, "{moved}");
    }
}

/// The same rules apply to the local port of a hub.
#[tokio::test]
async fn a_local_port_answers_calls_before_it_closes() {
    let cloud = frozen().await;
    let mut relay = registered(&cloud).await;
    let open = json!({"id": 5, "method": "hub.offline.insecure_access.enabled.set", "params": {"enabled": true}});
    assert_eq!(relay.ask(open.to_string()).await["error"], Value::Null);
    let lan = address(cloud.ready().hubs[0].lan.as_deref().unwrap());
    let mut socket = RawSocket::connect(lan, "hub").await;
    socket.send(&[frame(TEXT, call(1).as_bytes()), frame(CLOSE, &[])].concat()).await;
    assert_eq!(answers(&socket.rest().await).len(), 1);
    let mut other = Socket::connect(lan).await;
    other.text("[]").await;
    assert!(matches!(within(other.next()).await, Came::Json(_)));
}
