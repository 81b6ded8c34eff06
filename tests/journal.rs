//! What came, what went, and what led to what.

use std::time::Duration;

use ezlo_mock_cloud::faults::{Fault, FaultKind, Trigger};
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
async fn a_call_leads_to_its_answer_and_its_broadcasts_also_to_those_that_come_later() {
    let cloud = frozen().await;
    let mut socket = registered(&cloud).await;
    let call = json!({"id": 7, "method": "hub.modes.switch", "params": {"modeId": "2"}});
    assert_eq!(socket.ask(call.to_string()).await["error"], Value::Null);
    cloud.advance(Duration::from_secs(60)).await;
    let asked = cloud.journal(&Filter::kind(EntryKind::MessageIn).name("hub.modes.switch"));
    let led_to = cloud.journal(&Filter { cause: Some(asked[0].seq), ..Filter::default() });
    let kinds = names(&led_to);
    assert_eq!(kinds[0], (EntryKind::MessageOut, "hub.modes.switch"), "the answer first");
    let switched: Vec<_> = led_to.iter().filter(|entry| entry.name == "hub.modes.switched").collect();
    assert!(switched.len() >= 2, "{kinds:?}");
    assert_eq!(switched.last().unwrap().at_ms - asked[0].at_ms, 30_000, "by the world's clock, with the same cause");
    assert_eq!(asked[0].content["params"]["modeId"], "2");
}

#[tokio::test]
async fn requests_are_there_and_no_secret() {
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
async fn faults_are_there_with_what_they_hit() {
    let cloud = started(MockCloud::builder()).await;
    cloud.add_fault(Fault::new(FaultKind::EmptyAnswer).path("/locator").when(Trigger::Nth(1))).unwrap();
    let http = address(&cloud.ready().http);
    ask(http, "GET /locator/locator/locator", &[], b"").await;
    let fault = cloud.journal(&Filter::kind(EntryKind::Fault).name("empty_answer"));
    let request = cloud.journal(&Filter::kind(EntryKind::Request).name("/locator/locator/locator"));
    assert_eq!(fault[0].cause, Some(request[0].seq));
    // The hub's own port too.
    cloud.add_fault(Fault::new(FaultKind::Status { status: 500, retry_after: None }).hub(crate::support::HUB)).unwrap();
    let mut socket = registered(&cloud).await;
    let clear = json!({"id": 1, "method": "hub.offline.insecure_access.enabled.set", "params": {"enabled": true}});
    assert_eq!(socket.ask(clear.to_string()).await["error"], Value::Null);
    let lan = address(cloud.ready().hubs[0].lan_http.as_deref().unwrap());
    assert_eq!(ask(lan, "GET /v1/method/hub/info/get", &[], b"").await.status, 500);
    let request = cloud.journal(&Filter::kind(EntryKind::Request).name("/v1/method/hub/info/get"));
    assert_eq!(request[0].content["hub"], crate::support::HUB);
}

/// Two clouds with one seed and one clock, asked the same: the journals are the same to the byte.
#[tokio::test]
async fn one_seed_gives_one_journal() {
    let run = async || {
        let cloud = frozen().await;
        let chance = Fault::new(FaultKind::UnsolicitedReply).when(Trigger::Chance(0.5));
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
async fn by_the_control_api() {
    let cloud = started(MockCloud::builder()).await;
    let (control, http) = (address(&cloud.ready().control), address(&cloud.ready().http));
    let expected = tokio::spawn(async move {
        let wish = br#"{"match": {"kind": "request", "name": "/nobody/answers"}, "within": 20}"#;
        ask(control, "POST /expectations", &[], wish).await
    });
    ask(http, "GET /nobody/answers", &[], b"").await;
    let entry = within(expected).await.unwrap().json();
    assert_eq!(entry["name"], "/nobody/answers");
    let unmet = br#"{"match": {"kind": "request", "name": "/never"}}"#;
    let unmet = ask(control, "POST /expectations", &[], unmet).await;
    assert_eq!((unmet.status, &unmet.json()["came_instead"]), (417, &json!(["/nobody/answers"])));
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
    assert_eq!(next().await, "/nobody/answers", "what was there");
    ask(http, "GET /later", &[], b"").await;
    assert_eq!(next().await, "/later", "and what comes");
}

#[tokio::test]
async fn expectations_are_looked_for_when_they_are_dropped() {
    let cloud = started(MockCloud::builder()).await;
    let http = address(&cloud.ready().http);
    ask(http, "GET /before", &[], b"").await;
    let once = cloud.expect(Filter::kind(EntryKind::Request).name("/before"), 1);
    assert!(once.verify().unwrap_err().contains("happened 0 times"), "what was before does not count");
    ask(http, "GET /before", &[], b"").await;
    drop(once);
    let never = cloud.expect(Filter::kind(EntryKind::Request).name("/never"), 0);
    drop(never);
    let missed = cloud.expect(Filter::kind(EntryKind::Request).name("/missed"), 1);
    ask(http, "GET /near", &[], b"").await;
    let text = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || drop(missed))).unwrap_err();
    let text = text.downcast_ref::<String>().unwrap();
    assert!(text.contains("expected 1 times") && text.contains("/near"), "{text}");
}

#[tokio::test]
async fn the_control_api_describes_itself_and_counts() {
    let cloud = started(MockCloud::builder()).await;
    let control = address(&cloud.ready().control);
    let described = ask(control, "GET /openapi.json", &[], b"").await.json();
    // What a query is said to take is taken.
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
    ask(address(&cloud.ready().http), "GET /nobody/answers", &[], b"").await;
    let metrics = ask(control, "GET /metrics", &[], b"").await.body;
    assert!(metrics.contains("mock_cloud_entries_total{kind=\"request\"} "), "{metrics}");
    assert!(metrics.contains("# TYPE mock_cloud_hubs gauge\nmock_cloud_hubs 4"), "{metrics}");
}

/// Two processes with one seed and one clock, asked the same: their journals are the same to the byte.
#[tokio::test]
async fn two_processes_with_one_seed_write_one_journal() {
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
        ask(control, "GET /journal", &[], b"").await.body
    };
    let (first, second) = (run().await, run().await);
    let fired = first.matches("\"kind\":\"fault\"").count();
    let spared = first.matches("\"kind\":\"spared\"").count();
    assert!((1..20).contains(&fired) && fired + spared == 20, "{fired} and {spared} of 20 decisions");
    // Requests, answers and decisions, and what was done by the control API.
    assert_eq!(first.lines().count(), 60 + 21);
    assert!(first == second, "two journals of {} and {} bytes differ", first.len(), second.len());
}

