#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]
//! Function blocks, results of blocks, dictionary conditions, policies and exceptions of scenes.

mod common;

use std::time::Duration;

use ezlo_hub_sim::world_file::WorldFile;
use ezlo_hub_sim::{HubAssumptions, SimulatedHub};
use serde_json::{Value, json};

use common::{Fields, block, create, demo, starts};

fn item(hub: &mut SimulatedHub, device: &str, name: &str) -> String {
    common::item(hub, device, name)["_id"].as_str().unwrap().to_owned()
}

fn lamp_is(hub: &mut SimulatedHub, on: bool) -> Value {
    let lamp = item(hub, "Kitchen light", "switch");
    block("when", "isItemState", &[("item", "item", json!(lamp)), ("value", "bool", json!(on))])
}

fn function(settings: Value, inner: Vec<Value>) -> Value {
    let mut made = block("when", "function", &[("blocks", "blocks", json!(inner))]);
    made["blockOptions"]["function"] = settings;
    made
}

fn with_when(hub: &mut SimulatedHub, when: Value) -> String {
    create(hub, json!({"name": "Probe", "when": [when], "then": []}))
}

fn set_lamp(hub: &mut SimulatedHub, on: bool) {
    let lamp = item(hub, "Kitchen light", "switch");
    hub.call("hub.item.value.set", &json!({"_id": lamp, "value": on})).unwrap();
}

fn seconds(hub: &mut SimulatedHub, seconds: u64) {
    hub.advance(Duration::from_secs(seconds));
}

fn result(hub: &mut SimulatedHub, scene: &str) -> Option<String> {
    let progress = hub.take_broadcasts().into_iter().rfind(|broadcast| broadcast.content["scene_id"] == scene)?;
    progress.content["status"].as_str().map(str::to_owned)
}

#[test]
fn held_condition_starts_a_scene_after_its_time_only() {
    let mut hub = demo();
    let on = lamp_is(&mut hub, true);
    let scene = with_when(&mut hub, function(json!({"for": {"method": "least", "seconds": 10}}), vec![on]));
    set_lamp(&mut hub, true);
    seconds(&mut hub, 9);
    set_lamp(&mut hub, false);
    seconds(&mut hub, 60);
    assert_eq!(starts(&mut hub, &scene), 0, "interrupted after 9 s");
    set_lamp(&mut hub, true);
    seconds(&mut hub, 10);
    assert_eq!(starts(&mut hub, &scene), 1);
    seconds(&mut hub, 60);
    assert_eq!(starts(&mut hub, &scene), 0, "once for each beginning");
}

#[test]
fn short_condition_starts_a_scene_at_its_end() {
    let mut hub = demo();
    let on = lamp_is(&mut hub, true);
    let scene = with_when(&mut hub, function(json!({"for": {"method": "less", "seconds": 10}}), vec![on]));
    for (held, expected) in [(5, 1), (10, 0), (9, 1)] {
        set_lamp(&mut hub, true);
        seconds(&mut hub, held);
        assert_eq!(starts(&mut hub, &scene), 0);
        set_lamp(&mut hub, false);
        assert_eq!(starts(&mut hub, &scene), expected, "held for {held} s");
    }
}

#[test]
fn repetition_counts_beginnings_within_its_time() {
    let mut hub = demo();
    let on = lamp_is(&mut hub, true);
    let scene = with_when(&mut hub, function(json!({"repeat": {"times": 3, "seconds": 10}}), vec![on]));
    let blink = |hub: &mut SimulatedHub| {
        set_lamp(hub, true);
        seconds(hub, 2);
        set_lamp(hub, false);
        seconds(hub, 2);
    };
    blink(&mut hub);
    blink(&mut hub);
    assert_eq!(starts(&mut hub, &scene), 0);
    blink(&mut hub);
    assert_eq!(starts(&mut hub, &scene), 1);
    blink(&mut hub);
    seconds(&mut hub, 20);
    blink(&mut hub);
    blink(&mut hub);
    assert_eq!(starts(&mut hub, &scene), 0, "the first one is too old");
}

