//! Every method whose shape is known: one table for the typed client, the simulator's dispatch and the documents.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::device::{DeviceArmed, DeviceCheck, DeviceList, DeviceName, DeviceRef, DeviceRoom};
use super::gateway::{GatewayList, PluginRun};
use super::info::HubInfo;
use super::item::{DictionaryChange, ItemList, ItemQuery, ItemValueSet};
use super::login::{LoginUserMios, OfflineLogin, Register, Switch};
use super::maintenance::{DataList, DataQuery, FavoriteList, FavoriteQuery, FavoriteSet, Reset, SoftwareInfo};
use super::mode::{CurrentMode, ModeDevices, ModeSwitch, ModeSwitching, ModesState};
use super::network::{Network, ScanQuery};
use super::room::{RoomCreate, RoomCreated, RoomList, RoomOrder, RoomRef};
use super::scene::{BlockList, BlockQuery, Scene, SceneEdit, SceneList, SceneRef, SceneRun};
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

/// A method as a type: its name, its parameters, its result.
pub trait Method {
    /// Name on the wire.
    const NAME: &'static str;
    /// What sending it twice would do.
    const KIND: Kind;
    /// Its parameters.
    type Params: Serialize + DeserializeOwned + Send + 'static;
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
    /// What sending it twice would do.
    pub kind: Kind,
    /// How its shape is known.
    pub evidence: Evidence,
    /// Where from (the tags are those of the protocol reference).
    pub source: &'static str,
    /// Broadcasts it leads to.
    pub broadcasts: &'static [&'static str],
    /// Parameters through their type and back.
    pub params: RoundTrip,
    /// Result through its type and back.
    pub result: RoundTrip,
}

/// The row of that name.
pub fn spec(name: &str) -> Option<&'static MethodSpec> {
    METHODS.iter().find(|method| method.name == name)
}

