//! Every method whose shape is known: one table for the typed client, the simulator's dispatch and the documents.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::device::{
    DeviceArmed, DeviceCheck, DeviceGroupList, DeviceGroupQuery, DeviceList, DeviceName, DeviceRef, DeviceRoom,
};
use super::gateway::{GatewayList, PluginRun};
use super::info::HubInfo;
use super::item::{DictionaryChange, ItemList, ItemQuery, ItemValueSet};
use super::login::{LoginUserMios, OfflineLogin, Register, Switch};
use super::maintenance::{
    Coordinates, DataList, DataQuery, FavoriteList, FavoriteQuery, FavoriteSet, FirmwareUpdate, Reset, SoftwareInfo,
    TimeLocation, TimeLocations,
};
use super::mode::{
    CurrentMode, EntryDelay, ModeDelay, ModeDevices, ModeFlags, ModeNotifications, ModeSwitch, ModeSwitching,
    ModesState, ProtectButton,
};
use super::network::{Network, ScanQuery};
use super::room::{RoomCreate, RoomCreated, RoomList, RoomOrder, RoomRef};
use super::scene::{
    BlockList, BlockQuery, BlockSwitch, Scene, SceneEdit, SceneList, SceneModes, SceneName, SceneRef, SceneRoom,
    SceneRun, SceneSwitch, SceneUser,
};
use super::setting::{DeviceSettingList, DeviceSettingQuery, DeviceSettingSet, HubSettingList, HubSettingSet};
use super::{Empty, room::Room};
use crate::evidence::Evidence;
use crate::wire::{self, DecodeError};

/// What sending a call twice would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Changes nothing.
    Read,
    /// Changes something, to the same state however often.
    Idempotent,
    /// Does something each time; never sent twice by itself.
    Command,
}

impl Kind {
    /// The word used in listings.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Idempotent => "idempotent",
            Self::Command => "command",
        }
    }
}

/// A method as a type: its name, its parameters, its result.
pub trait Method {
    /// Name on the wire.
    const NAME: &'static str;
    /// What sending it twice would do.
    const KIND: Kind;
    /// Its parameters.
    type Params: Serialize + DeserializeOwned + wire::Document + Send + 'static;
    /// Its result.
    type Output: Serialize + DeserializeOwned + Send + 'static;
}

/// Reads a payload into its type and writes it out again.
pub type RoundTrip = fn(&Value) -> Result<Value, DecodeError>;

pub(crate) fn round_trip<T: Serialize + DeserializeOwned>(value: &Value) -> Result<Value, DecodeError> {
    wire::from_value::<T>(value).map(|typed| wire::to_value(&typed))
}

/// A row of the table.
#[derive(Debug, Clone, Copy)]
pub struct MethodSpec {
    /// Name on the wire.
    pub name: &'static str,
    /// Which of the hub's areas it belongs to.
    pub area: &'static str,
    /// Values of `api` under which it is known; a request without `api` means `1.0`.
    pub api: &'static [&'static str],
    /// What sending it twice would do.
    pub kind: Kind,
    /// How its shape is known.
    pub evidence: Evidence,
    /// Where from (the tags are those of the protocol reference).
    pub source: &'static str,
    /// Broadcasts it leads to.
    pub broadcasts: &'static [&'static str],
    /// Names of the members of its parameters.
    pub members: &'static [&'static str],
    /// Name of the type of its parameters in this crate.
    pub params_type: &'static str,
    /// Name of the type of its result in this crate.
    pub result_type: &'static str,
    /// Parameters through their type and back.
    pub params: RoundTrip,
    /// Result through its type and back.
    pub result: RoundTrip,
}

/// Older names of methods that hubs still take, each with the name it has now.
pub const ALIASES: &[(&str, &str)] = &[("extensions.plugin.run", "hub.extensions.plugin.run")];

/// The name a method has now.
pub fn current_name(name: &str) -> &str {
    ALIASES.iter().find(|(old, _)| *old == name).map_or(name, |(_, now)| now)
}