#[test]
fn follower_ends_later_and_pulse_repeats() {
    let mut hub = demo();
    let (on, lamp) = (lamp_is(&mut hub, true), item(&mut hub, "Ceiling light", "dimmer"));
    let set =
        |level: i64| block("then", "setItemValue", &[("item", "item", json!(lamp)), ("value", "int", json!(level))]);
    let follow = function(json!({"follow": {"delayReset": 30}}), vec![on.clone()]);
    let scene = json!({"name": "Follow", "when": [follow], "then": [set(80)], "else": [set(0)]});
    create(&mut hub, scene);
    let level = |hub: &mut SimulatedHub| {
        let items = hub.call("hub.items.list", &json!({})).unwrap();
        let found = items["items"].as_array().unwrap().iter().find(|one| one["_id"] == json!(lamp)).unwrap().clone();
        found["value"].as_i64().unwrap()
    };
    set_lamp(&mut hub, true);
    assert_eq!(level(&mut hub), 80);
    set_lamp(&mut hub, false);
    seconds(&mut hub, 29);
    assert_eq!(level(&mut hub), 80, "the end is delayed");
    seconds(&mut hub, 1);
    assert_eq!(level(&mut hub), 0);
    let pulse = function(json!({"pulse": {"truePeriod": 1, "falsePeriod": 2, "times": 3}}), vec![on]);
    let pulsing = with_when(&mut hub, pulse);
    set_lamp(&mut hub, true);
    assert_eq!(starts(&mut hub, &pulsing), 1);
    seconds(&mut hub, 60);
    assert_eq!(starts(&mut hub, &pulsing), 2, "three pulses");
}

#[test]
fn latch_holds_until_it_is_reset_by_call_or_action() {
    let mut hub = demo();
    let on = lamp_is(&mut hub, true);
    let mut latch = function(json!({"latch": {"enabled": true}}), vec![on]);
    latch["blockId"] = json!("latch-1");
    let scene = with_when(&mut hub, latch);
    for _ in 0..3 {
        set_lamp(&mut hub, true);
        set_lamp(&mut hub, false);
    }
    assert_eq!(starts(&mut hub, &scene), 1, "the latch holds");
    hub.call("hub.scenes.block.status.reset", &json!({"sceneId": scene, "blockId": "latch-1"})).unwrap();
    set_lamp(&mut hub, true);
    assert_eq!(starts(&mut hub, &scene), 1);
    let ids = [("sceneId", "string", json!(scene)), ("blockId", "string", json!("latch-1"))];
    let resetting = create(&mut hub, json!({"name": "Reset", "when": [], "then": [block("then", "resetLatch", &ids)]}));
    hub.call("hub.scenes.run", &json!({"sceneId": resetting})).unwrap();
    assert_eq!(result(&mut hub, &resetting).as_deref(), Some("finished"));
    set_lamp(&mut hub, false);
    set_lamp(&mut hub, true);
    assert_eq!(starts(&mut hub, &scene), 1);
    hub.call("hub.reboot", &json!({})).unwrap();
    set_lamp(&mut hub, false);
    seconds(&mut hub, 5);
    hub.take_broadcasts();
    set_lamp(&mut hub, true);
    assert_eq!(starts(&mut hub, &scene), 1, "the state is lost at a restart");
}

