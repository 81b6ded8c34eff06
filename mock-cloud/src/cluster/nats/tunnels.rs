//! Connections of clients in one process to hubs in another. A process receives everything by one subscription, which preserves
//! the order. A lost message closes the connection, so that the client reconnects and reads the full state.

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
use crate::cluster::{CALLS_HERE, UNDER_WAY, receive};
use crate::world::backplane::{LeaseGuard, Waiting};

/// Number of calls after which the sender waits until the process of the hub has room for as many again.
const WINDOW: usize = 128;

/// Tunnels of clients from other processes, by connection.
#[derive(Debug, Default)]
pub(crate) struct Open(Mutex<HashMap<String, Calls>>);

/// The receiving side of the calls of one client.
#[derive(Debug)]
struct Calls {
    room: mpsc::Sender<Utf8Bytes>,
    received: Received,
}

/// The request to open a tunnel.
#[derive(Serialize, Deserialize)]
struct OpenRequest {
    visit: OpenTunnel,
    /// The process of the client.
    from: Node,
}

impl Open {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Calls>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Receives a part of a call. A full queue or a lost part closes the tunnel.
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

    /// Opens a tunnel to a hub in another process.
    pub(crate) async fn open(self: Arc<Self>, node: Node, visit: OpenTunnel) -> Result<Tunnel, RpcError> {
        let conn_id = visit.conn_id.clone();
        let opened = self.request_open(node, visit).await;
        let incoming = match opened {
            Ok(incoming) => incoming,
            Err(error) => {
                // The other process can have opened it all the same.
                self.close(node, &conn_id).await;
                return Err(error);
            }
        };
        let (calls, called) = mpsc::channel(CALLS_HERE);
        let (frames, framed) = mpsc::channel(UNDER_WAY);
        tokio::spawn(async move {
            self.carry(node, &conn_id, incoming, (called, frames)).await;
            self.close(node, &conn_id).await;
        });
        Ok(Tunnel { calls, frames: framed })
    }

    async fn request_open(&self, node: Node, visit: OpenTunnel) -> Result<Subscriber, RpcError> {
        let away = |error: &dyn std::fmt::Display| {
            tracing::warn!(%error, node, "another process did not reply");
            RpcError::known("nma.ezlo.unavailable")
        };
        let incoming = self.subscribe(self.frames_of(&visit.conn_id)).await.map_err(|error| away(&error))?;
        let request: Bytes = ezlo_protocol::wire::to_bytes(&OpenRequest { visit, from: self.node }).into();
        let asked = self.client.request(format!("{}.node.{node}.open", self.name), request);
        let lost = async {
            while self.lives(node) {
                tokio::time::sleep(BEAT).await;
            }
        };
        let answer = tokio::select! {
            answer = tokio::time::timeout(ANSWER_TIME, asked) => answer.map_err(|error| away(&error))?,
            () = lost => return Err(away(&"it is lost")),
        };
        let answer = answer.map_err(|error| away(&error))?;
        if answer.payload.is_empty() {
            return Ok(incoming);
        }
        Err(serde_json::from_slice(&answer.payload).unwrap_or_else(|error| away(&error)))
    }

    async fn close(&self, node: Node, conn_id: &str) {
        let _ = self.client.publish(format!("{}.node.{node}.close.{conn_id}", self.name), Bytes::new()).await;
    }

