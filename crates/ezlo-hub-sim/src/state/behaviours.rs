//! Behaviours of a house, and the state that each keeps between its steps.

use std::borrow::Cow;
use std::collections::BTreeMap;

use ezlo_protocol::hub::DeviceId;
use rand_chacha::ChaCha8Rng;

/// What lives in a house.
#[derive(Debug, Default, Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct Behaviours {
    pub(crate) all: Vec<Behaviour>,
    /// What metered devices draw when they are on, in watts.
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
    #[serde(with = "crate::encoding::rng_state")]
    pub(crate) chance: ChaCha8Rng,
}

#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(crate) enum Kind {
    /// The temperature goes towards that of outside, and up while its heating is on.
    Climate { outside: f64, heater: Option<DeviceId> },
    /// Somebody comes by at these hours, so often an hour, and stays a while.
    Presence {
        hours: Vec<u8>,
        per_hour: f64,
        seconds: u32,
        item: Cow<'static, str>,
        on: serde_json::Value,
        off: serde_json::Value,
    },
    /// Energy adds up while power flows.
    Meter,
    /// The battery loses so many percent a day.
    Battery { percent_per_day: f64, left: f64 },
    /// The node is away, so often a day.
    Outage { per_day: f64, seconds: u32 },
    /// A button is pressed at these times.
    Button { times: Vec<jiff::civil::Time> },
}
