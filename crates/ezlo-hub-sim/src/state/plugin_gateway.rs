//! Gateways of plugins.

use ezlo_protocol::hub::GatewayId;
use ezlo_protocol::hub::gateway::Gateway;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// A gateway of a plugin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PluginGateway {
    pub(crate) name: String,
    pub(crate) label: String,
    /// Id of the plugin.
    pub(crate) plugin: String,
}

impl PluginGateway {
    /// Returns the gateway as hubs report it. The commands are those of a public plugin.
    pub(crate) fn record(&self, id: &GatewayId) -> Gateway {
        let mut gateway = Gateway {
            id: id.clone().into(),
            label: self.label.as_str().into(),
            name: self.name.as_str().into(),
            plugin_id: self.plugin.as_str().into(),
            reason: "".into(),
            ready: true.into(),
            status: "ready".into(),
            settings: json!([]).into(),
            operations: json!({"deviceAdding": "", "deviceRemoving": "", "deviceSettings": []}).into(),
            set_item_value_command: format!("HUB:{}/scripts/set_item_value", self.plugin).into(),
            ..Gateway::default()
        };
        gateway.extra.insert("forceRemoveDeviceCommand", format!("HUB:{}/scripts/force_remove", self.plugin).into());
        gateway.extra.insert("setItemValueResponsePolicy", "".into());
        gateway
    }
}
