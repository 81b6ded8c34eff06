//! The control API, as scripts in any language use it.

use std::time::Duration;

use ezlo_mock_cloud::journal::{EntryKind, Filter};
use ezlo_mock_cloud::{Clock, Config, MockCloud};
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
async fn so_often_and_not_more_often() {
    let cloud = frozen().await;
    for _ in 0..2 {
        ask(http(&cloud), "GET /locator/locator/locator", &[], b"").await;
    }
    let expect = async |wish: Value| post(&cloud, "/expectations", &wish).await;
    let located = json!({"kind": "request", "path": "/locator", "method": "GET"});
    for (times, status) in [(0, 417), (1, 417), (2, 200), (3, 417)] {
        let (answered, said) = expect(json!({"match": located, "times": times})).await;
        assert_eq!(answered, status, "{times}: {said}");
    }
    let (_, said) = expect(json!({"match": located, "times": 2})).await;
    assert_eq!(said["entries"].as_array().unwrap().len(), 2);
    let (_, said) = expect(json!({"match": located, "times": 1})).await;
    assert!(said["error"].as_str().unwrap().contains("more often"), "{said}");
    let last = said["came_instead"].as_array().unwrap().len();
    assert!(last >= 2, "{said}");
    let later = json!({"kind": "request", "path": "/locator", "since": 1_000_000});
    assert_eq!(expect(json!({"match": later, "times": 0, "within": 0.01})).await.0, 200, "never, from there on");
    for (name, value, found) in [("host", "127.0.0.1", 2), ("method", "PUT", 0), ("hub", HUB, 0), ("path", "/loc", 2)] {
        let lines = get(&cloud, &format!("/journal?kind=request&{name}={value}")).await.body;
        assert_eq!(lines.lines().count(), found, "{name}={value}: {lines}");
    }
}

#[tokio::test]
async fn what_is_done_by_it_is_what_leads_to_things() {
    let cloud = frozen().await;
    let mut socket = registered(&cloud).await;
    let (status, _) = post(&cloud, &format!("/hubs/{HUB}/trip"), &json!({"device": "Front door"})).await;
    assert_eq!(status, 200);
    assert_eq!(within(socket.json()).await["msg_subclass"], "hub.item.updated");
    let done = cloud.journal(&Filter::kind(EntryKind::Control).name(format!("/hubs/{HUB}/trip")));
    let led_to = cloud.journal(&Filter { cause: Some(done[0].seq), ..Filter::default() });
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
    assert_eq!(led_to[0].content["tells"], json!(["hub.item.updated", "hub.item.updated"]));
    let about = get(&cloud, &format!("/journal?hub={HUB}")).await.body;
    let about: Vec<&str> =
        about.lines().filter_map(|line| line.split("\"kind\":\"").nth(1)?.split('"').next()).collect();
    assert!(about.contains(&"change") && about.contains(&"control"), "{about:?}");
    let (status, _) = post(&cloud, "/users/demo.user/password", &json!({"password": "another"})).await;
    assert_eq!(status, 200);
    let told: Vec<_> = cloud.journal(&Filter::kind(EntryKind::Change)).into_iter().map(|entry| entry.name).collect();
    assert_eq!(told.last().map(String::as_str), Some("users/demo.user"));
    assert_eq!(post(&cloud, "/users/nobody/password", &json!({"password": "another"})).await.0, 404);
    assert_eq!(cloud.journal(&Filter::kind(EntryKind::Change)).len(), told.len(), "nobody changed");
    let looks = cloud.journal(&Filter::kind(EntryKind::Control)).len();
    get(&cloud, "/hubs").await;
    assert_eq!(cloud.journal(&Filter::kind(EntryKind::Control)).len(), looks, "looking is no deed");

    let worlds = get(&cloud, "/worlds").await.json();
    let password = |name: &str| {
        let users = worlds["worlds"][0]["ready"]["users"].as_array().unwrap().iter();
        users.clone().find(|user| user["username"] == name).unwrap()["password"].clone()
    };
    assert_eq!((password("demo.user"), password("test4521").is_string()), (Value::Null, true));
}

#[tokio::test]
async fn whoever_closes_is_in_the_journal() {
    let cloud = frozen().await;
    let mut broken = RawSocket::connect(http(&cloud), "relay").await;
    broken.send(&frame(0x81, b"\xff\xfe")).await;
    let close = within(cloud.expect_within(&Filter::kind(EntryKind::Close), Duration::from_secs(20))).await.unwrap();
    assert_eq!((close.status, close.name.as_str()), (Some(1007), "invalid UTF-8"));
    let mut polite = RawSocket::connect(http(&cloud), "relay").await;
    polite.send(&frame(0x88, &4321_u16.to_be_bytes())).await;
    let closed = within(cloud.expect_within(&Filter::kind(EntryKind::Closed), Duration::from_secs(20))).await.unwrap();
    assert_eq!(closed.status, Some(4321));
    assert!(!closed.connection.is_empty() && closed.connection != close.connection);
}

