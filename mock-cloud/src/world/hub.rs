//! A living hub: its state, and what calls and time do to it. Pure: it gets the time and leaves what is to happen outside
//! (broadcasts, timers, dropped connections) in [`Effects`].

use std::collections::{BTreeMap, VecDeque};

use ezlo_protocol::hub::device::Device;
use ezlo_protocol::hub::item::Item;
use ezlo_protocol::hub::room::Room;
use ezlo_protocol::hub::scene::Scene;
use ezlo_protocol::hub::{DeviceId, GatewayId, ItemId, RoomId, SceneId};
use indexmap::IndexMap;
use serde_json::Value;
use serde_json::value::RawValue;
use sha1::{Digest, Sha1};

use super::file::{HubKind, WifiFile};
use crate::config::Guesses;
use crate::json_text::JsonText;
use crate::random::{hex, uuid};

mod alarm;
mod behaviours;
pub(crate) mod cell;
mod device_settings;
mod devices;
mod dictionary;
mod dispatch;
mod family;
mod favourites;
mod firmware;
mod follow;
mod from_file;
mod info;
mod items;
mod maintenance;
mod mode_settings;
mod modes;
mod network;
mod power;
#[cfg(test)]
mod properties;
mod reports;
mod rooms;
mod scene_engine;
mod scene_run;
mod scenes;
mod setup;
mod sun;
mod timers;
mod told;
mod wifi;
mod zwave;
mod zwave_s2;

pub(crate) use cell::OpenRequest;
pub(crate) use dispatch::SIMULATED;
pub(crate) use dispatch::decode;
pub(crate) use family::{Family, Local};
pub use setup::SetupFault;
pub(crate) use wifi::{ConnectError, Wifi};

/// Name of a room: longer is cut (hub reference, section 6).
const ROOM_NAME: usize = 30;
/// Most devices a hub takes; a real controller ends at 232 Z-Wave nodes.
const MAX_DEVICES: usize = 2_000;
/// Most rooms a hub takes.
const MAX_ROOMS: usize = 500;
/// Most scenes a hub takes.
const MAX_SCENES: usize = 1_000;
/// Most bytes of JSON that all scenes of a hub take: the time to evaluate an event grows with them.
const MAX_SCENE_BYTES: usize = 4 << 20;
/// Most elements in a favourites list.
const MAX_FAVORITES: usize = 10_000;

/// The state of a hub.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct Hub {
    pub(crate) serial: String,
    pub(crate) uuid: String,
    /// Not kept: the hub's kind tells.
    #[serde(skip, default = "any_family")]
    pub(crate) family: &'static Family,
    pub(crate) model: String,
    pub(crate) anonymous_access: bool,
    pub(crate) insecure_access: bool,
    pub(crate) wifi: Wifi,
    seed: u64,
    /// Makes ids and message numbers.
    counter: u64,
    /// Timers from before a factory reset are of another life.
    pub(crate) epoch: u64,
    booted_ms: i64,
    gateway: GatewayId,
    devices: IndexMap<DeviceId, Device>,
    items: IndexMap<ItemId, Item>,
    /// Items of each device, in the order in which they came.
    by_device: BTreeMap<DeviceId, Vec<ItemId>>,
    rooms: IndexMap<RoomId, Room>,
    scenes: IndexMap<SceneId, Scene>,
    modes: modes::Modes,
    zwave: zwave::Zwave,
    #[serde(with = "info::setting_values")]
    settings: info::Settings,
    device_settings: device_settings::DeviceSettings,
    favorites: favourites::FavoriteLists,
    runs: scene_run::Runs,
    /// The scenes' conditions, decoded once; not persisted.
    #[serde(skip)]
    conditions: IndexMap<SceneId, scene_engine::Watched>,
    /// Tells timers of a scene that changed from those that count.
    scene_generations: BTreeMap<SceneId, u64>,
    /// What happened and has not had its consequences yet.
    events: VecDeque<scene_engine::Event>,
    /// Work that caused the events that are still queued, while a timer is to continue with them.
    #[serde(default)]
    deferred: Option<scene_run::SceneWork>,
    place: scene_engine::Place,
    location_state: ezlo_protocol::hub::info::LocationState,
    behaviours: behaviours::Behaviours,
    firmware: firmware::Firmware,
    scan: wifi::Scan,
    /// What became due while there was no power.
    #[serde(default)]
    overdue: Vec<Timer>,
}

