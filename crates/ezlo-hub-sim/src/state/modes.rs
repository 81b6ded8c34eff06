//! House modes: the current one, a pending switch, and the settings of each mode.

use ezlo_protocol::hub::mode::MODES;
use ezlo_protocol::hub::{DeviceId, ModeId};
use indexmap::IndexMap;

use crate::state::alarm::Alarm;

/// Seconds from trip to alarm by kind of entry: normal, extended, long, instant (EzloPi).
pub(crate) const ENTRY_DELAYS: [i64; 4] = [30, 60, 120, 0];

/// Seconds from request to switch, and from trip to alarm, for every mode but Home (guide20:p14-15).
pub(crate) const DELAY_SECONDS: i64 = 30;

/// The house's modes.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct Modes {
    /// Index into [`MODES`].
    pub(crate) current: usize,
    pub(crate) pending: Option<Pending>,
    /// Tells the timer of a switch that was called off from the one that counts.
    pub(crate) generation: u64,
    pub(crate) modes: [ModeSettings; 4],
    pub(crate) entry_delay: [i64; 4],
    /// Emergency buttons and what they call for.
    pub(crate) buttons: IndexMap<DeviceId, String>,
    pub(crate) alarm: Option<Alarm>,
    pub(crate) alarm_generation: u64,
}

/// What can be set about one mode.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct ModeSettings {
    pub(crate) switch_delay: i64,
    /// The entry delays decide when there is none.
    pub(crate) alarm_delay: Option<i64>,
    /// `None` = everybody.
    pub(crate) notifications: Option<Vec<String>>,
    pub(crate) disarmed_default: bool,
    pub(crate) disarmed: Vec<DeviceId>,
    pub(crate) alarms_off: Vec<DeviceId>,
    pub(crate) cameras_off: Vec<DeviceId>,
    pub(crate) bypass: Vec<DeviceId>,
    pub(crate) protect_devices: Vec<DeviceId>,
    pub(crate) protect: bool,
    pub(crate) armed: bool,
}

impl Default for Modes {
    fn default() -> Self {
        Self {
            current: 0,
            pending: None,
            generation: 0,
            modes: [0, 1, 2, 3].map(|at| ModeSettings {
                switch_delay: if at == 0 { 0 } else { DELAY_SECONDS },
                alarm_delay: Some(if at == 0 { 0 } else { DELAY_SECONDS }),
                notifications: None,
                disarmed_default: true,
                disarmed: Vec::new(),
                alarms_off: Vec::new(),
                cameras_off: Vec::new(),
                bypass: Vec::new(),
                protect_devices: Vec::new(),
                protect: true,
                armed: at != 0,
            }),
            entry_delay: ENTRY_DELAYS,
            buttons: IndexMap::new(),
            alarm: None,
            alarm_generation: 0,
        }
    }
}

impl Modes {
    pub(crate) const fn current(&self) -> &ModeSettings {
        &self.modes[self.current]
    }

    /// The switch and the alarm that are under way end that much later.
    pub(crate) fn shift_timers(&mut self, ms: i64) {
        if let Some(pending) = &mut self.pending {
            pending.due_ms = pending.due_ms.saturating_add(ms);
        }
        if let Some(alarm) = &mut self.alarm {
            alarm.shift_timers(ms);
        }
    }

    pub(crate) fn current_id(&self) -> ModeId {
        id(self.current)
    }
}

#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct Pending {
    pub(crate) to: usize,
    pub(crate) delay: i64,
    pub(crate) due_ms: i64,
}

pub(crate) fn id(mode: usize) -> ModeId {
    MODES[mode].0.into()
}

pub(crate) fn position(mode: &ModeId) -> Option<usize> {
    MODES.iter().position(|(id, _)| *id == mode.as_str())
}
