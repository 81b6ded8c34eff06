//! Limits for the scene actions that one call or timer can start.

use ezlo_protocol::hub::SceneId;
use ezlo_protocol::hub::scene::Block;
use ezlo_protocol::wire::encoded_len;

/// Maximum number of actions that one call or timer starts, counted over all nested runs.
///
/// Without it, a scene that runs itself twice starts 2^32 runs. Real scenes have a few dozen actions. Each action costs the
/// hub about 10 us and each client a message.
const MAX_ACTIONS: usize = 500;

/// Maximum size in bytes of the actions that one call or timer starts, because each start copies them. One scene of the
/// longest message fits.
const MAX_ACTION_BYTES: usize = 1 << 20;

/// Maximum number of changed results of functions and blocks that one call or timer causes.
const MAX_SIGNALS: usize = 1_000;

/// Scene work that one call or timer has caused. It is limited so that no call occupies the hub indefinitely.
#[derive(Debug, Default, Clone, Copy, serde::Serialize, serde::Deserialize)]
pub(crate) struct SceneWork {
    actions: usize,
    action_bytes: usize,
    /// Number of runs that events have started.
    pub(crate) triggered: usize,
    /// Number of changed results of functions and blocks.
    #[serde(default)]
    signals: usize,
    /// A refused run has been logged.
    warned: bool,
}

impl SceneWork {
    /// Counts the actions of a run that is about to start. Returns false if a limit is exceeded.
    pub(crate) fn take_actions(&mut self, actions: &[Block]) -> bool {
        self.actions = self.actions.saturating_add(actions.len().max(1));
        if self.actions <= MAX_ACTIONS {
            self.action_bytes = self.action_bytes.saturating_add(encoded_len(&actions));
        }
        self.actions <= MAX_ACTIONS && self.action_bytes <= MAX_ACTION_BYTES
    }

    /// Counts further work in actions, for example one per device of a group. Returns false if the limit is exceeded.
    pub(crate) fn take(&mut self, actions: usize) -> bool {
        self.actions = self.actions.saturating_add(actions);
        self.actions <= MAX_ACTIONS
    }

    /// Counts as many of the wanted actions as the limit leaves, and returns their number.
    pub(crate) fn take_up_to(&mut self, wanted: usize) -> usize {
        let granted = wanted.min(MAX_ACTIONS.saturating_sub(self.actions));
        self.actions += granted;
        granted
    }

    /// Counts a changed result of a function or a block. Returns false if the limit is exceeded.
    pub(crate) fn take_signal(&mut self) -> bool {
        self.signals += 1;
        self.signals <= MAX_SIGNALS
    }

    /// Counts bytes that an action copies. Returns false if the limit is exceeded.
    pub(crate) fn take_bytes(&mut self, bytes: usize) -> bool {
        self.action_bytes = self.action_bytes.saturating_add(bytes);
        self.action_bytes <= MAX_ACTION_BYTES
    }

    /// Logs the first refused run only, because a hostile call causes hundreds.
    pub(crate) fn warn_once(&mut self, hub: &str, scene: &SceneId) {
        if !std::mem::replace(&mut self.warned, true) {
            tracing::warn!(%hub, %scene, "too many scene actions in one call; this scene and further ones are not started");
        }
    }

    /// Returns the larger of both counts, for deferred work that is merged with other work.
    pub(crate) fn max(self, other: Self) -> Self {
        Self {
            actions: self.actions.max(other.actions),
            action_bytes: self.action_bytes.max(other.action_bytes),
            triggered: self.triggered.max(other.triggered),
            signals: self.signals.max(other.signals),
            warned: self.warned || other.warned,
        }
    }
}
