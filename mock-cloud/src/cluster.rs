//! Several processes that are one cloud: every hub lives in one of them, and is reached from all.
//!
//! How the vendor does it is not known; only what clients see is simulated, and that is what one process shows too.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use ezlo_protocol::rpc::{Envelope, REGISTERED, RpcError};
use ezlo_protocol::serial::Serial;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::journal::Journal;
use crate::wire::frame_writer;
use crate::wire::frame_writer::ReplyRoute;
use crate::world::World;
use crate::world::hub_actor::HubActor;
use crate::world::outbox::{Link, LinkKind, Out, Outbox};
use ezlo_hub_sim::json::RawJson;

#[cfg(feature = "cluster")]
pub(crate) mod nats;

/// Messages of a hub that may be under way to a connection elsewhere.
const UNDER_WAY: usize = 1024;
/// Calls that may wait where they came, and where the hub lives. Together with those on the way they are fewer than the answers
/// that may wait for a client.
const CALLS_HERE: usize = 128;
const CALLS_THERE: usize = 256;

/// Room for calls below which a connection is not read: more than it is read for at once.
const ROOM: usize = 64;

/// What is waited for.
pub(crate) type Waiting<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Number of a node, never given twice.
pub(crate) type Node = u64;

/// Where a hub lives.
#[cfg_attr(not(feature = "cluster"), expect(dead_code, reason = "a cloud of one process asks nobody"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Home {
    /// In this process, since the moment of that number.
    Here(u64),
    /// Nobody knows a hub of that serial.
    Nowhere,
    /// In that one.
    There(Node),
}

/// The others cannot be asked.
#[derive(Debug, thiserror::Error)]
#[error("the cluster cannot be reached: {0}")]
pub(crate) struct Unreachable(pub(crate) String);

/// A user's connection that wants to talk to a hub.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct OpenTunnel {
    pub(crate) serial: Serial,
    pub(crate) account: u64,
    pub(crate) user: u64,
    pub(crate) conn_id: String,
}

/// What somebody does at a hub by the control API.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RemoteCall {
    pub(crate) serial: Serial,
    /// `GET` or `POST`.
    pub(crate) method: String,
    /// As the table of control calls has it.
    pub(crate) path: String,
    pub(crate) body: String,
}

/// What came of it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Done {
    /// An HTTP status.
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// Both directions between a connection and its hub. Each ends when the other side goes.
#[derive(Debug)]
pub(crate) struct Tunnel {
    /// The client's calls, as they came.
    pub(crate) calls: mpsc::Sender<Utf8Bytes>,
    /// Answers and broadcasts, in order.
    pub(crate) frames: mpsc::Receiver<Utf8Bytes>,
}

/// How the processes of one cloud reach each other. A cloud of one process has none.
pub(crate) trait Backplane: Send + Sync + std::fmt::Debug {
    /// Where that hub lives. One that lives nowhere, or in a process that is gone, comes here, as it was when it last told
    /// anybody anything.
    fn home<'a>(&'a self, serial: &'a Serial) -> Waiting<'a, Result<Home, Unreachable>>;

    /// When that hub came here, if it lives here; a number of its own each time.
    fn lease(&self, serial: &Serial) -> Option<u64>;

    /// A process that speaks for that hub is connected here: it lives here from now on.
    fn register_here<'a>(&'a self, serial: &'a Serial) -> Waiting<'a, Result<(), Unreachable>>;

    /// Opens a passage to a hub that lives in another process.
    fn open(&self, node: Node, visit: OpenTunnel) -> Waiting<'_, Result<Tunnel, RpcError>>;

    /// Has something done at a hub that lives in another process.
    fn errand(&self, node: Node, errand: RemoteCall) -> Waiting<'_, Result<Done, Unreachable>>;

    /// Waits until everything is known here that was acknowledged anywhere before.
    fn caught_up(&self) -> Waiting<'_, Result<(), Unreachable>>;

    /// Waits until no other process changes accounts: a name or a hub can be taken once only.
    fn turn(&self) -> Waiting<'_, Result<AccountLock, Unreachable>>;

    /// Tells the others that this process ends, once all that it did is kept: its hubs are anybody's.
    fn leave(&self);
}

/// Where a hub lived when something was done to it. What is done to one that lives elsewhere before it is kept, is not.
#[derive(Debug, Clone)]
pub(crate) struct LeaseGuard(Option<(Serial, u64)>);

