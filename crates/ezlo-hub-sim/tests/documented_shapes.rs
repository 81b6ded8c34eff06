//! Messages in the shapes that vendor documents and firmware of 2021 to 2025 have, beside the older shapes.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use std::time::Duration;

use ezlo_hub_sim::SimulatedHub;
use ezlo_hub_sim::world_file::WorldFile;
use serde_json::{Value, json};

const DAY: Duration = Duration::from_secs(86_400);

fn demo() -> SimulatedHub {
    let world = WorldFile::bundled("demo").expect("a bundled world");
    SimulatedHub::new(&world, "90000001", 1).expect("a hub of the world")
}

/// Returns the id of the first item with this name, and the id of its device.
fn item(hub: &mut SimulatedHub, name: &str) -> (String, String) {
    let list = hub.call("hub.items.list", &json!({})).unwrap();
    let item = list["items"].as_array().unwrap().iter().find(|item| item["name"] == name).unwrap();
    (item["_id"].as_str().unwrap().to_owned(), item["deviceId"].as_str().unwrap().to_owned())
}

fn block(kind: &str, method: &str, fields: &[(&str, &str, Value)]) -> Value {
    let args: serde_json::Map<String, Value> =
        fields.iter().map(|(name, ..)| ((*name).to_owned(), json!(name))).collect();
    let fields: Vec<Value> =
        fields.iter().map(|(name, kind, value)| json!({"name": name, "type": kind, "value": value})).collect();
    json!({"blockType": kind, "blockOptions": {"method": {"name": method, "args": args}}, "fields": fields})
}

/// Creates a scene with one condition that switches an item on, and returns its id.
fn scene_when(hub: &mut SimulatedHub, when: Value) -> Result<String, String> {
    let (switch, _) = item(hub, "switch");
    let then = block("then", "setItemValue", &[("item", "item", json!(switch)), ("value", "bool", json!(true))]);
    let scene =
        json!({"enabled": true, "is_group": false, "name": "Probe", "parent_id": "", "when": [when], "then": [then]});
    hub.take_broadcasts();
    hub.call("hub.scenes.create", &scene).map_err(|error| error.to_string())?;
    let added = hub.take_broadcasts().into_iter().find(|broadcast| broadcast.name == "hub.scene.added").unwrap();
    Ok(added.content["_id"].as_str().unwrap().to_owned())
}

/// Advances the time and returns the moments at which the scene started, in minutes since the start of 1970.
fn starts(hub: &mut SimulatedHub, scene: &str, duration: Duration) -> Vec<i64> {
    hub.take_broadcasts();
    hub.advance(duration);
    let started = |broadcast: &ezlo_hub_sim::Broadcast| {
        broadcast.name == "hub.scene.run.progress"
            && broadcast.content["scene_id"] == scene
            && broadcast.content["status"] == "started"
    };
    hub.take_broadcasts()
        .iter()
        .filter(|broadcast| started(broadcast))
        .map(|broadcast| broadcast.at_ms / 60_000)
        .collect()
}

#[test]
fn dates_with_a_list_of_times_run_at_each_of_them() {
    let mut hub = demo();
    let when = block(
        "when",
        "isDate",
        &[
            ("type", "string", json!("weekly")),
            ("time", "24_hours_time_array", json!(["06:40", "07:10"])),
            ("weekdays", "int_array", json!([1, 2, 5])),
        ],
    );
    let scene = scene_when(&mut hub, when).unwrap();
    let minutes = starts(&mut hub, &scene, 7 * DAY);
    assert_eq!(minutes.len(), 6, "two times on three days: {minutes:?}");
    assert!(minutes.windows(2).all(|pair| [30, 1410, 4290].contains(&(pair[1] - pair[0]))), "{minutes:?}");
}

#[test]
fn dates_with_a_single_time_are_accepted_too() {
    let mut hub = demo();
    let daily =
        block("when", "isDate", &[("type", "string", json!("daily")), ("time", "24_hours_time", json!("06:40"))]);
    let scene = scene_when(&mut hub, daily).unwrap();
    assert_eq!(starts(&mut hub, &scene, 3 * DAY).len(), 3);
}

