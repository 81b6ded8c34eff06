//! Z-Wave inclusion and exclusion, with and without Security 2.

use super::*;

#[tokio::test]
async fn multi_channel_device_is_included_and_excluded() {
    let mut house = House::by_hand().await;
    let mut lines = run(&mut house, "start_include").await;
    house.cloud.hub(HUB).unwrap().press_include("power_strip").unwrap();
    lines.extend(house.heard(SECOND).await);
    snapshot("inclusion_of_a_multi_channel_device", &lines);
    house.look().await;
    let strip =
        house.devices.as_array().unwrap().iter().find(|device| device["deviceTypeId"] == "134_3_11").unwrap().clone();
    let parts = house.devices.as_array().unwrap().iter().filter(|device| device["parentDeviceId"] == strip["_id"]);
    assert_eq!(parts.count(), 4);
    let mut lines = run(&mut house, "start_exclude").await;
    house.cloud.hub(HUB).unwrap().press_exclude(strip["name"].as_str().unwrap()).unwrap();
    lines.extend(house.heard(SECOND).await);
    snapshot("exclusion_of_a_multi_channel_device", &lines);
}

#[tokio::test]
async fn security_2_inclusion_requires_the_right_key() {
    let mut house = House::by_hand().await;
    let hub = house.cloud.hub(HUB).unwrap();
    let mut lines = run(&mut house, "start_include").await;
    hub.press_include("door_lock").unwrap();
    lines.extend(house.heard(SECOND).await);
    lines.extend(run(&mut house, "start_include").await);
    let modes = json!({"script": "HUB:zwave/scripts/set_authentication_mode", "scriptParams": {"modes": ["accessControl", "unauthenticated"]}});
    lines.extend(house.transcript("hub.extensions.plugin.run", modes.clone(), SECOND).await);
    let label = hub.device_specific_key().unwrap();
    let key: u64 = label.split('-').next().unwrap().parse().unwrap();
    let right = |key: u64| json!({"script": "HUB:zwave/scripts/set_device_specific_key", "scriptParams": {"key": key}});
    lines.extend(house.transcript("hub.extensions.plugin.run", right(key), SECOND).await);
    snapshot("inclusion_with_a_device_specific_key", &lines);

    run(&mut house, "start_include").await;
    hub.press_include("door_lock").unwrap();
    house.heard(SECOND).await;
    house.good("hub.extensions.plugin.run", modes.clone()).await;
    let lines = house.transcript("hub.extensions.plugin.run", right(key ^ 1), SECOND).await;
    snapshot("inclusion_with_a_wrong_key", &lines);

    run(&mut house, "start_include").await;
    hub.press_include("keypad").unwrap();
    house.heard(SECOND).await;
    let lines = house.transcript("hub.extensions.plugin.run", modes, SECOND).await;
    snapshot("inclusion_of_a_device_with_keys", &lines);

    run(&mut house, "start_include").await;
    hub.press_include("door_lock").unwrap();
    let lines = house.heard(2 * MINUTE).await;
    snapshot("inclusion_nobody_chose", &lines);
    let mut lines = run(&mut house, "start_include").await;
    lines.extend(house.heard(2 * MINUTE).await);
    snapshot("inclusion_nobody_pressed", &lines);
}

#[tokio::test]
async fn control_api_includes_devices_and_reports_values() {
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
    let lines = house.heard(SECOND).await;
    assert!(lines.contains(&"hub.item.updated _id=<Hall motion/motion> value=true".to_owned()), "{lines:?}");
    assert!(lines.contains(&"hub.device.updated _id=<Hall motion> reachable=false".to_owned()), "{lines:?}");
}

#[tokio::test]
async fn factory_reset_cancels_a_pending_mode_switch() {
    let mut house = House::new().await;
    house.transcript("hub.modes.switch", json!({"modeId": "2"}), 25 * SECOND).await;
    house.good("hub.reset", json!({"resetToFactoryDefaults": true})).await;
    house.cloud.advance(SECOND).await;
    let lines = house.transcript("hub.modes.switch", json!({"modeId": "2"}), 20 * SECOND).await;
    assert!(!lines.iter().any(|line| line.contains("\"done\"")), "{lines:?}");
    assert_eq!(house.call("hub.devices.list", json!({})).await["result"]["devices"], json!([]));
}
