//! WebSockets: the upgrade, and one task per connection that reads, writes and pings.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt as _, Sink, SinkExt, StreamExt};
use http::header::{CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::{Method, StatusCode};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::sync::watch;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{CapacityError, ProtocolError};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

use super::http::Reply;
use super::lan::LocalSession;
use super::relay::RelaySession;
use super::{Exchange, Shared, Surface};
use crate::clock::Woken;
use crate::faults::{self, Facts, FaultKind, Place};
use crate::journal;
use crate::world::World;
use crate::world::link::{Link, LinkKind, Out, Outbox};

/// Longest message taken, in bytes. The hub's own bus ends at 100 KiB; a scene or a claim is far shorter.
const MAX_MESSAGE: usize = 1024 * 1024;
/// Read buffer. The library's default of 128 KiB is zeroed on every read and kept per connection.
const READ_BUFFER: usize = 4 * 1024;
/// Pings come "about every 20 s" by two public clients, which declare the socket dead after 60 s without one.
const PING_EVERY: Duration = Duration::from_secs(20);
/// Pings in a row that may stay without any answer before the connection counts as dead.
const UNANSWERED_PINGS: u32 = 3;
/// The other side is given this much of the machine's time too: a test that moves the clock by a day sends thousands of
/// pings in a moment, and no client could answer them.
const ANSWER_TIME: Duration = Duration::from_secs(20);
/// How long the system may take to accept a batch of frames before the reader counts as gone.
const WRITE_TIME: Duration = Duration::from_secs(10);
/// How long to wait for the other side's half of a closing handshake.
const CLOSE_TIME: Duration = Duration::from_secs(2);

/// A WebSocket whose upgrade was accepted.
pub(super) struct Accepted {
    /// The one that the request meant.
    world: Arc<World>,
    upgrade: OnUpgrade,
    session: Session,
    outbox: Outbox,
}

enum Session {
    Relay(RelaySession),
    Local(LocalSession),
}

impl Session {
    fn on_text(&mut self, world: &Arc<World>, text: &Utf8Bytes) {
        match self {
            Self::Relay(session) => session.on_text(world, text),
            Self::Local(session) => session.on_text(world, text),
        }
    }

    fn on_close(&self) {
        if let Self::Local(session) = self {
            session.on_close();
        }
    }

    /// Tells when the hub drops its local connections.
    fn drops(&self) -> Option<watch::Receiver<u64>> {
        match self {
            Self::Relay(_) => None,
            Self::Local(session) => Some(session.drops()),
        }
    }

    /// Which hub it talks to, and on which listener.
    fn about(&self) -> (String, &'static str) {
        match self {
            Self::Relay(session) => (session.hub().map(|hub| hub.serial.to_string()).unwrap_or_default(), "cloud"),
            Self::Local(session) => (session.hub().serial.to_string(), "lan"),
        }
    }

    fn user(&self) -> Option<u64> {
        match self {
            Self::Relay(session) => session.user(),
            Self::Local(_) => None,
        }
    }

    /// A broadcast of its hub that is not true any more.
    fn stale_broadcast(&self) -> Option<Utf8Bytes> {
        match self {
            Self::Relay(session) => session.hub()?.stale_broadcast(),
            Self::Local(session) => session.hub().stale_broadcast(),
        }
    }

    fn connection(&self) -> &str {
        match self {
            Self::Relay(session) => session.connection(),
            Self::Local(session) => session.connection(),
        }
    }

    /// Whether this side pings: families differ.
    fn pings(&self) -> bool {
        match self {
            Self::Relay(_) => true,
            Self::Local(session) => session.pings(),
        }
    }

    const fn expires(&self) -> Option<i64> {
        match self {
            Self::Relay(session) => session.expires(),
            Self::Local(_) => None,
        }
    }
}

pub(super) fn is_upgrade<B>(request: &http::Request<B>) -> bool {
    let wanted = request.headers().get(UPGRADE).and_then(|value| value.to_str().ok());
    wanted.is_some_and(|value| value.eq_ignore_ascii_case("websocket"))
}

/// Answers an upgrade request; on success the session waits in the slot.
pub(super) fn accept(
    shared: &Shared,
    surface: &Surface,
    exchange: &Exchange,
    request: http::Request<Incoming>,
) -> Reply {
    let headers = request.headers();
    let version = headers.get(SEC_WEBSOCKET_VERSION).map(HeaderValue::as_bytes);
    let Some(key) = headers.get(SEC_WEBSOCKET_KEY).filter(|_| request.method() == Method::GET) else {
        return Reply::error(StatusCode::BAD_REQUEST, "Not a WebSocket handshake");
    };
    if version != Some(b"13") {
        let mut reply = Reply::error(StatusCode::UPGRADE_REQUIRED, "WebSocket version 13 is required");
        reply.headers.push((SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13")));
        return reply;
    }
    if let Some(refusal) = refused(shared, surface, exchange, &request) {
        return refusal;
    }
    let accept_key = derive_accept_key(key.as_bytes());
    let world = &shared.world;
    let conn_id = world.random.uuid();
    let (session, outbox) = match (surface, request.uri().path()) {
        (Surface::Cloud { .. }, "/" | "/nma") => {
            let (link, outbox) = Link::new(&world.journal, world.keeper.as_ref(), conn_id, LinkKind::Relay);
            (Session::Relay(RelaySession::new(link)), outbox)
        }
        (Surface::Lan { hub, .. }, "/") => {
            let (link, outbox) = Link::new(&world.journal, world.keeper.as_ref(), conn_id, LinkKind::Local);
            (Session::Local(LocalSession::new(Arc::clone(hub), link)), outbox)
        }
        _ => return Reply::not_found(),
    };
    let upgrade = hyper::upgrade::on(request);
    *exchange.upgrade.lock().unwrap_or_else(PoisonError::into_inner) =
        Some(Accepted { world: Arc::clone(world), upgrade, session, outbox });
    switching(&accept_key)
}

fn refused(
    shared: &Shared,
    surface: &Surface,
    exchange: &Exchange,
    request: &http::Request<Incoming>,
) -> Option<Reply> {
    if !shared.world.faults.are_there() {
        return None;
    }
    let query = super::http::query_params(request.uri().query().unwrap_or_default());
    let hub = surface.hub().map(|hub| hub.serial.to_string()).unwrap_or_default();
    let host = super::http::host_of(request, false).map(|host| host.name()).unwrap_or_default();
    let facts = Facts {
        host: &host,
        path: request.uri().path(),
        method: request.method().as_str(),
        hub: &hub,
        listener: surface.listener(),
        params: Some(&query),
        ..Facts::default()
    };
    match shared.world.fault(Place::Upgrade, &facts) {
        Some(FaultKind::NoPong) => {
            exchange.tamper.no_pong();
            None
        }
        Some(FaultKind::UpgradeRefused { status }) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::FORBIDDEN);
            Some(Reply::error(status, status.canonical_reason().unwrap_or("No")))
        }
        // An upgrade is a request too, and can be answered by anything.
        _ => shared.world.fault(Place::Request, &facts).and_then(|fault| super::http::in_place(&fault)),
    }
}

fn switching(accept_key: &str) -> Reply {
    let mut reply = Reply::text(Bytes::new());
    reply.status = StatusCode::SWITCHING_PROTOCOLS;
    reply.headers =
        vec![(CONNECTION, HeaderValue::from_static("Upgrade")), (UPGRADE, HeaderValue::from_static("websocket"))];
    reply.headers.extend(HeaderValue::from_str(accept_key).ok().map(|key| (SEC_WEBSOCKET_ACCEPT, key)));
    reply
}

/// Messages that are heard before what they lead to goes out, and messages that wait from which on nothing more is heard:
/// far fewer than the queue holds that they wait in.
const AT_ONCE: usize = 32;
const ENOUGH: usize = 128;

/// How long a message waits for one to come after, by the machine's time.
const LATEST: Duration = Duration::from_secs(1);

/// Why a connection ended.
#[derive(Debug)]
enum End {
    /// The other side closed, or the connection broke.
    Gone,
    /// This side closes, with code and reason.
    Close(u16, &'static str),
}

/// Runs a connection to its end.
pub(super) async fn run(accepted: Accepted) {
    let Accepted { world, upgrade, mut session, mut outbox } = accepted;
    let Ok(upgraded) = upgrade.await else { return };
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE));
    let mut socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
    let mut late = None;
    let end = converse(&world, &mut socket, &mut session, &mut outbox, &mut late).await;
    drop(session);
    if let End::Close(code, reason) = end {
        // What was queued before goes out first, and what was to be late before that.
        if let Some(late) = late
            && write(&mut socket, Message::Text(late)).await.is_err()
        {
            return;
        }
        while let Some(Out::Text(text, _)) = outbox.rest().await {
            if write(&mut socket, Message::Text(text)).await.is_err() {
                return;
            }
        }
        let frame = CloseFrame { code: CloseCode::from(code), reason: Utf8Bytes::from_static(reason) };
        if write(&mut socket, Message::Close(Some(frame))).await.is_ok() {
            let rest = async { while let Some(Ok(_)) = socket.next().await {} };
            let _ = tokio::time::timeout(CLOSE_TIME, rest).await;
        }
    }
}

