//! WebSockets: the upgrade, and one task per connection that reads, writes and pings.

use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use crate::server::ws::codec::{Framing, Library, Own, Socket, Stop, Then};
use crate::server::ws::frame_parser::WsMessage;
use crate::server::ws::session::Session;
use crate::server::ws::write::{closed, disturbed, drain, flush_owed, last_words, write};

use crate::config;
use crate::core::clock::Woken;
use crate::journal;
use crate::journal::EntryKind;
use crate::world::World;
use crate::world::outbox::{Out, Outbox, Ready, Waiting};

/// Longest message taken, in bytes. The hub's own bus ends at 100 KiB; a scene or a claim is far shorter.
pub(crate) const MAX_MESSAGE: usize = 1024 * 1024;
/// Pings come "about every 20 s" by two public clients, which declare the socket dead after 60 s without one.
const PING_EVERY: Duration = Duration::from_secs(20);
/// Pings in a row that may stay without any answer before the connection counts as dead.
const UNANSWERED_PINGS: u32 = 3;
/// The other side is given this much of the machine's time too: a test that moves the clock by a day sends thousands of
/// pings in a moment, and no client could answer them.
const ANSWER_TIME: Duration = Duration::from_secs(20);
/// How long the end of a connection may take: the fault that makes it slow takes a minute at most.
const SHUTDOWN_TIME: Duration = Duration::from_secs(61);

/// A WebSocket whose upgrade was accepted.
pub(crate) struct Accepted {
    /// The one that the request meant.
    pub(crate) world: Arc<World>,
    pub(crate) upgrade: OnUpgrade,
    pub(crate) session: Session,
    pub(crate) outbox: Outbox,
}

/// Messages that are heard before what they lead to goes out.
const AT_ONCE: usize = 32;

/// How long a message waits for one to come after, by the machine's time.
const LATEST: Duration = Duration::from_secs(1);

