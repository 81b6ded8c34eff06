//! Parameters and results of methods of which only the name is public. The shapes are inferred from methods of the same area.

use serde_json::Value;

use super::{DeviceId, GatewayId, ItemId, RoomId, SettingId};
use crate::secret::Passkey;
use crate::wire::Field;

wire! {
    /// Result of `hub.version.get`.
    HubVersion {
        /// Firmware version.
        version: Field<String> = "version",
    }
}

wire! {
    /// Result of `hub.features.list`. One public firmware source has the shape `{feature:{devices:[{_id}]}}`.
    FeatureList {
        /// Features by name.
        feature: Field<Value> = "feature",
    }
}

wire! {
    /// Parameters of `hub.feature.status.set`.
    FeatureStatus {
        /// Name of the feature.
        name: Field<String> = "name",
        /// `true` if the feature is on.
        enabled: Field<bool> = "enabled",
    }
}

wire! {
    /// Result of `hub.custom.nodes.list`, which the vendor's app asks for on connecting.
    CustomNodes {
        /// Nodes.
        nodes: Field<Vec<Value>> = "nodes",
    }
}

wire! {
    /// Parameters of `hub.devices.service.notifications.set`.
    DeviceNotifications {
        /// Devices; all devices if absent.
        device_ids: Field<Vec<DeviceId>> = "deviceIds",
        /// `true` if changes are forwarded to other cloud services.
        service_notification: Field<bool> = "serviceNotification",
    }
}

wire! {
    /// Parameters of `hub.device.firmware.update`.
    DeviceFirmwareUpdateStart {
        /// Id of the device.
        device_id: DeviceId = "deviceId",
        /// Id of the firmware part.
        firmware_id: Field<String> = "firmware_id",
    }
}

wire! {
    /// Parameters of `hub.item.value.percent.apply`.
    PercentApply {
        /// Id of the item.
        id: ItemId = "_id",
        /// Share of the range between minimum and maximum, 0 to 100.
        percent: Field<f64> = "percent",
    }
}

wire! {
    /// Parameters of `hub.item.dictionary.clear`.
    DictionaryClear {
        /// Id of the item.
        id: ItemId = "_id",
    }
}

wire! {
    /// Parameters of `hub.device.setting.dictionary.value.set`.
    SettingDictionarySet {
        /// Id of the setting.
        id: SettingId = "_id",
        /// Key of the element.
        key: Field<String> = "key",
        /// Value of the element.
        value: Field<Value> = "value",
    }
}

wire! {
    /// Parameters of `hub.room.image.set` and `hub.room.view.set`.
    RoomAppearance {
        /// Id of the room.
        id: RoomId = "_id",
        /// Id of an image.
        image_id: Field<String> = "imageId",
        /// View of apps.
        view: Field<Value> = "view",
    }
}

wire! {
    /// Parameters of `hub.gateway.settings.list`.
    GatewayRef {
        /// Id of the gateway.
        id: GatewayId = "_id",
    }
}

wire! {
    /// Result of `hub.gateway.settings.list`.
    GatewaySettings {
        /// Settings.
        settings: Field<Vec<Value>> = "settings",
    }
}

wire! {
    /// Parameters of `hub.gateway.setting.value.set`.
    GatewaySettingSet {
        /// Id of the setting.
        id: SettingId = "_id",
        /// New value.
        value: Field<Value> = "value",
    }
}

wire! {
    /// Parameters of `hub.network.enabled.set`.
    InterfaceEnabled {
        /// Id of the interface, such as `eth0`.
        id: Field<String> = "_id",
        /// `on`, `off` or `auto`.
        enabled: Field<String> = "enabled",
    }
}

wire! {
    /// Parameters of `hub.network.wifi.try_connect`.
    WifiTry {
        /// Name of the network.
        ssid: Field<String> = "ssid",
        /// Key of the network.
        key: Field<Passkey> = "key",
    }
}

wire! {
    /// Parameters of `hub.description.set` and `hub.provision_info.set`.
    HubDescription {
        /// Text for users.
        description: Field<String> = "description",
    }
}
