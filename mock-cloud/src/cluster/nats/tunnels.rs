//! Connections of users in one process to hubs in another. Everything for one process comes by one subscription, so that
//! nothing overtakes. What gets lost on the way ends the connection: who comes again sees everything.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use async_nats::{Message, Subject, Subscriber};
use bytes::Bytes;
use ezlo_protocol::rpc::RpcError;
use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::cluster::nats::chunking::{Received, Sent};
use crate::cluster::nats::{ANSWER_TIME, BEAT, Home, Inner, Node, OpenTunnel, Tunnel};
use crate::cluster::{CALLS_HERE, LeaseGuard, UNDER_WAY, Waiting, receive};

/// Calls that go out before it is asked whether the hub's process has room for as many again.
const WINDOW: usize = 128;

/// Passages of visitors from elsewhere, by connection.
#[derive(Debug, Default)]
pub(crate) struct Open(Mutex<HashMap<String, Calls>>);

/// Where the calls of one visitor go.
#[derive(Debug)]
struct Calls {
    room: mpsc::Sender<Utf8Bytes>,
    received: Received,
}

/// Somebody wants in.
#[derive(Serialize, Deserialize)]
struct Wish {
    visit: OpenTunnel,
    /// The process that the user is connected to.
    from: Node,
}

impl Open {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Calls>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a part of a call. A visitor with more calls than there is room for, or whose calls got lost, is sent away.
    fn take(&self, conn_id: &str, parcel: &Bytes) {
        let mut open = self.lock();
        let taken = open.get_mut(conn_id).map(|calls| match calls.received.message(parcel) {
            Ok(Some(call)) => calls.room.try_send(call).is_ok(),
            Ok(None) => true,
            Err(_) => false,
        });
        if taken == Some(false) {
            open.remove(conn_id);
        }
    }

    fn room(&self, conn_id: &str) -> Option<mpsc::Sender<Utf8Bytes>> {
        self.lock().get(conn_id).map(|calls| calls.room.clone())
    }
}

impl Inner {
    fn frames_of(&self, conn_id: &str) -> String {
        format!("{}.conn.{conn_id}", self.name)
    }

    /// Opens a passage to a hub in that process.
    pub(crate) async fn open(self: Arc<Self>, node: Node, visit: OpenTunnel) -> Result<Tunnel, RpcError> {
        let conn_id = visit.conn_id.clone();
        let opened = self.ask_to_open(node, visit).await;
        let told = match opened {
            Ok(told) => told,
            Err(error) => {
                // It may have been opened all the same.
                self.close(node, &conn_id).await;
                return Err(error);
            }
        };
        let (calls, called) = mpsc::channel(CALLS_HERE);
        let (frames, framed) = mpsc::channel(UNDER_WAY);
        tokio::spawn(async move {
            self.carry(node, &conn_id, told, (called, frames)).await;
            self.close(node, &conn_id).await;
        });
        Ok(Tunnel { calls, frames: framed })
    }

    async fn ask_to_open(&self, node: Node, visit: OpenTunnel) -> Result<Subscriber, RpcError> {
        let away = |error: &dyn std::fmt::Display| {
            tracing::warn!(%error, node, "another process does not answer");
            RpcError::known("nma.ezlo.unavailable")
        };
        let told = self.subscribe(self.frames_of(&visit.conn_id)).await.map_err(|error| away(&error))?;
        let wish: Bytes = serde_json::to_vec(&Wish { visit, from: self.node }).unwrap_or_default().into();
        let asked = self.client.request(format!("{}.node.{node}.open", self.name), wish);
        let answer = tokio::time::timeout(ANSWER_TIME, asked).await.map_err(|error| away(&error))?;
        let answer = answer.map_err(|error| away(&error))?;
        if answer.payload.is_empty() {
            return Ok(told);
        }
        Err(serde_json::from_slice(&answer.payload).unwrap_or_else(|error| away(&error)))
    }

    async fn close(&self, node: Node, conn_id: &str) {
        let _ = self.client.publish(format!("{}.node.{node}.close.{conn_id}", self.name), Bytes::new()).await;
    }