#[test]
fn result_of_a_block_starts_another_scene() {
    let mut hub = demo();
    let mut on = lamp_is(&mut hub, true);
    on["blockId"] = json!("lamp-on");
    let first = with_when(&mut hub, on);
    let group = |state: &str| {
        block(
            "when",
            "isGroupState",
            &[
                ("scene", "sceneId", json!(first)),
                ("group", "string", json!("lamp-on")),
                ("state", "string", json!(state)),
            ],
        )
    };
    let scenes: Vec<String> =
        ["true", "false", "changed"].iter().map(|state| with_when(&mut hub, group(state))).collect();
    let count = |hub: &mut SimulatedHub| {
        let broadcasts = hub.take_broadcasts();
        scenes
            .iter()
            .map(|scene| {
                broadcasts
                    .iter()
                    .filter(|one| one.content["scene_id"] == json!(scene) && one.content["status"] == "started")
                    .count()
            })
            .collect::<Vec<_>>()
    };
    set_lamp(&mut hub, true);
    assert_eq!(count(&mut hub), [1, 0, 1]);
    set_lamp(&mut hub, false);
    assert_eq!(count(&mut hub), [0, 1, 1]);
}

#[test]
fn conditions_on_each_other_end() {
    let mut hub = demo();
    let group = |scene: &str, state: &str, id: &str| {
        let mut made = block(
            "when",
            "isGroupState",
            &[("scene", "sceneId", json!(scene)), ("group", "string", json!("b")), ("state", "string", json!(state))],
        );
        made["blockId"] = json!(id);
        made
    };
    let on = lamp_is(&mut hub, true);
    let first = with_when(&mut hub, on);
    let second = with_when(&mut hub, group(&first, "true", "b"));
    let edited = json!({"_id": first, "name": "First", "when": [group(&second, "false", "b")], "then": []});
    hub.call("hub.scenes.edit", &json!({"_id": first, "eo": edited})).unwrap();
    set_lamp(&mut hub, true);
    seconds(&mut hub, 1);
    assert!(hub.take_broadcasts().len() < 10_000);
}

#[test]
fn dictionary_conditions_follow_the_codes_and_operations_of_a_lock() {
    let mut hub = demo();
    let codes = item(&mut hub, "Front door lock", "user_codes");
    let operation = item(&mut hub, "Front door lock", "user_lock_operation");
    let changed = with_when(
        &mut hub,
        block(
            "when",
            "isDictionaryChanged",
            &[("item", "item", json!(codes)), ("key", "token", json!("7")), ("operation", "token", json!("added"))],
        ),
    );
    let operated = with_when(
        &mut hub,
        block(
            "when",
            "isUserLockOperation",
            &[
                ("item", "item", json!(operation)),
                ("state", "token", json!("lock")),
                ("user", "dictionaryId", json!("7")),
            ],
        ),
    );
    for number in 1..=7 {
        let element = json!({"type": "userCode", "value": {"code": format!("{}", 10_000 + number), "name": "Kim"}});
        hub.call("hub.item.dictionary.value.add", &json!({"_id": codes, "element": element})).unwrap();
    }
    assert_eq!(starts(&mut hub, &changed), 1);
    for (user, action) in [(6, "lock"), (7, "unlock"), (7, "lock"), (7, "lock")] {
        let value = json!({"action": action, "userId": user});
        hub.change(|hub, context| hub.report("Front door lock", "user_lock_operation", value, context)).unwrap();
    }
    assert_eq!(starts(&mut hub, &operated), 2);
}

#[test]
fn alarm_phase_and_pending_switch_are_conditions() {
    let mut hub = demo();
    let pending = with_when(&mut hub, block("when", "isHouseModeSwitchToRange", &[]));
    let main = with_when(&mut hub, block("when", "isHouseModeAlarmPhaseRange", &[("phase", "string", json!("main"))]));
    hub.call("hub.modes.switch", &json!({"modeId": "2"})).unwrap();
    assert_eq!(starts(&mut hub, &pending), 1);
    seconds(&mut hub, 60);
    hub.change(|hub, context| hub.trip("Front door", true, context)).unwrap();
    assert_eq!(starts(&mut hub, &main), 0, "the entry delay runs");
    seconds(&mut hub, 60);
    assert_eq!(starts(&mut hub, &main), 1);
}

