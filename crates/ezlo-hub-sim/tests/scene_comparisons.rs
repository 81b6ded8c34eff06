#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]
//! Comparisons of items, expressions and variables in scenes, and actions on variables and groups.

mod common;

use ezlo_hub_sim::world_file::WorldFile;
use ezlo_hub_sim::{Context, Hub, HubAssumptions, SimulatedHub, Timer};
use serde_json::{Value, json};

use common::{block, demo, starts};

fn create(hub: &mut SimulatedHub, when: &[Value], then: &[Value]) -> String {
    common::create(hub, json!({"name": "Probe", "when": when, "then": then}))
}

fn set_variable(hub: &mut SimulatedHub, name: &str, value: &Value) {
    let variable = json!({"name": name, "code": "", "variable": true, "value": value});
    hub.call("hub.scenes.expressions.set", &variable).unwrap();
}

#[test]
fn comparisons_of_variables_start_scenes_at_their_edges() {
    let op = |name: &'static str, value: Value| vec![(name, "token", value)];
    let value = |kind: &'static str, value: Value| ("value", kind, value);
    let with = |mut fields: Vec<(&'static str, &'static str, Value)>, value| {
        fields.push(value);
        fields
    };
    let range = |inside: &str| {
        vec![("startValue", "int", json!(10)), ("endValue", "int", json!(20)), ("comparator", "token", json!(inside))]
    };
    // The condition, values that fail it, values that pass it.
    let cases = [
        ("compareNumberRange", range("between"), json!([9, 21]), json!([10, 15, 20])),
        ("compareNumberRange", range("not_between"), json!([10, 20]), json!([9, 21])),
        ("compareNumbers", with(op("comparator", json!(">")), value("int", json!(5))), json!([5, "x"]), json!([6])),
        (
            "compareStrings",
            with(op("comparator", json!("<")), value("string", json!("m"))),
            json!(["n", 1]),
            json!(["a"]),
        ),
        (
            "stringOperation",
            with(op("operation", json!("begin")), value("string", json!("ab"))),
            json!(["xab"]),
            json!(["abx"]),
        ),
        (
            "stringOperation",
            with(op("operation", json!("not_contain")), value("string", json!("b"))),
            json!(["abc"]),
            json!(["xyz"]),
        ),
        (
            "stringOperation",
            with(op("operation", json!("length")), value("int", json!(3))),
            json!(["ab"]),
            json!(["abc"]),
        ),
        (
            "inArray",
            with(op("operation", json!("in")), value("array", json!([1, "two"]))),
            json!([3]),
            json!([1, "two"]),
        ),
        ("inArray", with(op("operation", json!("not_in")), value("array", json!([1, "two"]))), json!([1]), json!([3])),
        (
            "compareValues",
            with(
                vec![("valueType", "string", json!("bool")), ("comparator", "string", json!("!="))],
                value("bool", json!(true)),
            ),
            json!([true]),
            json!([false]),
        ),
    ];
    for (method, mut fields, failing, passing) in cases {
        fields.insert(0, ("expression", "expression", json!("probe")));
        for good in passing.as_array().unwrap() {
            let mut hub = demo();
            set_variable(&mut hub, "probe", &failing[0]);
            let scene = create(&mut hub, &[block("when", method, &fields)], &[]);
            for bad in failing.as_array().unwrap() {
                set_variable(&mut hub, "probe", bad);
                assert_eq!(starts(&mut hub, &scene), 0, "{method} {bad}");
            }
            set_variable(&mut hub, "probe", good);
            assert_eq!(starts(&mut hub, &scene), 1, "{method} {good}");
            set_variable(&mut hub, "probe", good);
            assert_eq!(starts(&mut hub, &scene), 0, "{method} {good}: it holds already");
        }
    }
}

#[test]
fn the_right_side_can_be_an_expression() {
    let mut hub = demo();
    set_variable(&mut hub, "limit", &json!(30));
    set_variable(&mut hub, "level", &json!(10));
    let fields = [
        ("expression", "expression", json!("level")),
        ("comparator", "string", json!(">")),
        ("value", "expression", json!("limit")),
    ];
    let scene = create(&mut hub, &[block("when", "compareNumbers", &fields)], &[]);
    set_variable(&mut hub, "level", &json!(25));
    assert_eq!(starts(&mut hub, &scene), 0);
    set_variable(&mut hub, "limit", &json!(20));
    assert_eq!(starts(&mut hub, &scene), 1, "a change of the right side counts, too");
}

