//! The hub record of the device server, and the response of the locator.

use crate::mac::MacText;
use crate::serial::Serial;
use crate::wire::{Entries, Field, Loose};

wire! {
    /// The record of a hub, with 13 members for Ezlo firmware or 32 members for Vera firmware.
    ///
    /// Only the serial is certain to be in both shapes.
    HubRecord {
        /// Serial of the hub.
        serial: Loose<Serial> = "PK_Device",
        /// MAC address, as the server wrote it.
        mac: Field<MacText> = "MacAddress",
        /// Relay: `wss://host:port` for Ezlo firmware, a host name for Vera firmware. [`HubRecord::relay`] distinguishes them.
        server_relay: Field<String> = "Server_Relay",
        /// Ezlo: 1 = the hub is connected to the relay, 0 = it is not.
        nma_controller_status: Field<Loose<i64>> = "NMAControllerStatus",
        /// Ezlo: UUID of the hub, the same as in `hub.info.get` (inferred).
        nma_uuid: Field<String> = "NMAUuid",
        /// Firmware: 1 = Ezlo, 0 = Vera.
        linux_firmware: Field<Loose<i64>> = "LinuxFirmware",
        /// Generation of the user interface, text: `"4"` for Ezlo, `"7"` for UI7.
        ui: Field<Loose<i64>> = "UI",
        /// `EngineStatus`, text; 0 in the samples.
        engine_status: Field<Loose<i64>> = "EngineStatus",
        /// Branding, text; 1 in the samples.
        branding: Field<Loose<i64>> = "FK_Branding",
        /// Presence of an alarm panel: text `"0"` or `"1"`.
        has_alarm_panel: Field<Loose<i64>> = "HasAlarmPanel",
        /// Presence of Wi-Fi: text `"0"` or `"1"`.
        has_wifi: Field<Loose<i64>> = "HasWifi",
        /// Ezlo: key for push messages to Android.
        public_key_android: Field<String> = "public_key_android",
        /// Ezlo: key for push messages to iOS.
        public_key_ios: Field<String> = "public_key_ios",
        /// Vera: public IP address of the hub.
        external_ip: Field<String> = "ExternalIP",
        /// Vera: port of the hub's web interface, text.
        accessible_port: Field<Loose<i64>> = "AccessiblePort",
        /// Vera: IP address on the local network.
        internal_ip: Field<String> = "InternalIP",
        /// Vera: time of the last contact, `YYYY-MM-DD HH:MM:SS`.
        alive_date: Field<String> = "AliveDate",
        /// Vera: firmware version, such as `1.7.5185`.
        firmware_version: Field<String> = "FirmwareVersion",
        /// Vera: previous firmware version.
        prior_firmware_version: Field<String> = "PriorFirmwareVersion",
        /// Vera: time of the last upgrade.
        upgrade_date: Field<String> = "UpgradeDate",
        /// Vera: uptime, text.
        uptime: Field<String> = "Uptime",
        /// Vera: host name of the device server.
        server_device: Field<String> = "Server_Device",
        /// Vera: host name of the event server.
        server_event: Field<String> = "Server_Event",
        /// Vera: host name of the support server.
        server_support: Field<String> = "Server_Support",
        /// Vera: host name of the storage server.
        server_storage: Field<String> = "Server_Storage",
        /// Vera: name of the Wi-Fi network of the hub.
        wifi_ssid: Field<String> = "WifiSsid",
        /// Vera: time zone.
        timezone: Field<String> = "Timezone",
        /// Vera: port of the Luup interface, text `"3480"`.
        local_port: Field<Loose<i64>> = "LocalPort",
        /// Vera: Z-Wave region.
        zwave_locale: Field<String> = "ZWaveLocale",
        /// Vera: Z-Wave firmware version.
        zwave_version: Field<String> = "ZWaveVersion",
        /// Vera: hardware platform, such as `Sercomm G450`.
        platform: Field<String> = "Platform",
        /// Vera: language of the user interface.
        ui_language: Field<String> = "UILanguage",
        /// Vera: skin of the user interface.
        ui_skin: Field<String> = "UISkin",
        /// Vera: `Using_2G`, 0 or 1; a number here.
        using_2g: Field<Loose<i64>> = "Using_2G",
        /// Vera: distribution build, text.
        distribution_build: Field<String> = "DistributionBuild",
        /// Vera: access permissions, text.
        access_permissions: Field<String> = "AccessPermissions",
    }
}

