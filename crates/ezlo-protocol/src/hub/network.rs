//! Network interfaces and Wi-Fi scans of a hub.

use serde_json::Value;

use crate::rpc::RpcError;
use crate::wire::{Field, Loose};

wire! {
    /// The result of `hub.network.get` and the content of `hub.network.changed`.
    ///
    /// The broadcast has only the changed members, and null for a removed one. Merge it, do not replace (guide20:p83).
    Network {
        /// Interfaces.
        interfaces: Field<Vec<Interface>> = "interfaces",
        /// `syncNotification` of broadcasts; newer firmware.
        sync_notification: Field<bool> = "syncNotification",
    }
}

wire! {
    /// A network interface, or in a broadcast its changed members.
    Interface {
        /// Name of the interface, such as `eth0` or `wlan0`.
        id: Field<String> = "_id",
        /// `true` if the interface reaches the internet.
        internet_available: Field<bool> = "internetAvailable",
        /// MAC address.
        hwaddr: Field<String> = "hwaddr",
        /// IMEI of a modem.
        imei: Field<String> = "imei",
        /// Type: `ethernet`, `wifi` or `modem`.
        kind: Field<String> = "type",
        /// Role: `wan` or `lan`.
        network: Field<String> = "network",
        /// Priority. The lowest number has precedence.
        priority: Field<Loose<i64>> = "priority",
        /// Status: `up` or `down`.
        status: Field<String> = "status",
        /// Reason of a failure.
        error: Field<RpcError> = "error",
        /// Switch: `on`, `off` or `auto`.
        enabled: Field<String> = "enabled",
        /// IPv4 settings.
        ipv4: Field<Ipv4> = "ipv4",
        /// Wi-Fi settings. On EzloPi the channel is text. Sources differ whether `mode` is inside or beside `network`.
        wifi: Field<Value> = "wifi",
        /// Modem settings.
        modem: Field<Value> = "modem",
    }
}

wire! {
    /// The IPv4 settings of an interface.
    Ipv4 {
        /// Address assignment: `dhcp` or `static`.
        mode: Field<String> = "mode",
        /// IP address.
        ip: Field<String> = "ip",
        /// Netmask.
        mask: Field<String> = "mask",
        /// IP address of the gateway.
        gateway: Field<String> = "gateway",
        /// IP addresses of the name servers.
        dns: Field<Vec<String>> = "dns",
    }
}

wire! {
    /// Parameters of the Wi-Fi scan methods.
    ScanQuery {
        /// Name of the interface.
        interface_id: Field<String> = "interfaceId",
    }
}

wire! {
    /// Content of `hub.network.wifi.scan.progress`.
    ScanProgress {
        /// Name of the interface.
        interface_id: Field<String> = "interfaceId",
        /// Status of the scan: `started`, `process`, `finished` or `failed`.
        status: Field<String> = "status",
        /// Networks found so far, with the status `process`.
        networks: Field<Vec<ScannedNetwork>> = "networks",
        /// Reason of a failure.
        error: Field<RpcError> = "error",
    }
}

wire! {
    /// A network found by a Wi-Fi scan.
    ScannedNetwork {
        /// Name of the network.
        ssid: Field<String> = "ssid",
        /// MAC address of the access point.
        bssid: Field<String> = "bssid",
        /// Encryption: `open`, `wep`, `wpa-psk`, `wpa2-psk` and others.
        security: Field<String> = "security",
        /// Signal strength in dBm.
        rssi: Field<Loose<i64>> = "rssi",
    }
}