#[test]
fn actions_set_variables_and_start_scenes_that_depend_on_them() {
    let mut hub = demo();
    set_variable(&mut hub, "away", &json!(false));
    let when = block(
        "when",
        "compareValues",
        &[
            ("expression", "expression", json!("away")),
            ("valueType", "string", json!("bool")),
            ("value", "bool", json!(true)),
        ],
    );
    let dependent = create(&mut hub, &[when], &[]);
    let toggle = block("then", "toggleValue", &[("expression", "expression", json!("away"))]);
    let toggles = create(&mut hub, &[], &[toggle]);
    hub.call("hub.scenes.run", &json!({"sceneId": toggles})).unwrap();
    assert_eq!(starts(&mut hub, &dependent), 1);
    let set = block("then", "setVariable", &[("name", "string", json!("away")), ("value", "bool", json!(false))]);
    let sets = create(&mut hub, &[], &[set]);
    hub.call("hub.scenes.run", &json!({"sceneId": sets})).unwrap();
    let list = hub.call("hub.scenes.expressions.list", &json!({"names": ["away"]})).unwrap();
    assert_eq!(list["expressions"][0]["value"], false);
}

/// Returns the condition that a variable has a value.
fn variable_is(name: &str, value: &Value) -> Value {
    let fields = [
        ("expression", "expression", json!(name)),
        ("valueType", "string", json!("int")),
        ("value", "int", value.clone()),
    ];
    block("when", "compareValues", &fields)
}

#[test]
fn each_change_of_a_variable_in_one_call_is_evaluated_by_itself() {
    let mut hub = demo();
    set_variable(&mut hub, "step", &json!(0));
    let scenes: Vec<String> = (1..=3).map(|step| create(&mut hub, &[variable_is("step", &json!(step))], &[])).collect();
    let set = |step| block("then", "setVariable", &[("name", "string", json!("step")), ("value", "int", json!(step))]);
    let steps = create(&mut hub, &[], &[set(1), set(2), set(3)]);
    hub.call("hub.scenes.run", &json!({"sceneId": steps})).unwrap();
    let broadcasts = hub.take_broadcasts();
    let started = |scene: &&String| {
        let is_start = |content: &Value| content["scene_id"] == scene.as_str() && content["status"] == "started";
        broadcasts.iter().filter(|broadcast| is_start(&broadcast.content)).count() == 1
    };
    assert_eq!(scenes.iter().filter(started).count(), 3, "each value was there once");
}

#[test]
fn a_deleted_variable_has_no_value() {
    let mut hub = demo();
    set_variable(&mut hub, "gone", &json!(1));
    let not = block("when", "not", &[("block", "block", variable_is("gone", &json!(1)))]);
    let scene = create(&mut hub, &[not], &[]);
    hub.call("hub.scenes.expressions.delete", &json!({"name": "gone"})).unwrap();
    assert_eq!(starts(&mut hub, &scene), 1);
}

#[test]
fn actions_on_groups_reach_every_device() {
    let mut hub = demo();
    hub.call("hub.item.group.create", &json!({"name": "On", "itemNames": ["switch"], "valueType": "bool"})).unwrap();
    let items = hub.call("hub.item.groups.list", &json!({})).unwrap()["itemGroups"][0]["_id"].clone();
    let groups = hub.call("hub.device.groups.list", &json!({})).unwrap();
    let id = |name: &str| {
        let all = groups["deviceGroups"].as_array().unwrap();
        all.iter().find(|group| group["name"] == name).unwrap()["_id"].clone()
    };
    let query = json!({"deviceGroupId": id("Switches"), "itemGroupId": items, "showItems": true});
    let expanded = hub.call("hub.device.item.group.expand", &query).unwrap();
    let count = expanded["devices"].as_array().unwrap().len();
    let set = block(
        "then",
        "groupSetItemValue",
        &[
            ("deviceGroup", "device_group", id("Switches")),
            ("itemGroup", "item_group", items.clone()),
            ("value", "bool", json!(true)),
        ],
    );
    let scene = create(&mut hub, &[], &[set]);
    hub.call("hub.scenes.run", &json!({"sceneId": scene})).unwrap();
    let set = hub.take_broadcasts().into_iter().filter(|broadcast| broadcast.content["name"] == "switch");
    assert!(count > 0 && set.count() >= count, "{count}");
    let arm = block(
        "then",
        "groupSetDeviceArmed",
        &[("deviceGroup", "device_group", id("Security sensors")), ("deviceFlag", "bool", json!(true))],
    );
    let scene = create(&mut hub, &[], &[arm]);
    hub.call("hub.scenes.run", &json!({"sceneId": scene})).unwrap();
    assert!(hub.take_broadcasts().iter().any(|broadcast| broadcast.content["armed"] == true));
}

