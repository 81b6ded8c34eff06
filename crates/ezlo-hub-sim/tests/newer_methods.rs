#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]
//! Methods that hubs since 2021 have: groups, expressions, scripts, tools of scene editors.

mod common;

use ezlo_hub_sim::SimulatedHub;
use serde_json::{Value, json};

use common::demo;

fn device(hub: &mut SimulatedHub, name: &str) -> String {
    common::device(hub, name)["_id"].as_str().unwrap().to_owned()
}

/// Calls a method and returns the broadcasts that it caused: names and contents.
fn broadcasts(hub: &mut SimulatedHub, method: &str, params: &Value) -> Vec<(&'static str, Value)> {
    hub.take_broadcasts();
    hub.call(method, params).unwrap_or_else(|error| panic!("{method}: {error}"));
    hub.take_broadcasts().into_iter().map(|broadcast| (broadcast.name, broadcast.content)).collect()
}

fn refusal(hub: &mut SimulatedHub, method: &str, params: &Value) -> (i64, String) {
    let error = hub.call(method, params).unwrap_err();
    (error.code.get().copied().unwrap(), error.data().to_owned())
}

#[test]
fn device_groups_are_created_changed_expanded_and_deleted() {
    let mut hub = demo();
    let lamp = device(&mut hub, "Ceiling light");
    let before = hub.call("hub.device.groups.list", &json!({})).unwrap();
    let made = broadcasts(&mut hub, "hub.device.group.create", &json!({"name": "Lamps", "devices": [lamp]}));
    assert_eq!(made[0].0, "hub.device.group.created");
    let id = made[0].1["_id"].clone();
    let list = hub.call("hub.device.groups.list", &json!({})).unwrap();
    assert_ne!(list["version"], before["version"], "the version is a hash of the groups");
    assert_eq!(list["version"].as_str().unwrap().len(), 40);
    let same = hub.call("hub.device.groups.list", &json!({"version": list["version"]})).unwrap();
    assert_eq!(same, json!({"version": list["version"]}), "an equal version returns no groups");
    // The names of 2022 reach the same groups.
    let old = hub.call("hub.scenes.device.groups.list", &json!({"ids": [id]})).unwrap();
    assert_eq!(old["deviceGroups"].as_array().unwrap().len(), 1);
    assert_eq!(hub.call("hub.device.group.get", &json!({"id": id})).unwrap()["name"], "Lamps");
    let changed = broadcasts(&mut hub, "hub.device.group.update", &json!({"id": id, "name": "Lights here"}));
    assert_eq!((changed[0].0, &changed[0].1["sync"]), ("hub.device.group.updated", &json!(true)));
    let found = hub.call("hub.device.group.find", &json!({"deviceId": lamp})).unwrap();
    assert!(found["deviceGroups"].as_array().unwrap().iter().any(|group| group["_id"] == id), "{found}");
    let expanded = hub.call("hub.device.item.group.expand", &json!({"deviceGroupId": id, "showItems": true})).unwrap();
    assert_eq!(expanded["devices"][0]["deviceId"], json!(lamp));
    assert!(expanded["devices"][0]["items"].as_array().unwrap().iter().any(|item| item["name"] == "switch"));
    let deleted = broadcasts(&mut hub, "hub.device.group.delete", &json!({"id": id}));
    assert_eq!(deleted, [("hub.device.group.deleted", json!({"_id": id}))]);
    assert_eq!(refusal(&mut hub, "hub.device.group.get", &json!({"id": id})).0, -32602);
}

#[test]
fn persistent_groups_are_deleted_only_with_force() {
    let mut hub = demo();
    let list = hub.call("hub.device.groups.list", &json!({})).unwrap();
    let id = list["deviceGroups"][0]["_id"].clone();
    assert_eq!(refusal(&mut hub, "hub.device.group.delete", &json!({"id": id})).0, -32602);
    assert_eq!(broadcasts(&mut hub, "hub.device.group.delete", &json!({"id": id, "force": true})).len(), 1);
}

