//! Several processes that serve one cloud. Each hub is active in one process and reachable from all.
//!
//! The vendor's internal structure is not known. A cluster shows clients the same as a single process.

use crate::world::backplane::Backplane;
use crate::world::backplane::Home;
use crate::world::backplane::LeaseGuard;
use crate::world::backplane::OpenTunnel;
use crate::world::backplane::Tunnel;
use crate::world::backplane::Unreachable;
use std::future::Future;
use std::sync::Arc;

use ezlo_protocol::rpc::{Envelope, REGISTERED, RpcError};
use ezlo_protocol::serial::Serial;
use tokio::sync::{mpsc, watch};
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::journal::Journal;
use crate::wire;
use crate::wire::ReplyRoute;
use crate::world::World;
use crate::world::hub_actor::HubActor;
use crate::world::outbox::{Link, LinkKind, Out, Outbox};
use ezlo_hub_sim::json::RawJson;

#[cfg(feature = "cluster")]
pub(crate) mod nats;

/// Maximum number of messages of a hub that are under way to a client at another process.
const UNDER_WAY: usize = 1024;
/// Capacity of the queue of calls in the process of the client.
const CALLS_HERE: usize = 128;
/// Capacity of the queue of calls in the process of the hub. Both queues and the calls under way together are smaller than the
/// queue of replies to a client.
const CALLS_THERE: usize = 256;

/// Free capacity of the call queue below which a connection is not read. It exceeds the number of calls of one read.
const ROOM: usize = 64;

/// Attaches a client of another process to a hub that is active here.
pub(crate) fn receive(world: &Arc<World>, visit: &OpenTunnel, home: &LeaseGuard) -> Result<Tunnel, RpcError> {
    let hub = world.hub_for(visit.account, &visit.serial)?;
    // The process of the client records its connection in the journal.
    let silent = Arc::new(Journal::new(world.clock.clone(), false));
    let (link, outbox) = Link::new(&silent, world.keeper.as_ref(), visit.conn_id.clone(), LinkKind::Relay);
    let is_in = hub.attach(link.clone());
    // The lease is checked after the client is attached: losing the hub later disconnects the client.
    if !is_in || !home.is_still(world.backplane()) {
        hub.detach(&visit.conn_id);
        return Err(RpcError::known("nma.ezlo.unavailable"));
    }
    let (calls, called) = mpsc::channel(CALLS_THERE);
    let (sender, frames) = mpsc::channel(UNDER_WAY);
    let remote = RemoteClient { hub, link, user: visit.user, home: home.clone() };
    let (world, own) = (Arc::clone(world), Arc::clone(world));
    world.spawn(async move { remote.serve(&own, called, outbox, sender).await });
    Ok(Tunnel { calls, frames })
}

/// A client of another process that is attached to a hub. Dropping it detaches the client.
struct RemoteClient {
    hub: Arc<HubActor>,
    link: Link,
    user: u64,
    /// The lease of the hub when the client was attached.
    home: LeaseGuard,
}

impl Drop for RemoteClient {
    fn drop(&mut self) {
        self.hub.detach(&self.link.conn_id);
    }
}

impl RemoteClient {
    async fn serve(
        self,
        world: &Arc<World>,
        mut calls: mpsc::Receiver<Utf8Bytes>,
        mut outbox: Outbox,
        frames: mpsc::Sender<Utf8Bytes>,
    ) {
        loop {
            tokio::select! {
                biased;
                // The outbox yields a message only after its changes are durable.
                out = outbox.recv() => match out {
                    Some(Out::Text(text, _)) => {
                        if frames.send(text).await.is_err() {
                            return;
                        }
                    }
                    Some(Out::Close) | None => return,
                },
                // Calls wait while many replies are queued, because replies can wait for a commit.
                call = calls.recv(), if !outbox.waiting().over_high_water() => {
                    let Some(text) = call else { return };
                    // After a pause of this process, another one may answer with a newer state.
                    if !self.home.is_still(world.backplane()) {
                        return;
                    }
                    if let Ok(request) = Envelope::parse(&text) {
                        self.hub.relayed_call(&request, &text, &self.link, || world.user_name(self.user));
                    }
                }
            }
        }
    }
}

/// The connection of a client to a hub in any process. Dropping it closes the connection.
#[derive(Debug)]
pub(crate) struct RemoteHub {
    serial: Serial,
    calls: mpsc::Sender<Utf8Bytes>,
    /// The outcome of the registration; `None` until it is known.
    taken: watch::Receiver<Option<bool>>,
}

