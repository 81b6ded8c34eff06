//! The journal: recorded traffic, causes, expectations and the report.

use std::time::Duration;

use ezlo_mock_cloud::faults::{FaultKind, FaultSpec, Trigger};
use ezlo_mock_cloud::journal::{Entry, EntryKind, Filter};
use ezlo_mock_cloud::{Config, MockCloud, Profile};
use ezlo_testkit::{Control, address, http as ask, within};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use crate::support::{HUB, account, frozen, http, registered, serial, started};

fn names(entries: &[Entry]) -> Vec<(EntryKind, &str)> {
    entries.iter().map(|entry| (entry.kind, entry.name.as_str())).collect()
}

#[tokio::test]
async fn call_is_the_cause_of_its_reply_and_of_later_broadcasts() {
    let cloud = frozen().await;
    let mut socket = registered(&cloud).await;
    let call = json!({"id": 7, "method": "hub.modes.switch", "params": {"modeId": "2"}});
    assert_eq!(socket.ask(call.to_string()).await["error"], Value::Null);
    cloud.advance(Duration::from_secs(60)).await;
    let calls = cloud.journal(&Filter::kind(EntryKind::MessageIn).name("hub.modes.switch"));
    let led_to = cloud.journal(&Filter { cause: Some(calls[0].seq), ..Filter::default() });
    let kinds = names(&led_to);
    assert_eq!(kinds[0], (EntryKind::MessageOut, "hub.modes.switch"), "the first effect is not the reply");
    let switched: Vec<_> = led_to.iter().filter(|entry| entry.name == "hub.modes.switched").collect();
    assert!(switched.len() >= 2, "{kinds:?}");
    assert_eq!(
        switched.last().unwrap().at_ms - calls[0].at_ms,
        30_000,
        "the mode did not switch after 30 s of world time"
    );
    assert_eq!(calls[0].content["params"]["modeId"], "2");
}

#[tokio::test]
async fn journal_contains_requests_and_no_secrets() {
    let cloud = started(MockCloud::builder()).await;
    let account = account(&cloud).await;
    let hub = within(account.connect(&serial(crate::support::HUB))).await.unwrap();
    within(hub.synced()).await.unwrap();
    let login = cloud.journal(&Filter::kind(EntryKind::Request).name("/autha/auth/username/demo.user"));
    assert!(login[0].content["query"].as_array().unwrap().contains(&json!("SHA1Password")), "{:?}", login[0]);
    let answers = cloud.journal(&Filter { cause: Some(login[0].seq), ..Filter::default() });
    assert_eq!((answers.len(), answers[0].status), (1, Some(200)));
    let text = serde_json::to_string(&cloud.journal(&Filter::default())).unwrap();
    let session = account.session().await.unwrap();
    let digest = ezlo_protocol::password::sha1_password("demo.user", &"demo-password".into());
    for secret in [session.pair().identity.expose(), session.pair().signature.expose(), digest.expose()] {
        assert!(!text.contains(secret), "a secret of {} characters is in the journal", secret.len());
    }
    assert!(text.contains("loginUserMios") && text.contains("***"));
}

#[tokio::test]
async fn journal_contains_faults_with_their_cause() {
    let cloud = started(MockCloud::builder()).await;
    cloud.add_fault(FaultSpec::new(FaultKind::EmptyAnswer).path("/locator").when(Trigger::Nth(1))).unwrap();
    let http = address(&cloud.ready().http);
    ask(http, "GET /locator/locator/locator", &[], b"").await;
    let fault = cloud.journal(&Filter::kind(EntryKind::Fault).name("empty_answer"));
    let request = cloud.journal(&Filter::kind(EntryKind::Request).name("/locator/locator/locator"));
    assert_eq!(fault[0].cause, Some(request[0].seq));
    // Requests at the hub's local port are recorded too.
    cloud
        .add_fault(FaultSpec::new(FaultKind::Status { status: 500, retry_after: None }).hub(crate::support::HUB))
        .unwrap();
    let mut socket = registered(&cloud).await;
    let clear = json!({"id": 1, "method": "hub.offline.insecure_access.enabled.set", "params": {"enabled": true}});
    assert_eq!(socket.ask(clear.to_string()).await["error"], Value::Null);
    let lan = address(cloud.ready().hubs[0].lan_http.as_deref().unwrap());
    assert_eq!(ask(lan, "GET /v1/method/hub/info/get", &[], b"").await.status, 500);
    let request = cloud.journal(&Filter::kind(EntryKind::Request).name("/v1/method/hub/info/get"));
    assert_eq!(request[0].content["hub"], crate::support::HUB);
}

