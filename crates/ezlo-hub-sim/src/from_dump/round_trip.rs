//! Compares the replies of a dump with those of the simulated hub that the resulting world file describes.

use std::collections::HashMap;

use ezlo_protocol::hub::device::Device;
use serde_json::{Value, json};

use super::Dump;
use super::differences::{Difference, Differences};
use crate::simulated_hub::SimulatedHub;
use crate::world_file::WorldFile;

/// Returns the members of the dump that the simulated hub of the world does not send alike.
///
/// `devices` has the pseudonyms of the devices by their ids.
pub(super) fn differences(dump: &Dump, world: &WorldFile, devices: &HashMap<String, String>) -> Vec<Difference> {
    let Some(mut hub) = SimulatedHub::new(world, super::SERIAL, 1) else { return Vec::new() };
    let mut ask = |method: &str| hub.call(method, &json!({})).unwrap_or_default();
    let mut found = Differences::default();
    let replies = [
        ("hub.info.get", &dump.info),
        ("hub.modes.get", &dump.modes),
        ("hub.gateways.list", &dump.gateways),
        ("hub.scenes.list", &dump.scene_list),
        ("hub.room.list", &dump.room_list),
    ];
    for (method, reply) in replies {
        if !reply.is_null() {
            found.compare(method, reply, Some(&ask(method)));
        }
    }
    let (now_devices, now_items) = (ask("hub.devices.list"), ask("hub.items.list"));
    for (at, device) in dump.devices.iter().enumerate() {
        let name = device.id().and_then(|id| devices.get(id.as_str()));
        let now = list(&now_devices, "devices").find(|now| name.is_some_and(|name| now["name"] == name.as_str()));
        let source = ezlo_protocol::wire::to_value(device);
        found.compare(&format!("hub.devices.list devices[{at}]"), &source, now);
        if let Some(now) = now {
            compare_items(dump, device, now, &now_items, &mut found);
        }
    }
    found.found
}

/// Compares the items of a device, which have the same order on both sides.
fn compare_items(dump: &Dump, device: &Device, now: &Value, now_items: &Value, found: &mut Differences) {
    let mut present = list(now_items, "items").filter(|item| item["deviceId"] == now["_id"]);
    for (at, item) in dump.items.iter().enumerate().filter(|(_, item)| item.device_id.get() == device.id()) {
        let source = ezlo_protocol::wire::to_value(item);
        found.compare(&format!("hub.items.list items[{at}]"), &source, present.next());
    }
}

fn list<'v>(reply: &'v Value, member: &str) -> impl Iterator<Item = &'v Value> {
    reply[member].as_array().into_iter().flatten()
}
