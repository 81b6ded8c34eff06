//! Control calls that list hubs and that act as the people and devices around a hub.

use ezlo_protocol::serial::Serial;
use http::StatusCode;
use http::header::HeaderValue;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::server::control::request::refusal;
use crate::server::http::message::{Reply, Request};
use crate::server::shared::Shared;
use crate::world::hub_actor::HubActor;
use crate::world::hub_handle::{Consequences, HubHandle};
use ezlo_hub_sim::{DeviceCondition, DeviceSummary, HubError, ItemChange, ItemSummary, SetupFault};

/// A new device.
#[derive(Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct IncludeDevice {
    /// Template of the device; `mock-cloud world templates` lists them.
    template: String,
}

/// The button of a new device or of an existing one.
#[derive(Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(untagged, expecting = "expected exactly one of template and device")]
pub(crate) enum PressButton {
    New(IncludeDevice),
    Known(DeviceRef),
}

/// A sensor and its state.
#[derive(Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct TripSensor {
    /// Id or name of the device.
    device: String,
    /// `false` to reset the sensor (default: true).
    #[serde(default = "yes")]
    tripped: bool,
}

const fn yes() -> bool {
    true
}

/// The connection of a house to the internet.
#[derive(Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct SetOffline {
    /// `true` to disconnect.
    offline: bool,
}

/// A device.
#[derive(Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct DeviceRef {
    /// Id or name of the device.
    device: String,
}

/// A value of an item.
#[derive(Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct ReportValue {
    /// Id or name of the device.
    device: String,
    /// Name of the item.
    item: String,
    /// Value in the form of the item.
    value: Value,
}

/// A device and its reachability.
#[derive(Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct SetReachable {
    /// Id or name of the device.
    device: String,
    /// `false` if the device does not answer.
    reachable: bool,
}

/// The condition of a device. Absent members are unchanged.
#[derive(Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct SetCondition {
    /// Id or name of the device.
    device: String,
    /// `true` for a device with the status `broken`, as after an incomplete inclusion.
    broken: Option<bool>,
    /// `true` for a device that receives settings and lock codes only when it wakes up, which `false` does.
    asleep: Option<bool>,
    /// `true` for a lock that does not disclose its codes: the hub reports stars.
    masks_codes: Option<bool>,
    /// `true` for a lock that refuses every new code, some time after the hub has accepted it.
    rejects_codes: Option<bool>,
}

/// A fault of the onboarding.
#[derive(Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct SetSetupFault {
    /// Name of the fault; null for none.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    fault: Option<SetupFault>,
}

/// No members.
#[derive(Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct NoMembers {}

/// Maximum and default of the parameter `limit`, in hubs.
const MOST_LISTED: usize = 1000;

/// Lists the hubs, sorted by serial.
pub(crate) fn list(shared: &Shared, request: &Request) -> Reply {
    let after = request.param("after").map(str::parse::<Serial>).transpose();
    let limit = request.param("limit").map_or(Ok(MOST_LISTED), str::parse::<usize>);
    let (Ok(after), Ok(limit @ 1..=MOST_LISTED)) = (after, limit) else {
        let value = |name| request.param(name).unwrap_or_default();
        let text = format!(
            "after {:?} or limit {:?} is invalid; after is a serial, limit is 1 to {MOST_LISTED}",
            value("after"),
            value("limit")
        );
        return refusal(StatusCode::BAD_REQUEST, &text);
    };
    let mut cells = shared.world.list_hubs(after.as_ref(), limit + 1);
    let is_more = cells.len() > limit;
    cells.truncate(limit);
    let mut reply = Reply::json(&cells.iter().map(|cell| brief(cell)).collect::<Vec<_>>());
    reply.headers.extend(is_more.then_some((crate::server::control::journal::MORE, HeaderValue::from_static("1"))));
    reply
}

/// Returns a hub with the state of its radio.
pub(crate) fn read(hub: &HubHandle, _: &[u8], _: &str) -> Reply {
    Reply::json(&detailed(hub))
}