/// Two clouds with the same seed, clock and requests write byte-identical journals.
#[tokio::test]
async fn same_seed_gives_the_same_journal() {
    let run = async || {
        let cloud = frozen().await;
        let chance = FaultSpec::new(FaultKind::UnsolicitedReply).when(Trigger::Chance(0.5));
        let mut socket = registered(&cloud).await;
        cloud.add_fault(chance).unwrap();
        for number in 0..20 {
            let call = json!({"id": number, "method": "hub.room.list", "params": {}});
            socket.text(call.to_string()).await;
            while socket.json().await["id"] != json!(number) {}
            cloud.advance(Duration::from_secs(1)).await;
        }
        let port = cloud.ready().http.rsplit(':').next().unwrap().to_owned();
        serde_json::to_string(&cloud.journal(&Filter::default())).unwrap().replace(&port, "PORT")
    };
    let (first, second) = (run().await, run().await);
    assert!(first.contains("unsolicited_reply"));
    assert!(first == second, "two journals of {} and {} bytes differ", first.len(), second.len());
}

#[tokio::test]
async fn control_api_returns_and_streams_the_journal() {
    let cloud = started(MockCloud::builder()).await;
    let (control, http) = (address(&cloud.ready().control), address(&cloud.ready().http));
    let expected = tokio::spawn(async move {
        let expectation = br#"{"match": {"kind": "request", "name": "/no/handler"}, "within": 20}"#;
        ask(control, "POST /expectations", &[], expectation).await
    });
    ask(http, "GET /no/handler", &[], b"").await;
    let entry = within(expected).await.unwrap().json();
    assert_eq!(entry["name"], "/no/handler");
    let unmet = br#"{"match": {"kind": "request", "name": "/never"}}"#;
    let unmet = ask(control, "POST /expectations", &[], unmet).await;
    assert_eq!((unmet.status, &unmet.json()["similar"]), (417, &json!(["/no/handler"])));
    let lines = ask(control, "GET /journal?kind=answer&limit=1", &[], b"").await.body;
    assert_eq!(serde_json::from_str::<Value>(lines.trim()).unwrap()["status"], 404);
    assert_eq!(ask(control, "GET /journal?kind=nothing", &[], b"").await.status, 400);
    assert!(ask(control, "GET /journal?since=1000", &[], b"").await.body.is_empty());

    let mut following = tokio::net::TcpStream::connect(control).await.unwrap();
    following.write_all(b"GET /journal?follow=1&kind=request HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut lines = BufReader::new(following).lines();
    let mut next = async || loop {
        let line = within(lines.next_line()).await.unwrap().expect("the stream ended");
        if let Some(data) = line.strip_prefix("data: ") {
            break serde_json::from_str::<Value>(data).unwrap()["name"].as_str().unwrap().to_owned();
        }
    };
    assert_eq!(next().await, "/no/handler", "earlier entries are not streamed first");
    ask(http, "GET /later", &[], b"").await;
    assert_eq!(next().await, "/later", "new entries are not streamed");
}

#[tokio::test]
async fn expectation_is_verified_when_dropped() {
    let cloud = started(MockCloud::builder()).await;
    let http = address(&cloud.ready().http);
    ask(http, "GET /before", &[], b"").await;
    let once = cloud.expect(Filter::kind(EntryKind::Request).name("/before"), 1);
    assert!(once.verify().unwrap_err().contains("found 0"), "an earlier request counts");
    ask(http, "GET /before", &[], b"").await;
    drop(once);
    let never = cloud.expect(Filter::kind(EntryKind::Request).name("/never"), 0);
    drop(never);
    let missed = cloud.expect(Filter::kind(EntryKind::Request).name("/missed"), 1);
    ask(http, "GET /near", &[], b"").await;
    let text = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || drop(missed))).unwrap_err();
    let text = text.downcast_ref::<String>().unwrap();
    assert!(text.contains("expected 1 matching entries") && text.contains("/near"), "{text}");
}

