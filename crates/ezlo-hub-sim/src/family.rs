//! Firmware families: one API, different behaviour. What the code asks is here; how we know it stands beside each row.

use ezlo_protocol::error::code;

use crate::world_file::HubKind;

/// What a hub offers on its local network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Local {
    /// TLS, clear text while insecure access is on; WebSocket and HTTP on one port.
    Full,
    /// A WebSocket in clear text, nothing else.
    PlainSocket,
    /// Nothing: the relay only.
    None,
}

/// How one firmware family behaves.
#[derive(Debug)]
pub struct Family {
    /// Hexadecimal digits of an object id.
    pub(crate) id_digits: usize,
    pub(crate) architecture: &'static str,
    pub firmware: &'static str,
    /// Whether `hub.info.get` has the serial as a JSON number.
    pub(crate) serial_is_number: bool,
    /// Whether items carry `valueFormatted`.
    pub(crate) formatted_values: bool,
    /// Whether items carry `status`.
    pub(crate) item_status: bool,
    /// Whether devices may be sent with `id` in place of `_id`, if the configuration wants it.
    pub(crate) may_say_id: bool,
    /// Whether gateways list every command flat.
    pub(crate) flat_gateways: bool,
    /// Whether devices carry `info`.
    pub(crate) device_info: bool,
    pub(crate) unknown_method: i64,
    /// What a mode switch is announced as.
    pub(crate) mode_switch: &'static str,
    /// Whether an empty room list is `{}`.
    pub(crate) empty_rooms_as_object: bool,
    /// Whether `hub.room.create` answers with its parameters too.
    pub(crate) echoes_new_room: bool,
    /// Whether `hub.item.value.set` never refuses.
    pub(crate) never_refuses_values: bool,
    /// Whether messages carry a counter as `msg_id`, answers too.
    pub counted_messages: bool,
    /// Whether the broadcasts of removed and reordered rooms carry `method`.
    pub method_on_room_broadcasts: bool,
    /// Whether one login opens the hub for every connection.
    pub login_is_global: bool,
    /// Whether channels of Wi-Fi networks are text.
    pub(crate) text_channels: bool,
    /// Whether a firmware update tells how far it has come.
    pub(crate) updates_in_steps: bool,
    /// Whether the server pings.
    pub pings: bool,
    pub local: Local,
}

/// Linux hubs: captures and the vendor's guide (hub reference, sections 1 to 6).
const LINUX: Family = Family {
    id_digits: 24,
    architecture: "armv7l",
    firmware: "2.0.90.3265.5",
    serial_is_number: false,
    formatted_values: true,
    item_status: false,
    may_say_id: false,
    flat_gateways: false,
    device_info: true,
    unknown_method: code::METHOD_NOT_FOUND,
    mode_switch: "hub.modes.switched",
    empty_rooms_as_object: false,
    echoes_new_room: false,
    never_refuses_values: false,
    counted_messages: false,
    method_on_room_broadcasts: false,
    login_is_global: false,
    text_channels: false,
    updates_in_steps: false,
    pings: true,
    local: Local::Full,
};

/// Atom and PlugHub: no `valueFormatted`, no `info` (bridge 2780-2792), they "do not like pings" (bridge ~2203). The first
/// generation has no local access.
const RTOS: Family = Family {
    architecture: "esp32",
    firmware: "0.8.528",
    formatted_values: false,
    may_say_id: true,
    device_info: false,
    updates_in_steps: true,
    pings: false,
    local: Local::None,
    ..LINUX
};

/// EzloPi: captures and its firmware's source (hub reference, sections 1 to 6).
const EZLOPI: Family = Family {
    id_digits: 8,
    architecture: "xtensa-esp32s2",
    firmware: "4.1.3",
    serial_is_number: true,
    item_status: true,
    flat_gateways: true,
    unknown_method: code::INVALID_PARAMS,
    mode_switch: "hub.modes.changed",
    empty_rooms_as_object: true,
    echoes_new_room: true,
    never_refuses_values: true,
    counted_messages: true,
    method_on_room_broadcasts: true,
    login_is_global: true,
    text_channels: true,
    updates_in_steps: true,
    pings: false,
    device_info: false,
    local: Local::PlainSocket,
    ..LINUX
};

impl Family {
    pub const fn of(kind: HubKind) -> &'static Self {
        match kind {
            // Native Vera firmware never answers here; what strangers ask of it is refused before.
            HubKind::Linux | HubKind::Vera => &LINUX,
            HubKind::Rtos => &RTOS,
            HubKind::Ezlopi => &EZLOPI,
        }
    }
}
