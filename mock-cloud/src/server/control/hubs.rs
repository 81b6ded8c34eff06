//! Control calls about one hub: what the people and things around it do.

use std::sync::Arc;

use http::{Method, StatusCode};
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

/// `/hubs/{serial}` and what is below it.
pub(super) fn answer(shared: &Shared, request: &Request, rest: &str) -> Reply {
    let (serial, call) = rest.split_once('/').unwrap_or((rest, ""));
    let cell = serial.parse().ok().and_then(|serial| shared.world.hub(&serial));
    let Some(cell) = cell else {
        return refusal(StatusCode::NOT_FOUND, "no hub has that serial; GET /hubs lists them");
    };
    let hub = HubHandle { world: Arc::clone(&shared.world), cell };
    match (call, &request.method) {
        ("", &Method::GET) => Reply::json(&detailed(&hub)),
        ("", _) => Reply::method_not_allowed(&[Method::GET]),
        ("include" | "exclude" | "report" | "reachable" | "setup-fault" | "restart" | "internet", method)
            if method != Method::POST =>
        {
            Reply::method_not_allowed(&[Method::POST])
        }
        ("include", _) => with(request, |wish: Include| hub.press_include(&wish.template)),
        ("exclude", _) => with(request, |wish: Exclude| hub.press_exclude(&wish.device)),
        ("report", _) => with(request, |wish: Report| hub.report(&wish.device, &wish.item, wish.value)),
        ("reachable", _) => with(request, |wish: Reach| hub.set_reachable(&wish.device, wish.reachable)),
        ("setup-fault", _) => with(request, |wish: Setup| {
            hub.set_setup_fault(wish.fault);
            Ok(())
        }),
        ("internet", _) => with(request, |wish: Internet| {
            hub.set_internet(wish.there);
            Ok(())
        }),
        ("restart", _) => with(request, |_: Nothing| {
            hub.restart();
            Ok(())
        }),
        _ => refusal(
            StatusCode::NOT_FOUND,
            "no such control call; a hub has include, exclude, report, reachable, setup-fault, internet and restart",
        ),
    }
}

fn with<T: DeserializeOwned>(request: &Request, act: impl FnOnce(T) -> Result<(), HubError>) -> Reply {
    let wish = match serde_json::from_slice(&request.body) {
        Ok(wish) => wish,
        Err(error) => {
            return refusal(StatusCode::BAD_REQUEST, &format!("the body is not what this call takes: {error}"));
        }
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
pub(super) fn brief(cell: &HubCell) -> Value {
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
