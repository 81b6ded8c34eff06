//! The control API over plain HTTP.

use std::time::Duration;

use ezlo_mock_cloud::journal::{EntryKind, Filter};
use ezlo_mock_cloud::{Clock, Config, MockCloud, SigningKey};
use ezlo_testkit::{Answer, RawSocket, address, frame, http as ask, within};
use serde_json::{Value, json};

use crate::support::{HUB, START, frozen, http, registered, started};

async fn post(cloud: &MockCloud, call: &str, body: &Value) -> (u16, Value) {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let answer = ask(address(&cloud.ready().control), &format!("POST {call}"), &[], body.as_bytes()).await;
    (answer.status, answer.json())
}

async fn get(cloud: &MockCloud, path: &str) -> Answer {
    ask(address(&cloud.ready().control), &format!("GET {path}"), &[], b"").await
}

#[tokio::test]
async fn expectation_requires_the_exact_count() {
    let cloud = frozen().await;
    for _ in 0..2 {
        ask(http(&cloud), "GET /locator/locator/locator", &[], b"").await;
    }
    let expect = async |body: Value| post(&cloud, "/expectations", &body).await;
    let located = json!({"kind": "request", "path": "/locator", "method": "GET"});
    for (times, status) in [(0, 417), (1, 417), (2, 200), (3, 417)] {
        let (returned, reply) = expect(json!({"match": located, "times": times})).await;
        assert_eq!(returned, status, "{times}: {reply}");
    }
    let (_, reply) = expect(json!({"match": located, "times": 2})).await;
    assert_eq!(reply["entries"].as_array().unwrap().len(), 2);
    let (_, reply) = expect(json!({"match": located, "times": 1})).await;
    assert!(reply["error"].as_str().unwrap().contains("more than 1 entries matched"), "{reply}");
    let listed = reply["similar"].as_array().unwrap().len();
    assert!(listed >= 2, "{reply}");
    let later = json!({"kind": "request", "path": "/locator", "since": 1_000_000});
    assert_eq!(
        expect(json!({"match": later, "times": 0, "within": 0.01})).await.0,
        200,
        "`since` does not exclude earlier entries"
    );
    for (name, value, found) in [("host", "127.0.0.1", 2), ("method", "PUT", 0), ("hub", HUB, 0), ("path", "/loc", 2)] {
        let lines = get(&cloud, &format!("/journal?kind=request&{name}={value}")).await.body;
        assert_eq!(lines.lines().count(), found, "{name}={value}: {lines}");
    }
}

#[tokio::test]
async fn control_calls_are_journalled_as_causes() {
    let cloud = frozen().await;
    let mut socket = registered(&cloud).await;
    let (status, _) = post(&cloud, &format!("/hubs/{HUB}/trip"), &json!({"device": "Front door"})).await;
    assert_eq!(status, 200);
    assert_eq!(within(socket.json()).await["msg_subclass"], "hub.item.updated");
    let calls = cloud.journal(&Filter::kind(EntryKind::Control).name(format!("/hubs/{HUB}/trip")));
    let led_to = cloud.journal(&Filter { cause: Some(calls[0].seq), ..Filter::default() });
    let kinds: Vec<_> = led_to.iter().map(|entry| (entry.kind, entry.name.as_str())).collect();
    let changed = format!("hubs/{HUB}");
    assert_eq!(
        kinds,
        [
            (EntryKind::Change, changed.as_str()),
            (EntryKind::MessageOut, "hub.item.updated"),
            (EntryKind::MessageOut, "hub.item.updated")
        ]
    );
    assert_eq!(led_to[0].content["broadcasts"], json!(["hub.item.updated", "hub.item.updated"]));
    let about = get(&cloud, &format!("/journal?hub={HUB}")).await.body;
    let about: Vec<&str> =
        about.lines().filter_map(|line| line.split("\"kind\":\"").nth(1)?.split('"').next()).collect();
    assert!(about.contains(&"change") && about.contains(&"control"), "{about:?}");
    let (status, _) = post(&cloud, "/users/demo.user/password", &json!({"password": "another"})).await;
    assert_eq!(status, 200);
    let changes: Vec<_> = cloud.journal(&Filter::kind(EntryKind::Change)).into_iter().map(|entry| entry.name).collect();
    assert_eq!(changes.last().map(String::as_str), Some("users/demo.user"));
    assert_eq!(post(&cloud, "/users/no.such.user/password", &json!({"password": "another"})).await.0, 404);
    assert_eq!(
        cloud.journal(&Filter::kind(EntryKind::Change)).len(),
        changes.len(),
        "a refused password change is journalled as a change"
    );
    let control_calls = cloud.journal(&Filter::kind(EntryKind::Control)).len();
    get(&cloud, "/hubs").await;
    assert_eq!(
        cloud.journal(&Filter::kind(EntryKind::Control)).len(),
        control_calls,
        "a read is journalled as a control call"
    );

    let worlds = get(&cloud, "/worlds").await.json();
    let password = |name: &str| {
        let users = worlds["worlds"][0]["ready"]["users"].as_array().unwrap().iter();
        users.clone().find(|user| user["username"] == name).unwrap()["password"].clone()
    };
    assert_eq!((password("demo.user"), password("test4521").is_string()), (Value::Null, true));
}

