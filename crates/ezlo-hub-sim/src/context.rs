//! Input and output of a hub: the time and the environment of a call, and what the call causes outside the hub.

use ezlo_protocol::hub::SceneId;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::assumptions::HubAssumptions;
use crate::json::RawJson;
use crate::state::scene_work::SceneWork;
use crate::world_file::WifiFile;

/// Something that happens later.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub enum Timer {
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
pub struct Effects {
    pub broadcasts: Vec<(&'static str, RawJson)>,
    /// Milliseconds from now.
    pub timers: Vec<(u64, Timer)>,
    /// The hub came to the relay or went.
    pub at_relay: Option<bool>,
    /// Local connections are dropped.
    pub drop_local: bool,
    /// Calls to web servers that scenes make.
    pub http: Vec<HttpCall>,
}

/// A call to a web server that a scene makes.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpCall {
    pub method: String,
    pub url: String,
    pub content_type: Option<String>,
    pub content: Option<String>,
}

/// What a call or a timer may look at and leave behind.
#[derive(Debug)]
pub struct Context<'a> {
    /// Unix milliseconds.
    pub now_ms: i64,
    pub(crate) assumptions: &'a HubAssumptions,
    /// The request's id as it came.
    pub request_id: Option<&'a RawValue>,
    /// Networks in reach.
    pub networks: &'a [WifiFile],
    /// Work of scenes that this call or timer has caused, and how many runs are inside each other.
    pub(crate) work: SceneWork,
    pub(crate) nested: usize,
    pub effects: Effects,
}

impl<'a> Context<'a> {
    pub fn new(now_ms: i64, assumptions: &'a HubAssumptions) -> Self {
        Self {
            now_ms,
            assumptions,
            request_id: None,
            networks: &[],
            work: SceneWork::default(),
            nested: 0,
            effects: Effects::default(),
        }
    }

    /// For `operationId`.
    pub(crate) fn operation(&self) -> Value {
        self.request_id.and_then(|id| serde_json::from_str(id.get()).ok()).unwrap_or(Value::Null)
    }

    pub(crate) fn broadcast(&mut self, name: &'static str, content: &impl serde::Serialize) {
        self.broadcast_raw(name, RawJson::of(content));
    }

    pub(crate) fn broadcast_raw(&mut self, name: &'static str, content: RawJson) {
        self.effects.broadcasts.push((name, content));
    }

    pub(crate) fn later(&mut self, ms: u64, timer: Timer) {
        self.effects.timers.push((ms, timer));
    }
}