#[test]
fn scenes_that_are_not_executed_are_reported_or_refused() {
    let when = block("when", "isBatteryState", &[("device", "device", json!("x"))]);
    let scene = json!({"name": "Battery", "when": [when], "then": [block("then", "cloudAPI", &[])]});
    let unsupported = demo().change(|hub, context| {
        hub.call("hub.scenes.create", Some(&scene.to_string()), context).unwrap();
        context.effects.unsupported.clone()
    });
    assert_eq!(unsupported, ["when isBatteryState", "then cloudAPI"]);
    let world = WorldFile::bundled("demo").expect("a bundled world");
    let mut assumptions = HubAssumptions::default();
    assumptions.refuse_unsupported_scenes = true;
    let mut strict = SimulatedHub::with_assumptions(&world, "90000001", 1, assumptions).unwrap();
    let refused = strict.call("hub.scenes.create", &scene).unwrap_err();
    assert_eq!(refused.data(), "ezlo.scenes.method.unknown");
    assert!(refused.reason.as_deref().unwrap().contains("isBatteryState"), "{refused}");
}

/// Fires the timers of a hub some milliseconds after their time, as a running clock does, and counts the starts of a scene.
fn starts_with_late_timers(when: &[Value], hours: i64, late_ms: i64) -> usize {
    let world = WorldFile::bundled("demo").expect("a bundled world");
    let (file, assumptions) = (&world.hubs[0], HubAssumptions::default());
    let mut hub = Hub::from_file(file, &file.serial, 1, &assumptions, 0);
    let mut timers: Vec<(i64, Timer)> = Vec::new();
    let mut count = 0;
    let mut step = |hub: &mut Hub, now_ms: i64, action: &dyn Fn(&mut Hub, &mut Context<'_>)| {
        let mut context = Context::new(now_ms, &assumptions);
        action(hub, &mut context);
        let started = |content: &Value| content["scene_name"] == "Late" && content["status"] == "started";
        let contents =
            context.effects.broadcasts.iter().map(|broadcast| serde_json::from_str(broadcast.content.as_str()));
        count += contents.filter(|content| started(content.as_ref().unwrap())).count();
        context.effects.timers.into_iter().map(|(wait, timer)| (now_ms + i64::try_from(wait).unwrap(), timer)).collect()
    };
    timers.extend::<Vec<_>>(step(&mut hub, 0, &|hub, context| hub.start(context)));
    let scene = json!({"name": "Late", "when": when, "then": []}).to_string();
    timers.extend(step(&mut hub, 0, &|hub, context| {
        hub.call("hub.scenes.create", Some(&scene), context).unwrap();
    }));
    while let Some(next) = (0..timers.len()).min_by_key(|at| timers[*at].0) {
        let (due, timer) = timers.remove(next);
        if due > hours * 3_600_000 {
            break;
        }
        timers.extend(step(&mut hub, due + late_ms, &|hub, context| hub.fire(&timer, context)));
    }
    count
}

