//! What the device server knows of one hub, and the locator's list.

use crate::mac::MacAddress;
use crate::serial::Serial;
use crate::wire::{Field, Loose};

wire! {
    /// Hub info of either shape: 13 members for Ezlo firmware, 32 for Vera firmware; only the serial is in both for sure.
    HubRecord {
        /// The hub's serial.
        serial: Loose<Serial> = "PK_Device",
        /// Hardware address.
        mac: Field<MacAddress> = "MacAddress",
        /// `wss://host:port` for Ezlo firmware, a bare host name for Vera firmware; see [`HubRecord::relay`].
        server_relay: Field<String> = "Server_Relay",
        /// Ezlo: 1 = the hub is at the relay now, 0 = it is not.
        nma_controller_status: Field<Loose<i64>> = "NMAControllerStatus",
        /// Ezlo: the controller's uuid (equal to `hub.info.get`'s, inferred).
        nma_uuid: Field<String> = "NMAUuid",
        /// 1 = Ezlo firmware, 0 = Vera firmware.
        linux_firmware: Field<Loose<i64>> = "LinuxFirmware",
        /// User-interface generation, text: "4" for Ezlo, "7" for UI7.
        ui: Field<Loose<i64>> = "UI",
        /// Text; 0 in the samples.
        engine_status: Field<Loose<i64>> = "EngineStatus",
        /// Text; 1 in the samples.
        branding: Field<Loose<i64>> = "FK_Branding",
        /// Text `"0"` or `"1"`.
        has_alarm_panel: Field<Loose<i64>> = "HasAlarmPanel",
        /// Text `"0"` or `"1"`.
        has_wifi: Field<Loose<i64>> = "HasWifi",
        /// Ezlo: push key.
        public_key_android: Field<String> = "public_key_android",
        /// Ezlo: push key.
        public_key_ios: Field<String> = "public_key_ios",
        /// Vera: the address the hub is seen with from outside.
        external_ip: Field<String> = "ExternalIP",
        /// Vera: port of the hub's web page, text.
        accessible_port: Field<Loose<i64>> = "AccessiblePort",
        /// Vera: address on the local network.
        internal_ip: Field<String> = "InternalIP",
        /// Vera: last sign of life, `YYYY-MM-DD HH:MM:SS`.
        alive_date: Field<String> = "AliveDate",
        /// Vera: such as `1.7.5185`.
        firmware_version: Field<String> = "FirmwareVersion",
        /// Vera: the one before.
        prior_firmware_version: Field<String> = "PriorFirmwareVersion",
        /// Vera: when it was upgraded.
        upgrade_date: Field<String> = "UpgradeDate",
        /// Vera: text.
        uptime: Field<String> = "Uptime",
        /// Vera: device server.
        server_device: Field<String> = "Server_Device",
        /// Vera: event server.
        server_event: Field<String> = "Server_Event",
        /// Vera: support server.
        server_support: Field<String> = "Server_Support",
        /// Vera: storage server.
        server_storage: Field<String> = "Server_Storage",
        /// Vera: network the hub is in.
        wifi_ssid: Field<String> = "WifiSsid",
        /// Vera: time zone.
        timezone: Field<String> = "Timezone",
        /// Vera: port of the Luup interface, text `"3480"`.
        local_port: Field<Loose<i64>> = "LocalPort",
        /// Vera: radio region.
        zwave_locale: Field<String> = "ZWaveLocale",
        /// Vera: radio firmware.
        zwave_version: Field<String> = "ZWaveVersion",
        /// Vera: such as `Sercomm G450`.
        platform: Field<String> = "Platform",
        /// Vera: language.
        ui_language: Field<String> = "UILanguage",
        /// Vera: skin.
        ui_skin: Field<String> = "UISkin",
        /// Vera: 0 or 1, a number here.
        using_2g: Field<Loose<i64>> = "Using_2G",
        /// Vera: text.
        distribution_build: Field<String> = "DistributionBuild",
        /// Vera: text.
        access_permissions: Field<String> = "AccessPermissions",
    }
}

