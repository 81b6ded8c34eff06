//! Worlds at run time: snapshots, restores, resets and independent forks.

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use ezlo_mock_cloud::{Clock, MockCloud};
use ezlo_testkit::{Came, Control, Socket, address, http as ask, within};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{HUB, START, account, frozen, http, registered, serial, started};

/// Makes the file names of concurrent tests unique.
static NEXT: AtomicUsize = AtomicUsize::new(0);

const SECOND: Duration = Duration::from_secs(1);

async fn call(socket: &mut Socket, method: &str, params: Value) -> Value {
    let frame = answer(socket, method, params).await;
    assert_eq!(frame["error"], Value::Null, "{method}: {frame}");
    frame["result"].clone()
}

async fn answer(socket: &mut Socket, method: &str, params: Value) -> Value {
    socket.text(json!({"id": "call", "method": method, "params": params}).to_string()).await;
    loop {
        let frame = within(socket.json()).await;
        if frame["id"] == "call" {
            return frame;
        }
    }
}

/// Returns the results of all list calls of the demo hub.
async fn everything(cloud: &MockCloud) -> Vec<Value> {
    let mut socket = registered(cloud).await;
    let mut all = Vec::new();
    for method in ["hub.devices.list", "hub.items.list", "hub.room.list", "hub.scenes.list", "hub.modes.get"] {
        all.push(call(&mut socket, method, json!({})).await);
    }
    all
}

