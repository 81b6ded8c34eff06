//! A living hub: its state, and what calls and time do to it. Pure: it gets the time and leaves what is to happen outside
//! (broadcasts, timers, dropped connections) in [`Effects`].

use ezlo_protocol::hub::device::Device;
use ezlo_protocol::hub::item::Item;
use ezlo_protocol::hub::room::Room;
use ezlo_protocol::hub::scene::Scene;
use ezlo_protocol::hub::{DeviceId, GatewayId, ItemId, RoomId, SceneId};
use indexmap::IndexMap;
use serde_json::Value;
use sha1::{Digest, Sha1};

use super::file::{HubFile, HubKind};
use super::template::{self, Template};
use crate::config::Guesses;
use crate::random::{hex, uuid};

pub(crate) mod cell;
mod devices;
mod dispatch;
mod info;
mod items;
mod modes;
mod network;
mod rooms;
mod scenes;
mod zwave;

pub(crate) use cell::OpenRequest;
pub(crate) use dispatch::decode;
pub(crate) use network::{ConnectError, Wifi};

/// Name of a room: longer is cut (hub reference, section 6).
const ROOM_NAME: usize = 30;
/// Most devices a hub takes; a real controller ends at 232 Z-Wave nodes.
const MAX_DEVICES: usize = 2_000;
/// Most rooms a hub takes.
const MAX_ROOMS: usize = 500;
/// Most scenes a hub takes.
const MAX_SCENES: usize = 1_000;
/// Most elements in a favourites list.
const MAX_FAVORITES: usize = 10_000;

/// The state of a hub.
#[derive(Debug)]
pub(crate) struct Hub {
    pub(crate) serial: String,
    pub(crate) uuid: String,
    pub(crate) kind: HubKind,
    pub(crate) model: String,
    pub(crate) anonymous_access: bool,
    pub(crate) insecure_access: bool,
    pub(crate) wifi: Wifi,
    seed: u64,
    /// Makes ids and message numbers.
    counter: u64,
    booted_ms: i64,
    gateway: GatewayId,
    devices: IndexMap<DeviceId, Device>,
    items: IndexMap<ItemId, Item>,
    rooms: IndexMap<RoomId, Room>,
    scenes: IndexMap<SceneId, Scene>,
    modes: modes::Modes,
    zwave: zwave::Zwave,
    settings: IndexMap<String, (Value, &'static str, &'static [&'static str])>,
    favorites: info::FavoriteLists,
    runs: scenes::Runs,
}

/// Something that happens later.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Timer {
    /// The delay of a mode switch is over.
    ModeSwitch(u64),
    /// The next step of an inclusion or exclusion.
    Zwave(u64),
    /// The next action of a running scene.
    SceneAction(u64),
    /// Joining a network has come to an end.
    WifiJoined(u64),
    /// The hub reaches the relay.
    RelayAttach(u64),
    /// A restart is over.
    Restarted,
}

/// What a call or a timer makes happen outside the hub, in this order.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    pub(crate) broadcasts: Vec<(&'static str, Value)>,
    /// Milliseconds from now.
    pub(crate) timers: Vec<(u64, Timer)>,
    /// The hub came to the relay or went.
    pub(crate) at_relay: Option<bool>,
    /// Local connections are dropped.
    pub(crate) drop_local: bool,
}

/// What a call or a timer may look at and leave behind.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    /// Unix milliseconds.
    pub(crate) now_ms: i64,
    pub(crate) guesses: &'a Guesses,
    /// The request's id, for `operationId`.
    pub(crate) request_id: Value,
    pub(crate) effects: Effects,
}

impl<'a> Context<'a> {
    pub(crate) fn new(now_ms: i64, guesses: &'a Guesses) -> Self {
        Self { now_ms, guesses, request_id: Value::Null, effects: Effects::default() }
    }

    fn broadcast(&mut self, name: &'static str, content: &impl serde::Serialize) {
        self.effects.broadcasts.push((name, ezlo_protocol::wire::to_value(content)));
    }

    fn later(&mut self, ms: u64, timer: Timer) {
        self.effects.timers.push((ms, timer));
    }
}

