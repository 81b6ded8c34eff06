//! Input and output of the state machine: time and environment of a call, and its effects outside the hub.

use ezlo_protocol::hub::SceneId;
use ezlo_protocol::hub::scene::Scene;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::assumptions::HubAssumptions;
use crate::json::RawJson;
use crate::state::scene_work::SceneWork;
use crate::world_file::WifiFile;

/// A timer that a hub has set. The simulator passes it to [`Hub::fire`](crate::Hub::fire) when it is due.
///
/// Most variants carry a generation. The hub increments its own counter when it cancels or replaces an operation, and ignores
/// timers of earlier generations.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub enum Timer {
    /// The delay of a mode switch has ended. Carries the generation of the switch.
    ModeSwitch(u64),
    /// The next step of a Z-Wave inclusion, exclusion or reset, or its timeout, is due. Carries the generation of the step.
    Zwave(u64),
    /// The entry delay of an alarm has ended. Carries the generation of the alarm.
    EntryDelay(u64),
    /// The next action of a running scene is due. Carries the number of the run.
    SceneAction(u64),
    /// A time condition of a scene is due.
    SceneTick {
        /// Id of the scene.
        scene: SceneId,
        /// Generation of the scene, which changes with each edit.
        generation: u64,
        /// 0-based position of the condition among the time conditions of the scene.
        tick: usize,
        /// Time for which the timer was set, in Unix milliseconds. A timer can fire later; `None` means when it fires.
        #[serde(default)]
        due_ms: Option<i64>,
    },
    /// The timer of a function block of a scene is due.
    SceneSignal {
        /// Id of the scene.
        scene: SceneId,
        /// Name of the function in the scene.
        signal: String,
        /// Generation of the timer.
        generation: u64,
    },
    /// A behaviour is due. Carries its 0-based position.
    Behaviour(usize),
    /// The next step of a firmware update is due. Carries the generation of the update.
    Firmware(u64),
    /// The next step of a Wi-Fi scan is due. Carries the generation of the scan.
    Scan(u64),
    /// A setting has reached its battery-powered device. Carries the id of the setting.
    SettingSynced(ezlo_protocol::hub::SettingId),
    /// A lock receives its pending codes. Carries the id of the lock.
    LockCodes(ezlo_protocol::hub::DeviceId),
    /// The rediscovery of a device has ended. Carries the id of the device.
    Rediscovered(ezlo_protocol::hub::DeviceId),
    /// An attempt to join a Wi-Fi network has ended. Carries the generation of the network state.
    WifiJoined(u64),
    /// The hub connects to the relay. Carries the generation of the network state.
    RelayAttach(u64),
    /// The relay counts a hub without power as disconnected. Carries the generation of the network state.
    RelayTimeout(u64),
    /// A restart has ended.
    Restarted,
    /// Events are still queued because a call reached its limit of scene evaluations. The hub continues with them.
    Settle,
}

/// Effects of a call or a timer outside the hub, to be applied by the simulator.
///
/// The entries of each list are in the order in which they occurred.
#[derive(Debug, Default)]
pub struct Effects {
    /// Broadcasts to all connected clients.
    pub broadcasts: Vec<HubBroadcast>,
    /// Changed values of items.
    pub changes: Vec<ItemChange>,
    /// Timers to set, each with its delay in milliseconds from [`Context::now_ms`].
    pub timers: Vec<(u64, Timer)>,
    /// `Some(true)` if the hub has connected to the relay, `Some(false)` if it has disconnected, `None` if nothing changed.
    pub at_relay: Option<bool>,
    /// All connections over the local network must be closed.
    pub drop_local: bool,
    /// The hub has lost its power: connections over the local network stay open, and nothing more is sent on them.
    pub power_lost: bool,
    /// New size of all scenes as JSON, in bytes; `None` if no scene has changed.
    pub scene_bytes: Option<usize>,
    /// HTTP requests that scenes send.
    pub http: Vec<HttpCall>,
    /// Conditions and actions of stored scenes that the hub does not execute, such as `when isBatteryState`.
    pub unsupported: Vec<String>,
}

