//! Requests and answers as the handlers see them, with the limits that hold for every listener.

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

use broken::disturbed;
pub(super) use broken::in_place;
pub(super) use meant::world_number;
use meant::{Meant, agree, meant, turn};

use super::{Exchange, Shared, Surface, access_point, control, lan, route, socket};
use crate::cluster::Turn;
use crate::faults::{Facts, FaultKind, Place};
use crate::journal::{self, Asked};
use crate::report;
use crate::world::hub::OpenRequest;

mod broken;
mod events;
mod meant;

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

pub(super) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// A request, read whole. Not `Debug`: it holds passwords and tokens.
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) path: String,
    /// Names and values, decoded.
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) host: Host,
    /// Which of the query's parameters somebody has looked at.
    looked_at: Vec<AtomicBool>,
}

impl Request {
    /// A parameter of the query; the first of that name.
    pub(super) fn param(&self, name: &str) -> Option<&str> {
        let (at, (_, value)) = self.query.iter().enumerate().find(|(_, (key, _))| key == name)?;
        self.looked_at[at].store(true, Ordering::Relaxed);
        Some(value)
    }

    /// Names of the query that nobody has looked at, as the journal shows them.
    fn ignored(&self) -> Vec<String> {
        let unread = self.query.iter().zip(&self.looked_at).filter(|(_, looked)| !looked.load(Ordering::Relaxed));
        unread.take(MOST_TOLD).map(|((name, _), _)| journal::shown_name(name)).collect()
    }

    /// What is not UTF-8 counts as not there.
    pub(super) fn header(&self, name: impl AsHeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| str::from_utf8(value.as_bytes()).ok())
    }
}

/// The name a caller used, which the names in answers follow.
#[derive(Debug, Clone)]
pub(super) struct Host {
    /// As sent, port included.
    pub(super) authority: String,
    pub(super) tls: bool,
}

impl Host {
    /// Without port, in lower case.
    pub(super) fn name(&self) -> Cow<'_, str> {
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
    pub(super) fn is_vendors(&self) -> bool {
        let name = self.name();
        name.ends_with(".mios.com") || name.ends_with(".ezlo.com")
    }

    /// That vendor host for a caller who uses vendor names, else the caller's own authority.
    pub(super) fn server<'a>(&'a self, vendor: &'a str) -> &'a str {
        if self.is_vendors() { vendor } else { &self.authority }
    }
}

/// An answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
}

fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).boxed_unsync()
}

impl Reply {
    pub(super) fn new(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let mut headers = HeaderMap::with_capacity(USUAL_HEADERS);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        Self { status, headers, body: full(body) }
    }

    pub(super) fn json(document: &impl Serialize) -> Self {
        Self::json_text(serde_json::to_vec(document).unwrap_or_default())
    }

    /// A document that is written already.
    pub(super) fn json_text(text: impl Into<Bytes>) -> Self {
        Self::new(StatusCode::OK, "application/json", text)
    }

    pub(super) fn text(text: impl Into<Bytes>) -> Self {
        Self::new(StatusCode::OK, "text/plain", text)
    }

    /// A refusal as the MMS family words it: plain text that begins with `ERROR:` (seen on the legacy relay; that the
    /// other servers do the same is inferred).
    pub(super) fn error(status: StatusCode, text: &str) -> Self {
        Self::new(status, "text/plain", format!("ERROR:{text}"))
    }

    pub(super) fn not_found() -> Self {
        Self::error(StatusCode::NOT_FOUND, "Not found")
    }

