//! The table from method names to handlers.

use ezlo_protocol::hub::method::{self as m, Method};
use ezlo_protocol::rpc::RpcError;

use crate::answer::{Answer, decode};
use crate::context::Context;
use crate::hub::Hub;
use crate::json::RawJson;

macro_rules! dispatch {
    ($( $method:ident => $handler:ident; )*) => {
        /// Names of the methods that a simulated hub answers. Every other name is refused with `rpc.method.notfound`.
        pub const SIMULATED_METHODS: &[&str] = &[$( <m::$method as Method>::NAME ),*];

        impl Hub {
            fn dispatch(&mut self, name: &str, params: Option<&str>, context: &mut Context<'_>) -> Answer<RawJson> {
                match name {
                    $( <m::$method as Method>::NAME => {
                        let params = decode::<<m::$method as Method>::Params>(params)?;
                        context.method = Some(<m::$method as Method>::NAME);
                        let result: <m::$method as Method>::Output = self.$handler(params, context)?;
                        Ok(RawJson::of(&result))
                    } )*
                    _ => Err(RpcError::known("rpc.method.notfound")),
                }
            }
        }
    };
}

dispatch! {
    InfoGet => info_get;
    DataListGet => data_list;
    DevicesList => devices_list;
    ItemsList => items_list;
    ItemSet => item_set;
    DictionaryAdd => dictionary_add;
    DictionarySet => dictionary_set;
    DictionaryRemove => dictionary_remove;
    DeviceNameSet => device_name_set;
    DeviceRoomSet => device_room_set;
    DeviceArmedSet => device_armed_set;
    DeviceCheckRun => device_check;
    DeviceForceRemove => device_force_remove;
    DeviceGroupsList => device_groups_list;
    DeviceGroupCreate => device_group_create;
    DeviceGroupGet => device_group_get;
    DeviceGroupUpdateRun => device_group_update;
    DeviceGroupDelete => device_group_delete;
    DeviceGroupFind => device_group_find;
    DeviceItemGroupExpand => group_expand;
    ItemGroupsList => item_groups_list;
    ItemGroupCreate => item_group_create;
    ItemGroupGet => item_group_get;
    ItemGroupUpdateRun => item_group_update;
    ItemGroupDelete => item_group_delete;
    DeviceSettingsList => device_settings_list;
    DeviceSettingValueSet => device_setting_set;
    DeviceSettingReset => device_setting_reset;
    SettingsList => settings_list;
    SettingSet => setting_set;
    RoomsList => rooms_list;
    RoomAdd => room_create;
    RoomNameSet => room_name_set;
    RoomOrderSet => room_order_set;
    RoomDelete => room_delete;
    RoomGet => room_get;
    RoomAllDelete => room_all_delete;
    ModesGet => modes_get;
    ModesCurrent => modes_current;
    ModesSwitch => modes_switch;
    ModesCancelSwitch => modes_cancel_switch;
    ModesDisarmedAdd => disarmed_add;
    ModesDisarmedRemove => disarmed_remove;
    ModesAlarmsOffAdd => alarms_off_add;
    ModesAlarmsOffRemove => alarms_off_remove;
    ModesCamerasOffAdd => cameras_off_add;
    ModesCamerasOffRemove => cameras_off_remove;
    ModesBypassAdd => bypass_add;
    ModesBypassRemove => bypass_remove;
    ModesProtectDevicesAdd => protect_add;
    ModesProtectDevicesRemove => protect_remove;
    ModesSwitchDelaySet => switch_delay_set;
    ModesAlarmDelaySet => alarm_delay_set;
    ModesNotificationsSet => notifications_set;
    ModesDisarmedDefaultSet => mode_flags_set;
    ModesProtectSet => mode_flags_set;
    ModesProtectButtonsSet => protect_button_set;
    ModesEntryDelaySet => entry_delay_set;
    ModesEntryDelayReset => entry_delay_reset;
    ModesEntryDelayCancel => entry_delay_cancel;
    ModesEntryDelaySkip => entry_delay_skip;
    ModesLocalAlarmOff => local_alarm_off;
    ModesForceDisarm => force_disarm;
    SwingerShutdownList => swinger_list;
    SwingerShutdownReset => swinger_reset;
    SwingerDisableAdd => swinger_disable;
    SwingerDisableRemove => swinger_enable;
    SwingerLimitSet => swinger_limit_set;
    SwingerLimitReset => swinger_limit_reset;
    ScenesList => scenes_list;
    SceneGet => scene_get;
    SceneCreate => scene_create;
    SceneEditRun => scene_edit;
    SceneDelete => scene_delete;
    SceneRunNow => scene_run;
    SceneStop => scene_stop;
    SceneBlocksList => scene_blocks_list;
    SceneEnabledSet => scene_enabled_set;
    SceneNotificationAdd => scene_user_add;
    SceneNotificationRemove => scene_user_remove;
    SceneRoomSet => scene_room_set;
    SceneNameSet => scene_name_set;
    SceneModesSet => scene_modes_set;
    SceneBlockEnabledSet => scene_block_enabled_set;
    SceneCloneRun => scene_clone;
    SceneMetaSet => scene_meta_set;
    SceneBlockMetaSet => scene_block_meta_set;
    SceneBlockStatusReset => scene_block_status_reset;
    SceneStatusGet => scene_status_get;
    SceneTimeList => scene_time_list;
    SceneTriggerDevicesList => scene_trigger_devices_list;
    SceneBlockDataList => scene_block_data;
    GlobalSceneCreate => global_scene_create;
    GlobalSceneEdit => global_scene_edit;
    GlobalScenesList => global_scenes_list;
    GlobalSceneDelete => global_scene_delete;
    GlobalSceneRun => global_scene_run;
    ExpressionSet => expression_set;
    ExpressionsList => expressions_list;
    ExpressionDelete => expression_delete;
    ScriptsList => scripts_list;
    ScriptGet => script_get;
    ScriptAdd => script_add;
    ScriptSet => script_set;
    ScriptDelete => script_delete;
    ScriptRun => script_run;
    GatewaysList => gateways_list;
    PluginScriptRun => plugin_run;
    NetworkGet => network_get;
    NetworkReset => network_reset;
    WifiScanStart => scan_start;
    WifiScanStop => scan_stop;
    AnonymousAccessSet => anonymous_access_set;
    InsecureAccessSet => insecure_access_set;
    Reboot => reboot;
    ResetRun => reset;
    LogSet => log_set;
    LogLocalSet => log_local_set;
    StatusGet => status_get;
    SoftwareInfoGet => software_info;
    FirmwareUpdateStart => firmware_update;
    SoftwareUpdateRun => software_update;
    LuupSwitch => luup_switch;
    LocationsList => locations_list;
    LocationGet => location_get;
    LocationSet => location_set;
    CoordinatesGet => coordinates_get;
    CoordinatesSet => coordinates_set;
    WifiTryConnect => wifi_try_connect;
    InterfaceEnabledSet => interface_enabled_set;
    FirmwareUpdateRun => firmware_update;
    DeviceFirmwareUpdateRun => device_firmware_update;
    DescriptionSet => description_set;
    NmaRegisterRepeat => nma_register_repeat;
    VersionGet => version_get;
    FeaturesList => features_list;
    FeatureStatusSet => feature_status_set;
    CustomNodesList => custom_nodes_list;
    DeviceNotificationsSet => device_notifications_set;
    PercentApplyRun => percent_apply;
    DictionaryClearRun => dictionary_clear;
    SettingDictionaryValueSet => setting_dictionary_set;
    RoomImageSet => room_appearance_set;
    RoomViewSet => room_appearance_set;
    GatewaySettingsList => gateway_settings_list;
    GatewaySettingValueSet => gateway_setting_set;
    SwingerShutdownSet => swinger_limit_set;
    FavoritesList => favorites_list;
    FavoritesSet => favorites_set;
}

