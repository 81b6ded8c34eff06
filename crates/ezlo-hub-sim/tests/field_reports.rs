//! Behaviour that public reports and clients of real hubs describe.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod common;

use std::path::Path;
use std::time::Duration;

use ezlo_hub_sim::world_file::WorldFile;
use ezlo_hub_sim::{DeviceCondition, Fate, SimulatedHub, from_dump};
use serde_json::{Value, json};

use common::{ask, demo, device, item};

const LOCK: &str = "Front door lock";

fn add_code(hub: &mut SimulatedHub, code: &str) -> Value {
    let codes = item(hub, LOCK, "user_codes")["_id"].clone();
    let element = json!({"type": "userCode", "value": {"code": code, "name": "Kim", "mode": "enabled"}});
    hub.call("hub.item.dictionary.value.add", &json!({"_id": codes, "element": element}))
        .unwrap_or_else(|error| json!({"refused": error.data()}))
}

fn codes(hub: &mut SimulatedHub) -> Vec<String> {
    let value = item(hub, LOCK, "user_codes")["value"].clone();
    value.as_object().unwrap().values().map(|code| code["code"].as_str().unwrap().to_owned()).collect()
}

fn set(hub: &mut SimulatedHub, condition: DeviceCondition) {
    hub.change(|hub, context| hub.set_condition(LOCK, &condition, context)).unwrap();
}