#[tokio::test]
async fn bodies_that_make_no_sense_do_nothing() {
    let cloud = frozen().await;
    for (call, body, said) in [
        ("/clock", "[1]", "no object"),
        ("/clock/advance", "[5]", "no object"),
        ("/clock/advance", "", "empty"),
        ("/worlds", "garbage", "takes no body"),
        ("/worlds/0/reset", "{\"x\": 1}", "takes no body"),
        ("/worlds/0/snapshot", "[\"a\"]", "no object"),
        ("/worlds/0/snapshot", "{\"name\": \"a/b\"}", "without /"),
        ("/users/demo.user/password", "[\"another\"]", "password"),
        ("/faults", "[]", "no object"),
    ] {
        let answer = ask(address(&cloud.ready().control), &format!("POST {call}"), &[], body.as_bytes()).await;
        let text = answer.json()["error"].as_str().unwrap_or_default().to_owned();
        assert!(answer.status == 400 && text.contains(said), "{call} {body}: {} {}", answer.status, answer.body);
    }
    for id in ["+0", "00", "x"] {
        assert_eq!(post(&cloud, &format!("/worlds/{id}/reset"), &Value::Null).await.0, 404, "{id}");
    }
    let two = "GET /healthz HTTP/1.1\r\nhost: localhost\r\nhost: evil.example\r\nconnection: close\r\n\r\n";
    let answer = ezlo_testkit::raw(address(&cloud.ready().control), two.as_bytes()).await;
    assert!(answer.starts_with(b"HTTP/1.1 400 "), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test]
async fn states_are_forgotten() {
    let cloud = frozen().await;
    let control = address(&cloud.ready().control);
    assert_eq!(post(&cloud, "/worlds/0/snapshot", &json!({"name": "a b"})).await.0, 200);
    assert_eq!(ask(control, "DELETE /states/a%20b", &[], b"").await.status, 200);
    assert_eq!(ask(control, "DELETE /states/a%20b", &[], b"").await.status, 404);
    assert_eq!(post(&cloud, "/worlds/0/restore", &json!({"name": "a b"})).await.0, 404);
}

/// Whoever reads on from a number hears of what was forgotten since.
#[tokio::test]
async fn a_gap_in_the_journal_is_told() {
    let cloud = frozen().await;
    let mut socket = registered(&cloud).await;
    let call = json!({"id": 1, "method": "x".repeat(60_000), "params": {}}).to_string();
    for _ in 0..60 {
        socket.ask(call.clone()).await;
    }
    let head = async |query: &str| get(&cloud, &format!("/journal?limit=1{query}")).await.head.to_lowercase();
    assert!(head("&since=1").await.contains("x-lost: "));
    assert!(!head("").await.contains("x-lost"), "from the beginning of what is kept");
    assert_eq!(get(&cloud, "/journal?follow=1&limit=1").await.status, 400);
    assert_eq!(get(&cloud, &format!("/journal?since={}", u64::MAX)).await.status, 200);
}

/// A step of the time that takes too long for somebody ends when a speed is set.
#[tokio::test]
async fn a_step_of_the_time_can_be_ended() {
    let mut config = Config { world: "villa".into(), ..Config::default() };
    config.assumptions.simulate_behaviours = true;
    let cloud = started(MockCloud::builder().config(config).clock(Clock::frozen(START))).await;
    let ten_years = json!({"seconds": 315_360_000});
    let ended = async {
        let on_its_way = Filter { since: 0, ..Filter::kind(EntryKind::Change) };
        within(cloud.expect_within(&on_its_way, Duration::from_secs(20))).await.unwrap();
        post(&cloud, "/clock", &json!({"speed": 0})).await
    };
    let ((status, said), (set, _)) = tokio::join!(post(&cloud, "/clock/advance", &ten_years), ended);
    assert_eq!((status, set), (409, 200), "{said}");
    let now = cloud.clock().now_ms();
    assert!(now < (START + 315_360_000) * 1000);
    assert_eq!(post(&cloud, "/clock/advance", &json!({"seconds": 0})).await.0, 200, "the next one goes");
    assert_eq!(cloud.clock().now_ms(), now, "nothing goes on by itself");
}

#[tokio::test]
async fn metrics_name_what_went_wrong() {
    let cloud = frozen().await;
    post(&cloud, "/faults", &json!({"fault": "empty_answer", "when": {"first": 1}})).await;
    ask(http(&cloud), "GET /locator/locator/locator", &[], b"").await;
    ask(address(&cloud.ready().control), "DELETE /faults", &[], b"").await;
    let metrics = get(&cloud, "/metrics").await.body;
    assert!(metrics.contains("mock_cloud_fault_fired_total{fault=\"empty_answer\"} 1"), "{metrics}");
}

/// What nobody answers is told of every listener.
#[tokio::test]
async fn every_listener_has_near_misses() {
    let cloud = frozen().await;
    let hub = cloud.ready().hubs.iter().find(|hub| hub.ap.is_some()).unwrap();
    let ap = address(hub.ap.as_ref().unwrap());
    assert_eq!(ask(ap, "GET /wifi/netwoks", &[], b"").await.status, 404);
    let join = br#"{"ssid":"Home","passkey":"12345678","psk":"x"}"#;
    assert_eq!(ask(ap, "POST /wifi/network/connect", &[], join).await.status, 200);
    ask(http(&cloud), "POST /v1/request", &[], br#"{"call":"access_keys_snc"}"#).await;
    let report = cloud.report();
    let unanswered: Vec<_> = report["unanswered"].as_array().unwrap().iter().map(|told| &told["nearest"][0]).collect();
    assert_eq!(unanswered, ["GET /wifi/networks", "access_keys_sync"], "{report}");
    assert_eq!(report["ignored"][0]["member"], "psk");
}
