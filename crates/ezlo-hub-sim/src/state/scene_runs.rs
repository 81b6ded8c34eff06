//! Running scenes.

use std::collections::BTreeMap;

use ezlo_protocol::hub::SceneId;
use ezlo_protocol::hub::scene::{Block, SceneProgress};

/// All running scenes.
#[derive(Debug, Default, Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct Runs {
    /// Number of the next run.
    pub(crate) next: u64,
    /// Runs by number.
    pub(crate) running: BTreeMap<u64, Run>,
    /// Number of restarts. A run ends if it restarts the hub.
    pub(crate) restarts: u64,
}

/// A running scene, with its actions at the time of the start.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct Run {
    pub(crate) scene: SceneId,
    /// The scene is a global one.
    #[serde(default)]
    pub(crate) is_global: bool,
    pub(crate) progress: SceneProgress,
    pub(crate) actions: Vec<Block>,
    /// Position of the next action.
    pub(crate) at: usize,
    /// At least one action has failed.
    pub(crate) failed: bool,
    /// At least one action has succeeded.
    #[serde(default)]
    pub(crate) succeeded: bool,
    /// Handling of failed actions: the member `exec_policy` of the scene.
    #[serde(default)]
    pub(crate) policy: Option<String>,
    /// The run waits for an answer that does not come.
    #[serde(default)]
    pub(crate) waits: bool,
}
