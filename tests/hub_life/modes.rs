//! House modes and their alarms.

use super::*;

#[tokio::test]
async fn mode_switches() {
    let mut house = House::new().await;
    let mut told = house.transcript("hub.modes.switch", json!({"modeId": "2"}), 10 * SECOND).await;
    told.extend(house.transcript("hub.modes.switch", json!({"name": "Night"}), 10 * SECOND).await);
    told.extend(house.transcript("hub.modes.cancel_switch", json!({}), MINUTE).await);
    told.extend(house.transcript("hub.modes.switch", json!({"modeId": "3"}), MINUTE).await);
    told.extend(house.transcript("hub.modes.switch", json!({"modeId": "3"}), SECOND).await);
    told.extend(house.transcript("hub.modes.switch", json!({"modeId": "1"}), SECOND).await);
    snapshot("mode_switches", &told);
}

#[tokio::test]
async fn alarms() {
    let mut house = House::new().await;
    let (door, smoke) = (house.id("Front door").to_owned(), house.id("Smoke sensor").to_owned());
    house.transcript("hub.modes.switch", json!({"modeId": "2"}), MINUTE).await;
    house.report("Front door", "dw_state", json!("dw_is_opened"));
    let mut told = house.heard(10 * SECOND).await;
    let modes = house.call("hub.modes.get", json!({})).await;
    assert_eq!(modes["result"]["alarmed"]["timeIsLeft"], 20);
    assert_eq!(modes["result"]["alarmed"]["sources"][0]["deviceId"], door);
    told.extend(house.heard(MINUTE).await);
    told.extend(house.transcript("hub.modes.local.alarm.off", json!({}), SECOND).await);
    snapshot("alarm_through_entry_delay_to_sirens", &told);

    house.report("Front door", "dw_state", json!("dw_is_closed"));
    house.heard(SECOND).await;
    house.good("hub.modes.alarms_off.add", json!({"modeId": "2", "deviceIds": [house.id("Siren")]})).await;
    house.report("Front door", "dw_state", json!("dw_is_opened"));
    let mut told = house.heard(SECOND).await;
    told.extend(house.transcript("hub.modes.entry_delay.skip", json!({}), SECOND).await);
    told.extend(house.transcript("hub.modes.switch", json!({"modeId": "1"}), SECOND).await);
    snapshot("alarm_in_silence_ended_by_coming_home", &told);

    house.report("Smoke sensor", "smoke_alarm", json!("smoke_detected"));
    let told = house.heard(SECOND).await;
    snapshot("alarm_of_an_emergency_at_home", &told);
    house.good("hub.modes.local.alarm.off", json!({})).await;

    house.good("hub.modes.bypass_devices.add", json!({"modeId": "3", "deviceIds": [door, smoke]})).await;
    house.transcript("hub.modes.switch", json!({"modeId": "3"}), MINUTE).await;
    house.report("Front door", "dw_state", json!("dw_is_closed"));
    house.report("Front door", "dw_state", json!("dw_is_opened"));
    let told = house.heard(MINUTE).await;
    snapshot("alarm_of_a_bypassed_device", &told);
    house.transcript("hub.modes.switch", json!({"modeId": "1"}), MINUTE).await;
    let bypassed = house.call("hub.modes.get", json!({})).await["result"]["modes"][2]["bypassDevices"].clone();
    assert_eq!(bypassed, json!([]), "the old mode's bypass list is cleared");

    house
        .good("hub.modes.protect.buttons.set", json!({"deviceId": house.id("Bedside buttons"), "service": "panic"}))
        .await;
    house.report("Bedside buttons", "button_state", json!({"button_number": 1, "button_state": "press_1_time"}));
    let told = house.heard(SECOND).await;
    assert!(told.iter().any(|line| line.contains("phase=\"main\" status=\"begin\"")), "{told:?}");
}

#[tokio::test]
async fn entry_delays_decide_once_they_were_set() {
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
        let told = house.transcript("hub.modes.entry_delay.cancel", json!({}), SECOND).await;
        assert!(told.iter().any(|line| line.contains("status=\"canceled\"")), "{told:?}");
        house.report("Front door", "dw_state", json!("dw_is_closed"));
    }
    // An emergency does not wait for somebody else's delay, and it is the emergency that is told.
    house.report("Front door", "dw_state", json!("dw_is_opened"));
    house.report("Smoke sensor", "smoke_alarm", json!("smoke_detected"));
    let told = house.heard(SECOND).await;
    let main = told.iter().find(|line| line.contains("phase=\"main\" status=\"begin\"")).unwrap();
    assert!(main.contains("<Smoke sensor>"), "{told:#?}");
}

#[tokio::test]
async fn sirens_that_sound_fall_silent_whatever_the_next_mode_says() {
    let mut house = House::new().await;
    let siren = house.id("Siren").to_owned();
    house.good("hub.modes.alarms_off.add", json!({"modeId": "1", "deviceIds": [siren]})).await;
    house.transcript("hub.modes.switch", json!({"modeId": "2"}), MINUTE).await;
    house.report("Front door", "dw_state", json!("dw_is_opened"));
    house.heard(MINUTE).await;
    let told = house.transcript("hub.modes.switch", json!({"modeId": "1"}), SECOND).await;
    assert!(told.contains(&"hub.item.updated _id=<Siren/siren_alarm> value=\"siren_inactive\"".to_owned()), "{told:?}");
}