#[test]
fn windows_start_scenes_when_timers_fire_late() {
    let range = |from: &str, to: &str| {
        let fields = [("startTime", "24_hours_time", json!(from)), ("endTime", "24_hours_time", json!(to))];
        block("when", "isDateRange", &fields)
    };
    let days =
        |days: Value| block("when", "isDate", &[("type", "string", json!("weekly")), ("weekdays", "int_array", days)]);
    let sun = |days: Value| {
        let fields =
            [("sunset", "enum", json!("intime")), ("range", "string", json!("after")), ("weekdays", "int_array", days)];
        let mut block = block("when", "isSunState", &fields);
        block["blockOptions"]["method"]["args"] =
            json!({"sunstate": "sunset", "range": "range", "weekdays": "weekdays"});
        block
    };
    let group = |name: &str, blocks: Value| block("when", name, &[("blocks", "blocks", blocks)]);
    let starts = |when: &[Value]| starts_with_late_timers(when, 72, 7);
    // 1 January 1970 was a Thursday.
    assert_eq!(starts(&[range("08:00", "09:00")]), 3);
    assert_eq!(starts(&[days(json!([5]))]), 1);
    assert_eq!(starts(&[sun(json!([5]))]), 1);
    let both = json!([range("08:00", "09:00"), group("or", json!([range("08:00", "10:00")]))]);
    assert_eq!(starts(&[group("and", both)]), 3, "two windows that begin together start it once");
    let times = block("when", "isDate", &[("time", "24_hours_time_array", json!(["08:00", "12:00"]))]);
    assert_eq!(starts(&[times]), 6);
    // A clock of 86,400 times the speed moves 86 s in each millisecond of delay.
    let near = block("when", "isDate", &[("time", "24_hours_time_array", json!(["08:00", "08:01"]))]);
    assert_eq!(starts_with_late_timers(&[near], 72, 86_400), 6, "no time is skipped");
    assert_eq!(starts_with_late_timers(&[range("08:00", "08:00")], 72, 86_400), 3);
}

#[test]
fn a_window_starts_a_scene_once_beside_a_change_at_its_begin() {
    let mut hub = demo();
    set_variable(&mut hub, "v", &json!(0));
    let eight = block("when", "isDate", &[("time", "24_hours_time_array", json!(["08:00"]))]);
    let on = block("then", "setVariable", &[("name", "string", json!("v")), ("value", "int", json!(1))]);
    create(&mut hub, &[eight], &[on]);
    let fields = [("startTime", "24_hours_time", json!("08:00")), ("endTime", "24_hours_time", json!("09:00"))];
    let both = json!([block("when", "isDateRange", &fields), variable_is("v", &json!(1))]);
    let scene = create(&mut hub, &[block("when", "and", &[("blocks", "blocks", both)])], &[]);
    hub.advance(std::time::Duration::from_secs(86_400));
    assert_eq!(starts(&mut hub, &scene), 1);
}

#[test]
fn conditions_of_a_hub_are_bounded_by_their_cost() {
    let mut hub = demo();
    set_variable(&mut hub, "x", &json!(1));
    let reference = block(
        "when",
        "inArray",
        &[
            ("expression", "expression", json!("x")),
            ("operation", "token", json!("in")),
            ("value", "expression", json!("x")),
        ],
    );
    let mut disabled = reference.clone();
    disabled["block_enable"] = json!(false);
    let scene = |block: &Value, count| json!({"name": "Many", "when": vec![block; count], "then": []});
    hub.call("hub.scenes.create", &scene(&reference, 100)).unwrap();
    // A disabled condition can be enabled later.
    for block in [reference, disabled] {
        let refused = hub.call("hub.scenes.create", &scene(&block, 2_000)).unwrap_err();
        assert!(refused.reason.as_deref().unwrap().contains("50000 evaluations"), "{refused:?}");
    }
}

/// Returns the id of a usual group of devices.
fn device_group(hub: &mut SimulatedHub, name: &str) -> Value {
    let groups = hub.call("hub.device.groups.list", &json!({})).unwrap();
    let all = groups["deviceGroups"].as_array().unwrap();
    all.iter().find(|group| group["name"] == name).unwrap()["_id"].clone()
}

fn item_group(hub: &mut SimulatedHub, names: &Value) -> Value {
    hub.call("hub.item.group.create", &json!({"name": "Items", "itemNames": names, "valueType": "bool"})).unwrap();
    hub.call("hub.item.groups.list", &json!({})).unwrap()["itemGroups"][0]["_id"].clone()
}

/// Returns the id of an item.
fn item(hub: &mut SimulatedHub, device: &str, name: &str) -> (Value, Value) {
    let devices = hub.call("hub.devices.list", &json!({})).unwrap();
    let all = devices["devices"].as_array().unwrap();
    let device = all.iter().find(|one| one["name"] == device).unwrap()["_id"].clone();
    let items = hub.call("hub.items.list", &json!({"deviceIds": [device]})).unwrap();
    let all = items["items"].as_array().unwrap();
    (device, all.iter().find(|one| one["name"] == name).unwrap()["_id"].clone())
}

