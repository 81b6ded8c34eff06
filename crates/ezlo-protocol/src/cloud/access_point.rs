//! Documents of the hub's own access point, where it is put on Wi-Fi.
//!
//! The vendor's note shows the five requests and no answer; every answer here is inferred, so all members are optional
//! and unknown ones survive.

use std::time::Duration;

use crate::secret::Passkey;
use crate::wire::{Field, Loose};

/// Where the hub's Wi-Fi API is while the client is joined to the hub's own network (the vendor's note).
pub const API_BASE: &str = "http://192.168.4.1:54540";

/// Where `restart` is: the same address, port 80 (the vendor's note).
pub const ROOT_BASE: &str = "http://192.168.4.1";

/// How long a hub may take to answer on its own network; it is one hop away.
pub const ANSWER_TIME: Duration = Duration::from_secs(10);

wire! {
    /// The networks the hub sees.
    WifiNetworks {
        /// The networks, strongest first where the hub sorts them.
        networks: Field<Vec<WifiNetwork>> = "networks",
    }
}

wire! {
    /// One network the hub sees.
    WifiNetwork {
        /// Name.
        ssid: Field<String> = "ssid",
        /// Signal strength in dBm.
        rssi: Field<Loose<i64>> = "rssi",
        /// Such as `open`, `wep`, `wpa-psk`, `wpa2-psk`.
        encryption: Field<String> = "encryption",
        /// Radio channel (inferred, like everything here; other hubs' scans have it). Above 14 it is not in the 2.4 GHz band.
        channel: Field<Loose<i64>> = "channel",
    }
}

wire! {
    /// How far joining a network has come.
    WifiStatus {
        /// The state.
        status: Field<WifiState> = "status",
        /// The network in question.
        ssid: Field<String> = "ssid",
        /// The address the hub has there.
        ip: Field<String> = "ip",
        /// Why it failed, a machine string such as `network.connection.failed`.
        error: Field<String> = "error",
    }
}

open_enum! {
    /// State of the hub's Wi-Fi client.
    WifiState {
        /// No network joined.
        Disconnected = "disconnected",
        /// Joining.
        Connecting = "connecting",
        /// Joined.
        Connected = "connected",
        /// Could not join.
        Failed = "failed",
    }
}

wire! {
    /// The request to join a network. The vendor's note sends it as `application/javascript`.
    WifiConnect {
        /// Name.
        ssid: String = "ssid",
        /// Its key; the member is `passkey`, not `password`.
        passkey: Field<Passkey> = "passkey",
    }
}