/// The row of that name, or of the name it had before.
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
            #[derive(Debug, Clone, Copy)]
            pub struct $type;

            impl Method for $type {
                const NAME: &'static str = $name;
                const KIND: Kind = Kind::$kind;
                type Params = $params;
                type Output = $result;
            }
        )* )*

        /// The table.
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
        /// Chooses the hub a relay connection is about; answered as `registered`.
        RelayRegister = "register" (Register) -> Empty, Idempotent, Captured "mlock", [];
    }
    "offline access" {
        /// Logs a user in at the hub.
        LocalLogin = "hub.offline.login.ui" (OfflineLogin) -> Empty, Idempotent, ClientSource "hubkit:155", [];
        /// Whether local calls need no login; takes effect with a reboot.
        AnonymousAccessSet = "hub.offline.anonymous_access.enabled.set" (Switch) -> Empty, Idempotent, ClientSource "ezclient:719", [];
        /// Whether the local port takes clear text; drops the connection.
        InsecureAccessSet = "hub.offline.insecure_access.enabled.set" (Switch) -> Empty, Idempotent, ClientSource "ezclient:731", [];
    }
    "info" {
        /// What the hub is.
        InfoGet = "hub.info.get" (Empty) -> HubInfo, Read, Captured "ezlopi_hub_info_get", [];
        /// Many collections at once.
        DataListGet = "hub.data.list" (DataQuery) -> DataList, Read, ClientSource "hubkit:206", [];
    }
    "devices" {
        /// All devices.
        DevicesList = "hub.devices.list" (Empty) -> DeviceList, Read, Captured "ezlopi_hub_devices_list", [];
        /// Renames a device.
        DeviceNameSet = "hub.device.name.set" (DeviceName) -> Empty, Idempotent, Vendor "zip", ["hub.device.updated"];
        /// Moves a device.
        DeviceRoomSet = "hub.device.room.set" (DeviceRoom) -> Empty, Idempotent, Vendor "guide20:p19", ["hub.device.updated"];
        /// Arms a device.
        DeviceArmedSet = "hub.device.armed.set" (DeviceArmed) -> Empty, Idempotent, Vendor "zip", ["hub.device.updated"];
        /// Asks the plugin for fresh values.
        DeviceCheckRun = "hub.device.check" (DeviceCheck) -> Empty, Idempotent, Vendor "zip", [];
        /// Removes a device that does not answer.
        DeviceForceRemove = "hub.device.force_remove" (DeviceRef) -> Empty, Command, Vendor "zip", ["hub.item.removed", "hub.device.removed"];
        /// Groups of devices; with `version`, only that when it is still the newest.
        DeviceGroupsList = "hub.device.groups.list" (DeviceGroupQuery) -> DeviceGroupList, Read, ClientSource "pi", [];
    }
    "items" {
        /// Items, of all or some devices.
        ItemsList = "hub.items.list" (ItemQuery) -> ItemList, Read, Vendor "guide20:p12", [];
        /// Sets items.
        ItemSet = "hub.item.value.set" (ItemValueSet) -> Empty, Command, Vendor "guide20:p12", ["hub.item.updated"];
    }
    "dictionary items" {
        /// Adds an element to a dictionary item; the hub makes the key.
        DictionaryAdd = "hub.item.dictionary.value.add" (DictionaryChange) -> Empty, Command, Vendor "mios", ["hub.item.dictionary.updated"];
        /// Changes an element of a dictionary item.
        DictionarySet = "hub.item.dictionary.value.set" (DictionaryChange) -> Empty, Command, Vendor "mios", ["hub.item.dictionary.updated"];
        /// Removes an element of a dictionary item.
        DictionaryRemove = "hub.item.dictionary.value.remove" (DictionaryChange) -> Empty, Command, ClientSource "mlock", ["hub.item.dictionary.updated"];
    }
    "settings" {
        /// Settings of devices.
        DeviceSettingsList = "hub.device.settings.list" (DeviceSettingQuery) -> DeviceSettingList, Read, Vendor "mios", [];
        /// Sets a setting of a device.
        DeviceSettingValueSet = "hub.device.setting.value.set" (DeviceSettingSet) -> Empty, Idempotent, Vendor "mios", ["hub.device.setting.updated"];
        /// Sets a setting of a device back.
        DeviceSettingReset = "hub.device.setting.reset" (DeviceSettingSet) -> Empty, Idempotent, Vendor "mios", ["hub.device.setting.updated"];
        /// Settings of the hub.
        SettingsList = "hub.settings.list" (Empty) -> HubSettingList, Read, ClientSource "bridge", [];
        /// Sets a setting of the hub.
        SettingSet = "hub.setting.value.set" (HubSettingSet) -> Empty, Idempotent, ClientSource "pi", ["hub.setting.updated"];
    }
    "rooms" {
        /// All rooms, in order.
        RoomsList = "hub.room.list" (Empty) -> RoomList, Read, Captured "ezlopi_hub_room_list_empty", [];
        /// Makes a room.
        RoomAdd = "hub.room.create" (RoomCreate) -> RoomCreated, Command, Vendor "guide20:p17", ["hub.room.created"];
        /// Renames a room.
        RoomNameSet = "hub.room.name.set" (Room) -> Empty, Idempotent, Vendor "zip", ["hub.room.edited"];
        /// Orders the rooms.
        RoomOrderSet = "hub.room.order.set" (RoomOrder) -> Empty, Idempotent, Vendor "zip", ["hub.room.reordered"];
        /// Removes a room; its devices stay.
        RoomDelete = "hub.room.delete" (RoomRef) -> Empty, Command, Vendor "guide20:p18", ["hub.room.deleted"];
    }
    "modes" {
        /// The house modes.
        ModesGet = "hub.modes.get" (Empty) -> ModesState, Read api "1.0" "2.0", Vendor "guide20:p14", [];
        /// The mode the house is in.
        ModesCurrent = "hub.modes.current.get" (Empty) -> CurrentMode, Read api "1.0" "2.0", Vendor "guide20:p16", [];
        /// Switches the mode, after the mode's delay.
        ModesSwitch = "hub.modes.switch" (ModeSwitch) -> ModeSwitching, Command api "1.0" "2.0", Vendor "guide20:p17", ["hub.modes.switched"];
        /// Calls a switch off.
        ModesCancelSwitch = "hub.modes.cancel_switch" (Empty) -> Empty, Command api "1.0" "2.0", ClientSource "ezclient:1177", ["hub.modes.switched"];
        /// Disarms devices in a mode.
        ModesDisarmedAdd = "hub.modes.disarmed_devices.add" (ModeDevices) -> Empty, Idempotent, Vendor "zip", ["hub.modes.disarmed_devices.added"];
        /// Arms devices in a mode again.
        ModesDisarmedRemove = "hub.modes.disarmed_devices.remove" (ModeDevices) -> Empty, Idempotent, Vendor "zip", ["hub.modes.disarmed_devices.removed"];
        /// Silences devices in a mode.
        ModesAlarmsOffAdd = "hub.modes.alarms_off.add" (ModeDevices) -> Empty, Idempotent, Vendor "zip", ["hub.modes.alarms_off.added"];
        /// Lets devices sound in a mode again.
        ModesAlarmsOffRemove = "hub.modes.alarms_off.remove" (ModeDevices) -> Empty, Idempotent, Vendor "zip", ["hub.modes.alarms_off.removed"];
        /// Turns cameras off in a mode.
        ModesCamerasOffAdd = "hub.modes.cameras_off.add" (ModeDevices) -> Empty, Idempotent, ClientSource "pi", ["hub.modes.cameras_off.added"];
        /// Lets cameras run in a mode again.
        ModesCamerasOffRemove = "hub.modes.cameras_off.remove" (ModeDevices) -> Empty, Idempotent, ClientSource "pi", ["hub.modes.cameras_off.removed"];
        /// Leaves devices out until the next switch.
        ModesBypassAdd = "hub.modes.bypass_devices.add" (ModeDevices) -> Empty, Idempotent, ClientSource "pi", ["hub.modes.bypass_devices.added"];
        /// Takes devices back in.
        ModesBypassRemove = "hub.modes.bypass_devices.remove" (ModeDevices) -> Empty, Idempotent, ClientSource "pi", ["hub.modes.bypass_devices.removed"];
        /// Adds devices to those whose emergencies count in a mode (parameters inferred).
        ModesProtectDevicesAdd = "hub.modes.protect.devices.add" (ModeDevices) -> Empty, Idempotent, ClientSource "pi", ["hub.modes.protect.devices.added"];
        /// Removes devices from those whose emergencies count in a mode (parameters inferred).
        ModesProtectDevicesRemove = "hub.modes.protect.devices.remove" (ModeDevices) -> Empty, Idempotent, ClientSource "pi", ["hub.modes.protect.devices.removed"];
        /// Seconds from the request to the switch (parameters inferred).
        ModesSwitchDelaySet = "hub.modes.switch_to_delay.set" (ModeDelay) -> Empty, Idempotent, ClientSource "pi", ["hub.modes.changed"];
        /// Seconds from a trip to the alarm (parameters inferred).
        ModesAlarmDelaySet = "hub.modes.alarm_delay.set" (ModeDelay) -> Empty, Idempotent, ClientSource "pi", ["hub.modes.changed"];
        /// Which users a mode tells (parameters inferred).
        ModesNotificationsSet = "hub.modes.notifications.set" (ModeNotifications) -> Empty, Idempotent, ClientSource "pi", ["hub.modes.notifications.notify_all", "hub.modes.notifications.added", "hub.modes.notifications.removed"];
        /// Whether the built-in list of disarmed devices applies (parameters inferred).
        ModesDisarmedDefaultSet = "hub.modes.disarmed_default.set" (ModeFlags) -> Empty, Idempotent, ClientSource "pi", ["hub.modes.changed"];
        /// Whether emergencies raise an alarm in a mode (parameters inferred).
        ModesProtectSet = "hub.modes.protect.set" (ModeFlags) -> Empty, Idempotent, ClientSource "pi", ["hub.modes.changed"];
        /// What an emergency button calls for; nothing takes it away (parameters inferred).
        ModesProtectButtonsSet = "hub.modes.protect.buttons.set" (ProtectButton) -> Empty, Idempotent, ClientSource "pi", ["hub.modes.protect.buttons.updated"];
        /// Seconds from a trip to the alarm, by kind (parameters inferred).
        ModesEntryDelaySet = "hub.modes.entry_delay.set" (EntryDelay) -> Empty, Idempotent, ClientSource "pi", ["hub.modes.entry_delay.changed"];
        /// Entry delays back to their defaults.
        ModesEntryDelayReset = "hub.modes.entry_delay.reset" (Empty) -> Empty, Idempotent, ClientSource "pi", ["hub.modes.entry_delay.changed"];
        /// Calls the alarm off while its entry delay runs.
        ModesEntryDelayCancel = "hub.modes.entry_delay.cancel" (Empty) -> Empty, Command, ClientSource "pi", ["hub.modes.alarmed"];
        /// Ends the entry delay now: the alarm sounds.
        ModesEntryDelaySkip = "hub.modes.entry_delay.skip" (Empty) -> Empty, Command, ClientSource "pi", ["hub.modes.alarmed"];
        /// Silences the alarm.
        ModesLocalAlarmOff = "hub.modes.local.alarm.off" (Empty) -> Empty, Command, ClientSource "pi", ["hub.modes.alarmed"];
        /// Back to Home at once.
        ModesForceDisarm = "hub.modes.force_disarm" (Empty) -> Empty, Idempotent, ClientSource "pi", ["hub.modes.switched", "hub.modes.alarmed"];
    }
    "scenes" {
        /// All scenes.
        ScenesList = "hub.scenes.list" (Empty) -> SceneList, Read, Vendor "guide20:p43", [];
        /// One scene.
        SceneGet = "hub.scenes.get" (SceneRef) -> Scene, Read, ClientSource "pi", [];
        /// Makes a scene; its id travels only in the broadcast.
        SceneCreate = "hub.scenes.create" (Scene) -> Empty, Command, Vendor "guide20:p37", ["hub.scene.added"];
        /// Replaces a scene.
        SceneEditRun = "hub.scenes.edit" (SceneEdit) -> Empty, Idempotent, Vendor "guide20:p45", ["hub.scene.changed"];
        /// Removes a scene.
        SceneDelete = "hub.scenes.delete" (SceneRef) -> Empty, Command, Vendor "guide20:p48", ["hub.scene.deleted"];
        /// Runs a scene now.
        SceneRunNow = "hub.scenes.run" (SceneRun) -> Empty, Command, ClientSource "hubkit:389", ["hub.scene.run.progress"];
        /// Templates for blocks.
        SceneBlocksList = "hub.scenes.blocks.list" (BlockQuery) -> BlockList, Read, Vendor "guide20:p50", [];
        /// Lets a scene run by itself or not (parameters inferred).
        SceneEnabledSet = "hub.scenes.enabled.set" (SceneSwitch) -> Empty, Idempotent, Vendor "guide20:p93", ["hub.scene.changed"];
        /// Adds a user to those a scene tells (parameters inferred).
        SceneNotificationAdd = "hub.scenes.notification.add" (SceneUser) -> Empty, Idempotent, Vendor "guide20:p93", ["hub.scene.changed"];
        /// Removes a user from those a scene tells (parameters inferred).
        SceneNotificationRemove = "hub.scenes.notification.remove" (SceneUser) -> Empty, Idempotent, Vendor "guide20:p93", ["hub.scene.changed"];
        /// Moves a scene (parameters inferred).
        SceneRoomSet = "hub.scenes.room.set" (SceneRoom) -> Empty, Idempotent, Vendor "guide20:p93", ["hub.scene.changed"];
        /// Renames a scene (parameters inferred).
        SceneNameSet = "hub.scenes.name.set" (SceneName) -> Empty, Idempotent, ClientSource "pi", ["hub.scene.changed"];
        /// Modes in which a scene runs (parameters inferred).
        SceneModesSet = "hub.scenes.house_modes.set" (SceneModes) -> Empty, Idempotent, ClientSource "pi", ["hub.scene.changed"];
        /// Stops a running scene (parameters inferred).
        SceneStop = "hub.scenes.stop" (SceneRun) -> Empty, Command, ClientSource "pi", ["hub.scene.run.progress"];
        /// Lets one block of a scene count or not.
        SceneBlockEnabledSet = "hub.scenes.block.enabled.set" (BlockSwitch) -> Empty, Idempotent, Vendor "mios", ["hub.scene.changed"];
    }
    "gateways" {
        /// All gateways.
        GatewaysList = "hub.gateways.list" (Empty) -> GatewayList, Read, Vendor "zip", [];
    }
    "plugins and Z-Wave" {
        /// Runs a plugin's script.
        PluginScriptRun = "hub.extensions.plugin.run" (PluginRun) -> Empty, Command, Vendor "guide20:p7",
            ["hub.extensions.plugin.ui_broadcast", "hub.extensions.plugin.run.progress"];
    }
    "network" {
        /// The network interfaces.
        NetworkGet = "hub.network.get" (Empty) -> Network, Read, Vendor "zip", [];
        /// Erases all network settings; no answer is shown.
        NetworkReset = "hub.network.reset" (Empty) -> Empty, Command, Vendor "guide20:p19", [];
        /// Looks for networks.
        WifiScanStart = "hub.network.wifi.scan.start" (ScanQuery) -> Empty, Command, Vendor "guide20:p81", ["hub.network.wifi.scan.progress"];
        /// Stops looking for networks.
        WifiScanStop = "hub.network.wifi.scan.stop" (ScanQuery) -> Empty, Idempotent, Vendor "guide20:p81", ["hub.network.wifi.scan.progress"];
    }
    "firmware" {
        /// Versions of firmware, add-ons and plugins.
        SoftwareInfoGet = "hub.software.info.get" (Empty) -> SoftwareInfo, Read, Vendor "guide20:p59", [];
        /// Back to the native Vera firmware.
        LuupSwitch = "hub.firmware.luup.switch" (Empty) -> Empty, Command, Vendor "guide20:p60", [];
        /// Updates packages; Linux hubs (parameters inferred).
        SoftwareUpdateRun = "hub.software.update.execute" (Empty) -> Empty, Command, Vendor "mios", ["hub.software.update.progress"];
        /// Starts an update; newer EzloPi firmware.
        FirmwareUpdateStart = "hub.firmware.update.start" (FirmwareUpdate) -> Empty, Command, Vendor "mios", ["hub.firmware.update.progress"];
    }
    "maintenance" {
        /// Restarts the hub.
        Reboot = "hub.reboot" (Empty) -> Empty, Command, ClientSource "ezclient:725", [];
        /// Resets the hub.
        ResetRun = "hub.reset" (Reset) -> Empty, Command, Vendor "guide20:p55", [];
        /// Time zones the hub knows.
        LocationsList = "hub.time.location.list" (Empty) -> TimeLocations, Read, Vendor "zip", [];
        /// The time zone the hub is in.
        LocationGet = "hub.time.location.get" (Empty) -> TimeLocation, Read, Vendor "zip", [];
        /// Sets the time zone; back to the default without one.
        LocationSet = "hub.time.location.set" (TimeLocation) -> Empty, Idempotent, Vendor "zip", [];
        /// Where the hub is.
        CoordinatesGet = "hub.coordinates.get" (Empty) -> Coordinates, Read, Vendor "zip", [];
        /// Says where the hub is.
        CoordinatesSet = "hub.coordinates.set" (Coordinates) -> Empty, Idempotent, Vendor "zip", [];
    }
    "favourites" {
        /// The favourites.
        FavoritesList = "hub.favorite.list" (FavoriteQuery) -> FavoriteList, Read, Vendor "zip", [];
        /// Marks favourites.
        FavoritesSet = "hub.favorite.set" (FavoriteSet) -> Empty, Idempotent, Vendor "mios", ["hub.favorite.added", "hub.favorite.removed"];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::broadcast::BROADCASTS;

    #[test]
    fn no_method_is_there_twice_and_every_broadcast_it_names_exists() {
        for (at, method) in METHODS.iter().enumerate() {
            assert!(METHODS[..at].iter().all(|earlier| earlier.name != method.name), "{}", method.name);
            for name in method.broadcasts {
                assert!(BROADCASTS.iter().any(|broadcast| broadcast.name == *name), "{name}");
            }
        }
    }
}
