//! The errors of onboarding, with one variant for each way to fail.

use crate::access_point::AccessPointError;

/// A failed onboarding.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OnboardingError {
    /// The networks could not be read from the access point.
    #[error("cannot read the networks from the access point")]
    NoAccessPoint(#[source] AccessPointError),
    /// The hub receives no network at all.
    #[error("the hub receives no Wi-Fi network; move it closer to the router")]
    EmptyScan,
    /// The hub does not receive the requested network.
    #[error("the hub does not receive {ssid:?}, only {}; check the name and the 2.4 GHz band", seen.join(", "))]
    NoSuchNetwork {
        /// Name of the requested network.
        ssid: String,
        /// Names of the networks that the hub receives.
        seen: Vec<String>,
    },
    /// The network is on 5 GHz only (all its channels are above 14). Hubs use 2.4 GHz.
    #[error("network {ssid:?} is on 5 GHz only; enable its 2.4 GHz band")]
    FiveGigahertzOnly {
        /// Name of the network.
        ssid: String,
    },
    /// The signal is weaker than [`Plan::weakest_signal`](crate::Plan::weakest_signal).
    #[error("network {ssid:?} is too weak at the hub ({rssi} dBm); move the hub closer to the router")]
    WeakSignal {
        /// Name of the network.
        ssid: String,
        /// Strongest signal of the network at the hub, in dBm.
        rssi: i64,
    },
    /// The hub refused the request to join.
    #[error("the hub refused the request to join")]
    Refused(#[source] AccessPointError),
    /// The hub reported that it could not join the network. The usual cause is a wrong key.
    #[error("the hub could not join network {ssid:?}; check its key")]
    WrongPasskey {
        /// Name of the network.
        ssid: String,
    },
    /// The status could not be read for [`Plan::absence_time`](crate::Plan::absence_time), and the hub had not joined.
    #[error("the access point disappeared while the hub was joining")]
    AccessPointVanished(#[source] AccessPointError),
    /// The hub restarted more than 2 times while it was joining.
    #[error("the hub restarted {times} times while it was joining; check its power supply")]
    KeepsRestarting {
        /// Number of restarts.
        times: u32,
    },
    /// The IP address of the hub changed more than 2 times.
    #[error("network {ssid:?} repeatedly assigned a new address to the hub, last {last}; check the DHCP server")]
    AddressUnstable {
        /// Name of the network.
        ssid: String,
        /// Last address.
        last: String,
    },
    /// The hub did not join within [`Plan::join_time`](crate::Plan::join_time).
    #[error("the hub did not join network {ssid:?} in time; move it closer to the router and retry")]
    JoinTimedOut {
        /// Name of the network.
        ssid: String,
    },
    /// The call that restarts the hub failed.
    #[error("the hub could not be restarted")]
    RestartFailed(#[source] AccessPointError),
    /// The hub was not claimed.
    #[error("the hub was not claimed")]
    Claim(#[source] ClaimError),
    /// The hub did not connect to the relay within [`Plan::appear_time`](crate::Plan::appear_time).
    #[error("the hub joined the network but did not connect to the relay in time; check its internet access")]
    NeverAppeared,
}

/// A failed claim of a hub.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClaimError {
    /// The MAC address does not belong to the hub.
    #[error("the MAC address does not belong to this hub; check its label")]
    WrongMac,
    /// The cloud has no hub with this serial.
    #[error("no hub has this serial; check its label")]
    UnknownSerial,
    /// The hub belongs to another account.
    #[error("the hub belongs to another account; its owner must remove it first")]
    OwnedByAnother,
    /// The cloud is unreachable. The text contains the cause. The claim is retried.
    #[error("the cloud is unreachable: {0}")]
    Unreachable(String),
    /// Any other refusal, as text.
    #[error("{0}")]
    Refused(String),
}