#[test]
fn groups_with_invalid_members_are_refused() {
    let mut hub = demo();
    let mut refused = |method: &str, params: Value| refusal(&mut hub, method, &params);
    assert_eq!(refused("hub.device.group.create", json!({})), (-32600, "rpc.params.notfound.name".into()));
    assert_eq!(refused("hub.device.group.create", json!({"name": "x".repeat(129)})).0, -32600);
    assert_eq!(refused("hub.device.group.create", json!({"name": "x", "devices": ["none"]})).0, -32500);
    assert_eq!(
        refused("hub.item.group.create", json!({"name": "x"})),
        (-32600, "rpc.params.notfound.itemNames".into())
    );
    assert_eq!(refused("hub.item.group.create", json!({"name": "x", "itemNames": []})).0, -32602);
    assert_eq!(
        refused("hub.item.group.create", json!({"name": "x", "itemNames": ["switch"]})),
        (-32600, "rpc.params.notfound.valueTypeFamily".into())
    );
}

#[test]
fn item_groups_limit_an_expansion() {
    let mut hub = demo();
    let group = json!({"name": "Switches", "itemNames": ["switch"], "valueType": "bool"});
    let made = broadcasts(&mut hub, "hub.item.group.create", &group);
    let items = made[0].1["_id"].clone();
    let groups = hub.call("hub.device.groups.list", &json!({})).unwrap();
    let switches = groups["deviceGroups"].as_array().unwrap().iter().find(|group| group["name"] == "Switches").unwrap();
    let query = json!({"deviceGroupId": switches["_id"], "itemGroupId": items, "showItems": true});
    let expanded = hub.call("hub.device.item.group.expand", &query).unwrap();
    for device in expanded["devices"].as_array().unwrap() {
        assert!(device["items"].as_array().unwrap().iter().all(|item| item["name"] == "switch"), "{device}");
    }
    assert!(!expanded["devices"].as_array().unwrap().is_empty());
    let list = hub.call("hub.item.groups.list", &json!({})).unwrap();
    assert_eq!(list["itemGroups"][0]["_id"], items);
}

#[test]
fn variables_are_stored_listed_and_deleted() {
    let mut hub = demo();
    let variable = json!({"name": "guestsAtHome", "code": "", "valueType": "bool", "variable": true, "value": false});
    let added = broadcasts(&mut hub, "hub.scenes.expressions.set", &variable);
    assert_eq!((added[0].0, &added[0].1["value"]), ("hub.expression.added", &json!(false)));
    let mut changed = variable.clone();
    changed["value"] = json!(true);
    assert_eq!(broadcasts(&mut hub, "hub.scenes.expressions.set", &changed)[0].0, "hub.expression.changed");
    let expression = json!({"name": "sum", "code": "return 1", "params": {"items": []}});
    hub.call("hub.scenes.expressions.set", &expression).unwrap();
    let list = |hub: &mut SimulatedHub, query: Value| {
        hub.call("hub.scenes.expressions.list", &query).unwrap()["expressions"].clone()
    };
    let variables = list(&mut hub, json!({"variable": true}));
    assert_eq!((variables.as_array().unwrap().len(), &variables[0]["value"]), (1, &json!(true)));
    let sums = list(&mut hub, json!({"names": ["sum"], "showCode": true}));
    assert_eq!(sums[0]["code"], "return 1");
    assert!(sums[0]["error"].is_array(), "{sums}");
    assert_eq!(list(&mut hub, json!({"filterType": "bool"})).as_array().unwrap().len(), 1);
    let deleted = broadcasts(&mut hub, "hub.scenes.expressions.delete", &json!({"name": "sum"}));
    assert_eq!(deleted, [("hub.expression.deleted", json!({"name": "sum"}))]);
    let long = json!({"name": "long", "code": "x".repeat(5 * 1024 + 1)});
    assert_eq!(refusal(&mut hub, "hub.scenes.expressions.set", &long).0, -32602);
}

