//! Methods of which only the name is public. Parameters and effects are inferred from methods of the same area.

use ezlo_protocol::hub::device::{DeviceFirmwareProgress, DeviceUpdate};
use ezlo_protocol::hub::unpublished::{
    CustomNodes, DeviceFirmwareUpdateStart, DeviceNotifications, FeatureList, FeatureStatus, GatewayRef,
    GatewaySettingSet, GatewaySettings, HubDescription, HubVersion, InterfaceEnabled, PercentApply, RoomAppearance,
    SettingDictionarySet, WifiTry,
};
use ezlo_protocol::hub::{DeviceId, Empty};
use ezlo_protocol::rpc::RpcError;
use serde_json::{Map, Value, json};

use crate::answer::{Answer, done, missing, not_found};
use crate::context::Context;
use crate::hub::Hub;
use crate::state::newer::check_size;

/// Maximum number of features.
const MAX_FEATURES: usize = 100;
/// Maximum length of a text in characters.
const MAX_TEXT: usize = 256;

impl Hub {
    pub(crate) fn version_get(&self, _: Empty, _: &Context<'_>) -> Answer<HubVersion> {
        Ok(HubVersion { version: self.firmware.version.as_str().into(), ..HubVersion::default() })
    }

    /// Returns the devices, and the features that clients have set.
    pub(crate) fn features_list(&self, _: Empty, _: &Context<'_>) -> Answer<FeatureList> {
        let devices: Vec<Value> = self.devices.keys().map(|id| json!({"_id": id})).collect();
        let mut feature = Map::from_iter([("devices".to_owned(), devices.into())]);
        feature.extend(self.newer.features.iter().map(|(name, on)| (name.clone(), json!({"enabled": on}))));
        Ok(FeatureList { feature: Value::from(feature).into(), ..FeatureList::default() })
    }

    pub(crate) fn feature_status_set(&mut self, request: FeatureStatus, _: &mut Context<'_>) -> Answer<Empty> {
        let name = text(request.name.as_deref(), "name")?;
        let enabled = *request.enabled.get().ok_or_else(|| missing("enabled"))?;
        if !self.newer.features.contains_key(&name) && self.newer.features.len() >= MAX_FEATURES {
            return Err(RpcError::known("rpc.params.invalid"));
        }
        self.newer.features.insert(name, enabled);
        done()
    }

    pub(crate) fn custom_nodes_list(&self, _: Empty, _: &Context<'_>) -> Answer<CustomNodes> {
        Ok(CustomNodes { nodes: Vec::new().into(), ..CustomNodes::default() })
    }

    pub(crate) fn device_notifications_set(
        &mut self,
        request: DeviceNotifications,
        context: &mut Context<'_>,
    ) -> Answer<Empty> {
        let enabled = *request.service_notification.get().ok_or_else(|| missing("serviceNotification"))?;
        let devices: Vec<DeviceId> = match request.device_ids.get() {
            Some(devices) => devices.clone(),
            None => self.devices.keys().cloned().collect(),
        };
        if devices.iter().any(|device| !self.devices.contains_key(device)) {
            return Err(not_found("ezlo.device.notfound"));
        }
        for id in devices {
            if let Some(device) = self.devices.get_mut(&id) {
                device.service_notification = enabled.into();
            }
            let update = DeviceUpdate { id, service_notification: enabled.into(), ..DeviceUpdate::default() };
            context.broadcast("hub.device.updated", &update);
        }
        done()
    }

    /// Updates the firmware of a device at once.
    pub(crate) fn device_firmware_update(
        &mut self,
        request: DeviceFirmwareUpdateStart,
        context: &mut Context<'_>,
    ) -> Answer<Empty> {
        if !self.devices.contains_key(&request.device_id) {
            return Err(not_found("ezlo.device.notfound"));
        }
        if !self.answers(&request.device_id) {
            return Err(RpcError::known("ezlo.gateway.send.error"));
        }
        for (progress, status) in [(0, "in_progress"), (100, "finished")] {
            let mut content = DeviceFirmwareProgress::default();
            content.extra.insert("device_id", json!(request.device_id));
            content.extra.insert("firmware_id", json!(request.firmware_id.as_deref().unwrap_or("0")));
            content.status = status.into();
            content.extra.insert("progress", progress.into());
            context.broadcast("hub.device.firmware.update.progress", &content);
        }
        done()
    }