    pub(super) fn method_not_allowed(allowed: &[Method]) -> Self {
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
pub(super) async fn answer(
    shared: &Arc<Shared>,
    surface: &Surface,
    tls: bool,
    exchange: &Exchange,
    request: http::Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let head_only = request.method() == Method::HEAD;
    let host = host_of(&request, tls);
    // A hub's own ports are its own.
    let of_many = matches!(surface, Surface::Cloud { .. } | Surface::Control);
    let meant = if of_many { meant(shared, host.as_ref()) } else { Meant::This };
    let shared = match &meant {
        Meant::This => shared,
        Meant::Copy(copy) => copy,
        Meant::Nobody if matches!(surface, Surface::Control) => {
            let refusal = control::refusal(StatusCode::NOT_FOUND, "no copy has that number; GET /worlds lists them");
            return Ok(refusal.into_response(shared, head_only));
        }
        Meant::Nobody => {
            return Ok(Reply::error(StatusCode::NOT_FOUND, "No such world").into_response(shared, head_only));
        }
    };
    let home = match agree(shared, surface).await {
        Ok(home) => home,
        Err(apart) => return Ok(apart.reply().into_response(shared, head_only)),
    };
    // Held until what it changes is kept.
    let mut own_turn = None;
    let reply = if matches!(surface, Surface::Control) {
        controlled(shared, host, request, &mut own_turn).await
    } else {
        journalled(shared, (surface, exchange), host, request, &mut own_turn).await
    };
    let is_kept = shared.world.is_kept().await && home.is_still(&shared.world);
    let reply = if is_kept { reply } else { not_kept() };
    drop(own_turn);
    Ok(reply.into_response(shared, head_only))
}

/// Nothing that says a change is done may go out when the change is lost with the program.
fn not_kept() -> Reply {
    Reply::error(StatusCode::SERVICE_UNAVAILABLE, "The state cannot be kept")
}

/// The control API is not part of the world: nothing of it is in the journal, and what it refuses is JSON.
async fn controlled(
    shared: &Shared,
    host: Option<Host>,
    request: http::Request<Incoming>,
    own_turn: &mut Option<Turn>,
) -> Reply {
    let Some(host) = host else { return control::refusal(StatusCode::BAD_REQUEST, "missing or malformed Host") };
    if socket::is_upgrade(&request) {
        return control::refusal(StatusCode::BAD_REQUEST, "the control API has no WebSockets; GET /journal?follow=1");
    }
    let request = match read(request, host, BODY_TIME).await {
        Ok(request) => request,
        Err(reply) => {
            return control::refusal(reply.status, &format!("the request cannot be read: {}", reply.status));
        }
    };
    match turn(shared, &Surface::Control, &request).await {
        Ok(got) => *own_turn = got,
        Err(_) => return control::refusal(StatusCode::SERVICE_UNAVAILABLE, "the other processes cannot be asked"),
    }
    control::answer(shared, &request).await
}

/// The answer to a request, both with their place in the journal from its head on, whatever becomes of it.
async fn journalled(
    shared: &Shared,
    (surface, exchange): (&Surface, &Exchange),
    host: Option<Host>,
    request: http::Request<Incoming>,
    own_turn: &mut Option<Turn>,
) -> Reply {
    let journal = &shared.world.journal;
    let uri = request.uri().clone();
    let seq = journal.request(&Asked {
        host: host.as_ref().map(Host::name).as_deref(),
        method: request.method().as_str(),
        path: uri.path(),
        query: uri.query().unwrap_or_default(),
        listener: surface.listener(),
        hub: surface.hub().map(|hub| hub.serial.as_str()),
    });
    let reply = match host {
        None => Reply::error(StatusCode::BAD_REQUEST, "Missing or malformed Host"),
        Some(_) if socket::is_upgrade(&request) => {
            journal::because_of(Some(seq), || socket::accept(shared, surface, exchange, request))
        }
        Some(host) => match read_whole(surface, host, request).await {
            Ok((request, open)) => answered(seq, shared, (surface, exchange), (&request, open), own_turn).await,
            Err(reply) => reply,
        },
    };
    journal::because_of(Some(seq), || journal.answer(uri.path(), reply.status.as_u16()));
    reply
}

/// The whole of a request. One to a hub is open from its head on.
async fn read_whole(
    surface: &Surface,
    host: Host,
    request: http::Request<Incoming>,
) -> Result<(Request, Option<OpenRequest>), Reply> {
    let (open, limit) = match surface {
        Surface::Lan { hub, .. } => match hub.open_request() {
            Some(open) => (Some(open), LAN_BODY_TIME),
            None => return Err(Reply::error(StatusCode::TOO_MANY_REQUESTS, "Too many open requests")),
        },
        _ => (None, BODY_TIME),
    };
    Ok((read(request, host, limit).await?, open))
}

/// The answer, with what goes wrong about it.
async fn answered(
    seq: u64,
    shared: &Shared,
    (surface, exchange): (&Surface, &Exchange),
    (request, open): (&Request, Option<OpenRequest>),
    own_turn: &mut Option<Turn>,
) -> Reply {
    let fault = journal::because_of(Some(seq), || fault_of(shared, surface, request));
    if let Some(reply) = fault.as_ref().and_then(in_place) {
        return reply;
    }
    if let Some(FaultKind::SlowAnswer { millis }) = fault {
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }
    match turn(shared, surface, request).await {
        Ok(got) => *own_turn = got,
        Err(apart) => return apart.reply(),
    }
    let reply = route_to(seq, shared, surface, request, open);
    match fault {
        Some(fault) => disturbed(&fault, shared, exchange, reply).await,
        None => reply,
    }
}

fn fault_of(shared: &Shared, surface: &Surface, request: &Request) -> Option<FaultKind> {
    if !surface.has_faults() || !shared.world.faults.are_there() {
        return None;
    }
    let own = surface.hub().map(|hub| hub.serial.to_string());
    let hub = own.or_else(|| hub_in(&request.path)).unwrap_or_default();
    let host = request.host.name();
    let params = request.query.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
    let facts = Facts {
        host: &host,
        path: &request.path,
        method: request.method.as_str(),
        hub: &hub,
        listener: surface.listener(),
        user: &route::user_of(&shared.world, request),
        params: Some(&params),
        ..Facts::default()
    };
    shared.world.fault(Place::Request, &facts)
}

/// The hub that a request to the cloud is about, where its path says so.
fn hub_in(path: &str) -> Option<String> {
    let mut parts = path.rsplit('/');
    let serial = parts.next()?;
    let is_about = parts.next() == Some("device") && serial.parse::<Serial>().is_ok();
    is_about.then(|| serial.to_owned())
}

/// Handlers do not wait, so everything they lead to has that request as its cause.
fn route_to(seq: u64, shared: &Shared, surface: &Surface, request: &Request, open: Option<OpenRequest>) -> Reply {
    journal::because_of(Some(seq), || match surface {
        Surface::Cloud { .. } => {
            let reply = route::cloud(shared, request);
            // What was refused may not have been read to its end.
            let ignored = if reply.status.is_success() { request.ignored() } else { Vec::new() };
            if !ignored.is_empty() {
                report::ignored(&shared.world, &journal::shown_path(&request.path), &ignored);
            }
            reply
        }
        Surface::AccessPoint(hub) => access_point::api(&shared.world, hub, request),
        Surface::AccessPointRoot(hub) => access_point::root(&shared.world, hub, request),
        Surface::Lan { hub, .. } => match open {
            Some(open) => lan::answer(&shared.world, hub, request, open),
            None => Reply::not_found(),
        },
        // Answered before.
        Surface::Control => Reply::not_found(),
    })
}

/// The authority the caller used: from the request line or the `Host` header; letters, digits and `.:-[]_` only, since it
/// goes into answers.
pub(super) fn host_of<B>(request: &http::Request<B>, tls: bool) -> Option<Host> {
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
pub(super) fn query_params(query: &str) -> Value {
    pairs(query).unwrap_or_default().into_iter().map(|(name, value)| (name, Value::from(value))).collect()
}

/// The pairs of a query string or form; `None` when one is not UTF-8. A plus is a space, as every form encoder means it.
pub(super) fn pairs(text: &str) -> Option<Vec<(String, String)>> {
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
