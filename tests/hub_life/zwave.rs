//! Inclusion and exclusion, plain and with keys.

use super::*;

#[tokio::test]
async fn inclusion_plain() {
    let mut house = House::by_hand().await;
    let mut told = run(&mut house, "start_include").await;
    house.cloud.hub(HUB).unwrap().press_include("power_strip").unwrap();
    told.extend(house.heard(SECOND).await);
    snapshot("inclusion_of_a_multi_channel_device", &told);
    house.look().await;
    let strip =
        house.devices.as_array().unwrap().iter().find(|device| device["deviceTypeId"] == "134_3_11").unwrap().clone();
    let parts = house.devices.as_array().unwrap().iter().filter(|device| device["parentDeviceId"] == strip["_id"]);
    assert_eq!(parts.count(), 4);
    let mut told = run(&mut house, "start_exclude").await;
    house.cloud.hub(HUB).unwrap().press_exclude(strip["name"].as_str().unwrap()).unwrap();
    told.extend(house.heard(SECOND).await);
    snapshot("exclusion_of_a_multi_channel_device", &told);
}

#[tokio::test]
async fn inclusion_with_security() {
    let mut house = House::by_hand().await;
    let hub = house.cloud.hub(HUB).unwrap();
    let mut told = run(&mut house, "start_include").await;
    hub.press_include("door_lock").unwrap();
    told.extend(house.heard(SECOND).await);
    told.extend(run(&mut house, "start_include").await);
    let modes = json!({"script": "HUB:zwave/scripts/set_authentication_mode", "scriptParams": {"modes": ["accessControl", "unauthenticated"]}});
    told.extend(house.transcript("hub.extensions.plugin.run", modes.clone(), SECOND).await);
    let label = hub.device_specific_key().unwrap();
    let key: u64 = label.split('-').next().unwrap().parse().unwrap();
    let right = |key: u64| json!({"script": "HUB:zwave/scripts/set_device_specific_key", "scriptParams": {"key": key}});
    told.extend(house.transcript("hub.extensions.plugin.run", right(key), SECOND).await);
    snapshot("inclusion_with_a_device_specific_key", &told);

    run(&mut house, "start_include").await;
    hub.press_include("door_lock").unwrap();
    house.heard(SECOND).await;
    house.good("hub.extensions.plugin.run", modes.clone()).await;
    let told = house.transcript("hub.extensions.plugin.run", right(key ^ 1), SECOND).await;
    snapshot("inclusion_with_a_wrong_key", &told);

    run(&mut house, "start_include").await;
    hub.press_include("keypad").unwrap();
    house.heard(SECOND).await;
    let told = house.transcript("hub.extensions.plugin.run", modes, SECOND).await;
    snapshot("inclusion_of_a_device_with_keys", &told);

    run(&mut house, "start_include").await;
    hub.press_include("door_lock").unwrap();
    let told = house.heard(2 * MINUTE).await;
    snapshot("inclusion_nobody_chose", &told);
    let mut told = run(&mut house, "start_include").await;
    told.extend(house.heard(2 * MINUTE).await);
    snapshot("inclusion_nobody_pressed", &told);
}

#[tokio::test]
async fn the_control_api_presses_buttons_and_reports() {
    let mut house = House::by_hand().await;
    let control = address(&house.cloud.ready().control);
    let post = async |path: &str, body: Value| {
        let answer = ask(control, &format!("POST /hubs/{path}"), &[], body.to_string().as_bytes()).await;
        (answer.status, answer.json())
    };
    let (status, refused) = post("90000001/include", json!({"template": "door_lock"})).await;
    assert_eq!(status, 409, "{refused}");
    run(&mut house, "start_include").await;
    assert_eq!(post("90000001/include", json!({"template": "door_lock"})).await.0, 200);
    let about = ask(control, "GET /hubs/90000001", &[], b"").await.json();
    assert_eq!(about["zwave"]["state"], "agreeing on keys");
    assert_eq!(about["zwave"]["device_specific_key"].as_str().unwrap().split('-').count(), 8);
    assert_eq!(post("90000001/report", json!({"device": "Hall motion", "item": "motion", "value": true})).await.0, 200);
    assert_eq!(post("90000001/report", json!({"device": "Hall motion", "item": "motion", "value": "x"})).await.0, 400);
    assert_eq!(post("90000001/report", json!({"device": "Nobody", "item": "motion", "value": true})).await.0, 404);
    assert_eq!(post("90000001/reachable", json!({"device": "Hall motion", "reachable": false})).await.0, 200);
    assert_eq!(post("99999999/reachable", json!({})).await.0, 404);
    let told = house.heard(SECOND).await;
    assert!(told.contains(&"hub.item.updated _id=<Hall motion/motion> value=true".to_owned()), "{told:?}");
    assert!(told.contains(&"hub.device.updated _id=<Hall motion> reachable=false".to_owned()), "{told:?}");
}

#[tokio::test]
async fn a_factory_reset_ends_what_was_under_way() {
    let mut house = House::new().await;
    house.transcript("hub.modes.switch", json!({"modeId": "2"}), 25 * SECOND).await;
    house.good("hub.reset", json!({"resetToFactoryDefaults": true})).await;
    house.cloud.advance(SECOND).await;
    let told = house.transcript("hub.modes.switch", json!({"modeId": "2"}), 20 * SECOND).await;
    assert!(!told.iter().any(|line| line.contains("\"done\"")), "{told:?}");
    assert_eq!(house.call("hub.devices.list", json!({})).await["result"]["devices"], json!([]));
}
