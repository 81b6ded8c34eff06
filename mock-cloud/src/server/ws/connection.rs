//! The loop of a WebSocket connection: it reads, writes, pings and closes.

use crate::journal::cause::at;
use crate::server::ws::types::End;
use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use crate::server::ws::codec::{Socket, Stop, Then};
use crate::server::ws::session::Session;
use crate::server::ws::types::WsMessage;
use crate::server::ws::write::{closed, drain, flush_owed, flush_remaining, write, write_with_faults};

use crate::core::clock::Woken;
use crate::journal::entry::EntryKind;
use crate::world::World;
use crate::world::hub_actor::HubActor;
use crate::world::outbox::{Out, Outbox, Ready, Waiting};

/// Number of consecutive pings without any received message after which the connection counts as lost.
const UNANSWERED_PINGS: u32 = 3;
/// Minimum time that the peer has for an answer, also when the interval of pings is set to less.
const ANSWER_TIME: Duration = Duration::from_secs(20);
/// Timeout for the shutdown of a connection. The fault that delays it takes at most 60 s.
const SHUTDOWN_TIME: Duration = Duration::from_secs(61);

/// A WebSocket whose upgrade was accepted.
pub(crate) struct Accepted {
    /// The world that the request addressed.
    pub(crate) world: Arc<World>,
    pub(crate) upgrade: OnUpgrade,
    pub(crate) session: Session,
    pub(crate) outbox: Outbox,
}

/// Maximum number of messages that are handled before their replies are sent.
const AT_ONCE: usize = 32;

/// Maximum real time that a reordered message waits for the next message.
const LATEST: Duration = Duration::from_secs(1);

/// Runs a connection until it ends. Boxed apart from the HTTP phase, so that a long-lived connection holds no state of it.
pub(crate) fn run(accepted: Accepted) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(run_accepted(accepted))
}

async fn run_accepted(accepted: Accepted) {
    let Accepted { world, upgrade, mut session, mut outbox } = accepted;
    let Ok(upgraded) = upgrade.await else { return };
    let mut socket = Socket::new(TokioIo::new(upgraded));
    let mut late = None;
    tracing::info!(connection = session.connection(), listener = session.about().1, "WebSocket opened");
    let end = run_session(&world, &mut socket, &mut session, &mut outbox, &mut late).await;
    if let End::Close(code, reason) = end {
        let connection = session.connection();
        world.journal.named(EntryKind::Close, connection, reason, Some(code), &serde_json::Value::Null);
    }
    tracing::info!(connection = session.connection(), "WebSocket closed");
    drop(session);
    // Boxed so that the rarely used end does not enlarge the future of every connection.
    let ended = match end {
        End::Lost => return,
        End::Silent(hub) => return Box::pin(silence(&hub, world.stopped())).await,
        End::Closed => Box::pin(flush_remaining(&mut socket, late, &mut outbox)).await,
        End::Close(code, reason) | End::ClosedByHub(code, reason) => {
            Box::pin(closed(&mut socket, (code, reason), late, &mut outbox)).await
        }
    };
    if ended.is_ok() {
        let _ = Box::pin(tokio::time::timeout(SHUTDOWN_TIME, socket.shutdown())).await;
    }
}

/// Reads and writes messages until the connection ends.
async fn run_session(
    world: &Arc<World>,
    socket: &mut Socket,
    session: &mut Session,
    outbox: &mut Outbox,
    late: &mut Option<Utf8Bytes>,
) -> End {
    // The peer lives in machine time: it closes a connection without pings, also while the simulated clock stands still.
    let next_ping = || Box::pin(tokio::time::sleep(Duration::from_millis(world.assumptions.ping_ms)));
    let mut ping = session.pings().then(next_ping);
    let (mut unanswered, mut first_ping) = (0, tokio::time::Instant::now());
    let mut expiry = None;
    let mut idle = IdleEnd::new(session.idle_limit(world));
    // Created once, because each creation registers with a list that all connections share.
    let mut stopped = std::pin::pin!(ended(world.stopped()));
    let mut dropped = session.drops().map(|drops| Box::pin(dropped(drops)));
    let mut too_late = None;
    loop {
        // Reading buffered messages uses no budget of the runtime; without this, other tasks would starve.
        tokio::task::consume_budget().await;
        if expiry.is_none() {
            expiry = expiry_timer(world, session);
        }
        let (mut room, waiting) = (session.room(), outbox.waiting());
        limit_delay(late.is_some(), &mut too_late);
        tokio::select! {
            biased;
            ready = outbox.ready() => {
                if let Some(end) = flush_next(world, socket, ready, session, (outbox, late)).await {
                    return end;
                }
            }
            // Not while the queue is above its high-water mark, for example while messages wait for the disk.
            stop = read_batch(world, socket, session, waiting), if !waiting.over_high_water() && room.is_none() => {
                unanswered = 0;
                idle.restart();
                match stop {
                    Stop::Pause => {}
                    Stop::Ping if !session.answers_pings() => socket.discard_replies(),
                    // A peer that does not read the pong is disconnected.
                    Stop::Ping if flush_owed(socket).await.is_ok() => {}
                    Stop::Ping => return End::Lost,
                    Stop::End(end) => return end,
                }
            }
            () = async { match &mut room { Some(room) => room.await, None => pending().await } } => {}
            () = idle.wait() => return End::Lost,
            () = &mut stopped => return End::Close(1001, "the world has ended"),
            () = async { match &mut too_late { Some(too_late) => too_late.await, None => pending().await } } => {
                // No other message was sent in time, so the order stays the same.
                if let Some(late) = late.take()
                    && write(socket, Message::Text(late)).await.is_err()
                {
                    return End::Lost;
                }
            }
            () = async { match &mut ping { Some(ping) => ping.await, None => pending().await } } => {
                if unanswered >= UNANSWERED_PINGS && first_ping.elapsed() > ANSWER_TIME {
                    return End::Lost;
                }
                if unanswered == 0 {
                    first_ping = tokio::time::Instant::now();
                }
                unanswered += 1;
                ping = Some(next_ping());
                if write(socket, Message::Ping(bytes::Bytes::new())).await.is_err() {
                    return End::Lost;
                }
            }
            () = async { match &mut dropped { Some(dropped) => dropped.await, None => pending().await } } => {
                // Connections with a login have a close in their queue already.
                return session.dropped();
            }
            _woken = async { match &mut expiry { Some((timer, _)) => timer.await, None => pending().await } } => {
                let code = expiry.map_or(1000, |(_, code)| code);
                return End::Close(code, "identity expired");
            }
        }
    }
}

