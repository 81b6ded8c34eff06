//! Property tests: invariants of a hub under random valid and invalid calls, reports and timers.

use std::collections::{BTreeMap, BTreeSet};

use ezlo_protocol::hub::item::Item;
use ezlo_protocol::hub::method::{Kind, spec};
use ezlo_protocol::wire;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::assumptions::HubAssumptions;
use crate::context::{Context, Timer};
use crate::hub::Hub;
use crate::world_file::{HubKind, WorldFile};

/// The state of a client that read the lists once and applies all later broadcasts.
#[derive(Debug, Default, PartialEq)]
struct Mirror {
    devices: BTreeMap<String, Value>,
    items: BTreeMap<String, Value>,
    rooms: BTreeMap<String, Value>,
    scenes: BTreeMap<String, Value>,
    mode: String,
}

fn keyed(list: &Value) -> BTreeMap<String, Value> {
    let object = |object: &Value| (object["_id"].as_str().unwrap().to_owned(), stripped(object));
    // EzloPi sends an empty list of rooms as `{}`.
    list.as_array().into_iter().flatten().map(object).collect()
}

/// Removes the members that only broadcasts have.
fn stripped(object: &Value) -> Value {
    let mut object = object.clone();
    for member in ["syncNotification", "deviceName"] {
        object.as_object_mut().unwrap().shift_remove(member);
    }
    object
}

impl Mirror {
    fn fold(&mut self, name: &str, content: &Value) {
        let id = content["_id"].as_str().unwrap_or_default().to_owned();
        match name {
            "hub.device.added" => drop(self.devices.insert(id, stripped(content))),
            "hub.device.removed" => drop(self.devices.remove(&id).expect("a device that was announced")),
            "hub.device.updated" => {
                let device = self.devices.get_mut(&id).expect("an update for a device that was announced");
                for (member, value) in content.as_object().unwrap() {
                    if !matches!(member.as_str(), "_id" | "syncNotification") {
                        device[member] = value.clone();
                    }
                }
            }
            "hub.item.added" => {
                assert!(self.devices.contains_key(content["deviceId"].as_str().unwrap()), "device before item");
                self.items.insert(id, stripped(content));
            }
            "hub.item.removed" => drop(self.items.remove(&id).expect("an item that was announced")),
            "hub.item.updated" => {
                let item = self.items.get_mut(&id).expect("an update for an item that was announced");
                for member in ["value", "valueFormatted"] {
                    // RTOS hubs have no formatted values.
                    if let Some(value) = content.get(member) {
                        item[member] = value.clone();
                    }
                }
            }
            "hub.item.dictionary.updated" => {
                let elements = self.items.get_mut(&id).expect("an announced item")["value"].as_object_mut().unwrap();
                for (key, element) in content["element"].as_object().unwrap() {
                    match content["operation"].as_str().unwrap() {
                        "removed" => drop(elements.shift_remove(key)),
                        _ => drop(elements.insert(key.clone(), element["value"].clone())),
                    }
                }
            }
            "hub.room.created" | "hub.room.edited" => drop(self.rooms.insert(id, content.clone())),
            "hub.room.deleted" => {
                self.rooms.remove(&id);
                // The devices of the room stay and have no room (guide20:p18).
                for device in self.devices.values_mut().filter(|device| device["roomId"] == json!(id)) {
                    device["roomId"] = json!("");
                }
            }
            "hub.scene.added" | "hub.scene.changed" => drop(self.scenes.insert(id, stripped(content))),
            "hub.scene.deleted" => drop(self.scenes.remove(&id)),
            "hub.modes.switched" | "hub.modes.changed" if content["status"] == "done" => {
                self.mode = content["to"].as_str().unwrap().to_owned()
            }
            _ => {}
        }
    }
}

/// A hub with its clock and timers, and the mirror of a client.
struct House {
    hub: Hub,
    assumptions: HubAssumptions,
    now_ms: i64,
    timers: Vec<(i64, Timer)>,
    mirror: Mirror,
    /// The method that is being called; the method table lists its broadcasts.
    during: Option<&'static str>,
}

/// Broadcasts that changes of values, modes, scenes and devices may cause during any call.
const CONSEQUENCES: &[&str] = &[
    "hub.item.updated",
    "hub.device.updated",
    "hub.modes.alarmed",
    "hub.modes.switched",
    // The mode switch of EzloPi.
    "hub.modes.changed",
    "hub.scene.run.progress",
    "hub.user.notification",
    "hub.favorite.removed",
    "hub.modes.bypass_devices.removed",
    "hub.extensions.plugin.ui_broadcast",
    "hub.extensions.plugin.run.progress",
    "hub.device.added",
    "hub.item.added",
    "hub.item.removed",
    "hub.device.removed",
    "hub.network.changed",
    "hub.gateway.updated",
    "hub.firmware.update.progress",
    "hub.software.update.progress",
    "hub.network.wifi.scan.progress",
    "hub.device.setting.updated",
];

