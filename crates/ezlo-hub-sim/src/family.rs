//! Firmware families: the same API with different behaviour. The source of each set of properties is in its comment.

use ezlo_protocol::error::code;

use crate::world_file::HubKind;

/// Services of a hub on its local network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Local {
    /// WebSocket and HTTP on one port, over TLS. Clear text is accepted too while insecure access is enabled.
    Full,
    /// WebSocket in clear text only.
    PlainSocket,
    /// No local services. The hub is reachable through the relay only.
    None,
}

/// Properties of a firmware family that change its protocol.
#[derive(Debug)]
pub struct Family {
    /// Number of hexadecimal digits of an object id.
    pub(crate) id_digits: usize,
    /// Member `architecture` of `hub.info.get`.
    pub(crate) architecture: &'static str,
    /// Member `kernel` of `hub.info.get`.
    pub(crate) kernel: &'static str,
    /// Member `hardware` of `hub.info.get`.
    pub(crate) hardware: &'static str,
    /// The hub is a board without Z-Wave: its devices are persistent, have the type id `ezlopi` and always the member `armed`. It
    /// reports open offline access and a battery.
    pub(crate) is_board: bool,
    /// Replies have the member `api`.
    pub has_api_member: bool,
    /// Firmware version of a new hub.
    pub firmware: &'static str,
    /// The serial in `hub.info.get` is a JSON number.
    pub(crate) serial_is_number: bool,
    /// Items have the member `valueFormatted`.
    pub(crate) formatted_values: bool,
    /// Items have the member `status`.
    pub(crate) item_status: bool,
    /// The assumption `rtos_device_id` applies: devices are sent with `id` instead of `_id`.
    pub(crate) may_say_id: bool,
    /// Gateways list their commands as top-level members.
    pub(crate) flat_gateways: bool,
    /// The hub has a Z-Wave radio.
    pub(crate) has_zwave: bool,
    /// Devices have the member `info`.
    pub(crate) device_info: bool,
    /// Methods of other families that are unknown to this one (captures).
    pub(crate) lacks: &'static [&'static str],
    /// Error code for an unknown method.
    pub(crate) unknown_method: i64,
    /// Name of the broadcast of a mode switch.
    pub(crate) mode_switch: &'static str,
    /// An empty list of rooms is sent as `{}`.
    pub(crate) empty_rooms_as_object: bool,
    /// The reply to `hub.room.create` repeats the parameters.
    pub(crate) echoes_new_room: bool,
    /// `hub.item.value.set` never returns an error.
    pub(crate) never_refuses_values: bool,
    /// Maximum length of the code of an expression, in bytes (d22).
    pub(crate) max_expression: usize,
    /// The list of item groups has the member `itemGroup` (pi).
    pub(crate) item_group_member: bool,
    /// All messages, including replies, have a counter as `msg_id`.
    pub counted_messages: bool,
    /// Broadcasts of removed and reordered rooms have the member `method`.
    pub method_on_room_broadcasts: bool,
    /// One local login authorises all local connections.
    pub login_is_global: bool,
    /// Wi-Fi channels are sent as text.
    pub(crate) text_channels: bool,
    /// A firmware update broadcasts intermediate progress.
    pub(crate) updates_in_steps: bool,
    /// The local WebSocket server sends pings.
    pub pings: bool,
    /// The local WebSocket server answers pings.
    pub answers_pings: bool,
    /// Local connections receive broadcasts before their login.
    pub broadcasts_before_login: bool,
    /// The local server closes idle connections.
    pub closes_idle_connections: bool,
    /// Services on the local network.
    pub local: Local,
}

/// Linux hubs: captures and the guide of the vendor (hub reference, sections 1 to 6).
const LINUX: Family = Family {
    id_digits: 24,
    architecture: "armv7l",
    kernel: "4.14.180",
    hardware: "rev1",
    is_board: false,
    has_api_member: true,
    firmware: "2.0.90.3265.5",
    serial_is_number: false,
    formatted_values: true,
    item_status: false,
    may_say_id: false,
    flat_gateways: false,
    has_zwave: true,
    device_info: true,
    lacks: &[],
    unknown_method: code::METHOD_NOT_FOUND,
    mode_switch: "hub.modes.switched",
    empty_rooms_as_object: false,
    echoes_new_room: false,
    never_refuses_values: false,
    max_expression: 5 * 1024,
    item_group_member: false,
    counted_messages: false,
    method_on_room_broadcasts: false,
    login_is_global: false,
    text_channels: false,
    updates_in_steps: false,
    pings: true,
    answers_pings: true,
    broadcasts_before_login: false,
    closes_idle_connections: false,
    local: Local::Full,
};

/// Atom and PlugHub: no `valueFormatted`, no `info` (bridge 2780-2792), no pings (bridge ~2203). Firmware 0.8.514 and later has
/// local ports (hub-kit, users). The first generation has none: `local = false` in the world file.
const RTOS: Family = Family {
    max_expression: 1024,
    architecture: "esp32",
    firmware: "0.8.528",
    formatted_values: false,
    may_say_id: true,
    device_info: false,
    updates_in_steps: true,
    pings: false,
    ..LINUX
};

/// EzloPi: captures and the source of its firmware (hub reference, sections 1 to 6).
const EZLOPI: Family = Family {
    id_digits: 8,
    architecture: "xtensa-esp32s2",
    kernel: "FreeRTOS",
    hardware: "esp32",
    is_board: true,
    has_api_member: false,
    firmware: "4.1.3",
    serial_is_number: true,
    item_status: true,
    flat_gateways: true,
    has_zwave: false,
    lacks: &["hub.features.list", "hub.feature.status.set"],
    unknown_method: code::INVALID_PARAMS,
    mode_switch: "hub.modes.changed",
    empty_rooms_as_object: true,
    echoes_new_room: true,
    never_refuses_values: true,
    max_expression: 5 * 1024,
    item_group_member: true,
    counted_messages: true,
    method_on_room_broadcasts: true,
    login_is_global: true,
    text_channels: true,
    updates_in_steps: true,
    pings: false,
    answers_pings: false,
    broadcasts_before_login: true,
    closes_idle_connections: true,
    device_info: false,
    local: Local::PlainSocket,
    ..LINUX
};

impl Family {
    /// Returns the properties of the firmware family of a kind of hub.
    ///
    /// A hub with native Vera firmware does not speak this API. The properties of Linux hubs are a placeholder for it.
    pub const fn of(kind: HubKind) -> &'static Self {
        match kind {
            // Calls to a hub with native Vera firmware are refused before they reach it.
            HubKind::Linux | HubKind::Vera => &LINUX,
            HubKind::Rtos => &RTOS,
            HubKind::Ezlopi => &EZLOPI,
        }
    }
}
