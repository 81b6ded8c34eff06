//! All broadcasts with a known shape, as one enumeration and one table.

use serde_json::Value;

use super::device::{Device, DeviceFirmwareProgress, DeviceRemoved, DeviceUpdate};
use super::gateway::{Gateway, PluginEvent, PluginProgress};
use super::group::{DeviceGroup, GroupDeleted, ItemGroup};
use super::info::InfoChange;
use super::item::{Item, ItemRemoved, ItemUpdate};
use super::login::HubStateChange;
use super::maintenance::{Favorites, UpdateProgress, UserNotification};
use super::method::{RoundTrip, round_trip};
use super::mode::{EntryDelayChange, ModeAlarm, ModeChange, ModeSwitched, ProtectButton, SwingerSet};
use super::network::{Network, ScanProgress};
use super::room::{Room, RoomOrder, RoomRef};
use super::scene::{Expression, ExpressionRef, GlobalScene, GlobalSceneProgress, Scene, SceneProgress, SceneRef};
use super::setting::{DeviceSetting, HubSetting};
use crate::evidence::Evidence;
use crate::wire::{self, DecodeError};

/// The name of the broadcast that the relay sends when a hub connects or disconnects. Compare it without regard to case.
pub const HUB_STATE_CHANGED: &str = "EzloStateChanged";

/// An entry of the table of broadcasts.
#[derive(Debug, Clone, Copy)]
pub struct BroadcastSpec {
    /// Name in `msg_subclass`.
    pub name: &'static str,
    /// Evidence for the shape.
    pub evidence: Evidence,
    /// Source of the evidence.
    pub source: &'static str,
    /// Conversion of the content into its type and back.
    pub content: RoundTrip,
}

/// Returns the entry of a broadcast, or `None` if its shape is not known.
///
/// Names are compared without regard to case, because the relay's own broadcast occurs in two spellings.
pub fn spec(name: &str) -> Option<&'static BroadcastSpec> {
    BROADCASTS.iter().find(|broadcast| broadcast.name.eq_ignore_ascii_case(name))
}

