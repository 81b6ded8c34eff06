//! All methods with a known shape, as types and as one table for client, simulator and documentation.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::device::{DeviceArmed, DeviceCheck, DeviceList, DeviceName, DeviceRef, DeviceRoom};
use super::gateway::{GatewayList, PluginRun};
use super::group::{
    DeviceGroup, DeviceGroupList, DeviceGroupSearch, DeviceGroupUpdate, DeviceGroupsFound, GroupDelete, GroupExpand,
    GroupExpanded, GroupQuery, GroupRef, ItemGroup, ItemGroupList, ItemGroupUpdate,
};
use super::info::HubInfo;
use super::item::{DictionaryChange, ItemList, ItemQuery, ItemValueSet};
use super::login::{LoginUserMios, OfflineLogin, Register, Switch};
use super::maintenance::{
    Coordinates, DataList, DataQuery, FavoriteList, FavoriteQuery, FavoriteSet, FirmwareUpdate, HubStatus, LogSettings,
    Reset, SoftwareInfo, TimeLocation, TimeLocations,
};
use super::mode::{
    CurrentMode, EntryDelay, ModeDelay, ModeDevices, ModeFlags, ModeNotifications, ModeSwitch, ModeSwitching,
    ModesState, ProtectButton, SwingerList, SwingerSet,
};
use super::network::{Network, ScanQuery};
use super::room::{RoomCreate, RoomCreated, RoomList, RoomOrder, RoomRef};
use super::scene::{
    BlockDataQuery, BlockList, BlockMeta, BlockQuery, BlockReset, BlockSwitch, Expression, ExpressionList,
    ExpressionQuery, ExpressionRef, GlobalScene, GlobalSceneList, Scene, SceneClone, SceneEdit, SceneList, SceneMeta,
    SceneModes, SceneName, SceneRef, SceneRoom, SceneRun, SceneSwitch, SceneUser, Script, ScriptRef, TimeScenes,
    TriggerDevices,
};
use super::setting::{DeviceSettingList, DeviceSettingQuery, DeviceSettingSet, HubSettingList, HubSettingSet};
use super::unpublished::{
    CustomNodes, DeviceFirmwareUpdateStart, DeviceNotifications, DictionaryClear, FeatureList, FeatureStatus,
    GatewayRef, GatewaySettingSet, GatewaySettings, HubDescription, HubVersion, InterfaceEnabled, PercentApply,
    RoomAppearance, SettingDictionarySet, WifiTry,
};
use super::{Empty, room::Room};
use crate::evidence::Evidence;
use crate::wire::{self, DecodeError};

mod aliases;
mod kind;

pub use aliases::{ALIASES, current_name};
pub use kind::Kind;

/// A method as a type: its name, parameters and result.
pub trait Method {
    /// Name on the wire.
    const NAME: &'static str;
    /// Effect of a repeated call.
    const KIND: Kind;
    /// Parameters.
    type Params: Serialize + DeserializeOwned + wire::Document + Send + 'static;
    /// Result.
    type Output: Serialize + DeserializeOwned + Send + 'static;
}

/// A function that converts JSON into a type and back.
pub type RoundTrip = fn(&Value) -> Result<Value, DecodeError>;

pub(crate) fn round_trip<T: Serialize + DeserializeOwned>(value: &Value) -> Result<Value, DecodeError> {
    wire::from_value::<T>(value).map(|typed| wire::to_value(&typed))
}

/// An entry of the table of methods.
#[derive(Debug, Clone, Copy)]
pub struct MethodSpec {
    /// Name on the wire.
    pub name: &'static str,
    /// Area of the hub, such as `devices`.
    pub area: &'static str,
    /// Supported values of `api` in a request. A request without `api` means `1.0`.
    pub api: &'static [&'static str],
    /// Effect of a repeated call.
    pub kind: Kind,
    /// Evidence for the shape.
    pub evidence: Evidence,
    /// Source of the evidence, as a tag of the protocol reference.
    pub source: &'static str,
    /// Broadcasts that follow the call.
    pub broadcasts: &'static [&'static str],
    /// Names of the members of the parameters.
    pub members: &'static [&'static str],
    /// Name of the parameter type in this crate.
    pub params_type: &'static str,
    /// Name of the result type in this crate.
    pub result_type: &'static str,
    /// Conversion of the parameters into their type and back.
    pub params: RoundTrip,
    /// Conversion of the result into its type and back.
    pub result: RoundTrip,
}

/// Returns the entry of a method by its current or older name, or `None` if its shape is not known.
pub fn spec(name: &str) -> Option<&'static MethodSpec> {
    static BY_NAME: LazyLock<HashMap<&str, &MethodSpec>> =
        LazyLock::new(|| METHODS.iter().map(|method| (method.name, method)).collect());
    BY_NAME.get(current_name(name)).copied()
}

