//! Gateways: the radio of the hub, and those of plugins.

use ezlo_protocol::hub::gateway::{Gateway, GatewayList};
use ezlo_protocol::hub::{Empty, GatewayId};
use serde_json::json;

use crate::answer::Answer;
use crate::context::Context;
use crate::hub::Hub;
use crate::state::plugin_gateway::PluginGateway;
use crate::world_file::GatewayFile;

/// The plugin that owns virtual devices (users).
const VIRTUAL: &str = "test_plugin";

impl Hub {
    pub(crate) fn gateways_list(&self, _: Empty, _: &Context<'_>) -> Answer<GatewayList> {
        let plugins = self.gateways.iter().map(|(id, gateway)| gateway.record(id));
        let gateways = std::iter::once(self.gateway_record(true)).chain(plugins).collect();
        Ok(GatewayList { gateways, ..GatewayList::default() })
    }

    /// Adds the gateways of a world file. Their ids depend on their names only.
    pub(crate) fn add_gateways(&mut self, files: &[GatewayFile]) {
        for file in files {
            let label = file.label.clone().unwrap_or_else(|| file.name.clone());
            let plugin = file.plugin.clone().unwrap_or_else(|| file.name.clone());
            let id = GatewayId::from(self.derived_id(&format!("gateway {}", file.name)));
            self.gateways.insert(id, PluginGateway { name: file.name.clone(), label, plugin });
        }
    }

    /// Returns the gateway with this name; that of the radio for an unknown name.
    pub(crate) fn gateway_named(&self, name: &str) -> GatewayId {
        let named = self.gateways.iter().find(|(_, gateway)| gateway.name == name);
        named.map_or_else(|| self.gateway.clone(), |(id, _)| id.clone())
    }

    /// Returns the gateway of virtual devices. It is added with the first of them.
    pub(crate) fn virtual_gateway(&mut self, context: &mut Context<'_>) -> GatewayId {
        if !self.family.has_zwave {
            return self.gateway.clone();
        }
        if self.gateways.values().all(|gateway| gateway.name != VIRTUAL) {
            let file = GatewayFile { name: VIRTUAL.into(), label: Some("Virtual devices".into()), plugin: None };
            self.add_gateways(&[file]);
            let id = self.gateway_named(VIRTUAL);
            context.broadcast("hub.gateway.added", &self.gateways[&id].record(&id));
        }
        self.gateway_named(VIRTUAL)
    }

    /// Returns the gateway of the radio. EzloPi has no radio for devices, and lists commands as plain members (EzloPi firmware
    /// source).
    pub(crate) fn gateway_record(&self, ready: bool) -> Gateway {
        let (name, label) = if self.family.has_zwave { ("zwave", "Z-Wave") } else { (VIRTUAL, "virtual gateway") };
        let mut gateway = Gateway {
            id: self.gateway.clone().into(),
            label: label.into(),
            name: name.into(),
            plugin_id: name.into(),
            reason: "".into(),
            ready: ready.into(),
            status: if ready { "ready" } else { "starting" }.into(),
            set_item_value_command: format!("HUB:{name}/scripts/set_item_value").into(),
            ..Gateway::default()
        };
        if self.family.flat_gateways {
            gateway.settings = json!(0).into();
            gateway.extra.insert("addDeviceCommand", format!("HUB:{name}/scripts/add_device").into());
            gateway.extra.insert("removeDeviceCommand", format!("HUB:{name}/scripts/remove_device").into());
            gateway.extra.insert("manualDeviceAdding", "no".into());
        } else {
            gateway.settings = json!([]).into();
            gateway.operations = json!({
                "deviceAdding": "ZWAVE:/start_include.template",
                "deviceRemoving": "ZWAVE:/start_exclude.template",
                "deviceSettings": [],
            })
            .into();
        }
        gateway
    }
}
