//! The state machine of a hub. Calls, timers and physical actions change its state; effects outside the hub (broadcasts,
//! timers, closed connections) are returned in [`Effects`](crate::Effects).

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
use crate::state::device_traits::DeviceTraits;
use crate::state::firmware::Firmware;
use crate::state::item_variants::ItemVariants;
use crate::state::modes::Modes;
use crate::state::newer::Newer;
use crate::state::plugin_gateway::PluginGateway;
use crate::state::scene_events::{Event, Place};
use crate::state::scene_runs::Runs;
use crate::state::scene_work::SceneWork;
use crate::state::settings::{self, Settings};
use crate::state::signals::Signals;
use crate::state::watched_scene::Watched;
use crate::state::wifi::{Scan, Wifi};
use crate::state::zwave::Zwave;
use crate::state::{DeviceSettings, FavoriteLists};
use crate::world_file::HubKind;

mod alarm;
mod behaviours;
mod comparison;
mod device_condition;
mod device_reports;
mod device_settings;
mod devices;
mod dictionary;
pub(crate) mod dispatch;
mod expressions;
mod favorites;
mod firmware;
mod from_file;
mod gateways;
mod global_scenes;
mod groups;
mod info;
pub(crate) mod inventory;
mod item_broadcast;
mod item_changes;
pub(crate) mod items;
mod linked_items;
mod lock_codes;
mod maintenance;
mod mode_settings;
mod modes;
mod network;
mod power;
#[cfg(test)]
mod properties;
mod rooms;
mod scene_engine;
mod scene_moment;
mod scene_references;
mod scene_run;
mod scene_signals;
mod scene_time;
mod scene_tools;
mod scene_watch;
mod scenes;
mod setup;
mod swinger;
mod unpublished;
mod wifi;
mod zwave;
mod zwave_s2;

/// Maximum length of a room name in characters; longer names are truncated (hub reference, section 6).
const ROOM_NAME: usize = 30;
/// Maximum number of devices of a hub. A real Z-Wave controller has at most 232 nodes.
const MAX_DEVICES: usize = 2_000;
/// Maximum number of rooms of a hub.
const MAX_ROOMS: usize = 500;
/// Maximum number of scenes of a hub.
const MAX_SCENES: usize = 1_000;
/// Maximum size of all scenes of a hub as JSON, in bytes. It bounds the time to evaluate an event.
const MAX_SCENE_BYTES: usize = 4 << 20;
/// Maximum size of a value as JSON, in bytes: the limit of the hub's internal bus (hub reference, section 6).
const BUS_LIMIT: usize = 100 * 1024;
/// Maximum number of elements of a favourites list.
const MAX_FAVORITES: usize = 10_000;