#[tokio::test]
async fn upgrades_and_what_profiles_do_are_there_too() {
    let cloud = frozen().await;
    let mut socket = registered(&cloud).await;
    cloud.add_fault(Fault::new(FaultKind::DropMessage).method("hub.info.get")).unwrap();
    socket.text(json!({"id": 1, "method": "hub.info.get", "params": {}}).to_string()).await;
    let hit = within(cloud.expect_within(&Filter::kind(EntryKind::Fault), Duration::from_secs(5))).await.unwrap();
    let led = cloud.journal(&Filter::kind(EntryKind::MessageOut).name("hub.info.get"));
    assert_eq!((hit.cause, &hit.connection), (Some(led[0].seq), &led[0].connection), "which message was not sent");
    assert_eq!((&hit.content["id"], &hit.content["hub"]), (&json!(1), &json!(crate::support::HUB)));
    let upgrade = cloud.journal(&Filter { status: Some(101), ..Filter::kind(EntryKind::Answer) });
    assert_eq!(upgrade.len(), 1, "the way into the relay is a request");

    let hostile = started(MockCloud::builder().config(Config { profile: Profile::Hostile, ..Config::default() })).await;
    let mut refused = 0;
    for _ in 0..100 {
        refused += u32::from(ask(http(&hostile), "GET /locator/locator/locator", &[], b"").await.status == 503);
    }
    let told = hostile.journal(&Filter::kind(EntryKind::Fault).name("status")).len();
    let requests = hostile.journal(&Filter::kind(EntryKind::Request)).len();
    assert!(refused > 0 && told == refused as usize && requests == 100, "{refused} refused, {told} told of {requests}");
}

