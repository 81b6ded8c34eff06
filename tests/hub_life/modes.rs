//! House modes and alarms.

use super::*;

#[tokio::test]
async fn mode_switches_broadcast_begin_cancel_and_done() {
    let mut house = House::new().await;
    let mut lines = house.transcript("hub.modes.switch", json!({"modeId": "2"}), 10 * SECOND).await;
    lines.extend(house.transcript("hub.modes.switch", json!({"name": "Night"}), 10 * SECOND).await);
    lines.extend(house.transcript("hub.modes.cancel_switch", json!({}), MINUTE).await);
    lines.extend(house.transcript("hub.modes.switch", json!({"modeId": "3"}), MINUTE).await);
    lines.extend(house.transcript("hub.modes.switch", json!({"modeId": "3"}), SECOND).await);
    lines.extend(house.transcript("hub.modes.switch", json!({"modeId": "1"}), SECOND).await);
    snapshot("mode_switches", &lines);
}

#[tokio::test]
async fn alarms_follow_mode_entry_delay_and_bypass() {
    let mut house = House::new().await;
    let (door, smoke) = (house.id("Front door").to_owned(), house.id("Smoke sensor").to_owned());
    house.transcript("hub.modes.switch", json!({"modeId": "2"}), MINUTE).await;
    house.report("Front door", "dw_state", json!("dw_is_opened"));
    let mut lines = house.heard(10 * SECOND).await;
    let modes = house.call("hub.modes.get", json!({})).await;
    assert_eq!(modes["result"]["alarmed"]["timeIsLeft"], 20);
    assert_eq!(modes["result"]["alarmed"]["sources"][0]["deviceId"], door);
    lines.extend(house.heard(MINUTE).await);
    lines.extend(house.transcript("hub.modes.local.alarm.off", json!({}), SECOND).await);
    snapshot("alarm_through_entry_delay_to_sirens", &lines);

    house.report("Front door", "dw_state", json!("dw_is_closed"));
    house.heard(SECOND).await;
    house.good("hub.modes.alarms_off.add", json!({"modeId": "2", "deviceIds": [house.id("Siren")]})).await;
    house.report("Front door", "dw_state", json!("dw_is_opened"));
    let mut lines = house.heard(SECOND).await;
    lines.extend(house.transcript("hub.modes.entry_delay.skip", json!({}), SECOND).await);
    lines.extend(house.transcript("hub.modes.switch", json!({"modeId": "1"}), SECOND).await);
    snapshot("alarm_in_silence_ended_by_coming_home", &lines);

    house.report("Smoke sensor", "smoke_alarm", json!("smoke_detected"));
    let lines = house.heard(SECOND).await;
    snapshot("alarm_of_an_emergency_at_home", &lines);
    house.good("hub.modes.local.alarm.off", json!({})).await;

    house.good("hub.modes.bypass_devices.add", json!({"modeId": "3", "deviceIds": [door, smoke]})).await;
    house.transcript("hub.modes.switch", json!({"modeId": "3"}), MINUTE).await;
    house.report("Front door", "dw_state", json!("dw_is_closed"));
    house.report("Front door", "dw_state", json!("dw_is_opened"));
    let lines = house.heard(MINUTE).await;
    snapshot("alarm_of_a_bypassed_device", &lines);
    house.transcript("hub.modes.switch", json!({"modeId": "1"}), MINUTE).await;
    let bypassed = house.call("hub.modes.get", json!({})).await["result"]["modes"][2]["bypassDevices"].clone();
    assert_eq!(bypassed, json!([]), "the bypass list of the old mode is cleared");

    house
        .good("hub.modes.protect.buttons.set", json!({"deviceId": house.id("Bedside buttons"), "service": "panic"}))
        .await;
    house.report("Bedside buttons", "button_state", json!({"button_number": 1, "button_state": "press_1_time"}));
    let lines = house.heard(SECOND).await;
    assert!(lines.iter().any(|line| line.contains("phase=\"main\" status=\"begin\"")), "{lines:?}");
}

#[tokio::test]
async fn last_delay_setting_counts() {
    let mut house = House::new().await;
    house.transcript("hub.modes.switch", json!({"modeId": "2"}), MINUTE).await;
    for (method, params, seconds) in [
        ("hub.modes.entry_delay.set", json!({"normal": 7}), 7),
        ("hub.modes.alarm_delay.set", json!({"modeId": "2", "delay": 11}), 11),
        ("hub.modes.entry_delay.reset", json!({}), 30),
    ] {
        house.good(method, params).await;
        house.report("Front door", "dw_state", json!("dw_is_opened"));
        house.heard(SECOND).await;
        let modes = house.call("hub.modes.get", json!({})).await;
        assert_eq!(modes["result"]["alarmed"]["entryDelay"], seconds, "{method}");
        let lines = house.transcript("hub.modes.entry_delay.cancel", json!({}), SECOND).await;
        assert!(lines.iter().any(|line| line.contains("status=\"canceled\"")), "{lines:?}");
        house.report("Front door", "dw_state", json!("dw_is_closed"));
    }
    // An emergency does not wait for the entry delay of another device, and the broadcast names the emergency.
    house.report("Front door", "dw_state", json!("dw_is_opened"));
    house.report("Smoke sensor", "smoke_alarm", json!("smoke_detected"));
    let lines = house.heard(SECOND).await;
    let main = lines.iter().find(|line| line.contains("phase=\"main\" status=\"begin\"")).unwrap();
    assert!(main.contains("<Smoke sensor>"), "{lines:#?}");
}

#[tokio::test]
async fn sounding_sirens_stop_in_a_mode_that_disables_them() {
    let mut house = House::new().await;
    let siren = house.id("Siren").to_owned();
    house.good("hub.modes.alarms_off.add", json!({"modeId": "1", "deviceIds": [siren]})).await;
    house.transcript("hub.modes.switch", json!({"modeId": "2"}), MINUTE).await;
    house.report("Front door", "dw_state", json!("dw_is_opened"));
    house.heard(MINUTE).await;
    let lines = house.transcript("hub.modes.switch", json!({"modeId": "1"}), SECOND).await;
    assert!(
        lines.contains(&"hub.item.updated _id=<Siren/siren_alarm> value=\"siren_inactive\"".to_owned()),
        "{lines:?}"
    );
}