#[test]
fn group_actions_count_every_item_and_search() {
    let mut hub = demo();
    let devices = device_group(&mut hub, "Switches");
    let items = item_group(&mut hub, &json!(["switch"]));
    let toggle = block(
        "then",
        "groupToggleValue",
        &[("deviceGroup", "device_group", devices.clone()), ("itemGroup", "item_group", items)],
    );
    let (_, switch) = item(&mut hub, "Ceiling light", "switch");
    let scene = create(&mut hub, &[], &vec![toggle; 250]);
    hub.take_broadcasts();
    hub.call("hub.scenes.run", &json!({"sceneId": scene})).unwrap();
    let sent = hub.take_broadcasts();
    let sets = sent.iter().filter(|broadcast| broadcast.content["name"] == "switch").count();
    assert!((1..=500).contains(&sets), "{sets} sets of 250 actions, {switch}");
    assert!(sent.iter().any(|broadcast| broadcast.content["status"] == "failed"), "the bound is visible in the result");
    // A long group makes each search more expensive.
    let exceptions: Vec<String> = (0..600).map(|number| format!("device-{number:08}")).collect();
    let update = json!({"id": devices, "exceptions": exceptions});
    hub.call("hub.device.group.update", &update).unwrap();
    hub.take_broadcasts();
    hub.call("hub.scenes.run", &json!({"sceneId": scene})).unwrap();
    let sent = hub.take_broadcasts();
    let fewer = sent.iter().filter(|broadcast| broadcast.content["name"] == "switch").count();
    assert!(fewer < sets, "{fewer} of {sets}");
}

#[test]
fn conditions_on_groups_hold_at_each_change_of_a_member() {
    let mut hub = demo();
    let (lamp, switch) = item(&mut hub, "Ceiling light", "switch");
    hub.call("hub.device.group.create", &json!({"name": "Mine", "devices": [lamp]})).unwrap();
    let devices = device_group(&mut hub, "Mine");
    let items = item_group(&mut hub, &json!(["switch"]));
    let sides = [("deviceGroup", "device_group", devices.clone()), ("itemGroup", "item_group", items)];
    let on = [&sides[..], &[("value", "bool", json!(true))]].concat();
    let scene = create(&mut hub, &[block("when", "isItemState", &on)], &[]);
    let set = |hub: &mut SimulatedHub, id: &Value, value: bool| {
        hub.call("hub.item.value.set", &json!({"_id": id, "value": value})).unwrap();
        hub.advance(std::time::Duration::from_secs(5));
    };
    for (value, expected) in [(true, 1), (true, 0), (false, 0), (true, 1)] {
        set(&mut hub, &switch, value);
        assert_eq!(starts(&mut hub, &scene), expected, "{value}");
    }
    let (_, other) = item(&mut hub, "Kitchen light", "switch");
    set(&mut hub, &other, true);
    set(&mut hub, &other, false);
    set(&mut hub, &other, true);
    assert_eq!(starts(&mut hub, &scene), 0, "the kitchen is not in the group");
    let (sensor, _) = item(&mut hub, "Hall motion", "motion");
    hub.call("hub.device.group.create", &json!({"name": "Armed", "devices": [sensor]})).unwrap();
    let group = device_group(&mut hub, "Armed");
    let armed = [("deviceGroup", "device_group", group), ("armed", "bool", json!(true))];
    let scene = create(&mut hub, &[block("when", "isDeviceState", &armed)], &[]);
    for (value, expected) in [(true, 1), (true, 0), (false, 0), (true, 1)] {
        hub.call("hub.device.armed.set", &json!({"_id": sensor, "armed": value})).unwrap();
        assert_eq!(starts(&mut hub, &scene), expected, "armed {value}");
    }
    hub.call("hub.device.name.set", &json!({"_id": sensor, "name": "Motion"})).unwrap();
    assert_eq!(starts(&mut hub, &scene), 0, "a new name is no change of the state");
}

