//! House modes: the current one, a pending switch, and the settings of each mode.

use ezlo_protocol::hub::mode::MODES;
use ezlo_protocol::hub::{DeviceId, ModeId};
use indexmap::IndexMap;

use crate::state::alarm::Alarm;

/// Entry delays in seconds by kind: normal, extended, long, instant (EzloPi).
pub(crate) const ENTRY_DELAYS: [i64; 4] = [30, 60, 120, 0];

/// Delay in seconds before a mode switch, and before an alarm, for every mode except Home (guide20:p14-15).
pub(crate) const DELAY_SECONDS: i64 = 30;

/// The state of the house modes.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct Modes {
    /// Index into [`MODES`].
    pub(crate) current: usize,
    pub(crate) pending: Option<Pending>,
    /// Incremented with each switch and cancellation. Timers of earlier generations are ignored.
    pub(crate) generation: u64,
    pub(crate) modes: [ModeSettings; 4],
    /// Entry delays in seconds by kind.
    pub(crate) entry_delay: [i64; 4],
    /// Emergency buttons and their services.
    pub(crate) buttons: IndexMap<DeviceId, String>,
    pub(crate) alarm: Option<Alarm>,
    pub(crate) alarm_generation: u64,
    /// Time of the newest command that set a flag, in Unix milliseconds.
    #[serde(default)]
    pub(crate) last_command_ms: i64,
}

/// The settings of one mode.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct ModeSettings {
    /// Delay of a switch to this mode, in seconds.
    pub(crate) switch_delay: i64,
    /// Alarm delay in seconds; `None` uses the entry delays.
    pub(crate) alarm_delay: Option<i64>,
    /// Users that are notified; `None` for all users.
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
            last_command_ms: 0,
        }
    }
}

impl Modes {
    pub(crate) const fn current(&self) -> &ModeSettings {
        &self.modes[self.current]
    }

    /// Shifts the ends of a pending switch and of an entry delay.
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

/// A mode switch whose delay has not ended.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct Pending {
    /// Index into [`MODES`].
    pub(crate) to: usize,
    /// Delay in seconds.
    pub(crate) delay: i64,
    /// End of the delay in Unix milliseconds.
    pub(crate) due_ms: i64,
}

pub(crate) fn id(mode: usize) -> ModeId {
    MODES[mode].0.into()
}

pub(crate) fn position(mode: &ModeId) -> Option<usize> {
    MODES.iter().position(|(id, _)| *id == mode.as_str())
}
