//! World files from outside: checked, described, made from what a real hub said.

use std::borrow::Cow;

use serde::Serialize;

use crate::templates;
use crate::world_file::HubFile;
use crate::world_file::WorldFile;

/// What a world holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// User names.
    pub users: usize,
    /// Networks in reach of the access points.
    pub networks: usize,
    /// All hubs.
    pub hubs: usize,
    /// Devices of all hubs, parts of devices included.
    pub devices: usize,
    /// Items of all hubs.
    pub items: usize,
    /// Scenes of all hubs.
    pub scenes: usize,
    /// Behaviours of all houses.
    pub behaviours: usize,
    /// The first hubs, each with what it holds.
    pub first_hubs: Vec<HubSummary>,
}

/// What a hub holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HubSummary {
    /// Its serial.
    pub serial: String,
    /// Firmware family.
    pub kind: &'static str,
    /// Its model.
    pub model: String,
    /// Who owns it.
    pub owner: Option<String>,
    /// Whether it is at the relay at the start.
    pub online: bool,
    /// Rooms by name.
    pub rooms: Vec<String>,
    /// Its devices, parts of devices included.
    pub devices: usize,
    /// Its items.
    pub items: usize,
    /// Scenes by name.
    pub scenes: Vec<String>,
}

/// A kind of device that world files and inclusions can name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TemplateSummary {
    /// Its name.
    pub name: &'static str,
    /// Its category and, after a slash, subcategory.
    pub category: String,
    /// Its items by name.
    pub items: Vec<&'static str>,
    /// Parts that are devices of their own.
    pub parts: &'static [&'static str],
    /// Whether it agrees on keys.
    pub secure: bool,
}

/// Hubs that a summary tells one by one.
const FIRST_HUBS: usize = 20;

/// Every kind of device.
pub fn templates() -> impl Iterator<Item = TemplateSummary> {
    templates::TEMPLATES.iter().map(|template| TemplateSummary {
        name: template.name,
        category: template.full_category(),
        items: template.items.iter().map(|item| item.name).collect(),
        parts: template.parts,
        secure: template.secure.is_some(),
    })
}

/// Summarises a world file.
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