macro_rules! methods {
    ($( $area:literal { $( $(#[$meta:meta])* $type:ident = $name:literal ($params:ty) -> $result:ty,
        $kind:ident $(api $($api:literal)+)?, $evidence:ident $source:literal, [$($broadcast:literal),*]; )* } )*) => {
        $( $(
            $(#[$meta])*
            #[doc = ""]
            #[doc = concat!("Wire name: `", $name, "`. Kind: [`Kind::", stringify!($kind), "`]. Evidence: [`Evidence::",
                stringify!($evidence), "`] (`", $source, "`).")]
            #[derive(Debug, Clone, Copy)]
            pub struct $type;

            impl Method for $type {
                const NAME: &'static str = $name;
                const KIND: Kind = Kind::$kind;
                type Params = $params;
                type Output = $result;
            }
        )* )*

        /// All methods with a known shape.
        pub const METHODS: &[MethodSpec] = &[$( $( MethodSpec {
            name: $name,
            area: $area,
            api: methods!(@api $($($api)+)?),
            kind: Kind::$kind,
            evidence: Evidence::$evidence,
            source: $source,
            broadcasts: &[$($broadcast),*],
            members: <$params as wire::Document>::MEMBERS,
            params_type: stringify!($params),
            result_type: stringify!($result),
            params: round_trip::<$params>,
            result: round_trip::<$result>,
        }, )* )*];
    };
    (@api) => { &["1.0"] };
    (@api $($api:literal)+) => { &[$($api),+] };
}

