//! Loss of power, restarts, and physical actions through the control API.

use ezlo_testkit::Came;

use super::*;

/// Sends a control call to the hub; returns status and body.
async fn post(house: &House, call: &str, body: Value) -> (u16, Value) {
    let control = address(&house.cloud.ready().control);
    let answer = ask(control, &format!("POST /hubs/{HUB}/{call}"), &[], body.to_string().as_bytes()).await;
    (answer.status, answer.json())
}

/// Returns whether the hub is online and whether it is unplugged.
async fn about(house: &House) -> (Value, Value) {
    let control = address(&house.cloud.ready().control);
    let mut about = ask(control, &format!("GET /hubs/{HUB}"), &[], b"").await.json();
    (about["online"].take(), about["unplugged"].take())
}

#[tokio::test]
async fn unplugged_hub_catches_up_after_it_is_plugged_in() {
    let mut house = House::new().await;
    let at_nine = SceneBuilder::new("At nine")
        .when(daily_at("09:00".parse().unwrap()))
        .then(set_item(house.id("Plug/switch"), true));
    house.create(at_nine).await;
    house.good("hub.modes.switch", json!({"modeId": "2"})).await;
    assert_eq!(post(&house, "unplug", json!({})).await.0, 200);
    assert_eq!(about(&house).await, (json!(true), json!(true)), "the relay has not noticed yet");
    for (call, body) in [
        ("trip", json!({"device": "Front door"})),
        ("press", json!({"device": "Plug"})),
        ("report", json!({"device": "Front door", "item": "battery", "value": 5})),
        ("reachable", json!({"device": "Front door", "reachable": false})),
    ] {
        let (status, reply) = post(&house, call, body).await;
        assert!(
            status == 409 && reply["error"] == "the hub has no power; plug it in first",
            "{call}: {status} {reply}"
        );
    }
    let lines = house.heard(26 * 60 * MINUTE).await;
    let before = r#"hub.modes.switched from="1" to="2" status="begin" switchToDelay=30"#;
    assert_eq!(lines, [before, "EzloStateChanged"], "no broadcast for more than a day");
    let refused = house.call("hub.modes.current.get", json!({})).await;
    assert_eq!(refused["error"]["data"], "nma.ezlo.notconnected", "{refused}");

    assert_eq!(post(&house, "plug-in", json!({})).await.0, 200);
    assert_eq!(post(&house, "plug-in", json!({})).await.0, 200, "a repeated plug-in is accepted");
    house.heard(5 * MINUTE).await;
    assert_eq!(about(&house).await, (json!(true), json!(false)));
    let mode = house.call("hub.modes.current.get", json!({})).await;
    assert_eq!(mode["result"]["modeId"], "2", "the overdue mode switch is done");
    let plug = house.id("Plug/switch").to_owned();
    assert_eq!(house.item(&plug).await, json!(false), "the time condition passed without power");
    house.heard(24 * 60 * MINUTE).await;
    assert_eq!(house.item(&plug).await, json!(true), "the time condition holds again the next day");
}

#[tokio::test]
async fn hub_returns_after_its_last_start() {
    let house = House::new().await;
    let restart = Duration::from_millis(Config::default().assumptions.restart_ms);
    assert_eq!(post(&house, "reboot", json!({})).await.0, 200);
    house.cloud.advance(restart / 2).await;
    assert_eq!(post(&house, "unplug", json!({})).await.0, 200);
    house.cloud.advance(restart / 4).await;
    assert_eq!(post(&house, "plug-in", json!({})).await.0, 200);
    house.cloud.advance(restart / 2).await;
    assert_eq!(about(&house).await.0, json!(false), "the first start ended with the power");
    house.cloud.advance(restart).await;
    assert_eq!(about(&house).await, (json!(true), json!(false)));
}

/// A restart in a restored snapshot takes its remaining time, also if the clock differs.
#[tokio::test]
async fn restored_restart_completes() {
    let house = House::new().await;
    assert_eq!(post(&house, "reboot", json!({})).await.0, 200);
    let state = house.cloud.snapshot();
    house.cloud.restore(&state);
    house.cloud.advance(24 * 60 * MINUTE).await;
    assert_eq!(about(&house).await.0, json!(true));
    let fork = house.cloud.fork().await.unwrap();
    fork.advance(24 * 60 * MINUTE).await;
    fork.hub(HUB).unwrap().restart();
    house.cloud.restore(&fork.snapshot());
    assert_eq!(about(&house).await.0, json!(false));
    house.cloud.advance(MINUTE).await;
    assert_eq!(about(&house).await.0, json!(true), "the clock of the fork was a day ahead");
}