impl LeaseGuard {
    /// That of a hub that came here at the moment of that number.
    pub(crate) fn since(serial: &Serial, since: u64) -> Self {
        Self(Some((serial.clone(), since)))
    }

    /// Of no hub, which lives everywhere.
    pub(crate) const fn everywhere() -> Self {
        Self(None)
    }

    pub(crate) fn is_still(&self, world: &World) -> bool {
        let is_still = |(serial, since): &(Serial, u64)| {
            world.backplane().is_none_or(|backplane| backplane.lease(serial) == Some(*since))
        };
        self.0.as_ref().is_none_or(is_still)
    }
}

/// The turn of one process to change accounts; over when this goes.
pub(crate) struct AccountLock(Option<Box<dyn FnOnce() + Send>>);

impl AccountLock {
    #[cfg(feature = "cluster")]
    pub(crate) fn new(over: impl FnOnce() + Send + 'static) -> Self {
        Self(Some(Box::new(over)))
    }
}

impl Drop for AccountLock {
    fn drop(&mut self) {
        if let Some(over) = self.0.take() {
            over();
        }
    }
}

/// Takes a visitor in at a hub that lives here.
pub(crate) fn receive(world: &Arc<World>, visit: &OpenTunnel, home: &LeaseGuard) -> Result<Tunnel, RpcError> {
    let hub = world.hub_for(visit.account, &visit.serial)?;
    // The client's own connection is in the journal, where the client is.
    let silent = Arc::new(Journal::new(world.clock.clone(), false));
    let (link, outbox) = Link::new(&silent, world.keeper.as_ref(), visit.conn_id.clone(), LinkKind::Relay);
    let is_in = hub.attach(link.clone());
    // Looked at now that whoever takes the hub away cuts this one off too.
    if !is_in || !home.is_still(world) {
        hub.detach(&visit.conn_id);
        return Err(RpcError::known("nma.ezlo.unavailable"));
    }
    let (calls, called) = mpsc::channel(CALLS_THERE);
    let (told, frames) = mpsc::channel(UNDER_WAY);
    let visitor = RemoteClient { hub, link, user: visit.user };
    let (world, own) = (Arc::clone(world), Arc::clone(world));
    world.spawn(async move { visitor.stay(&own, called, outbox, told).await });
    Ok(Tunnel { calls, frames })
}

/// Somebody who listens to a hub from another process. The hub forgets them when this goes.
struct RemoteClient {
    hub: Arc<HubActor>,
    link: Link,
    user: u64,
}

impl Drop for RemoteClient {
    fn drop(&mut self) {
        self.hub.detach(&self.link.conn_id);
    }
}

impl RemoteClient {
    async fn stay(
        self,
        world: &Arc<World>,
        mut calls: mpsc::Receiver<Utf8Bytes>,
        mut outbox: Outbox,
        frames: mpsc::Sender<Utf8Bytes>,
    ) {
        loop {
            tokio::select! {
                biased;
                // What goes out has waited until it is kept.
                out = outbox.recv() => match out {
                    Some(Out::Text(text, _)) => {
                        if frames.send(text).await.is_err() {
                            return;
                        }
                    }
                    Some(Out::Close) | None => return,
                },
                // Not while there is much to say already, which may have to wait until it is kept.
                call = calls.recv(), if !outbox.waiting().over_high_water() => {
                    let Some(text) = call else { return };
                    if let Ok(request) = Envelope::parse(&text) {
                        self.hub.relayed_call(&request, &text, &self.link, || world.user_name(self.user));
                    }
                }
            }
        }
    }
}

/// A connection's way to a hub, wherever it lives; it ends when this goes.
#[derive(Debug)]
pub(crate) struct RemoteHub {
    serial: Serial,
    calls: mpsc::Sender<Utf8Bytes>,
    /// Whether the hub has taken it in, once that is known.
    taken: watch::Receiver<Option<bool>>,
}

