//! Behaviours of a house, with the state that each has between its steps.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::seeded_rng::SeededRng;
use ezlo_protocol::hub::DeviceId;

/// All behaviours of a house.
#[derive(Debug, Default, Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct Behaviours {
    pub(crate) all: Vec<Behaviour>,
    /// Power of metered devices while they are on, in watts.
    pub(crate) loads: BTreeMap<DeviceId, f64>,
}

impl Behaviours {
    pub(crate) fn load(&self, device: &DeviceId) -> Option<f64> {
        self.loads.get(device).copied()
    }
}

#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct Behaviour {
    pub(crate) device: DeviceId,
    pub(crate) kind: Kind,
    /// Random number generator of this behaviour alone, so that behaviours do not influence each other.
    pub(crate) chance: SeededRng,
}

#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(crate) enum Kind {
    /// The temperature moves towards the outside temperature, and rises or falls while the thermostat heats or cools.
    Climate { outside: f64, heater: Option<DeviceId> },
    /// An item is on for some seconds at random times in these hours: motion or an open door.
    Presence {
        hours: Vec<u8>,
        per_hour: f64,
        seconds: u32,
        item: Cow<'static, str>,
        on: serde_json::Value,
        off: serde_json::Value,
    },
    /// The energy meter counts the power.
    Meter,
    /// The battery discharges. `left` is the exact remaining charge in percent.
    Battery { percent_per_day: f64, left: f64 },
    /// The device becomes unreachable at random times.
    Outage { per_day: f64, seconds: u32 },
    /// A button is pressed every day at these local times.
    Button { times: Vec<jiff::civil::Time> },
}