#[test]
fn all_five_kinds_of_dates_run() {
    let cases: [(&str, Value, usize); 5] = [
        ("daily", json!({}), 31),
        ("weekly", json!({"weekdays": [3]}), 4),
        ("monthly", json!({"days": [5, 20]}), 2),
        ("weeks", json!({"weeks": [-1], "weekdays": [1, 7]}), 2),
        ("yearWeeks", json!({"weeks": [3], "weekdays": [1]}), 1),
    ];
    for (kind, lists, expected) in cases {
        let mut hub = demo();
        let mut fields = vec![("type", "string", json!(kind)), ("time", "24_hours_time_array", json!(["12:00"]))];
        for name in ["weekdays", "days", "weeks"] {
            fields.extend(lists.get(name).map(|list| (name, "int_array", list.clone())));
        }
        let scene = scene_when(&mut hub, block("when", "isDate", &fields)).unwrap();
        let minutes = starts(&mut hub, &scene, 31 * DAY);
        assert_eq!(minutes.len(), expected, "{kind}: {minutes:?}");
    }
}

#[test]
fn a_weekly_date_without_times_holds_from_midnight() {
    let mut hub = demo();
    let fields = [
        ("type", "string", json!("weekly")),
        ("time", "24_hours_time_array", json!([])),
        ("weekdays", "int_array", json!([6])),
    ];
    let scene = scene_when(&mut hub, block("when", "isDate", &fields)).unwrap();
    assert_eq!(starts(&mut hub, &scene, 14 * DAY).len(), 2);
    let wrong = scene_when(&mut hub, block("when", "isDate", &fields[..2])).unwrap_err();
    assert!(wrong.contains("ezlo.scenes.block.when.wrong"), "{wrong}");
}

#[test]
fn a_date_in_the_far_future_is_found() {
    let mut hub = demo();
    let fields = [
        ("type", "string", json!("yearWeeks")),
        ("time", "24_hours_time_array", json!(["12:00"])),
        ("weeks", "int_array", json!([40])),
        ("weekdays", "int_array", json!([1])),
    ];
    let scene = scene_when(&mut hub, block("when", "isDate", &fields)).unwrap();
    assert_eq!(starts(&mut hub, &scene, 366 * DAY).len(), 1);
}

#[test]
fn once_and_date_ranges_run_at_their_start() {
    let mut hub = demo();
    let once = block(
        "when",
        "isOnce",
        &[
            ("time", "24_hours_time", json!("12:30")),
            ("day", "int", json!(9)),
            ("month", "int", json!(1)),
            ("year", "int", json!(1970)),
        ],
    );
    let scene = scene_when(&mut hub, once).unwrap();
    assert_eq!(starts(&mut hub, &scene, 400 * DAY).len(), 1);

    let mut hub = demo();
    let evening = block(
        "when",
        "isDateRange",
        &[("startTime", "24_hours_time", json!("20:00")), ("endTime", "24_hours_time", json!("06:00"))],
    );
    let scene = scene_when(&mut hub, evening).unwrap();
    let minutes = starts(&mut hub, &scene, 5 * DAY);
    assert!(
        minutes.windows(2).all(|pair| pair[1] - pair[0] == 1440) && (4..=5).contains(&minutes.len()),
        "{minutes:?}"
    );
    let nothing = scene_when(&mut hub, block("when", "isDateRange", &[])).unwrap_err();
    assert!(nothing.contains("ezlo.scenes.block.when.wrong"), "{nothing}");
}

#[test]
fn sun_conditions_observe_weekdays_and_ranges() {
    let sun = |more: &[(&'static str, &'static str, Value)]| {
        let mut block = block("when", "isSunState", more);
        block["fields"].as_array_mut().unwrap().push(json!({"name": "sunset", "type": "string", "value": "intime"}));
        block["blockOptions"]["method"]["args"]["sunstate"] = json!("sunset");
        block
    };
    let mut hub = demo();
    let scene = scene_when(&mut hub, sun(&[("weekdays", "int_array", json!([1, 4]))])).unwrap();
    assert_eq!(starts(&mut hub, &scene, 7 * DAY).len(), 2);
    let mut hub = demo();
    let scene = scene_when(&mut hub, sun(&[("range", "token", json!("after"))])).unwrap();
    assert_eq!(starts(&mut hub, &scene, 7 * DAY).len(), 7, "once a day, at sunset");
    let mut hub = demo();
    let scene = scene_when(&mut hub, sun(&[("range", "token", json!("before"))])).unwrap();
    let minutes = starts(&mut hub, &scene, 7 * DAY);
    assert!((6..=7).contains(&minutes.len()), "once a day, at midnight: {minutes:?}");
}