/// How a hub is reached from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Relay {
    /// Ezlo firmware: JSON messages over WebSocket; the URL as the service gave it.
    Nma(String),
    /// Vera firmware: the legacy HTTP relay; a bare host name.
    Http(String),
}

impl HubRecord {
    /// Where the hub is reached; `None` when the record does not say.
    ///
    /// A `Server_Relay` with a WebSocket scheme means Ezlo firmware, a bare host name Vera firmware.
    pub fn relay(&self) -> Option<Relay> {
        let server = self.server_relay.as_deref().filter(|server| !server.is_empty())?;
        let is_url = server.starts_with("wss://") || server.starts_with("ws://");
        Some(if is_url { Relay::Nma(server.into()) } else { Relay::Http(server.into()) })
    }

    /// Whether the hub is at the relay now, if the record says. Clients differ in how far they trust it.
    pub fn is_online(&self) -> Option<bool> {
        self.nma_controller_status.get().map(|status| *status.get() == 1)
    }
}

wire! {
    /// The locator's answer: hubs behind the caller's public address. `{}` when there are none.
    LocatorAnswer {
        /// The hubs.
        devices: Field<Vec<LocatedHub>> = "Devices",
    }
}

wire! {
    /// One hub behind the caller's public address. Numbers are numbers here.
    LocatedHub {
        /// The hub's serial; a number here, text in the account's list.
        serial: Loose<Serial> = "PK_Device",
        /// Hardware address.
        mac: Field<MacAddress> = "MacAddress",
        /// Number.
        device_type: Field<Loose<i64>> = "PK_DeviceType",
        /// Number.
        device_sub_type: Field<Loose<i64>> = "PK_DeviceSubType",
        /// Firmware version.
        firmware: Field<String> = "Firmware",
        /// Device server.
        server_device: Field<String> = "Server_Device",
        /// Event server.
        server_event: Field<String> = "Server_Event",
        /// Account server.
        server_account: Field<String> = "Server_Account",
        /// The account that owns the hub; may be absent or null.
        account: Field<Loose<u64>> = "PK_Account",
        /// Address on the local network.
        internal_ip: Field<String> = "InternalIP",
        /// Last sign of life.
        last_alive_reported: Field<String> = "LastAliveReported",
        /// Such as `Sercomm G450`.
        platform: Field<String> = "Platform",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire;

    const EZLO: &str = r#"{"PK_Device":"92000001","MacAddress":"AA:BB:CC:00:00:02","Server_Relay":"wss://nma-server6-ui-cloud.ezlo.com:443","NMAControllerStatus":1,"NMAUuid":"00000000-0000-4000-8000-000000000001","LinuxFirmware":1,"UI":"4","EngineStatus":"0","FK_Branding":"1","HasAlarmPanel":"0","HasWifi":"0","public_key_android":"","public_key_ios":""}"#;

    #[test]
    fn the_ezlo_shape_comes_back_byte_for_byte() {
        let record: HubRecord = wire::from_slice(EZLO.as_bytes()).unwrap();
        assert_eq!(wire::to_value(&record).to_string(), EZLO);
        assert!(record.extra.is_empty());
        assert_eq!(record.relay(), Some(Relay::Nma("wss://nma-server6-ui-cloud.ezlo.com:443".into())));
        assert_eq!(record.is_online(), Some(true));
    }

    #[test]
    fn a_bare_host_is_the_legacy_relay() {
        let text = r#"{"PK_Device":"50000001","Server_Relay":"vera-us-oem-relay31.mios.com","Using_2G":0}"#;
        let record: HubRecord = wire::from_slice(text.as_bytes()).unwrap();
        assert_eq!(record.relay(), Some(Relay::Http("vera-us-oem-relay31.mios.com".into())));
        assert_eq!(record.is_online(), None);
        assert_eq!(wire::to_value(&record).to_string(), text);
    }

    #[test]
    fn the_locator_says_numbers_or_nothing() {
        for text in ["{}", r#"{"Devices":[]}"#, r#"{"Devices":[{"PK_Device":90000001,"PK_Account":null}]}"#] {
            let answer: LocatorAnswer = wire::from_slice(text.as_bytes()).unwrap();
            assert_eq!(wire::to_value(&answer).to_string(), text);
        }
    }
}