type Upgraded = WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>;

async fn converse(
    world: &Arc<World>,
    socket: &mut Upgraded,
    session: &mut Session,
    outbox: &mut Outbox,
    late: &mut Option<Utf8Bytes>,
) -> End {
    // None for whom none is wanted: a timer that nobody looks at would keep the time from being moved on.
    let next_ping = || Box::pin(world.clock.regular_timer(PING_EVERY));
    let mut ping = session.pings().then(next_ping);
    let mut unanswered = 0;
    let mut heard = tokio::time::Instant::now();
    let mut expiry = None;
    let mut drops = session.drops();
    loop {
        if expiry.is_none() {
            expiry = expiry_timer(world, session);
        }
        tokio::select! {
            biased;
            out = outbox.recv() => {
                if let Some(end) = sends(world, socket, out, session, (outbox, late)).await {
                    return end;
                }
            }
            message = socket.next() => {
                unanswered = 0;
                heard = tokio::time::Instant::now();
                if let Some(end) = hears(world, session, message) {
                    return end;
                }
                // What has come with it is heard too before anything goes out: one write answers it all.
                for _ in 1..AT_ONCE {
                    // Unless there is much to say already: a call may lead to a hundred messages.
                    if outbox.len() >= ENOUGH {
                        break;
                    }
                    let Some(message) = socket.next().now_or_never() else { break };
                    if let Some(end) = hears(world, session, message) {
                        return end;
                    }
                }
            }
            () = tokio::time::sleep(LATEST), if late.is_some() => {
                // Nothing came that it could be later than.
                if let Some(late) = late.take()
                    && write(socket, Message::Text(late)).await.is_err()
                {
                    return End::Gone;
                }
            }
            _woken = async { match &mut ping { Some(ping) => ping.await, None => std::future::pending().await } } => {
                if unanswered >= UNANSWERED_PINGS && heard.elapsed() > ANSWER_TIME {
                    return End::Gone;
                }
                unanswered += 1;
                ping = Some(next_ping());
                if write(socket, Message::Ping(Bytes::new())).await.is_err() {
                    return End::Gone;
                }
            }
            () = async { match &mut drops { Some(drops) => drop(drops.changed().await), None => std::future::pending().await } } => {
                // Those that logged in have the goodbye in their queue already.
                return End::Close(1001, "hub drops local connections");
            }
            _woken = async { match &mut expiry { Some((timer, _)) => timer.await, None => std::future::pending().await } } => {
                let code = expiry.map_or(1000, |(_, code)| code);
                return End::Close(code, "identity expired");
            }
        }
    }
}