#[test]
fn color_as_text_is_refused() {
    let mut hub = demo();
    let rgb = json!({"script": "HUB:test_plugin/scripts/add_device", "scriptParams": {"name": "Bulb", "category": "dimmable_light", "subcategory": "dimmable_colored"}});
    ask(&mut hub, "hub.extensions.plugin.run", rgb);
    let id = item(&mut hub, "Bulb", "rgbcolor")["_id"].clone();
    let text = r#"{"red":255,"green":0,"blue":0,"cwhite":0,"wwhite":0}"#;
    let error = hub.call("hub.item.value.set", &json!({"_id": id, "value": text})).unwrap_err();
    assert_eq!((error.code.get(), error.data()), (Some(&-32602), "rpc.params.wrong_field"));
    assert_eq!(error.message.as_deref(), Some("Wrong field of object"));
    assert!(error.reason.as_deref().unwrap().starts_with(r#"Unexpected Json format for value type 'rgb': "{\"red\""#));
    let color: Value = serde_json::from_str(text).unwrap();
    ask(&mut hub, "hub.item.value.set", json!({"_id": id, "value": color}));
}

#[test]
fn lock_codes_have_a_setter_modes_and_references() {
    let mut hub = demo();
    let codes = item(&mut hub, LOCK, "user_codes");
    assert_eq!((&codes["hasSetter"], &codes["userCodeModes"]), (&json!(true), &json!(["enabled", "disabled"])));
    assert_eq!(codes["info"]["zwave.references"][0]["class"], 99);
}

#[test]
fn every_zwave_device_can_be_rediscovered_and_a_broken_one_is_repaired() {
    let mut hub = demo();
    let lock = device(&mut hub, LOCK)["_id"].clone();
    let settings = ask(&mut hub, "hub.device.settings.list", json!({"deviceIds": [lock]}));
    let action =
        settings["settings"].as_array().unwrap().iter().find(|one| one["label"]["text"] == "Rediscover device");
    let action = action.unwrap();
    assert_eq!(action["valueType"], "action");
    let parameter =
        settings["settings"].as_array().unwrap().iter().find(|one| one["label"]["text"] == "Beeper").unwrap();
    assert_eq!(parameter["info"]["zwave.parameter_number"], 1, "members of info are flat");
    set(&mut hub, DeviceCondition { broken: Some(true), ..DeviceCondition::default() });
    assert_eq!(device(&mut hub, LOCK)["status"], "broken");
    let bolt = item(&mut hub, LOCK, "door_lock")["_id"].clone();
    let refused = hub.call("hub.item.value.set", &json!({"_id": bolt, "value": "secured"})).unwrap_err();
    assert_eq!(refused.data(), "ezlo.gateway.send.error");
    for params in [json!({"_id": action["_id"], "value": ""}), json!({"_id": action["_id"]})] {
        ask(&mut hub, "hub.device.setting.value.set", params);
    }
    assert_eq!(device(&mut hub, LOCK)["status"], "rediscovering");
    hub.advance(Duration::from_secs(1));
    assert_eq!(device(&mut hub, LOCK)["status"], "idle");
    ask(&mut hub, "hub.item.value.set", json!({"_id": bolt, "value": "secured"}));
}

#[test]
fn virtual_motion_sensor_has_motion_and_the_gateway_of_its_plugin() {
    let mut hub = demo();
    let params = json!({"script": "HUB:test_plugin/scripts/add_device", "scriptParams": {"name": "VMotion", "category": "security_sensor",
        "subcategory": "motion", "type": "sensor.motion", "device_type_id": "test", "battery_powered": false}});
    ask(&mut hub, "hub.extensions.plugin.run", params);
    assert_eq!(item(&mut hub, "VMotion", "battery"), Value::Null);
    let gateways = ask(&mut hub, "hub.gateways.list", json!({}));
    let plugin =
        gateways["gateways"].as_array().unwrap().iter().find(|one| one["pluginId"] == "test_plugin").unwrap().clone();
    assert_eq!(device(&mut hub, "VMotion")["gatewayId"], plugin["_id"]);
    hub.change(|hub, context| hub.trip("VMotion", true, context)).unwrap();
    assert_eq!(item(&mut hub, "VMotion", "motion")["value"], true);
    let added = hub.take_broadcasts().into_iter().map(|broadcast| broadcast.name).collect::<Vec<_>>();
    assert!(added.contains(&"hub.gateway.added"));
}

#[test]
fn duplicate_lock_code_is_refused_later_by_the_lock() {
    let mut hub = demo();
    add_code(&mut hub, "16345");
    hub.advance(Duration::from_secs(1));
    assert_eq!(item(&mut hub, LOCK, "user_code_operation")["value"], "new_user_code_added");
    let before = codes(&mut hub);
    assert_eq!(add_code(&mut hub, "16345"), json!({}), "the hub accepts it at first");
    assert_eq!(codes(&mut hub).len(), before.len() + 1);
    hub.take_broadcasts();
    hub.advance(Duration::from_secs(1));
    assert_eq!(codes(&mut hub), before);
    let operation = item(&mut hub, LOCK, "user_code_operation")["value"].clone();
    assert_eq!(operation, "new_user_code_not_added_due_to_duplicated_code");
    let removed = hub.take_broadcasts().into_iter().find(|broadcast| broadcast.name == "hub.item.dictionary.updated");
    assert_eq!(removed.unwrap().content["operation"], "removed");
}

#[test]
fn lock_that_rejects_codes_keeps_the_former_ones() {
    let mut hub = demo();
    add_code(&mut hub, "16345");
    hub.advance(Duration::from_secs(1));
    let before = item(&mut hub, LOCK, "user_codes");
    set(&mut hub, DeviceCondition { rejects_codes: Some(true), ..DeviceCondition::default() });
    add_code(&mut hub, "27456");
    let (key, _) = before["value"].as_object().unwrap().iter().next_back().unwrap();
    let changed =
        json!({"_id": before["_id"], "key": key, "element": {"type": "userCode", "value": {"code": "38567"}}});
    ask(&mut hub, "hub.item.dictionary.value.set", changed);
    hub.advance(Duration::from_secs(1));
    assert_eq!(item(&mut hub, LOCK, "user_codes")["value"], before["value"]);
}

#[test]
fn masked_codes_are_stars_and_still_unique() {
    let mut hub = demo();
    set(&mut hub, DeviceCondition { masks_codes: Some(true), ..DeviceCondition::default() });
    add_code(&mut hub, "16345");
    hub.advance(Duration::from_secs(1));
    assert!(codes(&mut hub).iter().all(|code| code == "**********"), "{:?}", codes(&mut hub));
    let count = codes(&mut hub).len();
    add_code(&mut hub, "16345");
    hub.advance(Duration::from_secs(1));
    assert_eq!(codes(&mut hub).len(), count, "the lock knows the code that the hub does not report");
    assert_eq!(add_code(&mut hub, "**********")["refused"], "rpc.params.invalid", "stars are no code");
}

#[test]
fn sleeping_lock_receives_codes_and_settings_when_it_wakes_up() {
    let mut hub = demo();
    set(&mut hub, DeviceCondition { asleep: Some(true), ..DeviceCondition::default() });
    add_code(&mut hub, "16345");
    add_code(&mut hub, "16345");
    let lock = device(&mut hub, LOCK)["_id"].clone();
    let beeper = |hub: &mut SimulatedHub| {
        let settings = ask(hub, "hub.device.settings.list", json!({"deviceIds": [lock]}));
        settings["settings"].as_array().unwrap().iter().find(|one| one["label"]["text"] == "Beeper").unwrap().clone()
    };
    let id = beeper(&mut hub)["_id"].clone();
    ask(&mut hub, "hub.device.setting.value.set", json!({"_id": id, "value": false}));
    hub.advance(Duration::from_secs(86_400));
    assert_eq!(beeper(&mut hub)["status"], "pending");
    let waiting = codes(&mut hub).len();
    set(&mut hub, DeviceCondition { asleep: Some(false), ..DeviceCondition::default() });
    assert_eq!((beeper(&mut hub)["status"].as_str(), codes(&mut hub).len()), (Some("synced"), waiting - 1));
}

#[test]
fn codes_of_an_unreachable_lock_are_refused_and_full_slots_too() {
    let mut hub = demo();
    hub.change(|hub, context| hub.reach(LOCK, false, context)).unwrap();
    assert_eq!(add_code(&mut hub, "16345")["refused"], "ezlo.gateway.send.error");
    hub.change(|hub, context| hub.reach(LOCK, true, context)).unwrap();
    for number in 0..40 {
        add_code(&mut hub, &format!("{}", 20_000 + number));
    }
    assert_eq!(
        (add_code(&mut hub, "16345")["refused"].as_str(), codes(&mut hub).len()),
        (Some("rpc.params.invalid"), 30)
    );
}

#[test]
fn outdated_command_of_a_house_mode_is_refused() {
    let mut hub = demo();
    let protect = |hub: &mut SimulatedHub, timestamp: i64| {
        hub.call("hub.modes.protect.set", &json!({"modeId": "2", "protect": false, "timestamp": timestamp}))
    };
    protect(&mut hub, 2000).unwrap();
    let error = protect(&mut hub, 1000).unwrap_err();
    assert_eq!((error.code.get(), error.data()), (Some(&-32500), "ezlo.house_mode.command.outdated"));
    assert_eq!(error.message.as_deref(), Some("Command is outdated"));
    let error = hub.call("hub.modes.switch", &json!({"modeId": "9"})).unwrap_err();
    assert_eq!(error.message.as_deref(), Some("The house mode with this id does not exist"));
}

fn convert(folder: &str) -> ezlo_hub_sim::Conversion {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/wire/field-cases").join(folder);
    let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    let texts: Vec<_> =
        files.iter().map(|path| (path.file_name().unwrap().to_string_lossy(), std::fs::read(path).unwrap())).collect();
    from_dump(texts.iter().map(|(name, text)| (&**name, text.as_slice()))).unwrap()
}

fn of_world(world: &str) -> SimulatedHub {
    SimulatedHub::new(&WorldFile::parse("dump", world).unwrap(), "90000001", 1).unwrap()
}

#[test]
fn dump_with_masked_codes_keeps_the_stars() {
    let mut hub = of_world(&convert("dump-masked-codes").world);
    let devices = ask(&mut hub, "hub.devices.list", json!({}));
    let name = devices["devices"][0]["name"].as_str().unwrap().to_owned();
    assert_eq!(item(&mut hub, &name, "user_codes")["value"]["1"]["code"], "**********");
}

#[test]
fn dump_loses_only_what_is_personal() {
    let conversion = convert("dump-lock-house");
    let mut hub = of_world(&conversion.world);
    let devices = ask(&mut hub, "hub.devices.list", json!({}));
    let broken = devices["devices"].as_array().unwrap().iter().find(|one| one["status"] == "broken").unwrap();
    assert_eq!((&broken["deviceTypeId"], &broken["info"]["zwave.node"]), (&json!("0_0_0"), &json!("16")));
    assert!(devices["devices"].as_array().unwrap().iter().any(|one| one["security"] == "high"));
    let info = ask(&mut hub, "hub.info.get", json!({}));
    assert_eq!(info["firmware"], "2.0.19.1714.2");
    assert_eq!(info["location"]["timezone"], "America/New_York");
    let items = ask(&mut hub, "hub.items.list", json!({}));
    let named = |name: &str| items["items"].as_array().unwrap().iter().find(|one| one["name"] == name).unwrap().clone();
    assert_eq!(named("user_codes")["userCodeModes"], json!(["enabled", "disabled"]));
    assert_eq!(named("door_lock")["info"]["zwave.references"][0]["class"], 98);
    assert_eq!(named("rgbcolor").get("value"), Some(&Value::Null), "a value that is not known stays null");
    let fates: Vec<_> = conversion.differences.iter().filter(|one| one.fate != Fate::Replaced).collect();
    let unexpected: Vec<_> = fates.iter().filter(|one| one.reason == "the simulated hub has another value").collect();
    assert!(unexpected.is_empty(), "{unexpected:#?}");
    assert!(
        conversion.differences.iter().any(|one| one.path.ends_with("devices[1].name") && one.fate == Fate::Replaced)
    );
}

/// A world file can describe an item with the name of lock codes and another content.
#[test]
fn codes_that_are_no_objects_are_neither_masked_nor_compared() {
    let world = r#"
        [[hubs]]
        serial = "90000001"
        mac = "AA:BB:CC:00:00:01"
        kind = "linux"
        model = "h2.1"

        [[hubs.devices]]
        name = "Front door lock"
        category = "door_lock"

        [[hubs.devices.items]]
        name = "user_codes"
        value_type = "dictionary"
        element_type = "string"
        has_setter = true
        value = { "1" = "1234", "2" = "1234" }
    "#;
    let mut hub = of_world(world);
    set(&mut hub, DeviceCondition { masks_codes: Some(true), ..DeviceCondition::default() });
    let id = item(&mut hub, LOCK, "user_codes")["_id"].clone();
    let element = json!({"type": "string", "value": "1234"});
    ask(&mut hub, "hub.item.dictionary.value.add", json!({"_id": id, "element": element}));
    hub.advance(Duration::from_secs(1));
    assert_eq!(item(&mut hub, LOCK, "user_codes")["value"].as_object().unwrap().len(), 3);
}

#[test]
fn masked_codes_are_in_no_form_of_the_item() {
    let mut hub = demo();
    add_code(&mut hub, "16345");
    hub.advance(Duration::from_secs(1));
    set(&mut hub, DeviceCondition { masks_codes: Some(true), ..DeviceCondition::default() });
    assert!(!item(&mut hub, LOCK, "user_codes").to_string().contains("16345"), "valueFormatted follows the value");
}

#[test]
fn every_way_to_change_codes_reaches_the_lock() {
    let mut hub = demo();
    set(&mut hub, DeviceCondition { rejects_codes: Some(true), ..DeviceCondition::default() });
    let before = item(&mut hub, LOCK, "user_codes");
    let lamp = item(&mut hub, "Ceiling light", "switch")["_id"].clone();
    let codes = json!({"7": {"code": "16345", "name": "Kim", "mode": "enabled"}});
    let mut items = serde_json::Map::new();
    items.insert(before["_id"].as_str().unwrap().to_owned(), json!({"value": codes}));
    items.insert(lamp.as_str().unwrap().to_owned(), json!({"value": true}));
    ask(&mut hub, "hub.item.value.set", json!({"items": items}));
    assert_eq!(item(&mut hub, "Ceiling light", "switch")["value"], true);
    assert_eq!(item(&mut hub, LOCK, "user_codes")["value"]["7"]["name"], "Kim", "the other elements stay");
    hub.advance(Duration::from_secs(1));
    assert_eq!(item(&mut hub, LOCK, "user_codes")["value"], before["value"], "the lock refuses it");
    hub.change(|hub, context| hub.report(LOCK, "user_codes", codes, context)).unwrap();
    hub.advance(Duration::from_secs(1));
    assert_eq!(item(&mut hub, LOCK, "user_codes")["value"].get("7"), None);
}

#[test]
fn codes_that_wait_for_a_broken_lock_are_delivered_after_its_repair() {
    let mut hub = demo();
    add_code(&mut hub, "16345");
    set(&mut hub, DeviceCondition { broken: Some(true), ..DeviceCondition::default() });
    hub.advance(Duration::from_secs(1));
    assert_eq!(item(&mut hub, LOCK, "user_code_operation")["value"], "no_operation");
    set(&mut hub, DeviceCondition { broken: Some(false), ..DeviceCondition::default() });
    assert_eq!(item(&mut hub, LOCK, "user_code_operation")["value"], "new_user_code_added");
}

#[test]
fn dictionary_has_a_limit_in_bytes_and_is_cleared_as_one_change() {
    let mut hub = demo();
    let codes = item(&mut hub, LOCK, "user_codes")["_id"].clone();
    let add = |hub: &mut SimulatedHub, number: usize| {
        let element =
            json!({"type": "userCode", "value": {"code": format!("{}", 10_000 + number), "name": "x".repeat(9_000)}});
        hub.call("hub.item.dictionary.value.add", &json!({"_id": codes, "element": element})).is_ok()
    };
    let added = (0..30).filter(|number| add(&mut hub, *number)).count();
    assert!((10..12).contains(&added), "{added} elements of 9 kB fit 100 kB");
    let changes = hub.change(|hub, context| {
        let params = json!({"_id": codes}).to_string();
        hub.call("hub.item.dictionary.clear", Some(&params), context).unwrap();
        context.effects.changes.len()
    });
    assert_eq!((changes, item(&mut hub, LOCK, "user_codes")["value"].clone()), (1, json!({})));
}

#[test]
fn factory_reset_forgets_codes_and_gateways() {
    let mut hub = demo();
    set(&mut hub, DeviceCondition { masks_codes: Some(true), ..DeviceCondition::default() });
    add_code(&mut hub, "16345");
    let virtual_device =
        json!({"script": "HUB:test_plugin/scripts/add_device", "scriptParams": {"category": "switch"}});
    ask(&mut hub, "hub.extensions.plugin.run", virtual_device);
    hub.advance(Duration::from_secs(1));
    ask(&mut hub, "hub.reset", json!({"resetToFactoryDefaults": true}));
    hub.advance(Duration::from_secs(10));
    assert!(!serde_json::to_string(hub.hub()).unwrap().contains("16345"));
    let gateways = ask(&mut hub, "hub.gateways.list", json!({}));
    assert_eq!(gateways["gateways"].as_array().unwrap().len(), 1);
}

#[test]
fn changes_mask_codes_by_the_type_of_the_item() {
    let world = convert("dump-masked-codes").world.replace("\"user_codes\"", "\"pins\"");
    let mut hub = of_world(&world);
    let name = ask(&mut hub, "hub.devices.list", json!({}))["devices"][0]["name"].as_str().unwrap().to_owned();
    let codes = json!({"1": {"code": "16345", "name": "Kim", "mode": "enabled"}});
    let changes = hub.change(|hub, context| {
        hub.report(&name, "pins", codes, context).unwrap();
        format!("{:?}", context.effects.changes)
    });
    assert!(changes.contains("***") && !changes.contains("16345"), "{changes}");
}

/// Sources name the color item differently, and disagree about the getter of a barrier.
#[test]
fn names_of_items_that_differ_between_sources_are_assumptions() {
    let text = r#"
        [[hubs]]
        serial = "90000001"
        mac = "AA:BB:CC:00:00:01"
        kind = "linux"
        model = "h2.1"
        [[hubs.devices]]
        name = "Strip"
        template = "color_bulb"
        [[hubs.devices]]
        name = "Gate"
        template = "garage_door"
        "#;
    let file = WorldFile::parse("two devices", text).unwrap();
    for (rgb_color_name, barrier_has_getter, name) in [(false, false, "rgbcolor"), (true, true, "rgb_color")] {
        let mut assumptions = ezlo_hub_sim::HubAssumptions::default();
        (assumptions.rgb_color_name, assumptions.barrier_has_getter) = (rgb_color_name, barrier_has_getter);
        let mut hub = SimulatedHub::with_assumptions(&file, "90000001", 1, assumptions).unwrap();
        assert_eq!(item(&mut hub, "Strip", name)["valueType"], "rgb");
        assert_eq!(item(&mut hub, "Gate", "barrier")["hasGetter"], barrier_has_getter);
    }
}
