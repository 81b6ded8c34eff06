//! Item values, limits, dictionaries and favourites.

use super::*;

#[tokio::test]
async fn item_values_are_converted_and_checked() {
    let mut house = House::new().await;
    let (heat, cool) = (
        house.id("Thermostat/thermostat_setpoint_heating").to_owned(),
        house.id("Thermostat/thermostat_setpoint_cooling").to_owned(),
    );
    let lines =
        house.transcript("hub.item.value.set", json!({"_id": heat, "value": 68, "scale": "fahrenheit"}), SECOND).await;
    assert_eq!(lines[1], "hub.item.updated _id=<Thermostat/thermostat_setpoint_heating> value=20.0");
    let data = |reply: Value| reply["error"]["data"].as_str().unwrap_or("none").to_owned();
    let refusals = [
        (json!({"_id": heat, "value": 20, "scale": "watt"}), "rpc.params.scale.invalid"),
        (json!({"_id": heat, "value": 99}), "rpc.params.range.invalid.thermostat_setpoint_heating"),
        (json!({"_id": heat, "value": "20"}), "rpc.params.invalid"),
        (json!({"_id": cool, "value": 21}), "rpc.params.range.invalid.thermostat_setpoint_cooling"),
        (json!({"_id": house.id("Bedroom temperature/temp"), "value": 21}), "rpc.params.invalid"),
    ];
    for (params, wanted) in refusals {
        assert_eq!(data(house.call("hub.item.value.set", params).await), wanted);
    }
    let hub = house.cloud.hub(HUB).unwrap();
    hub.set_reachable("Thermostat", false).unwrap();
    assert_eq!(
        data(house.call("hub.item.value.set", json!({"_id": cool, "value": 26})).await),
        "ezlo.gateway.send.error"
    );
}

#[tokio::test]
async fn lock_codes_are_checked_and_broadcast() {
    let mut house = House::new().await;
    let codes = house.id("Front door lock/user_codes").to_owned();
    let code =
        |digits: &str| json!({"type": "userCode", "value": {"code": digits, "name": "Guest", "mode": "enabled"}});
    let refused = house.call("hub.item.dictionary.value.add", json!({"_id": codes, "element": code("12")})).await;
    assert_eq!(refused["error"]["data"], "rpc.params.invalid");
    house.socket.text(json!({"id": "call", "method": "hub.item.dictionary.value.add", "params": {"_id": codes, "element": code("4711")}}).to_string()).await;
    let (reply, event) = (house.socket.json().await, house.socket.json().await);
    assert_eq!((&reply["result"], &event["msg_subclass"]), (&json!({}), &json!("hub.item.dictionary.updated")));
    assert_eq!(
        (&event["result"]["operation"], &event["result"]["element"]["1"]["value"]["code"]),
        (&json!("added"), &json!("4711"))
    );
}

#[tokio::test]
async fn setpoint_distance_holds_for_joint_values_and_scenes() {
    let mut house = House::new().await;
    let (heat, cool) = (
        house.id("Thermostat/thermostat_setpoint_heating").to_owned(),
        house.id("Thermostat/thermostat_setpoint_cooling").to_owned(),
    );
    let set = async |house: &mut House, heating: i64, cooling: i64| {
        let items = json!({heat.clone(): {"value": heating}, cool.clone(): {"value": cooling}});
        house.call("hub.item.value.set", json!({"items": items})).await["error"]["data"].clone()
    };
    assert_eq!(set(&mut house, 27, 30).await, Value::Null, "the distance is sufficient once both are set");
    assert_eq!(set(&mut house, 23, 22).await, "rpc.params.range.invalid.thermostat_setpoint_heating");
    let near = ezlo_protocol::hub::scene::BlockValue::new("temperature", 29.5);
    house.create(SceneBuilder::new("Near").then(set_item(heat.as_str(), near))).await;
    let id = house.id("scene Near").to_owned();
    let lines = house.transcript("hub.scenes.run", json!({"sceneId": id}), SECOND).await;
    assert!(lines.last().unwrap().ends_with("\"failed\""), "{lines:?}");
}

#[tokio::test]
async fn removed_device_is_no_favourite() {
    let mut house = House::new().await;
    let plug = house.id("Plug").to_owned();
    let unknown = house.call("hub.favorite.set", json!({"devices": [{"_id": "nobody"}]})).await;
    assert_eq!(unknown["error"]["data"], "generic.object.not.found");
    house.good("hub.favorite.set", json!({"devices": [{"_id": plug}]})).await;
    let lines = house.transcript("hub.device.force_remove", json!({"_id": plug}), SECOND).await;
    assert!(lines.contains(&"hub.favorite.removed".to_owned()), "{lines:?}");
    assert_eq!(house.call("hub.favorite.list", json!({})).await["result"]["favorites"]["devices"], json!([]));
}

/// A device completes values of which a call sets only a part (hub reference 5.5).
#[tokio::test]
async fn partial_values_change_only_their_parts() {
    let mut house = House::new().await;
    let color = house.id("Reading lamp/rgbcolor").to_owned();
    let before = house.item(&color).await;
    house.good("hub.item.value.set", json!({"_id": color, "value": {"red": 5}})).await;
    let after = house.item(&color).await;
    assert_eq!(
        (&after["red"], &after["green"], after.as_object().unwrap().len()),
        (&json!(5), &before["green"], before.as_object().unwrap().len())
    );

    let of = |house: &House, name: &str| house.id(&format!("Thermostat/{name}")).to_owned();
    for (name, value) in [
        ("thermostat_mode", json!("auto")),
        ("thermostat_setpoint_heating", json!(18)),
        ("thermostat_setpoint_cooling", json!(28)),
    ] {
        let id = of(&house, name);
        house.good("hub.item.value.set", json!({"_id": id, "value": value})).await;
    }
    let setpoint = of(&house, "thermostat_setpoint");
    assert_eq!(house.item(&setpoint).await, 23.0, "the average of heating and cooling");

    let codes = house.id("Front door lock/user_codes").to_owned();
    let code = |digits: &str| json!({"code": digits, "name": "n"});
    let lines = house
        .transcript(
            "hub.item.value.set",
            json!({"_id": codes, "value": {"7": code("5555"), "8": code("6666")}}),
            SECOND,
        )
        .await;
    assert_eq!(lines.iter().filter(|line| line.contains("hub.item.dictionary.updated")).count(), 2, "{lines:?}");
    let refused =
        house.call("hub.item.value.set", json!({"_id": codes, "value": {"7": code("1111"), "9": {"code": 7}}})).await;
    assert_ne!(refused["error"], Value::Null);
    let now = house.item(&codes).await;
    assert_eq!(
        (&now["7"]["code"], &now["8"]["code"], now.get("9")),
        (&json!("5555"), &json!("6666"), None),
        "a refused call sets no element"
    );
}
