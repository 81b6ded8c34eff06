//! Summaries of world files and templates.

use std::borrow::Cow;

use serde::Serialize;

use crate::templates;
use crate::world_file::HubFile;
use crate::world_file::WorldFile;

/// A summary of a world file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Number of users.
    pub users: usize,
    /// Number of Wi-Fi networks.
    pub networks: usize,
    /// Number of hubs, copies included.
    pub hubs: usize,
    /// Number of devices of all hubs, parts of multi-channel devices included.
    pub devices: usize,
    /// Number of items of all hubs.
    pub items: usize,
    /// Number of scenes of all hubs.
    pub scenes: usize,
    /// Number of behaviours of all hubs.
    pub behaviours: usize,
    /// Summaries of the first 20 hubs.
    pub first_hubs: Vec<HubSummary>,
}

/// A summary of a hub of a world file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HubSummary {
    /// Serial of the hub.
    pub serial: String,
    /// Kind of the hub: `linux`, `rtos`, `ezlopi` or `vera`.
    pub kind: &'static str,
    /// Model name.
    pub model: String,
    /// Name of the user whose account owns the hub; `None` if it is unclaimed.
    pub owner: Option<String>,
    /// Connected to the relay at the start.
    pub online: bool,
    /// Names of the rooms.
    pub rooms: Vec<String>,
    /// Number of devices, parts of multi-channel devices included.
    pub devices: usize,
    /// Number of items.
    pub items: usize,
    /// Names of the scenes.
    pub scenes: Vec<String>,
}

/// A summary of a device template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TemplateSummary {
    /// Name of the template.
    pub name: &'static str,
    /// Category and, after a slash, subcategory.
    pub category: String,
    /// Names of the items.
    pub items: Vec<&'static str>,
    /// Templates of the parts of a multi-channel device, each of which becomes a device of its own.
    pub parts: &'static [&'static str],
    /// The device is included with Z-Wave Security 2.
    pub secure: bool,
}

/// Number of hubs that a summary describes individually.
const FIRST_HUBS: usize = 20;

/// Returns summaries of all device templates.
pub fn templates() -> impl Iterator<Item = TemplateSummary> {
    templates::TEMPLATES.iter().map(|template| TemplateSummary {
        name: template.name,
        category: template.full_category(),
        items: template.items.iter().map(|item| item.name).collect(),
        parts: template.parts,
        secure: template.secure.is_some(),
    })
}

/// Returns a summary of a world file. Reads the file only; no hub is created.
pub fn summarize(file: &WorldFile) -> Summary {
    let sum = |of: fn(&HubFile) -> usize| file.hubs.iter().map(|hub| hub.count() as usize * of(hub)).sum();
    let each = file.hubs.iter().flat_map(|hub| (0..hub.count()).map(move |n| (hub, n)));
    Summary {
        users: file.users.len(),
        networks: file.wifi.len(),
        hubs: sum(|_| 1),
        devices: sum(|hub| hub.size().0),
        items: sum(|hub| hub.size().1),
        scenes: sum(|hub| hub.scenes.len()),
        behaviours: sum(|hub| hub.behaviours.len()),
        first_hubs: each.take(FIRST_HUBS).map(|(hub, n)| summarize_hub(hub, n)).collect(),
    }
}

fn summarize_hub(hub: &HubFile, n: u32) -> HubSummary {
    let (devices, items) = hub.size();
    HubSummary {
        serial: hub.serial_of(n).to_string(),
        kind: hub.kind.as_str(),
        model: hub.model.clone(),
        owner: hub.owner_of(n).map(Cow::into_owned),
        online: hub.online,
        rooms: hub.rooms.clone(),
        devices,
        items,
        scenes: hub.scenes.iter().map(|scene| scene.name.clone()).collect(),
    }
}