#[tokio::test]
async fn journal_records_which_side_closed_the_connection() {
    let cloud = frozen().await;
    let mut broken = RawSocket::connect(http(&cloud), "relay").await;
    broken.send(&frame(0x81, b"\xff\xfe")).await;
    let close = within(cloud.expect_within(&Filter::kind(EntryKind::Close), Duration::from_secs(20))).await.unwrap();
    assert_eq!((close.status, close.name.as_str()), (Some(1007), "invalid UTF-8"));
    let mut polite = RawSocket::connect(http(&cloud), "relay").await;
    polite.send(&frame(0x88, &4321_u16.to_be_bytes())).await;
    let closed =
        within(cloud.expect_within(&Filter::kind(EntryKind::PeerClosed), Duration::from_secs(20))).await.unwrap();
    assert_eq!(closed.status, Some(4321));
    assert!(!closed.connection.is_empty() && closed.connection != close.connection);
}

#[tokio::test]
async fn invalid_bodies_are_refused() {
    let cloud = frozen().await;
    for (call, body, expected) in [
        ("/clock", "[1]", "not a JSON object"),
        ("/clock/advance", "[5]", "not a JSON object"),
        ("/clock/advance", "", "empty"),
        ("/worlds/0/fork", "garbage", "takes no body"),
        ("/worlds/0/reset", "{\"x\": 1}", "takes no body"),
        ("/worlds/0/snapshot", "[\"a\"]", "not a JSON object"),
        ("/worlds/0/snapshot", "{\"name\": \"a/b\"}", "without /"),
        ("/users/demo.user/password", "[\"another\"]", "password"),
        ("/faults", "[]", "not a JSON object"),
    ] {
        let answer = ask(address(&cloud.ready().control), &format!("POST {call}"), &[], body.as_bytes()).await;
        let text = answer.json()["error"].as_str().unwrap_or_default().to_owned();
        assert!(answer.status == 400 && text.contains(expected), "{call} {body}: {} {}", answer.status, answer.body);
    }
    for id in ["+0", "00", "x"] {
        assert_eq!(post(&cloud, &format!("/worlds/{id}/reset"), &Value::Null).await.0, 404, "{id}");
    }
    let two = "GET /healthz HTTP/1.1\r\nhost: localhost\r\nhost: evil.example\r\nconnection: close\r\n\r\n";
    let answer = ezlo_testkit::raw(address(&cloud.ready().control), two.as_bytes()).await;
    assert!(answer.starts_with(b"HTTP/1.1 400 "), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test]
async fn deleted_snapshot_cannot_be_restored() {
    let cloud = frozen().await;
    let control = address(&cloud.ready().control);
    assert_eq!(post(&cloud, "/worlds/0/snapshot", &json!({"name": "a b"})).await.0, 200);
    assert_eq!(ask(control, "DELETE /states/a%20b", &[], b"").await.status, 200);
    assert_eq!(ask(control, "DELETE /states/a%20b", &[], b"").await.status, 404);
    assert_eq!(post(&cloud, "/worlds/0/restore", &json!({"name": "a b"})).await.0, 404);
}

/// A reader that continues from a number is informed about entries that were dropped since.
#[tokio::test]
async fn journal_reports_dropped_entries() {
    let cloud = frozen().await;
    let mut socket = registered(&cloud).await;
    let call = json!({"id": 1, "method": "x".repeat(60_000), "params": {}}).to_string();
    for _ in 0..60 {
        socket.ask(call.clone()).await;
    }
    let head = async |query: &str| get(&cloud, &format!("/journal?limit=1{query}")).await.head.to_lowercase();
    assert!(head("&since=1").await.contains("x-dropped: "));
    assert!(!head("").await.contains("x-dropped"), "a read without `since` reports dropped entries");
    assert_eq!(get(&cloud, "/journal?follow=1&limit=1").await.status, 400);
    assert_eq!(get(&cloud, &format!("/journal?since={}", u64::MAX)).await.status, 200);
}

/// Setting the speed interrupts a running advance of the clock.
#[tokio::test]
async fn clock_advance_is_interrupted_by_a_speed_change() {
    let mut config = Config { world: "villa".into(), ..Config::default() };
    config.assumptions.simulate_behaviours = true;
    let cloud = started(MockCloud::builder().config(config).clock(Clock::frozen(START))).await;
    let ten_years = json!({"seconds": 315_360_000});
    let interrupt = async {
        let running = Filter { since: 0, ..Filter::kind(EntryKind::Change) };
        within(cloud.expect_within(&running, Duration::from_secs(20))).await.unwrap();
        post(&cloud, "/clock", &json!({"speed": 0})).await
    };
    let ((status, reply), (set, _)) = tokio::join!(post(&cloud, "/clock/advance", &ten_years), interrupt);
    assert_eq!((status, set), (409, 200), "{reply}");
    let now = cloud.clock().now_ms();
    assert!(now < (START + 315_360_000) * 1000);
    assert_eq!(post(&cloud, "/clock/advance", &json!({"seconds": 0})).await.0, 200, "the next advance is refused");
    assert_eq!(cloud.clock().now_ms(), now, "the clock advances although its speed is 0");
}

#[tokio::test]
async fn metrics_count_faults_after_their_removal() {
    let cloud = frozen().await;
    post(&cloud, "/faults", &json!({"fault": "empty_answer", "when": {"first": 1}})).await;
    ask(http(&cloud), "GET /locator/locator/locator", &[], b"").await;
    ask(address(&cloud.ready().control), "DELETE /faults", &[], b"").await;
    let metrics = get(&cloud, "/metrics").await.body;
    assert!(metrics.contains("mock_cloud_fault_fired_total{fault=\"empty_answer\"} 1"), "{metrics}");
}

/// The report covers unmatched requests and unknown fields of all listeners.
#[tokio::test]
async fn report_covers_every_listener() {
    let cloud = frozen().await;
    let hub = cloud.ready().hubs.iter().find(|hub| hub.ap.is_some()).unwrap();
    let ap = address(hub.ap.as_ref().unwrap());
    assert_eq!(ask(ap, "GET /wifi/netwoks", &[], b"").await.status, 404);
    let join = br#"{"ssid":"Home","passkey":"12345678","psk":"x"}"#;
    assert_eq!(ask(ap, "POST /wifi/network/connect", &[], join).await.status, 200);
    ask(http(&cloud), "POST /v1/request", &[], br#"{"call":"access_keys_snc"}"#).await;
    let report = cloud.report();
    let nearest: Vec<_> = report["unmatched"].as_array().unwrap().iter().map(|entry| &entry["nearest"][0]).collect();
    assert_eq!(nearest, ["GET /wifi/networks", "access_keys_sync"], "{report}");
    assert_eq!(report["unknown_fields"][0]["member"], "psk");
}

#[tokio::test]
async fn an_exposed_control_api_requires_its_token() {
    let config = Config { control_bind: "0.0.0.0".parse().unwrap(), ..Config::default() };
    let cloud = started(MockCloud::builder().config(config)).await;
    let token = serde_json::to_value(cloud.ready()).unwrap()["control_token"].as_str().unwrap().to_owned();
    assert!(token.len() >= 32 && !format!("{:?}", cloud.ready()).contains(&token));
    let port = address(&cloud.ready().control).port();
    let control = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    let with = async |authorization: &str| ask(control, "GET /clock", &[("authorization", authorization)], b"").await;
    let refused = ask(control, "GET /clock", &[], b"").await;
    assert_eq!(refused.status, 401);
    assert!(refused.head.to_ascii_lowercase().contains("www-authenticate: bearer"), "{}", refused.head);
    assert_eq!(with("Bearer wrong").await.status, 401);
    assert_eq!(with(&token).await.status, 401, "the scheme is required");
    assert_eq!(with(&format!("Bearer {token}")).await.status, 200);
    assert_eq!(ask(control, "GET /healthz", &[], b"").await.status, 200, "the check of the health needs no token");
    // The other ports stay on loopback, and their addresses can be used as they are printed.
    assert!(cloud.ready().http.starts_with("http://127.0.0.1:"), "{}", cloud.ready().http);
    assert!(!cloud.ready().control.contains("0.0.0.0"), "{}", cloud.ready().control);
}

#[tokio::test]
async fn a_control_token_is_required_on_loopback_too() {
    let mut config = Config { control_token: Some("0123456789abcdef".into()), ..Config::default() };
    let cloud = started(MockCloud::builder().config(config.clone())).await;
    assert_eq!(get(&cloud, "/clock").await.status, 401);
    config.control_token = Some("short".into());
    let refused = MockCloud::builder().config(config).start().await.unwrap_err();
    assert!(refused.to_string().contains("16 characters"), "{refused}");
    let plain = frozen().await;
    assert_eq!(serde_json::to_value(plain.ready()).unwrap().get("control_token"), None);
}

#[tokio::test]
async fn the_signing_key_is_random_without_a_seed() {
    let start = async |signing_key: SigningKey| {
        let config = Config { signing_key: Some(signing_key), ..Config::default() };
        started(MockCloud::builder().config(config).clock(Clock::frozen(START))).await
    };
    // The status of a request to one cloud with the Identity of another.
    let accepted = async |one: &MockCloud, other: &MockCloud| {
        let pair = crate::support::pair(one).await;
        let headers = [("mmsauth", pair.identity.expose()), ("mmsauthsig", pair.signature.expose())];
        ask(http(other), "GET /info/session/token", &headers, b"").await.status
    };
    let (one, same) = (start(SigningKey::Seed).await, start(SigningKey::Seed).await);
    assert_eq!(accepted(&one, &same).await, 200, "the key of a seed is reproducible");
    let (first, second) = (start(SigningKey::System).await, start(SigningKey::System).await);
    assert_eq!(accepted(&first, &first).await, 200);
    assert_eq!((accepted(&first, &second).await, accepted(&one, &first).await), (401, 401));
    assert_eq!(accepted(&first, &within(first.fork()).await.unwrap()).await, 200, "a fork has the same key");
}

#[tokio::test]
async fn devices_of_a_hub_are_listed_with_their_items() {
    let cloud = frozen().await;
    let devices = get(&cloud, &format!("/hubs/{HUB}/devices")).await.json();
    let lock = devices.as_array().unwrap().iter().find(|device| device["name"] == "Front door lock").unwrap();
    assert!(!lock["room"].as_str().unwrap().is_empty() && lock["reachable"] == true, "{lock}");
    let item = |name: &str| lock["items"].as_array().unwrap().iter().find(|item| item["name"] == name).unwrap();
    assert_eq!(item("door_lock")["value_type"], "token");
    assert_eq!(item("user_codes")["value"], "***", "codes are secrets");
}

#[tokio::test]
async fn a_cleared_journal_hides_earlier_entries() {
    let cloud = frozen().await;
    ask(http(&cloud), "GET /locator/locator/locator", &[], b"").await;
    assert!(!get(&cloud, "/journal?kind=request").await.body.is_empty());
    let cleared = ask(address(&cloud.ready().control), "DELETE /journal", &[], b"").await.json();
    assert!(cleared["since"].as_u64().unwrap() > 0, "{cleared}");
    assert_eq!(get(&cloud, "/journal?kind=request").await.body, "");
    assert_eq!(cloud.journal(&Filter::kind(EntryKind::Request)).len(), 0);
    ask(http(&cloud), "GET /locator/locator/locator", &[], b"").await;
    assert_eq!(cloud.journal(&Filter::kind(EntryKind::Request)).len(), 1);
    let (_, reset) = post(&cloud, "/worlds/0/reset", &Value::Null).await;
    assert!(reset["since"].as_u64() > cleared["since"].as_u64(), "{reset}");
}

#[tokio::test]
async fn expectations_match_parameters() {
    let cloud = frozen().await;
    let mut socket = registered(&cloud).await;
    let call = json!({"id": 7, "method": "hub.modes.switch", "params": {"modeId": "3"}});
    socket.ask(call.to_string()).await;
    for (params, times) in [(json!({"modeId": "3"}), 1), (json!({"modeId": "2"}), 0)] {
        let filter = json!({"params": params});
        let (status, reply) = post(&cloud, "/expectations", &json!({"match": filter, "times": times})).await;
        assert_eq!(status, 200, "{params}: {reply}");
    }
}

#[tokio::test]
async fn faults_that_can_never_match_are_refused_or_reported() {
    let cloud = frozen().await;
    let fault = |matcher: Value| json!({"fault": "drop_reply", "match": matcher});
    let (status, reply) = post(&cloud, "/faults", &fault(json!({"hub": "12345678"}))).await;
    assert_eq!((status, reply["error"].as_str().unwrap().contains("12345678")), (400, true), "{reply}");
    let (status, reply) = post(&cloud, "/faults", &fault(json!({"method": "hub.device.list"}))).await;
    let warning = reply["warning"].as_str().unwrap();
    assert_eq!((status, warning.contains("hub.devices.list")), (200, true), "{reply}");
    let (_, reply) = post(&cloud, "/faults", &fault(json!({"method": "hub.devices.list"}))).await;
    assert_eq!(reply.get("warning"), None);
    let report = get(&cloud, "/report").await.json();
    assert_eq!(report["unused_faults"].as_array().unwrap().len(), 2, "{report}");
}

#[tokio::test]
async fn a_refused_certificate_is_recorded_with_its_remedy() {
    let cloud = frozen().await;
    let stranger = frozen().await;
    let to = address(&cloud.ready().https);
    // The client trusts the authority of another cloud.
    let stream = tokio::net::TcpStream::connect(to).await.unwrap();
    let name = rustls_pki_types::ServerName::try_from("vera-us-oem-autha11.mios.com").unwrap();
    let refused = within(ezlo_testkit::connector(stranger.ca_pem()).connect(name, stream)).await;
    assert!(refused.is_err());
    let entry =
        within(cloud.expect_within(&Filter::kind(EntryKind::TlsFailed), Duration::from_secs(20))).await.unwrap();
    assert_eq!(entry.name, "vera-us-oem-autha11.mios.com");
    assert!(entry.content["remedy"].as_str().unwrap().contains("ca_pem"), "{entry:?}");
    let report = cloud.report();
    assert_eq!(report["refused_handshakes"][0]["times"], 1, "{report}");
}

#[tokio::test]
async fn unknown_methods_are_reported_before_a_login_and_of_controllers() {
    let cloud = frozen().await;
    let mut socket = ezlo_testkit::Socket::connect(http(&cloud)).await;
    assert_ne!(socket.ask(r#"{"id":1,"method":"registerr","params":{}}"#).await["error"], Value::Null);
    let register = json!({"method": "register", "id": 2, "params": {
        "serial": "700000001", "hubType": "h2.1", "mac_address": "AA:BB:CC:00:00:01"}});
    socket.ask(register.to_string()).await;
    socket.ask(r#"{"id":3,"method":"cloud.no.such.call","params":{}}"#).await;
    let report = cloud.report();
    let names: Vec<&str> =
        report["unmatched"].as_array().unwrap().iter().filter_map(|entry| entry["name"].as_str()).collect();
    assert!(names.contains(&"registerr") && names.contains(&"cloud.no.such.call"), "{report}");
}

#[tokio::test]
async fn an_unknown_path_is_refused_with_the_known_ones() {
    let cloud = frozen().await;
    for path in ["/", "/nothing"] {
        let refused = get(&cloud, path).await;
        let text = refused.json()["error"].as_str().unwrap().to_owned();
        assert!(refused.status == 404 && text.contains(&format!("path {path:?}; the paths are /healthz")), "{text}");
    }
}

/// A client that is generated from the OpenAPI document works. The client is `tests/python/control_client.py`.
#[cfg(feature = "python")]
#[test]
fn a_generated_client_uses_the_control_api() {
    let program = crate::seed::Program::start(&[]);
    let control = program.ready["control"].as_str().unwrap().to_owned();
    let text = crate::support::python("control_client.py", &[control]);
    assert!(text.contains("generated client: ok"), "{text}");
}
