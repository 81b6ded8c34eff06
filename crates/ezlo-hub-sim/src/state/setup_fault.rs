//! Faults of the first set-up of a hub. All are reported of real hubs; how a hub shows them at its access point is inferred.

use serde::{Deserialize, Serialize};

/// Something that goes wrong while a hub is set up, until it is switched off. A wrong key, an unknown network and a claim that
/// is refused need no switch: do them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SetupFault {
    /// Nobody answers at the access point.
    NoAccessPoint,
    /// The hub sees no network.
    EmptyScan,
    /// Every network is on a 5 GHz channel.
    FiveGigahertzOnly,
    /// Every network is all but out of reach.
    WeakSignal,
    /// The access point goes away when the hub is told to join, and the hub does not join.
    AccessPointVanishes,
    /// The hub restarts when it is told to join, once.
    RestartsOnce,
    /// The hub restarts each time it is told to join.
    KeepsRestarting,
    /// The hub has another address after the first.
    AddressChanges,
    /// The hub has another address each time it is asked.
    AddressUnstable,
    /// The hub joins, and never comes to the relay.
    NeverAppears,
}

impl SetupFault {
    /// Every one, with what it does.
    pub const ALL: &[(Self, &str)] = &[
        (Self::NoAccessPoint, "nobody answers at the access point"),
        (Self::EmptyScan, "the hub sees no network"),
        (Self::FiveGigahertzOnly, "every network is on a 5 GHz channel"),
        (Self::WeakSignal, "every network is all but out of reach"),
        (
            Self::AccessPointVanishes,
            "the access point goes away when the hub is told to join, and the hub does not join",
        ),
        (Self::RestartsOnce, "the hub restarts when it is told to join, once"),
        (Self::KeepsRestarting, "the hub restarts each time it is told to join"),
        (Self::AddressChanges, "the hub has another address after the first"),
        (Self::AddressUnstable, "the hub has another address each time it is asked"),
        (Self::NeverAppears, "the hub joins, and never comes to the relay"),
    ];
}
