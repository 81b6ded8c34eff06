//! Hubs that move between processes, and control calls for hubs of other processes.

use std::time::Duration;

use ezlo_mock_cloud::journal::{EntryKind, Filter};
use ezlo_protocol::hub::scene::{SceneBuilder, daily_at, http_get};
use ezlo_testkit::{Control, http};

use super::*;

fn control(program: &Program) -> Control {
    Control::at(program.ready["control"].as_str().unwrap())
}

fn stop(programs: impl IntoIterator<Item = Program>) {
    for program in programs {
        program.stop("-TERM");
    }
}

/// Connects a hub outside the simulator to a process.
async fn controller(program: &Program, hub: &str, mac: &str) -> Socket {
    let mut socket = Socket::connect(address(url(program))).await;
    let register = json!({"id": "_", "method": "register", "params": {"serial": hub, "firmware": "3.x",
        "timeOffset": 0, "media": "radio", "hubType": "32.1", "mac_address": mac,
        "controller_uuid": "00000000-0000-4000-8000-000000000001", "maxFrameSize": 20480}});
    assert_eq!(within(socket.ask(register.to_string())).await["method"], "registered");
    socket
}

/// Sends one call as the user and replies to it as the hub.
async fn relay_one(user: &mut Socket, hub: &mut Socket) {
    user.text(r#"{"id":"a","method":"hub.info.get","params":{}}"#).await;
    let call = loop {
        let frame = within(hub.json()).await;
        if frame["method"] == "hub.info.get" {
            break frame;
        }
    };
    let reply = json!({"id": "a", "method": "hub.info.get", "error": null, "result": {}, "sender": call["sender"]});
    hub.text(reply.to_string()).await;
    assert_eq!(within(user.json()).await, reply);
}

#[tokio::test]
async fn control_calls_are_forwarded_to_the_process_of_the_hub() {
    let nats = Nats::start("cluster-people").await;
    let (first, second) = (nats.node(), nats.node());
    let mut user = app(&first, HUB).await;
    let far = control(&second);
    within(far.hub(HUB, "trip", json!({"device": "Front door"}))).await.unwrap();
    let broadcast = within(user.json()).await;
    assert_eq!(
        (&broadcast["msg_subclass"], &broadcast["result"]["value"]),
        (&json!("hub.item.updated"), &json!("dw_is_opened"))
    );
    let refused = within(far.hub(HUB, "trip", json!({"device": "Missing device"}))).await.unwrap_err();
    assert!(refused.status == 404 && refused.text.contains("Missing device"), "{refused:?}");
    let refused = within(far.hub("99999999", "reboot", json!({}))).await.unwrap_err();
    assert_eq!(refused.status, 404, "{refused:?}");
    // A hub that has not been used yet belongs to no process and can be controlled from any of them.
    within(far.hub("90000002", "setup-fault", json!({"fault": null}))).await.unwrap();

    let ap = |program: &Program| address(program.ready["hubs"][1]["ap"].as_str().unwrap());
    assert_eq!(http(ap(&second), "GET /wifi/status", &[], b"").await.status, 200);
    let refused = http(ap(&first), "GET /wifi/status", &[], b"").await;
    assert_eq!(refused.status, 503, "{}", refused.body);

    for refused in [within(far.reset(0)).await, within(far.restore(0, "before")).await] {
        assert_eq!(refused.unwrap_err().status, 409);
    }
    stop([first, second]);
}

/// A hub that connects to another process as a controller has all changes that were acknowledged before.
#[tokio::test]
async fn hub_moves_to_the_process_of_its_controller() {
    let nats = Nats::start("cluster-along").await;
    let (first, second) = (nats.node(), nats.node());
    let mut user = app(&first, HUB).await;
    let created = answer(&mut user, "1", "hub.room.create", json!({"name": "Attic"})).await;
    assert_eq!(created["error"], Value::Null, "{created}");
    let mut hub = controller(&second, HUB, "AA:BB:CC:00:00:01").await;
    loop {
        // The user's connection is closed, so that it reconnects to the hub's new process.
        match within(user.next()).await {
            Came::Closed(_) | Came::Gone => break,
            _ => {}
        }
    }
    relay_one(&mut app(&first, HUB).await, &mut hub).await;
    drop(hub);
    let mut user = app(&second, HUB).await;
    within(async {
        // Repeats until the second process has noticed that the controller disconnected.
        while answer(&mut user, "2", "hub.room.create", json!({"name": "Cellar"})).await["error"] != Value::Null {}
    })
    .await;
    let names = rooms(&mut app(&first, HUB).await).await;
    assert!(names.contains(&"Attic".into()) && names.contains(&"Cellar".into()), "{names:?}");
    stop([first, second]);
}

/// A hub that registered itself is known in every process, even after the kill of the process that it was connected to.
#[tokio::test]
async fn controller_reconnects_to_another_process_after_a_kill() {
    let nats = Nats::start("cluster-again").await;
    let (first, second, third) = (nats.node(), nats.node(), nats.node());
    let mut hub = controller(&first, "92000001", "AA:BB:CC:00:00:03").await;
    relay_one(&mut app(&second, "92000001").await, &mut hub).await;
    let claimed = controller(&first, "97000001", "AA:BB:CC:00:00:77").await;
    let owner = logged_in(&third, "demo.user", "demo-password").await;
    within(owner.claim(&serial("97000001"), "AA:BB:CC:00:00:77".parse().unwrap())).await.unwrap();
    first.stop("-KILL");
    drop(claimed);
    let mut hub = controller(&second, "92000001", "AA:BB:CC:00:00:03").await;
    relay_one(&mut app(&third, "92000001").await, &mut hub).await;
    let mut claimed = controller(&third, "97000001", "AA:BB:CC:00:00:77").await;
    relay_one(&mut app(&second, "97000001").await, &mut claimed).await;
    stop([second, third]);
}

/// A clean shutdown releases hubs without the delay that applies to unreachable processes.
#[tokio::test]
async fn hubs_are_available_at_once_after_a_clean_shutdown() {
    let nats = Nats::start("cluster-leave").await;
    let (first, second) = (nats.node(), nats.node());
    let mut user = app(&first, HUB).await;
    let created = answer(&mut user, "1", "hub.room.create", json!({"name": "Attic"})).await;
    assert_eq!(created["error"], Value::Null, "{created}");
    first.stop("-TERM");
    assert!(rooms(&mut app(&second, HUB).await).await.contains(&"Attic".into()));
    second.stop("-TERM");
}

/// Timed scenes run only in the process of their hub.
#[tokio::test]
async fn timed_scene_runs_once_in_a_cluster() {
    let nats = Nats::start("cluster-timers").await;
    let first = nats.node();
    let mut user = app(&first, HUB).await;
    // Scenes never reach the ports of their own process.
    let receiver = crate::support::frozen().await;
    let scene = SceneBuilder::new("Call")
        .when(daily_at("12:00".parse().unwrap()))
        .then(http_get(&format!("{}/scene", receiver.ready().http)));
    let scene = ezlo_protocol::wire::to_value(&scene.build().unwrap());
    assert_eq!(answer(&mut user, "2", "hub.scenes.create", scene).await["error"], Value::Null);
    // These processes read the scene when they start.
    let (second, third) = (nats.node(), nats.node());
    for node in [&second, &third, &first] {
        within(control(node).advance(86_400.0)).await.unwrap();
    }
    let calls = Filter::kind(EntryKind::Request).name("/scene");
    assert!(receiver.expect_within(&calls, Duration::from_secs(20)).await.is_some());
    // A few round trips give a duplicate call of another process the time to arrive.
    app(&second, HUB).await;
    let calls = receiver.journal(&calls);
    assert_eq!(calls.len(), 1, "{calls:?}");
    stop([first, second, third]);
}

/// A change that was pending when the NATS server stopped is written once after the restart.
#[tokio::test]
async fn pending_change_is_written_once_after_a_nats_restart() {
    let mut nats = Nats::start("cluster-restart").await;
    let (first, second) = (nats.node(), nats.node());
    let (mut near, mut far) = (app(&first, HUB).await, app(&second, HUB).await);
    nats.kill();
    let create = json!({"id": "create", "method": "hub.room.create", "params": {"name": "Attic"}}).to_string();
    near.text(create).await;
    nats.start_again();
    loop {
        // The reply is sent when the change has been written.
        let frame = within(near.json()).await;
        if frame["id"] == "create" {
            assert_eq!(frame["error"], Value::Null, "{frame}");
            break;
        }
    }
    // Broadcasts may be missing in the other process, so it closes its apps.
    loop {
        match within(far.next()).await {
            Came::Closed(code) => break assert_eq!(code, 1012),
            Came::Gone => panic!("the connection ended without a close frame"),
            _ => {}
        }
    }
    let names = within(async {
        loop {
            let pair = logged_in(&second, "demo.user", "demo-password").await.session().await.unwrap().pair().clone();
            let mut socket = Socket::connect(address(url(&second))).await;
            assert_eq!(socket.ask(login_text(&pair)).await["error"], Value::Null);
            // Repeats until the processes are connected to each other again.
            if socket.ask(register_text(&json!(HUB))).await["method"] == "registered" {
                break rooms(&mut socket).await;
            }
        }
    })
    .await;
    assert_eq!(names.iter().filter(|name| *name == "Attic").count(), 1, "{names:?}");
    stop([first, second]);
}