impl RemoteHub {
    /// Connects to a hub, and answers the `register` when the outcome is known.
    pub(crate) fn open(
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
            let outcome = open_tunnel(&own, &*backplane, visit).await;
            let Ok(request) = Envelope::parse(&register) else { return };
            let method = request.method.as_deref().unwrap_or_default();
            match outcome {
                Ok(tunnel) => {
                    takes.send_replace(Some(true));
                    link.send(&wire::reply(&request, REGISTERED, &Ok(RawJson::empty()), ReplyRoute::Relay));
                    carry(&link, called, tunnel).await;
                }
                Err(error) => {
                    takes.send_replace(Some(false));
                    let required = own.assumptions.min_evidence;
                    link.send(&wire::refusal(required, &request, method, error, ReplyRoute::Relay));
                    refuse_all(&own, &link, called).await;
                }
            }
        });
        Self { serial, calls, taken }
    }

    /// Returns the serial of the hub.
    pub(crate) const fn serial(&self) -> &Serial {
        &self.serial
    }

    /// Returns true if it is registered at this hub.
    pub(crate) fn is_at(&self, serial: &Serial) -> bool {
        self.serial == *serial && *self.taken.borrow() == Some(true)
    }

    /// Returns true if the registration was answered and the queue has room for the calls of one read.
    pub(crate) fn has_room(&self) -> bool {
        let is_known = self.taken.borrow().is_some() || self.taken.has_changed().is_err();
        is_known && (self.calls.capacity() >= ROOM || self.calls.is_closed())
    }

    /// Waits until [`Self::has_room`] is true. A connection is not read until its `register` is answered.
    pub(crate) fn room(&self) -> impl Future<Output = ()> + Send + 'static {
        let (mut taken, calls) = (self.taken.clone(), self.calls.downgrade());
        async move {
            // Also completes when the sender is dropped.
            drop(taken.wait_for(Option::is_some).await);
            if let Some(calls) = calls.upgrade() {
                drop(calls.reserve_many(ROOM).await);
            }
        }
    }

    /// Queues a call. Returns false if the queue is full.
    pub(crate) fn call(&self, text: &str) -> bool {
        self.calls.try_send(text.into()).is_ok()
    }
}

async fn open_tunnel(world: &Arc<World>, backplane: &dyn Backplane, visit: OpenTunnel) -> Result<Tunnel, RpcError> {
    let unavailable = |error: Unreachable| {
        tracing::warn!(%error, serial = %visit.serial, "cannot reach the hub");
        RpcError::known("nma.ezlo.unavailable")
    };
    backplane.wait_synced().await.map_err(unavailable)?;
    match backplane.home(&visit.serial).await.map_err(unavailable)? {
        Home::Here(since) => receive(world, &visit, &LeaseGuard::since(&visit.serial, since)),
        Home::Nowhere => Err(RpcError::known("nma.ezlo.notfound")),
        Home::There(node) => backplane.open(node, visit).await,
    }
}

/// Forwards calls and messages until one side closes.
async fn carry(link: &Link, mut calls: mpsc::Receiver<Utf8Bytes>, mut tunnel: Tunnel) {
    let mut waits = None;
    loop {
        tokio::select! {
            frame = tunnel.frames.recv() => match frame {
                Some(text) => {
                    if !link.send(&text) {
                        return;
                    }
                }
                // The client reconnects and is routed to the process where the hub is active then.
                None => return link.close(1012, "the hub moved to another process"),
            },
            call = calls.recv(), if waits.is_none() => match call {
                Some(text) => waits = Some(text),
                None => return,
            },
            room = tunnel.calls.reserve(), if waits.is_some() => match (room, waits.take()) {
                (Ok(room), Some(text)) => room.send(text),
                _ => return link.close(1012, "the hub moved to another process"),
            },
        }
    }
}

/// Refuses calls that follow a refused `register`.
async fn refuse_all(world: &World, link: &Link, mut calls: mpsc::Receiver<Utf8Bytes>) {
    while let Some(text) = calls.recv().await {
        if let Ok(request) = Envelope::parse(&text) {
            let method = request.method.as_deref().unwrap_or_default();
            let (required, error) = (world.assumptions.min_evidence, RpcError::known("nma.ezlo.notregistered"));
            link.send(&wire::refusal(required, &request, method, error, ReplyRoute::Relay));
        }
    }
}
