//! Objects, methods and broadcasts of a hub.

pub mod broadcast;
pub mod catalogue;
pub mod device;
pub mod gateway;
pub mod group;
pub mod info;
pub mod item;
pub mod login;
pub mod maintenance;
pub mod method;
pub mod mode;
pub mod network;
pub mod room;
pub mod scene;
pub mod setting;
pub mod unpublished;
pub mod value;

opaque_id! {
    /// The identifier of a device. Linux hubs use 24 hexadecimal digits, EzloPi uses 8; older forms exist.
    DeviceId,
    /// The identifier of an item.
    ItemId,
    /// The identifier of a room. `""` and `"0"` both mean no room; see [`RoomId::is_none`].
    RoomId,
    /// The identifier of a scene.
    SceneId,
    /// The identifier of a house mode, `"1"` to `"4"`; see [`mode::MODES`].
    ModeId,
    /// The identifier of a gateway, which is the radio or plugin that owns devices.
    GatewayId,
    /// The identifier of a user, in decimal digits.
    UserId,
    /// The identifier of a setting of a device.
    SettingId,
}

impl RoomId {
    /// Returns `true` if the identifier means no room.
    ///
    /// The vendor's guide uses `"0"` (guide20:p10), other sources use the empty text.
    pub fn is_none(&self) -> bool {
        matches!(self.as_str(), "" | "0")
    }
}

wire! {
    /// An object without named members: the parameters or the result of a method that defines none.
    ///
    /// Members that arrive nevertheless are preserved.
    Empty {}
}
