//! Settings of devices: parameters that the device itself stores. A battery-powered device receives them when it wakes up.

use ezlo_protocol::hub::setting::{DeviceSetting, DeviceSettingList, DeviceSettingQuery, DeviceSettingSet};
use ezlo_protocol::hub::{DeviceId, Empty, SettingId};
use ezlo_protocol::rpc::RpcError;
use serde_json::{Value, json};

use crate::answer::{Answer, done, missing, not_found};
use crate::context::{Context, Timer};
use crate::hub::Hub;
use crate::templates::{SettingTemplate, Template};

/// Time until a battery-powered device wakes up, in milliseconds (inferred: an hour is a usual wake-up interval).
const WAKE_UP_MS: u64 = 3_600_000;

impl Hub {
    /// Adds the settings of a template with their default values.
    pub(crate) fn add_device_settings(&mut self, device: &DeviceId, template: &Template) {
        for spec in template.settings {
            let id = SettingId::from(self.new_id());
            self.device_settings.insert(id.clone(), describe(spec, id, device));
        }
    }

    /// Removes the settings of a device.
    pub(crate) fn forget_settings(&mut self, device: &DeviceId) {
        self.device_settings.retain(|_, setting| setting.device_id.get() != Some(device));
    }

    pub(crate) fn device_settings_list(&self, query: DeviceSettingQuery, _: &Context<'_>) -> Answer<DeviceSettingList> {
        let wanted = |setting: &&DeviceSetting| {
            let device =
                query.device_ids.get().is_none_or(|ids| setting.device_id.get().is_some_and(|id| ids.contains(id)));
            device && query.ids.get().is_none_or(|ids| setting.id.get().is_some_and(|id| ids.contains(id)))
        };
        let settings = self.device_settings.values().filter(wanted).cloned().collect();
        Ok(DeviceSettingList { settings, ..DeviceSettingList::default() })
    }

    pub(crate) fn device_setting_set(&mut self, request: DeviceSettingSet, context: &mut Context<'_>) -> Answer<Empty> {
        let value = request.value.into_option().ok_or_else(|| missing("value"))?;
        self.write_setting(&request.id, value, context)
    }

    pub(crate) fn device_setting_reset(
        &mut self,
        request: DeviceSettingSet,
        context: &mut Context<'_>,
    ) -> Answer<Empty> {
        let setting = self.device_settings.get(&request.id).ok_or_else(|| not_found("generic.object.not.found"))?;
        let default = setting.value_default.get().cloned().unwrap_or(Value::Null);
        self.write_setting(&request.id, default, context)
    }

    fn write_setting(&mut self, id: &SettingId, value: Value, context: &mut Context<'_>) -> Answer<Empty> {
        let setting = self.device_settings.get_mut(id).ok_or_else(|| not_found("generic.object.not.found"))?;
        if !takes(setting, &value) {
            return Err(RpcError::known("rpc.params.invalid"));
        }
        setting.value = value.into();
        let device = setting.device_id.get().and_then(|device| self.devices.get(device));
        let asleep = device.is_some_and(|device| device.battery_powered.get() == Some(&true));
        setting.status = if asleep { "pending" } else { "synced" }.into();
        context.broadcast("hub.device.setting.updated", setting);
        if asleep {
            context.later(WAKE_UP_MS, Timer::SettingSynced(id.clone()));
        }
        done()
    }

    /// Marks a pending setting as synced: the device has received it.
    pub(crate) fn setting_synced(&mut self, id: &SettingId, context: &mut Context<'_>) {
        if let Some(setting) = self.device_settings.get_mut(id)
            && setting.status.as_deref() == Some("pending")
        {
            setting.status = "synced".into();
            context.broadcast("hub.device.setting.updated", setting);
        }
    }
}

/// Returns whether a setting can have this value.
fn takes(setting: &DeviceSetting, value: &Value) -> bool {
    let bound = |bound: &ezlo_protocol::wire::Field<Value>| bound.get().and_then(Value::as_i64);
    match setting.value_type.as_deref() {
        Some("int") => value.as_i64().is_some_and(|number| {
            bound(&setting.value_min).is_none_or(|least| number >= least)
                && bound(&setting.value_max).is_none_or(|most| number <= most)
        }),
        Some("bool") => value.is_boolean(),
        Some("token") => setting.tokens.get().is_some_and(|tokens| tokens.contains(value)),
        _ => !value.is_null(),
    }
}

fn describe(spec: &SettingTemplate, id: SettingId, device: &DeviceId) -> DeviceSetting {
    let value: Value = serde_json::from_str(spec.default).unwrap_or(Value::Null);
    let tag = format!("parameter_{}", spec.parameter);
    DeviceSetting {
        id: id.into(),
        device_id: device.clone().into(),
        label: json!({"text": spec.label, "lang_tag": tag}).into(),
        description: json!({"text": spec.label, "lang_tag": format!("{tag}_description")}).into(),
        status: "synced".into(),
        has_setter: true.into(),
        value_type: spec.kind.into(),
        value: value.clone().into(),
        value_default: value.into(),
        value_min: spec.range.map(|(least, _)| json!(least)).into(),
        value_max: spec.range.map(|(_, most)| json!(most)).into(),
        tokens: (!spec.tokens.is_empty())
            .then(|| spec.tokens.iter().map(|token| json!(token)).collect::<Vec<_>>())
            .into(),
        info: json!({"zwave": {"parameter_number": spec.parameter, "parameter_size": spec.size}}).into(),
        ..DeviceSetting::default()
    }
}
