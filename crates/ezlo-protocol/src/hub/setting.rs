//! Settings of the hub and of devices.

use serde_json::Value;

use super::{DeviceId, SettingId};
use crate::wire::Field;

wire! {
    /// A setting of the hub, such as `scale.temperature`.
    HubSetting {
        /// Name of the setting.
        name: Field<String> = "name",
        /// Value.
        value: Field<Value> = "value",
        /// Type of the value.
        value_type: Field<String> = "valueType",
        /// Allowed tokens.
        tokens: Field<Vec<String>> = "enum",
    }
}

wire! {
    /// Result of `hub.settings.list`.
    HubSettingList {
        /// All settings.
        settings: Vec<HubSetting> = "settings",
    }
}

wire! {
    /// Parameters of `hub.setting.value.set`.
    HubSettingSet {
        /// Name of the setting.
        name: String = "name",
        /// New value.
        value: Value = "value",
    }
}

wire! {
    /// A setting of a device.
    DeviceSetting {
        /// Id of the setting.
        id: Field<SettingId> = "_id",
        /// Device of the setting.
        device_id: Field<DeviceId> = "deviceId",
        /// Label, `{text, lang_tag}`.
        label: Field<Value> = "label",
        /// Description, `{text, lang_tag}`.
        description: Field<Value> = "description",
        /// Status: `synced`, `pending` or `failed`.
        status: Field<String> = "status",
        /// `true` if the setting has a setter (default: `true`).
        has_setter: Field<bool> = "hasSetter",
        /// Type of the value.
        value_type: Field<String> = "valueType",
        /// Value.
        value: Field<Value> = "value",
        /// Factory default.
        value_default: Field<Value> = "valueDefault",
        /// Minimum.
        value_min: Field<Value> = "valueMin",
        /// Maximum.
        value_max: Field<Value> = "valueMax",
        /// Allowed tokens.
        tokens: Field<Vec<Value>> = "enum",
        /// Z-Wave parameter, `{zwave: {parameter_number, parameter_size}}`.
        info: Field<Value> = "info",
    }
}

wire! {
    /// Parameters of `hub.device.settings.list`.
    DeviceSettingQuery {
        /// Devices of the requested settings.
        device_ids: Field<Vec<DeviceId>> = "deviceIds",
        /// Requested settings.
        ids: Field<Vec<SettingId>> = "ids",
    }
}

wire! {
    /// Result of `hub.device.settings.list`.
    DeviceSettingList {
        /// Settings.
        settings: Vec<DeviceSetting> = "settings",
    }
}

wire! {
    /// Parameters of `hub.device.setting.value.set` and `hub.device.setting.reset`.
    DeviceSettingSet {
        /// Id of the setting.
        id: SettingId = "_id",
        /// New value.
        value: Field<Value> = "value",
    }
}
