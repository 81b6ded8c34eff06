//! The same view of a cluster from every process, and what a process without the server does.

use ezlo_testkit::{Control, http as ask};

use super::*;
use crate::seed::Program;

fn control(program: &Program) -> Control {
    Control::at(program.ready["control"].as_str().unwrap())
}

fn stop(programs: impl IntoIterator<Item = Program>) {
    for program in programs {
        program.stop("-TERM");
    }
}

/// Returns the serials of the locator, and the state of a hub in its record, at one process.
async fn seen(program: &Program, hub: &str) -> (bool, i64) {
    let located = ask(address(url(program)), "GET /locator/locator/locator", &[], b"").await.json();
    let devices = located["Devices"].as_array().unwrap();
    let is_located = devices.iter().any(|device| device["PK_Device"].to_string().trim_matches('"') == hub);
    let account = logged_in(program, "demo.user", "demo-password").await;
    let record = within(account.hub_record(&serial(hub))).await.unwrap();
    (is_located, i64::from(record.is_online() == Some(true)))
}

/// The state of a hub changes in one process, and all processes show it (robustness trial, K1).
#[tokio::test]
async fn state_of_a_hub_is_the_same_in_every_process() {
    let nats = Nats::start("cluster-views").await;
    let programs = [nats.node(), nats.node(), nats.node()];
    drop(app(&programs[0], HUB).await);
    for program in &programs {
        assert_eq!(seen(program, HUB).await, (true, 1));
    }
    control(&programs[1]).hub(HUB, "offline", json!({"offline": true})).await.unwrap();
    for program in &programs {
        assert_eq!(seen(program, HUB).await, (true, 0), "the relay lost the hub");
        let hubs = control(program).hubs().await.unwrap();
        let entry = hubs.as_array().or(hubs["hubs"].as_array()).unwrap();
        let entry = entry.iter().find(|entry| entry["serial"] == HUB).unwrap();
        assert_eq!(entry["online"], false);
    }
    control(&programs[1]).hub(HUB, "offline", json!({"offline": false})).await.unwrap();
    // A hub that is a process of its own is online everywhere.
    let mut board = Socket::connect(address(url(&programs[0]))).await;
    let register = json!({"id": "r", "method": "register", "params": {"serial": "92000001", "firmware": "3.x",
        "hubType": "32.1", "controller_uuid": "00000000-0000-4000-8000-000000000001",
        "mac_address": "AA:BB:CC:00:00:03"}});
    assert_eq!(within(board.ask(register.to_string())).await["method"], "registered");
    for program in &programs {
        assert_eq!(seen(program, "92000001").await.1, 1);
    }
    stop(programs);
}

/// Forks, snapshots and exports have the present state of hubs that are active elsewhere (robustness trial, K2).
#[tokio::test]
async fn forks_and_exports_have_the_state_of_hubs_elsewhere() {
    let nats = Nats::start("cluster-forks").await;
    let (first, second) = (nats.node(), nats.node());
    let mut home = app(&first, HUB).await;
    let created = answer(&mut home, "1", "hub.room.create", json!({"name": "Attic"})).await;
    assert_eq!(created["error"], Value::Null, "{created}");
    let exported = control(&second).export(0).await.unwrap();
    assert!(exported.to_string().contains("Attic"), "the export is old");
    let (_, fork) = control(&second).fork(0).await.unwrap();
    let pair = logged_in(&second, "demo.user", "demo-password").await.session().await.unwrap().pair().clone();
    let mut socket = Socket::connect(address(fork["http"].as_str().unwrap())).await;
    assert_eq!(socket.ask(login_text(&pair)).await["error"], Value::Null);
    assert_eq!(socket.ask(register_text(&json!(HUB))).await["method"], "registered");
    assert!(rooms(&mut socket).await.contains(&"Attic".to_owned()), "the fork is old");
    stop([first, second]);
}

/// User, password and token of the URL are used, and no log shows them (robustness trial, K3 and K4).
#[tokio::test]
async fn credentials_in_the_url_are_used_and_never_logged() {
    for (name, server, user) in [
        ("cluster-password", &["--user", "u", "--pass", "canary/pw"][..], "u:canary%2Fpw@"),
        ("cluster-token", &["--auth", "canary-token"][..], "canary-token@"),
    ] {
        let nats = Nats::start_with(name, server).await;
        let with_user = nats.url.replace("nats://", &format!("nats://{user}"));
        let log = nats.folder.0.join("log");
        let program = Program::start_with_log(&["--cluster", &with_user, "--log", "trace"], &log);
        assert_eq!(ask(address(url(&program)), "GET /locator/locator/locator", &[], b"").await.status, 200);
        program.stop("-TERM");
        let text = std::fs::read_to_string(&log).unwrap();
        assert!(!text.is_empty() && !text.contains("canary"), "{name}");
        let (code, _, stderr) = crate::support::mock_cloud(&["serve", "--cluster", &nats.url]);
        assert!(code == Some(1) && stderr.contains("cannot join the cluster"), "{code:?}: {stderr}");
    }
}