#[test]
fn buttons_are_read_in_both_shapes() {
    for fields in [("value", "token"), ("button_state", "token")] {
        let mut hub = demo();
        let (button, _) = item(&mut hub, "button_state");
        let when = block(
            "when",
            "isButtonState",
            &[("item", "item", json!(button)), (fields.0, fields.1, json!("press_2_times"))],
        );
        let scene = scene_when(&mut hub, when).unwrap();
        let press = |state: &str| json!({"button_number": 1, "button_state": state});
        let device = hub.call("hub.devices.list", &json!({})).unwrap();
        let (_, id) = item(&mut hub, "button_state");
        let name =
            device["devices"].as_array().unwrap().iter().find(|device| device["_id"] == id.as_str()).unwrap()["name"]
                .as_str()
                .unwrap()
                .to_owned();
        for state in ["press_1_time", "press_2_times"] {
            hub.change(|hub, context| hub.report(&name, "button_state", press(state), context)).unwrap();
        }
        let started = hub.take_broadcasts().into_iter().filter(|broadcast| broadcast.content["status"] == "started");
        assert_eq!(
            started.filter(|broadcast| broadcast.content["scene_id"] == scene.as_str()).count(),
            1,
            "{fields:?}"
        );
    }
}

#[test]
fn mode_conditions_accept_several_modes() {
    for (value, modes) in [(json!(["2", "4"]), ["2", "4"]), (json!("3"), ["3", "3"])] {
        for mode in modes {
            let mut hub = demo();
            let when = block("when", "isHouseModeChangedTo", &[("houseMode", "houseModeId_array", value.clone())]);
            let scene = scene_when(&mut hub, when).unwrap();
            hub.call("hub.modes.switch", &json!({"modeId": mode})).unwrap();
            assert_eq!(starts(&mut hub, &scene, Duration::from_secs(120)).len(), 1, "{value} {mode}");
            hub.call("hub.modes.switch", &json!({"modeId": "1"})).unwrap();
            assert!(starts(&mut hub, &scene, Duration::from_secs(120)).is_empty(), "{value} {mode}");
        }
    }
    let empty = block("when", "isHouseModeChangedTo", &[("houseMode", "houseModeId_array", json!([]))]);
    assert!(scene_when(&mut demo(), empty).is_err());
}

#[test]
fn devices_are_armed_by_either_argument() {
    for argument in ["deviceFlag", "armed"] {
        let mut hub = demo();
        let (_, sensor) = item(&mut hub, "motion");
        let then =
            block("then", "setDeviceArmed", &[("device", "device", json!(sensor)), (argument, "bool", json!(true))]);
        let scene = json!({"name": "Arm", "when": [], "then": [then]});
        hub.call("hub.scenes.create", &scene).unwrap();
        let scenes = hub.call("hub.scenes.list", &json!({})).unwrap();
        let id =
            scenes["scenes"].as_array().unwrap().iter().find(|scene| scene["name"] == "Arm").unwrap()["_id"].clone();
        hub.take_broadcasts();
        hub.call("hub.scenes.run", &json!({"sceneId": id})).unwrap();
        let updated =
            hub.take_broadcasts().into_iter().find(|broadcast| broadcast.name == "hub.device.updated").unwrap();
        assert_eq!((&updated.content["_id"], &updated.content["armed"]), (&json!(sensor), &json!(true)), "{argument}");
    }
}

#[test]
fn scenes_start_at_the_end_of_other_scenes() {
    let mut hub = demo();
    let other = scene_when(&mut hub, block("when", "isInterval", &[("interval", "interval", json!("1h"))])).unwrap();
    for (token, expected) in [("finished", 1), ("successful", 1), ("any_result", 1), ("failed", 0), ("stopped", 0)] {
        let mut hub = hub.clone();
        let when =
            block("when", "isSceneState", &[("scene", "sceneId", json!(other)), ("state", "token", json!(token))]);
        let scene = scene_when(&mut hub, when).unwrap();
        assert_eq!(starts(&mut hub, &scene, Duration::from_secs(3601)).len(), expected, "{token}");
    }
    let when = |token: &str| {
        block("when", "isSceneState", &[("scene", "sceneId", json!(other)), ("state", "token", json!(token))])
    };
    let scene = scene_when(&mut hub, when("scene_disabled")).unwrap();
    hub.call("hub.scenes.enabled.set", &json!({"_id": other, "enabled": false})).unwrap();
    let started = hub.take_broadcasts().into_iter().filter(|broadcast| broadcast.content["scene_id"] == scene.as_str());
    assert_eq!(started.count(), 2, "started and finished");
    assert!(scene_when(&mut hub, when("no_token")).is_err());
}

