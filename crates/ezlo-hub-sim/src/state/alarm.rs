//! An active alarm.

use ezlo_protocol::hub::mode::AlarmPhase;
use ezlo_protocol::hub::{DeviceId, ItemId};

/// The alarm that is on.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct Alarm {
    pub(crate) phase: AlarmPhase,
    pub(crate) delay: i64,
    pub(crate) due_ms: i64,
    pub(crate) silent: bool,
    pub(crate) sources: Vec<(DeviceId, i64, i64)>,
    /// Sirens that sound, to be silenced whatever a later mode says of them.
    pub(crate) sounding: Vec<ItemId>,
}

impl Alarm {
    pub(crate) const fn shift_timers(&mut self, ms: i64) {
        self.due_ms = self.due_ms.saturating_add(ms);
    }
}
