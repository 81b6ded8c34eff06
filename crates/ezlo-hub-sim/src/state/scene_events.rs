//! Events that start scenes, and the decoded conditions of scenes.

use ezlo_protocol::hub::scene::{Block, Condition, Operand, Scene, SceneState};
use ezlo_protocol::hub::{DeviceId, ItemId, ModeId, SceneId};
use jiff::tz::TimeZone;
use serde_json::Value;

use super::scene_work::encoded_len;

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
    /// A firmware update has reached a state: `started`, `updating` or `done`.
    Firmware { state: String },
    /// A time condition of a scene is due. `tick` is its position among the time conditions of the scene.
    Tick {
        scene: SceneId,
        tick: usize,
        #[serde(default)]
        due_ms: Option<i64>,
    },
}

/// Size of a simple condition as JSON, in bytes.
const BYTES_OF_A_CONDITION: usize = 512;

/// A scene in the form that the engine evaluates.
#[derive(Debug, Clone)]
pub(crate) struct Watched {
    pub(crate) conditions: Vec<Condition>,
    /// Cost of one evaluation, in simple conditions.
    pub(crate) size: usize,
    /// Size of the whole scene as JSON, in bytes.
    pub(crate) bytes: usize,
}

impl Watched {
    pub(crate) fn new(scene: &Scene) -> Self {
        let conditions = conditions(scene);
        // A comparison reads its values, so long ones and long lists count as further conditions.
        let size = count(&conditions) + encoded_len(&scene.when) / BYTES_OF_A_CONDITION;
        Self { size, bytes: encoded_len(scene), conditions }
    }
}

/// Cost of a search in a group, in simple conditions.
const GROUP_COST: usize = 100;

/// Returns the number of conditions, those inside groups included. A search in a group of devices counts as many.
pub(crate) fn count(conditions: &[Condition]) -> usize {
    let inner = |condition: &Condition| match condition {
        Condition::All(inner) | Condition::Any(inner) | Condition::OneOf(inner) => count(inner),
        Condition::Not(inner) => count(std::slice::from_ref(inner)),
        Condition::DeviceOfGroupIs { .. } | Condition::Tests { left: Operand::Group { .. }, .. } => GROUP_COST,
        _ => 0,
    };
    conditions.iter().map(|condition| 1 + inner(condition)).sum()
}

/// Decodes the enabled conditions of a scene.
pub(crate) fn conditions(scene: &Scene) -> Vec<Condition> {
    let counts = |block: &&Block| block.enabled.get() != Some(&false);
    scene.when.get().into_iter().flatten().filter(counts).map(Block::condition).collect()
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