/// A process that the server does not hear gives up its hubs, so that no two processes run them (robustness trial, K5).
#[tokio::test]
async fn process_that_is_cut_off_from_the_server_gives_its_hubs_up() {
    let nats = Nats::start("cluster-cut").await;
    let program = nats.node();
    let mut app_here = app(&program, HUB).await;
    nats.signal("-STOP");
    loop {
        match within(app_here.next()).await {
            Came::Json(_) => {}
            Came::Closed(_) | Came::Gone => break,
            other => panic!("unexpected message: {other:?}"),
        }
    }
    nats.signal("-CONT");
    let mut again = within(async {
        loop {
            let pair = logged_in(&program, "demo.user", "demo-password").await.session().await.unwrap().pair().clone();
            let mut socket = Socket::connect(address(url(&program))).await;
            assert_eq!(socket.ask(login_text(&pair)).await["error"], Value::Null);
            if socket.ask(register_text(&json!(HUB))).await["method"] == "registered" {
                break socket;
            }
        }
    })
    .await;
    assert!(!rooms(&mut again).await.is_empty());
    stop([program]);
}

/// The next process begins anew if the first one ends before the initial state is complete (robustness trial, K8).
#[tokio::test]
async fn initial_state_is_written_by_the_next_process_after_a_kill() {
    let nats = Nats::start("cluster-begin").await;
    let world = nats.folder.0.join("many.toml");
    let demo = "[[users]]\nusername = \"demo.user\"\npassword = \"demo-password\"\nemail = \"d@example.com\"\naccount = 1200001\nuser = 2800001\n";
    let hubs = "[[hubs]]\nserial = \"80000001\"\nmac = \"AA:BB:CC:10:00:01\"\nkind = \"linux\"\nmodel = \"h2.1\"\nowner = \"demo.user\"\ncopies = 20000\n";
    std::fs::write(&world, format!("{demo}{hubs}")).unwrap();
    let arguments = ["serve", "--cluster", &nats.url, "--world", world.to_str().unwrap()];
    let mut first = Command::new(crate::program()).args(arguments).stdout(Stdio::null()).spawn().unwrap();
    let beginning = nats.url.clone();
    // The bucket of leases exists as soon as the first process begins.
    within(async {
        while !nats.has_streams() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    first.kill().unwrap();
    first.wait().unwrap();
    let second = Program::start(&["--cluster", &beginning, "--world", world.to_str().unwrap()]);
    let account = logged_in(&second, "demo.user", "demo-password").await;
    assert_eq!(within(account.hubs()).await.unwrap().len(), 20_000);
    stop([second]);
}

/// A call that makes a hub too large for the server is refused and changes nothing (robustness trial, K9).
#[tokio::test]
async fn call_that_makes_a_hub_too_large_is_refused() {
    let nats = Nats::start("cluster-large").await;
    let program = nats.node();
    let mut socket = app(&program, HUB).await;
    // Text that does not compress.
    let noise = |seed: u64| ezlo_mock_cloud::random::Random::new(seed).hex(300_000);
    let mut refused = None;
    for seed in 0..12 {
        let scene = json!({"name": format!("s{seed}"), "enabled": false, "when": [], "then": [], "meta": {"text": noise(seed)}});
        let reply = answer(&mut socket, &seed.to_string(), "hub.scenes.create", scene).await;
        if !reply["error"].is_null() {
            refused = Some(reply["error"]["reason"].as_str().unwrap_or_default().to_owned());
            break;
        }
    }
    assert!(refused.is_some_and(|reason| reason.contains("maximum payload")), "no scene was refused");
    let created = answer(&mut socket, "room", "hub.room.create", json!({"name": "Attic"})).await;
    assert_eq!(created["error"], Value::Null, "the hub goes on: {created}");
    stop([program]);
}

/// Faults of calls act in the process of the hub; elsewhere they are refused (robustness trial, K10).
#[tokio::test]
async fn faults_of_calls_are_refused_where_they_would_never_act() {
    let nats = Nats::start("cluster-faults").await;
    let (first, second) = (nats.node(), nats.node());
    drop(app(&first, HUB).await);
    let mut far = app(&second, HUB).await;
    let fault = json!({"fault": "rpc_error", "code": -1, "data": "x", "match": {"hub": HUB}});
    let refused = control(&second).add_fault(fault.clone()).await.unwrap_err();
    assert!(refused.text.contains("another process has hub"), "{}", refused.text);
    let unnamed = control(&first).add_fault(json!({"fault": "drop_reply"})).await.unwrap_err();
    assert!(unnamed.text.contains("match.hub"), "{}", unnamed.text);
    control(&first).add_fault(fault).await.unwrap();
    let reply = answer(&mut far, "1", "hub.room.list", json!({})).await;
    assert_eq!(reply["error"]["data"], "x");
    stop([first, second]);
}