/// Returns the devices of a hub with their items.
pub(crate) fn devices(hub: &HubHandle, _: &[u8], _: &str) -> Reply {
    Reply::json(&hub.cell.read(ezlo_hub_sim::Hub::inventory).into_iter().map(Device::from).collect::<Vec<_>>())
}

pub(crate) fn include(hub: &HubHandle, body: &[u8], example: &str) -> Reply {
    with(body, example, |parsed: IncludeDevice| hub.press_include(&parsed.template).map(no_consequences))
}

pub(crate) fn exclude(hub: &HubHandle, body: &[u8], example: &str) -> Reply {
    with(body, example, |parsed: DeviceRef| hub.press_exclude(&parsed.device).map(no_consequences))
}

pub(crate) fn press(hub: &HubHandle, body: &[u8], example: &str) -> Reply {
    with(body, example, |parsed: PressButton| match parsed {
        PressButton::New(new) => hub.press_include(&new.template).map(no_consequences),
        PressButton::Known(known) => hub.press(&known.device),
    })
}

pub(crate) fn trip(hub: &HubHandle, body: &[u8], example: &str) -> Reply {
    with(body, example, |parsed: TripSensor| hub.trip(&parsed.device, parsed.tripped))
}

pub(crate) fn report(hub: &HubHandle, body: &[u8], example: &str) -> Reply {
    with(body, example, |parsed: ReportValue| hub.report(&parsed.device, &parsed.item, parsed.value))
}

pub(crate) fn reachable(hub: &HubHandle, body: &[u8], example: &str) -> Reply {
    with(body, example, |parsed: SetReachable| hub.set_reachable(&parsed.device, parsed.reachable))
}

pub(crate) fn condition(hub: &HubHandle, body: &[u8], example: &str) -> Reply {
    with(body, example, |parsed: SetCondition| {
        let SetCondition { device, broken, asleep, masks_codes, rejects_codes } = parsed;
        hub.set_condition(&device, &DeviceCondition { broken, asleep, masks_codes, rejects_codes })
    })
}

pub(crate) fn setup_fault(hub: &HubHandle, body: &[u8], example: &str) -> Reply {
    with(body, example, |parsed: SetSetupFault| {
        hub.set_setup_fault(parsed.fault);
        Ok(Consequences::default())
    })
}

pub(crate) fn offline(hub: &HubHandle, body: &[u8], example: &str) -> Reply {
    with(body, example, |parsed: SetOffline| {
        hub.set_internet(!parsed.offline);
        Ok(Consequences::default())
    })
}

pub(crate) fn unplug(hub: &HubHandle, body: &[u8], example: &str) -> Reply {
    with(body, example, |_: NoMembers| {
        hub.unplug();
        Ok(Consequences::default())
    })
}

pub(crate) fn plug_in(hub: &HubHandle, body: &[u8], example: &str) -> Reply {
    with(body, example, |_: NoMembers| {
        hub.plug_in();
        Ok(Consequences::default())
    })
}

pub(crate) fn reboot(hub: &HubHandle, body: &[u8], example: &str) -> Reply {
    with(body, example, |_: NoMembers| {
        hub.restart();
        Ok(Consequences::default())
    })
}

/// The result of an action whose consequences follow later.
fn no_consequences((): ()) -> Consequences {
    Consequences::default()
}

/// The reply of an action on a hub.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct HubAction {
    /// Always `true`; an error has another status.
    ok: bool,
    /// Changed values of items, in order. Those that follow later are in the journal.
    changes: Vec<ChangedValue>,
    /// Names of the broadcasts to the connected clients, in order.
    broadcasts: Vec<&'static str>,
}

/// A changed value of an item.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ChangedValue {
    /// Name of the device.
    device: String,
    /// Name of the item.
    item: String,
    /// Value before the change. Codes are masked.
    old: Value,
    /// Value after the change. Codes are masked.
    new: Value,
}

impl From<Consequences> for HubAction {
    fn from(consequences: Consequences) -> Self {
        let changed = |ItemChange { device, item, old, new }| ChangedValue { device, item, old, new };
        let changes = consequences.changes.into_iter().map(changed).collect();
        Self { ok: true, changes, broadcasts: consequences.broadcasts }
    }
}

