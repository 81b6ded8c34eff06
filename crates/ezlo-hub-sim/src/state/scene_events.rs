//! Events that start scenes, and the location for their times.

use ezlo_protocol::hub::scene::SceneState;
use ezlo_protocol::hub::{DeviceId, ItemId, ModeId, SceneId};
use jiff::tz::TimeZone;
use serde_json::Value;

/// A change or a due time that can start scenes.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) enum Event {
    /// The value of an item has changed.
    Item { item: ItemId, before: Value, after: Value },
    /// A device has changed. `armed` and `reachable` are the flags before the change.
    Device { device: DeviceId, armed: Option<bool>, reachable: Option<bool> },
    /// The house mode has changed.
    Mode { from: ModeId, to: ModeId },
    /// A run of a scene has ended, or the scene was enabled or disabled.
    Scene { scene: SceneId, state: SceneState },
    /// The value of an expression or a variable has changed. `before` is null if it had no value.
    Expression { name: String, before: Value },
    /// The hub has connected to the cloud or disconnected.
    Cloud { connected: bool },
    /// The hub has joined a network or left it.
    Network { connected: bool },
    /// A firmware update has reached a state: `started`, `updating` or `done`.
    Firmware { state: String },
    /// The result of a block or of a function of a scene has changed.
    Signal { scene: SceneId, signal: String, before: bool },
    /// The phase of an alarm has changed.
    Alarm { before: String },
    /// A switch of the house mode has become pending, or is pending no more.
    Switching { before: bool },
    /// A time condition of a scene is due. `tick` is its position among the time conditions of the scene.
    Tick {
        scene: SceneId,
        tick: usize,
        #[serde(default)]
        due_ms: Option<i64>,
    },
}

/// The location of a hub.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Place {
    /// Latitude in degrees.
    pub(crate) latitude: f64,
    /// Longitude in degrees.
    pub(crate) longitude: f64,
    /// Name in the time-zone database.
    pub(crate) timezone: String,
}

impl Default for Place {
    fn default() -> Self {
        Self { latitude: 0.0, longitude: 0.0, timezone: "Etc/UTC".into() }
    }
}

impl Place {
    pub(crate) fn zone(&self) -> TimeZone {
        TimeZone::get(&self.timezone).unwrap_or(TimeZone::UTC)
    }
}