/// Takes what came; gives how the connection ends with it.
fn hears(world: &Arc<World>, session: &mut Session, message: Option<Result<Message, Error>>) -> Option<End> {
    match message {
        // A copy of its own: the library's is a piece of a buffer, which would live as long as the journal.
        Some(Ok(Message::Text(text))) => session.on_text(world, &text.as_str().into()),
        // Nobody documents binary frames; one that holds text is read as text.
        Some(Ok(Message::Binary(bytes))) => match std::str::from_utf8(&bytes) {
            Ok(text) => session.on_text(world, &text.into()),
            Err(_) => session.on_text(world, &Utf8Bytes::from_static("\u{fffd}")),
        },
        Some(Ok(Message::Close(_))) => {
            session.on_close();
            return Some(End::Gone);
        }
        None => return Some(End::Gone),
        Some(Ok(_)) => {}
        Some(Err(error)) => return Some(on_error(&error)),
    }
    None
}

/// Sends what is next in the queue.
async fn sends(
    world: &World,
    socket: &mut Upgraded,
    out: Option<Out>,
    session: &Session,
    (outbox, late): (&mut Outbox, &mut Option<Utf8Bytes>),
) -> Option<End> {
    match out {
        Some(Out::Text(text, number)) if late.is_some() || world.faults.are_there() => {
            disturbed(world, socket, (text, number), session, late).await
        }
        Some(Out::Text(text, _)) => drain(socket, text, outbox).await,
        Some(Out::Close(code, reason)) => Some(End::Close(code, reason)),
        None => Some(End::Close(1013, "too slow")),
    }
}