/// Parses the body, runs `act` and maps its error to a status.
fn with<T: DeserializeOwned>(
    body: &[u8],
    example: &str,
    act: impl FnOnce(T) -> Result<Consequences, HubError>,
) -> Reply {
    // A call without members accepts an empty body.
    let body = if body.is_empty() && example == "{}" { b"{}" } else { body };
    let parsed = match crate::server::control::request::parse_body(body, example) {
        Ok(parsed) => parsed,
        Err(refused) => return refused,
    };
    match act(parsed) {
        Ok(consequences) => Reply::json(&HubAction::from(consequences)),
        Err(error @ (HubError::NotWaiting(_) | HubError::Unplugged)) => {
            refusal(StatusCode::CONFLICT, &error.to_string())
        }
        Err(error @ (HubError::BadValue { .. } | HubError::NoSensor(_) | HubError::NoButton(_))) => {
            refusal(StatusCode::BAD_REQUEST, &error.to_string())
        }
        Err(error) => refusal(StatusCode::NOT_FOUND, &error.to_string()),
    }
}

/// A hub in a list.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct HubSummary {
    /// Serial of the hub.
    serial: String,
    /// Hardware address.
    mac: String,
    /// Hub family: `linux`, `rtos`, `ezlopi` or `vera`.
    kind: &'static str,
    /// Name of the hub model.
    model: String,
    /// `true` if the hub is connected to the relay.
    online: bool,
    /// Number of devices.
    devices: usize,
}

/// The Z-Wave radio of a hub.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ZwaveRadio {
    /// State of the radio, such as `idle` or `including`.
    state: &'static str,
    /// Key on the label of the device that is being included; null without one.
    device_specific_key: Option<String>,
}

/// A hub.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct HubDetails {
    #[serde(flatten)]
    summary: HubSummary,
    /// Z-Wave radio.
    zwave: ZwaveRadio,
    /// `true` while the hub has no power.
    unplugged: bool,
}

/// A device of a hub.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Device {
    /// Id of the device.
    id: String,
    /// Name of the device.
    name: String,
    /// Name of its room; empty without one.
    room: String,
    /// Category, such as `switch`.
    category: String,
    /// `false` if the device does not answer.
    reachable: bool,
    /// `true` if the device is armed.
    armed: bool,
    /// Items of the device.
    items: Vec<Item>,
}

/// An item of a device.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Item {
    /// Id of the item.
    id: String,
    /// Name of the item, such as `switch`.
    name: String,
    /// Type of the value, such as `bool`.
    value_type: String,
    /// Value. User codes of locks are masked.
    value: Value,
    /// Unit of the value, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    scale: Option<String>,
    /// `true` if clients can set the item.
    has_setter: bool,
}

impl From<DeviceSummary> for Device {
    fn from(device: DeviceSummary) -> Self {
        let item = |item: ItemSummary| {
            let ItemSummary { id, name, value_type, value, scale, has_setter, .. } = item;
            Item { id, name, value_type, value, scale, has_setter }
        };
        let DeviceSummary { id, name, room, category, reachable, armed, items, .. } = device;
        Self { id, name, room, category, reachable, armed, items: items.into_iter().map(item).collect() }
    }
}

/// Returns a hub with its radio and its power.
fn detailed(hub: &HubHandle) -> HubDetails {
    HubDetails {
        summary: brief(&hub.cell),
        zwave: ZwaveRadio { state: hub.radio_state(), device_specific_key: hub.device_specific_key() },
        unplugged: hub.cell.read(ezlo_hub_sim::Hub::is_unplugged),
    }
}

/// Returns a hub as an entry of a list.
fn brief(cell: &HubActor) -> HubSummary {
    let online = cell.is_online();
    cell.read(|hub| HubSummary {
        serial: cell.serial.to_string(),
        mac: cell.mac.to_string(),
        kind: cell.kind.as_str(),
        model: hub.model.clone(),
        online,
        devices: hub.device_count(),
    })
}