impl Hub {
    /// Answers a method call and applies its consequences.
    ///
    /// `params` is the JSON text of the member `params`; `None` stands for an empty object. The result is the member `result`.
    /// Older method names that hubs still accept are accepted.
    ///
    /// No network traffic. Leaves broadcasts, timers, dropped connections and HTTP requests of scenes in [`Context::effects`].
    /// Call [`Hub::fire`] when a timer is due.
    ///
    /// # Errors
    ///
    /// Returns the refusal that the hub would send as the member `error`:
    ///
    /// - `rpc.method.notfound` if the name is not in [`SIMULATED_METHODS`].
    /// - `rpc.params.invalid` or `rpc.params.notfound.<member>` if the parameters are malformed.
    /// - `mock.unproven` if the method has less evidence than
    ///   [`min_evidence`](crate::HubAssumptions::min_evidence) requires.
    /// - Other strings of the method, such as `ezlo.device.notfound` or `ezlo.gateway.send.error`.
    ///
    /// EzloPi hubs accept every `hub.item.value.set` and ignore values that they cannot set.
    pub fn call(&mut self, name: &str, params: Option<&str>, context: &mut Context<'_>) -> Answer<RawJson> {
        let name = m::current_name(name);
        if let Some(refused) = crate::evidence::refuse_method(context.assumptions.min_evidence, name) {
            return Err(refused);
        }
        let mut outcome = match self.family.lacks.contains(&name) {
            true => Err(RpcError::known("rpc.method.notfound")),
            false => self.dispatch(name, params, context),
        };
        if self.family.never_refuses_values && name == <m::ItemSet as Method>::NAME {
            // Malformed parameters are accepted, too.
            outcome = outcome.or_else(|_| Ok(RawJson::empty()));
        }
        if let Err(error) = &mut outcome
            && error.data() == "rpc.method.notfound"
        {
            error.code = self.family.unknown_method.into();
        }
        // Scenes that the call starts are not the call.
        context.method = None;
        self.settle(context);
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assumptions::HubAssumptions;
    use crate::world_file::HubKind;
    use serde_json::{Value, json};

    fn call(name: &str, params: &Value) -> Answer<RawJson> {
        let assumptions = HubAssumptions::default();
        let mut hub = Hub::bare("90000001", HubKind::Linux, "h2.1", 1, 0);
        hub.call(name, Some(&params.to_string()), &mut Context::new(0, &assumptions))
    }

    #[test]
    fn methods_below_the_required_evidence_are_refused() {
        let assumptions = HubAssumptions {
            min_evidence: Some(ezlo_protocol::evidence::Evidence::Captured),
            ..HubAssumptions::default()
        };
        let mut hub = Hub::bare("90000001", HubKind::Linux, "h2.1", 1, 0);
        let mut outcome = |method: &str| {
            let answer = hub.call(method, Some("{}"), &mut Context::new(0, &assumptions));
            answer.map_or_else(|error| error.data().to_owned(), |_| String::new())
        };
        let by = |captured: bool| {
            let known = |name: &&&str| {
                let evidence = m::spec(name).unwrap().evidence;
                (evidence == ezlo_protocol::evidence::Evidence::Captured) == captured && !name.contains("reset")
            };
            SIMULATED_METHODS.iter().find(known).unwrap()
        };
        assert_eq!(outcome(by(false)), "mock.unproven");
        assert_ne!(outcome(by(true)), "mock.unproven");
    }

    #[test]
    fn refusals_have_the_code_and_data_of_a_real_hub() {
        let data = |name: &str, params: Value| {
            let error = call(name, &params).unwrap_err();
            (error.code.get().copied().unwrap(), error.data().to_owned())
        };
        assert_eq!(data("hub.nothing", json!({})), (-32601, "rpc.method.notfound".into()));
        assert_eq!(data("hub.room.create", json!({})), (-32600, "rpc.params.notfound.name".into()));
        assert_eq!(data("hub.room.create", json!({"name": 1})), (-32602, "rpc.params.invalid".into()));
        assert_eq!(data("hub.room.create", json!([])), (-32602, "rpc.params.invalid".into()));
        assert_eq!(data("hub.modes.switch", json!({"modeId": 1})), (-32602, "rpc.params.invalid".into()));
    }
}