#[test]
fn scripts_are_stored() {
    let mut hub = demo();
    let id = hub.call("hub.scenes.scripts.add", &json!({"name": "Hello", "code": "print(1)"})).unwrap()["_id"].clone();
    assert_eq!(hub.call("hub.scenes.scripts.list", &json!({})).unwrap(), json!([{"_id": id, "name": "Hello"}]));
    hub.call("hub.scenes.scripts.set", &json!({"_id": id, "code": "print(2)"})).unwrap();
    let script = hub.call("hub.scenes.scripts.get", &json!({"_id": id})).unwrap();
    assert_eq!(script, json!({"_id": id, "name": "Hello", "code": "print(2)"}));
    hub.call("hub.scenes.scripts.run", &json!({"_id": id})).unwrap();
    hub.call("hub.scenes.scripts.delete", &json!({"_id": id})).unwrap();
    assert_eq!(refusal(&mut hub, "hub.scenes.scripts.get", &json!({"_id": id})).0, -32500);
}

#[test]
fn scenes_are_cloned_and_carry_data_of_clients() {
    let mut hub = demo();
    let when = json!([{"blockType": "when", "blockId": "b1", "blockOptions": {"method": {"name": "isInterval",
        "args": {"interval": "interval"}}}, "fields": [{"name": "interval", "type": "interval", "value": "1h"}]}]);
    let made = broadcasts(&mut hub, "hub.scenes.create", &json!({"name": "Hourly", "when": when, "then": []}));
    let id = made[0].1["_id"].clone();
    let cloned = broadcasts(&mut hub, "hub.scenes.clone", &json!({"_id": id}));
    assert_eq!((cloned[0].0, &cloned[0].1["name"]), ("hub.scene.added", &json!("Hourly_cloned(1)")));
    assert_ne!(cloned[0].1["_id"], id);
    let changed = broadcasts(&mut hub, "hub.scenes.meta.set", &json!({"sceneId": id, "meta": {"icon": 3}}));
    assert_eq!((changed[0].0, &changed[0].1["meta"]), ("hub.scene.changed", &json!({"icon": 3})));
    let block = json!({"sceneId": id, "blockId": "b1", "meta": {"x": 1}});
    let changed = broadcasts(&mut hub, "hub.scenes.block.meta.set", &block);
    assert_eq!(changed[0].1["when"][0]["blockMeta"], json!({"x": 1}));
    let timed = hub.call("hub.scenes.time.list", &json!({})).unwrap();
    assert!(timed["timeScenes"].as_array().unwrap().iter().any(|scene| scene["_id"] == id));
    assert_eq!(hub.call("hub.scenes.status.get", &json!({"sceneId": id})).unwrap()["name"], "Hourly");
    hub.call("hub.scenes.block.status.reset", &json!({"sceneId": id})).unwrap();
    assert_eq!(refusal(&mut hub, "hub.scenes.block.status.reset", &json!({"sceneId": id, "blockId": "no"})).0, -32500);
}

#[test]
fn trigger_devices_are_found_inside_groups_of_conditions() {
    let mut hub = demo();
    let item = hub.call("hub.items.list", &json!({})).unwrap()["items"][0].clone();
    let listed = |hub: &mut SimulatedHub| {
        let list = hub.call("hub.scenes.trigger.devices.list", &json!({})).unwrap();
        list["devices"].as_array().unwrap().contains(&item["deviceId"])
    };
    for scene in hub.call("hub.scenes.list", &json!({})).unwrap()["scenes"].as_array().unwrap() {
        hub.call("hub.scenes.delete", &json!({"_id": scene["_id"]})).unwrap();
    }
    assert!(!listed(&mut hub), "no scene is left");
    let is = json!({"blockType": "when", "blockOptions": {"method": {"name": "isItemState", "args": {"item": "item", "value": "value"}}},
        "fields": [{"name": "item", "type": "item", "value": item["_id"]}, {"name": "value", "type": "string", "value": "x"}]});
    let and = json!({"blockType": "when", "blockOptions": {"method": {"name": "and", "args": {"blocks": "blocks"}}},
        "fields": [{"name": "blocks", "type": "blocks", "value": [is]}]});
    hub.call("hub.scenes.create", &json!({"name": "Nested", "when": [and], "then": []})).unwrap();
    assert!(listed(&mut hub));
}

