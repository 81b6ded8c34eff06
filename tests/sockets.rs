//! WebSockets at their edges: what comes together, too fast, too deep or not at all, written frame by frame.

use std::time::Duration;

use ezlo_mock_cloud::MockCloud;
use ezlo_mock_cloud::faults::{Fault, FaultKind, Trigger};
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

/// Logged in and registered, frame by frame.
async fn at_the_hub(cloud: &MockCloud) -> RawSocket {
    let pair = pair(cloud).await;
    let mut socket = RawSocket::connect(http(cloud), "x").await;
    for text in [login_text(&pair), register_text(&json!(HUB))] {
        socket.send(&frame(TEXT, text.as_bytes())).await;
        assert_eq!(socket.next().await.unwrap().0, TEXT);
    }
    socket
}

/// Whoever asks, and says goodbye in the same breath, or says nothing more, is answered.
#[tokio::test]
async fn what_was_asked_before_a_close_is_answered() {
    let cloud = frozen().await;
    let mut polite = at_the_hub(&cloud).await;
    let close = frame(CLOSE, &1000_u16.to_be_bytes());
    polite.send(&[frame(TEXT, call(1).as_bytes()), frame(TEXT, call(2).as_bytes()), close].concat()).await;
    let frames = polite.rest().await;
    let ids: Vec<Value> = answers(&frames).iter().map(|answer| answer["id"].clone()).collect();
    assert_eq!(ids, [1, 2], "{frames:?}");
    assert_eq!(frames.last().map(|(code, payload)| (*code, &payload[..2])), Some((CLOSE, &[0x03, 0xe8][..])));

    let mut silent = at_the_hub(&cloud).await;
    silent.send(&frame(TEXT, call(3).as_bytes())).await;
    silent.stream().shutdown().await.unwrap();
    assert_eq!(answers(&silent.rest().await)[0]["id"], 3);
}

/// Far more at once than the queue of what goes out holds, of which each has to wait for the disk.
#[tokio::test]
async fn thousands_of_calls_at_once_are_answered_one_by_one() {
    let folder = Folder::new("pipelined");
    let cloud = started(MockCloud::builder().state_dir(&folder.0)).await;
    let items = registered(&cloud).await.ask(r#"{"id":1,"method":"hub.items.list","params":{}}"#).await;
    let is_dimmer = |item: &&Value| item["name"] == "dimmer";
    let dimmer = items["result"]["items"].as_array().unwrap().iter().find(is_dimmer).unwrap()["_id"].clone();
    let mut socket = at_the_hub(&cloud).await;
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

/// Pings whose pongs nobody reads stop being read themselves: the system's own buffers are all they fill.
#[tokio::test]
async fn pings_without_end_are_held_back() {
    let cloud = frozen().await;
    let mut socket = RawSocket::connect(http(&cloud), "x").await;
    let flood = frame(PING, &[b'p'; 125]).repeat(500);
    let mut sent = 0_usize;
    let held_back = loop {
        match tokio::time::timeout(Duration::from_secs(2), socket.stream().write_all(&flood)).await {
            Ok(Ok(())) => sent += flood.len(),
            _ => break true,
        }
        if sent > 256 << 20 {
            break false;
        }
    };
    assert!(held_back, "{sent} bytes were taken, and as many wait to be read");
    let mut other = RawSocket::connect(http(&cloud), "x").await;
    other.send(&frame(PING, b"p")).await;
    assert_eq!(other.next().await, Some((PONG, b"p".to_vec())), "the others go on");
}

#[tokio::test]
async fn frames_of_every_shape_are_answered_while_contents_are_changed() {
    let cloud = frozen().await;
    let deep = format!("{}1{}", "[".repeat(5000), "]".repeat(5000));
    for kind in [FaultKind::UnknownMember, FaultKind::UnknownToken, FaultKind::WrongSerial, FaultKind::NullLists] {
        cloud.remove_fault(None);
        cloud.add_fault(Fault::new(kind.clone())).unwrap();
        let mut socket = Socket::connect(http(&cloud)).await;
        for text in ["[]", "[1,[2]]", "null", r#""text""#, "{}", r#"[{"id":1,"method":"register"}]"#, &deep] {
            let answer = within(socket.ask(text)).await;
            assert_eq!(answer["error"]["code"], -32700, "{kind:?}, {}: {answer}", &text[..text.len().min(20)]);
        }
        let answer = within(socket.ask(format!(r#"{{"id":1,"method":"x","params":{deep}}}"#))).await;
        assert!(answer["error"].is_object(), "{kind:?}: {answer}");
    }
}

/// What nobody is to answer pings of is a WebSocket: a refusal keeps its body.
#[tokio::test]
async fn an_upgrade_that_is_refused_is_refused_whole() {
    let cloud = frozen().await;
    cloud.add_fault(Fault::new(FaultKind::NoPong)).unwrap();
    let elsewhere = "GET /elsewhere HTTP/1.1\r\nhost: x\r\nconnection: upgrade, close\r\nupgrade: websocket\r\n\
        sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let answer = String::from_utf8(ezlo_testkit::raw(http(&cloud), elsewhere.as_bytes()).await).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 404 "), "{head}");
    assert!(head.contains(&format!("content-length: {}", body.len())) && !body.is_empty(), "{answer}");
}

#[tokio::test]
async fn a_websocket_ends_slowly_too() {
    let cloud = frozen().await;
    cloud.add_fault(Fault::new(FaultKind::SlowClose { millis: 150 }).when(Trigger::First(1))).unwrap();
    let mut socket = RawSocket::connect(http(&cloud), "x").await;
    let began = std::time::Instant::now();
    socket.send(&frame(CLOSE, &1000_u16.to_be_bytes())).await;
    assert_eq!(socket.rest().await.last().map(|(code, _)| *code), Some(CLOSE));
    assert!(began.elapsed() >= Duration::from_millis(150), "{:?}", began.elapsed());
}

/// What is connected to a copy by its name ends with the copy, and what is connected to the world does not.
#[tokio::test]
async fn connections_by_name_end_with_their_world() {
    let cloud = frozen().await;
    let control = Control::at(&cloud.ready().control);
    within(control.fork(0)).await.unwrap();
    let mut copy = RawSocket::connect(http(&cloud), "w1.localhost").await;
    let mut world = RawSocket::connect(http(&cloud), "localhost").await;
    within(control.end(1)).await.unwrap();
    let (code, payload) = copy.next().await.unwrap();
    assert_eq!((code, &payload[..2]), (CLOSE, &1001_u16.to_be_bytes()[..]));
    world.send(&frame(PING, b"p")).await;
    assert_eq!(world.next().await, Some((PONG, b"p".to_vec())));
}

/// By whatever name the cloud is asked, a relay that has moved is somewhere else, and there.
#[tokio::test]
async fn a_moved_relay_is_found_by_every_name() {
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

/// Local ports are held to the same.
#[tokio::test]
async fn a_local_port_answers_before_it_closes() {
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
