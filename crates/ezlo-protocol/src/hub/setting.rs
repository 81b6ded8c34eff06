//! Settings of the hub and of devices.

use serde_json::Value;

use super::{DeviceId, SettingId};
use crate::wire::Field;

wire! {
    /// A setting of the hub, such as `scale.temperature`.
    HubSetting {
        /// Its name.
        name: Field<String> = "name",
        /// Its value.
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
        /// The settings.
        settings: Vec<HubSetting> = "settings",
    }
}

wire! {
    /// Parameters of `hub.setting.value.set`.
    HubSettingSet {
        /// Which.
        name: String = "name",
        /// Its new value.
        value: Value = "value",
    }
}

wire! {
    /// A setting of a device.
    DeviceSetting {
        /// Its id.
        id: Field<SettingId> = "_id",
        /// Its device.
        device_id: Field<DeviceId> = "deviceId",
        /// `{text, lang_tag}`.
        label: Field<Value> = "label",
        /// `{text, lang_tag}`.
        description: Field<Value> = "description",
        /// `synced`, `pending`, `failed`.
        status: Field<String> = "status",
        /// Whether it can be set; yes when absent.
        has_setter: Field<bool> = "hasSetter",
        /// Type of the value.
        value_type: Field<String> = "valueType",
        /// The value.
        value: Field<Value> = "value",
        /// The factory's value.
        value_default: Field<Value> = "valueDefault",
        /// Least value.
        value_min: Field<Value> = "valueMin",
        /// Greatest value.
        value_max: Field<Value> = "valueMax",
        /// Allowed tokens.
        tokens: Field<Vec<Value>> = "enum",
        /// `{zwave: {parameter_number, parameter_size}}`.
        info: Field<Value> = "info",
    }
}

wire! {
    /// Parameters of `hub.device.settings.list`.
    DeviceSettingQuery {
        /// Only these devices'.
        device_ids: Field<Vec<DeviceId>> = "deviceIds",
        /// Only these.
        ids: Field<Vec<SettingId>> = "ids",
    }
}

wire! {
    /// Result of `hub.device.settings.list`.
    DeviceSettingList {
        /// The settings.
        settings: Vec<DeviceSetting> = "settings",
    }
}

wire! {
    /// Parameters of `hub.device.setting.value.set` and `hub.device.setting.reset`.
    DeviceSettingSet {
        /// Which.
        id: SettingId = "_id",
        /// Its new value.
        value: Field<Value> = "value",
    }
}
