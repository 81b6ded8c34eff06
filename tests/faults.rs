//! Every fault of the catalogue, observed on the network by clients that share no code with the SDK.

use std::time::{Duration, Instant};

use ezlo_mock_cloud::MockCloud;
use ezlo_mock_cloud::faults::{CATALOGUE, FaultKind, FaultSpec, Trigger};
use ezlo_testkit::{Answer, Came, RawSocket, Socket, TEXT, address, frame, http as ask, within};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{HUB, account, demo, http, plain, registered, started};

async fn cloud() -> MockCloud {
    started(MockCloud::builder()).await
}

mod reach;
mod wire;

const LOCATOR: &str = "GET /locator/locator/locator";

async fn locate(cloud: &MockCloud) -> Answer {
    ask(http(cloud), LOCATOR, &[], b"").await
}

/// Sends a request on a new connection and returns the bytes received and the way in which the connection ended.
async fn raw(cloud: &MockCloud) -> (Vec<u8>, std::io::Result<()>) {
    let mut stream = TcpStream::connect(http(cloud)).await.unwrap();
    let request = format!("{LOCATOR} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    if let Err(error) = stream.write_all(request.as_bytes()).await {
        return (Vec::new(), Err(error));
    }
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        match within(stream.read(&mut buffer)).await {
            Ok(0) => return (bytes, Ok(())),
            Ok(read) => bytes.extend_from_slice(&buffer[..read]),
            Err(error) => return (bytes, Err(error)),
        }
    }
}

#[tokio::test]
async fn connection_faults_reset_fragment_and_stall() {
    let cloud = cloud().await;
    cloud.add_fault(FaultSpec::new(FaultKind::ResetOnAccept).when(Trigger::First(1))).unwrap();
    let (bytes, end) = raw(&cloud).await;
    assert!(bytes.is_empty() && end.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset));
    assert!(raw(&cloud).await.1.is_ok(), "the second connection is reset");
    cloud.remove_fault(None);
    cloud.add_fault(FaultSpec::new(FaultKind::ResetAfter { bytes: 40 }).when(Trigger::First(1))).unwrap();
    let (bytes, end) = raw(&cloud).await;
    assert!(bytes.len() <= 40 && end.is_err(), "{} bytes, {end:?}", bytes.len());
    cloud.remove_fault(None);
    cloud.add_fault(FaultSpec::new(FaultKind::FragmentWrites { bytes: 1 })).unwrap();
    let whole = raw(&cloud).await.0;
    assert!(
        String::from_utf8(whole).unwrap().starts_with("HTTP/1.1 200 OK\r\n"),
        "fragments do not add up to the response"
    );
    cloud.remove_fault(None);
    cloud.add_fault(FaultSpec::new(FaultKind::Unresponsive)).unwrap();
    let mut stream = TcpStream::connect(http(&cloud)).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let nothing = tokio::time::timeout(Duration::from_millis(200), stream.read(&mut [0; 1])).await;
    assert!(nothing.is_err(), "the connection is not silent: {nothing:?}");
    let control = ask(address(&cloud.ready().control), "GET /faults", &[], b"").await;
    assert_eq!(control.json()[0]["fired"], 1, "the fault affects the control API or did not fire once");
}

#[tokio::test]
async fn request_faults_change_the_response() {
    let cloud = cloud().await;
    let with = async |kind: FaultKind| {
        cloud.remove_fault(None);
        cloud.add_fault(FaultSpec::new(kind).path("/locator")).unwrap();
        let began = Instant::now();
        (raw(&cloud).await.0, began.elapsed())
    };
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let (whole, _) = with(FaultKind::SlowAnswer { millis: 0 }).await;
    let status = text(with(FaultKind::Status { status: 503, retry_after: Some(7) }).await.0);
    assert!(status.starts_with("HTTP/1.1 503 ") && status.contains("\r\nretry-after: 7\r\n"), "{status}");
    assert!(status.ends_with("ERROR:Service Unavailable"), "the body is not in the vendor's format: {status}");
    let (half, _) = with(FaultKind::TruncatedBody).await;
    let length = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let announced = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        (announced.parse::<usize>().unwrap(), body.len())
    };
    let (announced, received) = length(&half);
    assert!(
        length(&whole) == (announced, announced) && received < announced,
        "{announced} bytes were announced and {received} received"
    );
    assert!(text(with(FaultKind::HtmlPage).await.0).contains("content-type: text/html\r\n"));
    let portal = text(with(FaultKind::CaptivePortal).await.0);
    assert!(portal.starts_with("HTTP/1.1 302 ") && portal.contains("\r\nlocation: http://login"), "{portal}");
    let empty = text(with(FaultKind::EmptyAnswer).await.0);
    assert!(empty.starts_with("HTTP/1.1 200 ") && empty.ends_with("\r\n\r\n"), "{empty}");
    let (_, time) = with(FaultKind::SlowAnswer { millis: 150 }).await;
    assert!(time >= Duration::from_millis(150));
    assert_eq!(ask(http(&cloud), "GET /info/session/token", &[], b"").await.status, 401, "another path is affected");
}

