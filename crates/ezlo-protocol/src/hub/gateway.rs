//! Gateways, and the plugin scripts behind them: above all Z-Wave inclusion and exclusion.

use serde_json::Value;

use super::GatewayId;
use crate::rpc::RpcError;
use crate::wire::{Extra, Field, Loose};

/// Starts a Z-Wave inclusion.
pub const START_INCLUDE: &str = "HUB:zwave/scripts/start_include";
/// Ends a Z-Wave inclusion (the path is inferred from the Lua module's name).
pub const STOP_INCLUDE: &str = "HUB:zwave/scripts/stop_include";
/// Starts a Z-Wave exclusion.
pub const START_EXCLUDE: &str = "HUB:zwave/scripts/start_exclude";
/// Ends a Z-Wave exclusion (the path is inferred from the Lua module's name).
pub const STOP_EXCLUDE: &str = "HUB:zwave/scripts/stop_exclude";

wire! {
    /// A gateway.
    Gateway {
        /// Its id.
        id: Field<GatewayId> = "_id",
        /// Label.
        label: Field<String> = "label",
        /// Name.
        name: Field<String> = "name",
        /// The plugin behind it.
        plugin_id: Field<String> = "pluginId",
        /// Why it is not ready.
        reason: Field<String> = "reason",
        /// Deprecated; see `status`.
        ready: Field<bool> = "ready",
        /// `not_started`, `starting`, `ready`.
        status: Field<String> = "status",
        /// How devices are added, removed and set.
        operations: Field<Value> = "operations",
        /// Settings; a number on EzloPi.
        settings: Field<Value> = "settings",
        /// Script behind `hub.item.value.set`.
        set_item_value_command: Field<String> = "setItemValueCommand",
    }
}

wire! {
    /// Result of `hub.gateways.list`.
    GatewayList {
        /// The gateways.
        gateways: Vec<Gateway> = "gateways",
    }
}

wire! {
    /// Parameters of `hub.extensions.plugin.run`.
    PluginRun {
        /// `HUB:<plugin>/scripts/<name>`.
        script: String = "script",
        /// The script's own parameters.
        script_params: Field<Extra> = "scriptParams",
    }
}

impl PluginRun {
    /// Runs a script without parameters.
    pub fn script(script: &str) -> Self {
        Self { script: script.into(), ..Self::default() }
    }
}

wire! {
    /// Content of `hub.extensions.plugin.ui_broadcast`: free, but Z-Wave sends plugin and event.
    PluginEvent {
        /// Such as `zwave`.
        plugin: Field<String> = "plugin",
        /// What happened.
        event: Field<ZwaveEvent> = "event",
    }
}

open_enum! {
    /// Events of the Z-Wave plugin.
    ZwaveEvent {
        /// The radio was told to include; put the device into inclusion now.
        IncludeInvoked = "include_invoked",
        /// A device answered.
        IncludeStarted = "include_started",
        /// All items of the new device are there.
        IncludeFinished = "include_finished",
        /// Failed: exclude the device, then start again.
        IncludeFinishedError = "include_finished_error",
        /// No device in time: start again.
        IncludeFinishedTimeout = "include_finished_timeout",
        /// How far it has come, `progress` in percent.
        IncludeDeviceProgress = "include_device_progress",
        /// Choose from `modes`.
        SelectAuthenticationModes = "s2_select_authentication_modes",
        /// The first group of the device's key is wanted; `key` has the others.
        RequestDeviceSpecificKey = "s2_request_device_specific_key",
        /// Type these digits on the device.
        ShowDeviceSideKey = "s2_show_device_side_key",
        /// The radio does something else.
        ActionBusy = "action_busy",
        /// The radio was told to exclude; put the device into exclusion now.
        ExcludeInvoked = "exclude_invoked",
        /// A device answered.
        ExcludeStarted = "exclude_started",
        /// The device is gone.
        ExcludeFinished = "exclude_finished",
        /// Failed (name inferred).
        ExcludeFinishedError = "exclude_finished_error",
        /// No device in time (name inferred).
        ExcludeFinishedTimeout = "exclude_finished_timeout",
        /// The radio resets.
        ModuleReset = "module_reset",
        /// A device is asked again what it is.
        RediscoverDeviceProgress = "rediscover_device_progress",
    }
}

wire! {
    /// Content of `hub.extensions.plugin.run.progress`. The guide's inclusion shows none, so do not wait for it.
    PluginProgress {
        /// The id of the request.
        operation_id: Field<Value> = "operationId",
        /// 100 = success, 0 = failure.
        completed: Field<Loose<i64>> = "completed",
        /// Why it failed.
        error: Field<RpcError> = "error",
        /// `finished` or `failed`.
        status: Field<String> = "status",
    }
}