type Timer = std::pin::Pin<Box<dyn Future<Output = Woken> + Send>>;

/// Whether a relay connection ends with its Identity is not known; the configuration says, by default it does not.
fn expiry_timer(world: &World, session: &Session) -> Option<(Timer, u16)> {
    let code = world.guesses.close_at_expiry?;
    let left = session.expires()?.saturating_sub(world.clock.unix_seconds());
    let wait = Duration::from_secs(u64::try_from(left).unwrap_or_default());
    Some((Box::pin(world.clock.timer(wait)), code))
}

fn on_error(error: &Error) -> End {
    match error {
        Error::Capacity(CapacityError::MessageTooLong { .. }) => End::Close(1009, "message too long"),
        Error::Utf8(_) => End::Close(1007, "invalid UTF-8"),
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) | Error::Io(_) | Error::ConnectionClosed => {
            End::Gone
        }
        Error::Protocol(_) => End::Close(1002, "protocol error"),
        _ => End::Gone,
    }
}

/// Writes what waits and flushes once.
async fn drain(socket: &mut Upgraded, first: Utf8Bytes, outbox: &mut Outbox) -> Option<End> {
    let feed = async {
        socket.feed(Message::Text(first)).await?;
        let mut end = None;
        while end.is_none() {
            match outbox.try_recv() {
                Some(Out::Text(text, _)) => socket.feed(Message::Text(text)).await?,
                Some(Out::Close(code, reason)) => end = Some(End::Close(code, reason)),
                None => break,
            }
        }
        socket.flush().await?;
        Ok::<_, Error>(end)
    };
    let mut feed = std::pin::pin!(feed);
    // Most of the time it goes out at once, and nobody has to look at the time.
    let fed = match feed.as_mut().now_or_never() {
        Some(fed) => Ok(fed),
        None => tokio::time::timeout(WRITE_TIME, feed).await,
    };
    match fed {
        Ok(Ok(end)) => end,
        Ok(Err(_)) | Err(_) => Some(End::Gone),
    }
}

/// Sends a message with what goes wrong about it. A message that is late waits for the next one.
async fn disturbed(
    world: &World,
    socket: &mut Upgraded,
    (text, number): (Utf8Bytes, u64),
    session: &Session,
    late: &mut Option<Utf8Bytes>,
) -> Option<End> {
    let name = faults::name_of(&text);
    let (hub, listener) = session.about();
    let user = session.user().map(|user| world.user_name(user)).unwrap_or_default();
    let connection = session.connection();
    let facts = Facts { method: &name, hub: &hub, listener, connection, user: &user, ..Facts::default() };
    let fault = journal::because_of(Some(number), || world.fault(Place::Message, &facts));
    match fault {
        Some(FaultKind::Close { code }) => return Some(End::Close(code, "as wished")),
        Some(FaultKind::Abort) => return Some(End::Gone),
        Some(FaultKind::ReorderMessage) if late.is_none() => {
            *late = Some(text);
            return None;
        }
        Some(FaultKind::LateMessage { millis }) => tokio::time::sleep(Duration::from_millis(millis)).await,
        _ => {}
    }
    let stale = (fault == Some(FaultKind::StaleBroadcast)).then(|| session.stale_broadcast()).flatten();
    let mut messages: Vec<Message> = stale.map(Message::Text).into_iter().collect();
    messages.extend(faults::message::frames(fault.as_ref(), text));
    messages.extend(late.take().map(Message::Text));
    for message in messages {
        if write(socket, message).await.is_err() {
            return Some(End::Gone);
        }
    }
    None
}

async fn write<S: Sink<Message> + Unpin>(socket: &mut S, message: Message) -> Result<(), ()> {
    match tokio::time::timeout(WRITE_TIME, socket.send(message)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(()),
    }
}