impl Hub {
    pub(crate) fn from_file(file: &HubFile, seed: u64, guesses: &Guesses, now_ms: i64) -> Self {
        let mut hub = Self::bare(file.serial.as_str(), file.kind, &file.model, seed, now_ms);
        hub.wifi = Wifi::at_start(file.online, guesses.access_point_beside_network);
        let rooms: Vec<_> = file.rooms.iter().map(|name| (name, hub.add_room(name))).collect();
        for device in &file.devices {
            let room = rooms.iter().find(|(name, _)| Some(*name) == device.room.as_ref()).map(|(_, id)| id.clone());
            if let Some(template) = template::find(&device.template) {
                hub.add_device(template, &device.name, room.unwrap_or_default());
            }
        }
        for scene in &file.scenes {
            hub.add_scene_from_file(scene);
        }
        hub
    }

    /// A hub without rooms, devices and scenes.
    pub(crate) fn bare(serial: &str, kind: HubKind, model: &str, seed: u64, now_ms: i64) -> Self {
        let mut hub = Self {
            serial: serial.to_owned(),
            uuid: String::new(),
            kind,
            model: model.to_owned(),
            anonymous_access: false,
            insecure_access: false,
            wifi: Wifi::at_start(false, true),
            seed,
            counter: 0,
            booted_ms: now_ms,
            gateway: GatewayId::default(),
            devices: IndexMap::new(),
            items: IndexMap::new(),
            rooms: IndexMap::new(),
            scenes: IndexMap::new(),
            modes: modes::Modes::default(),
            zwave: zwave::Zwave::default(),
            settings: info::settings(),
            favorites: info::FavoriteLists::default(),
            runs: scenes::Runs::default(),
        };
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hub.digest("uuid")[..16]);
        hub.uuid = uuid(bytes);
        hub.gateway = hub.new_id().into();
        hub
    }

    /// Bytes that depend on seed, serial and purpose only: the same world has the same ids in every run.
    fn digest(&self, purpose: &str) -> [u8; 20] {
        let hash = Sha1::new().chain_update(self.seed.to_le_bytes());
        hash.chain_update(&self.serial).chain_update(purpose).finalize().into()
    }

    /// A new object id: 24 hexadecimal digits, as on Linux hubs.
    fn new_id(&mut self) -> String {
        self.counter += 1;
        hex(&self.digest(&format!("id {}", self.counter))[..12])
    }

    fn add_room(&mut self, name: &str) -> RoomId {
        let id = RoomId::from(self.new_id());
        let name: String = name.chars().take(ROOM_NAME).collect();
        self.rooms.insert(id.clone(), Room { id: id.clone(), name: name.into(), ..Room::default() });
        id
    }

    fn add_device(&mut self, template: &Template, name: &str, room: RoomId) -> DeviceId {
        let id = DeviceId::from(self.new_id());
        let node = self.devices.len() as u64 + 2;
        self.devices.insert(id.clone(), template.device(id.clone(), name, room, self.gateway.clone(), node));
        for spec in template.items {
            let item = ItemId::from(self.new_id());
            self.items.insert(item.clone(), spec.item(item, id.clone()));
        }
        id
    }

    fn items_of<'a>(&'a self, device: &'a DeviceId) -> impl Iterator<Item = &'a Item> {
        self.items.values().filter(move |item| item.device_id.get() == Some(device))
    }

    fn room_name(&self, room: Option<&RoomId>) -> &str {
        room.and_then(|room| self.rooms.get(room)).and_then(|room| room.name.as_deref()).unwrap_or_default()
    }

    pub(crate) fn device_count(&self) -> usize {
        self.devices.len()
    }

    /// Lets a timer do its work. Timers of something that is over do nothing.
    pub(crate) fn fire(&mut self, timer: &Timer, context: &mut Context<'_>) {
        match timer {
            Timer::ModeSwitch(generation) => self.finish_mode_switch(*generation, context),
            Timer::Zwave(generation) => self.zwave_step(*generation, context),
            Timer::SceneAction(run) => self.scene_step(*run, context),
            Timer::WifiJoined(generation) => self.wifi_joined(*generation, context),
            Timer::RelayAttach(generation) => self.relay_attach(*generation, context),
            Timer::Restarted => self.restarted(context),
        }
    }
}