/// A simulated hub: the state machine without clock, connections and timers.
///
/// Calls, timers and physical actions get a [`Context`] with the current time. They leave their effects (broadcasts, timers
/// to set, connections to close) in [`Context::effects`], and the caller applies them. [`SimulatedHub`](crate::SimulatedHub)
/// does so with a simulated time.
///
/// The state is plain data: it can be cloned, and serialised to persist it. Call [`Hub::rehydrate`] after deserialisation.
/// The same world, seed and calls produce the same ids, replies and broadcasts.
///
/// ```
/// use ezlo_hub_sim::world_file::WorldFile;
/// use ezlo_hub_sim::{Context, Hub, HubAssumptions};
///
/// let world = WorldFile::bundled("demo").expect("a bundled world");
/// let file = &world.hubs[0];
/// let assumptions = HubAssumptions::default();
/// let mut hub = Hub::from_file(file, &file.serial, 1, &assumptions, 0);
/// // A simulator sets the timers of the scenes, which are in the effects of this context.
/// hub.start(&mut Context::new(0, &assumptions));
///
/// // A switch to the mode Away is broadcast at once and completed by a timer after 30 s.
/// let mut context = Context::new(1_000, &assumptions);
/// hub.call("hub.modes.switch", Some(r#"{"modeId": "2"}"#), &mut context)?;
/// assert_eq!(context.effects.broadcasts[0].name, "hub.modes.switched");
/// let (delay_ms, timer) = context.effects.timers.remove(0);
/// assert_eq!(delay_ms, 30_000);
///
/// let mut context = Context::new(31_000, &assumptions);
/// hub.fire(&timer, &mut context);
/// let current = hub.call("hub.modes.current.get", None, &mut context)?;
/// assert!(current.as_str().contains(r#""modeId":"2""#));
/// # Ok::<(), ezlo_protocol::rpc::RpcError>(())
/// ```
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Hub {
    pub(crate) serial: String,
    /// UUID of the hub, derived from seed and serial.
    pub uuid: String,
    /// Not persisted: [`Hub::rehydrate`] restores it from the kind of the hub.
    #[serde(skip, default = "any_family")]
    pub(crate) family: &'static Family,
    /// Model name, such as `h2.1`.
    pub model: String,
    /// Local calls need no login.
    pub anonymous_access: bool,
    /// The local ports also accept clear text.
    pub insecure_access: bool,
    /// State of Wi-Fi, access point and relay connection.
    pub wifi: Wifi,
    seed: u64,
    /// Incremented for each new object id, which is derived from it, and for each new generation of a scene.
    counter: u64,
    /// Number of factory resets. A timer that was set in an earlier epoch must not fire.
    pub epoch: u64,
    booted_ms: i64,
    gateway: GatewayId,
    devices: IndexMap<DeviceId, Device>,
    items: IndexMap<ItemId, Item>,
    /// Items of each device, in the order in which they were added.
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
    /// Decoded conditions of the scenes. Not persisted: [`Hub::rehydrate`] decodes them again.
    #[serde(skip)]
    conditions: IndexMap<SceneId, Watched>,
    /// Generation of each scene. Timers of earlier generations are ignored.
    scene_generations: BTreeMap<SceneId, u64>,
    /// Events whose scenes have not been evaluated yet.
    events: VecDeque<Event>,
    /// Work that caused the queued events, while [`Timer::Settle`] is pending.
    #[serde(default)]
    deferred: Option<SceneWork>,
    /// Results of functions and blocks of scenes.
    #[serde(default)]
    signals: Signals,
    /// The hub was on a network after the last call or timer; `None` before the first one.
    #[serde(default)]
    network_known: Option<bool>,
    /// Phase of the alarm after the last call or timer.
    #[serde(default = "idle")]
    alarm_known: String,
    /// A mode switch was pending after the last call or timer.
    #[serde(default)]
    switching_known: bool,
    /// Connection to the cloud after the last call or timer; `None` before the first one.
    #[serde(default)]
    cloud_known: Option<bool>,
    /// Gateways of plugins, besides [`Hub::gateway`].
    #[serde(default)]
    gateways: IndexMap<GatewayId, PluginGateway>,
    /// Properties of devices that are not reported.
    #[serde(default)]
    traits: BTreeMap<DeviceId, DeviceTraits>,
    place: Place,
    location_state: ezlo_protocol::hub::info::LocationState,
    behaviours: Behaviours,
    firmware: Firmware,
    scan: Scan,
    /// Groups, expressions, scripts and swinger shutdown.
    #[serde(default)]
    newer: Newer,
    /// Timers that became due while the hub had no power.
    #[serde(default)]
    overdue: Vec<Timer>,
    #[serde(default)]
    variants: ItemVariants,
}

fn idle() -> String {
    "idle".into()
}

fn any_family() -> &'static Family {
    Family::of(HubKind::Linux)
}

impl Hub {
    /// Restores the fields that are not serialised. Must be called once after deserialisation.
    pub fn rehydrate(&mut self, kind: HubKind) {
        self.family = Family::of(kind);
        self.read_conditions();
        self.add_usual_groups();
    }

