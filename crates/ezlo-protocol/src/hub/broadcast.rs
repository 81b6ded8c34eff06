//! Every broadcast whose shape is known, as one enumeration and one table.

use serde_json::Value;

use super::device::{Device, DeviceFirmwareProgress, DeviceRemoved, DeviceUpdate};
use super::gateway::{Gateway, PluginEvent, PluginProgress};
use super::info::InfoChange;
use super::item::{Item, ItemRemoved, ItemUpdate};
use super::login::HubStateChange;
use super::maintenance::{Favorites, UpdateProgress, UserNotification};
use super::method::{RoundTrip, round_trip};
use super::mode::{EntryDelay, ModeAlarm, ModeChange, ModeSwitched, ProtectButton};
use super::network::{Network, ScanProgress};
use super::room::{Room, RoomOrder, RoomRef};
use super::scene::{Scene, SceneProgress, SceneRef};
use super::setting::{DeviceSetting, HubSetting};
use crate::evidence::Evidence;
use crate::wire::{self, DecodeError};

/// Who sends `EzloStateChanged`: the relay, when the hub behind it comes or goes. Compared without regard to case.
pub const HUB_STATE_CHANGED: &str = "EzloStateChanged";

/// A row of the table.
#[derive(Debug, Clone, Copy)]
pub struct BroadcastSpec {
    /// `msg_subclass`.
    pub name: &'static str,
    /// How its shape is known.
    pub evidence: Evidence,
    /// Where from.
    pub source: &'static str,
    /// Content through its type and back.
    pub content: RoundTrip,
}

/// The row of that name, compared without regard to case: the relay's own has been seen in two spellings.
pub fn spec(name: &str) -> Option<&'static BroadcastSpec> {
    BROADCASTS.iter().find(|broadcast| broadcast.name.eq_ignore_ascii_case(name))
}