/// Why a connection ended.
#[derive(Debug)]
pub(crate) enum End {
    /// The other side closed in form, or says nothing more; it may still hear.
    Closed,
    /// The connection broke, or is to break.
    Gone,
    /// This side closes, with code and reason.
    Close(u16, &'static str),
    /// The same, and whoever wanted it has put it into the journal.
    Told(u16, &'static str),
}

/// Runs a connection to its end. Each is as large as it has to be: most of a connection's life is this.
pub(crate) fn run(accepted: Accepted) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    match accepted.world.framing {
        config::Framing::Tungstenite => Box::pin(run_over::<Library>(accepted)),
        config::Framing::Own => Box::pin(run_over::<Own>(accepted)),
    }
}

async fn run_over<F: Framing>(accepted: Accepted) {
    let Accepted { world, upgrade, mut session, mut outbox } = accepted;
    let Ok(upgraded) = upgrade.await else { return };
    let mut socket = Socket::<F>::over(TokioIo::new(upgraded));
    let mut late = None;
    let end = converse(&world, &mut socket, &mut session, &mut outbox, &mut late).await;
    if let End::Close(code, reason) = end {
        let connection = session.connection();
        world.journal.named(EntryKind::Close, connection, reason, Some(code), &serde_json::Value::Null);
    }
    drop(session);
    // Boxed, as all that is over soon.
    let ended = match end {
        End::Gone => return,
        End::Closed => Box::pin(last_words(&mut socket, late, &mut outbox)).await,
        End::Close(code, reason) | End::Told(code, reason) => {
            Box::pin(closed(&mut socket, (code, reason), late, &mut outbox)).await
        }
    };
    if ended.is_ok() {
        let _ = Box::pin(tokio::time::timeout(SHUTDOWN_TIME, socket.shutdown())).await;
    }
}

async fn converse<F: Framing>(
    world: &Arc<World>,
    socket: &mut Socket<F>,
    session: &mut Session,
    outbox: &mut Outbox,
    late: &mut Option<Utf8Bytes>,
) -> End {
    // None for whom none is wanted: a timer that nobody looks at would keep the time from being moved on.
    let next_ping = || Box::pin(world.clock.regular_timer(PING_EVERY));
    let mut ping = session.pings().then(next_ping);
    let (mut unanswered, mut asked) = (0, tokio::time::Instant::now());
    let mut expiry = None;
    // Made once: each registers itself where all connections do.
    let mut stopped = std::pin::pin!(ended(world.stopped()));
    let mut dropped = session.drops().map(|drops| Box::pin(dropped(drops)));
    let mut too_late = None;
    loop {
        // Hearing what has come already costs the runtime nothing: whoever listens has to have a turn meanwhile.
        tokio::task::consume_budget().await;
        if expiry.is_none() {
            expiry = expiry_timer(world, session);
        }
        let (mut room, waiting) = (session.room(), outbox.waiting());
        if late.is_none() {
            too_late = None;
        } else if too_late.is_none() {
            too_late = Some(Box::pin(tokio::time::sleep(LATEST)));
        }
        tokio::select! {
            biased;
            ready = outbox.ready() => {
                if let Some(end) = flush_next(world, socket, ready, session, (outbox, late)).await {
                    return end;
                }
            }
            // Not while there is much to say already, which may have to wait for the disk.
            stop = hear(world, socket, session, waiting), if !waiting.over_high_water() && room.is_none() => {
                unanswered = 0;
                match stop {
                    Stop::Pause => {}
                    // Whoever does not take the answers is not asked for more.
                    Stop::Ping if flush_owed(socket).await.is_ok() => {}
                    Stop::Ping => return End::Gone,
                    Stop::Over(end) => return end,
                }
            }
            () = async { match &mut room { Some(room) => room.await, None => pending().await } } => {}
            () = &mut stopped => return End::Close(1001, "the world ended"),
            () = async { match &mut too_late { Some(too_late) => too_late.await, None => pending().await } } => {
                // Nothing came that it could be later than.
                if let Some(late) = late.take()
                    && write(socket, Message::Text(late)).await.is_err()
                {
                    return End::Gone;
                }
            }
            _woken = async { match &mut ping { Some(ping) => ping.await, None => pending().await } } => {
                if unanswered >= UNANSWERED_PINGS && asked.elapsed() > ANSWER_TIME {
                    return End::Gone;
                }
                if unanswered == 0 {
                    asked = tokio::time::Instant::now();
                }
                unanswered += 1;
                ping = Some(next_ping());
                if write(socket, Message::Ping(bytes::Bytes::new())).await.is_err() {
                    return End::Gone;
                }
            }
            () = async { match &mut dropped { Some(dropped) => dropped.await, None => pending().await } } => {
                // Those that logged in have the goodbye in their queue already.
                return End::Close(1001, "hub drops local connections");
            }
            _woken = async { match &mut expiry { Some((timer, _)) => timer.await, None => pending().await } } => {
                let code = expiry.map_or(1000, |(_, code)| code);
                return End::Close(code, "identity expired");
            }
        }
    }
}

/// Hears what came, and what has come with it before anything goes out: one write answers it all.
async fn hear<F: Framing>(world: &Arc<World>, socket: &mut Socket<F>, session: &mut Session, waiting: Waiting) -> Stop {
    poll_fn(|context| {
        let (mut at_once, mut now) = (0, None);
        socket.poll_messages(context, &mut |heard| {
            at_once += 1;
            // What is read at once has come at once, for the journal; hubs look at the clock for each call.
            let now = *now.get_or_insert_with(|| world.clock.now_ms());
            match journal::at(now, || hears(world, session, heard)) {
                Some(end) => Then::Over(end),
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

/// Waits until the hub drops its local connections.
async fn dropped(mut drops: watch::Receiver<u64>) {
    drop(drops.changed().await);
}

/// Takes what came; gives how the connection ends with it.
fn hears(world: &Arc<World>, session: &mut Session, heard: &WsMessage<'_>) -> Option<End> {
    match heard {
        WsMessage::Text(text) => session.on_text(world, text),
        // Nobody documents binary frames; one that holds text is read as text.
        WsMessage::Binary(bytes) => session.on_text(world, std::str::from_utf8(bytes).unwrap_or("\u{fffd}")),
        WsMessage::Close(goodbye) => {
            // 1005 stands for a close without a code.
            let code = goodbye.map_or(1005, |(code, _)| code);
            world.journal.named(EntryKind::Closed, session.connection(), "", Some(code), &serde_json::Value::Null);
            session.on_close();
            return Some(End::Closed);
        }
        WsMessage::Ping(_) | WsMessage::Pong => {}
    }
    None
}

/// Sends what is next in the queue.
async fn flush_next<F: Framing>(
    world: &World,
    socket: &mut Socket<F>,
    ready: Ready,
    session: &Session,
    (outbox, late): (&mut Outbox, &mut Option<Utf8Bytes>),
) -> Option<End> {
    match ready {
        Ready::Messages if late.is_some() || world.faults.any_active() => {
            let Some(Out::Text(text, number)) = outbox.take() else { return None };
            Box::pin(disturbed(world, socket, (text, number), session, late)).await
        }
        Ready::Messages => drain(socket, outbox).await,
        Ready::Close(code, reason) => Some(End::Told(code, reason)),
        Ready::Lost => Some(End::Close(1013, "too slow")),
    }
}

type Timer = Pin<Box<dyn Future<Output = Woken> + Send>>;

/// Whether a relay connection ends with its Identity is not known; the configuration says, by default it does not.
fn expiry_timer(world: &World, session: &Session) -> Option<(Timer, u16)> {
    let code = world.assumptions.close_at_expiry?;
    let left = session.expires()?.saturating_sub(world.clock.unix_seconds());
    let wait = Duration::from_secs(u64::try_from(left).unwrap_or_default());
    Some((Box::pin(world.clock.timer(wait)), code))
}