#[test]
fn exception_prevents_a_start_and_policies_decide_the_result() {
    let mut hub = demo();
    let (on, dimmer) = (lamp_is(&mut hub, true), item(&mut hub, "Ceiling light", "dimmer"));
    let bright = block(
        "when",
        "compareNumbers",
        &[("item", "item", json!(dimmer)), ("comparator", "string", json!(">")), ("value", "int", json!(50))],
    );
    let scene = create(&mut hub, json!({"name": "Except", "when": [on], "exceptions": [bright], "then": []}));
    let set = |hub: &mut SimulatedHub, level: i64| {
        hub.call("hub.item.value.set", &json!({"_id": dimmer, "value": level})).unwrap();
    };
    set(&mut hub, 80);
    set_lamp(&mut hub, true);
    assert_eq!(starts(&mut hub, &scene), 0);
    set_lamp(&mut hub, false);
    set(&mut hub, 10);
    set_lamp(&mut hub, true);
    assert_eq!(starts(&mut hub, &scene), 1);

    let good = block("then", "setItemValue", &[("item", "item", json!(dimmer)), ("value", "int", json!(20))]);
    let bad = block(
        "then",
        "sendCloudAbstractCommand",
        &[
            ("abstractId", "string", json!("a")),
            ("capability", "string", json!("c")),
            ("command", "string", json!("x")),
        ],
    );
    for (policy, actions, expected) in [
        (None, vec![&good, &bad], "failed"),
        (Some("ignore_result"), vec![&bad, &good], "partially_finished"),
        (Some("ignore_result"), vec![&bad, &bad], "failed"),
        (Some("check_result"), vec![&bad, &good], "failed"),
        (Some("check_result"), vec![&good], "finished"),
    ] {
        let scene = create(&mut hub, json!({"name": "Policy", "when": [], "then": actions, "exec_policy": policy}));
        hub.call("hub.scenes.run", &json!({"sceneId": scene})).unwrap();
        seconds(&mut hub, 121);
        assert_eq!(result(&mut hub, &scene).as_deref(), Some(expected), "{policy:?} {}", actions.len());
    }
}

#[test]
fn scenes_that_refer_to_missing_objects_are_refused() {
    let mut hub = demo();
    let switch = item(&mut hub, "Kitchen light", "switch");
    let when =
        |method: &str, fields: &Fields<'_>| json!({"name": "Bad", "when": [block("when", method, fields)], "then": []});
    let then =
        |method: &str, fields: &Fields<'_>| json!({"name": "Bad", "when": [], "then": [block("then", method, fields)]});
    let cases = [
        (
            when("isItemState", &[("item", "item", json!("none")), ("value", "bool", json!(true))]),
            "ezlo.scenes.block.when.wrong",
        ),
        (
            then("setItemValue", &[("item", "item", json!("none")), ("value", "bool", json!(true))]),
            "ezlo.scenes.block.then.wrong",
        ),
        (
            then("setItemValue", &[("item", "item", json!(switch)), ("value", "int", json!(5))]),
            "ezlo.scenes.block.then.wrong",
        ),
        (then("runScene", &[("sceneId", "sceneId", json!("none"))]), "ezlo.scenes.block.then.wrong"),
        (
            when(
                "isDeviceItemGroup",
                &[("deviceGroup", "device_group", json!("g")), ("itemGroup", "item_group", json!("i"))],
            ),
            "ezlo.scenes.block.groups.not.exist",
        ),
    ];
    for (scene, data) in cases {
        assert_eq!(hub.call("hub.scenes.create", &scene).unwrap_err().data(), data, "{scene}");
    }
    let scene = create(&mut hub, json!({"name": "Own", "when": [], "then": []}));
    let own =
        block("when", "isSceneState", &[("scene", "sceneId", json!(scene)), ("state", "token", json!("finished"))]);
    let edited = json!({"_id": scene, "name": "Own", "when": [own], "then": []});
    let error = hub.call("hub.scenes.edit", &json!({"_id": scene, "eo": edited})).unwrap_err();
    assert_eq!(error.data(), "scenes.when.recursive_execute");
}