#[test]
fn data_of_many_blocks_is_refused_before_it_is_copied() {
    let mut hub = demo();
    let block = json!({"blockType": "when", "blockId": "b", "blockOptions": {"method": {"name": "isInterval",
        "args": {"interval": "interval"}}}, "fields": [{"name": "interval", "type": "interval", "value": "1h"}]});
    let scene = json!({"name": "Many", "when": vec![block; 4_000], "then": []});
    let id = broadcasts(&mut hub, "hub.scenes.create", &scene)[0].1["_id"].clone();
    // 4,000 copies need 4 GB.
    let meta = json!({"sceneId": id, "blockId": "b", "meta": {"text": "x".repeat(1_000_000)}});
    assert_eq!(refusal(&mut hub, "hub.scenes.block.meta.set", &meta), (-32602, "rpc.params.invalid".into()));
    let small = json!({"sceneId": id, "blockId": "b", "meta": {"text": "x".repeat(600)}});
    for _ in 0..2 {
        let changed = broadcasts(&mut hub, "hub.scenes.block.meta.set", &small);
        assert_eq!(changed[0].1["when"][3_999]["blockMeta"], small["meta"], "replaced data does not count twice");
    }
}

#[test]
fn no_method_makes_the_scenes_larger_than_their_limit() {
    let mut hub = demo();
    let meta = |bytes: usize| json!({"text": "x".repeat(bytes)});
    let mut ids = Vec::new();
    for _ in 0..4 {
        let scene = json!({"name": "Large", "when": [], "then": [], "meta": meta(1_000_000)});
        ids.push(broadcasts(&mut hub, "hub.scenes.create", &scene)[0].1["_id"].clone());
    }
    let rest = json!({"name": "Rest", "when": [], "then": [], "meta": meta(1_000)});
    assert!((0..200).any(|_| hub.call("hub.scenes.create", &rest).is_err()), "the limit is reached");
    let mut refusals = 0;
    for at in 0..40 {
        let user = json!({"_id": ids[0], "userId": format!("{at:0>128}")});
        refusals += usize::from(hub.call("hub.scenes.notification.add", &user).is_err());
    }
    assert!(refusals > 0);
    let long = json!({"_id": ids[0], "userId": "x".repeat(129)});
    assert_eq!(refusal(&mut hub, "hub.scenes.notification.add", &long).1, "rpc.params.invalid");
    let modes = json!({"_id": ids[0], "houseModes": vec!["1"; 100]});
    let changed = broadcasts(&mut hub, "hub.scenes.house_modes.set", &modes);
    assert_eq!(changed[0].1["house_modes"], json!(["1"]));
    hub.call("hub.scenes.delete", &json!({"_id": ids[3]})).unwrap();
    hub.call("hub.scenes.notification.add", &json!({"_id": ids[0], "userId": "u"})).unwrap();
}

#[test]
fn block_data_holds_only_what_was_asked_for() {
    let mut hub = demo();
    let query = json!({"comparisonOperators": true, "valueTypeFamilies": true});
    let data = hub.call("hub.scenes.block.data.list", &query).unwrap();
    let names: Vec<&String> = data.as_object().unwrap().keys().collect();
    assert_eq!(names, ["valueTypeFamilies", "comparisonOperators"]);
    let families = data["comparisonOperators"]["families"].as_array().unwrap();
    let numeric = families.iter().find(|family| family["family"] == "numeric").unwrap();
    let between = numeric["methods"].as_array().unwrap().iter().find(|method| method["op"] == "not_between").unwrap();
    assert_eq!(between["method"], "compareNumberRange");
    let all = json!({"valueTypes": true, "scalableValueTypes": true, "valueScales": true, "scenesValueTypes": true,
        "comparisonMethods": true, "actionMethods": true, "advancedScenesVersion": true});
    let data = hub.call("hub.scenes.block.data.list", &all).unwrap();
    assert!(data["comparisonMethods"]["isDate"]["dataSource"].as_array().unwrap().contains(&json!("time")));
    assert!(data["valueScales"]["temperature"]["scales"].as_array().unwrap().contains(&json!("celsius")));
}

