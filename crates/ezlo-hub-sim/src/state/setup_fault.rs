//! Faults of the first set-up of a hub. All are reported for real hubs; their effects at the access point are inferred.

use serde::{Deserialize, Serialize};

/// A fault of the first set-up of a hub, which remains active until it is removed.
///
/// A wrong key, an unknown network and a refused claim need no fault: a client can cause them itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SetupFault {
    /// The access point does not accept connections.
    NoAccessPoint,
    /// A scan at the access point finds no network.
    EmptyScan,
    /// Every network is on a 5 GHz channel.
    FiveGigahertzOnly,
    /// Every network has a signal of -94 dBm.
    WeakSignal,
    /// The access point closes at the join request, and the hub does not join.
    AccessPointVanishes,
    /// The hub restarts at the first join request. The fault then removes itself.
    RestartsOnce,
    /// The hub restarts at every join request.
    KeepsRestarting,
    /// The hub reports another IP address from the second status on.
    AddressChanges,
    /// The hub reports another IP address with each status.
    AddressUnstable,
    /// The hub joins and never connects to the relay.
    NeverAppears,
}

impl SetupFault {
    /// All faults, each with a description.
    pub const ALL: &[(Self, &str)] = &[
        (Self::NoAccessPoint, "the access point does not accept connections"),
        (Self::EmptyScan, "a scan at the access point finds no network"),
        (Self::FiveGigahertzOnly, "every network is on a 5 GHz channel"),
        (Self::WeakSignal, "every network has a signal of -94 dBm"),
        (Self::AccessPointVanishes, "the access point closes at the join request, and the hub does not join"),
        (Self::RestartsOnce, "the hub restarts at the first join request"),
        (Self::KeepsRestarting, "the hub restarts at every join request"),
        (Self::AddressChanges, "the hub reports another IP address from the second status on"),
        (Self::AddressUnstable, "the hub reports another IP address with each status"),
        (Self::NeverAppears, "the hub joins and never connects to the relay"),
    ];
}
