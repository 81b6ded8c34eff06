//! State of an active alarm.

use ezlo_protocol::hub::mode::AlarmPhase;
use ezlo_protocol::hub::{DeviceId, ItemId};

/// An active alarm.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct Alarm {
    pub(crate) phase: AlarmPhase,
    /// Entry delay in seconds.
    pub(crate) delay: i64,
    /// End of the entry delay in Unix milliseconds.
    pub(crate) due_ms: i64,
    /// No siren is activated.
    pub(crate) silent: bool,
    /// Devices that raised the alarm, each with its delay in seconds and the Unix second.
    pub(crate) sources: Vec<(DeviceId, i64, i64)>,
    /// Siren items that were activated. They are silenced at the end, even if the mode has changed meanwhile.
    pub(crate) sounding: Vec<ItemId>,
}

impl Alarm {
    pub(crate) const fn shift_timers(&mut self, ms: i64) {
        self.due_ms = self.due_ms.saturating_add(ms);
    }
}
