//! The HTTP path of every listener: world selection, faults, handlers and durability.

use crate::journal::cause::with_cause;
use crate::journal::shown::shown_path;
use crate::server::control::request::refusal;
use crate::server::credentials::user_of;
use crate::server::http::fault_responses::replacement_response;
use crate::server::http::message::Body;
use crate::server::http::message::Host;
use crate::server::http::message::Reply;
use crate::server::http::message::Request;
use crate::server::http::message::host_of;
use crate::server::http::message::read;
use crate::server::ws::upgrade::accept;
use crate::server::ws::upgrade::is_upgrade;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ezlo_protocol::serial::Serial;
use http::{Method, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::Value;

use crate::server::http::fault_responses::apply_response_fault;
use crate::server::http::world_routing::{RoutedWorld, acquire_account_lock, ensure_local, route_world};

use crate::faults::kinds::RequestFault;
use crate::faults::point::InjectionContext;
use crate::journal::RequestRecord;
use crate::journal::bodies::{self, ExchangeRecord};
use crate::journal::usage_report;
use crate::server::control;
use crate::server::hub_ports::{access_point, lan};
use crate::server::shared::{ConnectionSlot, ListenerKind, Shared};
use crate::server::vendor::routes;
use crate::world::backplane::AccountLock;
use crate::world::hub_actor::OpenHttpRequest;

pub(crate) mod fault_responses;
pub(crate) mod message;
pub(crate) mod sse;
pub(crate) mod world_routing;

/// Timeout of a request body.
const BODY_TIME: Duration = Duration::from_secs(10);
/// Timeout of the body of a request to a hub (the vendor's note on its HTTP server).
const LAN_BODY_TIME: Duration = Duration::from_secs(60);

/// The state that the steps of a request share.
struct RequestContext<'a> {
    shared: &'a Shared,
    surface: &'a ListenerKind,
    exchange: &'a ConnectionSlot,
    /// Number of the request in the journal.
    seq: u64,
    /// Held until what the request changes is durable.
    account_lock: Option<AccountLock>,
}

/// Answers a request of any listener: selects the world, requires that its hub is local, handles the request, and waits until
/// its changes are durable.
pub(crate) async fn answer(
    shared: &Arc<Shared>,
    surface: &ListenerKind,
    tls: bool,
    exchange: &ConnectionSlot,
    request: http::Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let head_only = request.method() == Method::HEAD;
    let host = host_of(&request, tls);
    // The own ports of a hub always mean its own world.
    let of_many = matches!(surface, ListenerKind::Cloud { .. } | ListenerKind::Control);
    let routed = if of_many { route_world(shared, host.as_ref(), request.headers()) } else { RoutedWorld::This };
    let shared = match &routed {
        RoutedWorld::This => shared,
        RoutedWorld::Fork(copy) => copy,
        RoutedWorld::Unknown => return Ok(no_such_world(surface).into_response(shared.date(), head_only)),
    };
    let lease = match ensure_local(shared, surface).await {
        Ok(lease) => lease,
        Err(unavailable) => return Ok(unavailable.reply().into_response(shared.date(), head_only)),
    };
    let mut context = RequestContext { shared, surface, exchange, seq: 0, account_lock: None };
    let reply = if matches!(surface, ListenerKind::Control) {
        context.serve_control(host, request).await
    } else {
        context.serve_with_journal(host, request).await
    };
    let is_durable = shared.world.flush().await && lease.is_still(shared.world.backplane());
    let reply = if is_durable { reply } else { not_persisted() };
    Ok(reply.into_response(shared.date(), head_only))
}

/// Refuses a request for a fork that does not exist.
fn no_such_world(surface: &ListenerKind) -> Reply {
    match surface {
        ListenerKind::Control => refusal(
            StatusCode::NOT_FOUND,
            "the host name selects a fork that does not exist; GET /worlds lists the forks",
        ),
        _ => Reply::error(StatusCode::NOT_FOUND, "No such world"),
    }
}

/// A reply that acknowledges a change must not be sent if the change is lost with the process.
fn not_persisted() -> Reply {
    Reply::error(StatusCode::SERVICE_UNAVAILABLE, "The state cannot be persisted")
}

