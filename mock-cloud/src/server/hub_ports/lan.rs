//! The hub's local port: calls by WebSocket and by HTTP, with the hub's own login.

use crate::evidence::policy;
use crate::journal::shown::shown_path;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use ezlo_protocol::error::code;
use ezlo_protocol::evidence::Evidence;
use ezlo_protocol::hub::login::OfflineLogin;
use ezlo_protocol::hub::method::{InfoGet, LocalLogin, Method as _};
use ezlo_protocol::rpc::{Envelope, FrameKind, RpcError};
use ezlo_protocol::secret::LocalToken;
use futures_util::stream;
use http::{Method, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use tokio::sync::watch;

use crate::faults::kinds::CallFault;
use crate::faults::point::INJECTED;
use crate::journal::usage_report;
use crate::server::http::message::{Reply, Request};
use crate::wire;
use crate::wire::ReplyRoute;
use crate::world::World;
use crate::world::hub_actor::HubActor;
use crate::world::hub_actor::OpenHttpRequest;
use crate::world::outbox::{Link, LinkKind, Out};
use ezlo_hub_sim::json::RawJson;
use ezlo_hub_sim::{Local, decode};

/// An HTTP call of the local port, with its evidence.
pub(crate) struct LanCall {
    /// Path, with `{}` for a variable rest.
    pub(crate) path: &'static str,
    /// Evidence level of the reply.
    pub(crate) evidence: Evidence,
    /// Source of the evidence.
    pub(crate) source: &'static str,
}

/// All HTTP calls of the local port.
pub(crate) const CALLS: &[LanCall] = &[
    LanCall { path: "/v1/request", evidence: Evidence::Vendor, source: "the vendor's note on the hub's HTTP server" },
    LanCall { path: "/v1/method/{}", evidence: Evidence::Vendor, source: "the vendor's note on the hub's HTTP server" },
    LanCall {
        path: "/v1/broadcasts",
        evidence: Evidence::Inferred,
        source: "the vendor's note has the path; the separation of broadcasts is inferred",
    },
];

/// Answers an HTTP request to a hub (the vendor's note on the HTTP server, users' commands for port 17000).
pub(crate) fn answer(world: &Arc<World>, hub: &Arc<HubActor>, request: &Request, open: OpenHttpRequest) -> Reply {
    if hub.local != Local::Full {
        return Reply::not_found();
    }
    let call = CALLS.iter().find(|call| match call.path.strip_suffix("{}") {
        Some(front) => request.path.starts_with(front),
        None => call.path == request.path,
    });
    let refusal =
        call.and_then(|call| crate::server::credentials::insufficient_evidence(world, call.path, call.evidence));
    if let Some(refusal) = refusal {
        return refusal;
    }
    if !is_allowed(world, hub, request) {
        return Reply::error(StatusCode::UNAUTHORIZED, "Wrong user or token");
    }
    match (request.path.as_str(), &request.method) {
        ("/v1/request", &Method::POST) => posted(hub, &request.body),
        ("/v1/request", _) => Reply::method_not_allowed(&[Method::POST]),
        ("/v1/broadcasts", &Method::GET) => broadcasts(world, hub, open),
        (path, &Method::GET) => match path.strip_prefix("/v1/method/") {
            Some(method) => by_path(world, hub, method, &request.query),
            None => unanswered(world, request),
        },
        (path, _) if path.starts_with("/v1/method/") => Reply::method_not_allowed(&[Method::GET]),
        _ => unanswered(world, request),
    }
}

fn unanswered(world: &World, request: &Request) -> Reply {
    const KNOWN: &[&str] = &["POST /v1/request", "GET /v1/broadcasts", "GET /v1/method/hub.info.get"];
    let request_line = format!("{} {}", request.method, request.path);
    let known = KNOWN.iter().map(|known| (*known).to_owned());
    usage_report::record_unmatched(&world.journal, &shown_path(&request.path), &request_line, known);
    Reply::not_found()
}

/// Returns whether the request's credentials open the hub.
///
/// Basic credentials take precedence over the headers `user` and `token`. Anonymous access needs no credentials.
fn is_allowed(world: &World, hub: &HubActor, request: &Request) -> bool {
    let basic = request.header("authorization").and_then(basic_credentials).map(|encoded| {
        let decoded = STANDARD.decode(encoded.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        decoded.and_then(|text| text.split_once(':').map(|(user, token)| (user.to_owned(), token.to_owned())))
    });
    let headers = || Some((request.header("user")?.to_owned(), request.header("token")?.to_owned()));
    match basic.unwrap_or_else(headers) {
        Some((user, token)) => world.accounts().opens(&world.tokens, &hub.serial, &user, &LocalToken::new(token)),
        None => hub.read(|hub| hub.anonymous_access),
    }
}

/// Returns the encoded part of a Basic header value. The scheme is case-insensitive.
fn basic_credentials(value: &str) -> Option<&str> {
    let (scheme, encoded) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("basic").then_some(encoded)
}

fn posted(hub: &Arc<HubActor>, body: &[u8]) -> Reply {
    let envelope = std::str::from_utf8(body).ok().and_then(|text| Envelope::parse(text).ok());
    match envelope.filter(|envelope| envelope.method.is_some()) {
        Some(envelope) => called(hub, &envelope, ReplyRoute::Local),
        None => Reply::error(StatusCode::BAD_REQUEST, "No data, or not valid JSON"),
    }
}

/// Runs a call and returns its reply. The status is 500 for an error (inferred).
fn called(hub: &Arc<HubActor>, envelope: &Envelope<'_>, route: ReplyRoute<'_>) -> Reply {
    // `drop_reply` has no effect on HTTP; the fault `unresponsive` simulates a missing HTTP response.
    let can = |fault: &CallFault| *fault != CallFault::DropReply;
    let outcome = match hub.call_fault(envelope, "lan", "", String::new, can) {
        Some(CallFault::RpcError { code, data }) => Err(RpcError::new(code, &data, INJECTED)),
        Some(CallFault::DropReply) | None => hub.call(envelope, |_| ()),
    };
    let status = if outcome.is_ok() { StatusCode::OK } else { StatusCode::INTERNAL_SERVER_ERROR };
    Reply::new(status, "application/json", hub.reply_text(envelope, &outcome, route))
}

/// Runs a method given by path, with slashes (the vendor's note) or dots (users). The query holds the parameters.
fn by_path(world: &Arc<World>, hub: &Arc<HubActor>, method: &str, query: &[(String, String)]) -> Reply {
    let Ok(method) = percent_encoding::percent_decode_str(method).decode_utf8() else {
        return Reply::error(StatusCode::BAD_REQUEST, "Path is not UTF-8");
    };
    let method = method.trim_end_matches('/').replace('/', ".");
    let params: Map<_, _> = query.iter().map(|(name, value)| parameter(name, value)).collect();
    // The client sends no id, so the hub creates one, in the form of its object ids.
    let text = json!({"id": world.random.hex(24), "method": method, "params": params}).to_string();
    match Envelope::parse(&text) {
        Ok(envelope) => called(hub, &envelope, ReplyRoute::Http),
        Err(_) => Reply::error(StatusCode::BAD_REQUEST, "No data, or not valid JSON"),
    }
}

/// Converts a query parameter to a parameter of the method.
///
/// `name_bool` and `name_int` become a boolean and an integer, all others become text. A leading underscore belongs to the
/// name. A value that does not parse becomes null, and the call fails with "Wrong params" (users).
fn parameter(name: &str, value: &str) -> (String, Value) {
    if let Some(name) = name.strip_suffix("_bool").filter(|name| !name.is_empty()) {
        return (name.to_owned(), value.parse::<bool>().map_or(Value::Null, Value::from));
    }
    if let Some(name) = name.strip_suffix("_int").filter(|name| !name.is_empty()) {
        return (name.to_owned(), value.parse::<i64>().map_or(Value::Null, Value::from));
    }
    (name.to_owned(), value.into())
}

/// Streams broadcasts as one JSON object per line until the client disconnects (the format is inferred).
fn broadcasts(world: &Arc<World>, hub: &Arc<HubActor>, open: OpenHttpRequest) -> Reply {
    let (link, outbox) = Link::new(&world.journal, world.keeper.as_ref(), world.random.uuid(), LinkKind::Local);
    let leave = Leave { hub: Arc::clone(hub), conn_id: link.conn_id.clone(), _open: open };
    if !hub.attach(link) {
        return Reply::error(StatusCode::TOO_MANY_REQUESTS, "Too many open requests");
    }
    let lines = stream::unfold((outbox, leave), |(mut outbox, leave)| async move {
        match outbox.recv().await {
            Some(Out::Text(text, _)) => {
                let line = Bytes::from(format!("{text}\n"));
                Some((Ok::<_, Infallible>(Frame::data(line)), (outbox, leave)))
            }
            Some(Out::Close) | None => None,
        }
    });
    let mut reply = Reply::new(StatusCode::OK, "application/x-ndjson", Bytes::new());
    reply.body = StreamBody::new(lines).boxed_unsync();
    reply
}

/// Guard that removes the subscription when the HTTP connection ends.
struct Leave {
    hub: Arc<HubActor>,
    conn_id: Arc<str>,
    _open: OpenHttpRequest,
}

impl Drop for Leave {
    fn drop(&mut self) {
        self.hub.detach(&self.conn_id);
    }
}

/// A WebSocket connection to a hub.
#[derive(Debug)]
pub(crate) struct LocalSession {
    hub: Arc<HubActor>,
    link: Link,
    /// The connection may call methods and receives broadcasts.
    logged_in: bool,
    /// The connection has sent a successful login. Anonymous access does not count.
    by_login: bool,
}

impl LocalSession {
    /// Returns the connection's UUID.
    pub(crate) fn connection(&self) -> &str {
        &self.link.conn_id
    }

    /// Returns the hub of the local port.
    pub(crate) const fn hub(&self) -> &Arc<HubActor> {
        &self.hub
    }

    /// Creates a session. With anonymous access, it needs no login.
    pub(crate) fn new(hub: Arc<HubActor>, link: Link) -> Self {
        let mut session = Self { hub, link, logged_in: false, by_login: false };
        if session.hub.read(|hub| hub.anonymous_access) {
            session.enter();
        } else if session.hub.family.broadcasts_before_login {
            session.hub.attach(session.link.clone());
        }
        session
    }

    /// Returns a receiver that changes when the hub drops its local connections.
    pub(crate) fn drops(&self) -> watch::Receiver<u64> {
        self.hub.drops.subscribe()
    }

    /// Returns whether the hub's server answers pings.
    pub(crate) fn answers_pings(&self) -> bool {
        self.hub.family.answers_pings
    }

    /// Returns whether the hub's server closes idle connections.
    pub(crate) fn closes_when_idle(&self) -> bool {
        self.hub.family.closes_idle_connections
    }

    /// Returns whether the hub's server sends pings.
    pub(crate) fn pings(&self) -> bool {
        self.hub.family.pings
    }

    /// Returns the sending end of the connection's queue.
    pub(crate) const fn link(&self) -> &Link {
        &self.link
    }

    /// Subscribes the connection to broadcasts. Returns false if the hub has too many connections.
    fn enter(&mut self) -> bool {
        self.logged_in = self.hub.attach(self.link.clone());
        self.logged_in
    }

    /// Journals and handles a text message of the client.
    pub(crate) fn on_text(&mut self, world: &Arc<World>, text: &str) {
        let received = world.journal.received(&self.link.conn_id, text);
        received.as_cause(|| self.on_message(world, text));
    }

    fn on_message(&mut self, world: &Arc<World>, text: &str) {
        if self.hub.is_unplugged() {
            return;
        }
        let envelope = match Envelope::parse(text) {
            Ok(envelope) if envelope.kind() == FrameKind::Request => envelope,
            _ => {
                self.link.send(&wire::not_a_request(world.assumptions.min_evidence, text, ReplyRoute::Local));
                return;
            }
        };
        let method = envelope.method.as_deref().unwrap_or_default();
        let (hub, link) = (Arc::clone(&self.hub), self.link.clone());
        let sender = envelope.sender.map(RawValue::get);
        let route = if hub.family.counted_messages { ReplyRoute::Passed(sender) } else { ReplyRoute::Local };
        let reply = |outcome: &Result<RawJson, RpcError>| {
            link.send(&hub.reply_text(&envelope, outcome, route));
        };
        if method == LocalLogin::NAME {
            let outcome = match policy::refuse_method(world.assumptions.min_evidence, method) {
                Some(refused) => Err(refused),
                None => self.log_in(world, &envelope),
            };
            reply(&outcome);
        } else if self.may_call() || method == InfoGet::NAME && !hub.family.login_is_global {
            // `hub.call` passes the outcome to `reply`, so the returned one is not needed.
            let _ = match hub.call_fault(&envelope, "lan", &link.conn_id, String::new, |_| true) {
                Some(CallFault::RpcError { code, data }) => {
                    reply(&Err(RpcError::new(code, &data, INJECTED)));
                    return;
                }
                Some(CallFault::DropReply) => hub.call(&envelope, |_| ()),
                None => hub.call(&envelope, reply),
            };
        } else {
            // The reply of a Linux hub is not public. EzloPi's firmware replies "Bad request" (EzloPi).
            if hub.family.login_is_global {
                let refused = RpcError::new(code::INVALID_REQUEST, "rpc.params.notfound", "Bad request");
                link.send(&wire::refusal_before_login(&envelope, &refused));
            } else {
                reply(&Err(RpcError::known("user.permission.doesnothave")));
            }
        }
    }

    /// Returns whether the connection may call methods.
    ///
    /// In families with a global login, a login on another connection also authorises this one.
    fn may_call(&mut self) -> bool {
        if !self.hub.family.login_is_global || self.hub.read(|hub| hub.anonymous_access) {
            return self.logged_in;
        }
        let unlocked = self.hub.unlocked.load(Ordering::Acquire);
        if self.logged_in && !unlocked {
            // A close frame on another connection has ended the global login.
            if !self.hub.family.broadcasts_before_login {
                self.hub.detach(&self.link.conn_id);
            }
            self.logged_in = false;
        }
        self.logged_in || unlocked && self.enter()
    }

    /// Handles a close frame of the client. In families with a global login, it ends the login of all connections.
    pub(crate) fn on_close(&self) {
        self.hub.unlocked.store(false, Ordering::Release);
    }

    fn log_in(&mut self, world: &World, envelope: &Envelope<'_>) -> Result<RawJson, RpcError> {
        let params = envelope.params.map(RawValue::get);
        if params.is_none() {
            return Err(RpcError::known("rpc.params.notfound"));
        }
        let login: OfflineLogin = decode(params)?;
        let user = login.user.as_deref().unwrap_or_default();
        let is_valid = if self.hub.family.login_is_global {
            // The firmware ignores the user; its clients send the serial there.
            world.accounts().opens_for_any(&world.tokens, &self.hub.serial, &login.token)
        } else {
            world.accounts().opens(&world.tokens, &self.hub.serial, user, &login.token)
        };
        if !is_valid {
            return Err(RpcError::known("user.login.badpassword"));
        }
        // Anonymous access does not count as a login, so a first login is accepted.
        let is_global = self.hub.family.login_is_global;
        if self.by_login || is_global && self.hub.unlocked.load(Ordering::Acquire) {
            let text = if is_global { "Already logged in" } else { "User has logged" };
            let mut error = RpcError::known("user.login.alreadylogged");
            error.message = text.into();
            return Err(error);
        }
        self.hub.unlocked.store(is_global, Ordering::Release);
        self.by_login = true;
        if self.logged_in || self.enter() {
            Ok(RawJson::empty())
        } else {
            Err(RpcError::known("ezlo.rpc.call.queue.overflow"))
        }
    }
}

impl Drop for LocalSession {
    fn drop(&mut self) {
        self.hub.detach(&self.link.conn_id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffix_of_a_query_parameter_selects_its_type() {
        assert_eq!(parameter("_id", "5f"), ("_id".into(), json!("5f")));
        assert_eq!(parameter("value_bool", "true"), ("value".into(), json!(true)));
        assert_eq!(parameter("value_int", "-7"), ("value".into(), json!(-7)));
        assert_eq!(parameter("value_int", "x"), ("value".into(), Value::Null));
        assert_eq!(parameter("_int", "5"), ("_int".into(), json!("5")));
        assert_eq!(parameter("value", "cooling"), ("value".into(), json!("cooling")));
    }
}