/// Starts the timer of a reordered message, or removes it if there is none.
fn limit_delay(is_delayed: bool, too_late: &mut Option<Pin<Box<tokio::time::Sleep>>>) {
    match (is_delayed, &too_late) {
        (true, None) => *too_late = Some(Box::pin(tokio::time::sleep(LATEST))),
        (true, Some(_)) => {}
        (false, _) => *too_late = None,
    }
}

/// The end of the time that a connection may be idle, if it is limited.
struct IdleEnd(Option<(Duration, Pin<Box<tokio::time::Sleep>>)>);

impl IdleEnd {
    fn new(limit: Option<Duration>) -> Self {
        Self(limit.map(|limit| (limit, Box::pin(tokio::time::sleep(limit)))))
    }

    /// Starts the time anew, because a frame was received.
    fn restart(&mut self) {
        if let Some((limit, end)) = &mut self.0 {
            end.as_mut().reset(tokio::time::Instant::now() + *limit);
        }
    }

    async fn wait(&mut self) {
        match &mut self.0 {
            Some((_, end)) => end.await,
            None => pending().await,
        }
    }
}

/// Handles a batch of received messages, so that one write can send all replies.
async fn read_batch(world: &Arc<World>, socket: &mut Socket, session: &mut Session, waiting: Waiting) -> Stop {
    poll_fn(|context| {
        let (mut at_once, mut now) = (0, None);
        socket.poll_messages(context, &mut |message| {
            at_once += 1;
            // All messages of a batch get the same time in the journal. Hubs read the clock for each call.
            let now = *now.get_or_insert_with(|| world.clock.now_ms());
            match at(now, || handle_message(world, session, message)) {
                Some(end) => Then::End(end),
                None if at_once == AT_ONCE || waiting.and(session.link()).over_high_water() => Then::Pause,
                None => Then::Next,
            }
        })
    })
    .await
}

/// Waits until the world ends.
pub(crate) async fn ended(mut stopped: watch::Receiver<bool>) {
    drop(stopped.wait_for(|stopped| *stopped).await);
}

/// Holds a connection to a hub without power, until the hub has started again or the world ends.
async fn silence(hub: &HubActor, stopped: watch::Receiver<bool>) {
    tokio::select! {
        () = hub.wait_until_on_network() => {}
        () = ended(stopped) => {}
    }
}

/// Waits until the hub drops its local connections.
async fn dropped(mut drops: watch::Receiver<u64>) {
    drop(drops.changed().await);
}

/// Handles a received message. Returns the end of the connection if the message causes it.
fn handle_message(world: &Arc<World>, session: &mut Session, message: &WsMessage<'_>) -> Option<End> {
    match message {
        WsMessage::Text(text) => session.on_text(world, text),
        // No source documents binary frames, so one that holds text is handled as text.
        WsMessage::Binary(bytes) => session.on_text(world, std::str::from_utf8(bytes).unwrap_or("\u{fffd}")),
        WsMessage::Close(frame) => {
            // RFC 6455 reserves 1005 for a close frame without a code.
            let code = frame.map_or(1005, |(code, _)| code);
            world.journal.named(EntryKind::PeerClosed, session.connection(), "", Some(code), &serde_json::Value::Null);
            session.on_close();
            return Some(End::Closed);
        }
        WsMessage::Ping(_) | WsMessage::Pong => {}
    }
    None
}

/// Sends the next messages of the queue, or ends the connection as the queue demands.
async fn flush_next(
    world: &World,
    socket: &mut Socket,
    ready: Ready,
    session: &Session,
    (outbox, late): (&mut Outbox, &mut Option<Utf8Bytes>),
) -> Option<End> {
    match ready {
        Ready::Messages if late.is_some() || world.faults.any_active() => {
            let Some(Out::Text(text, number)) = outbox.take() else { return None };
            Box::pin(write_with_faults(world, socket, (text, number), session, late)).await
        }
        Ready::Messages => drain(socket, outbox).await,
        Ready::Close(code, reason) => Some(End::ClosedByHub(code, reason)),
        Ready::Lost => Some(End::Close(1013, "too slow")),
    }
}

/// A timer of the world's clock.
type Timer = Pin<Box<dyn Future<Output = Woken> + Send>>;

/// Returns the timer and the close code for the expiry of the user's Identity.
///
/// The vendor's behaviour is not known. The assumption `close_at_expiry` sets the code (default: the connection stays open).
fn expiry_timer(world: &World, session: &Session) -> Option<(Timer, u16)> {
    let code = world.assumptions.close_at_expiry?;
    let left = session.expires()?.saturating_sub(world.clock.unix_seconds());
    let wait = Duration::from_secs(u64::try_from(left).unwrap_or_default());
    Some((Box::pin(world.clock.timer(wait)), code))
}
