//! Events that start scenes, and the decoded conditions that they are compared with.

use ezlo_protocol::hub::scene::{Block, Condition, Scene};
use ezlo_protocol::hub::{DeviceId, ItemId, ModeId, SceneId};
use jiff::tz::TimeZone;
use serde_json::Value;

use super::scene_work::encoded_len;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) enum Event {
    Item {
        item: ItemId,
        before: Value,
        after: Value,
    },
    Device {
        device: DeviceId,
        armed: Option<bool>,
        reachable: Option<bool>,
    },
    Mode {
        from: ModeId,
        to: ModeId,
    },
    /// A time condition of one scene is due, the n-th in it.
    Tick {
        scene: SceneId,
        tick: usize,
    },
}

/// A scene as the engine uses it.
#[derive(Debug, Clone)]
pub(crate) struct Watched {
    pub(crate) conditions: Vec<Condition>,
    /// Conditions with those inside groups.
    pub(crate) size: usize,
    /// Length of the whole scene as JSON.
    pub(crate) bytes: usize,
}

impl Watched {
    pub(crate) fn new(scene: &Scene) -> Self {
        let conditions = conditions(scene);
        Self { size: count(&conditions), bytes: encoded_len(scene), conditions }
    }
}

/// Conditions with those inside groups.
pub(crate) fn count(conditions: &[Condition]) -> usize {
    let inner = |condition: &Condition| match condition {
        Condition::All(inner) | Condition::Any(inner) | Condition::OneOf(inner) => count(inner),
        Condition::Not(inner) => count(std::slice::from_ref(inner)),
        _ => 0,
    };
    conditions.iter().map(|condition| 1 + inner(condition)).sum()
}

/// The conditions that count.
pub(crate) fn conditions(scene: &Scene) -> Vec<Condition> {
    let counts = |block: &&Block| block.enabled.get() != Some(&false);
    scene.when.get().into_iter().flatten().filter(counts).map(Block::condition).collect()
}

/// Where a hub is.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Place {
    pub(crate) latitude: f64,
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
