//! Why a hub was not brought in: an error for each way it can fail.

use crate::access_point::AccessPointError;

/// Why a hub was not brought in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OnboardingError {
    /// There is no access point.
    #[error("{0}")]
    NoAccessPoint(AccessPointError),
    /// The hub sees no network at all.
    #[error("the hub sees no network; move it closer to the router")]
    EmptyScan,
    /// The hub does not see that network.
    #[error("the hub does not see {ssid:?}; it hears the 2.4 GHz band only, and sees {}", seen.join(", "))]
    NoSuchNetwork {
        /// What was wanted.
        ssid: String,
        /// What there is.
        seen: Vec<String>,
    },
    /// The network is on 5 GHz only, which hubs cannot join.
    #[error("{ssid:?} is on 5 GHz only; switch on its 2.4 GHz band")]
    FiveGigahertzOnly {
        /// The network.
        ssid: String,
    },
    /// The signal is too weak to stay.
    #[error("{ssid:?} is too weak where the hub is ({rssi} dBm); move the hub closer to the router")]
    WeakSignal {
        /// The network.
        ssid: String,
        /// Its strongest signal at the hub.
        rssi: i64,
    },
    /// The hub refused to join, at once.
    #[error("the hub does not take the request: {0}")]
    Refused(AccessPointError),
    /// The network is there but did not let the hub in: almost always its key.
    #[error("{ssid:?} did not let the hub in; check its key")]
    WrongPasskey {
        /// The network.
        ssid: String,
    },
    /// The access point went before the hub had joined, and did not come back.
    #[error("the access point went away while the hub was joining: {0}")]
    AccessPointVanished(AccessPointError),
    /// The hub restarts again and again instead of joining.
    #[error("the hub restarted {times} times while it was joining; check its power supply")]
    KeepsRestarting {
        /// How often.
        times: u32,
    },
    /// The network gives the hub another address each time.
    #[error("{ssid:?} gives the hub another address again and again, the last one {last}; check the router's DHCP")]
    AddressUnstable {
        /// The network.
        ssid: String,
        /// The last address.
        last: String,
    },
    /// Joining took too long.
    #[error("the hub did not join {ssid:?} in time")]
    JoinTimedOut {
        /// The network.
        ssid: String,
    },
    /// The hub did not restart.
    #[error("the hub could not be restarted: {0}")]
    RestartFailed(AccessPointError),
    /// The hub was not given to the user.
    #[error("the hub was not claimed: {0}")]
    Claim(ClaimError),
    /// The hub did not come to the relay.
    #[error("the hub joined but did not appear at the relay in time")]
    NeverAppeared,
}

/// Why a hub was not given to the user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClaimError {
    /// The MAC address is not the hub's.
    #[error("the MAC address is not this hub's; read it from the label again")]
    WrongMac,
    /// The cloud knows no hub with that serial.
    #[error("no hub has this serial; read it from the label again")]
    UnknownSerial,
    /// The hub belongs to somebody else.
    #[error("the hub belongs to another account; its owner has to give it up")]
    OwnedByAnother,
    /// The cloud cannot be reached; it is tried again.
    #[error("the cloud cannot be reached: {0}")]
    Unreachable(String),
    /// Any other refusal.
    #[error("{0}")]
    Refused(String),
}
