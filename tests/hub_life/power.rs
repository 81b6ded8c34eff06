//! A hub without power, and what people and things around it do.

use super::*;

/// The hub's answers to control calls, and whether it is online.
async fn post(house: &House, call: &str, body: Value) -> (u16, Value) {
    let control = address(&house.cloud.ready().control);
    let answer = ask(control, &format!("POST /hubs/{HUB}/{call}"), &[], body.to_string().as_bytes()).await;
    (answer.status, answer.json())
}

async fn about(house: &House) -> (Value, Value) {
    let control = address(&house.cloud.ready().control);
    let mut about = ask(control, &format!("GET /hubs/{HUB}"), &[], b"").await.json();
    (about["online"].take(), about["unplugged"].take())
}

#[tokio::test]
async fn nothing_happens_without_power_and_then_it_does() {
    let mut house = House::new().await;
    let at_nine = SceneBuilder::new("At nine")
        .when(daily_at("09:00".parse().unwrap()))
        .then(set_item(house.id("Plug/switch"), true));
    house.create(at_nine).await;
    house.good("hub.modes.switch", json!({"modeId": "2"})).await;
    assert_eq!(post(&house, "unplug", json!({})).await.0, 200);
    assert_eq!(about(&house).await, (json!(false), json!(true)));
    for (call, wish) in [
        ("trip", json!({"device": "Front door"})),
        ("press", json!({"device": "Plug"})),
        ("report", json!({"device": "Front door", "item": "battery", "value": 5})),
        ("reachable", json!({"device": "Front door", "reachable": false})),
    ] {
        let (status, said) = post(&house, call, wish).await;
        assert!(status == 409 && said["error"] == "the hub has no power; plug it in first", "{call}: {status} {said}");
    }
    let told = house.heard(26 * 60 * MINUTE).await;
    let before = r#"hub.modes.switched from="1" to="2" status="begin" switchToDelay=30"#;
    assert_eq!(told, [before, "EzloStateChanged"], "nothing is told for more than a day");
    let refused = house.call("hub.modes.current.get", json!({})).await;
    assert_eq!(refused["error"]["data"], "nma.ezlo.notconnected", "{refused}");

    assert_eq!(post(&house, "plug-in", json!({})).await.0, 200);
    assert_eq!(post(&house, "plug-in", json!({})).await.0, 200, "it is in already");
    house.heard(5 * MINUTE).await;
    assert_eq!(about(&house).await, (json!(true), json!(false)));
    let mode = house.call("hub.modes.current.get", json!({})).await;
    assert_eq!(mode["result"]["modeId"], "2", "the switch was overdue");
    let plug = house.id("Plug/switch").to_owned();
    assert_eq!(house.item(&plug).await, json!(false), "nine o'clock went by without power");
    house.heard(24 * 60 * MINUTE).await;
    assert_eq!(house.item(&plug).await, json!(true), "and came again the next day");
}

#[tokio::test]
async fn a_hub_comes_back_as_late_as_its_last_start_says() {
    let house = House::new().await;
    let restart = Duration::from_millis(Config::default().assumptions.restart_ms);
    assert_eq!(post(&house, "reboot", json!({})).await.0, 200);
    house.cloud.advance(restart / 2).await;
    assert_eq!(post(&house, "unplug", json!({})).await.0, 200);
    house.cloud.advance(restart / 4).await;
    assert_eq!(post(&house, "plug-in", json!({})).await.0, 200);
    house.cloud.advance(restart / 2).await;
    assert_eq!(about(&house).await.0, json!(false), "the first start was lost with the power");
    house.cloud.advance(restart).await;
    assert_eq!(about(&house).await, (json!(true), json!(false)));
}

/// A restart that was under way in a state that is put back goes on as long as it had to, also when the time is another.
#[tokio::test]
async fn a_restart_that_is_put_back_comes_to_its_end() {
    let house = House::new().await;
    assert_eq!(post(&house, "reboot", json!({})).await.0, 200);
    let state = house.cloud.snapshot();
    house.cloud.restore(&state);
    house.cloud.advance(24 * 60 * MINUTE).await;
    assert_eq!(about(&house).await.0, json!(true));
    let copy = house.cloud.fork().await.unwrap();
    copy.advance(24 * 60 * MINUTE).await;
    copy.hub(HUB).unwrap().restart();
    house.cloud.restore(&copy.snapshot());
    assert_eq!(about(&house).await.0, json!(false));
    house.cloud.advance(MINUTE).await;
    assert_eq!(about(&house).await.0, json!(true), "the copy was a day ahead");
}

#[tokio::test]
async fn sensors_are_tripped_and_buttons_pressed() {
    let mut house = House::by_hand().await;
    assert_eq!(post(&house, "trip", json!({"device": "Front door"})).await.0, 200);
    assert_eq!(post(&house, "trip", json!({"device": "Smoke sensor", "tripped": true})).await.0, 200);
    assert_eq!(post(&house, "trip", json!({"device": "Hall motion"})).await.0, 200);
    assert_eq!(post(&house, "trip", json!({"device": "Hall motion", "tripped": false})).await.0, 200);
    assert_eq!(post(&house, "press", json!({"device": "Plug"})).await.0, 200);
    assert_eq!(post(&house, "press", json!({"device": "Bedside buttons"})).await.0, 200);
    let told = house.heard(SECOND).await;
    snapshot("tripped_and_pressed", &told);

    for (call, wish, status, said) in [
        ("trip", json!({"device": "Plug"}), 400, "no sensor"),
        ("trip", json!({"device": "Nobody"}), 404, "Nobody"),
        ("press", json!({"device": "Front door"}), 400, "no button"),
        ("press", json!({"device": "Plug", "template": "switch"}), 400, "one of template and device"),
        ("press", json!({"template": "switch"}), 409, "idle"),
        ("offline", json!({"offline": "x"}), 400, "offline"),
        ("unplug", json!({"now": true}), 400, "now"),
    ] {
        let answer = post(&house, call, wish.clone()).await;
        let text = answer.1["error"].as_str().unwrap_or_default();
        assert!(answer.0 == status && text.contains(said), "{call} {wish}: {answer:?}");
    }
    run(&mut house, "start_include").await;
    assert_eq!(post(&house, "press", json!({"template": "switch"})).await.0, 200);
    let told = house.heard(MINUTE).await;
    assert!(told.iter().any(|line| line.contains("hub.device.added")), "{told:?}");
    run(&mut house, "start_exclude").await;
    assert_eq!(post(&house, "press", json!({"device": "Plug"})).await.0, 200);
    let told = house.heard(MINUTE).await;
    assert!(told.iter().any(|line| line.starts_with("hub.device.removed")), "{told:?}");
    assert_eq!(post(&house, "offline", json!({"offline": true})).await.0, 200);
    assert_eq!(about(&house).await.0, json!(false));
    assert_eq!(post(&house, "offline", json!({"offline": false})).await.0, 200);
    assert_eq!(about(&house).await.0, json!(true));
}
