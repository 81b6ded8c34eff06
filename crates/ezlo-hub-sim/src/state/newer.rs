//! State of the parts that hubs since 2021 have: groups, expressions, scripts, swinger shutdown.

use std::collections::{BTreeMap, HashSet};

use ezlo_protocol::hub::group::{DeviceGroup, ItemGroup};
use ezlo_protocol::hub::scene::{Expression, GlobalScene, Script};
use ezlo_protocol::hub::{DeviceId, SceneId};
use ezlo_protocol::rpc::RpcError;
use ezlo_protocol::wire::Field;
use indexmap::IndexMap;

use ezlo_protocol::wire::encoded_len;

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
    /// Global scenes as the cloud has sent them.
    #[serde(default)]
    pub(crate) global_scenes: IndexMap<SceneId, GlobalScene>,
    /// Features by name, as clients have set them.
    #[serde(default)]
    pub(crate) features: BTreeMap<String, bool>,
    /// Settings `on`, `off` or `auto` of network interfaces.
    #[serde(default)]
    pub(crate) interfaces: BTreeMap<String, String>,
    /// Description of the hub.
    #[serde(default)]
    pub(crate) description: Option<String>,
}

/// Maximum size of a group or an expression as JSON, in bytes. Together with the numbers of entries it bounds the memory of a hub.
pub(crate) const MAX_ENTRY: usize = 16 * 1024;

/// Refuses an entry that is larger than its limit.
pub(crate) fn check_size(entry: &impl serde::Serialize) -> Result<(), RpcError> {
    if encoded_len(entry) <= MAX_ENTRY {
        return Ok(());
    }
    let reason = format!("the entry exceeds {MAX_ENTRY} bytes");
    Err(RpcError { reason: reason.into(), ..RpcError::known("rpc.params.invalid") })
}

/// Names that a list is limited to; without them, the list has all entries. The search does not depend on their number.
pub(crate) struct NameFilter<'a>(Option<HashSet<&'a str>>);

impl<'a> NameFilter<'a> {
    pub(crate) fn new(names: &'a Field<Vec<String>>) -> Self {
        Self(names.get().map(|names| names.iter().map(String::as_str).collect()))
    }

    pub(crate) fn includes(&self, name: &str) -> bool {
        self.0.as_ref().is_none_or(|names| names.contains(name))
    }
}

/// The trips of a device and their limits.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct Swinger {
    pub(crate) is_disabled: bool,
    pub(crate) hits_limit: i64,
    /// Seconds.
    pub(crate) inactivity_window: i64,
    /// Number of alarms that the device has raised.
    #[serde(default)]
    pub(crate) hits: i64,
    /// Unix seconds of the first and of the last of them.
    #[serde(default)]
    pub(crate) added: i64,
    #[serde(default)]
    pub(crate) updated: i64,
}

/// Limits of a device without own ones (inferred).
pub(crate) const SWINGER_LIMITS: (i64, i64) = (5, 28_800);

impl Default for Swinger {
    fn default() -> Self {
        let (hits_limit, inactivity_window) = SWINGER_LIMITS;
        Self { is_disabled: false, hits_limit, inactivity_window, hits: 0, added: 0, updated: 0 }
    }
}