#[tokio::test]
async fn a_restore_includes_pending_timers() {
    let cloud = frozen().await;
    let mut socket = registered(&cloud).await;
    call(&mut socket, "hub.room.create", json!({"name": "Attic"})).await;
    call(&mut socket, "hub.modes.switch", json!({"modeId": "2"})).await;
    cloud.advance(10 * SECOND).await;
    let before = everything(&cloud).await;
    assert_eq!((&before[4]["switchTo"], &before[4]["timeIsLeftToSwitch"]), (&json!("2"), &json!(20)));
    let state = cloud.snapshot();

    call(&mut socket, "hub.room.create", json!({"name": "Cellar"})).await;
    cloud.advance(60 * SECOND).await;
    let after = everything(&cloud).await;
    assert_eq!((&after[4]["current"], after[2].as_array().unwrap().len()), (&json!("2"), 7), "{}", after[2]);

    for round in 0..2 {
        cloud.restore(&state);
        assert_eq!(everything(&cloud).await, before, "round {round}");
        cloud.advance(19 * SECOND).await;
        assert_eq!(everything(&cloud).await[4]["current"], "1", "one second is left before the switch");
        cloud.advance(SECOND).await;
        assert_eq!(everything(&cloud).await[4]["current"], "2");
    }
    loop {
        match within(socket.next()).await {
            Came::Closed(code) => {
                assert_eq!(code, 1012, "connected clients receive a close code");
                break;
            }
            Came::Json(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// A restore does not change the clock, so a daily scene still runs at its time of day.
#[tokio::test]
async fn daily_scenes_run_at_their_time_after_a_restore() {
    use ezlo_protocol::hub::scene::{SceneBuilder, daily_at};
    let cloud = frozen().await;
    let mut socket = registered(&cloud).await;
    // START is 22:13:20 UTC, which is also the local time of the demo hub.
    let scene = SceneBuilder::new("Late").when(daily_at("23:00".parse().unwrap())).build().unwrap();
    call(&mut socket, "hub.scenes.create", ezlo_protocol::wire::to_value(&scene)).await;
    let state = cloud.snapshot();
    cloud.advance(10 * 60 * SECOND).await;
    cloud.restore(&state);
    let mut socket = registered(&cloud).await;
    let runs = async |socket: &mut Socket| {
        socket.text(json!({"id": "call", "method": "hub.modes.current.get", "params": {}}).to_string()).await;
        let mut runs = 0;
        loop {
            let frame = within(socket.json()).await;
            if frame["id"] == "call" {
                return runs;
            }
            runs += u32::from(frame["result"]["status"] == "started");
        }
    };
    cloud.advance(36 * 60 * SECOND).await;
    assert_eq!(runs(&mut socket).await, 0, "22:59");
    cloud.advance(60 * SECOND).await;
    assert_eq!(runs(&mut socket).await, 1, "23:00");
    cloud.advance(60 * 60 * SECOND).await;
    assert_eq!(runs(&mut socket).await, 0, "the scene runs once a day");
}

#[tokio::test]
async fn a_reset_returns_to_the_initial_world() {
    let cloud = frozen().await;
    let before = everything(&cloud).await;
    let account = account(&cloud).await;
    let claim = within(account.claim(&serial("90000002"), "AA:BB:CC:00:00:02".parse().unwrap())).await;
    claim.unwrap();
    let hub = within(account.connect(&serial(HUB))).await.unwrap();
    let lamp = within(hub.device("Ceiling light")).await.unwrap();
    within(lamp.item("switch").unwrap().set(true).send_and_confirm()).await.unwrap();
    assert_eq!(within(account.hubs()).await.unwrap().len(), 4);
    cloud.reset();
    assert_eq!(within(account.hubs()).await.unwrap().len(), 3, "the identity is valid, the claim is undone");
    assert_eq!(everything(&cloud).await, before);
    // The connected session reconnects and reads the reset state.
    within(hub.synced()).await.unwrap();
    let mut watch = lamp.item("switch").unwrap().watch();
    within(async { while watch.changed().await != Some(json!(false)) {} }).await;
}

#[tokio::test]
async fn forks_are_made_and_ended_by_the_control_api() {
    let cloud = frozen().await;
    let control = address(&cloud.ready().control);
    let post = async |path: &str, body: &str| ask(control, &format!("POST {path}"), &[], body.as_bytes()).await;
    assert_eq!(post("/worlds/0/snapshot", r#"{"name": "fresh"}"#).await.json(), json!({"snapshot": "fresh"}));
    let fork = post("/worlds/0/fork", "").await.json();
    assert_eq!(fork["id"], 1);
    let fork_http = address(fork["ready"]["http"].as_str().unwrap());
    assert_ne!(fork_http, http(&cloud), "the fork has its own port");
    let create = "GET /autha/auth/username/somebody?SHA1Password=x&PK_Oem=1";
    assert_eq!(ask(fork_http, create, &[], b"").await.status, ask(http(&cloud), create, &[], b"").await.status);
    let fork_control = address(fork["ready"]["control"].as_str().unwrap());
    let moved = ask(fork_control, "POST /clock/advance", &[], br#"{"seconds": 60}"#).await.json();
    assert_eq!(moved["unix"], START + 60);
    assert_eq!(cloud.clock().unix_seconds(), START, "the fork has its own clock");
    let press = json!({"device": "Front door", "item": "dw_state", "value": "dw_is_opened"}).to_string();
    assert_eq!(ask(fork_control, &format!("POST /hubs/{HUB}/report"), &[], press.as_bytes()).await.status, 200);
    let listed = ask(control, "GET /worlds", &[], b"").await.json();
    assert_eq!((listed["worlds"].as_array().unwrap().len(), &listed["states"]), (2, &json!(["fresh"])));
    for (path, body, status) in [
        ("/worlds/1/restore", r#"{"name": "fresh"}"#, 200),
        ("/worlds/1/reset", "", 200),
        ("/worlds/1/restore", r#"{"name": "stale"}"#, 404),
        ("/worlds/7/fork", "", 404),
        ("/worlds/x/reset", "", 404),
        ("/worlds/0/snapshot", r#"{"name": ""}"#, 400),
        ("/worlds/0/snapshot", "{", 400),
    ] {
        assert_eq!(post(path, body).await.status, status, "{path} {body}");
    }
    assert_eq!(ask(control, "DELETE /worlds/0", &[], b"").await.status, 409);
    assert_eq!(ask(control, "DELETE /worlds/1", &[], b"").await.status, 200);
    assert!(tokio::net::TcpStream::connect(fork_http).await.is_err(), "the port is closed");
    assert_eq!(ask(control, "DELETE /worlds/1", &[], b"").await.status, 404);
}

/// A complete test that uses the control API only, as a test in another language does.
#[tokio::test]
async fn a_complete_test_works_through_the_control_api() {
    let cloud = frozen().await;
    let control = Control::at(&cloud.ready().control);
    let (number, ready) = control.fork(0).await.unwrap();
    let own = Control::at(ready["control"].as_str().unwrap());
    assert_eq!(own.endpoints().await.unwrap(), ready);
    own.snapshot(0, "before").await.unwrap();
    let id = own.add_fault(json!({"fault": "status", "status": 503, "when": {"first": 1}})).await.unwrap();
    let locate =
        async || ask(address(ready["http"].as_str().unwrap()), "GET /locator/locator/locator", &[], b"").await.status;
    assert_eq!((locate().await, locate().await), (503, 200));
    let fired = own.expect(json!({"kind": "fault"}), 0.0).await.unwrap();
    assert_eq!((&fired["name"], &fired["content"]["id"]), (&json!("status"), &json!(id)));
    assert_eq!(own.journal("kind=answer&status=503").await.unwrap().len(), 1);
    assert_eq!(own.faults().await.unwrap()[0]["fired"], 1);
    own.remove_fault(Some(id)).await.unwrap();
    own.hub(HUB, "report", json!({"device": "Front door", "item": "dw_state", "value": "dw_is_opened"})).await.unwrap();
    let late = own.expect(json!({"kind": "request", "name": "/never"}), 0.0).await.unwrap_err();
    assert_eq!(late.status, 417, "{late}");
    assert_eq!(own.advance(90.0).await.unwrap()["unix"], START + 90);
    assert_eq!(own.set_speed(0.0).await.unwrap()["frozen"], true);
    own.restore(0, "before").await.unwrap();
    own.reset(0).await.unwrap();
    let refused = own.hub("90000099", "reboot", json!({})).await.unwrap_err();
    assert!(refused.status == 404 && refused.text.contains("GET /hubs"), "{refused}");
    assert_eq!(own.hubs().await.unwrap(), control.hubs().await.unwrap(), "the hubs are in their initial state");
    assert_eq!(own.clock().await.unwrap()["unix"], START + 90, "a reset does not change the clock");
    assert_eq!(control.evidence().await.unwrap(), own.evidence().await.unwrap());
    control.end(number).await.unwrap();
    assert_eq!(control.worlds().await.unwrap()["worlds"].as_array().unwrap().len(), 1);
    let connection = tokio::net::TcpStream::connect(address(ready["control"].as_str().unwrap())).await;
    assert!(connection.is_err(), "the port is closed");
}

/// An operation on a world.
#[derive(Debug, Clone)]
enum Deed {
    Set(bool),
    Room,
    Mode(u8),
    Wait(u64),
    Inclusion,
}

fn any_operation() -> impl Strategy<Value = Deed> {
    prop_oneof![
        any::<bool>().prop_map(Deed::Set),
        Just(Deed::Room),
        (1..5_u8).prop_map(Deed::Mode),
        (1..40_u64).prop_map(Deed::Wait),
        Just(Deed::Inclusion),
    ]
}

async fn apply(cloud: &MockCloud, operation: &Deed, lamp: &Value) {
    let mut socket = registered(cloud).await;
    let (method, params) = match operation {
        Deed::Set(on) => ("hub.item.value.set", json!({"_id": lamp, "value": on})),
        Deed::Room => ("hub.room.create", json!({"name": "Room"})),
        Deed::Mode(mode) => ("hub.modes.switch", json!({"modeId": mode.to_string()})),
        Deed::Inclusion => ("hub.extensions.plugin.run", json!({"script": "HUB:zwave/scripts/start_include"})),
        Deed::Wait(seconds) => return cloud.advance(Duration::from_secs(*seconds)).await,
    };
    // The reply can be an error: a switch to the current mode is refused.
    answer(&mut socket, method, params).await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    /// A world and its forks do not affect each other, and equal operations lead to equal states.
    #[test]
    fn forks_are_independent_and_deterministic(
        before in prop::collection::vec(any_operation(), 0..6),
        first in prop::collection::vec(any_operation(), 1..6),
        second in prop::collection::vec(any_operation(), 1..6),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let cloud = started(MockCloud::builder().clock(Clock::frozen(START))).await;
            let lamp = everything(&cloud).await[1]["items"].as_array().unwrap().iter()
                .find(|item| item["name"] == "switch").unwrap()["_id"].clone();
            for operation in &before {
                apply(&cloud, operation, &lamp).await;
            }
            let shared = everything(&cloud).await;
            let (fork, twin) = (cloud.fork().await.unwrap(), cloud.fork().await.unwrap());
            for operation in &first {
                apply(&cloud, operation, &lamp).await;
            }
            assert_eq!(everything(&fork).await, shared, "the fork has the state of the original");
            let changed = everything(&cloud).await;
            for operation in &second {
                apply(&fork, operation, &lamp).await;
            }
            assert_eq!(everything(&cloud).await, changed, "the original is not affected by the fork");
            for operation in &first {
                apply(&twin, operation, &lamp).await;
            }
            assert_eq!(everything(&twin).await, changed, "equal operations lead to equal states");
        });
    }
}

/// Several worlds share one port. The host name selects the world.
#[tokio::test]
async fn a_fork_is_reachable_by_its_host_name() {
    let cloud = frozen().await;
    let control = Control::at(&cloud.ready().control);
    let made = control.call("POST", "/worlds/0/fork", &Value::Null).await.unwrap();
    assert_eq!(made["id"], 1);
    let named = |host: &str| format!("{host}:{}", http(&cloud).port());
    let get = async |host: &str, path: &str| {
        let text = format!("GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", named(host));
        String::from_utf8(ezlo_testkit::raw(http(&cloud), text.as_bytes()).await).unwrap()
    };
    // Creates a user in the fork only.
    let body = "Username=only.there&Email=o%40example.com&Password=password-1";
    let make = format!(
        "POST /autha/auth/username HTTP/1.1\r\nhost: {}\r\ncontent-type: application/x-www-form-urlencoded\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n{body}",
        named("w1.localhost"),
        body.len()
    );
    let made = String::from_utf8(ezlo_testkit::raw(http(&cloud), make.as_bytes()).await).unwrap();
    assert!(made.starts_with("HTTP/1.1 200 "), "{made}");
    assert!(made.contains(&named("w1.localhost")), "addresses in replies contain the host name of the fork: {made}");
    let hash = ezlo_protocol::password::sha1_password("only.there", &"password-1".into());
    let log_in = format!("/autha/auth/username/only.there?SHA1Password={}&PK_Oem=1", hash.expose());
    assert!(get("w1.localhost", &log_in).await.starts_with("HTTP/1.1 200 "));
    assert!(get("localhost", &log_in).await.starts_with("HTTP/1.1 404 "));
    assert!(get("w2.localhost", &log_in).await.contains("No such world"));
    // The header selects the fork for clients that cannot resolve its name.
    let select = async |world: &str| {
        let text =
            format!("GET {log_in} HTTP/1.1\r\nhost: a\r\nmock-cloud-world: {world}\r\nconnection: close\r\n\r\n");
        String::from_utf8(ezlo_testkit::raw(http(&cloud), text.as_bytes()).await).unwrap()
    };
    assert!(select("1").await.starts_with("HTTP/1.1 200 "));
    for unknown in ["2", "x"] {
        assert!(select(unknown).await.contains("No such world"), "{unknown}");
    }
    let fork = "POST /worlds/0/fork HTTP/1.1\r\nhost: w1.localhost\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    let forked = ezlo_testkit::raw(address(&cloud.ready().control), fork.as_bytes()).await;
    assert!(
        forked.starts_with(b"HTTP/1.1 409 "),
        "a fork of a fork has no host name of its own: {}",
        String::from_utf8_lossy(&forked)
    );
    assert!(
        get("w1.evil.example", &log_in).await.starts_with("HTTP/1.1 404 "),
        "unknown host names belong to the first world"
    );
}

/// Starts a cloud with 5,000 equal hubs.
async fn many_hubs() -> MockCloud {
    let path =
        std::env::temp_dir().join(format!("ezlo-many-{}-{}.toml", std::process::id(), NEXT.fetch_add(1, Relaxed)));
    let world = r#"
        [[users]]
        username = "demo.user"
        password = "demo-password"
        email = "demo.user@example.com"
        account = 1200001
        user = 2800001
        [[hubs]]
        serial = "90000001"
        mac = "AA:BB:CC:00:00:01"
        kind = "linux"
        model = "h2.1"
        owner = "demo.user"
        online = true
        copies = 5000
        rooms = ["Hall"]
        devices = [{ template = "switch", name = "Lamp", room = "Hall" }]
    "#;
    std::fs::write(&path, world).unwrap();
    let cloud = started(MockCloud::builder().world(path.to_str().unwrap()).clock(Clock::frozen(START))).await;
    std::fs::remove_file(&path).unwrap();
    cloud
}

/// The hubs of a large group are created on demand. They have the same ports after a restore or a reset.
#[tokio::test]
async fn hubs_of_a_large_group_are_created_on_demand() {
    let cloud = many_hubs().await;
    let control = Control::at(&cloud.ready().control);
    let rooms = async |serial: &str| control.call("GET", &format!("/hubs/{serial}"), &Value::Null).await.map(drop);
    assert!(rooms("90004999").await.is_ok() && rooms("90005001").await.is_err() && rooms("090000002").await.is_err());
    let account = account(&cloud).await;
    assert_eq!(within(account.hubs()).await.unwrap().len(), 5000);
    let state = cloud.snapshot();
    // The third hub has its own ports, the last hub has none.
    for serial in ["90000003", "90005000"] {
        let hub = within(account.connect(&serial.parse().unwrap())).await.unwrap();
        let lamp = within(hub.device("Lamp")).await.unwrap();
        within(lamp.item("switch").unwrap().set(true).send_and_confirm()).await.unwrap();
    }
    let fork = within(cloud.fork()).await.unwrap();
    let is_on = async |cloud: &MockCloud, serial: &str| {
        let account = crate::support::account(cloud).await;
        let hub = within(account.connect(&serial.parse().unwrap())).await.unwrap();
        within(hub.device("Lamp")).await.unwrap().item("switch").unwrap().value.get() == Some(&json!(true))
    };
    for is_restored in [true, false] {
        if is_restored {
            cloud.restore(&state)
        } else {
            cloud.reset()
        }
        assert!(!is_on(&cloud, "90000003").await && !is_on(&cloud, "90005000").await, "{is_restored}");
        // The local port serves the same hub.
        let lan = address(cloud.ready().hubs[2].lan.as_deref().unwrap());
        let handle = cloud.hub("90000003").unwrap();
        let relay = within(account.connect(&"90000003".parse().unwrap())).await.unwrap();
        let clear = relay.session().call_raw("hub.offline.insecure_access.enabled.set", json!({"enabled": true}));
        within(clear).await.unwrap();
        let keys = within(account.local_credentials(&"90000003".parse().unwrap())).await.unwrap();
        let keys = [("user", keys.user.as_str()), ("token", keys.token.expose())];
        for on in [false, true] {
            if on {
                handle.report("Lamp", "switch", json!(true)).unwrap();
            }
            let items = ask(lan, "GET /v1/method/hub.items.list", &keys, b"").await.json();
            let lamp = items["result"]["items"].as_array().unwrap().iter().find(|item| item["name"] == "switch");
            assert_eq!(lamp.unwrap()["value"], json!(on), "{is_restored}");
        }
    }
    assert!(is_on(&fork, "90000003").await && is_on(&fork, "90005000").await, "the fork is not affected");
}

/// Lists report hubs page by page and create none of the hubs that they report.
#[tokio::test]
async fn listing_hubs_does_not_create_them() {
    let cloud = many_hubs().await;
    let control = address(&cloud.ready().control);
    let created = async || {
        let metrics = ask(control, "GET /metrics", &[], b"").await.body;
        let line = metrics.lines().find(|line| line.contains("hubs_touched") && !line.starts_with('#')).unwrap();
        line.rsplit(' ').next().unwrap().parse::<usize>().unwrap()
    };
    let before = created().await;
    assert!(before <= 1000, "only hubs with ports exist: {before}");
    assert_eq!(within(account(&cloud).await.hubs()).await.unwrap().len(), 5000);
    assert_eq!(ask(http(&cloud), "GET /locator/locator/locator", &[], b"").await.status, 200);
    let (mut serials, mut after) = (Vec::new(), String::new());
    loop {
        let page = ask(control, &format!("GET /hubs?limit=700{after}"), &[], b"").await;
        let hubs = page.json();
        let hubs = hubs.as_array().unwrap();
        assert!(hubs.iter().all(|hub| hub["devices"] == hubs[0]["devices"] && hub["model"] == "h2.1"));
        serials.extend(hubs.iter().map(|hub| hub["serial"].as_str().unwrap().to_owned()));
        match page.head.contains("\r\nx-has-more: ") {
            true => after = format!("&after={}", serials.last().unwrap()),
            false => break,
        }
    }
    let all: Vec<String> = (90_000_001..=90_005_000).map(|serial: u32| serial.to_string()).collect();
    assert_eq!(serials, all);
    assert_eq!(created().await, before);
    for query in ["after=x", "limit=0", "limit=1001", "limit=x"] {
        assert_eq!(ask(control, &format!("GET /hubs?{query}"), &[], b"").await.status, 400, "{query}");
    }
}