impl House {
    fn new() -> Self {
        Self::of(HubKind::Linux)
    }

    /// Creates the demo house with a hub of this family.
    fn of(kind: HubKind) -> Self {
        let assumptions = HubAssumptions::default();
        let mut file = WorldFile::bundled("demo").unwrap();
        file.hubs[0].kind = kind;
        let hub = Hub::from_file(&file.hubs[0], &file.hubs[0].serial, 7, &assumptions, 0);
        let mut house = Self {
            hub,
            assumptions,
            now_ms: 1_700_000_000_000,
            timers: Vec::new(),
            mirror: Mirror::default(),
            during: None,
        };
        house.mirror = house.truth();
        house
    }

    fn read(&mut self, method: &str) -> Value {
        self.hub.call(method, None, &mut Context::new(self.now_ms, &self.assumptions)).unwrap().value()
    }

    /// Reads the state through the list methods.
    fn truth(&mut self) -> Mirror {
        Mirror {
            devices: keyed(&self.read("hub.devices.list")["devices"]),
            items: keyed(&self.read("hub.items.list")["items"]),
            rooms: keyed(&self.read("hub.room.list")),
            scenes: keyed(&self.read("hub.scenes.list")["scenes"]),
            mode: self.read("hub.modes.get")["current"].as_str().unwrap().to_owned(),
        }
    }

    /// Applies an action, checks that its broadcasts are listed, and queues its timers.
    fn act(&mut self, act: impl FnOnce(&mut Hub, &mut Context<'_>)) {
        let mut context = Context::new(self.now_ms, &self.assumptions);
        act(&mut self.hub, &mut context);
        let listed = self.during.take().and_then(spec).map_or(&[][..], |spec| spec.broadcasts);
        for crate::HubBroadcast { name, content, .. } in &context.effects.broadcasts {
            let known = listed.contains(name) || CONSEQUENCES.contains(name);
            assert!(known, "{name} is not in the table of methods");
            self.mirror.fold(name, &content.value());
        }
        let now = self.now_ms;
        self.timers
            .extend(context.effects.timers.into_iter().map(|(ms, timer)| (now + i64::try_from(ms).unwrap(), timer)));
    }

    /// Advances the time and fires the timers that become due, in order.
    fn wait(&mut self, ms: i64) {
        let until = self.now_ms + ms;
        // Time conditions set timers without end, so their number is bounded.
        for _ in 0..200 {
            let next =
                self.timers.iter().enumerate().filter(|(_, (due, _))| *due <= until).min_by_key(|(_, (due, _))| *due);
            let Some((at, _)) = next else { break };
            let (due, timer) = self.timers.remove(at);
            self.now_ms = self.now_ms.max(due);
            self.act(|hub, context| hub.fire(&timer, context));
        }
        self.now_ms = until;
    }

    /// Checks the invariants: valid values, items with a device, and lists that equal the mirror.
    fn check(&mut self) {
        let truth = self.truth();
        for (id, item) in &truth.items {
            let typed: Item = wire::from_value(item).unwrap();
            assert!(item["value"].is_null() || typed.holds(&item["value"]).is_ok(), "{id}: {item}");
            assert!(truth.devices.contains_key(item["deviceId"].as_str().unwrap()), "item without a device: {item}");
        }
        let pairs = [
            (&truth.devices, &self.mirror.devices),
            (&truth.items, &self.mirror.items),
            (&truth.rooms, &self.mirror.rooms),
            (&truth.scenes, &self.mirror.scenes),
        ];
        for (lists, mirrored) in pairs {
            for id in lists.keys().chain(mirrored.keys()) {
                assert_eq!(lists.get(id), mirrored.get(id), "the list differs from the sum of the broadcasts");
            }
        }
        assert_eq!(truth.mode, self.mirror.mode);
    }

    /// Returns the id of an existing object, or `none`.
    fn id(&self, of: Of, at: prop::sample::Index) -> String {
        let ids: Vec<&String> = match of {
            Of::Device => self.mirror.devices.keys().collect(),
            Of::Item => self.mirror.items.keys().collect(),
            Of::Room => self.mirror.rooms.keys().collect(),
            Of::Scene => self.mirror.scenes.keys().collect(),
        };
        if ids.is_empty() { "none".to_owned() } else { (*at.get(&ids)).clone() }
    }
}

#[derive(Debug, Clone, Copy)]
enum Of {
    Device,
    Item,
    Room,
    Scene,
}

/// One random step. Each `(member, kind, index)` of a call becomes the id of an existing object.
#[derive(Debug, Clone)]
enum Step {
    Call(&'static str, Vec<(&'static str, Of, prop::sample::Index)>, Value),
    Report(prop::sample::Index, Value),
    Wait(i64),
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::from),
        (-5..120_i64).prop_map(Value::from),
        (-50.0..150.0_f64).prop_map(Value::from),
        prop::sample::select(vec![
            "secured",
            "unsecured",
            "heat",
            "off",
            "dw_is_opened",
            "smoke_detected",
            "no_smoke",
            "siren_active",
            "nonsense",
            "",
        ])
        .prop_map(Value::from),
        Just(Value::Null),
        Just(json!({"button_number": 1, "button_state": "press_1_time"})),
        Just(json!({"red": 1, "green": 2, "blue": 3})),
        Just(json!([])),
    ]
}