#[test]
fn mode_lists_accept_one_device_or_several() {
    let lists = ["disarmed_devices", "alarms_off", "cameras_off", "bypass_devices"];
    for list in lists {
        for member in ["deviceId", "deviceIds"] {
            let mut hub = demo();
            let (_, sensor) = item(&mut hub, "motion");
            let value = if member == "deviceId" { json!(sensor) } else { json!([sensor]) };
            hub.take_broadcasts();
            hub.call(&format!("hub.modes.{list}.add"), &json!({"modeId": "3", member: value})).unwrap();
            let added = hub.take_broadcasts();
            assert!(
                added.iter().any(|broadcast| broadcast.name == format!("hub.modes.{list}.added")),
                "{list} {member}"
            );
        }
        let missing = demo().call(&format!("hub.modes.{list}.add"), &json!({"modeId": "3"})).unwrap_err();
        let member = if list == "bypass_devices" { "deviceIds" } else { "deviceId" };
        assert_eq!(missing.data(), format!("rpc.params.notfound.{member}"));
    }
}

#[test]
fn protection_without_a_mode_concerns_all_modes() {
    let mut hub = demo();
    let (_, sensor) = item(&mut hub, "motion");
    hub.take_broadcasts();
    hub.call("hub.modes.protect.devices.add", &json!({"deviceIds": [sensor]})).unwrap();
    let added = hub.take_broadcasts();
    assert_eq!(added.len(), 1, "{added:?}");
    assert_eq!(added[0].content, json!({"protectDevice": sensor}));
}

#[test]
fn settings_of_modes_are_read_in_both_spellings() {
    let mut hub = demo();
    for member in ["userId", "userIds"] {
        hub.call("hub.modes.notifications.set", &json!({"modeId": "2", member: ["u1"]})).unwrap();
    }
    for member in ["switchTo", "switchToDelay", "delay"] {
        hub.call("hub.modes.switch_to_delay.set", &json!({"modeId": "2", member: 40})).unwrap();
    }
    hub.take_broadcasts();
    hub.call("hub.modes.entry_delay.set", &json!({"normal": 40})).unwrap();
    let changed = hub.take_broadcasts();
    assert_eq!(changed[0].content["entryDelay"]["normal"], 40);
    assert_eq!(changed[0].content["timestamp"], 0);
}

#[test]
fn changes_of_scenes_name_the_method_and_synchronise_only_names() {
    let mut hub = demo();
    let id = scene_when(&mut hub, block("when", "isInterval", &[("interval", "interval", json!("1h"))])).unwrap();
    let mut change = |method: &str, params: Value| {
        let outcome = hub.change(|hub, context| {
            hub.call(method, Some(&params.to_string()), context).unwrap();
            let broadcasts = context.effects.broadcasts.clone();
            broadcasts.into_iter().find(|broadcast| broadcast.name.starts_with("hub.scene.")).unwrap()
        });
        let content: Value = serde_json::from_str(outcome.content.as_str()).unwrap();
        (outcome.name, outcome.changed_by, content["syncNotification"].clone())
    };
    let cases = [
        ("hub.scenes.name.set", json!({"_id": id, "name": "Other"}), true),
        ("hub.scenes.name.set", json!({"_id": id, "name": "Other"}), false),
        ("hub.scenes.room.set", json!({"_id": id, "roomId": ""}), false),
        ("hub.scenes.enabled.set", json!({"_id": id, "enabled": false}), false),
        ("hub.scenes.house_modes.set", json!({"_id": id, "houseModes": ["1"]}), false),
        ("hub.scenes.house_modes.set", json!({"_id": id, "houseMode": ["2"]}), false),
        ("hub.scenes.notification.add", json!({"notifications": id, "userId": "u1"}), false),
    ];
    for (method, params, sync) in cases {
        assert_eq!(change(method, params), ("hub.scene.changed", Some(method), json!(sync)));
    }
}

#[test]
fn enabling_a_block_broadcasts_the_scene_as_added() {
    let mut hub = demo();
    let mut when = block("when", "isInterval", &[("interval", "interval", json!("1h"))]);
    when["blockId"] = json!("first");
    let id = scene_when(&mut hub, when).unwrap();
    let switch = json!({"sceneId": id, "blockId": "first", "enabled": false});
    hub.call("hub.scenes.block.enabled.set", &switch).unwrap();
    let broadcasts = hub.take_broadcasts();
    assert_eq!(broadcasts.iter().map(|broadcast| broadcast.name).collect::<Vec<_>>(), ["hub.scene.added"]);
    assert!(starts(&mut hub, &id, Duration::from_secs(7300)).is_empty(), "the only condition is disabled");
}
