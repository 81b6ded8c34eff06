//! State of the parts that hubs since 2021 have: groups, expressions, scripts, swinger shutdown.

use std::collections::BTreeMap;

use ezlo_protocol::hub::DeviceId;
use ezlo_protocol::hub::group::{DeviceGroup, ItemGroup};
use ezlo_protocol::hub::scene::{Expression, Script};
use indexmap::IndexMap;

/// State of the parts that hubs since 2021 have.
#[derive(Debug, Default, Clone, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub(crate) struct Newer {
    /// The groups of every hub were added.
    pub(crate) has_groups: bool,
    pub(crate) device_groups: IndexMap<String, DeviceGroup>,
    pub(crate) item_groups: IndexMap<String, ItemGroup>,
    /// Expressions and variables by name.
    pub(crate) expressions: IndexMap<String, Expression>,
    pub(crate) scripts: IndexMap<String, Script>,
    pub(crate) swingers: BTreeMap<DeviceId, Swinger>,
}

/// The trips of a device and their limits.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct Swinger {
    pub(crate) is_disabled: bool,
    pub(crate) hits_limit: i64,
    /// Seconds.
    pub(crate) inactivity_window: i64,
}

/// Limits of a device without own ones (inferred).
pub(crate) const SWINGER_LIMITS: (i64, i64) = (5, 28_800);

impl Default for Swinger {
    fn default() -> Self {
        let (hits_limit, inactivity_window) = SWINGER_LIMITS;
        Self { is_disabled: false, hits_limit, inactivity_window }
    }
}