#[tokio::test]
async fn websocket_faults_refuse_close_and_abort() {
    let cloud = cloud().await;
    cloud.add_fault(FaultSpec::new(FaultKind::UpgradeRefused { status: 429 }).when(Trigger::First(1))).unwrap();
    let upgrade = [
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    assert_eq!(ask(http(&cloud), "GET /", &upgrade, b"").await.status, 429);
    let mut socket = registered(&cloud).await;
    cloud.add_fault(FaultSpec::new(FaultKind::Close { code: 4000 }).when(Trigger::First(1))).unwrap();
    socket.text(call("hub.info.get")).await;
    assert!(matches!(socket.next().await, Came::Closed(4000)));
    let mut socket = registered(&cloud).await;
    cloud.add_fault(FaultSpec::new(FaultKind::Abort).when(Trigger::First(1))).unwrap();
    socket.text(call("hub.info.get")).await;
    assert!(matches!(socket.next().await, Came::Gone));
}

fn call(method: &str) -> String {
    json!({"id": method, "method": method, "params": {}}).to_string()
}

/// Sends two calls under a fault and returns the ids of the messages received.
async fn received_ids(cloud: &MockCloud, socket: &mut Socket, fault: FaultSpec) -> Vec<String> {
    cloud.remove_fault(None);
    cloud.add_fault(fault).unwrap();
    for method in ["hub.info.get", "hub.room.list"] {
        socket.text(call(method)).await;
    }
    // The reply to a last call marks the end: all other messages are sent before it.
    let mut ids = Vec::new();
    socket.text(call("hub.modes.current.get")).await;
    loop {
        let name = match socket.next().await {
            Came::Json(frame) => frame["id"].as_str().unwrap_or("garbage").to_owned(),
            Came::Binary(_) => "binary".to_owned(),
            other => panic!("{other:?}"),
        };
        if name == "hub.modes.current.get" {
            return ids;
        }
        ids.push(name);
    }
}

#[tokio::test]
async fn message_faults_drop_repeat_reorder_and_delay() {
    let cloud = cloud().await;
    let mut socket = registered(&cloud).await;
    let of = |kind: FaultKind| FaultSpec::new(kind).method("hub.info.get");
    let (info, rooms) = ("hub.info.get", "hub.room.list");
    let mut received_ids = async |fault: FaultSpec| received_ids(&cloud, &mut socket, fault).await;
    assert_eq!(received_ids(of(FaultKind::DropMessage)).await, [rooms]);
    assert_eq!(received_ids(of(FaultKind::DuplicateMessage)).await, [info, info, rooms]);
    assert_eq!(received_ids(of(FaultKind::ReorderMessage)).await, [rooms, info]);
    assert_eq!(received_ids(of(FaultKind::UnsolicitedReply)).await, ["unknown-call", info, rooms]);
    assert_eq!(received_ids(of(FaultKind::GarbageMessage)).await, ["garbage", info, rooms]);
    assert_eq!(received_ids(of(FaultKind::BinaryMessage)).await, ["binary", rooms]);
    assert_eq!(received_ids(of(FaultKind::DropReply)).await, [rooms]);
    assert_eq!(
        received_ids(of(FaultKind::DropMessage).hub("90000002")).await,
        [info, rooms],
        "the fault of another hub acts"
    );
    assert_eq!(received_ids(of(FaultKind::UnknownBroadcast)).await, ["ui_broadcast", info, rooms]);
    assert_eq!(received_ids(of(FaultKind::Fragments)).await, [info, rooms], "the reassembled message differs");
    assert_eq!(received_ids(of(FaultKind::PingFlood { count: 100 })).await, [info, rooms]);
    assert_eq!(received_ids(of(FaultKind::BroadcastStorm { count: 4 })).await, [info, info, info, info, info, rooms]);
    let began = Instant::now();
    assert_eq!(received_ids(of(FaultKind::LateMessage { millis: 150 })).await, [info, rooms]);
    assert!(began.elapsed() >= Duration::from_millis(150));
    cloud.remove_fault(None);
    let refusal = FaultKind::RpcError { code: -32500, data: "ezlo.adapter.busy.zwave".into() };
    cloud.add_fault(of(refusal)).unwrap();
    let mut socket = registered(&cloud).await;
    let refused = socket.ask(call(info)).await;
    assert_eq!((&refused["error"]["data"], &refused["result"]), (&json!("ezlo.adapter.busy.zwave"), &json!({})));
}

#[tokio::test]
async fn sdk_recovers_from_transient_faults() {
    let cloud = cloud().await;
    cloud
        .add_fault(FaultSpec::new(FaultKind::Status { status: 503, retry_after: None }).when(Trigger::First(2)))
        .unwrap();
    let account = within(ezlo::Account::log_in(plain(&cloud), &demo())).await.unwrap();
    assert_eq!(cloud.faults()[0].fired, 2);
    cloud.add_fault(FaultSpec::new(FaultKind::ResetOnAccept).when(Trigger::Every(2))).unwrap();
    assert_eq!(within(account.users()).await.unwrap().len(), 1);
    let hub = within(account.connect(&HUB.parse().unwrap())).await.unwrap();
    cloud.add_fault(FaultSpec::new(FaultKind::Abort).method("hub.room.list").when(Trigger::First(1))).unwrap();
    assert!(!within(hub.rooms()).await.unwrap().is_empty(), "the read is not repeated on the next connection");
    // The SDK works while each of these faults is active for all messages.
    for kind in [
        FaultKind::GarbageMessage,
        FaultKind::UnsolicitedReply,
        FaultKind::DuplicateMessage,
        FaultKind::UnknownBroadcast,
        FaultKind::Fragments,
        FaultKind::BinaryMessage,
        FaultKind::UnknownMember,
        FaultKind::PingFlood { count: 20 },
        FaultKind::BroadcastStorm { count: 3 },
        FaultKind::Oversize { bytes: 100_000 },
        FaultKind::LateMessage { millis: 5 },
    ] {
        cloud.remove_fault(None);
        cloud.add_fault(FaultSpec::new(kind.clone())).unwrap();
        let hub = within(account.connect(&HUB.parse().unwrap())).await.unwrap();
        assert!(!within(hub.scenes()).await.unwrap().is_empty(), "{kind:?}");
        let lamp = within(hub.device("Ceiling light")).await.unwrap().item("switch").unwrap();
        for on in [true, false] {
            let set = within(lamp.set(on).send_and_confirm()).await.unwrap_or_else(|error| panic!("{kind:?}: {error}"));
            assert_eq!(set.value.get(), Some(&json!(on)), "{kind:?}");
        }
    }
}

#[tokio::test]
async fn control_api_adds_lists_and_removes_faults() {
    let cloud = cloud().await;
    let control = address(&cloud.ready().control);
    let listed = ask(control, "GET /faults/catalogue", &[], b"").await.json();
    // The catalogue also lists the ten set-up faults.
    let own = listed.as_array().unwrap().iter().filter(|entry| entry["call"].is_null()).count();
    assert_eq!((own, listed.as_array().unwrap().len()), (CATALOGUE.len(), CATALOGUE.len() + 10));
    let fault = br#"{"fault": "status", "status": 418, "when": {"nth": 2}, "match": {"path": "/locator"}}"#;
    let id = ask(control, "POST /faults", &[], fault).await.json()["id"].as_u64().unwrap();
    assert_eq!(
        (locate(&cloud).await.status, locate(&cloud).await.status, locate(&cloud).await.status),
        (200, 418, 200)
    );
    let active = ask(control, "GET /faults", &[], b"").await.json();
    assert_eq!((&active[0]["matched"], &active[0]["fired"]), (&json!(3), &json!(1)));
    for bad in [&br#"{"fault": "status", "status": 99}"#[..], br#"{"fault": "x"}"#, b"{"] {
        assert_eq!(ask(control, "POST /faults", &[], bad).await.status, 400);
    }
    assert_eq!(ask(control, &format!("DELETE /faults/{id}"), &[], b"").await.status, 200);
    assert_eq!(ask(control, &format!("DELETE /faults/{id}"), &[], b"").await.status, 404);
    assert_eq!(ask(control, "DELETE /faults", &[], b"").await.json()["removed"], 0);
    let account = account(&cloud).await;
    assert_eq!(within(account.hubs()).await.unwrap().len(), 3);
}

/// A delayed message is sent even if no other message follows, and when the fault is removed.
#[tokio::test]
async fn reordered_message_is_never_lost() {
    let cloud = cloud().await;
    let mut socket = registered(&cloud).await;
    let late = FaultSpec::new(FaultKind::ReorderMessage).when(Trigger::First(1));
    cloud.add_fault(late.clone()).unwrap();
    assert_eq!(
        within(socket.ask(call("hub.info.get"))).await["method"],
        "hub.info.get",
        "the message waits for a successor"
    );
    cloud.add_fault(late).unwrap();
    socket.text(call("hub.info.get")).await;
    let journal = address(&cloud.ready().control);
    let hit = json!({"match": {"kind": "fault", "name": "reorder_message", "since": 0}, "within": 5}).to_string();
    assert_eq!(ask(journal, "POST /expectations", &[], hit.as_bytes()).await.status, 200);
    cloud.remove_fault(None);
    socket.text(call("hub.modes.get")).await;
    let mut received = [within(socket.json()).await["method"].clone(), within(socket.json()).await["method"].clone()];
    received.sort_by_key(ToString::to_string);
    assert_eq!(received, ["hub.info.get", "hub.modes.get"]);
}

#[tokio::test]
async fn faults_apply_to_upgrades_and_local_calls() {
    let cloud = cloud().await;
    let mut fault = FaultSpec::new(FaultKind::Status { status: 502, retry_after: None });
    fault.matcher.host = Some("localhost".into());
    cloud.add_fault(fault).unwrap();
    let refused = RawSocket::asked(http(&cloud), "LOCALHOST:1").await.head().await;
    assert!(refused.starts_with("HTTP/1.1 502 "), "{refused}");
    cloud.remove_fault(None);

    let mut relay = registered(&cloud).await;
    let switch = json!({"id": 5, "method": "hub.offline.insecure_access.enabled.set", "params": {"enabled": true}});
    assert_eq!(relay.ask(switch.to_string()).await["error"], json!(null));
    let keys = within(account(&cloud).await.local_credentials(&HUB.parse().unwrap())).await.unwrap();
    let keys = [("user", keys.user.as_str()), ("token", keys.token.expose())];
    let lan = address(cloud.ready().hubs[0].lan.as_deref().unwrap());
    let refuse = FaultKind::RpcError { code: -32500, data: "ezlo.node.unreachable".into() };
    cloud.add_fault(FaultSpec::new(refuse).hub(HUB).method("hub.modes.get")).unwrap();
    let answer = ask(lan, "GET /v1/method/hub.modes.get", &keys, b"").await;
    assert_eq!((answer.status, &answer.json()["error"]["data"]), (500, &json!("ezlo.node.unreachable")));
    // An endless body ends after its first part.
    cloud.add_fault(FaultSpec::new(FaultKind::TruncatedBody).path("/v1/broadcasts")).unwrap();
    let mut stream = TcpStream::connect(lan).await.unwrap();
    let listen =
        format!("GET /v1/broadcasts HTTP/1.1\r\nhost: x\r\nuser: {}\r\ntoken: {}\r\n\r\n", keys[0].1, keys[1].1);
    stream.write_all(listen.as_bytes()).await.unwrap();
    let mut head = [0; 13];
    within(stream.read_exact(&mut head)).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 200 ");
    cloud.hub(HUB).unwrap().report("Hall motion", "motion", json!(true)).unwrap();
    let mut text = Vec::new();
    let end = within(stream.read_to_end(&mut text)).await;
    let text = String::from_utf8_lossy(&text);
    assert_eq!(text.matches("msg_subclass").count(), 1, "{end:?}: {text}");
}

/// A fault that never fires does not change the random values of other components.
#[tokio::test]
async fn fault_with_chance_0_changes_no_random_value() {
    let tokens = async |faulty: bool| {
        let cloud = started(MockCloud::builder().clock(ezlo_mock_cloud::Clock::frozen(1_700_000_000))).await;
        if faulty {
            cloud.add_fault(FaultSpec::new(FaultKind::EmptyAnswer).when(Trigger::Chance(0.0))).unwrap();
            cloud.add_fault(FaultSpec::new(FaultKind::Abort).when(Trigger::Chance(0.0))).unwrap();
        }
        let account = account(&cloud).await;
        let session = within(account.session()).await.unwrap();
        let token = within(account.login().client().exchange(&session)).await.unwrap();
        let mut socket = registered(&cloud).await;
        (token.expose().to_owned(), socket.ask(call("hub.info.get")).await)
    };
    assert_eq!(tokens(false).await, tokens(true).await);
}

/// Faults that change the content of messages or their frames.
#[tokio::test]
async fn message_faults_change_content_and_frames() {
    let cloud = cloud().await;
    let list = |method: &str| FaultSpec::new(FaultKind::NullLists).method(method);
    let mut socket = registered(&cloud).await;
    cloud.add_fault(list("hub.devices.list")).unwrap();
    assert_eq!(socket.ask(call("hub.devices.list")).await["result"]["devices"], json!(null));
    cloud.remove_fault(None);
    cloud.add_fault(FaultSpec::new(FaultKind::UnknownMember).method("hub.devices.list")).unwrap();
    let devices = socket.ask(call("hub.devices.list")).await["result"].clone();
    assert!(devices["unknownMember"].is_object() && devices["devices"][0]["unknownMember"].is_object());
    cloud.remove_fault(None);
    cloud.add_fault(FaultSpec::new(FaultKind::Oversize { bytes: 1 << 20 }).method("hub.info.get")).unwrap();
    assert_eq!(
        socket.ask(call("hub.info.get")).await["method"],
        "hub.info.get",
        "the oversized message is not the reply"
    );
    cloud.remove_fault(None);
    cloud.add_fault(FaultSpec::new(FaultKind::InvalidUtf8).method("hub.info.get")).unwrap();
    socket.text(call("hub.info.get")).await;
    assert!(matches!(socket.next().await, Came::Gone), "the client accepts invalid UTF-8");

    // A raw connection shows the frames.
    let frames = async |kind: FaultKind| {
        cloud.remove_fault(None);
        cloud.add_fault(FaultSpec::new(kind).method("hub.info.get")).unwrap();
        let mut socket = RawSocket::connect(http(&cloud), "x").await;
        socket.send(&frame(TEXT, call("hub.info.get").as_bytes())).await;
        let mut codes = Vec::new();
        while !matches!(codes.last(), Some(0x80 | 0x81)) {
            codes.push(socket.next().await.unwrap().0);
        }
        codes
    };
    assert_eq!(
        frames(FaultKind::Fragments).await,
        [0x01, 0x00, 0x80],
        "the frames are not a text, a continuation and a final frame"
    );
    assert_eq!(frames(FaultKind::PingFlood { count: 3 }).await, [0x89, 0x89, 0x89, 0x81]);
}

#[tokio::test]
async fn latency_and_bandwidth_faults_slow_a_connection() {
    let cloud = cloud().await;
    let time = async || {
        let began = Instant::now();
        let (bytes, end) = raw(&cloud).await;
        assert!(end.is_ok() && bytes.starts_with(b"HTTP/1.1 200 "));
        (began.elapsed(), bytes.len())
    };
    cloud.add_fault(FaultSpec::new(FaultKind::Latency { millis: 120, jitter: 0, deviation: 0 })).unwrap();
    assert!(time().await.0 >= Duration::from_millis(120));
    cloud.remove_fault(None);
    let (_, length) = time().await;
    // The whole response takes a quarter of a second.
    cloud.add_fault(FaultSpec::new(FaultKind::Bandwidth { bytes_per_second: length as u64 * 4 })).unwrap();
    assert!(time().await.0 >= Duration::from_millis(240));
}