#[tokio::test]
async fn pages_of_other_places_move_nothing_and_errors_are_json() {
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
    for (request, status, said) in [
        ("PUT /clock", 405, "GET, POST"),
        ("POST /hubs/90000001/internet", 400, r#"send {"there": true}"#),
        ("GET /journal?follow=true", 400, "follow=1"),
        ("GET /journal?colour=red", 400, "limit"),
        ("GET /hubs?colour=red", 400, "after, limit"),
        ("GET /worlds?colour=red", 400, "no query"),
        ("GET /nowhere", 404, "/healthz"),
    ] {
        let answer = ask(control, request, &[], b"").await;
        let text = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(answer.status == status && text.contains(said), "{request}: {} {text}", answer.status);
    }
    assert_eq!(ask(control, "HEAD /healthz", &[], b"").await.status, 200);
    let far = ask(control, "POST /clock/advance", &[], br#"{"seconds": 315360000}"#).await;
    assert_eq!(far.status, 200, "ten years are quiet");
}

#[tokio::test]
async fn a_restart_does_not_bring_the_internet_back() {
    let cloud = frozen().await;
    let control = address(&cloud.ready().control);
    let hub = |call: &str| format!("POST /hubs/{}/{call}", crate::support::HUB);
    assert_eq!(ask(control, &hub("internet"), &[], br#"{"there": false}"#).await.status, 200);
    assert_eq!(ask(control, &hub("restart"), &[], b"").await.status, 200);
    cloud.advance(Duration::from_secs(120)).await;
    let online =
        async || ask(control, &format!("GET /hubs/{}", crate::support::HUB), &[], b"").await.json()["online"].clone();
    assert_eq!(online().await, json!(false));
    assert_eq!(ask(control, &hub("restart"), &[], b"{}").await.status, 200);
    assert_eq!(ask(control, &hub("internet"), &[], br#"{"there": true}"#).await.status, 200, "while it restarts");
    cloud.advance(Duration::from_secs(120)).await;
    assert_eq!(online().await, json!(true));
}

/// What a client's developer should hear of: what nobody answers, and what makes no difference.
#[tokio::test]
async fn near_misses_and_what_is_ignored() {
    let cloud = frozen().await;
    let account = account(&cloud).await;
    let hub = within(account.connect(&serial(HUB))).await.unwrap();
    let lamp = within(hub.device("Ceiling light")).await.unwrap();
    within(lamp.item("switch").unwrap().set(true).send_and_confirm()).await.unwrap();
    within(account.users()).await.unwrap();
    assert_eq!(cloud.report(), json!({"unanswered": [], "ignored": []}), "the SDK says nothing that nobody knows");

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
    let unanswered = |name: &str| {
        let mut all = report["unanswered"].as_array().unwrap().iter();
        all.find(|entry| entry["name"] == name).map(|entry| (entry["times"].clone(), entry["nearest"][0].clone()))
    };
    assert_eq!(
        unanswered("/locator/locator/locater"),
        Some((json!(1), json!("GET /locator/locator/locator"))),
        "{report}"
    );
    assert_eq!(unanswered("/info/session/token"), Some((json!(1), json!("GET /info/session/token"))));
    assert_eq!(unanswered("hub.device.list"), Some((json!(1), json!("hub.devices.list"))));
    assert_eq!(
        report["ignored"],
        json!([
            {"name": "/locator/locator/locator", "member": "colour", "times": 1},
            {"name": "hub.room.list", "member": "colour", "times": 2},
            {"name": "hub.room.list", "member": "size", "times": 1},
        ])
    );
    let cause = cloud.journal(&Filter { kind: Some(EntryKind::Ignored), ..Filter::default() })[1].cause.unwrap();
    let because = cloud.journal(&Filter { since: cause - 1, ..Filter::default() })[0].clone();
    assert_eq!((because.kind, because.name.as_str()), (EntryKind::MessageIn, "hub.room.list"));
}
