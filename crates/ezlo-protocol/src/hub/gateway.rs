//! Gateways and plugin scripts, above all Z-Wave inclusion and exclusion.

use serde_json::Value;

use super::GatewayId;
use crate::rpc::RpcError;
use crate::wire::{Extra, Field, Loose};

/// The path of the script that starts a Z-Wave inclusion (guide20:p7).
pub const START_INCLUDE: &str = "HUB:zwave/scripts/start_include";
/// The path of the script that stops a Z-Wave inclusion (inferred from the name in the Lua module).
pub const STOP_INCLUDE: &str = "HUB:zwave/scripts/stop_include";
/// The path of the script that starts a Z-Wave exclusion (guide20:p9).
pub const START_EXCLUDE: &str = "HUB:zwave/scripts/start_exclude";
/// The path of the script that stops a Z-Wave exclusion (inferred from the name in the Lua module).
pub const STOP_EXCLUDE: &str = "HUB:zwave/scripts/stop_exclude";

wire! {
    /// A gateway: the radio or plugin that owns devices.
    Gateway {
        /// Id of the gateway.
        id: Field<GatewayId> = "_id",
        /// Label for display.
        label: Field<String> = "label",
        /// Name of the gateway.
        name: Field<String> = "name",
        /// Id of the plugin.
        plugin_id: Field<String> = "pluginId",
        /// Reason that the gateway is not ready.
        reason: Field<String> = "reason",
        /// `true` if the gateway is ready; deprecated in favour of `status`.
        ready: Field<bool> = "ready",
        /// Status: `not_started`, `starting` or `ready`.
        status: Field<String> = "status",
        /// Templates for adding, removing and configuring devices.
        operations: Field<Value> = "operations",
        /// Settings; a number on EzloPi.
        settings: Field<Value> = "settings",
        /// Path of the script that sets items.
        set_item_value_command: Field<String> = "setItemValueCommand",
    }
}

wire! {
    /// Result of `hub.gateways.list`.
    GatewayList {
        /// All gateways.
        gateways: Vec<Gateway> = "gateways",
    }
}

wire! {
    /// Parameters of `hub.extensions.plugin.run`.
    PluginRun {
        /// Path of the script, `HUB:<plugin>/scripts/<name>`.
        script: String = "script",
        /// Parameters of the script.
        script_params: Field<Extra> = "scriptParams",
    }
}

impl PluginRun {
    /// Creates a call of a script without parameters.
    pub fn script(script: &str) -> Self {
        Self { script: script.into(), ..Self::default() }
    }
}

wire! {
    /// Content of `hub.extensions.plugin.ui_broadcast`.
    ///
    /// The format is free. The Z-Wave plugin sends `plugin` and `event` (guide20:p86).
    PluginEvent {
        /// Name of the plugin, such as `zwave`.
        plugin: Field<String> = "plugin",
        /// Event of the Z-Wave plugin.
        event: Field<ZwaveEvent> = "event",
    }
}

open_enum! {
    /// An event of the Z-Wave plugin.
    ZwaveEvent {
        /// The radio waits for a device. Start the inclusion on the device now.
        IncludeInvoked = "include_invoked",
        /// A device has responded.
        IncludeStarted = "include_started",
        /// The inclusion is complete. All items of the device have been broadcast.
        IncludeFinished = "include_finished",
        /// The inclusion has failed. Exclude the device, then start again.
        IncludeFinishedError = "include_finished_error",
        /// No device has responded in time. Start again.
        IncludeFinishedTimeout = "include_finished_timeout",
        /// The progress of the inclusion, in `progress` in percent.
        IncludeDeviceProgress = "include_device_progress",
        /// The plugin requests a selection from `modes`.
        SelectAuthenticationModes = "s2_select_authentication_modes",
        /// The plugin requests the first group of the device-specific key. `key` contains the other groups.
        RequestDeviceSpecificKey = "s2_request_device_specific_key",
        /// The digits of this event must be entered on the device.
        ShowDeviceSideKey = "s2_show_device_side_key",
        /// The radio is busy.
        ActionBusy = "action_busy",
        /// The radio waits for a device. Start the exclusion on the device now.
        ExcludeInvoked = "exclude_invoked",
        /// A device has responded.
        ExcludeStarted = "exclude_started",
        /// The device has been removed.
        ExcludeFinished = "exclude_finished",
        /// The exclusion has failed (name inferred).
        ExcludeFinishedError = "exclude_finished_error",
        /// No device has responded in time (name inferred).
        ExcludeFinishedTimeout = "exclude_finished_timeout",
        /// The radio is being reset.
        ModuleReset = "module_reset",
        /// The progress of a repeated interview of a device.
        RediscoverDeviceProgress = "rediscover_device_progress",
    }
}

wire! {
    /// Content of `hub.extensions.plugin.run.progress`.
    ///
    /// The inclusion transcript of the guide does not contain it (guide20:p7), so do not wait for it.
    PluginProgress {
        /// Id of the request.
        operation_id: Field<Value> = "operationId",
        /// 100 = success, 0 = failure.
        completed: Field<Loose<i64>> = "completed",
        /// Reason of a failure.
        error: Field<RpcError> = "error",
        /// Status: `finished` or `failed`.
        status: Field<String> = "status",
    }
}
