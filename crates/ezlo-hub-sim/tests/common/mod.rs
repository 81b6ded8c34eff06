//! Helpers that the tests share.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests; no test file uses all of them"
)]

use ezlo_hub_sim::SimulatedHub;
use ezlo_hub_sim::world_file::WorldFile;
use serde_json::{Value, json};

/// Names, types and values of the fields of a block.
pub(crate) type Fields<'a> = [(&'a str, &'a str, Value)];

pub(crate) fn demo() -> SimulatedHub {
    let world = WorldFile::bundled("demo").expect("a bundled world");
    SimulatedHub::new(&world, "90000001", 1).expect("a hub of the world")
}

/// Calls a method that must succeed.
pub(crate) fn ask(hub: &mut SimulatedHub, method: &str, params: Value) -> Value {
    hub.call(method, &params).unwrap_or_else(|error| panic!("{method}: {error} {:?}", error.reason))
}

/// Returns a device by its name.
pub(crate) fn device(hub: &mut SimulatedHub, name: &str) -> Value {
    let list = ask(hub, "hub.devices.list", json!({}));
    list["devices"].as_array().unwrap().iter().find(|device| device["name"] == name).unwrap().clone()
}

/// Returns an item by the names of its device and of the item; null if there is none.
pub(crate) fn item(hub: &mut SimulatedHub, device_name: &str, name: &str) -> Value {
    let device = device(hub, device_name)["_id"].clone();
    let list = ask(hub, "hub.items.list", json!({"deviceIds": [device]}));
    list["items"].as_array().unwrap().iter().find(|item| item["name"] == name).cloned().unwrap_or_default()
}

/// Returns a block of a scene. Its arguments have the names of its fields.
pub(crate) fn block(kind: &str, method: &str, fields: &Fields<'_>) -> Value {
    let args: serde_json::Map<String, Value> =
        fields.iter().map(|(name, ..)| ((*name).to_owned(), json!(name))).collect();
    let fields: Vec<Value> =
        fields.iter().map(|(name, kind, value)| json!({"name": name, "type": kind, "value": value})).collect();
    json!({"blockType": kind, "blockOptions": {"method": {"name": method, "args": args}}, "fields": fields})
}

/// Creates a scene and returns its id.
pub(crate) fn create(hub: &mut SimulatedHub, scene: Value) -> String {
    hub.take_broadcasts();
    ask(hub, "hub.scenes.create", scene);
    let added = hub.take_broadcasts().into_iter().find(|broadcast| broadcast.name == "hub.scene.added").unwrap();
    added.content["_id"].as_str().unwrap().to_owned()
}

/// Returns how often a scene started since the last call.
pub(crate) fn starts(hub: &mut SimulatedHub, scene: &str) -> usize {
    let is_start = |content: &Value| content["scene_id"] == scene && content["status"] == "started";
    hub.take_broadcasts().iter().filter(|broadcast| is_start(&broadcast.content)).count()
}
