//! Documents of the access point that an unconfigured hub opens for its Wi-Fi setup.
//!
//! The vendor's note shows the five requests and no response. All responses are inferred, so all their members are optional.

use std::time::Duration;

use crate::secret::Passkey;
use crate::wire::{Field, Loose};

/// Base URL of the Wi-Fi API while the client is joined to the hub's own network (vendor).
pub const API_BASE: &str = "http://192.168.4.1:54540";

/// Base URL of the call `restart`: the same address, port 80 (vendor).
pub const ROOT_BASE: &str = "http://192.168.4.1";

/// Timeout of a call to the access point (10 s). The hub is one network hop away.
pub const ANSWER_TIME: Duration = Duration::from_secs(10);

wire! {
    /// The Wi-Fi networks in range of the hub.
    WifiNetworks {
        /// The networks. Some hubs sort them, strongest first.
        networks: Field<Vec<WifiNetwork>> = "networks",
    }
}

wire! {
    /// A Wi-Fi network in range of the hub.
    WifiNetwork {
        /// Name of the network.
        ssid: Field<String> = "ssid",
        /// Signal strength in dBm.
        rssi: Field<Loose<i64>> = "rssi",
        /// Encryption, such as `open`, `wep`, `wpa-psk` or `wpa2-psk`.
        encryption: Field<String> = "encryption",
        /// Radio channel (inferred from the scans of other hubs). Channels above 14 are outside the 2.4 GHz band.
        channel: Field<Loose<i64>> = "channel",
    }
}

wire! {
    /// The progress of joining a network.
    WifiStatus {
        /// State of the Wi-Fi client.
        status: Field<WifiState> = "status",
        /// Name of the network.
        ssid: Field<String> = "ssid",
        /// IP address of the hub in that network.
        ip: Field<String> = "ip",
        /// Reason of a failure: a machine-readable string such as `network.connection.failed`.
        error: Field<String> = "error",
    }
}

open_enum! {
    /// The state of the hub's Wi-Fi client.
    WifiState {
        /// The hub is not joined to a network.
        Disconnected = "disconnected",
        /// The hub is joining a network.
        Connecting = "connecting",
        /// The hub is joined to a network.
        Connected = "connected",
        /// The hub could not join the network.
        Failed = "failed",
    }
}

wire! {
    /// The request to join a network, sent as `application/javascript` (vendor).
    WifiConnect {
        /// Name of the network.
        ssid: String = "ssid",
        /// Key of the network. The member is named `passkey`, not `password`.
        passkey: Field<Passkey> = "passkey",
    }
}
