//! The hub's local ports: calls by WebSocket and by HTTP on the same port, with the hub's own login.

use std::convert::Infallible;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use ezlo_protocol::hub::login::OfflineLogin;
use ezlo_protocol::hub::method::{InfoGet, LocalLogin, Method as _};
use ezlo_protocol::rpc::{Envelope, FrameKind, RpcError};
use ezlo_protocol::secret::LocalToken;
use futures_util::stream;
use http::{Method, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use serde_json::{Map, Value, json};

use super::http::{Reply, Request};
use crate::frame::{self, Way};
use crate::world::hub::decode;
use crate::world::link::{Link, LinkKind, Out};
use crate::world::{HubCell, World};

/// Answers an HTTP request to a hub (the vendor's note on its HTTP server, and what users run on port 17000).
pub(super) fn answer(world: &Arc<World>, hub: &Arc<HubCell>, request: &Request) -> Reply {
    let Some(open) = hub.open_request() else {
        return Reply::error(StatusCode::TOO_MANY_REQUESTS, "Too many open requests");
    };
    if !is_allowed(world, hub, request) {
        return Reply::error(StatusCode::UNAUTHORIZED, "Wrong user or token");
    }
    match (request.path.as_str(), &request.method) {
        ("/v1/request", &Method::POST) => posted(world, hub, &request.body),
        ("/v1/request", _) => Reply::method_not_allowed(&[Method::POST]),
        ("/v1/broadcasts", &Method::GET) => broadcasts(world, hub, open),
        (path, &Method::GET) => match path.strip_prefix("/v1/method/") {
            Some(method) => by_path(world, hub, method, &request.query),
            None => Reply::not_found(),
        },
        (path, _) if path.starts_with("/v1/method/") => Reply::method_not_allowed(&[Method::GET]),
        _ => Reply::not_found(),
    }
}

/// Basic credentials come before the two headers; none are needed with anonymous access.
fn is_allowed(world: &World, hub: &HubCell, request: &Request) -> bool {
    let basic = request.header("authorization").and_then(basic_credentials).map(|encoded| {
        let decoded = STANDARD.decode(encoded.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        decoded.and_then(|text| text.split_once(':').map(|(user, token)| (user.to_owned(), token.to_owned())))
    });
    let headers = || Some((request.header("user")?.to_owned(), request.header("token")?.to_owned()));
    match basic.unwrap_or_else(headers) {
        Some((user, token)) => world.accounts().opens(&hub.serial, &user, &LocalToken::new(token)),
        None => hub.read(|hub| hub.anonymous_access),
    }
}

/// What stands after the scheme, whose case does not matter.
fn basic_credentials(value: &str) -> Option<&str> {
    let (scheme, encoded) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("basic").then_some(encoded)
}

fn posted(world: &Arc<World>, hub: &Arc<HubCell>, body: &[u8]) -> Reply {
    let envelope = std::str::from_utf8(body).ok().and_then(|text| Envelope::parse(text).ok());
    match envelope.filter(|envelope| envelope.method.is_some()) {
        Some(envelope) => called(world, hub, &envelope),
        None => Reply::error(StatusCode::BAD_REQUEST, "No data, or not valid JSON"),
    }
}

/// The body is the answer as on the local socket; 500 when it holds an error (that it is sent then too is inferred).
fn called(world: &Arc<World>, hub: &Arc<HubCell>, envelope: &Envelope<'_>) -> Reply {
    let outcome = hub.call(world, envelope, |_| ());
    let status = if outcome.is_ok() { StatusCode::OK } else { StatusCode::INTERNAL_SERVER_ERROR };
    let method = envelope.method.as_deref().unwrap_or_default();
    Reply::new(status, "application/json", frame::reply(envelope, method, &outcome, Way::Local))
}

/// Method by path, with slashes (the note) or dots (what users run); parameters by query.
fn by_path(world: &Arc<World>, hub: &Arc<HubCell>, method: &str, query: &[(String, String)]) -> Reply {
    let Ok(method) = percent_encoding::percent_decode_str(method).decode_utf8() else {
        return Reply::error(StatusCode::BAD_REQUEST, "Path is not UTF-8");
    };
    let method = method.trim_end_matches('/').replace('/', ".");
    let params = query.iter().map(|(name, value)| parameter(name, value)).collect::<Option<Map<_, _>>>();
    let Some(params) = params else {
        return Reply::error(StatusCode::BAD_REQUEST, "A _bool or _int parameter is neither");
    };
    // The server makes the id itself.
    let text = json!({"id": world.random.uuid(), "method": method, "params": params}).to_string();
    match Envelope::parse(&text) {
        Ok(envelope) => called(world, hub, &envelope),
        Err(_) => Reply::error(StatusCode::BAD_REQUEST, "No data, or not valid JSON"),
    }
}

/// `name_bool` and `name_int` are unquoted, everything else is text; a leading underscore belongs to the name.
fn parameter(name: &str, value: &str) -> Option<(String, Value)> {
    if let Some(name) = name.strip_suffix("_bool").filter(|name| !name.is_empty()) {
        return Some((name.to_owned(), value.parse::<bool>().ok()?.into()));
    }
    if let Some(name) = name.strip_suffix("_int").filter(|name| !name.is_empty()) {
        return Some((name.to_owned(), value.parse::<i64>().ok()?.into()));
    }
    Some((name.to_owned(), value.into()))
}

/// One JSON object a line, for as long as the client listens (the framing is inferred).
fn broadcasts(world: &Arc<World>, hub: &Arc<HubCell>, open: crate::world::hub::OpenRequest) -> Reply {
    let (link, outbox) = Link::new(world.random.uuid(), LinkKind::Local);
    let leave = Leave { hub: Arc::clone(hub), conn_id: link.conn_id.clone(), _open: open };
    if !hub.attach(link) {
        return Reply::error(StatusCode::TOO_MANY_REQUESTS, "Too many open requests");
    }
    let lines = stream::unfold((outbox, leave), |(mut outbox, leave)| async move {
        match outbox.recv().await {
            Some(Out::Text(text)) => {
                let line = Bytes::from(format!("{text}\n"));
                Some((Ok::<_, Infallible>(Frame::data(line)), (outbox, leave)))
            }
            Some(Out::Close(..)) | None => None,
        }
    });
    let mut reply = Reply::new(StatusCode::OK, "application/x-ndjson", Bytes::new());
    reply.body = StreamBody::new(lines).boxed_unsync();
    reply
}

/// Stops listening when the connection goes.
struct Leave {
    hub: Arc<HubCell>,
    conn_id: String,
    _open: crate::world::hub::OpenRequest,
}

impl Drop for Leave {
    fn drop(&mut self) {
        self.hub.detach(&self.conn_id);
    }
}

/// A WebSocket connection to a hub.
#[derive(Debug)]
pub(super) struct LocalSession {
    hub: Arc<HubCell>,
    link: Link,
    logged_in: bool,
}

impl LocalSession {
    pub(super) fn new(hub: Arc<HubCell>, link: Link) -> Self {
        let mut session = Self { hub, link, logged_in: false };
        if session.hub.read(|hub| hub.anonymous_access) {
            session.enter();
        }
        session
    }

    fn enter(&mut self) -> bool {
        self.logged_in = self.hub.attach(self.link.clone());
        self.logged_in
    }

    pub(super) fn on_text(&mut self, world: &Arc<World>, text: &str) {
        let envelope = match Envelope::parse(text) {
            Ok(envelope) if envelope.kind() == FrameKind::Request => envelope,
            _ => {
                self.link.text(frame::not_a_request(text, Way::Local));
                return;
            }
        };
        let method = envelope.method.as_deref().unwrap_or_default();
        let reply = |outcome: &Result<Value, RpcError>| {
            self.link.text(frame::reply(&envelope, method, outcome, Way::Local));
        };
        if method == LocalLogin::NAME {
            let outcome = self.log_in(world, &envelope);
            self.link.text(frame::reply(&envelope, method, &outcome, Way::Local));
        } else if self.logged_in || method == InfoGet::NAME {
            // The outcome has gone out already.
            let _ = self.hub.call(world, &envelope, reply);
        } else {
            // What a Linux hub says here is not public.
            reply(&Err(RpcError::known("user.permission.doesnothave")));
        }
    }

    fn log_in(&mut self, world: &World, envelope: &Envelope<'_>) -> Result<Value, RpcError> {
        let params = envelope.params.and_then(|raw| serde_json::from_str::<Value>(raw.get()).ok());
        if params.is_none() {
            return Err(RpcError::known("rpc.params.notfound"));
        }
        let login: OfflineLogin = decode(params.as_ref())?;
        let user = login.user.as_deref().unwrap_or_default();
        if !world.accounts().opens(&self.hub.serial, user, &login.token) {
            return Err(RpcError::known("user.login.badpassword"));
        }
        if self.logged_in {
            return Err(RpcError::known("user.login.alreadylogged"));
        }
        if self.enter() { Ok(json!({})) } else { Err(RpcError::known("ezlo.rpc.call.queue.overflow")) }
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
    fn parameters_have_their_type_in_their_name() {
        assert_eq!(parameter("_id", "5f"), Some(("_id".into(), json!("5f"))));
        assert_eq!(parameter("value_bool", "true"), Some(("value".into(), json!(true))));
        assert_eq!(parameter("value_int", "-7"), Some(("value".into(), json!(-7))));
        assert_eq!(parameter("value_int", "x"), None);
        assert_eq!(parameter("_int", "5"), Some(("_int".into(), json!("5"))));
        assert_eq!(parameter("value", "cooling"), Some(("value".into(), json!("cooling"))));
    }
}
