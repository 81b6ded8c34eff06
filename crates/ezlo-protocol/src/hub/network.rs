//! The hub's network interfaces.

use serde_json::Value;

use crate::rpc::RpcError;
use crate::wire::{Field, Loose};

wire! {
    /// Result of `hub.network.get` and content of `hub.network.changed`, where only changed members come and null means gone.
    Network {
        /// The interfaces.
        interfaces: Field<Vec<Interface>> = "interfaces",
        /// Newer firmware, in broadcasts.
        sync_notification: Field<bool> = "syncNotification",
    }
}

wire! {
    /// One interface, or in a broadcast its changed members.
    Interface {
        /// `eth0`, `wlan0`, …
        id: Field<String> = "_id",
        /// Whether the internet is reached through it.
        internet_available: Field<bool> = "internetAvailable",
        /// Hardware address.
        hwaddr: Field<String> = "hwaddr",
        /// Modem's identity.
        imei: Field<String> = "imei",
        /// `ethernet`, `wifi`, `modem`.
        kind: Field<String> = "type",
        /// `wan` or `lan`.
        network: Field<String> = "network",
        /// The lower wins.
        priority: Field<Loose<i64>> = "priority",
        /// `up` or `down`.
        status: Field<String> = "status",
        /// Why it does not work.
        error: Field<RpcError> = "error",
        /// `on`, `off`, `auto`.
        enabled: Field<String> = "enabled",
        /// Internet protocol settings.
        ipv4: Field<Ipv4> = "ipv4",
        /// Wi-Fi settings; the channel is text on EzloPi, and `mode` stands inside or beside `network`.
        wifi: Field<Value> = "wifi",
        /// Modem settings.
        modem: Field<Value> = "modem",
    }
}

wire! {
    /// Internet protocol settings.
    Ipv4 {
        /// `dhcp` or `static`.
        mode: Field<String> = "mode",
        /// Address.
        ip: Field<String> = "ip",
        /// Netmask.
        mask: Field<String> = "mask",
        /// Gateway.
        gateway: Field<String> = "gateway",
        /// Name servers.
        dns: Field<Vec<String>> = "dns",
    }
}

wire! {
    /// Parameters of the Wi-Fi scan methods.
    ScanQuery {
        /// Which interface.
        interface_id: Field<String> = "interfaceId",
    }
}

wire! {
    /// Content of `hub.network.wifi.scan.progress`.
    ScanProgress {
        /// Which interface.
        interface_id: Field<String> = "interfaceId",
        /// `started`, `process`, `finished`, `failed`.
        status: Field<String> = "status",
        /// What was found so far.
        networks: Field<Vec<ScannedNetwork>> = "networks",
        /// Why it failed.
        error: Field<RpcError> = "error",
    }
}

wire! {
    /// One network found.
    ScannedNetwork {
        /// Name.
        ssid: Field<String> = "ssid",
        /// Hardware address.
        bssid: Field<String> = "bssid",
        /// `open`, `wep`, `wpa-psk`, `wpa2-psk`, …
        security: Field<String> = "security",
        /// Signal strength, dBm.
        rssi: Field<Loose<i64>> = "rssi",
    }
}
