//! Work of scenes that one call causes, so that it can be bounded.

use ezlo_protocol::hub::SceneId;
use ezlo_protocol::hub::scene::Block;

/// Actions that one call or timer may start, counted over all nested runs. Without it, a scene that runs itself twice starts
/// 2^32 runs. A house has scenes of a few dozen actions; each action costs a hub about 10 us and each listener a message.
const MAX_ACTIONS: usize = 500;

/// Bytes of the actions that one call or timer may start: every start copies them. One scene of the longest message fits.
const MAX_ACTION_BYTES: usize = 1 << 20;

/// Work of scenes that one call or timer has caused, so that none holds its hub without bound.
#[derive(Debug, Default, Clone, Copy, serde::Serialize, serde::Deserialize)]
pub(crate) struct SceneWork {
    actions: usize,
    action_bytes: usize,
    /// Runs that events have started.
    pub(crate) triggered: usize,
    /// A refused run was logged.
    warned: bool,
}

impl SceneWork {
    /// Counts the actions of a run that is about to start; false when they exceed a bound.
    pub(crate) fn take_actions(&mut self, actions: &[Block]) -> bool {
        self.actions = self.actions.saturating_add(actions.len().max(1));
        if self.actions <= MAX_ACTIONS {
            self.action_bytes = self.action_bytes.saturating_add(encoded_len(&actions));
        }
        self.actions <= MAX_ACTIONS && self.action_bytes <= MAX_ACTION_BYTES
    }

    /// Logs the first run that is refused: a hostile call causes hundreds.
    pub(crate) fn warn_once(&mut self, hub: &str, scene: &SceneId) {
        if !std::mem::replace(&mut self.warned, true) {
            tracing::warn!(%hub, %scene, "too many scene actions at once; this scene and further ones do not start");
        }
    }

    /// The larger count of both, for work that is continued beside other work.
    pub(crate) fn max(self, other: Self) -> Self {
        Self {
            actions: self.actions.max(other.actions),
            action_bytes: self.action_bytes.max(other.action_bytes),
            triggered: self.triggered.max(other.triggered),
            warned: self.warned || other.warned,
        }
    }
}

/// Length of a value as JSON, without building the text.
pub(crate) fn encoded_len(value: &impl serde::Serialize) -> usize {
    struct Counter(usize);

    impl std::io::Write for Counter {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 = self.0.saturating_add(bytes.len());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    let mut counter = Counter(0);
    // A value that cannot be written counts as too long.
    serde_json::to_writer(&mut counter, value).map_or(usize::MAX, |()| counter.0)
}