    /// Sets an item to a share of its range.
    pub(crate) fn percent_apply(&mut self, request: PercentApply, context: &mut Context<'_>) -> Answer<Empty> {
        let percent = *request.percent.get().ok_or_else(|| missing("percent"))?;
        let item = self.items.get(&request.id).ok_or_else(|| not_found("generic.object.not.found"))?;
        let (Some(least), Some(most), 0.0..=100.0) = (item.minimum(), item.maximum(), percent) else {
            return Err(RpcError::known("rpc.params.invalid"));
        };
        let level = least + (most - least) * percent / 100.0;
        let is_whole = item.value.get().is_some_and(|value| value.is_i64() || value.is_u64());
        #[expect(clippy::cast_possible_truncation, reason = "the range of an item is that of its values")]
        let value = if is_whole { json!(level.round() as i64) } else { json!(level) };
        let value = self.accepted(&request.id, value, None)?;
        self.set_value(&request.id, value, context);
        done()
    }

    /// Sets an element of a setting. No simulated device has a setting with elements.
    pub(crate) fn setting_dictionary_set(
        &mut self,
        request: SettingDictionarySet,
        context: &mut Context<'_>,
    ) -> Answer<Empty> {
        let key = text(request.key.as_deref(), "key")?;
        let element = request.value.into_option().ok_or_else(|| missing("value"))?;
        check_size(&element)?;
        let setting = self.device_settings.get_mut(&request.id).ok_or_else(|| not_found("generic.object.not.found"))?;
        let Some(elements) = setting.value.get_mut().and_then(Value::as_object_mut) else {
            return Err(RpcError::known("rpc.params.invalid"));
        };
        elements.insert(key, element);
        context.broadcast("hub.device.setting.updated", setting);
        done()
    }

    pub(crate) fn room_appearance_set(&mut self, request: RoomAppearance, _: &mut Context<'_>) -> Answer<Empty> {
        check_size(&request)?;
        let room = self.rooms.get_mut(&request.id).ok_or_else(|| not_found("nma.room.notfound"))?;
        if request.image_id.is_absent() && request.view.is_absent() {
            return Err(missing("imageId"));
        }
        if let Some(image) = request.image_id.into_option() {
            room.extra.insert("imageId", image.into());
        }
        if let Some(view) = request.view.into_option() {
            room.extra.insert("view", view);
        }
        done()
    }

    pub(crate) fn gateway_settings_list(&self, request: GatewayRef, _: &Context<'_>) -> Answer<GatewaySettings> {
        if request.id != self.gateway && !self.gateways.contains_key(&request.id) {
            return Err(not_found("generic.object.not.found"));
        }
        Ok(GatewaySettings { settings: Vec::new().into(), ..GatewaySettings::default() })
    }

    /// Refuses every setting: no simulated gateway has settings.
    pub(crate) fn gateway_setting_set(&mut self, request: GatewaySettingSet, _: &mut Context<'_>) -> Answer<Empty> {
        request.value.get().ok_or_else(|| missing("value"))?;
        Err(not_found("generic.object.not.found"))
    }

    pub(crate) fn interface_enabled_set(
        &mut self,
        request: InterfaceEnabled,
        context: &mut Context<'_>,
    ) -> Answer<Empty> {
        let id = text(request.id.as_deref(), "_id")?;
        let enabled = text(request.enabled.as_deref(), "enabled")?;
        if !matches!(id.as_str(), "eth0" | "wlan0") || !matches!(enabled.as_str(), "on" | "off" | "auto") {
            return Err(RpcError::known("rpc.params.invalid"));
        }
        self.newer.interfaces.insert(id, enabled);
        self.broadcast_network(context);
        done()
    }

    /// Checks the name and the key of a network in range, without joining it.
    pub(crate) fn wifi_try_connect(&mut self, request: WifiTry, context: &mut Context<'_>) -> Answer<Empty> {
        let ssid = text(request.ssid.as_deref(), "ssid")?;
        let network = context.networks.iter().find(|network| network.ssid == ssid);
        let has_key = |network: &&crate::world_file::WifiFile| {
            network.passkey.as_ref().is_none_or(|passkey| request.key.get() == Some(passkey))
        };
        match network.filter(has_key) {
            Some(_) => done(),
            None => Err(RpcError::known("network.connection.failed")),
        }
    }

    /// Has no effect: a simulated hub that reaches the relay is registered there.
    pub(crate) fn nma_register_repeat(&mut self, _: Empty, _: &mut Context<'_>) -> Answer<Empty> {
        done()
    }

    pub(crate) fn description_set(&mut self, request: HubDescription, context: &mut Context<'_>) -> Answer<Empty> {
        let description = text(request.description.as_deref(), "description")?;
        context.broadcast("hub.info.changed", &json!({"description": description}));
        self.newer.description = Some(description);
        done()
    }
}

fn text(text: Option<&str>, member: &str) -> Answer<String> {
    let text = text.ok_or_else(|| missing(member))?;
    if text.is_empty() || text.chars().count() > MAX_TEXT {
        return Err(RpcError::known("rpc.params.invalid"));
    }
    Ok(text.to_owned())
}