fn any_scene() -> impl Strategy<Value = Value> {
    use ezlo_protocol::hub::scene::{Interval, SceneBuilder, every, set_item, switch_mode};
    let made = |name: String, seconds: u32, item: bool| {
        let builder = SceneBuilder::new(&name).when(every(Interval::from_seconds(seconds)));
        let builder = if item { builder.then(set_item("nothing", true)) } else { builder.then(switch_mode("2")) };
        builder.build().map_or_else(|_| json!({"name": name, "when": [{}]}), |scene| wire::to_value(&scene))
    };
    ("[a-z]{0,30}", 1..100_u32, any::<bool>()).prop_map(move |(name, seconds, item)| made(name, seconds, item))
}

fn any_step() -> impl Strategy<Value = Step> {
    let index = any::<prop::sample::Index>;
    let plain = |method: &'static str| move |params: Value| Step::Call(method, Vec::new(), params);
    let on = |method: &'static str, member: &'static str, of: Of| {
        move |(at, params): (prop::sample::Index, Value)| Step::Call(method, vec![(member, of, at)], params)
    };
    let name = "[a-zA-Z ]{0,40}".prop_map(|name| json!({"name": name}));
    let mode = prop::sample::select(vec!["1", "2", "3", "4", "5"]).prop_map(|mode| json!({"modeId": mode}));
    let script = prop::sample::select(vec![
        "zwave/scripts/start_include",
        "zwave/scripts/start_exclude",
        "zwave/scripts/stop_include",
        "nothing",
    ]);
    let armed = any::<bool>().prop_map(|armed| json!({"armed": armed}));
    let code = prop::sample::select(vec!["1234", "12", "12345678901", "abcd"]);
    let code = code.prop_map(|code| json!({"element": {"type": "userCode", "value": {"code": code, "name": "n"}}}));
    prop_oneof![
        8 => (index(), any_value().prop_map(|value| json!({"value": value}))).prop_map(on("hub.item.value.set", "_id", Of::Item)),
        6 => (index(), any_value()).prop_map(|(at, value)| Step::Report(at, value)),
        2 => (index(), code).prop_map(on("hub.item.dictionary.value.add", "_id", Of::Item)),
        1 => (index(), Just(json!({"key": "1"}))).prop_map(on("hub.item.dictionary.value.remove", "_id", Of::Item)),
        1 => (index(), name.clone()).prop_map(on("hub.device.name.set", "_id", Of::Device)),
        1 => (index(), armed).prop_map(on("hub.device.armed.set", "_id", Of::Device)),
        1 => (index(), Just(json!({}))).prop_map(on("hub.device.force_remove", "_id", Of::Device)),
        1 => (index(), index()).prop_map(|(device, room)| Step::Call("hub.device.room.set", vec![("_id", Of::Device, device), ("roomId", Of::Room, room)], json!({}))),
        1 => name.clone().prop_map(plain("hub.room.create")),
        1 => (index(), name).prop_map(on("hub.room.name.set", "_id", Of::Room)),
        1 => (index(), Just(json!({}))).prop_map(on("hub.room.delete", "_id", Of::Room)),
        3 => mode.clone().prop_map(plain("hub.modes.switch")),
        1 => Just(json!({})).prop_map(plain("hub.modes.cancel_switch")),
        1 => Just(json!({})).prop_map(plain("hub.modes.force_disarm")),
        1 => (index(), mode).prop_map(|(at, mut params)| { params["deviceIds"] = json!([]); Step::Call("hub.modes.bypass_devices.add", vec![("deviceIds/0", Of::Device, at)], params) }),
        2 => any_scene().prop_map(plain("hub.scenes.create")),
        1 => (index(), Just(json!({}))).prop_map(on("hub.scenes.delete", "_id", Of::Scene)),
        2 => (index(), Just(json!({}))).prop_map(on("hub.scenes.run", "sceneId", Of::Scene)),
        1 => (index(), any::<bool>().prop_map(|enabled| json!({"enabled": enabled}))).prop_map(on("hub.scenes.enabled.set", "_id", Of::Scene)),
        3 => script.prop_map(|script| json!({"script": format!("HUB:{script}")})).prop_map(plain("hub.extensions.plugin.run")),
        1 => any_value().prop_map(plain("hub.items.list")),
        4 => (1..70_000_i64).prop_map(Step::Wait),
    ]
}

