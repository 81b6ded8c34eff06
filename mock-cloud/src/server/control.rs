//! The control API, on a port of its own. Tests use it, the clients under test do not. The table of calls is the source of
//! `/openapi.json`.

use crate::core::control_token::ControlToken;
use crate::core::renamed::{self, Renamed};
use crate::server::control::hub_calls::call_hub;
use crate::server::control::request::Action;
use crate::server::control::request::Call;
use crate::server::control::request::refusal;

use http::header::{ALLOW, AUTHORIZATION, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use http::{Method, StatusCode};
use serde_json::json;

use crate::journal::bodies;
use crate::journal::cause::with_cause;
use crate::journal::entry::EntryKind;
use crate::journal::shown::shown_path;
use crate::server::http::message::{Reply, Request, WORLD_HEADER, world_number};
use crate::server::shared::Shared;

pub(crate) mod calls;
pub(crate) mod clock;
pub(crate) mod faults;
pub(crate) mod hub_calls;
pub(crate) mod hubs;
pub(crate) mod journal;
pub(crate) mod metrics;
pub(crate) mod openapi;
pub(crate) mod request;
pub(crate) mod users;
pub(crate) mod worlds;

/// Returns whether a request presents the token. A check of the health needs none.
pub(crate) fn has_token(headers: &HeaderMap, path: &str, token: &ControlToken) -> bool {
    let presented = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.split_once(' '));
    let is_it = presented
        .is_some_and(|(scheme, shown)| scheme.eq_ignore_ascii_case("bearer") && shown.trim() == token.expose());
    is_it || path == "/healthz"
}

/// Refuses a request without the token.
pub(crate) fn no_token() -> Reply {
    let text =
        "the control API needs the token; send `Authorization: Bearer TOKEN` with the control_token of the ready line";
    let mut reply = refusal(StatusCode::UNAUTHORIZED, text);
    reply.headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    reply
}

/// Answers a request to the control API.
pub(crate) async fn answer(shared: &Shared, request: &Request) -> Reply {
    if !is_local(request) {
        // Protects against DNS rebinding by a page in a browser.
        let host = request.host.name();
        let text =
            format!("host {host:?} is refused; the control API accepts localhost, wN.localhost and IP addresses");
        return refusal(StatusCode::FORBIDDEN, &text);
    }
    if is_from_elsewhere(request) {
        let origin = request.header("origin").unwrap_or("unknown");
        let text = format!("origin {origin:?} is refused; the control API accepts requests of its own origin only");
        return refusal(StatusCode::FORBIDDEN, &text);
    }
    let path = request.path.trim_end_matches('/');
    // Forks of a fork have numbers of their own, which host names do not distinguish.
    let selected = request.header(WORLD_HEADER).and_then(|number| number.parse().ok());
    let selected = selected.or_else(|| world_number(&request.host.name()));
    if path.starts_with("/worlds") && selected.is_some_and(|number| number > 0) {
        let text =
            format!("{path} is not available for a fork; use the name of the original world, without {WORLD_HEADER}");
        return refusal(StatusCode::CONFLICT, &text);
    }
    // In a cluster, hubs are shown with their present state in every process.
    if (path.starts_with("/hubs") || path.starts_with("/worlds"))
        && let Some(backplane) = shared.world.backplane()
        && let Err(error) = backplane.wait_synced().await
    {
        return refusal(StatusCode::SERVICE_UNAVAILABLE, &error.to_string());
    }
    let mut allowed = Vec::new();
    // A HEAD request is handled as GET. The body is removed when the reply is written.
    let method = if request.method == Method::HEAD { &Method::GET } else { &request.method };
    for call in calls::CALLS {
        let Some(part) = matches(call.path, path) else { continue };
        if call.method != *method {
            allowed.push(call.method.clone());
            continue;
        }
        if let Some(refused) = unknown_query(call, request).or_else(|| unwanted_body(call, request)) {
            return refused;
        }
        let seq = is_mutation(call).then(|| {
            let journal = &shared.world.journal;
            let name = shown_path(path);
            let body = bodies::shown_body(&bodies::recorded(request.body.trim_ascii()));
            journal.named(EntryKind::Control, "", &name, None, &json!({"method": call.method.as_str(), "body": body}))
        });
        return match call.act {
            Action::Now(act) => with_cause(seq, || act(shared, request)),
            Action::Later(act) => act(shared, request).await,
            Action::With(act) => with_cause(seq, || act(shared, part)),
            Action::Of(act) => with_cause(seq, || act(shared, part, request)),
            Action::LaterWith(act) => act(shared, part).await,
            Action::Hub(act) => {
                call_hub(shared, part, call, |hub| with_cause(seq, || act(hub, &request.body, call.body)), request)
                    .await
            }
        };
    }
    if let Some(new) = present_call(request, path) {
        return refusal(StatusCode::NOT_FOUND, &format!("{} {path} is now {new}", request.method));
    }
    if allowed.is_empty() {
        return unknown_path(path);
    }
    let names = allowed.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
    let mut reply = refusal(
        StatusCode::METHOD_NOT_ALLOWED,
        &format!("{path} does not accept {}; it accepts {names}", request.method),
    );
    reply.headers.extend(HeaderValue::from_str(&names).ok().map(|names| (ALLOW, names)));
    reply
}

