//! A living hub: its state, and what calls and time do to it. Pure: it gets the time and leaves what is to happen outside
//! (broadcasts, timers, dropped connections) in [`Effects`].

use std::collections::{BTreeMap, VecDeque};

use ezlo_protocol::hub::device::Device;
use ezlo_protocol::hub::item::Item;
use ezlo_protocol::hub::room::Room;
use ezlo_protocol::hub::scene::Scene;
use ezlo_protocol::hub::{DeviceId, GatewayId, ItemId, RoomId, SceneId};
use indexmap::IndexMap;
use sha1::{Digest, Sha1};

use crate::context::{Context, Timer};
use crate::encoding::{hex, uuid};
use crate::family::Family;
use crate::state::behaviours::Behaviours;
use crate::state::firmware::Firmware;
use crate::state::modes::Modes;
use crate::state::scene_events::{Event, Place, Watched};
use crate::state::scene_runs::Runs;
use crate::state::scene_work::SceneWork;
use crate::state::settings::{self, Settings};
use crate::state::wifi::{Scan, Wifi};
use crate::state::zwave::Zwave;
use crate::state::{DeviceSettings, FavoriteLists};
use crate::world_file::HubKind;

mod alarm;
mod behaviours;
mod device_reports;
mod device_settings;
mod devices;
mod dictionary;
pub(crate) mod dispatch;
mod favorites;
mod firmware;
mod from_file;
mod info;
mod item_broadcast;
mod items;
mod linked_items;
mod maintenance;
mod mode_settings;
mod modes;
mod network;
mod power;
#[cfg(test)]
mod properties;
mod rooms;
mod scene_engine;
mod scene_run;
mod scenes;
mod setup;
mod wifi;
mod zwave;
mod zwave_s2;

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
pub struct Hub {
    pub(crate) serial: String,
    pub uuid: String,
    /// Not kept: the hub's kind tells.
    #[serde(skip, default = "any_family")]
    pub(crate) family: &'static Family,
    pub model: String,
    pub anonymous_access: bool,
    pub insecure_access: bool,
    pub wifi: Wifi,
    seed: u64,
    /// Makes ids and message numbers.
    counter: u64,
    /// Timers from before a factory reset are of another life.
    pub epoch: u64,
    booted_ms: i64,
    gateway: GatewayId,
    devices: IndexMap<DeviceId, Device>,
    items: IndexMap<ItemId, Item>,
    /// Items of each device, in the order in which they came.
    by_device: BTreeMap<DeviceId, Vec<ItemId>>,
    rooms: IndexMap<RoomId, Room>,
    scenes: IndexMap<SceneId, Scene>,
    modes: Modes,
    zwave: Zwave,
    #[serde(with = "crate::state::settings::setting_values")]
    settings: Settings,
    device_settings: DeviceSettings,
    favorites: FavoriteLists,
    runs: Runs,
    /// The scenes' conditions, decoded once; not persisted.
    #[serde(skip)]
    conditions: IndexMap<SceneId, Watched>,
    /// Tells timers of a scene that changed from those that count.
    scene_generations: BTreeMap<SceneId, u64>,
    /// What happened and has not had its consequences yet.
    events: VecDeque<Event>,
    /// Work that caused the events that are still queued, while a timer is to continue with them.
    #[serde(default)]
    deferred: Option<SceneWork>,
    place: Place,
    location_state: ezlo_protocol::hub::info::LocationState,
    behaviours: Behaviours,
    firmware: Firmware,
    scan: Scan,
    /// What became due while there was no power.
    #[serde(default)]
    overdue: Vec<Timer>,
}

fn any_family() -> &'static Family {
    Family::of(HubKind::Linux)
}

impl Hub {
    /// What is not kept of a hub, made anew.
    pub fn rehydrate(&mut self, kind: HubKind) {
        self.family = Family::of(kind);
        self.read_conditions();
    }

    /// A hub without rooms, devices and scenes.
    pub fn bare(serial: &str, kind: HubKind, model: &str, seed: u64, now_ms: i64) -> Self {
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
            modes: Modes::default(),
            zwave: Zwave::default(),
            settings: settings::settings(),
            device_settings: DeviceSettings::default(),
            favorites: FavoriteLists::default(),
            runs: Runs::default(),
            conditions: IndexMap::new(),
            scene_generations: BTreeMap::new(),
            events: VecDeque::new(),
            deferred: None,
            place: Place::default(),
            location_state: ezlo_protocol::hub::info::LocationState::Default,
            behaviours: Behaviours::default(),
            firmware: Firmware::new(Family::of(kind).firmware),
            scan: Scan::default(),
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

    pub fn device_count(&self) -> usize {
        self.devices.len()
    }

    /// What was to come at a time comes that much later: this state was put back then.
    pub fn shift_timers(&mut self, ms: i64) {
        self.booted_ms = self.booted_ms.saturating_add(ms);
        self.wifi.shift_timers(ms);
        self.modes.shift_timers(ms);
    }

    /// Begins to live: conditions on time and behaviours get their timers.
    pub fn start(&mut self, context: &mut Context<'_>) {
        self.watch_scenes(context);
        self.start_behaviours(context);
    }

    /// Lets a timer do its work. Timers of something that is over do nothing.
    pub fn fire(&mut self, timer: &Timer, context: &mut Context<'_>) {
        if self.defers_timer(timer) {
            return;
        }
        match timer {
            Timer::ModeSwitch(generation) => self.finish_mode_switch(*generation, context),
            Timer::EntryDelay(generation) => self.entry_delay_over(*generation, context),
            Timer::Zwave(generation) => self.zwave_step(*generation, context),
            Timer::SceneAction(run) => self.scene_step(*run, context),
            Timer::SceneTick { scene, generation, tick } => self.scene_tick(scene, *generation, *tick),
            Timer::Behaviour(at) => self.step_behaviour(*at, context),
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