    /// Carries messages both ways until one side goes or something is lost.
    async fn carry(
        &self,
        node: Node,
        conn_id: &str,
        mut told: Subscriber,
        (mut calls, frames): (mpsc::Receiver<Utf8Bytes>, mpsc::Sender<Utf8Bytes>),
    ) {
        let subject = Subject::from(format!("{}.node.{node}.call.{conn_id}", self.name));
        let (mut sent, mut received) = (Sent::default(), Received::default());
        let (mut looks, mut breaks) = (tokio::time::interval(BEAT), self.breaks.subscribe());
        let (mut carried, mut asks): (usize, Option<Waiting<'_, bool>>) = (0, None);
        loop {
            tokio::select! {
                frame = told.next() => match frame.map(|frame| received.message(&frame.payload)) {
                    Some(Ok(Some(text))) => {
                        if frames.try_send(text).is_err() {
                            return;
                        }
                    }
                    Some(Ok(None)) => {}
                    // The end, or a gap before it.
                    Some(Err(_)) | None => return,
                },
                call = calls.recv(), if asks.is_none() => {
                    let Some(call) = call else { return };
                    if !self.publish_all(&subject, sent.parcels(&call)).await {
                        return;
                    }
                    carried += 1;
                    if carried.is_multiple_of(WINDOW) {
                        asks = Some(Box::pin(self.has_room(node, conn_id)));
                    }
                }
                has_room = async { match &mut asks { Some(asks) => asks.await, None => std::future::pending().await } } => {
                    if !has_room {
                        return;
                    }
                    asks = None;
                }
                _ = looks.tick() => {
                    if !self.lives(node) {
                        return;
                    }
                }
                _ = breaks.changed() => return,
            }
        }
    }

    async fn publish_all(&self, subject: &Subject, parcels: Vec<Bytes>) -> bool {
        for parcel in parcels {
            if self.client.publish(subject.clone(), parcel).await.is_err() {
                return false;
            }
        }
        true
    }

    /// Waits until that process has room for more calls of this connection.
    async fn has_room(&self, node: Node, conn_id: &str) -> bool {
        let asked = self.client.request(format!("{}.node.{node}.room.{conn_id}", self.name), Bytes::new());
        tokio::time::timeout(ANSWER_TIME, asked).await.is_ok_and(|answer| answer.is_ok())
    }

    /// Lets users of other processes in at hubs that live here.
    pub(crate) async fn accept_tunnels(self: Arc<Self>, mut visits: Subscriber) {
        while let Some(message) = visits.next().await {
            let mut parts = message.subject.as_str().rsplitn(3, '.');
            match (parts.next(), parts.next()) {
                (Some("errand"), _) => drop(tokio::spawn(Arc::clone(&self).run_errand(message))),
                (Some("open"), _) => drop(tokio::spawn(Arc::clone(&self).open_here(message))),
                (Some(conn_id), Some("call")) => self.passages.take(conn_id, &message.payload),
                (Some(conn_id), Some("room")) => {
                    if let (Some(calls), Some(reply)) = (self.passages.room(conn_id), message.reply) {
                        tokio::spawn(Arc::clone(&self).grant_credit(calls, reply));
                    }
                }
                (Some(conn_id), Some("close")) => drop(self.passages.lock().remove(conn_id)),
                _ => {}
            }
        }
    }

    async fn grant_credit(self: Arc<Self>, calls: mpsc::Sender<Utf8Bytes>, reply: Subject) {
        if calls.reserve_many(WINDOW).await.is_ok() {
            let _ = self.client.publish(reply, Bytes::new()).await;
        }
    }

    async fn open_here(self: Arc<Self>, message: Message) {
        let (Some(reply), Ok(Wish { visit, from })) = (message.reply, serde_json::from_slice(&message.payload)) else {
            return;
        };
        let began = Instant::now();
        let opened = self.receive(&visit).await;
        // Whoever has waited so long has gone.
        let is_late = began.elapsed() >= ANSWER_TIME;
        let answer = match opened {
            Ok(_) if is_late => return,
            Ok(passage) => {
                let calls = Calls { room: passage.calls, received: Received::default() };
                self.passages.lock().insert(visit.conn_id.clone(), calls);
                tokio::spawn(Arc::clone(&self).tell(visit.conn_id, from, passage.frames));
                Bytes::new()
            }
            Err(error) => serde_json::to_vec(&error).unwrap_or_default().into(),
        };
        let _ = self.client.publish(reply, answer).await;
    }

    async fn receive(self: &Arc<Self>, visit: &OpenTunnel) -> Result<Tunnel, RpcError> {
        let unavailable = || RpcError::known("nma.ezlo.unavailable");
        let world = self.world().ok_or_else(unavailable)?;
        self.caught_up().await.map_err(|_| unavailable())?;
        match self.home(&visit.serial).await {
            Ok(Home::Here(since)) => receive(&world, visit, &LeaseGuard::since(&visit.serial, since)),
            _ => Err(unavailable()),
        }
    }

    /// Tells a visitor what the hub says, and in the end that it says nothing more.
    async fn tell(self: Arc<Self>, conn_id: String, visitor: Node, mut frames: mpsc::Receiver<Utf8Bytes>) {
        let subject = Subject::from(self.frames_of(&conn_id));
        let (mut sent, mut looks, mut breaks) = (Sent::default(), tokio::time::interval(BEAT), self.breaks.subscribe());
        loop {
            tokio::select! {
                frame = frames.recv() => {
                    let Some(frame) = frame else { break };
                    if !self.publish_all(&subject, sent.parcels(&frame)).await {
                        break;
                    }
                }
                _ = looks.tick() => {
                    if !self.lives(visitor) {
                        break;
                    }
                }
                _ = breaks.changed() => break,
            }
        }
        self.passages.lock().remove(&conn_id);
        let _ = self.client.publish(subject, Bytes::new()).await;
    }
}
