//! Connections of users in one process to hubs in another. Everything for one process comes by one subscription, so that
//! nothing overtakes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_nats::{Message, Subscriber};
use bytes::Bytes;
use ezlo_protocol::rpc::RpcError;
use futures_util::StreamExt as _;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::{ANSWER_TIME, BEAT, Inner, Node, Passage, Visit};
use crate::cluster::{CALLS_HERE, UNDER_WAY, Waiting, receive};

/// Calls that go out before it is asked whether the hub's process has room for as many again.
const WINDOW: usize = 128;

/// Passages of visitors from elsewhere, by connection.
#[derive(Debug, Default)]
pub(super) struct Open(Mutex<HashMap<String, mpsc::Sender<Utf8Bytes>>>);

impl Open {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, mpsc::Sender<Utf8Bytes>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn frames_of(&self, conn_id: &str) -> String {
        format!("{}.conn.{conn_id}", self.name)
    }

    /// Opens a passage to a hub in that process.
    pub(super) async fn open(self: Arc<Self>, node: Node, visit: Visit) -> Result<Passage, RpcError> {
        let away = |error: &dyn std::fmt::Display| {
            tracing::warn!(%error, node, "another process does not answer");
            RpcError::known("nma.ezlo.unavailable")
        };
        let conn_id = visit.conn_id.clone();
        let told = self.subscribe(self.frames_of(&conn_id)).await.map_err(|error| away(&error))?;
        let wish: Bytes = serde_json::to_vec(&visit).unwrap_or_default().into();
        let asked = self.client.request(format!("{}.node.{node}.open", self.name), wish);
        let answer = tokio::time::timeout(ANSWER_TIME, asked).await.map_err(|error| away(&error))?;
        let answer = answer.map_err(|error| away(&error))?;
        if !answer.payload.is_empty() {
            return Err(serde_json::from_slice(&answer.payload).unwrap_or_else(|error| away(&error)));
        }
        let (calls, called) = mpsc::channel(CALLS_HERE);
        let (frames, framed) = mpsc::channel(UNDER_WAY);
        tokio::spawn(self.carry(node, conn_id, told, (called, frames)));
        Ok(Passage { calls, frames: framed })
    }

    async fn carry(
        self: Arc<Self>,
        node: Node,
        conn_id: String,
        mut told: Subscriber,
        (mut calls, frames): (mpsc::Receiver<Utf8Bytes>, mpsc::Sender<Utf8Bytes>),
    ) {
        let subject = format!("{}.node.{node}.call.{conn_id}", self.name);
        let mut looks = tokio::time::interval(BEAT);
        let (mut sent, mut asks): (usize, Option<Waiting<'_, bool>>) = (0, None);
        loop {
            tokio::select! {
                frame = told.next() => {
                    let text = frame.filter(|frame| !frame.payload.is_empty()).and_then(|frame| text(&frame));
                    let Some(text) = text else { return };
                    if frames.try_send(text).is_err() {
                        break;
                    }
                }
                call = calls.recv(), if asks.is_none() => {
                    let Some(call) = call else { break };
                    if self.client.publish(subject.clone(), call.into()).await.is_err() {
                        break;
                    }
                    sent += 1;
                    if sent.is_multiple_of(WINDOW) {
                        asks = Some(Box::pin(self.has_room(node, &conn_id)));
                    }
                }
                has_room = async { match &mut asks { Some(asks) => asks.await, None => std::future::pending().await } } => {
                    if !has_room {
                        break;
                    }
                    asks = None;
                }
                _ = looks.tick() => {
                    if !self.lives(node) {
                        return;
                    }
                }
            }
        }
        let _ = self.client.publish(format!("{}.node.{node}.close.{conn_id}", self.name), Bytes::new()).await;
    }

    /// Waits until that process has room for more calls of this connection.
    async fn has_room(&self, node: Node, conn_id: &str) -> bool {
        let asked = self.client.request(format!("{}.node.{node}.room.{conn_id}", self.name), Bytes::new());
        tokio::time::timeout(ANSWER_TIME, asked).await.is_ok_and(|answer| answer.is_ok())
    }

    /// Lets users of other processes in at hubs that live here.
    pub(super) async fn let_in(self: Arc<Self>, mut visits: Subscriber) {
        while let Some(message) = visits.next().await {
            let mut parts = message.subject.as_str().rsplitn(3, '.');
            match (parts.next(), parts.next()) {
                (Some("errand"), _) => drop(tokio::spawn(Arc::clone(&self).run_errand(message))),
                (Some("open"), _) => drop(tokio::spawn(Arc::clone(&self).open_here(message))),
                (Some(conn_id), Some("call")) => {
                    let calls = self.passages.lock().get(conn_id).cloned();
                    // A visitor with more calls than that is sent away.
                    let is_taken = calls.zip(text(&message)).is_some_and(|(calls, text)| calls.try_send(text).is_ok());
                    if !is_taken {
                        self.passages.lock().remove(conn_id);
                    }
                }
                (Some(conn_id), Some("room")) => {
                    let calls = self.passages.lock().get(conn_id).cloned();
                    if let (Some(calls), Some(reply)) = (calls, message.reply) {
                        tokio::spawn(Arc::clone(&self).tell_of_room(calls, reply));
                    }
                }
                (Some(conn_id), Some("close")) => drop(self.passages.lock().remove(conn_id)),
                _ => {}
            }
        }
    }

    async fn tell_of_room(self: Arc<Self>, calls: mpsc::Sender<Utf8Bytes>, reply: async_nats::Subject) {
        if calls.reserve_many(WINDOW).await.is_ok() {
            let _ = self.client.publish(reply, Bytes::new()).await;
        }
    }

    async fn open_here(self: Arc<Self>, message: Message) {
        let Some(reply) = message.reply.clone() else { return };
        let visit = serde_json::from_slice::<Visit>(&message.payload).ok();
        let outcome = match (self.world(), &visit) {
            (Some(world), Some(visit)) if self.mine().contains_key(&visit.serial) => self
                .caught_up()
                .await
                .map_err(|_| RpcError::known("nma.ezlo.unavailable"))
                .and_then(|()| receive(&world, visit)),
            _ => Err(RpcError::known("nma.ezlo.unavailable")),
        };
        match (outcome, visit) {
            (Ok(passage), Some(visit)) => {
                self.passages.lock().insert(visit.conn_id.clone(), passage.calls);
                let _ = self.client.publish(reply, Bytes::new()).await;
                tokio::spawn(self.tell(visit.conn_id, passage.frames));
            }
            (Err(error), _) => {
                let _ = self.client.publish(reply, serde_json::to_vec(&error).unwrap_or_default().into()).await;
            }
            (Ok(_), None) => {}
        }
    }

    /// Tells a visitor what the hub says, and in the end that it says nothing more.
    async fn tell(self: Arc<Self>, conn_id: String, mut frames: mpsc::Receiver<Utf8Bytes>) {
        let subject = self.frames_of(&conn_id);
        while let Some(frame) = frames.recv().await {
            if self.client.publish(subject.clone(), frame.into()).await.is_err() {
                break;
            }
        }
        self.passages.lock().remove(&conn_id);
        let _ = self.client.publish(subject, Bytes::new()).await;
    }
}

fn text(message: &Message) -> Option<Utf8Bytes> {
    Utf8Bytes::try_from(message.payload.clone()).ok()
}
