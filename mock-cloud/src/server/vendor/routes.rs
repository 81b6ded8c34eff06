//! The table of routes of the vendor's hosts. Every path is available on every host.

use crate::evidence::error_table;
use crate::journal::shown::shown_path;
use crate::server::credentials::decode;
use crate::server::credentials::insufficient_evidence;

use ezlo_protocol::evidence::Evidence;
use http::{Method, StatusCode};

use crate::config::Profile;
use crate::journal::usage_report;
use crate::server::http::message::world_number;
use crate::server::http::message::{Reply, Request};
use crate::server::shared::Shared;
use crate::server::vendor::{account, auth, cloud_api, controller, device};
use crate::world::World;

/// A handler. Its arguments are the world, the request and the parts of the path in place of `{}`.
pub(crate) type Handler = fn(&World, &Request, &[&str]) -> Reply;

/// A simulated call.
pub(crate) struct Route {
    /// Name in listings and snapshots.
    pub(crate) name: &'static str,
    method: Method,
    pattern: &'static str,
    /// Evidence level of the reply.
    pub(crate) evidence: Evidence,
    /// Source of the evidence.
    pub(crate) source: &'static str,
    handler: Handler,
}

macro_rules! routes {
    ($( $name:literal $method:ident $pattern:literal $evidence:ident $source:literal $handler:path; )*) => {
        /// The calls of the vendor's hosts.
        pub(crate) static ROUTES: &[Route] = &[$( Route {
            name: $name,
            method: Method::$method,
            pattern: $pattern,
            evidence: Evidence::$evidence,
            source: $source,
            handler: $handler,
        } ),*];
    };
}

routes! {
    "create_account" POST "/autha/auth/username" Inferred "the vendor's note shows the request only" auth::create_account;
    "login" GET "/autha/auth/username/{}" ClientSource "three public clients; request in the vendor's note" auth::login;
    "login_form" POST "/autha/auth/username/{}" Community "users report that the form works too" auth::login;
    "session_token" GET "/info/session/token" ClientSource "three public clients" auth::session_token;
    "account" GET "/account/account/account/{}" Inferred "the vendor's note shows the request only; members from its change request" account::read;
    "change_account" PUT "/account/account/account/{}" Inferred "the vendor's note shows the request only" account::change;
    "users" GET "/account/account/account/{}/users" Inferred "the vendor's note has the title only" account::users;
    "devices" GET "/account/account/account/{}/devices" ClientSource "three public clients" account::hubs;
    "claim" PUT "/account/installation/installation/{}/device/{}" Inferred "the vendor's note shows the request only" account::claim;
    "device_info" GET "/device/device/device/{}" ClientSource "three public clients" device::info;
    "locator" GET "/locator/locator/locator" ClientSource "three public clients" device::locator;
    "exchange" GET "/mca-router/token/exchange/legacy-to-cloud" ClientSource "two public clients" cloud_api::exchange;
    "gateway" POST "/v1/request" ClientSource "two public clients" cloud_api::gateway;
    "login_v4" POST "/api/v4/login/{}/sessions" Vendor "the vendor's API pages" cloud_api::login_v4;
    "legacy_relay_by_path" GET "/relay/relay/relay/device/{}/session/{}/{*}" ClientSource "older clients of Vera hubs; refusals only are simulated" device::legacy_relay_by_path;
    "legacy_relay" GET "/relay/relay/relay/device/{}/{*}" ClientSource "public clients of Vera hubs; refusals only are simulated" device::legacy_relay;
    "coordinator" GET "/getserver" ClientSource "EzloPi firmware" controller::coordinator;
    "coordinator_root" GET "" ClientSource "EzloPi firmware with the short address of the coordinator" controller::coordinator_root;
    "provision_sync" GET "/provision-sync" ClientSource "EzloPi firmware" controller::provision_sync;
    "controller_list" GET "/api/v4/controller_list/3/controllers" Vendor "the vendor's API pages" cloud_api::controllers;
}

