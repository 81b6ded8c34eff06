//! What is said to a hub and what comes back: objects, methods and broadcasts.

pub mod broadcast;
pub mod catalogue;
pub mod device;
pub mod gateway;
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
pub mod value;

opaque_id! {
    /// A device on a hub: 24 hexadecimal digits on Linux hubs, 8 on EzloPi, older forms exist.
    DeviceId,
    /// An item of a device.
    ItemId,
    /// A room. `""` and `"0"` both mean none; see [`RoomId::is_none`].
    RoomId,
    /// A scene.
    SceneId,
    /// A house mode: `"1"` to `"4"`.
    ModeId,
    /// A gateway: the radio or plugin that owns devices.
    GatewayId,
    /// A user, as decimal digits.
    UserId,
    /// A setting of a device.
    SettingId,
}

impl RoomId {
    /// Whether this stands for "no room": the vendor's guide writes `"0"`, everybody else the empty text.
    pub fn is_none(&self) -> bool {
        matches!(self.as_str(), "" | "0")
    }
}

wire! {
    /// No parameters, or an empty result. Members that come all the same are kept.
    Empty {}
}
