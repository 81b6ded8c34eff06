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
    /// Adds the settings of a template with their default values, and that which rediscovers a Z-Wave device.
    pub(crate) fn add_device_settings(&mut self, device: &DeviceId, template: Option<&Template>) {
        for spec in template.iter().flat_map(|template| template.settings) {
            let id = SettingId::from(self.new_id());
            self.device_settings.insert(id.clone(), describe(spec, id, device));
        }
        let is_zwave = self.devices.get(device).is_some_and(|device| device.gateway_id.get() == Some(&self.gateway));
        if is_zwave && self.family.has_zwave {
            let id = SettingId::from(self.derived_id(&format!("rediscovery of {device}")));
            self.device_settings.insert(id.clone(), rediscovery(id, device));
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
        let is_action = self.device_settings.get(&request.id).is_some_and(is_action);
        // The value of an action can be omitted (vendor).
        let value = request.value.into_option().or_else(|| is_action.then(|| json!("")));
        self.write_setting(&request.id, value.ok_or_else(|| missing("value"))?, context)
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
        if is_action(setting) {
            context.broadcast("hub.device.setting.updated", setting);
            if let Some(device) = setting.device_id.get().cloned() {
                self.rediscover(&device, context);
            }
            return done();
        }
        setting.value = value.into();
        let device = setting.device_id.get().and_then(|device| self.devices.get_key_value(device));
        let asleep = device.is_some_and(|(_, device)| device.battery_powered.get() == Some(&true));
        let held = device.is_some_and(|(id, _)| self.traits.get(id).is_some_and(|traits| traits.asleep));
        setting.status = if asleep || held { "pending" } else { "synced" }.into();
        context.broadcast("hub.device.setting.updated", setting);
        // A device that a test put to sleep wakes up when the test says so.
        if asleep && !held {
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

/// Returns whether a setting is an action. Setting it runs the action.
fn is_action(setting: &DeviceSetting) -> bool {
    setting.value_type.as_deref() == Some("action")
}

/// Returns the setting that rediscovers a device (public client, vendor's page of settings).
fn rediscovery(id: SettingId, device: &DeviceId) -> DeviceSetting {
    let text = |text: &str, tag: &str| json!({"text": text, "lang_tag": tag}).into();
    DeviceSetting {
        id: id.into(),
        device_id: device.clone().into(),
        label: text("Rediscover device", "rediscover_device"),
        description: text("", ""),
        status: "synced".into(),
        has_setter: true.into(),
        value_type: "action".into(),
        value: json!("").into(),
        ..DeviceSetting::default()
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
        info: json!({"zwave.parameter_number": spec.parameter, "zwave.parameter_size": spec.size}).into(),
        ..DeviceSetting::default()
    }
}
