//! Properties of devices that their hub does not report, and work that waits for a device.

use std::collections::BTreeMap;

use ezlo_protocol::hub::ItemId;
use ezlo_protocol::wire::Opaque;
use serde::{Deserialize, Serialize};

/// Properties of a device that its hub does not report.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct DeviceTraits {
    /// The lock does not disclose its codes: the hub reports stars.
    pub(crate) masks_codes: bool,
    /// The lock refuses every new code, some time after the hub has accepted it.
    pub(crate) rejects_codes: bool,
    /// The device receives settings and codes only when it wakes up.
    pub(crate) asleep: bool,
    /// Codes that the lock has not received yet.
    pub(crate) pending_codes: Vec<PendingCode>,
    /// Codes of a lock that masks them, by the keys of the dictionary.
    pub(crate) masked_codes: BTreeMap<String, Opaque>,
}

/// A change of a lock code that the lock has not received yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PendingCode {
    pub(crate) item: ItemId,
    /// Key of the code in the dictionary.
    pub(crate) key: String,
    /// Former element; `None` for a new one.
    pub(crate) before: Option<Opaque>,
}

/// The condition of a device, as a test sets it. A member that is `None` is unchanged.
///
/// ```
/// use ezlo_hub_sim::world_file::WorldFile;
/// use ezlo_hub_sim::{DeviceCondition, SimulatedHub};
///
/// let world = WorldFile::bundled("demo").expect("a bundled world");
/// let mut hub = SimulatedHub::new(&world, "90000001", 1).expect("a hub of the world");
/// let broken = DeviceCondition { broken: Some(true), ..DeviceCondition::default() };
/// hub.change(|hub, context| hub.set_condition("Front door lock", &broken, context))?;
/// # Ok::<(), ezlo_hub_sim::HubError>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeviceCondition {
    /// The device has the status `broken`, as after an incomplete inclusion. Its setting "Rediscover device" repairs it.
    pub broken: Option<bool>,
    /// The device sleeps: it receives settings and lock codes only when it wakes up, which `false` does.
    pub asleep: Option<bool>,
    /// The lock does not disclose its codes: the hub reports stars.
    pub masks_codes: Option<bool>,
    /// The lock refuses every new code, some time after the hub has accepted it.
    pub rejects_codes: Option<bool>,
}