macro_rules! methods {
    ($( $(#[$meta:meta])* $type:ident = $name:literal ($params:ty) -> $result:ty,
        $kind:ident, $evidence:ident $source:literal, [$($broadcast:literal),*]; )*) => {
        $(
            $(#[$meta])*
            #[derive(Debug, Clone, Copy)]
            pub struct $type;

            impl Method for $type {
                const NAME: &'static str = $name;
                const KIND: Kind = Kind::$kind;
                type Params = $params;
                type Output = $result;
            }
        )*

        /// The table.
        pub const METHODS: &[MethodSpec] = &[$( MethodSpec {
            name: $name,
            kind: Kind::$kind,
            evidence: Evidence::$evidence,
            source: $source,
            broadcasts: &[$($broadcast),*],
            params: round_trip::<$params>,
            result: round_trip::<$result>,
        } ),*];
    };
}

methods! {
    /// Logs a user in at the relay.
    RelayLogin = "loginUserMios" (LoginUserMios) -> Empty, Idempotent, Captured "nma_login_reply", [];
    /// Chooses the hub a relay connection is about; answered as `registered`.
    RelayRegister = "register" (Register) -> Empty, Idempotent, Captured "mlock", [];
    /// Logs a user in at the hub.
    LocalLogin = "hub.offline.login.ui" (OfflineLogin) -> Empty, Idempotent, ClientSource "hubkit:155", [];
    /// Whether local calls need no login; takes effect with a reboot.
    AnonymousAccessSet = "hub.offline.anonymous_access.enabled.set" (Switch) -> Empty, Idempotent, ClientSource "ezclient:719", [];
    /// Whether the local port takes clear text; drops the connection.
    InsecureAccessSet = "hub.offline.insecure_access.enabled.set" (Switch) -> Empty, Idempotent, ClientSource "ezclient:731", [];

    /// What the hub is.
    InfoGet = "hub.info.get" (Empty) -> HubInfo, Read, Captured "ezlopi_hub_info_get", [];
    /// Many collections at once.
    DataListGet = "hub.data.list" (DataQuery) -> DataList, Read, ClientSource "hubkit:206", [];
    /// All devices.
    DevicesList = "hub.devices.list" (Empty) -> DeviceList, Read, Captured "ezlopi_hub_devices_list", [];
    /// Items, of all or some devices.
    ItemsList = "hub.items.list" (ItemQuery) -> ItemList, Read, Vendor "guide20:p12", [];
    /// Sets items.
    ItemSet = "hub.item.value.set" (ItemValueSet) -> Empty, Command, Vendor "guide20:p12", ["hub.item.updated"];
    /// Adds an element to a dictionary item; the hub makes the key.
    DictionaryAdd = "hub.item.dictionary.value.add" (DictionaryChange) -> Empty, Command, Vendor "mios", ["hub.item.dictionary.updated"];
    /// Changes an element of a dictionary item.
    DictionarySet = "hub.item.dictionary.value.set" (DictionaryChange) -> Empty, Command, Vendor "mios", ["hub.item.dictionary.updated"];
    /// Removes an element of a dictionary item.
    DictionaryRemove = "hub.item.dictionary.value.remove" (DictionaryChange) -> Empty, Command, ClientSource "mlock", ["hub.item.dictionary.updated"];

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

    /// All rooms, in order.
    RoomsList = "hub.room.list" (Empty) -> RoomList, Read, Captured "ezlopi_hub_room_list_empty", [];
    /// Makes a room.
    RoomAdd = "hub.room.create" (RoomCreate) -> RoomCreated, Command, Vendor "guide20:p17", ["hub.room.created"];
    /// Renames a room.
    RoomNameSet = "hub.room.name.set" (Room) -> Empty, Idempotent, Vendor "zip", ["hub.room.edited"];
    /// Orders the rooms.
    RoomOrderSet = "hub.room.order.set" (RoomOrder) -> Empty, Idempotent, Vendor "zip", ["hub.room.reordered"];
    /// Removes a room; its devices stay.
    RoomDelete = "hub.room.delete" (RoomRef) -> Empty, Idempotent, Vendor "guide20:p18", ["hub.room.deleted"];

    /// The house modes.
    ModesGet = "hub.modes.get" (Empty) -> ModesState, Read, Vendor "guide20:p14", [];
    /// The mode the house is in.
    ModesCurrent = "hub.modes.current.get" (Empty) -> CurrentMode, Read, Vendor "guide20:p16", [];
    /// Switches the mode, after the mode's delay.
    ModesSwitch = "hub.modes.switch" (ModeSwitch) -> ModeSwitching, Command, Vendor "guide20:p17", ["hub.modes.switched"];
    /// Calls a switch off.
    ModesCancelSwitch = "hub.modes.cancel_switch" (Empty) -> Empty, Idempotent, ClientSource "ezclient:1177", ["hub.modes.switched"];
    /// Disarms devices in a mode.
    ModesDisarmedAdd = "hub.modes.disarmed_devices.add" (ModeDevices) -> Empty, Idempotent, Vendor "zip", ["hub.modes.disarmed_devices.added"];
    /// Arms devices in a mode again.
    ModesDisarmedRemove = "hub.modes.disarmed_devices.remove" (ModeDevices) -> Empty, Idempotent, Vendor "zip", ["hub.modes.disarmed_devices.removed"];
    /// Silences devices in a mode.
    ModesAlarmsOffAdd = "hub.modes.alarms_off.add" (ModeDevices) -> Empty, Idempotent, Vendor "zip", ["hub.modes.alarms_off.added"];
    /// Lets devices sound in a mode again.
    ModesAlarmsOffRemove = "hub.modes.alarms_off.remove" (ModeDevices) -> Empty, Idempotent, Vendor "zip", ["hub.modes.alarms_off.removed"];

    /// All scenes.
    ScenesList = "hub.scenes.list" (Empty) -> SceneList, Read, Vendor "guide20:p43", [];
    /// One scene.
    SceneGet = "hub.scenes.get" (SceneRef) -> Scene, Read, ClientSource "pi", [];
    /// Makes a scene; its id travels only in the broadcast.
    SceneCreate = "hub.scenes.create" (Scene) -> Empty, Command, Vendor "guide20:p37", ["hub.scene.added"];
    /// Replaces a scene.
    SceneEditRun = "hub.scenes.edit" (SceneEdit) -> Empty, Idempotent, Vendor "guide20:p45", ["hub.scene.changed"];
    /// Removes a scene.
    SceneDelete = "hub.scenes.delete" (SceneRef) -> Empty, Idempotent, Vendor "guide20:p48", ["hub.scene.deleted"];
    /// Runs a scene now.
    SceneRunNow = "hub.scenes.run" (SceneRun) -> Empty, Command, ClientSource "hubkit:389", ["hub.scene.run.progress"];
    /// Templates for blocks.
    SceneBlocksList = "hub.scenes.blocks.list" (BlockQuery) -> BlockList, Read, Vendor "guide20:p50", [];

    /// All gateways.
    GatewaysList = "hub.gateways.list" (Empty) -> GatewayList, Read, Vendor "zip", [];
    /// Runs a plugin's script.
    PluginScriptRun = "hub.extensions.plugin.run" (PluginRun) -> Empty, Command, Vendor "guide20:p7",
        ["hub.extensions.plugin.ui_broadcast", "hub.extensions.plugin.run.progress"];

    /// The network interfaces.
    NetworkGet = "hub.network.get" (Empty) -> Network, Read, Vendor "zip", [];
    /// Erases all network settings; no answer is shown.
    NetworkReset = "hub.network.reset" (Empty) -> Empty, Command, Vendor "guide20:p19", [];
    /// Looks for networks.
    WifiScanStart = "hub.network.wifi.scan.start" (ScanQuery) -> Empty, Command, Vendor "guide20:p81", ["hub.network.wifi.scan.progress"];
    /// Stops looking for networks.
    WifiScanStop = "hub.network.wifi.scan.stop" (ScanQuery) -> Empty, Idempotent, Vendor "guide20:p81", [];

    /// Restarts the hub.
    Reboot = "hub.reboot" (Empty) -> Empty, Command, ClientSource "ezclient:725", [];
    /// Resets the hub.
    ResetRun = "hub.reset" (Reset) -> Empty, Command, Vendor "guide20:p55", [];
    /// Versions of firmware, add-ons and plugins.
    SoftwareInfoGet = "hub.software.info.get" (Empty) -> SoftwareInfo, Read, Vendor "guide20:p59", [];
    /// Back to the native Vera firmware.
    LuupSwitch = "hub.firmware.luup.switch" (Empty) -> Empty, Command, Vendor "guide20:p60", [];
    /// The favourites.
    FavoritesList = "hub.favorite.list" (FavoriteQuery) -> FavoriteList, Read, Vendor "zip", [];
    /// Marks favourites.
    FavoritesSet = "hub.favorite.set" (FavoriteSet) -> Empty, Idempotent, Vendor "mios", ["hub.favorite.added", "hub.favorite.removed"];
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