#[test]
fn swinger_shutdown_stores_limits_and_disabled_devices() {
    let mut hub = demo();
    let sensor = device(&mut hub, "Hall motion");
    let on = json!({"deviceId": sensor});
    let list = |hub: &mut SimulatedHub| hub.call("hub.modes.swinger.shutdown.list", &json!({})).unwrap();
    assert_eq!(list(&mut hub)["disabledDevices"], json!([]));
    let added = broadcasts(&mut hub, "hub.modes.swinger.shutdown.disable.add", &on);
    assert_eq!(added, [("hub.modes.swinger.shutdown.disable.added", on.clone())]);
    let limits = json!({"deviceId": sensor, "hitsLimit": 3, "inactivityWindow": 60});
    let changed = broadcasts(&mut hub, "hub.modes.swinger.shutdown.limit.set", &limits);
    assert_eq!(changed[0].0, "hub.modes.swinger.shutdown.limits.changed");
    let now = list(&mut hub);
    assert_eq!((&now["disabledDevices"], &now["devices"][0]["limits"]["hitsLimit"]), (&json!([sensor]), &json!(3)));
    let removed = broadcasts(&mut hub, "hub.modes.swinger.shutdown.disable.remove", &on);
    assert_eq!(removed[0].0, "hub.modes.swinger.shutdown.disable.remved", "the vendor's spelling");
    broadcasts(&mut hub, "hub.modes.swinger.shutdown.limit.reset", &on);
    assert_ne!(list(&mut hub)["devices"][0]["limits"]["hitsLimit"], 3);
    assert_eq!(
        broadcasts(&mut hub, "hub.modes.swinger.shutdown.reset", &on)[0].0,
        "hub.modes.swinger.shutdown.reset.done"
    );
    let zero = json!({"deviceId": sensor, "hitsLimit": 0, "inactivityWindow": 60});
    assert_eq!(refusal(&mut hub, "hub.modes.swinger.shutdown.limit.set", &zero).0, -32602);
}

#[test]
fn rooms_logs_and_status_are_answered() {
    let mut hub = demo();
    let rooms = hub.call("hub.room.list", &json!({})).unwrap();
    let (first, count) = (rooms[0]["_id"].clone(), rooms.as_array().unwrap().len());
    assert_eq!(hub.call("hub.room.get", &json!({"_id": first})).unwrap()["name"], rooms[0]["name"]);
    let deleted = broadcasts(&mut hub, "hub.room.all.delete", &json!({}));
    assert_eq!(deleted.iter().filter(|(name, _)| *name == "hub.room.deleted").count(), count);
    hub.call("hub.log.set", &json!({"enable": false, "severity": "INFO"})).unwrap();
    hub.call("hub.log.local.set", &json!({"severity": "debug"})).unwrap();
    assert_eq!(refusal(&mut hub, "hub.log.set", &json!({"severity": "INFO"})).1, "rpc.params.notfound.enable");
    assert_eq!(refusal(&mut hub, "hub.log.local.set", &json!({"severity": "loud"})).0, -32602);
    assert!(hub.call("hub.status.get", &json!({})).unwrap()["ram"]["availablePct"].is_number());
}

/// Every entry is limited in bytes, so that an app user cannot fill the memory.
#[test]
fn oversized_entries_are_refused() {
    let mut hub = demo();
    let long = "x".repeat(20_000);
    let cases = [
        ("hub.device.group.create", json!({"name": "x", "categories": [{"category": long}]})),
        ("hub.item.group.create", json!({"name": "x", "itemNames": [long], "valueType": "bool"})),
        ("hub.scenes.expressions.set", json!({"name": "x", "code": "", "variable": true, "value": long})),
        (
            "hub.scenes.expressions.set",
            json!({"name": "x", "code": "", "variable": true, "value": 1, "metadata": {"a": long}}),
        ),
        ("hub.scenes.scripts.add", json!({"name": "x", "code": long.repeat(4)})),
    ];
    for (method, params) in cases {
        assert_eq!(refusal(&mut hub, method, &params), (-32602, "rpc.params.invalid".into()), "{method}");
    }
    let made = broadcasts(&mut hub, "hub.device.group.create", &json!({"name": "x"}));
    let grown = json!({"id": made[0].1["_id"], "categories": [{"category": long}]});
    assert_eq!(refusal(&mut hub, "hub.device.group.update", &grown).0, -32602);
    assert_eq!(hub.call("hub.device.group.get", &json!({"id": made[0].1["_id"]})).unwrap().get("categories"), None);
}

