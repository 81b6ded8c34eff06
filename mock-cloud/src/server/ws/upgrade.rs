//! The upgrade of a request to a WebSocket, with the faults of the injection point `upgrade`.

use crate::server::http::fault_responses::replacement_response;
use crate::server::http::message::host_of;
use crate::server::http::message::query_params;
use std::sync::{Arc, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{
    CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING, UPGRADE,
};
use http::{Method, StatusCode, Version};
use hyper::body::Incoming;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::faults::kinds::{RequestFault, UpgradeFault};
use crate::faults::point::InjectionContext;
use crate::server::http::message::Reply;
use crate::server::hub_ports::lan::LocalSession;
use crate::server::relay_session::RelaySession;
use crate::server::shared::{ConnectionSlot, ListenerKind, Shared};
use crate::server::ws::connection::Accepted;
use crate::server::ws::session::Session;
use crate::world::outbox::{Link, LinkKind};

/// Returns whether the request asks for an upgrade to the protocol `websocket`.
pub(crate) fn is_upgrade<B>(request: &http::Request<B>) -> bool {
    has_token(request.headers(), &UPGRADE, "websocket")
}

/// Returns whether a header with a list contains the token. Case is ignored.
fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let lists = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    lists.flat_map(|list| list.split(',')).any(|found| found.trim().eq_ignore_ascii_case(token))
}

/// Checks a handshake by the rules of RFC 6455, section 4.2.1. Returns the key, or the refusal as an error.
fn handshake_key<B>(request: &http::Request<B>) -> Result<&HeaderValue, Reply> {
    let headers = request.headers();
    let refuse = |text: &str| Err(Reply::error(StatusCode::BAD_REQUEST, text));
    let only = |name: HeaderName| {
        let mut values = headers.get_all(name).iter();
        values.next().filter(|_| values.next().is_none())
    };
    if request.method() != Method::GET {
        return refuse("A WebSocket handshake has the method GET");
    }
    if request.version() < Version::HTTP_11 {
        return refuse("A WebSocket handshake needs HTTP/1.1");
    }
    if !has_token(headers, &CONNECTION, "upgrade") {
        return refuse("The header Connection lacks the token Upgrade");
    }
    let has_length = headers.get(CONTENT_LENGTH).is_some_and(|length| length != "0");
    if has_length || headers.contains_key(TRANSFER_ENCODING) {
        return refuse("A WebSocket handshake has no body");
    }
    let Some(key) = only(SEC_WEBSOCKET_KEY) else {
        return refuse("A WebSocket handshake has one header Sec-WebSocket-Key");
    };
    if !STANDARD.decode(key.as_bytes()).is_ok_and(|key| key.len() == 16) {
        return refuse("Sec-WebSocket-Key is not 16 bytes in base64");
    }
    if only(SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        let mut reply = Reply::error(StatusCode::UPGRADE_REQUIRED, "WebSocket version 13 is required");
        reply.headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        return Err(reply);
    }
    Ok(key)
}

/// Answers an upgrade request. On success, the session is stored in the connection's slot.
pub(crate) fn accept(
    shared: &Shared,
    surface: &ListenerKind,
    exchange: &ConnectionSlot,
    request: http::Request<Incoming>,
) -> Reply {
    let key = match handshake_key(&request) {
        Ok(key) => key,
        Err(refusal) => return refusal,
    };
    let host = host_of(&request, false).map(|host| host.name().into_owned()).unwrap_or_default();
    let no_pong = match refused(shared, surface, &request, &host) {
        Ok(no_pong) => no_pong,
        Err(refusal) => return refusal,
    };
    let accept_key = derive_accept_key(key.as_bytes());
    let world = &shared.world;
    let conn_id = world.random.uuid();
    let (session, outbox) = match (surface, request.uri().path()) {
        (ListenerKind::Cloud { .. }, "/" | "/nma") => {
            let (link, outbox) = Link::new(&world.journal, world.keeper.as_ref(), conn_id, LinkKind::Relay);
            link.limit_frames(world.assumptions.max_frame_bytes);
            (Session::Relay(RelaySession::new(link, &host)), outbox)
        }
        (ListenerKind::Lan { hub, .. }, "/") => {
            let (link, outbox) = Link::new(&world.journal, world.keeper.as_ref(), conn_id, LinkKind::Local);
            link.limit_frames(world.assumptions.max_frame_bytes);
            (Session::Local(LocalSession::new(Arc::clone(hub), link)), outbox)
        }
        _ => return Reply::not_found(),
    };
    let upgrade = hyper::upgrade::on(request);
    // Set only after the request was accepted, because it affects all further bytes of the connection.
    if no_pong {
        exchange.tamper.no_pong();
    }
    *exchange.upgrade.lock().unwrap_or_else(PoisonError::into_inner) =
        Some(Accepted { world: Arc::clone(world), upgrade, session, outbox });
    switching(&accept_key)
}

/// Applies faults to the upgrade. Returns the refusal as an error, or whether pings stay unanswered.
fn refused(
    shared: &Shared,
    surface: &ListenerKind,
    request: &http::Request<Incoming>,
    host: &str,
) -> Result<bool, Reply> {
    if !shared.world.faults.any_active() {
        return Ok(false);
    }
    let query = query_params(request.uri().query().unwrap_or_default());
    let hub = surface.hub().map(|hub| hub.serial.to_string()).unwrap_or_default();
    let facts = InjectionContext {
        host,
        path: request.uri().path(),
        method: request.method().as_str(),
        hub: &hub,
        listener: surface.listener(),
        params: Some(&query),
        ..InjectionContext::default()
    };
    let is_endpoint =
        matches!((surface, facts.path), (ListenerKind::Cloud { .. }, "/" | "/nma") | (ListenerKind::Lan { .. }, "/"));
    let can = |fault: &UpgradeFault| is_endpoint || *fault != UpgradeFault::NoPong;
    match shared.world.fault_if(&facts, can) {
        Some(UpgradeFault::NoPong) => Ok(true),
        Some(UpgradeFault::UpgradeRefused { status }) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::FORBIDDEN);
            Err(Reply::error(status, status.canonical_reason().unwrap_or("No")))
        }
        // An upgrade is also a request, so faults that replace a response apply as well.
        None => {
            let can = |fault: &RequestFault| replacement_response(fault).is_some();
            let replacement = shared.world.fault_if(&facts, can);
            replacement.as_ref().and_then(replacement_response).map_or(Ok(false), Err)
        }
    }
}

/// Creates the reply 101 Switching Protocols.
fn switching(accept_key: &str) -> Reply {
    let mut reply = Reply::text(Bytes::new());
    reply.status = StatusCode::SWITCHING_PROTOCOLS;
    reply.headers.clear();
    reply.headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    reply.headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    reply.headers.extend(HeaderValue::from_str(accept_key).ok().map(|key| (SEC_WEBSOCKET_ACCEPT, key)));
    reply
}