fn run(house: &mut House, step: Step) {
    match step {
        Step::Wait(ms) => house.wait(ms),
        Step::Report(at, value) => {
            let id = house.id(Of::Item, at);
            let Some(item) = house.mirror.items.get(&id).cloned() else { return };
            let (device, name) = (item["deviceId"].as_str().unwrap(), item["name"].as_str().unwrap());
            house.act(|hub, context| drop(hub.report(device, name, value, context)));
        }
        Step::Call(method, ids, mut params) => {
            for (member, of, at) in ids {
                let id = house.id(of, at);
                match member.split_once('/') {
                    Some((list, _)) => params[list] = json!([id]),
                    None => params[member] = json!(id),
                }
            }
            let before = house.truth();
            let mut refused = false;
            house.during = Some(method);
            house.act(|hub, context| refused = hub.call(method, Some(&params.to_string()), context).is_err());
            if refused {
                assert_eq!(house.truth(), before, "a refused call changed the state: {method} {params}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn lists_equal_the_sum_of_the_broadcasts(
        kind in prop::sample::select(vec![HubKind::Linux, HubKind::Linux, HubKind::Rtos, HubKind::Ezlopi]),
        steps in prop::collection::vec(any_step(), 1..40),
    ) {
        let mut house = House::of(kind);
        for step in steps {
            run(&mut house, step);
            house.check();
        }
    }

    /// A hub that was persisted and loaded again has the same state and later behaviour.
    #[test]
    fn persisted_hub_behaves_like_the_original(
        kind in prop::sample::select(vec![HubKind::Linux, HubKind::Rtos, HubKind::Ezlopi]),
        steps in prop::collection::vec(any_step(), 1..20),
        then in prop::collection::vec(any_step(), 1..10),
    ) {
        let mut house = House::of(kind);
        house.act(Hub::start);
        for step in steps {
            run(&mut house, step);
        }
        let before = kept(&house.hub);
        let mut copy: Hub = serde_json::from_str(&before).unwrap();
        copy.rehydrate(kind);
        prop_assert!(before == kept(&copy));
        let timers = serde_json::to_string(&house.timers).unwrap();
        let mut other = House::of(kind);
        (other.hub, other.now_ms) = (copy, house.now_ms);
        other.timers = serde_json::from_str(&timers).unwrap();
        other.mirror = other.truth();
        for step in then {
            run(&mut house, step.clone());
            run(&mut other, step);
        }
        prop_assert!(kept(&house.hub) == kept(&other.hub));
    }
}

/// Returns the hub in its persisted form.
fn kept(hub: &Hub) -> String {
    serde_json::to_string(hub).unwrap()
}

proptest! {
    // Each case calls every method, so few cases are enough.
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]
    #[test]
    fn every_method_answers_any_parameters(
        kind in prop::sample::select(vec![HubKind::Linux, HubKind::Rtos, HubKind::Ezlopi]),
        members in prop::collection::btree_map("(_id|name|value|ids|items|modeId|script|eo|when|then|enabled|deviceIds|key|element|version)", any_value(), 0..5),
    ) {
        let mut house = House::of(kind);
        let params: Value = members.into_iter().collect();
        for method in super::dispatch::SIMULATED_METHODS.iter().copied() {
            house.during = Some(method);
            let before = (spec(method).map(|spec| spec.kind) == Some(Kind::Read)).then(|| kept(&house.hub));
            house.act(|hub, context| drop(hub.call(method, Some(&params.to_string()), context)));
            if let Some(before) = before {
                assert!(before == kept(&house.hub), "read method {method} changed the state");
            }
            // A factory reset clears the house without a broadcast per object.
            if method == "hub.reset" {
                house.mirror = house.truth();
            }
            house.check();
        }
    }
}

#[test]
fn same_seed_gives_the_same_ids() {
    let ids = || {
        let mut house = House::new();
        house.truth().items.into_keys().collect::<BTreeSet<_>>()
    };
    assert_eq!(ids(), ids());
}
