//! Requests and answers as the handlers see them, with the limits that hold for every listener.

use crate::journal::shown::shown_name;
use crate::journal::shown::shown_path;
use crate::server::http::fault_responses::replacement_response;
use crate::server::ws::upgrade::accept;
use crate::server::ws::upgrade::is_upgrade;
use std::borrow::Cow;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use ezlo_protocol::serial::Serial;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http::header::{ALLOW, AsHeaderName, CONTENT_LENGTH, CONTENT_TYPE, DATE, HOST, HeaderValue};
use http::{HeaderMap, Method, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited, StreamBody};
use hyper::body::{Body as _, Frame, Incoming};
use percent_encoding::percent_decode_str;
use serde::Serialize;
use serde_json::Value;

use crate::server::http::fault_responses::apply_response_fault;
use crate::server::http::world_routing::{RoutedWorld, acquire_account_lock, ensure_local, route_world};

use crate::cluster::AccountLock;
use crate::faults::kinds::FaultKind;
use crate::faults::point::{InjectionContext, InjectionPoint};
use crate::journal;
use crate::journal::RequestRecord;
use crate::journal::usage_report;
use crate::server::hub_ports::{access_point, lan};
use crate::server::vendor::routes;
use crate::server::{ConnectionSlot, ListenerKind, Shared, control};
use crate::world::hub_actor::OpenHttpRequest;

pub(crate) mod fault_responses;
pub(crate) mod sse;
pub(crate) mod world_routing;

/// Longest request body, in bytes. The longest real one is a scene of a few kB.
const MAX_BODY: usize = 256 * 1024;
/// How long a request body may take.
const BODY_TIME: Duration = Duration::from_secs(10);
/// How long a request to a hub may run (the vendor's note on its HTTP server).
const LAN_BODY_TIME: Duration = Duration::from_secs(60);
/// How long the first half of a body that is cut has to go out.
const FLUSH_TIME: Duration = Duration::from_millis(50);
/// Headers that an answer has room for at first: those here, and those that the library adds.
const USUAL_HEADERS: usize = 6;
/// Names of a query that are told when nobody looked at them.
const MOST_TOLD: usize = 32;

pub(crate) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// A request, read whole. Not `Debug`: it holds passwords and tokens.
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) path: String,
    /// Names and values, decoded.
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) host: Host,
    /// Which of the query's parameters somebody has looked at.
    looked_at: Vec<AtomicBool>,
}

impl Request {
    /// A parameter of the query; the first of that name.
    pub(crate) fn param(&self, name: &str) -> Option<&str> {
        let (at, (_, value)) = self.query.iter().enumerate().find(|(_, (key, _))| key == name)?;
        self.looked_at[at].store(true, Ordering::Relaxed);
        Some(value)
    }

    /// Names of the query that nobody has looked at, as the journal shows them.
    fn ignored(&self) -> Vec<String> {
        let unread = self.query.iter().zip(&self.looked_at).filter(|(_, looked)| !looked.load(Ordering::Relaxed));
        unread.take(MOST_TOLD).map(|((name, _), _)| shown_name(name)).collect()
    }

    /// What is not UTF-8 counts as not there.
    pub(crate) fn header(&self, name: impl AsHeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| str::from_utf8(value.as_bytes()).ok())
    }
}

/// The name a caller used, which the names in answers follow.
#[derive(Debug, Clone)]
pub(crate) struct Host {
    /// As sent, port included.
    pub(crate) authority: String,
    pub(crate) tls: bool,
}

impl Host {
    /// Without port, in lower case.
    pub(crate) fn name(&self) -> Cow<'_, str> {
        let name = match self.authority.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => name,
            _ => &self.authority,
        };
        if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Cow::Owned(name.to_ascii_lowercase())
        } else {
            Cow::Borrowed(name)
        }
    }

    /// Whether the caller thinks it talks to the vendor.
    pub(crate) fn is_vendors(&self) -> bool {
        let name = self.name();
        name.ends_with(".mios.com") || name.ends_with(".ezlo.com")
    }

    /// That vendor host for a caller who uses vendor names, else the caller's own authority.
    pub(crate) fn server<'a>(&'a self, vendor: &'a str) -> &'a str {
        if self.is_vendors() { vendor } else { &self.authority }
    }
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
}

fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).boxed_unsync()
}

impl Reply {
    pub(crate) fn new(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let mut headers = HeaderMap::with_capacity(USUAL_HEADERS);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        Self { status, headers, body: full(body) }
    }

    pub(crate) fn json(document: &impl Serialize) -> Self {
        Self::json_text(serde_json::to_vec(document).unwrap_or_default())
    }

    /// A document that is written already.
    pub(crate) fn json_text(text: impl Into<Bytes>) -> Self {
        Self::new(StatusCode::OK, "application/json", text)
    }

    pub(crate) fn text(text: impl Into<Bytes>) -> Self {
        Self::new(StatusCode::OK, "text/plain", text)
    }

    /// A refusal as the MMS family words it: plain text that begins with `ERROR:` (seen on the legacy relay; that the
    /// other servers do the same is inferred).
    pub(crate) fn error(status: StatusCode, text: &str) -> Self {
        Self::new(status, "text/plain", format!("ERROR:{text}"))
    }

    pub(crate) fn not_found() -> Self {
        Self::error(StatusCode::NOT_FOUND, "Not found")
    }

    pub(crate) fn method_not_allowed(allowed: &[Method]) -> Self {
        let mut reply = Self::error(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed");
        let names = allowed.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
        reply.headers.extend(HeaderValue::from_str(&names).ok().map(|names| (ALLOW, names)));
        reply
    }

    /// Says how long it is, and ends in the middle; one that goes on and on ends after its first part.
    async fn truncated(mut self) -> Self {
        // What is there has to be out before the end comes, or the library throws it away.
        let end = stream::once(async {
            tokio::time::sleep(FLUSH_TIME).await;
            Ok(Frame::data(Bytes::new()))
        });
        if self.body.size_hint().exact().is_none() {
            self.headers.insert(CONTENT_LENGTH, HeaderValue::from(MAX_BODY));
            let first = self.body.into_data_stream().take(1).map_ok(Frame::data);
            self.body = StreamBody::new(first.chain(end)).boxed_unsync();
            return self;
        }
        let whole = match self.body.collect().await {
            Ok(whole) => whole.to_bytes(),
            Err(never) => match never {},
        };
        self.headers.insert(CONTENT_LENGTH, HeaderValue::from(whole.len()));
        let half = Frame::data(whole.slice(..whole.len() / 2));
        self.body = StreamBody::new(stream::once(async { Ok(half) }).chain(end)).boxed_unsync();
        self
    }

    fn into_response(self, shared: &Shared, head_only: bool) -> Response<Body> {
        let mut response = Response::new(if head_only { full(Bytes::new()) } else { self.body });
        (*response.status_mut(), *response.headers_mut()) = (self.status, self.headers);
        response.headers_mut().extend(shared.date().map(|date| (DATE, date)));
        response
    }
}

/// Answers a request of any listener.
pub(crate) async fn answer(
    shared: &Arc<Shared>,
    surface: &ListenerKind,
    tls: bool,
    exchange: &ConnectionSlot,
    request: http::Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let head_only = request.method() == Method::HEAD;
    let host = host_of(&request, tls);
    // A hub's own ports are its own.
    let of_many = matches!(surface, ListenerKind::Cloud { .. } | ListenerKind::Control);
    let meant = if of_many { route_world(shared, host.as_ref()) } else { RoutedWorld::This };
    let shared = match &meant {
        RoutedWorld::This => shared,
        RoutedWorld::Copy(copy) => copy,
        RoutedWorld::Nobody if matches!(surface, ListenerKind::Control) => {
            let refusal = control::refusal(StatusCode::NOT_FOUND, "no copy has that number; GET /worlds lists them");
            return Ok(refusal.into_response(shared, head_only));
        }
        RoutedWorld::Nobody => {
            return Ok(Reply::error(StatusCode::NOT_FOUND, "No such world").into_response(shared, head_only));
        }
    };
    let home = match ensure_local(shared, surface).await {
        Ok(home) => home,
        Err(apart) => return Ok(apart.reply().into_response(shared, head_only)),
    };
    // Held until what it changes is kept.
    let mut own_turn = None;
    let reply = if matches!(surface, ListenerKind::Control) {
        serve_control(shared, host, request, &mut own_turn).await
    } else {
        serve_with_journal(shared, (surface, exchange), host, request, &mut own_turn).await
    };
    let flush = shared.world.flush().await && home.is_still(&shared.world);
    let reply = if flush { reply } else { not_persisted() };
    drop(own_turn);
    Ok(reply.into_response(shared, head_only))
}

/// Nothing that says a change is done may go out when the change is lost with the program.
fn not_persisted() -> Reply {
    Reply::error(StatusCode::SERVICE_UNAVAILABLE, "The state cannot be kept")
}

/// The control API is not part of the world: nothing of it is in the journal, and what it refuses is JSON.
async fn serve_control(
    shared: &Shared,
    host: Option<Host>,
    request: http::Request<Incoming>,
    own_turn: &mut Option<AccountLock>,
) -> Reply {
    let Some(host) = host else { return control::refusal(StatusCode::BAD_REQUEST, "missing or malformed Host") };
    if is_upgrade(&request) {
        return control::refusal(StatusCode::BAD_REQUEST, "the control API has no WebSockets; GET /journal?follow=1");
    }
    let request = match read(request, host, BODY_TIME).await {
        Ok(request) => request,
        Err(reply) => {
            return control::refusal(reply.status, &format!("the request cannot be read: {}", reply.status));
        }
    };
    match acquire_account_lock(shared, &ListenerKind::Control, &request).await {
        Ok(got) => *own_turn = got,
        Err(_) => return control::refusal(StatusCode::SERVICE_UNAVAILABLE, "the other processes cannot be asked"),
    }
    control::answer(shared, &request).await
}

/// The answer to a request, both with their place in the journal from its head on, whatever becomes of it.
async fn serve_with_journal(
    shared: &Shared,
    (surface, exchange): (&ListenerKind, &ConnectionSlot),
    host: Option<Host>,
    request: http::Request<Incoming>,
    own_turn: &mut Option<AccountLock>,
) -> Reply {
    let journal = &shared.world.journal;
    let uri = request.uri().clone();
    let seq = journal.request(&RequestRecord {
        host: host.as_ref().map(Host::name).as_deref(),
        method: request.method().as_str(),
        path: uri.path(),
        query: uri.query().unwrap_or_default(),
        listener: surface.listener(),
        hub: surface.hub().map(|hub| hub.serial.as_str()),
    });
    let reply = match host {
        None => Reply::error(StatusCode::BAD_REQUEST, "Missing or malformed Host"),
        Some(_) if is_upgrade(&request) => {
            journal::with_cause(Some(seq), || accept(shared, surface, exchange, request))
        }
        Some(host) => match read_whole(surface, host, request).await {
            Ok((request, open)) => {
                handle_with_faults(seq, shared, (surface, exchange), (&request, open), own_turn).await
            }
            Err(reply) => reply,
        },
    };
    journal::with_cause(Some(seq), || journal.answer(uri.path(), reply.status.as_u16()));
    reply
}

/// The whole of a request. One to a hub is open from its head on.
async fn read_whole(
    surface: &ListenerKind,
    host: Host,
    request: http::Request<Incoming>,
) -> Result<(Request, Option<OpenHttpRequest>), Reply> {
    let (open, limit) = match surface {
        ListenerKind::Lan { hub, .. } => match hub.open_request() {
            Some(open) => (Some(open), LAN_BODY_TIME),
            None => return Err(Reply::error(StatusCode::TOO_MANY_REQUESTS, "Too many open requests")),
        },
        _ => (None, BODY_TIME),
    };
    Ok((read(request, host, limit).await?, open))
}

/// The answer, with what goes wrong about it.
async fn handle_with_faults(
    seq: u64,
    shared: &Shared,
    (surface, exchange): (&ListenerKind, &ConnectionSlot),
    (request, open): (&Request, Option<OpenHttpRequest>),
    own_turn: &mut Option<AccountLock>,
) -> Reply {
    let fault = journal::with_cause(Some(seq), || request_fault(shared, surface, request));
    if let Some(reply) = fault.as_ref().and_then(replacement_response) {
        return reply;
    }
    if let Some(FaultKind::SlowAnswer { millis }) = fault {
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }
    match acquire_account_lock(shared, surface, request).await {
        Ok(got) => *own_turn = got,
        Err(apart) => return apart.reply(),
    }
    let reply = dispatch(seq, shared, surface, request, open);
    match fault {
        Some(fault) => apply_response_fault(&fault, shared, exchange, reply).await,
        None => reply,
    }
}

fn request_fault(shared: &Shared, surface: &ListenerKind, request: &Request) -> Option<FaultKind> {
    if !surface.has_faults() || !shared.world.faults.any_active() {
        return None;
    }
    let own = surface.hub().map(|hub| hub.serial.to_string());
    let hub = own.or_else(|| hub_in(&request.path)).unwrap_or_default();
    let host = request.host.name();
    let params = request.query.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
    let facts = InjectionContext {
        host: &host,
        path: &request.path,
        method: request.method.as_str(),
        hub: &hub,
        listener: surface.listener(),
        user: &routes::user_of(&shared.world, request),
        params: Some(&params),
        ..InjectionContext::default()
    };
    shared.world.fault(InjectionPoint::Request, &facts)
}

/// The hub that a request to the cloud is about, where its path says so.
fn hub_in(path: &str) -> Option<String> {
    let mut parts = path.rsplit('/');
    let serial = parts.next()?;
    let is_about = parts.next() == Some("device") && serial.parse::<Serial>().is_ok();
    is_about.then(|| serial.to_owned())
}

/// Handlers do not wait, so everything they lead to has that request as its cause.
fn dispatch(
    seq: u64,
    shared: &Shared,
    surface: &ListenerKind,
    request: &Request,
    open: Option<OpenHttpRequest>,
) -> Reply {
    journal::with_cause(Some(seq), || match surface {
        ListenerKind::Cloud { .. } => {
            let reply = routes::cloud(shared, request);
            // What was refused may not have been read to its end.
            let ignored = if reply.status.is_success() { request.ignored() } else { Vec::new() };
            if !ignored.is_empty() {
                usage_report::record_unknown_fields(&shared.world.journal, &shown_path(&request.path), &ignored);
            }
            reply
        }
        ListenerKind::AccessPoint(hub) => access_point::api(&shared.world, hub, request),
        ListenerKind::AccessPointRoot(hub) => access_point::root(&shared.world, hub, request),
        ListenerKind::Lan { hub, .. } => match open {
            Some(open) => lan::answer(&shared.world, hub, request, open),
            None => Reply::not_found(),
        },
        // Answered before.
        ListenerKind::Control => Reply::not_found(),
    })
}

/// The authority the caller used: from the request line or the `Host` header; letters, digits and `.:-[]_` only, since it
/// goes into answers.
pub(crate) fn host_of<B>(request: &http::Request<B>, tls: bool) -> Option<Host> {
    let mut hosts = request.headers().get_all(HOST).iter();
    let (first, more) = (hosts.next(), hosts.next());
    // Nobody knows which of several is meant.
    if more.is_some() {
        return None;
    }
    let header = || first.and_then(|host| host.to_str().ok()).map(str::to_owned);
    let authority = request.uri().authority().map(ToString::to_string).or_else(header)?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".:-[]_".contains(&byte);
    let good = !authority.is_empty() && authority.len() <= 300 && authority.bytes().all(plain);
    good.then_some(Host { authority, tls })
}

async fn read(request: http::Request<Incoming>, host: Host, limit: Duration) -> Result<Request, Reply> {
    let (head, body) = request.into_parts();
    let is_empty = body.is_end_stream();
    let collected = async { Limited::new(body, MAX_BODY).collect().await.map(|body| body.to_bytes()) };
    // Most have none, and nobody has to look at the time.
    let collected = if is_empty { Ok(Ok(Bytes::new())) } else { tokio::time::timeout(limit, collected).await };
    let body = match collected {
        Ok(Ok(body)) => body,
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            return Err(Reply::error(StatusCode::PAYLOAD_TOO_LARGE, "Request too long"));
        }
        Ok(Err(_)) => return Err(Reply::error(StatusCode::BAD_REQUEST, "Broken request body")),
        Err(_) => return Err(Reply::error(StatusCode::REQUEST_TIMEOUT, "Request body took too long")),
    };
    let query = head.uri.query().map(pairs).unwrap_or(Some(Vec::new()));
    let query = query.ok_or_else(|| Reply::error(StatusCode::BAD_REQUEST, "Query is not UTF-8"))?;
    let path = head.uri.path().to_owned();
    let looked_at = query.iter().map(|_| AtomicBool::new(false)).collect();
    Ok(Request { method: head.method, path, query, headers: head.headers, body, host, looked_at })
}