#[test]
fn an_unknown_block_has_its_own_error() {
    let mut hub = demo();
    hub.call("hub.scenes.create", &json!({"name": "Empty", "when": [], "then": []})).unwrap();
    let scenes = hub.call("hub.scenes.list", &json!({})).unwrap();
    let id = scenes["scenes"].as_array().unwrap().iter().find(|one| one["name"] == "Empty").unwrap()["_id"].clone();
    for (method, rest) in [
        ("hub.scenes.block.enabled.set", json!({"enabled": false})),
        ("hub.scenes.block.meta.set", json!({"meta": {}})),
        ("hub.scenes.block.status.reset", json!({})),
    ] {
        let mut params = json!({"sceneId": id, "blockId": "no-block"});
        params.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        let error = hub.call(method, &params).unwrap_err();
        assert_eq!(
            (error.code.get(), error.message.as_deref()),
            (Some(&-32500), Some("Scene block does not exist")),
            "{method}"
        );
    }
}

#[test]
fn a_removed_device_is_forgotten_by_the_swinger_shutdown() {
    let mut hub = demo();
    let sensor = device(&mut hub, "Hall motion");
    hub.call("hub.modes.swinger.shutdown.disable.add", &json!({"deviceId": sensor})).unwrap();
    hub.call("hub.device.force_remove", &json!({"_id": sensor})).unwrap();
    hub.advance(std::time::Duration::from_secs(60));
    let list = hub.call("hub.modes.swinger.shutdown.list", &json!({})).unwrap();
    assert_eq!(list["disabledDevices"], json!([]));
}

#[test]
fn rules_with_subcategories_include_only_devices_with_them() {
    let mut hub = demo();
    let lamp = device(&mut hub, "Ceiling light");
    let list = hub.call("hub.devices.list", &json!({})).unwrap();
    let record = list["devices"].as_array().unwrap().iter().find(|one| one["_id"] == json!(lamp)).unwrap().clone();
    let with = |subcategories: Value| json!([{"category": record["category"], "subcategories": subcategories}]);
    for (rules, expected) in [(with(json!([])), true), (with(json!(["no_such_one"])), false)] {
        let made = broadcasts(&mut hub, "hub.device.group.create", &json!({"name": "Rule", "categories": rules}));
        let id = made[0].1["_id"].clone();
        let expanded = hub.call("hub.device.item.group.expand", &json!({"deviceGroupId": id})).unwrap();
        let has = expanded["devices"].as_array().unwrap().iter().any(|one| one["deviceId"] == json!(lamp));
        assert_eq!(has, expected, "{rules}");
        hub.call("hub.device.group.delete", &json!({"id": id})).unwrap();
    }
}

#[test]
fn global_scenes_run_under_the_id_of_the_cloud() {
    let mut hub = demo();
    let scene = json!({"_id": "cloud-scene-1", "enabled": true, "tag": "away", "when": [], "then": []});
    let made = broadcasts(&mut hub, "hub.scenes.global.create", &scene);
    assert_eq!((made[0].0, &made[0].1["tag"]), ("hub.scene.global.added", &json!("away")));
    assert_eq!(refusal(&mut hub, "hub.scenes.global.create", &scene).0, -32602, "the id is taken");
    assert_eq!(refusal(&mut hub, "hub.scenes.delete", &json!({"_id": "cloud-scene-1"})).1, "ezlo.scenes.not.exist");
    let long = json!({"_id": "cloud-scene-2", "enabled": true, "name": "x".repeat(100_000), "when": [], "then": []});
    assert_eq!(refusal(&mut hub, "hub.scenes.global.create", &long).0, -32602, "the document has a limit");
    let scenes = hub.call("hub.scenes.list", &json!({})).unwrap();
    assert!(scenes["scenes"].as_array().unwrap().iter().all(|one| one["_id"] != "cloud-scene-1"));
    let ran = broadcasts(&mut hub, "hub.scenes.global.run", &json!({"sceneId": "cloud-scene-1"}));
    let expected = json!({"sceneId": "cloud-scene-1", "sceneName": "away", "status": "finished", "error": null});
    assert_eq!(ran.last().unwrap(), &("hub.scene.global.run.progress", expected));
    hub.call("hub.scenes.global.delete", &json!({"_id": "cloud-scene-1"})).unwrap();
    assert_eq!(
        refusal(&mut hub, "hub.scenes.global.run", &json!({"sceneId": "cloud-scene-1"})).1,
        "ezlo.scenes.not.exist"
    );
}