#[test]
fn circles_of_scenes_are_refused_if_the_assumption_says_so() {
    for refuse in [false, true] {
        let world = WorldFile::bundled("demo").unwrap();
        let mut assumptions = HubAssumptions::default();
        assumptions.refuse_scene_cycles = refuse;
        let mut hub = SimulatedHub::with_assumptions(&world, "90000001", 1, assumptions).unwrap();
        let run = |scene: &str| block("then", "runScene", &[("sceneId", "sceneId", json!(scene))]);
        let first = create(&mut hub, json!({"name": "First", "when": [], "then": []}));
        let second = create(&mut hub, json!({"name": "Second", "when": [], "then": [run(&first)]}));
        let edited = json!({"_id": first, "name": "First", "when": [], "then": [run(&second)]});
        let outcome = hub.call("hub.scenes.edit", &json!({"_id": first, "eo": edited}));
        let data = outcome.err().map(|error| error.data().to_owned());
        assert_eq!(data.as_deref(), refuse.then_some("scenes.cycle.detected"));
    }
}

#[test]
fn plugin_script_and_network_are_part_of_scenes() {
    let mut hub = demo();
    let offline = with_when(&mut hub, block("when", "isNetworkState", &[("state", "token", json!("disconnected"))]));
    let params = json!({"name": "Virtual", "category": "switch"});
    let run = block(
        "then",
        "runPluginScript",
        &[("script", "string", json!("HUB:test_plugin/scripts/add_device")), ("scriptParams", "object", params)],
    );
    let scene = create(&mut hub, json!({"name": "Add", "when": [], "then": [run]}));
    hub.call("hub.scenes.run", &json!({"sceneId": scene})).unwrap();
    assert!(!item(&mut hub, "Virtual", "switch").is_empty());
    hub.call("hub.network.reset", &json!({})).unwrap();
    assert_eq!(starts(&mut hub, &offline), 1);
}

#[test]
fn results_that_hold_at_once_are_known_to_outer_ones_also_after_a_restart() {
    let mut hub = demo();
    set_lamp(&mut hub, true);
    let mut latch = function(json!({"latch": {"enabled": true}}), vec![lamp_is(&mut hub, true)]);
    latch["blockId"] = json!("latched");
    let first = with_when(&mut hub, latch);
    let group = block(
        "when",
        "isGroupState",
        &[
            ("scene", "sceneId", json!(first)),
            ("group", "string", json!("latched")),
            ("state", "string", json!("true")),
        ],
    );
    let kitchen = item(&mut hub, "Ceiling light", "switch");
    let other = block("when", "isItemState", &[("item", "item", json!(kitchen)), ("value", "bool", json!(true))]);
    let both = block("when", "and", &[("blocks", "blocks", json!([group, other]))]);
    let second = with_when(&mut hub, both);
    let mut press = |on: bool| {
        hub.call("hub.item.value.set", &json!({"_id": kitchen, "value": on})).unwrap();
        starts(&mut hub, &second)
    };
    assert_eq!((press(true), press(false)), (1, 0), "the latch held when its scene was stored");
    hub.call("hub.reboot", &json!({})).unwrap();
    seconds(&mut hub, 5);
    hub.take_broadcasts();
    hub.call("hub.item.value.set", &json!({"_id": kitchen, "value": true})).unwrap();
    assert_eq!(starts(&mut hub, &second), 1);
}

#[test]
fn durations_of_functions_move_with_the_clock() {
    let mut hub = demo();
    let on = lamp_is(&mut hub, true);
    let scene = with_when(&mut hub, function(json!({"for": {"method": "less", "seconds": 60}}), vec![on]));
    set_lamp(&mut hub, true);
    seconds(&mut hub, 10);
    // A state that is restored an hour later has lost no time.
    hub.change(|hub, _| hub.shift_timers(3_600_000));
    seconds(&mut hub, 3_600);
    set_lamp(&mut hub, false);
    assert_eq!(starts(&mut hub, &scene), 1);
}
