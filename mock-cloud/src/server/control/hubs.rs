//! Control calls that list hubs and that act as the people and devices around a hub.

use ezlo_protocol::serial::Serial;
use http::StatusCode;
use http::header::HeaderValue;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::server::control::request::refusal;
use crate::server::http::message::{Reply, Request};
use crate::server::shared::Shared;
use crate::world::hub_actor::HubActor;
use crate::world::hub_handle::HubHandle;
use ezlo_hub_sim::HubError;
use ezlo_hub_sim::SetupFault;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Include {
    template: String,
}

/// The button of a new device or of an existing one.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected exactly one of template and device")]
enum Press {
    New(Include),
    Known(Exclude),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Trip {
    device: String,
    #[serde(default = "yes")]
    tripped: bool,
}

const fn yes() -> bool {
    true
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Offline {
    offline: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Exclude {
    device: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Report {
    device: String,
    item: String,
    value: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reach {
    device: String,
    reachable: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Setup {
    fault: Option<SetupFault>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

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
    Reply::json(&hub.cell.read(ezlo_hub_sim::Hub::inventory))
}

pub(crate) fn include(hub: &HubHandle, body: &[u8], example: &str) -> Reply {
    with(body, example, |parsed: Include| hub.press_include(&parsed.template))
}

pub(crate) fn exclude(hub: &HubHandle, body: &[u8], example: &str) -> Reply {
    with(body, example, |parsed: Exclude| hub.press_exclude(&parsed.device))
}

pub(crate) fn press(hub: &HubHandle, body: &[u8], example: &str) -> Reply {
    with(body, example, |parsed: Press| match parsed {
        Press::New(new) => hub.press_include(&new.template),
        Press::Known(known) => hub.press(&known.device),
    })
}

pub(crate) fn trip(hub: &HubHandle, body: &[u8], example: &str) -> Reply {
    with(body, example, |parsed: Trip| hub.trip(&parsed.device, parsed.tripped))
}

pub(crate) fn report(hub: &HubHandle, body: &[u8], example: &str) -> Reply {
    with(body, example, |parsed: Report| hub.report(&parsed.device, &parsed.item, parsed.value))
}

pub(crate) fn reachable(hub: &HubHandle, body: &[u8], example: &str) -> Reply {
    with(body, example, |parsed: Reach| hub.set_reachable(&parsed.device, parsed.reachable))
}

pub(crate) fn setup_fault(hub: &HubHandle, body: &[u8], example: &str) -> Reply {
    with(body, example, |parsed: Setup| {
        hub.set_setup_fault(parsed.fault);
        Ok(())
    })
}

pub(crate) fn offline(hub: &HubHandle, body: &[u8], example: &str) -> Reply {
    with(body, example, |parsed: Offline| {
        hub.set_internet(!parsed.offline);
        Ok(())
    })
}

pub(crate) fn unplug(hub: &HubHandle, body: &[u8], example: &str) -> Reply {
    with(body, example, |_: Nothing| {
        hub.unplug();
        Ok(())
    })
}

pub(crate) fn plug_in(hub: &HubHandle, body: &[u8], example: &str) -> Reply {
    with(body, example, |_: Nothing| {
        hub.plug_in();
        Ok(())
    })
}

pub(crate) fn reboot(hub: &HubHandle, body: &[u8], example: &str) -> Reply {
    with(body, example, |_: Nothing| {
        hub.restart();
        Ok(())
    })
}

/// Parses the body, runs `act` and maps its error to a status.
fn with<T: DeserializeOwned>(body: &[u8], example: &str, act: impl FnOnce(T) -> Result<(), HubError>) -> Reply {
    // A call without members accepts an empty body.
    let body = if body.is_empty() && example == "{}" { b"{}" } else { body };
    let parsed = match crate::server::control::request::parse_body(body, example) {
        Ok(parsed) => parsed,
        Err(refused) => return refused,
    };
    match act(parsed) {
        Ok(()) => Reply::json(&json!({"ok": true})),
        Err(error @ (HubError::NotWaiting(_) | HubError::Unplugged)) => {
            refusal(StatusCode::CONFLICT, &error.to_string())
        }
        Err(error @ (HubError::BadValue { .. } | HubError::NoSensor(_) | HubError::NoButton(_))) => {
            refusal(StatusCode::BAD_REQUEST, &error.to_string())
        }
        Err(error) => refusal(StatusCode::NOT_FOUND, &error.to_string()),
    }
}

/// Returns a hub with its radio and its power.
fn detailed(hub: &HubHandle) -> Value {
    let mut about = brief(&hub.cell);
    about["zwave"] = json!({"state": hub.radio_state(), "device_specific_key": hub.device_specific_key()});
    about["unplugged"] = hub.cell.read(ezlo_hub_sim::Hub::is_unplugged).into();
    about
}

/// Returns a hub as an entry of a list.
fn brief(cell: &HubActor) -> Value {
    let online = cell.is_online();
    cell.read(|hub| {
        json!({
            "serial": cell.serial,
            "mac": cell.mac,
            "kind": cell.kind.as_str(),
            "model": hub.model,
            "online": online,
            "devices": hub.device_count(),
        })
    })
}
