//! The control API: where everything is, what time it is, and what there is to play with. On a port of its own, for tests,
//! never for the clients under test. One table says what there is; the description at `/openapi.json` is made from it.

use std::pin::Pin;

use http::header::{ALLOW, HeaderValue};
use http::{Method, StatusCode};
use serde_json::json;

use crate::journal::shown::shown_path;
use crate::journal::{EntryKind, with_cause};
use crate::server::Shared;
use crate::server::http::{Reply, Request};
use crate::world::hub_handle::HubHandle;

pub(crate) mod calls;
pub(crate) mod clock;
pub(crate) mod faults;
pub(crate) mod hubs;
pub(crate) mod journal;
pub(crate) mod metrics;
pub(crate) mod openapi;
pub(crate) mod users;
pub(crate) mod worlds;

#[cfg(feature = "cluster")]

/// One call.
struct Call {
    method: Method,
    /// `{}` stands for a serial or a number.
    path: &'static str,
    /// What it does, for people.
    does: &'static str,
    /// A body that it takes; empty when it takes none.
    body: &'static str,
    act: Action,
}

/// An answer that is waited for.
type Waiting<'a> = Pin<Box<dyn Future<Output = Reply> + Send + 'a>>;

/// How it is done.
enum Action {
    /// Without waiting.
    Now(fn(&Shared, &Request) -> Reply),
    /// Waiting for something.
    Later(for<'a> fn(&'a Shared, &'a Request) -> Waiting<'a>),
    /// With what stands in place of `{}`.
    With(fn(&Shared, &str) -> Reply),
    /// The same with the request.
    Of(fn(&Shared, &str, &Request) -> Reply),
    /// With what stands in place of `{}`, waiting for something.
    LaterWith(for<'a> fn(&'a Shared, &'a str) -> Waiting<'a>),
    /// To the hub whose serial stands in place of `{}`; with a body to show.
    Hub(fn(&HubHandle, &[u8], &'static str) -> Reply),
}

pub(crate) async fn answer(shared: &Shared, request: &Request) -> Reply {
    if !is_local(request) {
        // A page in a browser must not reach this by a name that it made point here.
        return refusal(StatusCode::FORBIDDEN, "the control API answers to localhost and addresses only");
    }
    if is_from_elsewhere(request) {
        return refusal(StatusCode::FORBIDDEN, "the control API takes nothing from pages of other places");
    }
    let path = request.path.trim_end_matches('/');
    // What a copy copied would have numbers of its own, which names do not tell apart.
    if path.starts_with("/worlds")
        && crate::server::http::world_routing::world_number(&request.host.name()).is_some_and(|number| number > 0)
    {
        return refusal(StatusCode::CONFLICT, "copies are made, kept and ended by the first world's name");
    }
    let mut allowed = Vec::new();
    // HEAD is GET without a body; the body is taken off where answers are written.
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
            journal.named(EntryKind::Control, "", &name, None, &json!({"method": call.method.as_str()}))
        });
        return match call.act {
            Action::Now(act) => with_cause(seq, || act(shared, request)),
            Action::Later(act) => act(shared, request).await,
            Action::With(act) => with_cause(seq, || act(shared, part)),
            Action::Of(act) => with_cause(seq, || act(shared, part, request)),
            Action::LaterWith(act) => act(shared, part).await,
            Action::Hub(act) => {
                hubs::wherever(
                    shared,
                    part,
                    call,
                    |hub| with_cause(seq, || act(hub, &request.body, call.body)),
                    request,
                )
                .await
            }
        };
    }
    if allowed.is_empty() {
        return nothing();
    }
    let names = allowed.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
    let mut reply = refusal(StatusCode::METHOD_NOT_ALLOWED, &format!("{path} takes {names}"));
    reply.headers.extend(HeaderValue::from_str(&names).ok().map(|names| (ALLOW, names)));
    reply
}

/// Whether a call does something to the world; looking and waiting do not.
fn is_mutation(call: &Call) -> bool {
    call.method != Method::GET && call.path != "/expectations"
}

/// A query that the call does not have is a mistake that would go unseen.
fn unknown_query(call: &Call, request: &Request) -> Option<Reply> {
    let known = calls::QUERIES.iter().filter(|(path, _)| *path == call.path && call.method == Method::GET);
    let known: Vec<&str> = known.flat_map(|(_, query)| query.iter().map(|(name, ..)| *name)).collect();
    let strange = request.query.iter().find(|(name, _)| !known.contains(&name.as_str()))?;
    let knows = if known.is_empty() { "no query".to_owned() } else { known.join(", ") };
    Some(refusal(StatusCode::BAD_REQUEST, &format!("{} takes {knows}, not {:?}", call.path, strange.0)))
}

/// What stands in place of `{}`; empty when there is none in the pattern. `None` when they differ.
fn matches<'p>(pattern: &str, path: &'p str) -> Option<&'p str> {
    match pattern.split_once("{}") {
        None => (pattern == path).then_some(""),
        Some((front, back)) => {
            let part = path.strip_prefix(front)?.strip_suffix(back)?;
            (!part.is_empty() && !part.contains('/')).then_some(part)
        }
    }
}

fn nothing() -> Reply {
    let mut paths: Vec<&str> = calls::CALLS.iter().map(|call| call.path).collect();
    paths.dedup();
    refusal(StatusCode::NOT_FOUND, &format!("no such control call; there are {}", paths.join(", ")))
}

/// Whether a page of another place sends it: the browser says so.
fn is_from_elsewhere(request: &Request) -> bool {
    let here = |origin: &str| {
        origin.split_once("://").is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(&request.host.authority))
    };
    request.header("origin").is_some_and(|origin| !here(origin))
        || request.header("sec-fetch-site").is_some_and(|site| !matches!(site, "same-origin" | "none"))
}

fn is_local(request: &Request) -> bool {
    let name = request.host.name();
    name == "localhost"
        || crate::server::http::world_routing::world_number(&name).is_some()
        || name.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>().is_ok()
}

/// What a body wishes for: an object, nothing else.
fn wish<T: serde::de::DeserializeOwned>(body: &[u8], example: &str) -> Result<T, Reply> {
    let wrong = |text: &str| refusal(StatusCode::BAD_REQUEST, &format!("send {example}: {text}"));
    // Lists would be read as the members of an object in their order.
    match body.trim_ascii_start().first() {
        None => Err(wrong("the body is empty")),
        Some(b'{') => serde_json::from_slice(body).map_err(|error| wrong(&error.to_string())),
        Some(_) => Err(wrong("that is no object")),
    }
}

/// A call that takes no body is not given one: what it says would go unread.
fn unwanted_body(call: &Call, request: &Request) -> Option<Reply> {
    let body = request.body.trim_ascii();
    let is_nothing = body.is_empty() || body == b"{}" || body == b"null";
    let unwanted = call.body.is_empty() && call.method != Method::GET && !is_nothing;
    unwanted.then(|| refusal(StatusCode::BAD_REQUEST, &format!("{} {} takes no body", call.method, call.path)))
}

pub(crate) fn refusal(status: StatusCode, text: &str) -> Reply {
    Reply::new(status, "application/json", json!({"error": text}).to_string())
}