/// A changed value of an item.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct ItemChange {
    /// Name of the device.
    pub device: String,
    /// Name of the item.
    pub item: String,
    /// Value before the change. Values of items with codes are masked; a long value is an object with its length in `bytes`.
    pub old: Value,
    /// Value after the change, in the same form.
    pub new: Value,
}

/// A broadcast to all connected clients.
#[derive(Debug, Clone, PartialEq)]
pub struct HubBroadcast {
    /// Name, such as `hub.item.updated`.
    pub name: &'static str,
    /// Member `result` of the message.
    pub content: RawJson,
    /// Member `changed_by` of the message: the method that changed a scene.
    pub changed_by: Option<&'static str>,
}

/// An HTTP request that a scene sends.
#[derive(Clone, PartialEq)]
pub struct HttpCall {
    /// HTTP method: `GET`, `POST`, `PUT`, `DELETE`, `HEAD` or `PATCH`.
    pub method: String,
    /// URL as written in the scene; it is not checked.
    pub url: String,
    /// Value of the header `Content-Type`.
    pub content_type: Option<String>,
    /// Body of the request.
    pub content: Option<String>,
    /// Further headers, by name.
    pub headers: Vec<(String, String)>,
    /// User name and password.
    pub credential: Option<(String, ezlo_protocol::secret::Password)>,
}

impl std::fmt::Debug for HttpCall {
    /// Omits URL, headers and body, which can contain keys.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpCall").field("method", &self.method).finish_non_exhaustive()
    }
}

/// Input and output of one call, timer or physical action.
///
/// Create one for each call to a [`Hub`](crate::Hub), and apply its [`Context::effects`] afterwards.
#[derive(Debug)]
pub struct Context<'a> {
    /// Current time in Unix milliseconds.
    pub now_ms: i64,
    pub(crate) assumptions: &'a HubAssumptions,
    /// Id of the request, as received. Broadcasts of long operations repeat it as `operationId`.
    pub request_id: Option<&'a RawValue>,
    /// Wi-Fi networks that a scan finds.
    pub networks: &'a [WifiFile],
    /// Maximum size of all scenes of the hub as JSON, in bytes (default: `usize::MAX`). The hub has a limit of its own, 4 MiB.
    pub max_scene_bytes: usize,
    /// Work of scenes that this call or timer has caused.
    pub(crate) work: SceneWork,
    /// Number of scene runs that are nested at this point.
    pub(crate) nested: usize,
    /// Name of the method that is being called.
    pub(crate) method: Option<&'static str>,
    /// Effects that the hub has caused so far.
    pub effects: Effects,
}

impl<'a> Context<'a> {
    /// Creates a context at a time in Unix milliseconds, without a request id, Wi-Fi networks and effects.
    pub fn new(now_ms: i64, assumptions: &'a HubAssumptions) -> Self {
        Self {
            now_ms,
            assumptions,
            request_id: None,
            networks: &[],
            max_scene_bytes: usize::MAX,
            work: SceneWork::default(),
            nested: 0,
            method: None,
            effects: Effects::default(),
        }
    }

    /// Returns the request id as JSON, for `operationId`; null if there is none.
    pub(crate) fn operation(&self) -> Value {
        self.request_id.and_then(|id| serde_json::from_str(id.get()).ok()).unwrap_or(Value::Null)
    }

    pub(crate) fn broadcast(&mut self, name: &'static str, content: &impl serde::Serialize) {
        self.broadcast_raw(name, RawJson::of(content));
    }

    pub(crate) fn broadcast_raw(&mut self, name: &'static str, content: RawJson) {
        self.effects.broadcasts.push(HubBroadcast { name, content, changed_by: None });
    }

    /// Broadcasts the change of a scene, with the method that caused it if a call did.
    pub(crate) fn broadcast_scene_change(&mut self, scene: &Scene) {
        let changed_by = self.method.filter(|_| self.assumptions.scene_changed_by);
        self.effects.broadcasts.push(HubBroadcast {
            name: "hub.scene.changed",
            content: RawJson::of(scene),
            changed_by,
        });
    }

    pub(crate) fn later(&mut self, ms: u64, timer: Timer) {
        self.effects.timers.push((ms, timer));
    }
}