/// Something that happens later.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) enum Timer {
    /// The delay of a mode switch is over.
    ModeSwitch(u64),
    /// The next step of an inclusion or exclusion.
    Zwave(u64),
    /// The entry delay of an alarm is over.
    EntryDelay(u64),
    /// The next action of a running scene.
    SceneAction(u64),
    /// A condition on time is due.
    SceneTick { scene: SceneId, generation: u64, tick: usize },
    /// A behaviour of the house is due.
    Behaviour(usize),
    /// The next step of a firmware update.
    Firmware(u64),
    /// The next step of a search for networks.
    Scan(u64),
    /// A setting has reached its device.
    SettingSynced(ezlo_protocol::hub::SettingId),
    /// Joining a network has come to an end.
    WifiJoined(u64),
    /// The hub reaches the relay.
    RelayAttach(u64),
    /// A restart is over.
    Restarted,
    /// Events are left that one call could not work off within its bound.
    Settle,
}

/// What a call or a timer makes happen outside the hub, in this order.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    pub(crate) broadcasts: Vec<(&'static str, JsonText)>,
    /// Milliseconds from now.
    pub(crate) timers: Vec<(u64, Timer)>,
    /// The hub came to the relay or went.
    pub(crate) at_relay: Option<bool>,
    /// Local connections are dropped.
    pub(crate) drop_local: bool,
    /// Calls to web servers that scenes make.
    pub(crate) http: Vec<HttpCall>,
}

/// A call to a web server that a scene makes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct HttpCall {
    pub(crate) method: String,
    pub(crate) url: String,
    pub(crate) content_type: Option<String>,
    pub(crate) content: Option<String>,
}

/// What a call or a timer may look at and leave behind.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    /// Unix milliseconds.
    pub(crate) now_ms: i64,
    pub(crate) guesses: &'a Guesses,
    /// The request's id as it came.
    pub(crate) request_id: Option<&'a RawValue>,
    /// Networks in reach.
    pub(crate) networks: &'a [WifiFile],
    /// Work of scenes that this call or timer has caused, and how many runs are inside each other.
    work: scene_run::SceneWork,
    nested: usize,
    pub(crate) effects: Effects,
}

impl<'a> Context<'a> {
    pub(crate) fn new(now_ms: i64, guesses: &'a Guesses) -> Self {
        Self {
            now_ms,
            guesses,
            request_id: None,
            networks: &[],
            work: scene_run::SceneWork::default(),
            nested: 0,
            effects: Effects::default(),
        }
    }

    /// For `operationId`.
    fn operation(&self) -> Value {
        self.request_id.and_then(|id| serde_json::from_str(id.get()).ok()).unwrap_or(Value::Null)
    }

    fn broadcast(&mut self, name: &'static str, content: &impl serde::Serialize) {
        self.tell(name, JsonText::of(content));
    }

    fn tell(&mut self, name: &'static str, content: JsonText) {
        self.effects.broadcasts.push((name, content));
    }

    fn later(&mut self, ms: u64, timer: Timer) {
        self.effects.timers.push((ms, timer));
    }
}

fn any_family() -> &'static Family {
    Family::of(HubKind::Linux)
}

impl Hub {
    /// What is not kept of a hub, made anew.
    fn awake(&mut self, kind: HubKind) {
        self.family = Family::of(kind);
        self.read_conditions();
    }