/// Returns whether a call changes the world. Reads and expectations do not.
fn is_mutation(call: &Call) -> bool {
    call.method != Method::GET && call.path != "/expectations"
}

/// Refuses an unknown query parameter: a misspelt filter would otherwise have no effect.
fn unknown_query(call: &Call, request: &Request) -> Option<Reply> {
    let known = calls::QUERIES.iter().filter(|(path, _)| *path == call.path && call.method == Method::GET);
    let known: Vec<&str> = known.flat_map(|(_, query)| query.iter().map(|(name, ..)| *name)).collect();
    let unknown = request.query.iter().find(|(name, _)| !known.contains(&name.as_str()))?;
    let accepted = if known.is_empty() { "no query".to_owned() } else { known.join(", ") };
    Some(refusal(
        StatusCode::BAD_REQUEST,
        &format!("unknown query parameter {:?}; {} takes {accepted}", unknown.0, call.path),
    ))
}

/// Returns the part of the path in place of `{}`, empty for a pattern without `{}`; `None` if the path does not match.
fn matches<'p>(pattern: &str, path: &'p str) -> Option<&'p str> {
    match pattern.split_once("{}") {
        None => (pattern == path).then_some(""),
        Some((front, back)) => {
            let part = path.strip_prefix(front)?.strip_suffix(back)?;
            (!part.is_empty() && !part.contains('/')).then_some(part)
        }
    }
}

/// Returns the call that replaced a former one.
fn present_call(request: &Request, path: &str) -> Option<&'static str> {
    let is_former = |(former, _): &&Renamed| {
        let (method, pattern) = former.split_once(' ').unwrap_or_default();
        request.method == method && matches(pattern, path).is_some()
    };
    renamed::CONTROL_CALLS.iter().find(is_former).map(|(_, new)| *new)
}

/// Refuses a path without a call.
fn unknown_path(path: &str) -> Reply {
    // The trailing slash was removed for the search.
    let shown = if path.is_empty() { "/" } else { path };
    let mut paths: Vec<&str> = calls::CALLS.iter().map(|call| call.path).collect();
    paths.dedup();
    refusal(
        StatusCode::NOT_FOUND,
        &format!("no control call has the path {shown:?}; the paths are {}", paths.join(", ")),
    )
}

/// Returns whether a page of another origin sent the request, by the headers that browsers add.
fn is_from_elsewhere(request: &Request) -> bool {
    let is_own = |origin: &str| {
        origin.split_once("://").is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(&request.host.authority))
    };
    request.header("origin").is_some_and(|origin| !is_own(origin))
        || request.header("sec-fetch-site").is_some_and(|site| !matches!(site, "same-origin" | "none"))
}

/// Returns whether the host name is `localhost`, a fork's name or an IP address.
fn is_local(request: &Request) -> bool {
    let name = request.host.name();
    name == "localhost"
        || world_number(&name).is_some()
        || name.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>().is_ok()
}

/// Refuses a body for a call without one: its content would have no effect.
fn unwanted_body(call: &Call, request: &Request) -> Option<Reply> {
    let body = request.body.trim_ascii();
    let is_nothing = body.is_empty() || body == b"{}" || body == b"null";
    let unwanted = call.body.is_empty() && call.method != Method::GET && !is_nothing;
    unwanted.then(|| {
        refusal(
            StatusCode::BAD_REQUEST,
            &format!("{} {} takes no body; received {} bytes", call.method, call.path, body.len()),
        )
    })
}