/// Answers a request to any of the vendor's hosts.
pub(crate) fn cloud(shared: &Shared, request: &Request) -> Reply {
    let world = &shared.world;
    if world.profile == Profile::Strict && !is_known_host(request) {
        return Reply::error(StatusCode::NOT_FOUND, "Unknown host");
    }
    let path = request.path.trim_end_matches('/');
    let mut allowed = Vec::new();
    for route in ROUTES {
        let Some(parts) = parts(route.pattern, path) else { continue };
        let decoded: Option<Vec<_>> = parts.into_iter().map(decode).collect();
        let Some(parts) = decoded else { return Reply::error(StatusCode::BAD_REQUEST, "Path is not UTF-8") };
        if route.method == request.method || route.method == Method::GET && request.method == Method::HEAD {
            tracing::debug!(call = route.name, evidence = route.evidence.as_str(), "answering");
            if let Some(refusal) = insufficient_evidence(world, route.name, route.evidence) {
                return refusal;
            }
            let parts: Vec<&str> = parts.iter().map(|part| &**part).collect();
            let reply = (route.handler)(world, request, &parts);
            if reply.status.is_client_error() || reply.status.is_server_error() {
                let (wanted, status) = (world.assumptions.min_evidence, reply.status.as_u16());
                if let Some(text) = error_table::replacement_for_status(wanted, route.name, status) {
                    return Reply::error(StatusCode::NOT_IMPLEMENTED, &text);
                }
            }
            return reply;
        }
        allowed.push(route.method.clone());
    }
    let received = format!("{} {}", request.method, request.path);
    let known = ROUTES.iter().map(|route| format!("{} {}", route.method, route.pattern));
    usage_report::record_unmatched(&world.journal, &shown_path(&request.path), &received, known);
    if allowed.is_empty() { Reply::not_found() } else { Reply::method_not_allowed(&allowed) }
}

/// Returns whether a request can change users, accounts or the owner of a hub.
pub(crate) fn changes_accounts(request: &Request) -> bool {
    let path = request.path.trim_end_matches('/');
    let changes = |route: &&Route| route.method == Method::PUT || route.name == "create_account";
    ROUTES.iter().filter(changes).any(|route| route.method == request.method && parts(route.pattern, path).is_some())
}

/// Returns whether the host name is one of the vendor or of this machine. The strict profile refuses any other name.
fn is_known_host(request: &Request) -> bool {
    let name = request.host.name();
    let is_address = name.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>().is_ok();
    request.host.is_vendors() || is_address || name == "localhost" || world_number(&name).is_some()
}

/// Returns the parts of the path in place of `{}`; `None` if the path does not match. `{*}` matches the rest of the path. The
/// slash before it is required.
fn parts<'p>(mut pattern: &str, mut path: &'p str) -> Option<Vec<&'p str>> {
    let mut holes = Vec::new();
    while let Some(hole) = pattern.find('{') {
        path = path.strip_prefix(&pattern[..hole])?;
        pattern = &pattern[hole..];
        if pattern == "{*}" {
            return Some(holes);
        }
        pattern = pattern.strip_prefix("{}")?;
        let end = path.find('/').unwrap_or(path.len());
        holes.push(&path[..end]);
        path = &path[end..];
    }
    (pattern == path).then_some(holes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ezlo_protocol::cloud::call::{CALLS, HostRole};

    #[test]
    fn fixed_parts_of_paths_are_never_masked() {
        for route in ROUTES {
            let path = route.pattern.replace("{*}", "x").replace("{}", "x");
            for (fixed, shown) in route.pattern.split('/').zip(shown_path(&path).split('/')) {
                assert!(
                    fixed.starts_with('{') || fixed == shown,
                    "{} is shown as {}",
                    route.pattern,
                    shown_path(&path)
                );
            }
        }
    }

    #[test]
    fn path_patterns_yield_their_parts() {
        assert_eq!(parts("/a/{}/b/{}", "/a/x/b/y").unwrap(), ["x", "y"]);
        assert_eq!(parts("/a/{}", "/a/").unwrap(), [""]);
        assert_eq!(parts("/a/{}/{*}", "/a/x/y/z").unwrap(), ["x"]);
        for (pattern, path) in
            [("/a/{}", "/a"), ("/a/{}", "/a/x/y"), ("/a/{}/b", "/a/x/c"), ("/a", "/a/b"), ("/a/{}/{*}", "/a/x")]
        {
            assert!(parts(pattern, path).is_none(), "{pattern} {path}");
        }
    }

    #[test]
    fn every_cloud_call_of_the_protocol_has_a_route() {
        let on_hub = |role| matches!(role, HostRole::AccessPoint | HostRole::AccessPointRoot);
        for call in CALLS.iter().filter(|call| !on_hub(call.role)) {
            let found = ROUTES
                .iter()
                .any(|route| route.method.as_str() == call.method && parts(route.pattern, call.path).is_some());
            assert!(found, "{}", call.name);
        }
    }
}