#[tokio::test]
async fn control_api_matches_its_description_and_counts_entries() {
    let cloud = started(MockCloud::builder()).await;
    let control = address(&cloud.ready().control);
    let described = ask(control, "GET /openapi.json", &[], b"").await.json();
    // Every documented query parameter is accepted.
    let mut queries = 0;
    for (path, call) in described["paths"].as_object().unwrap() {
        for parameter in call["get"]["parameters"].as_array().into_iter().flatten() {
            let value = if parameter["name"] == "kind" { "answer" } else { "1" };
            let query = format!("GET {path}?{}={value}", parameter["name"].as_str().unwrap());
            if parameter["in"] == "query" && parameter["name"] != "follow" {
                assert_eq!(ask(control, &query, &[], b"").await.status, 200, "{query}");
                queries += 1;
            }
        }
    }
    assert_eq!(queries, 13);
    let paths = described["paths"].as_object().unwrap();
    assert!(paths.len() >= 18, "{}", paths.len());
    for (path, operations) in paths {
        let path = path.replace("{serial}", crate::support::HUB).replace("{id}", "1");
        for (method, operation) in operations.as_object().unwrap() {
            assert!(!operation["summary"].as_str().unwrap().is_empty());
            let example = &operation["requestBody"]["content"]["application/json"]["example"];
            let body = if example.is_null() { String::new() } else { example.to_string() };
            let waits = path == "/expectations" || path == "/clock/advance";
            let body = if waits { "{\"seconds\": 0}".to_owned() } else { body };
            let line = format!("{} {path}", method.to_ascii_uppercase());
            let status = ask(control, &line, &[], body.as_bytes()).await.status;
            assert!(![0, 405, 500, 501].contains(&status), "{line}: {status}");
        }
    }
    let unknown = ask(control, "GET /nothing", &[], b"").await;
    assert!(unknown.status == 404 && unknown.body.contains("/clock/advance"), "{}", unknown.body);
    assert_eq!(ask(control, "PUT /faults", &[], b"").await.status, 405);
    ask(address(&cloud.ready().http), "GET /no/handler", &[], b"").await;
    let metrics = ask(control, "GET /metrics", &[], b"").await.body;
    assert!(metrics.contains("mock_cloud_entries_total{kind=\"request\"} "), "{metrics}");
    assert!(metrics.contains("# TYPE mock_cloud_hubs gauge\nmock_cloud_hubs 4"), "{metrics}");
}