/// The relay of a hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Relay {
    /// The NMA relay of Ezlo firmware, with JSON messages over WebSocket. Holds the URL from the record.
    Nma(String),
    /// The legacy HTTP relay of Vera firmware. Holds a host name.
    Http(String),
}

impl HubRecord {
    /// Returns the relay of the hub, or `None` if the record does not name one.
    ///
    /// A `Server_Relay` with a WebSocket scheme indicates Ezlo firmware. A host name indicates Vera firmware.
    pub fn relay(&self) -> Option<Relay> {
        let server = self.server_relay.as_deref().filter(|server| !server.is_empty())?;
        let is_url = server.starts_with("wss://") || server.starts_with("ws://");
        Some(if is_url { Relay::Nma(server.into()) } else { Relay::Http(server.into()) })
    }

    /// Returns `true` if the record states that the hub is connected to the relay, or `None` if it does not state it.
    ///
    /// Public clients differ in their trust in this member.
    pub fn is_online(&self) -> Option<bool> {
        self.nma_controller_status.get().map(|status| *status.get() == 1)
    }
}

wire! {
    /// The response of the locator: the hubs behind the caller's public address. It is `{}` if there are none.
    LocatorAnswer {
        /// Hubs behind the public address. An entry that cannot be decoded is preserved.
        devices: Field<Entries<LocatedHub>> = "Devices",
    }
}

wire! {
    /// A hub behind the caller's public address. Numbers are JSON numbers in this document.
    LocatedHub {
        /// Serial of the hub; a number here, text in the list of the account.
        serial: Loose<Serial> = "PK_Device",
        /// MAC address, as the server wrote it.
        mac: Field<MacText> = "MacAddress",
        /// Device type, a number.
        device_type: Field<Loose<i64>> = "PK_DeviceType",
        /// Device subtype, a number.
        device_sub_type: Field<Loose<i64>> = "PK_DeviceSubType",
        /// Firmware version.
        firmware: Field<String> = "Firmware",
        /// Host name of the device server.
        server_device: Field<String> = "Server_Device",
        /// Host name of the event server.
        server_event: Field<String> = "Server_Event",
        /// Host name of the account server.
        server_account: Field<String> = "Server_Account",
        /// Account that owns the hub; can be absent or `null`.
        account: Field<Loose<u64>> = "PK_Account",
        /// IP address on the local network.
        internal_ip: Field<String> = "InternalIP",
        /// Time of the last contact.
        last_alive_reported: Field<String> = "LastAliveReported",
        /// Hardware platform, such as `Sercomm G450`.
        platform: Field<String> = "Platform",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire;

    const EZLO: &str = r#"{"PK_Device":"92000001","MacAddress":"AA:BB:CC:00:00:02","Server_Relay":"wss://nma-server6-ui-cloud.ezlo.com:443","NMAControllerStatus":1,"NMAUuid":"00000000-0000-4000-8000-000000000001","LinuxFirmware":1,"UI":"4","EngineStatus":"0","FK_Branding":"1","HasAlarmPanel":"0","HasWifi":"0","public_key_android":"","public_key_ios":""}"#;

    #[test]
    fn an_ezlo_record_round_trips_byte_for_byte() {
        let record: HubRecord = wire::from_slice(EZLO.as_bytes()).unwrap();
        assert_eq!(wire::to_value(&record).to_string(), EZLO);
        assert!(record.extra.is_empty());
        assert_eq!(record.relay(), Some(Relay::Nma("wss://nma-server6-ui-cloud.ezlo.com:443".into())));
        assert_eq!(record.is_online(), Some(true));
    }

    #[test]
    fn a_host_name_is_the_legacy_relay() {
        let text = r#"{"PK_Device":"50000001","Server_Relay":"vera-us-oem-relay31.mios.com","Using_2G":0}"#;
        let record: HubRecord = wire::from_slice(text.as_bytes()).unwrap();
        assert_eq!(record.relay(), Some(Relay::Http("vera-us-oem-relay31.mios.com".into())));
        assert_eq!(record.is_online(), None);
        assert_eq!(wire::to_value(&record).to_string(), text);
    }

    #[test]
    fn locator_responses_with_numbers_or_without_members_round_trip() {
        for text in ["{}", r#"{"Devices":[]}"#, r#"{"Devices":[{"PK_Device":90000001,"PK_Account":null}]}"#] {
            let answer: LocatorAnswer = wire::from_slice(text.as_bytes()).unwrap();
            assert_eq!(wire::to_value(&answer).to_string(), text);
        }
    }
}