/// A query as parameters that a fault can match.
pub(crate) fn query_params(query: &str) -> Value {
    pairs(query).unwrap_or_default().into_iter().map(|(name, value)| (name, Value::from(value))).collect()
}

/// The pairs of a query string or form; `None` when one is not UTF-8. A plus is a space, as every form encoder means it.
pub(crate) fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    let decode = |text: &str| {
        if !text.bytes().any(|byte| matches!(byte, b'+' | b'%')) {
            return Some(text.to_owned());
        }
        let spaced = text.replace('+', " ");
        percent_decode_str(&spaced).decode_utf8().ok().map(std::borrow::Cow::into_owned)
    };
    let parts = text.split('&').filter(|part| !part.is_empty());
    parts.map(|part| part.split_once('=').unwrap_or((part, ""))).map(|(k, v)| Some((decode(k)?, decode(v)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(authority: &str) -> Host {
        Host { authority: authority.into(), tls: true }
    }

    #[test]
    fn names_in_answers_follow_the_caller() {
        let vendor = "vera-us-oem-account11.mios.com";
        assert_eq!(host("vera-us-oem-autha.mios.com").server(vendor), vendor);
        assert_eq!(host("VERA-us-oem-autha.MIOS.com:443").server(vendor), vendor);
        assert_eq!(host("127.0.0.1:8443").server(vendor), "127.0.0.1:8443");
        assert_eq!(host("evilmios.com").server(vendor), "evilmios.com");
        assert_eq!(host("[::1]:8443").name(), "[::1]");
    }

    #[test]
    fn queries_are_decoded_once() {
        let expected = |pairs: &[(&str, &str)]| Some(pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect());
        assert_eq!(
            pairs("a=1&b=%7B%22x%22:%201%7D&c&d=x=y"),
            expected(&[("a", "1"), ("b", "{\"x\": 1}"), ("c", ""), ("d", "x=y")])
        );
        assert_eq!(pairs("a=b+c%2Bd"), expected(&[("a", "b c+d")]));
        assert_eq!(pairs("a=%FF"), None);
        assert_eq!(pairs("a=100%"), expected(&[("a", "100%")]));
    }
}
