//! The HTTP API of a hub's access point: five calls of the vendor's note. Their responses are inferred.

use crate::journal::shown::shown_path;
use std::sync::Arc;

use ezlo_protocol::cloud::access_point::{WifiConnect, WifiNetworks};
use ezlo_protocol::evidence::Evidence;
use ezlo_protocol::secret::masked;
use ezlo_protocol::wire;
use http::{Method, StatusCode};
use serde_json::json;

use crate::journal::usage_report;
use crate::server::http::message::{Reply, Request};
use crate::world::World;
use crate::world::hub_actor::HubActor;
use ezlo_hub_sim::{Hub, WifiJoinError};

/// Maximum number of unknown members of a request body that are reported in the journal.
const REPORTED_MEMBERS: usize = 32;

type Handler = fn(&Arc<World>, &Arc<HubActor>, &Request) -> Reply;

/// Handles a request to the Wi-Fi API (port 54540 on a real hub).
pub(crate) fn api(world: &Arc<World>, hub: &Arc<HubActor>, request: &Request) -> Reply {
    // A keep-alive connection can outlive the access point.
    if !hub.read(|hub| hub.wifi.api_is_open()) {
        return Reply::error(StatusCode::SERVICE_UNAVAILABLE, "Access point is closed");
    }
    answered(API, world, hub, request)
}

/// Calls of the Wi-Fi API. The vendor's note shows the requests only.
const API: &[(&str, Method, Handler)] = &[
    ("/wifi/networks", Method::GET, networks),
    ("/wifi/status", Method::GET, status),
    ("/wifi/network/connect", Method::POST, connect),
    ("/wifi/network/close", Method::POST, close),
];
/// Calls of the root URL.
const ROOT: &[(&str, Method, Handler)] = &[("/restart", Method::POST, restart)];

/// Returns the paths of all calls.
pub(crate) fn calls() -> impl Iterator<Item = &'static str> {
    API.iter().chain(ROOT).map(|(path, ..)| *path)
}

/// Evidence level of all calls. No response has been published.
pub(crate) const EVIDENCE: Evidence = Evidence::Inferred;
/// Source of the evidence level.
pub(crate) const SOURCE: &str = "the vendor's note shows the requests only";

fn answered(calls: &[(&str, Method, Handler)], world: &Arc<World>, hub: &Arc<HubActor>, request: &Request) -> Reply {
    if let Some(refusal) = crate::server::credentials::insufficient_evidence(world, &request.path, EVIDENCE) {
        return refusal;
    }
    let found = calls.iter().find(|(path, ..)| *path == request.path.trim_end_matches('/'));
    if let Some((_, _, answer)) = found.filter(|(_, method, _)| *method == request.method) {
        return answer(world, hub, request);
    }
    let request_line = format!("{} {}", request.method, request.path);
    let known = calls.iter().map(|(path, method, _)| format!("{method} {path}"));
    usage_report::record_unmatched(&world.journal, &shown_path(&request.path), &request_line, known);
    found.map_or_else(Reply::not_found, |(_, method, _)| Reply::method_not_allowed(std::slice::from_ref(method)))
}

fn networks(world: &Arc<World>, hub: &Arc<HubActor>, _: &Request) -> Reply {
    let networks = hub.read(|hub| hub.wifi.networks(&world.env.networks));
    Reply::json(&WifiNetworks { networks: networks.into(), ..WifiNetworks::default() })
}

fn status(_world: &Arc<World>, hub: &Arc<HubActor>, _: &Request) -> Reply {
    Reply::json(&hub.change(|hub, _| hub.wifi.ask_status(), |_| ()))
}

/// Handles a request to join a network.
///
/// Every content type is accepted, because the vendor's note sends JSON as `application/javascript`.
fn connect(world: &Arc<World>, hub: &Arc<HubActor>, request: &Request) -> Reply {
    let connect_request: WifiConnect = match wire::from_slice(&request.body) {
        Ok(connect_request) => connect_request,
        Err(error) => return Reply::error(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    let unknown: Vec<String> =
        connect_request.extra.iter().take(REPORTED_MEMBERS).map(|(member, _)| masked(member)).collect();
    if !unknown.is_empty() {
        usage_report::record_unknown_fields(&world.journal, &request.path, &unknown);
    }
    let networks = &world.env.networks;
    match hub.change(|hub, context| hub.wifi_connect(&connect_request, networks, context), |_| ()) {
        Ok(()) => Reply::json(&json!({})),
        Err(WifiJoinError::Ssid) => Reply::error(StatusCode::BAD_REQUEST, "Invalid ssid"),
        Err(WifiJoinError::Passkey) => Reply::error(StatusCode::BAD_REQUEST, "Invalid passkey"),
    }
}

fn close(_world: &Arc<World>, hub: &Arc<HubActor>, _: &Request) -> Reply {
    hub.change(|hub, _| hub.close_access_point(), |()| ());
    Reply::json(&json!({}))
}

/// Handles a request to the root URL (port 80 on a real hub).
pub(crate) fn root(world: &Arc<World>, hub: &Arc<HubActor>, request: &Request) -> Reply {
    if !hub.read(|hub| hub.wifi.root_is_open()) {
        return Reply::error(StatusCode::SERVICE_UNAVAILABLE, "Access point is closed");
    }
    answered(ROOT, world, hub, request)
}

fn restart(_world: &Arc<World>, hub: &Arc<HubActor>, _: &Request) -> Reply {
    hub.change(Hub::restart, |()| ());
    Reply::json(&json!({}))
}
