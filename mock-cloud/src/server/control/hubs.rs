//! Control calls about one hub: what the people and things around it do.

use std::sync::Arc;

use ezlo_protocol::serial::Serial;
use http::StatusCode;
use http::header::HeaderValue;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::refusal;
use crate::hub::{HubError, HubHandle};
use crate::server::Shared;
use crate::server::http::{Reply, Request};
use crate::world::{HubCell, SetupFault};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Include {
    template: String,
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
struct Internet {
    there: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// Hubs that one answer lists; each can be asked for by its serial.
const MOST_LISTED: usize = 1000;

pub(super) fn list(shared: &Shared, request: &Request) -> Reply {
    let after = request.param("after").map(str::parse::<Serial>).transpose();
    let limit = request.param("limit").map_or(Ok(MOST_LISTED), str::parse::<usize>);
    let (Ok(after), Ok(limit @ 1..=MOST_LISTED)) = (after, limit) else {
        return refusal(StatusCode::BAD_REQUEST, "after is a serial, limit between 1 and 1000");
    };
    let mut cells = shared.world.look_at_hubs(after.as_ref(), limit + 1);
    let is_more = cells.len() > limit;
    cells.truncate(limit);
    let mut reply = Reply::json(&cells.iter().map(|cell| brief(cell)).collect::<Vec<_>>());
    reply.headers.extend(is_more.then_some((super::journal::MORE, HeaderValue::from_static("1"))));
    reply
}

pub(super) fn find(shared: &Shared, serial: &str) -> Option<HubHandle> {
    let cell = serial.parse().ok().and_then(|serial| shared.world.hub(&serial))?;
    Some(HubHandle { world: Arc::clone(&shared.world), cell })
}

pub(super) fn read(hub: &HubHandle, _: &Request, _: &str) -> Reply {
    Reply::json(&detailed(hub))
}

pub(super) fn include(hub: &HubHandle, request: &Request, example: &str) -> Reply {
    with(request, example, |wish: Include| hub.press_include(&wish.template))
}

pub(super) fn exclude(hub: &HubHandle, request: &Request, example: &str) -> Reply {
    with(request, example, |wish: Exclude| hub.press_exclude(&wish.device))
}

pub(super) fn report(hub: &HubHandle, request: &Request, example: &str) -> Reply {
    with(request, example, |wish: Report| hub.report(&wish.device, &wish.item, wish.value))
}

pub(super) fn reachable(hub: &HubHandle, request: &Request, example: &str) -> Reply {
    with(request, example, |wish: Reach| hub.set_reachable(&wish.device, wish.reachable))
}

pub(super) fn setup_fault(hub: &HubHandle, request: &Request, example: &str) -> Reply {
    with(request, example, |wish: Setup| {
        hub.set_setup_fault(wish.fault);
        Ok(())
    })
}

pub(super) fn internet(hub: &HubHandle, request: &Request, example: &str) -> Reply {
    with(request, example, |wish: Internet| {
        hub.set_internet(wish.there);
        Ok(())
    })
}

pub(super) fn restart(hub: &HubHandle, request: &Request, example: &str) -> Reply {
    with(request, example, |_: Nothing| {
        hub.restart();
        Ok(())
    })
}

fn with<T: DeserializeOwned>(request: &Request, example: &str, act: impl FnOnce(T) -> Result<(), HubError>) -> Reply {
    // Where nothing has to be said, nothing may be.
    let body = if request.body.is_empty() && example == "{}" { b"{}" } else { request.body.as_ref() };
    let wish = match serde_json::from_slice(body) {
        Ok(wish) => wish,
        Err(error) => return refusal(StatusCode::BAD_REQUEST, &format!("send {example}: {error}")),
    };
    match act(wish) {
        Ok(()) => Reply::json(&json!({"ok": true})),
        Err(error @ HubError::NotWaiting(_)) => refusal(StatusCode::CONFLICT, &error.to_string()),
        Err(error @ HubError::BadValue { .. }) => refusal(StatusCode::BAD_REQUEST, &error.to_string()),
        Err(error) => refusal(StatusCode::NOT_FOUND, &error.to_string()),
    }
}

fn detailed(hub: &HubHandle) -> Value {
    let mut about = brief(&hub.cell);
    about["zwave"] = json!({"state": hub.radio_state(), "device_specific_key": hub.device_specific_key()});
    about
}

/// A hub as lists show it.
fn brief(cell: &HubCell) -> Value {
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