impl RemoteHub {
    /// Goes to that hub and answers the `register` once it is known whether that works.
    pub(crate) fn go(
        world: &Arc<World>,
        backplane: &Arc<dyn Backplane>,
        link: &Link,
        visit: OpenTunnel,
        register: Utf8Bytes,
    ) -> Self {
        let (calls, called) = mpsc::channel(CALLS_HERE);
        let serial = visit.serial.clone();
        let (takes, taken) = watch::channel(None);
        let (own, backplane, link) = (Arc::clone(world), Arc::clone(backplane), link.clone());
        world.spawn(async move {
            let outcome = passage(&own, &*backplane, visit).await;
            let Ok(request) = Envelope::parse(&register) else { return };
            let method = request.method.as_deref().unwrap_or_default();
            match outcome {
                Ok(passage) => {
                    takes.send_replace(Some(true));
                    link.send(&frame_writer::reply(&request, REGISTERED, &Ok(RawJson::empty()), ReplyRoute::Relay));
                    carry(&link, called, passage).await;
                }
                Err(error) => {
                    takes.send_replace(Some(false));
                    let wanted = own.assumptions.min_evidence;
                    link.send(&frame_writer::refusal(wanted, &request, method, error, ReplyRoute::Relay));
                    refuse_all(&own, &link, called).await;
                }
            }
        });
        Self { serial, calls, taken }
    }

    /// The hub that it goes to.
    pub(crate) const fn serial(&self) -> &Serial {
        &self.serial
    }

    /// Whether it is at that hub already.
    pub(crate) fn is_at(&self, serial: &Serial) -> bool {
        self.serial == *serial && *self.taken.borrow() == Some(true)
    }

    /// Whether it is known what came of it, and it takes more calls than a connection brings at once.
    pub(crate) fn has_room(&self) -> bool {
        let is_known = self.taken.borrow().is_some() || self.taken.has_changed().is_err();
        is_known && (self.calls.capacity() >= ROOM || self.calls.is_closed())
    }

    /// Waits until that is so. One `register` at a time: nothing is heard before it is answered.
    pub(crate) fn room(&self) -> impl Future<Output = ()> + Send + 'static {
        let (mut taken, calls) = (self.taken.clone(), self.calls.downgrade());
        async move {
            // Over as well when whoever would tell has gone.
            drop(taken.wait_for(Option::is_some).await);
            if let Some(calls) = calls.upgrade() {
                drop(calls.reserve_many(ROOM).await);
            }
        }
    }

    /// Passes a call on; false when too many are under way.
    pub(crate) fn call(&self, text: &str) -> bool {
        self.calls.try_send(text.into()).is_ok()
    }
}

async fn passage(world: &Arc<World>, backplane: &dyn Backplane, visit: OpenTunnel) -> Result<Tunnel, RpcError> {
    let unavailable = |error: Unreachable| {
        tracing::warn!(%error, serial = %visit.serial, "a hub cannot be reached");
        RpcError::known("nma.ezlo.unavailable")
    };
    backplane.caught_up().await.map_err(unavailable)?;
    match backplane.home(&visit.serial).await.map_err(unavailable)? {
        Home::Here(since) => receive(world, &visit, &LeaseGuard::since(&visit.serial, since)),
        Home::Nowhere => Err(RpcError::known("nma.ezlo.notfound")),
        Home::There(node) => backplane.open(node, visit).await,
    }
}

/// Carries messages both ways until one side goes.
async fn carry(link: &Link, mut calls: mpsc::Receiver<Utf8Bytes>, mut passage: Tunnel) {
    let mut waits = None;
    loop {
        tokio::select! {
            frame = passage.frames.recv() => match frame {
                Some(text) => {
                    if !link.send(&text) {
                        return;
                    }
                }
                // The client comes again, and finds the hub where it lives then.
                None => return link.close(1012, "the hub lives elsewhere now"),
            },
            call = calls.recv(), if waits.is_none() => match call {
                Some(text) => waits = Some(text),
                None => return,
            },
            room = passage.calls.reserve(), if waits.is_some() => match (room, waits.take()) {
                (Ok(room), Some(text)) => room.send(text),
                _ => return link.close(1012, "the hub lives elsewhere now"),
            },
        }
    }
}

/// Answers calls that came after a `register` that was refused.
async fn refuse_all(world: &World, link: &Link, mut calls: mpsc::Receiver<Utf8Bytes>) {
    while let Some(text) = calls.recv().await {
        if let Ok(request) = Envelope::parse(&text) {
            let method = request.method.as_deref().unwrap_or_default();
            let (wanted, error) = (world.assumptions.min_evidence, RpcError::known("nma.ezlo.notregistered"));
            link.send(&frame_writer::refusal(wanted, &request, method, error, ReplyRoute::Relay));
        }
    }
}