#[tokio::test]
async fn control_api_trips_sensors_and_presses_buttons() {
    let mut house = House::by_hand().await;
    assert_eq!(post(&house, "trip", json!({"device": "Front door"})).await.0, 200);
    assert_eq!(post(&house, "trip", json!({"device": "Smoke sensor", "tripped": true})).await.0, 200);
    assert_eq!(post(&house, "trip", json!({"device": "Hall motion"})).await.0, 200);
    assert_eq!(post(&house, "trip", json!({"device": "Hall motion", "tripped": false})).await.0, 200);
    assert_eq!(post(&house, "press", json!({"device": "Plug"})).await.0, 200);
    assert_eq!(post(&house, "press", json!({"device": "Bedside buttons"})).await.0, 200);
    let lines = house.heard(SECOND).await;
    snapshot("tripped_and_pressed", &lines);

    for (call, body, status, expected) in [
        ("trip", json!({"device": "Plug"}), 400, "no sensor"),
        ("trip", json!({"device": "Nobody"}), 404, "Nobody"),
        ("press", json!({"device": "Front door"}), 400, "no button"),
        ("press", json!({"device": "Plug", "template": "switch"}), 400, "one of template and device"),
        ("press", json!({"template": "switch"}), 409, "idle"),
        ("offline", json!({"offline": "x"}), 400, "offline"),
        ("unplug", json!({"now": true}), 400, "now"),
    ] {
        let answer = post(&house, call, body.clone()).await;
        let text = answer.1["error"].as_str().unwrap_or_default();
        assert!(answer.0 == status && text.contains(expected), "{call} {body}: {answer:?}");
    }
    run(&mut house, "start_include").await;
    assert_eq!(post(&house, "press", json!({"template": "switch"})).await.0, 200);
    let lines = house.heard(MINUTE).await;
    assert!(lines.iter().any(|line| line.contains("hub.device.added")), "{lines:?}");
    run(&mut house, "start_exclude").await;
    assert_eq!(post(&house, "press", json!({"device": "Plug"})).await.0, 200);
    let lines = house.heard(MINUTE).await;
    assert!(lines.iter().any(|line| line.starts_with("hub.device.removed")), "{lines:?}");
    assert_eq!(post(&house, "offline", json!({"offline": true})).await.0, 200);
    assert_eq!(about(&house).await.0, json!(false));
    assert_eq!(post(&house, "offline", json!({"offline": false})).await.0, 200);
    assert_eq!(about(&house).await.0, json!(true));
}

/// A hub without power says no goodbye: local connections go silent, and the relay notices by its keep-alive (public reports).
#[tokio::test]
async fn unplugged_hub_sends_nothing_until_the_relay_notices() {
    let mut house = House::new().await;
    house.good("hub.offline.insecure_access.enabled.set", json!({"enabled": true})).await;
    house.good("hub.offline.anonymous_access.enabled.set", json!({"enabled": true})).await;
    assert_eq!(post(&house, "reboot", json!({})).await.0, 200);
    house.heard(MINUTE).await;
    let local = address(house.cloud.ready().hubs[0].lan.as_deref().unwrap());
    let info = r#"{"id":1,"method":"hub.info.get","params":{}}"#;
    let mut guest = Socket::connect(local).await;
    assert_eq!(guest.ask(info).await["result"]["serial"], HUB);

    assert_eq!(post(&house, "unplug", json!({})).await.0, 200);
    guest.text(info).await;
    house.socket.text(json!({"id": "lost", "method": "hub.info.get", "params": {}}).to_string()).await;
    house.cloud.advance(59 * SECOND).await;
    assert_eq!(about(&house).await.0, json!(true));
    let lines = house.heard(2 * SECOND).await;
    assert_eq!(lines, ["EzloStateChanged"], "the lost call has no reply");
    assert_eq!(about(&house).await.0, json!(false));
    assert_eq!(house.call("hub.info.get", json!({})).await["error"]["data"], "nma.ezlo.notconnected");

    assert_eq!(post(&house, "plug-in", json!({})).await.0, 200);
    house.cloud.advance(MINUTE).await;
    let end = within(guest.next()).await;
    assert!(matches!(end, Came::Gone), "no reply and no close frame: {end:?}");
    assert_eq!(Socket::connect(local).await.ask(info).await["result"]["serial"], HUB);
}

/// A hub that has power again before the relay notices never went away for its clients.
#[tokio::test]
async fn short_loss_of_power_is_not_noticed_by_the_relay() {
    let mut house = House::new().await;
    assert_eq!(post(&house, "unplug", json!({})).await.0, 200);
    house.cloud.advance(10 * SECOND).await;
    assert_eq!(post(&house, "plug-in", json!({})).await.0, 200);
    let lines = house.heard(2 * MINUTE).await;
    assert!(!lines.contains(&"EzloStateChanged".to_owned()), "{lines:?}");
    house.good("hub.info.get", json!({})).await;
}

/// Whether a mode switch survives a restart is not known, so it is an assumption.
#[tokio::test]
async fn mode_switch_survives_a_restart_by_assumption() {
    for survives in [true, false] {
        let builder = MockCloud::builder()
            .clock(Clock::frozen(START))
            .assumptions(|assumptions| assumptions.mode_switch_survives_restart = survives);
        let mut house = House::of(started(builder).await).await;
        house.good("hub.modes.switch", json!({"modeId": "2"})).await;
        assert_eq!(post(&house, "reboot", json!({})).await.0, 200);
        house.heard(5 * MINUTE).await;
        let mode = house.call("hub.modes.current.get", json!({})).await["result"]["modeId"].clone();
        assert_eq!(mode, if survives { "2" } else { "1" });
    }
}