    /// Creates a hub without rooms, devices and scenes, booted at `now_ms` (Unix milliseconds).
    ///
    /// Its ids are derived from seed and serial.
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
            signals: Signals::new(),
            network_known: None,
            alarm_known: idle(),
            switching_known: false,
            cloud_known: None,
            gateways: IndexMap::new(),
            traits: BTreeMap::new(),
            place: Place::default(),
            location_state: ezlo_protocol::hub::info::LocationState::Default,
            behaviours: Behaviours::default(),
            firmware: Firmware::new(Family::of(kind).firmware),
            scan: Scan::default(),
            newer: Newer::default(),
            overdue: Vec::new(),
            variants: ItemVariants::default(),
        };
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hub.digest("uuid")[..16]);
        hub.uuid = uuid(bytes);
        hub.gateway = hub.new_id().into();
        hub.add_usual_groups();
        hub
    }

    /// Returns bytes that depend on seed, serial and purpose only, so that the ids of a world are the same in every run.
    fn digest(&self, purpose: &str) -> [u8; 20] {
        let hash = Sha1::new().chain_update(self.seed.to_le_bytes());
        hash.chain_update(&self.serial).chain_update(purpose).finalize().into()
    }

    /// Returns a new object id with the number of digits of the family.
    fn new_id(&mut self) -> String {
        self.counter += 1;
        hex(&self.digest(&format!("id {}", self.counter))[..self.family.id_digits / 2])
    }

    /// Returns the object id of a purpose, which is always the same for a hub.
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

    /// Returns the number of devices, including the parts of multi-channel devices.
    pub fn device_count(&self) -> usize {
        self.devices.len()
    }

    /// Shifts the absolute times in the state by the given milliseconds: boot, restart, pending mode switch, alarm, functions of
    /// scenes.
    ///
    /// Call it when a state is restored at a later time than it was taken. Timers are shifted by the caller.
    pub fn shift_timers(&mut self, ms: i64) {
        self.booted_ms = self.booted_ms.saturating_add(ms);
        self.wifi.shift_timers(ms);
        self.modes.shift_timers(ms);
        for state in self.signals.values_mut().flat_map(|of_scene| of_scene.values_mut()) {
            state.shift(ms);
        }
    }

    /// Starts a new hub: sets the timers of time conditions and, with [`HubAssumptions::simulate_behaviours`], of behaviours.
    ///
    /// [`HubAssumptions::simulate_behaviours`]: crate::HubAssumptions::simulate_behaviours
    pub fn start(&mut self, context: &mut Context<'_>) {
        self.watch_scenes(context);
        self.start_behaviours(context);
    }

    /// Fires a timer that is due. Timers of an operation that has ended or was replaced have no effect.
    ///
    /// Does not check the epoch: the caller must drop timers that were set in another [`Hub::epoch`].
    /// While the hub has no power, timers are deferred until it has started again.
    pub fn fire(&mut self, timer: &Timer, context: &mut Context<'_>) {
        if self.defers_timer(timer) {
            return;
        }
        match timer {
            Timer::ModeSwitch(generation) => self.finish_mode_switch(*generation, context),
            Timer::EntryDelay(generation) => self.entry_delay_over(*generation, context),
            Timer::Zwave(generation) => self.zwave_step(*generation, context),
            Timer::SceneAction(run) => self.scene_step(*run, context),
            Timer::SceneTick { scene, generation, tick, due_ms } => self.scene_tick(scene, *generation, *tick, *due_ms),
            Timer::SceneSignal { scene, signal, generation } => {
                self.signal_due(scene, signal, *generation, context);
            }
            Timer::Behaviour(at) => self.step_behaviour(*at, context),
            Timer::Firmware(generation) => self.firmware_step(*generation, context),
            Timer::Scan(generation) => self.scan_step(*generation, context),
            Timer::SettingSynced(setting) => self.setting_synced(setting, context),
            Timer::LockCodes(device) => self.deliver_codes(device, context),
            Timer::Rediscovered(device) => self.rediscovered(device, context),
            Timer::WifiJoined(generation) => self.wifi_joined(*generation, context),
            Timer::RelayAttach(generation) => self.relay_attach(*generation, context),
            Timer::RelayTimeout(generation) => self.relay_timeout(*generation, context),
            Timer::Restarted => self.restarted(context),
            Timer::Settle => context.work = self.deferred.take().unwrap_or_default(),
        }
        self.settle(context);
    }
}