macro_rules! broadcasts {
    ($( $(#[$meta:meta])* $variant:ident ($content:ty) = $name:literal, $evidence:ident $source:literal; )*) => {
        /// A broadcast with its content.
        #[derive(Debug, Clone, PartialEq)]
        #[non_exhaustive]
        pub enum Event {
            $(
                $(#[$meta])*
                #[doc = ""]
                #[doc = concat!("Wire name: `", $name, "`. Evidence: [`Evidence::", stringify!($evidence), "`] (`",
                    $source, "`).")]
                $variant(Box<$content>),
            )*
            /// A broadcast that this version does not define.
            Unknown {
                /// Name in `msg_subclass`.
                name: String,
                /// Content, unchanged.
                content: Value,
            },
        }

        impl Event {
            /// Parses the content of a broadcast. A broadcast without a known shape becomes [`Event::Unknown`].
            ///
            /// # Errors
            ///
            /// [`DecodeError`] if the content does not have the shape of a known broadcast.
            pub fn parse(name: &str, content: &Value) -> Result<Self, DecodeError> {
                match spec(name).map(|spec| spec.name) {
                    $( Some($name) => wire::from_value(content).map(|content| Self::$variant(Box::new(content))), )*
                    _ => Ok(Self::Unknown { name: name.to_owned(), content: content.clone() }),
                }
            }

            /// Returns the name, as in `msg_subclass`.
            pub fn name(&self) -> &str {
                match self {
                    $( Self::$variant(_) => $name, )*
                    Self::Unknown { name, .. } => name,
                }
            }

            /// Converts the content to JSON.
            pub fn content(&self) -> Value {
                match self {
                    $( Self::$variant(content) => wire::to_value(content.as_ref()), )*
                    Self::Unknown { content, .. } => content.clone(),
                }
            }
        }

        /// All broadcasts with a known shape.
        pub const BROADCASTS: &[BroadcastSpec] = &[$( BroadcastSpec {
            name: $name,
            evidence: Evidence::$evidence,
            source: $source,
            content: round_trip::<$content>,
        } ),*];
    };
}

broadcasts! {
    /// A hub has connected to the relay or disconnected from it.
    HubState(HubStateChange) = "EzloStateChanged", ClientSource "ezclient:818";
    /// The hub information has changed.
    InfoChanged(InfoChange) = "hub.info.changed", Vendor "zip";
    /// A gateway was added.
    GatewayAdded(Gateway) = "hub.gateway.added", Vendor "guide20:p61";
    /// A gateway has changed.
    GatewayUpdated(Gateway) = "hub.gateway.updated", Vendor "guide20:p62";
    /// A gateway was removed.
    GatewayRemoved(Gateway) = "hub.gateway.removed", Vendor "guide20:p63";
    /// A device was added.
    DeviceAdded(Device) = "hub.device.added", Vendor "guide20:p64";
    /// A device has changed.
    DeviceUpdated(DeviceUpdate) = "hub.device.updated", Captured "bc_device_updated_reachable_relay";
    /// A device was removed.
    DeviceRemoved(DeviceRemoved) = "hub.device.removed", Vendor "guide20:p68";
    /// An item was added together with its device.
    ItemAdded(Item) = "hub.item.added", Vendor "guide20:p68";
    /// An item has changed.
    ItemUpdated(ItemUpdate) = "hub.item.updated", Captured "bc_item_updated_dimmer";
    /// An item was removed together with its device.
    ItemRemoved(ItemRemoved) = "hub.item.removed", Vendor "guide20:p73";
    /// An element of a dictionary item has changed.
    DictionaryUpdated(ItemUpdate) = "hub.item.dictionary.updated", Vendor "guide20:p98";
    /// Objects were marked as favourites.
    FavoriteAdded(Favorites) = "hub.favorite.added", Vendor "guide20:p73";
    /// Objects are no longer favourites.
    FavoriteRemoved(Favorites) = "hub.favorite.removed", Vendor "guide20:p74";
    /// A mode switch has started, ended or been cancelled.
    ModesSwitched(ModeSwitched) = "hub.modes.switched", Captured "bc_modes_switched_done";
    /// The notification of all users was switched on or off.
    ModesNotifyAll(ModeChange) = "hub.modes.notifications.notify_all", Vendor "guide20:p76";
    /// A user was added to the notified users.
    ModesNotificationAdded(ModeChange) = "hub.modes.notifications.added", Vendor "guide20:p77";
    /// A user was removed from the notified users.
    ModesNotificationRemoved(ModeChange) = "hub.modes.notifications.removed", Vendor "guide20:p78";
    /// A device is no longer armed in a mode.
    ModesDisarmedAdded(ModeChange) = "hub.modes.disarmed_devices.added", Vendor "guide20:p78";
    /// A device is armed in a mode again.
    ModesDisarmedRemoved(ModeChange) = "hub.modes.disarmed_devices.removed", Vendor "guide20:p79";
    /// A device no longer sounds in a mode.
    ModesAlarmsOffAdded(ModeChange) = "hub.modes.alarms_off.added", Vendor "guide20:p79";
    /// A device sounds in a mode again.
    ModesAlarmsOffRemoved(ModeChange) = "hub.modes.alarms_off.removed", Vendor "guide20:p80";
    /// A camera is off in a mode.
    ModesCamerasOffAdded(ModeChange) = "hub.modes.cameras_off.added", ClientSource "pi";
    /// A camera is no longer off in a mode.
    ModesCamerasOffRemoved(ModeChange) = "hub.modes.cameras_off.removed", ClientSource "pi";
    /// A device is bypassed until the next switch.
    ModesBypassAdded(ModeChange) = "hub.modes.bypass_devices.added", ClientSource "pi";
    /// A device is no longer bypassed.
    ModesBypassRemoved(ModeChange) = "hub.modes.bypass_devices.removed", ClientSource "pi";
    /// Emergencies of a device raise an alarm in a mode.
    ModesProtectDevicesAdded(ModeChange) = "hub.modes.protect.devices.added", ClientSource "pi";
    /// Emergencies of a device no longer raise an alarm in a mode.
    ModesProtectDevicesRemoved(ModeChange) = "hub.modes.protect.devices.removed", ClientSource "pi";
    /// The entry delays have changed (content inferred).
    ModesEntryDelayChanged(EntryDelayChange) = "hub.modes.entry_delay.changed", ClientSource "pi";
    /// A property of a mode has changed. On EzloPi, the current mode has changed.
    ModesChanged(ModeChange) = "hub.modes.changed", Vendor "guide20:p80";
    /// A phase of an alarm has started or ended.
    ModesAlarmed(ModeAlarm) = "hub.modes.alarmed", Vendor "zip";
    /// An emergency button has changed.
    ModesProtectButtons(ProtectButton) = "hub.modes.protect.buttons.updated", Captured "bc_modes_protect_buttons_updated";
    /// The network interfaces have changed.
    NetworkChanged(Network) = "hub.network.changed", Vendor "guide20:p83";
    /// The progress of a Wi-Fi scan.
    WifiScanProgress(ScanProgress) = "hub.network.wifi.scan.progress", Vendor "guide20:p81";
    /// An event of a plugin.
    Plugin(PluginEvent) = "hub.extensions.plugin.ui_broadcast", Vendor "guide20:p86";
    /// A plugin script has ended.
    PluginProgress(PluginProgress) = "hub.extensions.plugin.run.progress", Vendor "guide20:p87";
    /// A room was created.
    RoomCreated(Room) = "hub.room.created", Vendor "guide20:p89";
    /// A room was renamed.
    RoomEdited(Room) = "hub.room.edited", Vendor "guide20:p90";
    /// A room was deleted.
    RoomDeleted(RoomRef) = "hub.room.deleted", Vendor "guide20:p89";
    /// The rooms were reordered.
    RoomReordered(RoomOrder) = "hub.room.reordered", Vendor "zip";
    /// A scene was created.
    SceneAdded(Scene) = "hub.scene.added", Captured "bc_scene_added";
    /// A scene has changed.
    SceneChanged(Scene) = "hub.scene.changed", Vendor "guide20:p93";
    /// A scene was deleted.
    SceneDeleted(SceneRef) = "hub.scene.deleted", Vendor "guide20:p93";
    /// The progress of a scene run.
    SceneRunProgress(SceneProgress) = "hub.scene.run.progress", Captured "bc_scene_run_progress_started";
    /// A global scene was created.
    GlobalSceneAdded(GlobalScene) = "hub.scene.global.added", Vendor "d22";
    /// Progress of a global scene.
    GlobalSceneRunProgress(GlobalSceneProgress) = "hub.scene.global.run.progress", Vendor "d22";
    /// A notification for a user.
    UserNotified(UserNotification) = "hub.user.notification", Vendor "guide20:p97";
    /// A group of devices was created.
    DeviceGroupCreated(DeviceGroup) = "hub.device.group.created", Vendor "d22, d23, pi";
    /// A group of devices has changed.
    DeviceGroupUpdated(DeviceGroup) = "hub.device.group.updated", Vendor "d22, d23, pi";
    /// A group of devices was deleted.
    DeviceGroupDeleted(GroupDeleted) = "hub.device.group.deleted", Vendor "d22, d23, pi";
    /// A group of items was created.
    ItemGroupCreated(ItemGroup) = "hub.item.group.created", Vendor "d22, d23, pi";
    /// A group of items has changed.
    ItemGroupUpdated(ItemGroup) = "hub.item.group.updated", Vendor "d22, d23, pi";
    /// A group of items was deleted.
    ItemGroupDeleted(GroupDeleted) = "hub.item.group.deleted", Vendor "d22, d23, pi";
    /// An expression or variable was created.
    ExpressionAdded(Expression) = "hub.expression.added", ClientSource "pi";
    /// An expression or variable has changed.
    ExpressionChanged(Expression) = "hub.expression.changed", ClientSource "pi";
    /// An expression or variable was deleted.
    ExpressionDeleted(ExpressionRef) = "hub.expression.deleted", ClientSource "pi";
    /// The count of trips of a device was reset.
    SwingerReset(SwingerSet) = "hub.modes.swinger.shutdown.reset.done", ClientSource "pi";
    /// A device was excluded from the alarm.
    SwingerDisabled(SwingerSet) = "hub.modes.swinger.shutdown.disable.added", ClientSource "pi";
    /// A device was included in the alarm again. The name is the vendor's (pi).
    SwingerEnabled(SwingerSet) = "hub.modes.swinger.shutdown.disable.remved", ClientSource "pi";
    /// The limits of trips of a device have changed.
    SwingerLimitsChanged(SwingerSet) = "hub.modes.swinger.shutdown.limits.changed", ClientSource "pi";
    /// A setting of the hub has changed.
    SettingUpdated(HubSetting) = "hub.setting.updated", ClientSource "pi";
    /// A setting of a device has changed.
    DeviceSettingUpdated(DeviceSetting) = "hub.device.setting.updated", Vendor "mios";
    /// The progress of a firmware update of a device.
    DeviceFirmwareUpdate(DeviceFirmwareProgress) = "hub.device.firmware.update.progress", Vendor "mios";
    /// The progress of a firmware download for a device.
    DeviceFirmwareDownload(DeviceFirmwareProgress) = "hub.device.firmware.download.progress", Vendor "mios";
    /// The progress of a firmware update of the hub.
    FirmwareProgress(UpdateProgress) = "hub.firmware.update.progress", Vendor "mios";
    /// The progress of a package update of the hub.
    SoftwareProgress(UpdateProgress) = "hub.software.update.progress", Vendor "mios";
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_relay_broadcast_is_recognised_in_any_case() {
        for name in ["EzloStateChanged", "EZLOSTATECHANGED"] {
            let event = Event::parse(name, &json!({"serial": "90000001", "connected": false})).unwrap();
            assert!(matches!(event, Event::HubState(change) if change.connected.get() == Some(&false)));
        }
    }

    #[test]
    fn an_unknown_broadcast_round_trips() {
        let event = Event::parse("hub.new.thing", &json!({"a": 1})).unwrap();
        assert_eq!((event.name(), event.content()), ("hub.new.thing", json!({"a": 1})));
    }
}