#[test]
fn expressions_are_accepted_on_both_sides() {
    let mut hub = demo();
    for (name, value) in [("left", json!(1)), ("right", json!(2)), ("list", json!([3, 4]))] {
        set_variable(&mut hub, name, &value);
    }
    let left = ("expression", "expression", json!("left"));
    let equal = block("when", "isItemState", &[left.clone(), ("value", "expression", json!("right"))]);
    let equal = create(&mut hub, &[equal], &[]);
    let inside = block(
        "when",
        "inArray",
        &[left.clone(), ("operation", "token", json!("in")), ("value", "expression", json!("list"))],
    );
    let inside = create(&mut hub, &[inside], &[]);
    set_variable(&mut hub, "left", &json!(2));
    let sent = hub.take_broadcasts();
    let started =
        |scene: &str| sent.iter().any(|sent| sent.content["scene_id"] == scene && sent.content["status"] == "started");
    assert!(started(&equal) && !started(&inside));
    set_variable(&mut hub, "left", &json!(4));
    assert_eq!(starts(&mut hub, &inside), 1);
}

#[test]
fn parts_of_a_scene_run_by_themselves() {
    let mut hub = demo();
    set_variable(&mut hub, "last", &json!("none"));
    let note = |text: &str| {
        block("then", "setVariable", &[("name", "string", json!("last")), ("value", "string", json!(text))])
    };
    let parts = json!({
        "name": "Parts", "when": [], "then": [note("then")], "else": [note("else")],
        "thenGroups": {"a": [note("a")]}, "elseGroups": {"b": [note("b")]},
    });
    hub.call("hub.scenes.create", &parts).unwrap();
    let added = hub.take_broadcasts().into_iter().find(|sent| sent.name == "hub.scene.added").unwrap();
    assert_eq!(added.content["thenGroups"], parts["thenGroups"]);
    let scene = added.content["_id"].clone();
    let run = |hub: &mut SimulatedHub, block_name: Option<&str>, group: Option<&str>| {
        let mut fields = vec![("sceneId", "sceneId", scene.clone())];
        fields.extend(block_name.map(|name| ("block", "string", json!(name))));
        fields.extend(group.map(|id| ("group", "string", json!(id))));
        let caller = create(hub, &[], &[block("then", "runScene", &fields)]);
        hub.call("hub.scenes.run", &json!({"sceneId": caller})).unwrap();
        let end = hub.take_broadcasts().into_iter().rfind(|sent| sent.content["scene_id"] == caller.as_str());
        let last = hub.call("hub.scenes.expressions.list", &json!({})).unwrap();
        let last = last["expressions"].as_array().unwrap().iter().find(|one| one["name"] == "last").unwrap().clone();
        (last["value"].clone(), end.unwrap().content["status"].clone())
    };
    for (name, group, expected) in [
        (None, None, "then"),
        (Some("else"), None, "else"),
        (Some("thenGroups"), Some("a"), "a"),
        (Some("elseGroups"), Some("b"), "b"),
    ] {
        assert_eq!(run(&mut hub, name, group), (json!(expected), json!("finished")), "{name:?} {group:?}");
    }
    assert_eq!(run(&mut hub, Some("thenGroups"), Some("z")).1, "failed", "a missing group");
    let bad = json!({"name": "Bad", "when": [], "then": [], "thenGroups": {"a": [{"blockOptions": {}}]}});
    let refused = hub.call("hub.scenes.create", &bad).unwrap_err();
    assert_eq!(refused.data.get(), Some(&json!("ezlo.scenes.block.then.wrong")));
}

#[test]
fn a_factory_reset_by_a_scene_ends_its_run() {
    let mut hub = demo();
    set_variable(&mut hub, "mine", &json!(1));
    for _ in 0..2 {
        let reset = block("then", "resetHub", &[("type", "token", json!("factory"))]);
        let set = block("then", "setVariable", &[("name", "string", json!("x")), ("value", "int", json!(1))]);
        let scene = create(&mut hub, &[], &[reset, set]);
        hub.call("hub.scenes.run", &json!({"sceneId": scene})).unwrap();
        hub.advance(std::time::Duration::from_secs(120));
        let expressions = hub.call("hub.scenes.expressions.list", &json!({})).unwrap();
        assert_eq!(expressions["expressions"], json!([]), "a reset hub has no variables, and the run has ended");
        let groups = hub.call("hub.device.groups.list", &json!({})).unwrap();
        assert_eq!(groups["deviceGroups"].as_array().unwrap().len(), 5, "the groups of every hub are back");
        let scenes = hub.call("hub.scenes.list", &json!({})).unwrap();
        assert_eq!(scenes["scenes"], json!([]));
        hub.take_broadcasts();
    }
}