macro_rules! broadcasts {
    ($( $(#[$meta:meta])* $variant:ident ($content:ty) = $name:literal, $evidence:ident $source:literal; )*) => {
        /// What a broadcast says.
        #[derive(Debug, Clone, PartialEq)]
        #[non_exhaustive]
        pub enum Event {
            $( $(#[$meta])* $variant(Box<$content>), )*
            /// One that this version does not know.
            Unknown {
                /// `msg_subclass`.
                name: String,
                /// Its content, as it came.
                content: Value,
            },
        }

        impl Event {
            /// Reads the content of a broadcast.
            pub fn parse(name: &str, content: &Value) -> Result<Self, DecodeError> {
                match spec(name).map(|spec| spec.name) {
                    $( Some($name) => wire::from_value(content).map(|content| Self::$variant(Box::new(content))), )*
                    _ => Ok(Self::Unknown { name: name.to_owned(), content: content.clone() }),
                }
            }

            /// `msg_subclass`.
            pub fn name(&self) -> &str {
                match self {
                    $( Self::$variant(_) => $name, )*
                    Self::Unknown { name, .. } => name,
                }
            }

            /// The content, for the wire.
            pub fn content(&self) -> Value {
                match self {
                    $( Self::$variant(content) => wire::to_value(content.as_ref()), )*
                    Self::Unknown { content, .. } => content.clone(),
                }
            }
        }

        /// The table.
        pub const BROADCASTS: &[BroadcastSpec] = &[$( BroadcastSpec {
            name: $name,
            evidence: Evidence::$evidence,
            source: $source,
            content: round_trip::<$content>,
        } ),*];
    };
}

broadcasts! {
    /// The hub came or went.
    HubState(HubStateChange) = "EzloStateChanged", ClientSource "ezclient:818";
    /// The hub's description changed.
    InfoChanged(InfoChange) = "hub.info.changed", Vendor "zip";
    /// A gateway came.
    GatewayAdded(Gateway) = "hub.gateway.added", Vendor "guide20:p61";
    /// A gateway changed.
    GatewayUpdated(Gateway) = "hub.gateway.updated", Vendor "guide20:p62";
    /// A gateway went.
    GatewayRemoved(Gateway) = "hub.gateway.removed", Vendor "guide20:p63";
    /// A device came.
    DeviceAdded(Device) = "hub.device.added", Vendor "guide20:p64";
    /// A device changed.
    DeviceUpdated(DeviceUpdate) = "hub.device.updated", Captured "bc_device_updated_reachable_relay";
    /// A device went.
    DeviceRemoved(DeviceRemoved) = "hub.device.removed", Vendor "guide20:p68";
    /// An item came, with its device.
    ItemAdded(Item) = "hub.item.added", Vendor "guide20:p68";
    /// An item changed.
    ItemUpdated(ItemUpdate) = "hub.item.updated", Captured "bc_item_updated_dimmer";
    /// An item went, with its device.
    ItemRemoved(ItemRemoved) = "hub.item.removed", Vendor "guide20:p73";
    /// An element of a dictionary item changed.
    DictionaryUpdated(ItemUpdate) = "hub.item.dictionary.updated", Vendor "guide20:p98";
    /// Favourites were marked.
    FavoriteAdded(Favorites) = "hub.favorite.added", Vendor "guide20:p73";
    /// Favourites lost their mark.
    FavoriteRemoved(Favorites) = "hub.favorite.removed", Vendor "guide20:p74";
    /// The house mode switches.
    ModesSwitched(ModeSwitched) = "hub.modes.switched", Captured "bc_modes_switched_done";
    /// All users are told, or not.
    ModesNotifyAll(ModeChange) = "hub.modes.notifications.notify_all", Vendor "guide20:p76";
    /// A user is told.
    ModesNotificationAdded(ModeChange) = "hub.modes.notifications.added", Vendor "guide20:p77";
    /// A user is no longer told.
    ModesNotificationRemoved(ModeChange) = "hub.modes.notifications.removed", Vendor "guide20:p78";
    /// A device is no longer armed in a mode.
    ModesDisarmedAdded(ModeChange) = "hub.modes.disarmed_devices.added", Vendor "guide20:p78";
    /// A device is armed in a mode again.
    ModesDisarmedRemoved(ModeChange) = "hub.modes.disarmed_devices.removed", Vendor "guide20:p79";
    /// A device stays silent in a mode.
    ModesAlarmsOffAdded(ModeChange) = "hub.modes.alarms_off.added", Vendor "guide20:p79";
    /// A device sounds in a mode again.
    ModesAlarmsOffRemoved(ModeChange) = "hub.modes.alarms_off.removed", Vendor "guide20:p80";
    /// A camera is off in a mode.
    ModesCamerasOffAdded(ModeChange) = "hub.modes.cameras_off.added", ClientSource "pi";
    /// A camera runs in a mode again.
    ModesCamerasOffRemoved(ModeChange) = "hub.modes.cameras_off.removed", ClientSource "pi";
    /// A device is left out until the next switch.
    ModesBypassAdded(ModeChange) = "hub.modes.bypass_devices.added", ClientSource "pi";
    /// A device is no longer left out.
    ModesBypassRemoved(ModeChange) = "hub.modes.bypass_devices.removed", ClientSource "pi";
    /// A device's emergencies count in a mode.
    ModesProtectDevicesAdded(ModeChange) = "hub.modes.protect.devices.added", ClientSource "pi";
    /// A device's emergencies no longer count in a mode.
    ModesProtectDevicesRemoved(ModeChange) = "hub.modes.protect.devices.removed", ClientSource "pi";
    /// The entry delays changed (content inferred).
    ModesEntryDelayChanged(EntryDelay) = "hub.modes.entry_delay.changed", ClientSource "pi";
    /// A mode's property changed (on EzloPi: the mode itself).
    ModesChanged(ModeChange) = "hub.modes.changed", Vendor "guide20:p80";
    /// A device tripped.
    ModesAlarmed(ModeAlarm) = "hub.modes.alarmed", Vendor "zip";
    /// An emergency button changed.
    ModesProtectButtons(ProtectButton) = "hub.modes.protect.buttons.updated", Captured "bc_modes_protect_buttons_updated";
    /// The network changed.
    NetworkChanged(Network) = "hub.network.changed", Vendor "guide20:p83";
    /// Networks were found.
    WifiScanProgress(ScanProgress) = "hub.network.wifi.scan.progress", Vendor "guide20:p81";
    /// A plugin speaks.
    Plugin(PluginEvent) = "hub.extensions.plugin.ui_broadcast", Vendor "guide20:p86";
    /// A plugin's script ended.
    PluginProgress(PluginProgress) = "hub.extensions.plugin.run.progress", Vendor "guide20:p87";
    /// A room came.
    RoomCreated(Room) = "hub.room.created", Vendor "guide20:p89";
    /// A room was renamed.
    RoomEdited(Room) = "hub.room.edited", Vendor "guide20:p90";
    /// A room went.
    RoomDeleted(RoomRef) = "hub.room.deleted", Vendor "guide20:p89";
    /// Rooms were reordered.
    RoomReordered(RoomOrder) = "hub.room.reordered", Vendor "zip";
    /// A scene came.
    SceneAdded(Scene) = "hub.scene.added", Captured "bc_scene_added";
    /// A scene changed.
    SceneChanged(Scene) = "hub.scene.changed", Vendor "guide20:p93";
    /// A scene went.
    SceneDeleted(SceneRef) = "hub.scene.deleted", Vendor "guide20:p93";
    /// A scene runs.
    SceneRunProgress(SceneProgress) = "hub.scene.run.progress", Captured "bc_scene_run_progress_started";
    /// Something to tell a user.
    UserNotified(UserNotification) = "hub.user.notification", Vendor "guide20:p97";
    /// A setting of the hub changed.
    SettingUpdated(HubSetting) = "hub.setting.updated", ClientSource "pi";
    /// A setting of a device changed.
    DeviceSettingUpdated(DeviceSetting) = "hub.device.setting.updated", Vendor "mios";
    /// A device's firmware is being updated.
    DeviceFirmwareUpdate(DeviceFirmwareProgress) = "hub.device.firmware.update.progress", Vendor "mios";
    /// A device's firmware is being fetched.
    DeviceFirmwareDownload(DeviceFirmwareProgress) = "hub.device.firmware.download.progress", Vendor "mios";
    /// The firmware is being updated.
    FirmwareProgress(UpdateProgress) = "hub.firmware.update.progress", Vendor "mios";
    /// A package is being updated.
    SoftwareProgress(UpdateProgress) = "hub.software.update.progress", Vendor "mios";
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_relays_own_broadcast_is_known_in_any_case() {
        for name in ["EzloStateChanged", "EZLOSTATECHANGED"] {
            let event = Event::parse(name, &json!({"serial": "90000001", "connected": false})).unwrap();
            assert!(matches!(event, Event::HubState(change) if change.connected.get() == Some(&false)));
        }
    }

    #[test]
    fn an_unknown_broadcast_is_kept_whole() {
        let event = Event::parse("hub.new.thing", &json!({"a": 1})).unwrap();
        assert_eq!((event.name(), event.content()), ("hub.new.thing", json!({"a": 1})));
    }
}