/// Two processes with the same seed, clock and requests write byte-identical journals, except for their ports.
#[tokio::test]
async fn processes_with_the_same_seed_write_the_same_journal() {
    let run = async || {
        let arguments = ["--seed", "7", "--frozen-at", "1700000000"];
        let program = tokio::task::spawn_blocking(move || crate::seed::Program::start(&arguments)).await.unwrap();
        let at = |name: &str| address(program.ready[name].as_str().unwrap());
        let (control, http) = (at("control"), at("http"));
        let chance = br#"{"fault": "status", "status": 503, "when": {"chance": 0.5}, "match": {"path": "/locator"}}"#;
        ask(control, "POST /faults", &[], chance).await;
        for _ in 0..20 {
            ask(http, "GET /locator/locator/locator", &[], b"").await;
            ask(control, "POST /clock/advance", &[], br#"{"seconds": 60}"#).await;
        }
        let body = ask(control, "GET /journal", &[], b"").await.body;
        // Names in replies follow the address that the client uses, whose port is free and differs.
        body.replace(&http.to_string(), "ADDRESS")
    };
    let (first, second) = (run().await, run().await);
    let fired = first.matches("\"kind\":\"fault\"").count();
    let skipped = first.matches("\"kind\":\"fault-skipped\"").count();
    assert!((1..20).contains(&fired) && fired + skipped == 20, "{fired} and {skipped} of 20 decisions");
    // A request, a response and a fault decision of each round, and the control calls.
    assert_eq!(first.lines().count(), 60 + 21);
    assert!(first == second, "two journals of {} and {} bytes differ", first.len(), second.len());
}

#[tokio::test]
async fn journal_contains_upgrades_and_faults_of_profiles() {
    let cloud = frozen().await;
    let mut socket = registered(&cloud).await;
    cloud.add_fault(FaultSpec::new(FaultKind::DropMessage).method("hub.info.get")).unwrap();
    socket.text(json!({"id": 1, "method": "hub.info.get", "params": {}}).to_string()).await;
    let hit = within(cloud.expect_within(&Filter::kind(EntryKind::Fault), Duration::from_secs(5))).await.unwrap();
    let dropped = cloud.journal(&Filter::kind(EntryKind::MessageOut).name("hub.info.get"));
    assert_eq!(
        (hit.cause, &hit.connection),
        (Some(dropped[0].seq), &dropped[0].connection),
        "the fault does not name the dropped message"
    );
    assert_eq!((&hit.content["id"], &hit.content["hub"]), (&json!(1), &json!(crate::support::HUB)));
    let upgrade = cloud.journal(&Filter { status: Some(101), ..Filter::kind(EntryKind::Answer) });
    assert_eq!(upgrade.len(), 1, "the upgrade is not recorded once");

    let hostile = started(MockCloud::builder().config(Config { profile: Profile::Hostile, ..Config::default() })).await;
    let mut refused = 0;
    for _ in 0..100 {
        refused += u32::from(ask(http(&hostile), "GET /locator/locator/locator", &[], b"").await.status == 503);
    }
    let recorded = hostile.journal(&Filter::kind(EntryKind::Fault).name("status")).len();
    let requests = hostile.journal(&Filter::kind(EntryKind::Request)).len();
    assert!(
        refused > 0 && recorded == refused as usize && requests == 100,
        "{refused} refused, {recorded} recorded of {requests}"
    );
}

#[tokio::test]
async fn cross_origin_requests_are_refused_and_errors_are_json() {
    let cloud = frozen().await;
    let control = address(&cloud.ready().control);
    let own = format!("http://{control}");
    for (header, value, status) in [
        ("origin", "https://evil.example", 403),
        ("origin", "null", 403),
        ("sec-fetch-site", "cross-site", 403),
        ("origin", own.as_str(), 200),
        ("sec-fetch-site", "same-origin", 200),
    ] {
        let answer = ask(control, "POST /clock/advance", &[(header, value)], br#"{"seconds": 1}"#).await;
        assert_eq!(answer.status, status, "{header}: {value}");
    }
    for (request, status, expected) in [
        ("PUT /clock", 405, "GET, POST"),
        ("POST /hubs/90000001/offline", 400, r#"send {"offline": true}"#),
        ("POST /hubs/90000001/internet", 404, "is now `POST /hubs/{serial}/offline`"),
        ("POST /hubs/90000001/restart", 404, "is now `POST /hubs/{serial}/reboot`"),
        ("POST /worlds", 404, "is now `POST /worlds/0/fork`"),
        ("GET /journal?kind=spared", 400, "kind `spared` is now `fault-skipped`"),
        ("GET /journal?follow=true", 400, "follow=1"),
        ("GET /journal?colour=red", 400, "limit"),
        ("GET /hubs?colour=red", 400, "after, limit"),
        ("GET /worlds?colour=red", 400, "no query"),
        ("GET /nowhere", 404, "/healthz"),
    ] {
        let answer = ask(control, request, &[], b"").await;
        let text = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(answer.status == status && text.contains(expected), "{request}: {} {text}", answer.status);
    }
    assert_eq!(ask(control, "HEAD /healthz", &[], b"").await.status, 200);
    let far = ask(control, "POST /clock/advance", &[], br#"{"seconds": 315360000}"#).await;
    assert_eq!(far.status, 200, "an advance of ten years is refused");
}

#[tokio::test]
async fn offline_hub_stays_offline_after_a_reboot() {
    let cloud = frozen().await;
    let control = address(&cloud.ready().control);
    let hub = |call: &str| format!("POST /hubs/{}/{call}", crate::support::HUB);
    assert_eq!(ask(control, &hub("offline"), &[], br#"{"offline": true}"#).await.status, 200);
    assert_eq!(ask(control, &hub("reboot"), &[], b"").await.status, 200);
    cloud.advance(Duration::from_secs(120)).await;
    let online =
        async || ask(control, &format!("GET /hubs/{}", crate::support::HUB), &[], b"").await.json()["online"].clone();
    assert_eq!(online().await, json!(false));
    assert_eq!(ask(control, &hub("reboot"), &[], b"{}").await.status, 200);
    assert_eq!(
        ask(control, &hub("offline"), &[], br#"{"offline": false}"#).await.status,
        200,
        "the hub is not controllable during its reboot"
    );
    cloud.advance(Duration::from_secs(120)).await;
    assert_eq!(online().await, json!(true));
}

/// The report informs a client's developer about requests without a handler and members without an effect.
#[tokio::test]
async fn report_lists_near_misses_and_unknown_fields() {
    let cloud = frozen().await;
    let account = account(&cloud).await;
    let hub = within(account.connect(&serial(HUB))).await.unwrap();
    let lamp = within(hub.device("Ceiling light")).await.unwrap();
    within(lamp.item("switch").unwrap().set(true).send_and_confirm()).await.unwrap();
    within(account.users()).await.unwrap();
    assert_eq!(
        cloud.report(),
        json!({"unmatched": [], "unknown_fields": [], "refused_handshakes": [], "unused_faults": []}),
        "the SDK sends unknown requests or members"
    );

    let address = http(&cloud);
    for path in ["GET /locator/locator/locater", "POST /info/session/token", "GET /locator/locator/locator?colour=red"]
    {
        ask(address, path, &[], b"").await;
    }
    let mut socket = registered(&cloud).await;
    for (method, params) in [
        ("hub.device.list", json!({})),
        ("hub.room.list", json!({"colour": "red"})),
        ("hub.room.list", json!({"colour": "blue", "size": 1})),
    ] {
        socket.ask(json!({"id": 1, "method": method, "params": params}).to_string()).await;
    }
    let report = Control::at(&cloud.ready().control).report().await.unwrap();
    let unmatched = |name: &str| {
        let mut all = report["unmatched"].as_array().unwrap().iter();
        all.find(|entry| entry["name"] == name).map(|entry| (entry["times"].clone(), entry["nearest"][0].clone()))
    };
    assert_eq!(
        unmatched("/locator/locator/locater"),
        Some((json!(1), json!("GET /locator/locator/locator"))),
        "{report}"
    );
    assert_eq!(unmatched("/info/session/token"), Some((json!(1), json!("GET /info/session/token"))));
    assert_eq!(unmatched("hub.device.list"), Some((json!(1), json!("hub.devices.list"))));
    assert_eq!(
        report["unknown_fields"],
        json!([
            {"name": "/locator/locator/locator", "member": "colour", "times": 1},
            {"name": "hub.room.list", "member": "colour", "times": 2},
            {"name": "hub.room.list", "member": "size", "times": 1},
        ])
    );
    let cause = cloud.journal(&Filter { kind: Some(EntryKind::UnknownFields), ..Filter::default() })[1].cause.unwrap();
    let origin = cloud.journal(&Filter { since: cause - 1, ..Filter::default() })[0].clone();
    assert_eq!((origin.kind, origin.name.as_str()), (EntryKind::MessageIn, "hub.room.list"));
}