impl RequestContext<'_> {
    /// Answers a control call. Its refusals are JSON.
    async fn serve_control(&mut self, host: Option<Host>, request: http::Request<Incoming>) -> Reply {
        let Some(host) = host else {
            return refusal(
                StatusCode::BAD_REQUEST,
                "the header Host is missing, repeated or malformed; send localhost or an IP address",
            );
        };
        if is_upgrade(&request) {
            return refusal(StatusCode::BAD_REQUEST, "the control API has no WebSockets; use GET /journal?follow=1");
        }
        // A request without the token causes no further work.
        let token = self.shared.origin.control_token.as_ref();
        if token.is_some_and(|token| !control::has_token(request.headers(), request.uri().path(), token)) {
            return control::no_token();
        }
        let request = match read(request, host, BODY_TIME).await {
            Ok(request) => request,
            Err(reply) => return refusal(reply.status, &format!("the request cannot be read: {}", reply.status)),
        };
        match acquire_account_lock(self.shared, self.surface, &request).await {
            Ok(lock) => self.account_lock = lock,
            Err(_) => {
                return refusal(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "the other processes of the cluster cannot be reached; retry later",
                );
            }
        }
        control::answer(self.shared, &request).await
    }

    /// Answers a request to a simulated server; request and reply are recorded in the journal.
    async fn serve_with_journal(&mut self, host: Option<Host>, request: http::Request<Incoming>) -> Reply {
        let journal = &self.shared.world.journal;
        let uri = request.uri().clone();
        let begun = tracing::enabled!(tracing::Level::INFO).then(|| {
            let host = host.as_ref().map(|host| host.name().into_owned()).unwrap_or_default();
            (Instant::now(), host, request.method().clone())
        });
        let headers = bodies::header_lines(request.headers());
        self.seq = journal.request(&RequestRecord {
            host: host.as_ref().map(Host::name).as_deref(),
            method: request.method().as_str(),
            path: uri.path(),
            query: uri.query().unwrap_or_default(),
            listener: self.surface.listener(),
            hub: self.surface.hub().map(|hub| hub.serial.as_str()),
            headers: &headers,
        });
        let mut request_body = Bytes::new();
        let reply = match host {
            None => Reply::error(StatusCode::BAD_REQUEST, "Missing or malformed Host"),
            Some(_) if is_upgrade(&request) => {
                with_cause(Some(self.seq), || accept(self.shared, self.surface, self.exchange, request))
            }
            Some(host) => match read_whole(self.surface, host, request).await {
                Ok((request, open)) => {
                    request_body = request.body.clone();
                    self.handle_with_faults(&request, open).await
                }
                Err(reply) => reply,
            },
        };
        let exchange = ExchangeRecord {
            headers: &bodies::header_lines(&reply.headers),
            request_body: &bodies::recorded(&request_body),
            body: &bodies::recorded(&reply.written),
        };
        with_cause(Some(self.seq), || journal.answer(uri.path(), reply.status.as_u16(), &exchange));
        if let Some((begun, host, method)) = begun {
            let (path, status) = (shown_path(uri.path()), reply.status.as_u16());
            let ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
            tracing::info!(listener = self.surface.listener(), host, %method, path, status, ms, "request");
        }
        reply
    }

    /// Handles a request and injects the fault that is due for it.
    async fn handle_with_faults(&mut self, request: &Request, open: Option<OpenHttpRequest>) -> Reply {
        let fault = with_cause(Some(self.seq), || request_fault(self.shared, self.surface, request));
        if let Some(reply) = fault.as_ref().and_then(replacement_response) {
            return reply;
        }
        if let Some(RequestFault::SlowAnswer { millis }) = fault {
            tokio::time::sleep(Duration::from_millis(millis)).await;
        }
        match acquire_account_lock(self.shared, self.surface, request).await {
            Ok(lock) => self.account_lock = lock,
            Err(unavailable) => return unavailable.reply(),
        }
        // Handlers do not wait, so the request is the cause of everything that they do.
        let reply = with_cause(Some(self.seq), || self.dispatch(request, open));
        match fault {
            Some(fault) => apply_response_fault(&fault, self.shared, self.exchange, reply).await,
            None => reply,
        }
    }

    /// Calls the handler of the listener.
    fn dispatch(&self, request: &Request, open: Option<OpenHttpRequest>) -> Reply {
        let world = &self.shared.world;
        match (self.surface, open) {
            (ListenerKind::Cloud { .. }, _) => {
                let reply = routes::cloud(self.shared, request);
                // A refused request may not have been read to its end.
                let unread = if reply.status.is_success() { request.ignored() } else { Vec::new() };
                if !unread.is_empty() {
                    usage_report::record_unknown_fields(&world.journal, &shown_path(&request.path), &unread);
                }
                reply
            }
            (ListenerKind::AccessPoint(hub), _) => access_point::api(world, hub, request),
            (ListenerKind::AccessPointRoot(hub), _) => access_point::root(world, hub, request),
            (ListenerKind::Lan { hub, .. }, Some(open)) => lan::answer(world, hub, request, open),
            // `serve_control` handles the control API, and `read_whole` opens every request to a hub.
            (ListenerKind::Lan { .. }, None) | (ListenerKind::Control, _) => Reply::not_found(),
        }
    }
}

/// Reads a whole request. A request to a hub counts as open from its headers on.
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

/// Returns the fault that is due for a request.
fn request_fault(shared: &Shared, surface: &ListenerKind, request: &Request) -> Option<RequestFault> {
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
        user: &user_of(&shared.world, request),
        params: Some(&params),
        ..InjectionContext::default()
    };
    shared.world.fault(&facts)
}

/// Returns the serial of the hub that a path of the cloud ends with.
fn hub_in(path: &str) -> Option<String> {
    let mut parts = path.rsplit('/');
    let serial = parts.next()?;
    let is_hub = parts.next() == Some("device") && serial.parse::<Serial>().is_ok();
    is_hub.then(|| serial.to_owned())
}
