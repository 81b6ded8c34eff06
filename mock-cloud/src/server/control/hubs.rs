//! Control calls about one hub: what the people and things around it do.

use std::sync::Arc;

use ezlo_protocol::serial::Serial;
use http::StatusCode;
use http::header::HeaderValue;
#[cfg(feature = "cluster")]
use http_body_util::BodyExt as _;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

#[cfg(feature = "cluster")]
use crate::cluster::Done;
use crate::cluster::{Home, LeaseGuard, RemoteCall};
use crate::server::Shared;
#[cfg(feature = "cluster")]
use crate::server::control::Action;
#[cfg(feature = "cluster")]
use crate::server::control::calls::CALLS;
use crate::server::control::{Call, refusal};
use crate::server::http::{Reply, Request};
use crate::world::World;
use crate::world::hub_actor::HubActor;
use crate::world::hub_handle::HubHandle;
use ezlo_hub_sim::HubError;
use ezlo_hub_sim::SetupFault;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Include {
    template: String,
}

/// Of a new device, or of one that is there.
#[derive(Deserialize)]
#[serde(untagged, expecting = "say one of template and device")]
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
    #[serde(default = "yes")]
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
struct Internet {
    there: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// Hubs that one answer lists; each can be asked for by its serial.
const MOST_LISTED: usize = 1000;

pub(crate) fn list(shared: &Shared, request: &Request) -> Reply {
    let after = request.param("after").map(str::parse::<Serial>).transpose();
    let limit = request.param("limit").map_or(Ok(MOST_LISTED), str::parse::<usize>);
    let (Ok(after), Ok(limit @ 1..=MOST_LISTED)) = (after, limit) else {
        return refusal(StatusCode::BAD_REQUEST, "after is a serial, limit between 1 and 1000");
    };
    let mut cells = shared.world.list_hubs(after.as_ref(), limit + 1);
    let is_more = cells.len() > limit;
    cells.truncate(limit);
    let mut reply = Reply::json(&cells.iter().map(|cell| brief(cell)).collect::<Vec<_>>());
    reply.headers.extend(is_more.then_some((crate::server::control::journal::MORE, HeaderValue::from_static("1"))));
    reply
}

/// To the hub of that serial, in whichever process it lives.
pub(crate) async fn wherever(
    shared: &Shared,
    serial: &str,
    call: &Call,
    act: impl FnOnce(&HubHandle) -> Reply,
    request: &Request,
) -> Reply {
    let Ok(serial) = serial.parse::<Serial>() else { return nowhere() };
    if let Some(backplane) = shared.world.backplane() {
        let away = |error: &dyn std::fmt::Display| refusal(StatusCode::SERVICE_UNAVAILABLE, &error.to_string());
        match backplane.home(&serial).await {
            Ok(Home::Nowhere) => return nowhere(),
            Ok(Home::Here(since)) => {
                let home = LeaseGuard::since(&serial, since);
                let reply = at_hub(&shared.world, &serial, act);
                return if shared.world.flush().await && home.is_still(&shared.world) { reply } else { away(&MOVED) };
            }
            Ok(Home::There(node)) => {
                let Ok(body) = String::from_utf8(request.body.to_vec()) else {
                    return refusal(StatusCode::BAD_REQUEST, &format!("send {}, in UTF-8", call.body));
                };
                let errand = RemoteCall { serial, method: call.method.to_string(), path: call.path.to_owned(), body };
                return match backplane.errand(node, errand).await {
                    Ok(done) => {
                        let status = StatusCode::from_u16(done.status).unwrap_or(StatusCode::BAD_GATEWAY);
                        Reply::new(status, "application/json", done.body)
                    }
                    Err(error) => away(&error),
                };
            }
            Err(error) => return away(&error),
        }
    }
    at_hub(&shared.world, &serial, act)
}

/// What is said when a hub went elsewhere before what was done to it was kept.
const MOVED: &str = "the hub lives elsewhere by now, and what was done is not kept; try again";

fn at_hub(world: &Arc<World>, serial: &Serial, act: impl FnOnce(&HubHandle) -> Reply) -> Reply {
    match world.hub(serial) {
        Some(cell) => act(&HubHandle { cell }),
        None => nowhere(),
    }
}

/// The answer of a process that cannot do what it was asked for.
#[cfg(feature = "cluster")]
pub(crate) fn away(error: &dyn std::fmt::Display) -> Done {
    Done { status: StatusCode::SERVICE_UNAVAILABLE.as_u16(), body: json!({"error": error.to_string()}).to_string() }
}

fn nowhere() -> Reply {
    refusal(StatusCode::NOT_FOUND, "no hub has that serial; GET /hubs lists them")
}

/// Does what another process of the cluster was asked for; what comes of it is kept then.
#[cfg(feature = "cluster")]
pub(crate) async fn run(world: &Arc<World>, errand: &RemoteCall, home: &LeaseGuard) -> Done {
    let call = CALLS.iter().find(|call| call.path == errand.path && call.method.as_str() == errand.method);
    let reply = match call.map(|call| (&call.act, call.body)) {
        Some((Action::Hub(act), example)) => {
            at_hub(world, &errand.serial, |hub| act(hub, errand.body.as_bytes(), example))
        }
        // Of another version.
        _ => refusal(StatusCode::NOT_IMPLEMENTED, "the process that the hub lives in does not know this call"),
    };
    if !(world.flush().await && home.is_still(world)) {
        return away(&MOVED);
    }
    let status = reply.status.as_u16();
    let body = match reply.body.collect().await {
        Ok(body) => String::from_utf8_lossy(&body.to_bytes()).into_owned(),
        Err(never) => match never {},
    };
    Done { status, body }
}

pub(crate) fn read(hub: &HubHandle, _: &[u8], _: &str) -> Reply {
    Reply::json(&detailed(hub))
}

pub(crate) fn include(hub: &HubHandle, body: &[u8], example: &str) -> Reply {
    with(body, example, |wish: Include| hub.press_include(&wish.template))
}

pub(crate) fn exclude(hub: &HubHandle, body: &[u8], example: &str) -> Reply {
    with(body, example, |wish: Exclude| hub.press_exclude(&wish.device))
}

pub(crate) fn press(hub: &HubHandle, body: &[u8], example: &str) -> Reply {
    with(body, example, |wish: Press| match wish {
        Press::New(wish) => hub.press_include(&wish.template),
        Press::Known(wish) => hub.press(&wish.device),
    })
}

pub(crate) fn trip(hub: &HubHandle, body: &[u8], example: &str) -> Reply {
    with(body, example, |wish: Trip| hub.trip(&wish.device, wish.tripped))
}

pub(crate) fn report(hub: &HubHandle, body: &[u8], example: &str) -> Reply {
    with(body, example, |wish: Report| hub.report(&wish.device, &wish.item, wish.value))
}

pub(crate) fn reachable(hub: &HubHandle, body: &[u8], example: &str) -> Reply {
    with(body, example, |wish: Reach| hub.set_reachable(&wish.device, wish.reachable))
}

pub(crate) fn setup_fault(hub: &HubHandle, body: &[u8], example: &str) -> Reply {
    with(body, example, |wish: Setup| {
        hub.set_setup_fault(wish.fault);
        Ok(())
    })
}

pub(crate) fn internet(hub: &HubHandle, body: &[u8], example: &str) -> Reply {
    with(body, example, |wish: Internet| {
        hub.set_internet(wish.there);
        Ok(())
    })
}

pub(crate) fn offline(hub: &HubHandle, body: &[u8], example: &str) -> Reply {
    with(body, example, |wish: Offline| {
        hub.set_internet(!wish.offline);
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

pub(crate) fn restart(hub: &HubHandle, body: &[u8], example: &str) -> Reply {
    with(body, example, |_: Nothing| {
        hub.restart();
        Ok(())
    })
}

fn with<T: DeserializeOwned>(body: &[u8], example: &str, act: impl FnOnce(T) -> Result<(), HubError>) -> Reply {
    // Where nothing has to be said, nothing may be.
    let body = if body.is_empty() && example == "{}" { b"{}" } else { body };
    let wish = match crate::server::control::wish(body, example) {
        Ok(wish) => wish,
        Err(refused) => return refused,
    };
    match act(wish) {
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

fn detailed(hub: &HubHandle) -> Value {
    let mut about = brief(&hub.cell);
    about["zwave"] = json!({"state": hub.radio_state(), "device_specific_key": hub.device_specific_key()});
    about["unplugged"] = hub.cell.read(ezlo_hub_sim::Hub::is_unplugged).into();
    about
}

/// A hub as lists show it.
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