methods! {
    "relay" {
        /// Logs a user in at the relay.
        RelayLogin = "loginUserMios" (LoginUserMios) -> Empty, Idempotent, Captured "nma_login_reply", [];
        /// Selects the hub of a relay connection. The reply has the method name `registered`.
        RelayRegister = "register" (Register) -> Empty, Idempotent, Captured "mlock", [];
    }
    "offline access" {
        /// Logs a user in at the hub.
        LocalLogin = "hub.offline.login.ui" (OfflineLogin) -> Empty, Idempotent, ClientSource "hubkit:155", [];
        /// Allows or refuses local calls without a login. It takes effect after a reboot.
        AnonymousAccessSet = "hub.offline.anonymous_access.enabled.set" (Switch) -> Empty, Idempotent, ClientSource "ezclient:719", [];
        /// Allows or refuses local connections without TLS. The hub drops the connection, usually before the reply.
        InsecureAccessSet = "hub.offline.insecure_access.enabled.set" (Switch) -> Empty, Idempotent, ClientSource "ezclient:731", [];
    }
    "info" {
        /// Returns the hub information.
        InfoGet = "hub.info.get" (Empty) -> HubInfo, Read, Captured "ezlopi_hub_info_get", [];
        /// Returns several collections of objects at once.
        DataListGet = "hub.data.list" (DataQuery) -> DataList, Read, ClientSource "hubkit:206", [];
    }
    "devices" {
        /// Returns all devices.
        DevicesList = "hub.devices.list" (Empty) -> DeviceList, Read, Captured "ezlopi_hub_devices_list", [];
        /// Renames a device.
        DeviceNameSet = "hub.device.name.set" (DeviceName) -> Empty, Idempotent, Vendor "zip", ["hub.device.updated"];
        /// Moves a device to a room.
        DeviceRoomSet = "hub.device.room.set" (DeviceRoom) -> Empty, Idempotent, Vendor "guide20:p19", ["hub.device.updated"];
        /// Arms or disarms a device.
        DeviceArmedSet = "hub.device.armed.set" (DeviceArmed) -> Empty, Idempotent, Vendor "zip", ["hub.device.updated"];
        /// Requests current values from the plugin of a device.
        DeviceCheckRun = "hub.device.check" (DeviceCheck) -> Empty, Idempotent, Vendor "zip", [];
        /// Removes a device that does not respond.
        DeviceForceRemove = "hub.device.force_remove" (DeviceRef) -> Empty, Command, Vendor "zip", ["hub.item.removed", "hub.device.removed"];
        /// Returns the groups of devices, or only the version if the `version` of the client is current.
        DeviceGroupsList = "hub.device.groups.list" (GroupQuery) -> DeviceGroupList, Read, Vendor "d23, pi", [];
        /// Creates a group of devices. Its id is only in the broadcast.
        DeviceGroupCreate = "hub.device.group.create" (DeviceGroup) -> Empty, Command, Vendor "d22, d23, pi", ["hub.device.group.created"];
        /// Returns a group of devices.
        DeviceGroupGet = "hub.device.group.get" (GroupRef) -> DeviceGroup, Read, Vendor "d22, d23, pi", [];
        /// Changes a group of devices.
        DeviceGroupUpdateRun = "hub.device.group.update" (DeviceGroupUpdate) -> Empty, Idempotent, Vendor "d22, d23, pi", ["hub.device.group.updated"];
        /// Deletes a group of devices.
        DeviceGroupDelete = "hub.device.group.delete" (GroupDelete) -> Empty, Command, Vendor "d22, d23, pi", ["hub.device.group.deleted"];
        /// Returns the groups that include a category or a device.
        DeviceGroupFind = "hub.device.group.find" (DeviceGroupSearch) -> DeviceGroupsFound, Read, Vendor "d23", [];
        /// Returns the devices and items of groups.
        DeviceItemGroupExpand = "hub.device.item.group.expand" (GroupExpand) -> GroupExpanded, Read, Vendor "d23, pi", [];
        /// Sets whether changes of devices are forwarded to other cloud services (parameters inferred).
        DeviceNotificationsSet = "hub.devices.service.notifications.set" (DeviceNotifications) -> Empty, Idempotent, Inferred "name only", ["hub.device.updated"];
    }
    "items" {
        /// Returns the items of all or some devices.
        ItemsList = "hub.items.list" (ItemQuery) -> ItemList, Read, Vendor "guide20:p12", [];
        /// Sets items.
        ItemSet = "hub.item.value.set" (ItemValueSet) -> Empty, Command, Vendor "guide20:p12", ["hub.item.updated"];
        /// Sets an item to a share of its range (parameters inferred).
        PercentApplyRun = "hub.item.value.percent.apply" (PercentApply) -> Empty, Idempotent, Inferred "name only", ["hub.item.updated"];
    }
    "item groups" {
        /// Returns the groups of items, or only the version if the `version` of the client is current.
        ItemGroupsList = "hub.item.groups.list" (GroupQuery) -> ItemGroupList, Read, Vendor "d22, d23, pi", [];
        /// Creates a group of items. Its id is only in the broadcast.
        ItemGroupCreate = "hub.item.group.create" (ItemGroup) -> Empty, Command, Vendor "d22, d23, pi", ["hub.item.group.created"];
        /// Returns a group of items.
        ItemGroupGet = "hub.item.group.get" (GroupRef) -> ItemGroup, Read, Vendor "d22, d23, pi", [];
        /// Changes a group of items.
        ItemGroupUpdateRun = "hub.item.group.update" (ItemGroupUpdate) -> Empty, Idempotent, Vendor "d22, d23, pi", ["hub.item.group.updated"];
        /// Deletes a group of items.
        ItemGroupDelete = "hub.item.group.delete" (GroupDelete) -> Empty, Command, Vendor "d22, d23, pi", ["hub.item.group.deleted"];
    }
    "dictionary items" {
        /// Adds an element to a dictionary item. The hub creates the key.
        DictionaryAdd = "hub.item.dictionary.value.add" (DictionaryChange) -> Empty, Command, Vendor "mios", ["hub.item.dictionary.updated"];
        /// Changes an element of a dictionary item.
        DictionarySet = "hub.item.dictionary.value.set" (DictionaryChange) -> Empty, Command, Vendor "mios", ["hub.item.dictionary.updated"];
        /// Removes an element of a dictionary item.
        DictionaryRemove = "hub.item.dictionary.value.remove" (DictionaryChange) -> Empty, Command, ClientSource "mlock", ["hub.item.dictionary.updated"];
        /// Removes all elements (parameters inferred).
        DictionaryClearRun = "hub.item.dictionary.clear" (DictionaryClear) -> Empty, Idempotent, Inferred "pi (name)", ["hub.item.dictionary.updated"];
    }
    "settings" {
        /// Returns the settings of devices.
        DeviceSettingsList = "hub.device.settings.list" (DeviceSettingQuery) -> DeviceSettingList, Read, Vendor "mios", [];
        /// Sets a setting of a device.
        DeviceSettingValueSet = "hub.device.setting.value.set" (DeviceSettingSet) -> Empty, Idempotent, Vendor "mios", ["hub.device.setting.updated"];
        /// Resets a setting of a device to its default.
        DeviceSettingReset = "hub.device.setting.reset" (DeviceSettingSet) -> Empty, Idempotent, Vendor "mios", ["hub.device.setting.updated"];
        /// Returns the settings of the hub.
        SettingsList = "hub.settings.list" (Empty) -> HubSettingList, Read, ClientSource "bridge", [];
        /// Sets a setting of the hub.
        SettingSet = "hub.setting.value.set" (HubSettingSet) -> Empty, Idempotent, ClientSource "pi", ["hub.setting.updated"];
        /// Sets an element of a setting of a device (parameters inferred).
        SettingDictionaryValueSet = "hub.device.setting.dictionary.value.set" (SettingDictionarySet) -> Empty, Idempotent, Inferred "name only", ["hub.device.setting.updated"];
    }
    "rooms" {
        /// Returns all rooms in order.
        RoomsList = "hub.room.list" (Empty) -> RoomList, Read, Captured "ezlopi_hub_room_list_empty", [];
        /// Creates a room.
        RoomAdd = "hub.room.create" (RoomCreate) -> RoomCreated, Command, Vendor "guide20:p17", ["hub.room.created"];
        /// Renames a room.
        RoomNameSet = "hub.room.name.set" (Room) -> Empty, Idempotent, Vendor "zip", ["hub.room.edited"];
        /// Sets the order of the rooms.
        RoomOrderSet = "hub.room.order.set" (RoomOrder) -> Empty, Idempotent, Vendor "zip", ["hub.room.reordered"];
        /// Deletes a room. Its devices remain, without a room.
        RoomDelete = "hub.room.delete" (RoomRef) -> Empty, Command, Vendor "guide20:p18", ["hub.room.deleted"];
        /// Returns a room.
        RoomGet = "hub.room.get" (RoomRef) -> Room, Read, ClientSource "pi", [];
        /// Deletes all rooms.
        RoomAllDelete = "hub.room.all.delete" (Empty) -> Empty, Command, ClientSource "pi", ["hub.room.deleted"];
        /// Sets the image of a room (parameters inferred).
        RoomImageSet = "hub.room.image.set" (RoomAppearance) -> Empty, Idempotent, Inferred "name only", [];
        /// Sets the view of a room (parameters inferred).
        RoomViewSet = "hub.room.view.set" (RoomAppearance) -> Empty, Idempotent, Inferred "name only", [];
    }
    "modes" {
        /// Returns the house modes.
        ModesGet = "hub.modes.get" (Empty) -> ModesState, Read api "1.0" "2.0", Vendor "guide20:p14", [];
        /// Returns the current house mode.
        ModesCurrent = "hub.modes.current.get" (Empty) -> CurrentMode, Read api "1.0" "2.0", Vendor "guide20:p16", [];
        /// Switches the house mode after the delay of the target mode.
        ModesSwitch = "hub.modes.switch" (ModeSwitch) -> ModeSwitching, Command api "1.0" "2.0", Vendor "guide20:p17", ["hub.modes.switched"];
        /// Cancels a pending switch.
        ModesCancelSwitch = "hub.modes.cancel_switch" (Empty) -> Empty, Command api "1.0" "2.0", ClientSource "ezclient:1177", ["hub.modes.switched"];
        /// Excludes devices from arming in a mode.
        ModesDisarmedAdd = "hub.modes.disarmed_devices.add" (ModeDevices) -> Empty, Idempotent, Vendor "zip", ["hub.modes.disarmed_devices.added"];
        /// Includes devices in arming in a mode again.
        ModesDisarmedRemove = "hub.modes.disarmed_devices.remove" (ModeDevices) -> Empty, Idempotent, Vendor "zip", ["hub.modes.disarmed_devices.removed"];
        /// Silences devices in a mode.
        ModesAlarmsOffAdd = "hub.modes.alarms_off.add" (ModeDevices) -> Empty, Idempotent, Vendor "zip", ["hub.modes.alarms_off.added"];
        /// Lets devices sound in a mode again.
        ModesAlarmsOffRemove = "hub.modes.alarms_off.remove" (ModeDevices) -> Empty, Idempotent, Vendor "zip", ["hub.modes.alarms_off.removed"];
        /// Switches cameras off in a mode.
        ModesCamerasOffAdd = "hub.modes.cameras_off.add" (ModeDevices) -> Empty, Idempotent, ClientSource "pi", ["hub.modes.cameras_off.added"];
        /// Leaves cameras on in a mode again.
        ModesCamerasOffRemove = "hub.modes.cameras_off.remove" (ModeDevices) -> Empty, Idempotent, ClientSource "pi", ["hub.modes.cameras_off.removed"];
        /// Bypasses devices until the next switch.
        ModesBypassAdd = "hub.modes.bypass_devices.add" (ModeDevices) -> Empty, Idempotent, ClientSource "pi", ["hub.modes.bypass_devices.added"];
        /// Ends the bypass of devices.
        ModesBypassRemove = "hub.modes.bypass_devices.remove" (ModeDevices) -> Empty, Idempotent, ClientSource "pi", ["hub.modes.bypass_devices.removed"];
        /// Adds devices whose emergencies raise an alarm in a mode (parameters inferred).
        ModesProtectDevicesAdd = "hub.modes.protect.devices.add" (ModeDevices) -> Empty, Idempotent, ClientSource "pi", ["hub.modes.protect.devices.added"];
        /// Removes devices whose emergencies raise an alarm in a mode (parameters inferred).
        ModesProtectDevicesRemove = "hub.modes.protect.devices.remove" (ModeDevices) -> Empty, Idempotent, ClientSource "pi", ["hub.modes.protect.devices.removed"];
        /// Sets the seconds from the request to the switch (parameters inferred).
        ModesSwitchDelaySet = "hub.modes.switch_to_delay.set" (ModeDelay) -> Empty, Idempotent, ClientSource "pi", ["hub.modes.changed"];
        /// Sets the seconds from a trip to the alarm (parameters inferred).
        ModesAlarmDelaySet = "hub.modes.alarm_delay.set" (ModeDelay) -> Empty, Idempotent, ClientSource "pi", ["hub.modes.changed"];
        /// Sets the users that a mode notifies (parameters inferred).
        ModesNotificationsSet = "hub.modes.notifications.set" (ModeNotifications) -> Empty, Idempotent, ClientSource "pi", ["hub.modes.notifications.notify_all", "hub.modes.notifications.added", "hub.modes.notifications.removed"];
        /// Enables or disables the built-in list of disarmed devices (parameters inferred).
        ModesDisarmedDefaultSet = "hub.modes.disarmed_default.set" (ModeFlags) -> Empty, Idempotent, ClientSource "pi", ["hub.modes.changed"];
        /// Enables or disables alarms on emergencies in a mode (parameters inferred).
        ModesProtectSet = "hub.modes.protect.set" (ModeFlags) -> Empty, Idempotent, ClientSource "pi", ["hub.modes.changed"];
        /// Sets the kind of emergency of a button. No method removes it (parameters inferred).
        ModesProtectButtonsSet = "hub.modes.protect.buttons.set" (ProtectButton) -> Empty, Idempotent, ClientSource "pi", ["hub.modes.protect.buttons.updated"];
        /// Sets the entry delays in seconds, by kind of entry (parameters inferred).
        ModesEntryDelaySet = "hub.modes.entry_delay.set" (EntryDelay) -> Empty, Idempotent, ClientSource "pi", ["hub.modes.entry_delay.changed"];
        /// Resets the entry delays to their defaults.
        ModesEntryDelayReset = "hub.modes.entry_delay.reset" (Empty) -> Empty, Idempotent, ClientSource "pi", ["hub.modes.entry_delay.changed"];
        /// Cancels the alarm during its entry delay.
        ModesEntryDelayCancel = "hub.modes.entry_delay.cancel" (Empty) -> Empty, Command, ClientSource "pi", ["hub.modes.alarmed"];
        /// Ends the entry delay, so that the alarm sounds at once.
        ModesEntryDelaySkip = "hub.modes.entry_delay.skip" (Empty) -> Empty, Command, ClientSource "pi", ["hub.modes.alarmed"];
        /// Silences the alarm.
        ModesLocalAlarmOff = "hub.modes.local.alarm.off" (Empty) -> Empty, Command, ClientSource "pi", ["hub.modes.alarmed"];
        /// Switches to Home without a delay and ends the alarm.
        ModesForceDisarm = "hub.modes.force_disarm" (Empty) -> Empty, Idempotent, ClientSource "pi", ["hub.modes.switched", "hub.modes.alarmed"];
        /// Returns the devices that trip too often.
        SwingerShutdownList = "hub.modes.swinger.shutdown.list" (Empty) -> SwingerList, Read, ClientSource "pi", [];
        /// Resets the count of trips of a device.
        SwingerShutdownReset = "hub.modes.swinger.shutdown.reset" (SwingerSet) -> Empty, Idempotent, ClientSource "pi", ["hub.modes.swinger.shutdown.reset.done"];
        /// Excludes a device from the alarm.
        SwingerDisableAdd = "hub.modes.swinger.shutdown.disable.add" (SwingerSet) -> Empty, Idempotent, ClientSource "pi", ["hub.modes.swinger.shutdown.disable.added"];
        /// Includes a device in the alarm again. The broadcast is misspelt (pi).
        SwingerDisableRemove = "hub.modes.swinger.shutdown.disable.remove" (SwingerSet) -> Empty, Idempotent, ClientSource "pi", ["hub.modes.swinger.shutdown.disable.remved"];
        /// Sets the limits of a device.
        SwingerLimitSet = "hub.modes.swinger.shutdown.limit.set" (SwingerSet) -> Empty, Idempotent, ClientSource "pi", ["hub.modes.swinger.shutdown.limits.changed"];
        /// Resets the limits of a device.
        SwingerLimitReset = "hub.modes.swinger.shutdown.limit.reset" (SwingerSet) -> Empty, Idempotent, ClientSource "pi", ["hub.modes.swinger.shutdown.limits.changed"];
        /// Sets the limits of a device, under an older name (parameters as of `…limit.set`).
        SwingerShutdownSet = "hub.modes.swinger.shutdown.set" (SwingerSet) -> Empty, Idempotent, Inferred "name only", ["hub.modes.swinger.shutdown.limits.changed"];
    }
    "scenes" {
        /// Returns all scenes.
        ScenesList = "hub.scenes.list" (Empty) -> SceneList, Read, Vendor "guide20:p43", [];
        /// Returns a scene.
        SceneGet = "hub.scenes.get" (SceneRef) -> Scene, Read, ClientSource "pi", [];
        /// Creates a scene. Its id is only in the broadcast.
        SceneCreate = "hub.scenes.create" (Scene) -> Empty, Command, Vendor "guide20:p37", ["hub.scene.added"];
        /// Replaces a scene.
        SceneEditRun = "hub.scenes.edit" (SceneEdit) -> Empty, Idempotent, Vendor "guide20:p45", ["hub.scene.changed"];
        /// Deletes a scene.
        SceneDelete = "hub.scenes.delete" (SceneRef) -> Empty, Command, Vendor "guide20:p48", ["hub.scene.deleted"];
        /// Runs a scene at once.
        SceneRunNow = "hub.scenes.run" (SceneRun) -> Empty, Command, ClientSource "hubkit:389", ["hub.scene.run.progress"];
        /// Returns templates of blocks for devices.
        SceneBlocksList = "hub.scenes.blocks.list" (BlockQuery) -> BlockList, Read, Vendor "guide20:p50", [];
        /// Enables or disables a scene (parameters inferred).
        SceneEnabledSet = "hub.scenes.enabled.set" (SceneSwitch) -> Empty, Idempotent, Vendor "guide20:p93", ["hub.scene.changed"];
        /// Adds a user to the notified users of a scene (parameters inferred).
        SceneNotificationAdd = "hub.scenes.notification.add" (SceneUser) -> Empty, Idempotent, Vendor "guide20:p93", ["hub.scene.changed"];
        /// Removes a user from the notified users of a scene (parameters inferred).
        SceneNotificationRemove = "hub.scenes.notification.remove" (SceneUser) -> Empty, Idempotent, Vendor "guide20:p93", ["hub.scene.changed"];
        /// Moves a scene to a room (parameters inferred).
        SceneRoomSet = "hub.scenes.room.set" (SceneRoom) -> Empty, Idempotent, Vendor "guide20:p93", ["hub.scene.changed"];
        /// Renames a scene (parameters inferred).
        SceneNameSet = "hub.scenes.name.set" (SceneName) -> Empty, Idempotent, ClientSource "pi", ["hub.scene.changed"];
        /// Sets the house modes in which a scene runs (parameters inferred).
        SceneModesSet = "hub.scenes.house_modes.set" (SceneModes) -> Empty, Idempotent, ClientSource "pi", ["hub.scene.changed"];
        /// Stops a running scene (parameters inferred).
        SceneStop = "hub.scenes.stop" (SceneRun) -> Empty, Command, ClientSource "pi", ["hub.scene.run.progress"];
        /// Enables or disables a block of a scene.
        SceneBlockEnabledSet = "hub.scenes.block.enabled.set" (BlockSwitch) -> Empty, Idempotent, Vendor "mios", ["hub.scene.added"];
        /// Creates a copy of a scene.
        SceneCloneRun = "hub.scenes.clone" (SceneClone) -> Empty, Command, ClientSource "pi", ["hub.scene.added"];
        /// Sets the data of clients of a scene.
        SceneMetaSet = "hub.scenes.meta.set" (SceneMeta) -> Empty, Idempotent, ClientSource "pi", ["hub.scene.changed"];
        /// Sets the data of clients of a block.
        SceneBlockMetaSet = "hub.scenes.block.meta.set" (BlockMeta) -> Empty, Idempotent, ClientSource "pi", ["hub.scene.changed"];
        /// Resets the latches of a scene or of one block.
        SceneBlockStatusReset = "hub.scenes.block.status.reset" (BlockReset) -> Empty, Idempotent, Vendor "d22, pi", [];
        /// Returns a scene. The result of other firmware is not known.
        SceneStatusGet = "hub.scenes.status.get" (SceneRef) -> Scene, Read, ClientSource "pi", [];
        /// Returns the scenes with a time condition.
        SceneTimeList = "hub.scenes.time.list" (Empty) -> TimeScenes, Read, ClientSource "pi", [];
        /// Returns the devices that conditions of scenes mention.
        SceneTriggerDevicesList = "hub.scenes.trigger.devices.list" (Empty) -> TriggerDevices, Read, ClientSource "pi", [];
        /// Returns the vocabulary of blocks for an editor of scenes.
        SceneBlockDataList = "hub.scenes.block.data.list" (BlockDataQuery) -> Value, Read, Vendor "d22, pi", [];
        /// Creates a global scene, whose id the cloud assigns.
        GlobalSceneCreate = "hub.scenes.global.create" (GlobalScene) -> Empty, Command, Vendor "d22", ["hub.scene.global.added"];
        /// Replaces a global scene (parameters inferred).
        GlobalSceneEdit = "hub.scenes.global.edit" (GlobalScene) -> Empty, Idempotent, Vendor "d22 (name)", ["hub.scene.global.added"];
        /// Returns the global scenes (result inferred).
        GlobalScenesList = "hub.scenes.global.list" (Empty) -> GlobalSceneList, Read, Vendor "d22 (name)", [];
        /// Deletes a global scene (parameters inferred).
        GlobalSceneDelete = "hub.scenes.global.delete" (SceneRef) -> Empty, Idempotent, Vendor "d22 (name)", [];
        /// Runs a global scene (parameters inferred).
        GlobalSceneRun = "hub.scenes.global.run" (SceneRun) -> Empty, Command, Vendor "d22 (name)", ["hub.scene.global.run.progress"];
    }
    "expressions and scripts" {
        /// Creates or changes an expression or a variable.
        ExpressionSet = "hub.scenes.expressions.set" (Expression) -> Empty, Idempotent, Vendor "d22, pi", ["hub.expression.added", "hub.expression.changed"];
        /// Returns expressions and variables.
        ExpressionsList = "hub.scenes.expressions.list" (ExpressionQuery) -> ExpressionList, Read, Vendor "d22, pi", [];
        /// Deletes an expression or a variable.
        ExpressionDelete = "hub.scenes.expressions.delete" (ExpressionRef) -> Empty, Command, ClientSource "pi", ["hub.expression.deleted"];
        /// Returns all scripts with `_id` and `name`.
        ScriptsList = "hub.scenes.scripts.list" (Empty) -> Vec<Script>, Read, ClientSource "pi", [];
        /// Returns a script.
        ScriptGet = "hub.scenes.scripts.get" (ScriptRef) -> Script, Read, ClientSource "pi", [];
        /// Creates a script and returns its id.
        ScriptAdd = "hub.scenes.scripts.add" (Script) -> ScriptRef, Command, ClientSource "pi", [];
        /// Changes a script.
        ScriptSet = "hub.scenes.scripts.set" (Script) -> Empty, Idempotent, ClientSource "pi", [];
        /// Deletes a script.
        ScriptDelete = "hub.scenes.scripts.delete" (ScriptRef) -> Empty, Command, ClientSource "pi", [];
        /// Runs a script.
        ScriptRun = "hub.scenes.scripts.run" (ScriptRef) -> Empty, Command, ClientSource "pi", [];
    }
    "gateways" {
        /// Returns all gateways.
        GatewaysList = "hub.gateways.list" (Empty) -> GatewayList, Read, Vendor "zip", [];
        /// Returns the settings of a gateway (result inferred).
        GatewaySettingsList = "hub.gateway.settings.list" (GatewayRef) -> GatewaySettings, Read, Inferred "name only", [];
        /// Sets a setting of a gateway (parameters inferred).
        GatewaySettingValueSet = "hub.gateway.setting.value.set" (GatewaySettingSet) -> Empty, Idempotent, Inferred "name only", [];
    }
    "plugins and Z-Wave" {
        /// Runs a script of a plugin.
        PluginScriptRun = "hub.extensions.plugin.run" (PluginRun) -> Empty, Command, Vendor "guide20:p7",
            ["hub.extensions.plugin.ui_broadcast", "hub.extensions.plugin.run.progress"];
    }
    "network" {
        /// Returns the network interfaces.
        NetworkGet = "hub.network.get" (Empty) -> Network, Read, Vendor "zip", [];
        /// Erases all network settings and closes the connection. The guide shows no reply.
        NetworkReset = "hub.network.reset" (Empty) -> Empty, Command, Vendor "guide20:p19", [];
        /// Starts a Wi-Fi scan.
        WifiScanStart = "hub.network.wifi.scan.start" (ScanQuery) -> Empty, Command, Vendor "guide20:p81", ["hub.network.wifi.scan.progress"];
        /// Stops a Wi-Fi scan.
        WifiScanStop = "hub.network.wifi.scan.stop" (ScanQuery) -> Empty, Idempotent, Vendor "guide20:p81", ["hub.network.wifi.scan.progress"];
        /// Checks the name and key of a network without joining it (parameters inferred).
        WifiTryConnect = "hub.network.wifi.try_connect" (WifiTry) -> Empty, Command, Inferred "pi (name)", [];
        /// Switches an interface on or off (parameters inferred).
        InterfaceEnabledSet = "hub.network.enabled.set" (InterfaceEnabled) -> Empty, Idempotent, Inferred "name only", ["hub.network.changed"];
    }
    "firmware" {
        /// Returns the versions of firmware, add-ons and plugins.
        SoftwareInfoGet = "hub.software.info.get" (Empty) -> SoftwareInfo, Read, Vendor "guide20:p59", [];
        /// Starts the return to the native Vera firmware.
        LuupSwitch = "hub.firmware.luup.switch" (Empty) -> Empty, Command, Vendor "guide20:p60", [];
        /// Updates the packages of a Linux hub (parameters inferred).
        SoftwareUpdateRun = "hub.software.update.execute" (Empty) -> Empty, Command, Vendor "mios", ["hub.software.update.progress"];
        /// Starts a firmware update; newer EzloPi firmware.
        FirmwareUpdateStart = "hub.firmware.update.start" (FirmwareUpdate) -> Empty, Command, Vendor "mios", ["hub.firmware.update.progress"];
        /// Starts a firmware update of an Atom.
        FirmwareUpdateRun = "hub.firmware.update" (FirmwareUpdate) -> Empty, Command, Inferred "mios (name)", ["hub.firmware.update.progress"];
        /// Updates the firmware of a device (parameters inferred).
        DeviceFirmwareUpdateRun = "hub.device.firmware.update" (DeviceFirmwareUpdateStart) -> Empty, Command, Inferred "name only", ["hub.device.firmware.update.progress"];
    }
    "maintenance" {
        /// Restarts the hub.
        Reboot = "hub.reboot" (Empty) -> Empty, Command, ClientSource "ezclient:725", [];
        /// Resets the hub.
        ResetRun = "hub.reset" (Reset) -> Empty, Command, Vendor "guide20:p55", [];
        /// Returns the time zones that the hub supports.
        LocationsList = "hub.time.location.list" (Empty) -> TimeLocations, Read, Vendor "zip", [];
        /// Returns the time zone of the hub.
        LocationGet = "hub.time.location.get" (Empty) -> TimeLocation, Read, Vendor "zip", [];
        /// Sets the time zone. Without a parameter, the hub uses the default again.
        LocationSet = "hub.time.location.set" (TimeLocation) -> Empty, Idempotent, Vendor "zip", [];
        /// Returns the coordinates of the hub.
        CoordinatesGet = "hub.coordinates.get" (Empty) -> Coordinates, Read, Vendor "zip", [];
        /// Sets the coordinates of the hub.
        CoordinatesSet = "hub.coordinates.set" (Coordinates) -> Empty, Idempotent, Vendor "zip", [];
        /// Switches the log of the hub in the cloud on or off.
        LogSet = "hub.log.set" (LogSettings) -> Empty, Idempotent, ClientSource "pi, hapi", [];
        /// Sets the severity of the log on the hub.
        LogLocalSet = "hub.log.local.set" (LogSettings) -> Empty, Idempotent, ClientSource "pi", [];
        /// Returns the processes and the memory of the hub.
        StatusGet = "hub.status.get" (Empty) -> HubStatus, Read, ClientSource "pi", [];
        /// Sets the description of the hub (parameters inferred).
        DescriptionSet = "hub.description.set" (HubDescription) -> Empty, Idempotent, Inferred "name only", ["hub.info.changed"];
        /// Registers the hub at the relay again.
        NmaRegisterRepeat = "hub.nma.register.repeat" (Empty) -> Empty, Idempotent, ClientSource "pi (name)", [];
        /// Returns the firmware version (result inferred).
        VersionGet = "hub.version.get" (Empty) -> HubVersion, Read, Inferred "name only", [];
        /// Returns the features of the hub, which the vendor's app asks for on connecting.
        FeaturesList = "hub.features.list" (Empty) -> FeatureList, Read, Inferred "public firmware source", [];
        /// Switches a feature on or off (parameters inferred).
        FeatureStatusSet = "hub.feature.status.set" (FeatureStatus) -> Empty, Idempotent, Inferred "name only", [];
        /// Returns custom nodes, which the vendor's app asks for on connecting (result inferred).
        CustomNodesList = "hub.custom.nodes.list" (Empty) -> CustomNodes, Read, Inferred "name only", [];
    }
    "favourites" {
        /// Returns the favourites.
        FavoritesList = "hub.favorite.list" (FavoriteQuery) -> FavoriteList, Read, Vendor "zip", [];
        /// Adds or removes favourites.
        FavoritesSet = "hub.favorite.set" (FavoriteSet) -> Empty, Idempotent, Vendor "mios", ["hub.favorite.added", "hub.favorite.removed"];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::broadcast::BROADCASTS;

    #[test]
    fn methods_are_unique_and_name_existing_broadcasts() {
        for (at, method) in METHODS.iter().enumerate() {
            assert!(METHODS[..at].iter().all(|earlier| earlier.name != method.name), "{}", method.name);
            for name in method.broadcasts {
                assert!(BROADCASTS.iter().any(|broadcast| broadcast.name == *name), "{name}");
            }
        }
    }
}