    /// A hub without rooms, devices and scenes.
    pub(crate) fn bare(serial: &str, kind: HubKind, model: &str, seed: u64, now_ms: i64) -> Self {
        let mut hub = Self {
            serial: serial.to_owned(),
            uuid: String::new(),
            family: Family::of(kind),
            model: model.to_owned(),
            anonymous_access: false,
            insecure_access: false,
            wifi: Wifi::at_start(false, true),
            seed,
            counter: 0,
            epoch: 0,
            booted_ms: now_ms,
            gateway: GatewayId::default(),
            devices: IndexMap::new(),
            items: IndexMap::new(),
            by_device: BTreeMap::new(),
            rooms: IndexMap::new(),
            scenes: IndexMap::new(),
            modes: modes::Modes::default(),
            zwave: zwave::Zwave::default(),
            settings: info::settings(),
            device_settings: device_settings::DeviceSettings::default(),
            favorites: favourites::FavoriteLists::default(),
            runs: scene_run::Runs::default(),
            conditions: IndexMap::new(),
            scene_generations: BTreeMap::new(),
            events: VecDeque::new(),
            deferred: None,
            place: scene_engine::Place::default(),
            location_state: ezlo_protocol::hub::info::LocationState::Default,
            behaviours: behaviours::Behaviours::default(),
            firmware: firmware::Firmware::new(Family::of(kind).firmware),
            scan: wifi::Scan::default(),
            overdue: Vec::new(),
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

    /// A new object id, as long as the family's are.
    fn new_id(&mut self) -> String {
        self.counter += 1;
        hex(&self.digest(&format!("id {}", self.counter))[..self.family.id_digits / 2])
    }

    /// An id that is always the same for a hub and purpose.
    fn derived_id(&self, purpose: &str) -> String {
        hex(&self.digest(purpose)[..self.family.id_digits / 2])
    }

    fn add_room(&mut self, name: &str) -> RoomId {
        let id = RoomId::from(self.new_id());
        let name: String = name.chars().take(ROOM_NAME).collect();
        self.rooms.insert(id.clone(), Room { id: id.clone(), name: name.into(), ..Room::default() });
        id
    }

    fn items_of<'a>(&'a self, device: &DeviceId) -> impl Iterator<Item = &'a Item> {
        self.by_device.get(device).into_iter().flatten().filter_map(|id| self.items.get(id))
    }

    fn room_name(&self, room: Option<&RoomId>) -> &str {
        room.and_then(|room| self.rooms.get(room)).and_then(|room| room.name.as_deref()).unwrap_or_default()
    }

    pub(crate) fn device_count(&self) -> usize {
        self.devices.len()
    }

    /// What was to come at a time comes that much later: this state was put back then.
    fn put_off(&mut self, ms: i64) {
        self.booted_ms = self.booted_ms.saturating_add(ms);
        self.wifi.put_off(ms);
        self.modes.put_off(ms);
    }

    /// Begins to live: conditions on time and behaviours get their timers.
    pub(crate) fn start(&mut self, context: &mut Context<'_>) {
        self.watch_scenes(context);
        self.start_behaviours(context);
    }

    /// Lets a timer do its work. Timers of something that is over do nothing.
    pub(crate) fn fire(&mut self, timer: &Timer, context: &mut Context<'_>) {
        if self.holds_back(timer) {
            return;
        }
        match timer {
            Timer::ModeSwitch(generation) => self.finish_mode_switch(*generation, context),
            Timer::EntryDelay(generation) => self.entry_delay_over(*generation, context),
            Timer::Zwave(generation) => self.zwave_step(*generation, context),
            Timer::SceneAction(run) => self.scene_step(*run, context),
            Timer::SceneTick { scene, generation, tick } => self.scene_tick(scene, *generation, *tick),
            Timer::Behaviour(at) => self.behave(*at, context),
            Timer::Firmware(generation) => self.firmware_step(*generation, context),
            Timer::Scan(generation) => self.scan_step(*generation, context),
            Timer::SettingSynced(setting) => self.setting_synced(setting, context),
            Timer::WifiJoined(generation) => self.wifi_joined(*generation, context),
            Timer::RelayAttach(generation) => self.relay_attach(*generation, context),
            Timer::Restarted => self.restarted(context),
            Timer::Settle => context.work = self.deferred.take().unwrap_or_default(),
        }
        self.settle(context);
    }
}
