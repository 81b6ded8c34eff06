//! Scenes that are running.

use std::collections::BTreeMap;

use ezlo_protocol::hub::SceneId;
use ezlo_protocol::hub::scene::{Block, SceneProgress};

/// Scenes that are running.
#[derive(Debug, Default, Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct Runs {
    pub(crate) next: u64,
    pub(crate) running: BTreeMap<u64, Run>,
    /// Counts restarts: a run does not outlive the one that it asked for.
    pub(crate) restarts: u64,
}

/// A scene that is running: its actions as they were when it started.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct Run {
    pub(crate) scene: SceneId,
    pub(crate) progress: SceneProgress,
    pub(crate) actions: Vec<Block>,
    pub(crate) at: usize,
    pub(crate) failed: bool,
}