#[test]
fn methods_known_by_name_have_inferred_effects() {
    let mut hub = demo();
    let version = hub.call("hub.version.get", &json!({})).unwrap();
    assert_eq!(version["version"], hub.call("hub.info.get", &json!({})).unwrap()["firmware"]);
    hub.call("hub.feature.status.set", &json!({"name": "beta", "enabled": true})).unwrap();
    assert_eq!(hub.call("hub.features.list", &json!({})).unwrap()["feature"]["beta"]["enabled"], true);
    let items = hub.call("hub.items.list", &json!({})).unwrap();
    let of = |name: &str| {
        items["items"].as_array().unwrap().iter().find(|item| item["name"] == name).unwrap()["_id"].clone()
    };
    let set = broadcasts(&mut hub, "hub.item.value.percent.apply", &json!({"_id": of("dimmer"), "percent": 40}));
    assert_eq!((set[0].0, &set[0].1["value"]), ("hub.item.updated", &json!(40)));
    let codes = of("user_codes");
    let element = json!({"type": "userCode", "value": {"code": "16345", "name": "Kim"}});
    hub.call("hub.item.dictionary.value.add", &json!({"_id": codes, "element": element})).unwrap();
    let cleared = broadcasts(&mut hub, "hub.item.dictionary.clear", &json!({"_id": codes}));
    assert!(
        cleared
            .iter()
            .any(|(name, content)| *name == "hub.item.dictionary.updated" && content["operation"] == "removed")
    );
    let network = broadcasts(&mut hub, "hub.network.enabled.set", &json!({"_id": "eth0", "enabled": "off"}));
    assert_eq!((network[0].0, &network[0].1["interfaces"][0]["enabled"]), ("hub.network.changed", &json!("off")));
    assert_eq!(
        refusal(&mut hub, "hub.network.wifi.try_connect", &json!({"ssid": "none", "key": "k"})).1,
        "network.connection.failed"
    );
    let room = hub.call("hub.room.list", &json!({})).unwrap()[0]["_id"].clone();
    hub.call("hub.room.image.set", &json!({"_id": room, "imageId": "sofa"})).unwrap();
    assert_eq!(hub.call("hub.room.list", &json!({})).unwrap()[0]["imageId"], "sofa");
    let lamp = device(&mut hub, "Ceiling light");
    let updated = broadcasts(&mut hub, "hub.device.firmware.update", &json!({"deviceId": lamp}));
    assert_eq!(updated.len(), 2);
}

/// A sensor that trips again and again raises no alarm above its limit (pi; the effect is inferred).
#[test]
fn swinger_shutdown_counts_alarms_and_ends_them_at_the_limit() {
    let mut hub = demo();
    let sensor = device(&mut hub, "Hall motion");
    hub.call("hub.device.armed.set", &json!({"_id": sensor, "armed": true})).unwrap();
    let limits = json!({"deviceId": sensor, "hitsLimit": 2, "inactivityWindow": 3600});
    hub.call("hub.modes.swinger.shutdown.limit.set", &limits).unwrap();
    let mut alarms_of = |minutes: u64| {
        hub.advance(std::time::Duration::from_secs(60 * minutes));
        hub.take_broadcasts();
        for is_tripped in [true, false] {
            hub.change(|hub, context| hub.trip("Hall motion", is_tripped, context)).unwrap();
        }
        let alarms = hub.take_broadcasts().into_iter().filter(|one| one.name == "hub.modes.alarmed").count();
        let _ = hub.call("hub.modes.local.alarm.off", &json!({}));
        let list = hub.call("hub.modes.swinger.shutdown.list", &json!({})).unwrap();
        (alarms > 0, list["devices"][0]["stat"]["hits"].as_i64().unwrap())
    };
    assert_eq!([alarms_of(5), alarms_of(5), alarms_of(5)], [(true, 1), (true, 2), (false, 3)]);
    assert_eq!(alarms_of(61), (true, 1), "the window has passed without an alarm");
}
