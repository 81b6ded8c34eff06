//! Hubs that move from one process to another, and what is done to hubs elsewhere.

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

/// A process that speaks for a hub.
async fn controller(program: &Program, hub: &str, mac: &str) -> Socket {
    let mut socket = Socket::connect(address(url(program))).await;
    let register = json!({"id": "_", "method": "register", "params": {"serial": hub, "firmware": "3.x",
        "timeOffset": 0, "media": "radio", "hubType": "32.1", "mac_address": mac,
        "controller_uuid": "00000000-0000-4000-8000-000000000001", "maxFrameSize": 20480}});
    assert_eq!(within(socket.ask(register.to_string())).await["method"], "registered");
    socket
}

/// Answers one call, as a hub does.
async fn relay_one(user: &mut Socket, hub: &mut Socket) {
    user.text(r#"{"id":"a","method":"hub.info.get","params":{}}"#).await;
    let call = loop {
        let frame = within(hub.json()).await;
        if frame["method"] == "hub.info.get" {
            break frame;
        }
    };
    let told = json!({"id": "a", "method": "hub.info.get", "error": null, "result": {}, "sender": call["sender"]});
    hub.text(told.to_string()).await;
    assert_eq!(within(user.json()).await, told);
}

#[tokio::test]
async fn what_people_do_at_a_hub_is_done_where_it_lives() {
    let nats = Nats::start("cluster-people").await;
    let (first, second) = (nats.node(), nats.node());
    let mut user = app(&first, HUB).await;
    let far = control(&second);
    within(far.hub(HUB, "trip", json!({"device": "Front door"}))).await.unwrap();
    let told = within(user.json()).await;
    assert_eq!((&told["msg_subclass"], &told["result"]["value"]), (&json!("hub.item.updated"), &json!("dw_is_opened")));
    let refused = within(far.hub(HUB, "trip", json!({"device": "Nobody"}))).await.unwrap_err();
    assert!(refused.status == 404 && refused.text.contains("Nobody"), "{refused:?}");
    let refused = within(far.hub("99999999", "reboot", json!({}))).await.unwrap_err();
    assert_eq!(refused.status, 404, "{refused:?}");
    // Nobody lives elsewhere who was never there.
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

/// A hub whose own process comes to another node has everything that was acknowledged at the one before.
#[tokio::test]
async fn a_controller_takes_its_hub_along() {
    let nats = Nats::start("cluster-along").await;
    let (first, second) = (nats.node(), nats.node());
    let mut user = app(&first, HUB).await;
    let made = answer(&mut user, "1", "hub.room.create", json!({"name": "Attic"})).await;
    assert_eq!(made["error"], Value::Null, "{made}");
    let mut hub = controller(&second, HUB, "AA:BB:CC:00:00:01").await;
    loop {
        // The user is sent to where the hub lives now.
        match within(user.next()).await {
            Came::Closed(_) | Came::Gone => break,
            _ => {}
        }
    }
    relay_one(&mut app(&first, HUB).await, &mut hub).await;
    drop(hub);
    let mut user = app(&second, HUB).await;
    within(async {
        // Until the second has seen that the controller went.
        while answer(&mut user, "2", "hub.room.create", json!({"name": "Cellar"})).await["error"] != Value::Null {}
    })
    .await;
    let there = rooms(&mut app(&first, HUB).await).await;
    assert!(there.contains(&"Attic".into()) && there.contains(&"Cellar".into()), "{there:?}");
    stop([first, second]);
}

/// A hub that brought itself is known everywhere, also when the process it came to is gone.
#[tokio::test]
async fn a_controller_comes_again_elsewhere() {
    let nats = Nats::start("cluster-again").await;
    let (first, second, third) = (nats.node(), nats.node(), nats.node());
    let mut hub = controller(&first, "92000001", "AA:BB:CC:00:00:03").await;
    relay_one(&mut app(&second, "92000001").await, &mut hub).await;
    let strange = controller(&first, "97000001", "AA:BB:CC:00:00:77").await;
    let owner = logged_in(&third, "demo.user", "demo-password").await;
    within(owner.claim(&serial("97000001"), "AA:BB:CC:00:00:77".parse().unwrap())).await.unwrap();
    first.stop("-KILL");
    drop(strange);
    let mut hub = controller(&second, "92000001", "AA:BB:CC:00:00:03").await;
    relay_one(&mut app(&third, "92000001").await, &mut hub).await;
    let mut strange = controller(&third, "97000001", "AA:BB:CC:00:00:77").await;
    relay_one(&mut app(&second, "97000001").await, &mut strange).await;
    stop([second, third]);
}

/// Whoever ends in order leaves nobody waiting until it counts as gone.
#[tokio::test]
async fn hubs_of_a_process_that_ended_are_anybodys_at_once() {
    let nats = Nats::start("cluster-leave").await;
    let (first, second) = (nats.node(), nats.node());
    let mut user = app(&first, HUB).await;
    let made = answer(&mut user, "1", "hub.room.create", json!({"name": "Attic"})).await;
    assert_eq!(made["error"], Value::Null, "{made}");
    first.stop("-TERM");
    assert!(rooms(&mut app(&second, HUB).await).await.contains(&"Attic".into()));
    second.stop("-TERM");
}

/// Scenes at a time run where their hub lives, and nowhere else.
#[tokio::test]
async fn what_happens_by_itself_happens_once() {
    let nats = Nats::start("cluster-timers").await;
    let first = nats.node();
    let mut user = app(&first, HUB).await;
    let scene = SceneBuilder::new("Call")
        .when(daily_at("12:00".parse().unwrap()))
        .then(http_get(&format!("{}/scene", url(&first))));
    let scene = ezlo_protocol::wire::to_value(&scene.build().unwrap());
    assert_eq!(answer(&mut user, "2", "hub.scenes.create", scene).await["error"], Value::Null);
    // They know of the scene from their beginning.
    let (second, third) = (nats.node(), nats.node());
    for node in [&second, &third, &first] {
        within(control(node).advance(86_400.0)).await.unwrap();
    }
    let call = json!({"kind": "request", "name": "/scene"});
    within(control(&first).expect(call, 20.0)).await.unwrap();
    // Whoever else would have called has had the time of a few round trips more.
    app(&second, HUB).await;
    let calls = within(control(&first).journal("kind=request&name=/scene")).await.unwrap();
    assert_eq!(calls.len(), 1, "{calls:?}");
    stop([first, second, third]);
}

/// What was on its way when the server went is written when it is there again, once, and nobody has to come again for it.
#[tokio::test]
async fn a_server_that_is_restarted_loses_nothing() {
    let mut nats = Nats::start("cluster-restart").await;
    let (first, second) = (nats.node(), nats.node());
    let (mut at_home, mut elsewhere) = (app(&first, HUB).await, app(&second, HUB).await);
    nats.kill();
    let made = json!({"id": "made", "method": "hub.room.create", "params": {"name": "Attic"}}).to_string();
    at_home.text(made).await;
    nats.start_again();
    loop {
        // Acknowledged once it is written.
        let frame = within(at_home.json()).await;
        if frame["id"] == "made" {
            assert_eq!(frame["error"], Value::Null, "{frame}");
            break;
        }
    }
    // What another process heard may have a gap: it is told to come again.
    loop {
        match within(elsewhere.next()).await {
            Came::Closed(code) => break assert_eq!(code, 1012),
            Came::Gone => panic!("without a word"),
            _ => {}
        }
    }
    let there = within(async {
        loop {
            let pair = logged_in(&second, "demo.user", "demo-password").await.session().await.unwrap().pair().clone();
            let mut socket = Socket::connect(address(url(&second))).await;
            assert_eq!(socket.ask(login_text(&pair)).await["error"], Value::Null);
            // Until the two hear each other again.
            if socket.ask(register_text(&json!(HUB))).await["method"] == "registered" {
                break rooms(&mut socket).await;
            }
        }
    })
    .await;
    assert_eq!(there.iter().filter(|name| *name == "Attic").count(), 1, "{there:?}");
    stop([first, second]);
}
