//! The part of a world file that describes the settings of the house modes.

use serde::{Deserialize, Serialize};

use super::HubFile;
use super::resolve::known_mode;

/// Maximum delay, in seconds, as in the calls that set it.
const MAX_DELAY: i64 = 3600;

/// Settings of the house modes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct HouseModesFile {
    /// Entry delays (default: 30, 60, 120 and 0 s).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry_delay: Option<EntryDelayFile>,
    /// Settings of individual modes, each at most once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub modes: Vec<HouseModeFile>,
}

/// Delays from a trip to the alarm, in seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct EntryDelayFile {
    /// Delay of most sensors (default: 30).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub normal: Option<i64>,
    /// Extended delay (default: 60).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extended: Option<i64>,
    /// Longest delay (default: 120).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub long_extended: Option<i64>,
    /// Delay of sensors without delay (default: 0).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instant: Option<i64>,
}

/// Settings of one house mode.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct HouseModeFile {
    /// Id of the mode, `1` to `4`.
    pub id: String,
    /// Delay of a switch to the mode, in seconds (default: 30, 0 for mode 1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub switch_delay_s: Option<i64>,
    /// Delay of an alarm in the mode, in seconds (default: 30, 0 for mode 1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alarm_delay_s: Option<i64>,
    /// The built-in list of disarmed devices applies (default: true).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disarmed_default: Option<bool>,
    /// Emergencies raise an alarm (default: true).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protect: Option<bool>,
    /// Names of the devices that are not armed in the mode.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disarmed: Vec<String>,
    /// Names of the devices that do not sound in the mode.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alarms_off: Vec<String>,
    /// Names of the cameras that are off in the mode.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cameras_off: Vec<String>,
    /// Names of the devices that are bypassed until the next switch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bypass: Vec<String>,
}

impl HouseModesFile {
    /// Refuses unknown modes and devices, repeated modes and delays outside 0 to 3,600 s.
    pub(super) fn check(&self, hub: &HubFile) -> Result<(), String> {
        let entry = self.entry_delay.unwrap_or_default();
        check_delays(&[entry.normal, entry.extended, entry.long_extended, entry.instant])?;
        for (at, mode) in self.modes.iter().enumerate() {
            if known_mode(&mode.id).is_none() {
                return Err(format!("mode {:?}: house modes are \"1\" to \"4\"", mode.id));
            }
            if self.modes[..at].iter().any(|earlier| earlier.id == mode.id) {
                return Err(format!("mode {:?} is described twice", mode.id));
            }
            check_delays(&[mode.switch_delay_s, mode.alarm_delay_s])?;
            let lists = [&mode.disarmed, &mode.alarms_off, &mode.cameras_off, &mode.bypass];
            if let Some(unknown) = lists.into_iter().flatten().find(|name| !hub.has_device(name)) {
                return Err(format!("mode {:?}: no device {unknown:?}", mode.id));
            }
        }
        Ok(())
    }
}

fn check_delays(delays: &[Option<i64>]) -> Result<(), String> {
    match delays.iter().flatten().find(|delay| !(0..=MAX_DELAY).contains(*delay)) {
        Some(delay) => Err(format!("delay {delay} is not between 0 and {MAX_DELAY} s")),
        None => Ok(()),
    }
}