    /// Forwards calls and messages until one side closes or a message is lost.
    async fn carry(
        &self,
        node: Node,
        conn_id: &str,
        mut incoming: Subscriber,
        (mut calls, frames): (mpsc::Receiver<Utf8Bytes>, mpsc::Sender<Utf8Bytes>),
    ) {
        let subject = Subject::from(format!("{}.node.{node}.call.{conn_id}", self.name));
        let (mut sent, mut received) = (Sent::default(), Received::default());
        let (mut ticks, mut breaks) = (tokio::time::interval(BEAT), self.breaks.subscribe());
        let (mut carried, mut credit): (usize, Option<Waiting<'_, bool>>) = (0, None);
        loop {
            tokio::select! {
                frame = incoming.next() => match frame.map(|frame| received.message(&frame.payload)) {
                    Some(Ok(Some(text))) => {
                        if frames.try_send(text).is_err() {
                            return;
                        }
                    }
                    Some(Ok(None)) => {}
                    // The end of the tunnel, or a gap.
                    Some(Err(_)) | None => return,
                },
                call = calls.recv(), if credit.is_none() => {
                    let Some(call) = call else { return };
                    if !self.publish_all(&subject, sent.parcels(&call)).await {
                        return;
                    }
                    carried += 1;
                    if carried.is_multiple_of(WINDOW) {
                        credit = Some(Box::pin(self.has_room(node, conn_id)));
                    }
                }
                has_room = async { match &mut credit { Some(room) => room.await, None => std::future::pending().await } } => {
                    if !has_room {
                        return;
                    }
                    credit = None;
                }
                _ = ticks.tick() => {
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

    /// Waits until the other process has room for further calls of this connection. Returns false after the timeout.
    async fn has_room(&self, node: Node, conn_id: &str) -> bool {
        let asked = self.client.request(format!("{}.node.{node}.room.{conn_id}", self.name), Bytes::new());
        tokio::time::timeout(ANSWER_TIME, asked).await.is_ok_and(|answer| answer.is_ok())
    }

    /// Accepts tunnels and control calls of other processes.
    pub(crate) async fn accept_tunnels(self: Arc<Self>, mut visits: Subscriber) {
        while let Some(message) = visits.next().await {
            let mut parts = message.subject.as_str().rsplitn(3, '.');
            match (parts.next(), parts.next()) {
                (Some("remote_call"), _) => drop(tokio::spawn(Arc::clone(&self).run_remote_call(message))),
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
        let (Some(reply), Ok(OpenRequest { visit, from })) = (message.reply, serde_json::from_slice(&message.payload))
        else {
            return;
        };
        let began = Instant::now();
        let opened = self.receive(&visit).await;
        // The requesting process has given up after the same time.
        let is_late = began.elapsed() >= ANSWER_TIME;
        let answer = match opened {
            Ok(_) if is_late => return,
            Ok(tunnel) => {
                let calls = Calls { room: tunnel.calls, received: Received::default() };
                self.passages.lock().insert(visit.conn_id.clone(), calls);
                tokio::spawn(Arc::clone(&self).forward(visit.conn_id, from, tunnel.frames));
                Bytes::new()
            }
            Err(error) => ezlo_protocol::wire::to_bytes(&error).into(),
        };
        let _ = self.client.publish(reply, answer).await;
    }

    async fn receive(self: &Arc<Self>, visit: &OpenTunnel) -> Result<Tunnel, RpcError> {
        let unavailable = || RpcError::known("nma.ezlo.unavailable");
        let world = self.world().ok_or_else(unavailable)?;
        self.wait_synced().await.map_err(|_| unavailable())?;
        match self.home(&visit.serial).await {
            Ok(Home::Here(since)) => receive(&world, visit, &LeaseGuard::since(&visit.serial, since)),
            _ => Err(unavailable()),
        }
    }

    /// Forwards messages of the hub to the process of the client, and an empty message at the end.
    async fn forward(self: Arc<Self>, conn_id: String, client: Node, mut frames: mpsc::Receiver<Utf8Bytes>) {
        let subject = Subject::from(self.frames_of(&conn_id));
        let (mut sent, mut ticks, mut breaks) = (Sent::default(), tokio::time::interval(BEAT), self.breaks.subscribe());
        loop {
            tokio::select! {
                frame = frames.recv() => {
                    let Some(frame) = frame else { break };
                    if !self.publish_all(&subject, sent.parcels(&frame)).await {
                        break;
                    }
                }
                _ = ticks.tick() => {
                    if !self.lives(client) {
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
