//! Outgoing messages: one bounded queue for each connection.

use crate::world::outbox::frame_queue::Frames;
use std::sync::Arc;

use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::journal::Journal;
use crate::journal::entry::EntryKind;
use crate::persistence::writer::StateWriter;

use crate::world::outbox::frame_queue::{Next, Receiver, Sender, queue};

pub(crate) mod frame_queue;

/// Capacity of the queue of one connection, in messages and bytes. As much again can be in the hands of the writer. A client
/// that is further behind is disconnected, so that the queue cannot grow.
const OUTBOX_CAPACITY: (usize, usize) = (1024, 16 * 1024 * 1024);
/// Queued messages and bytes from which on a connection is not read, so that it cannot cause more replies. Far below the
/// capacity.
const HIGH_WATER: (usize, usize) = (128, 1024 * 1024);

/// An item for a connection to send.
#[derive(Debug, Clone)]
pub(crate) enum Out {
    /// A message, with its sequence number in the journal.
    Text(Utf8Bytes, u64),
    /// The close of the connection.
    Close,
}

/// The next step of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ready {
    /// Messages can be sent.
    Messages,
    /// The connection is to be closed, with code and reason.
    Close(u16, &'static str),
    /// The connection must end: a message is lost, because the client was too slow or persistence failed.
    Lost,
}

/// The receiving end of a [`Link`], owned by the connection.
#[derive(Debug)]
pub(crate) struct Outbox {
    queue: Receiver,
    keeper: Option<Arc<StateWriter>>,
}

impl Outbox {
    /// Waits until an item can be sent: it is queued, and the changes before it are durable. Does not remove it.
    pub(crate) async fn ready(&mut self) -> Ready {
        let next = self.queue.next().await;
        let mark = match next {
            Next::Message(item) => item.mark,
            Next::Close((mark, ..)) => mark,
            Next::Nothing => return Ready::Lost,
        };
        if let Some(keeper) = &self.keeper
            && !keeper.is_durable(mark)
            && !Box::pin(keeper.wait_durable(mark)).await
        {
            // Persistence failed: a message about a change that is not durable must not be sent.
            return Ready::Lost;
        }
        match next {
            // The queue was cut while this waited for durability.
            _ if self.queue.is_cut() => Ready::Lost,
            Next::Close((_, code, reason)) => Ready::Close(code, reason),
            Next::Message(_) | Next::Nothing => Ready::Messages,
        }
    }

    /// Returns the queued frames that can be sent.
    pub(crate) fn frames(&mut self) -> Frames<'_> {
        let Self { queue, keeper } = self;
        let keeper = keeper.as_deref();
        queue.frames(|item| keeper.is_none_or(|keeper| keeper.is_durable(item.mark)))
    }

    /// Waits for the next item. Returns `None` if the connection must end.
    pub(crate) async fn recv(&mut self) -> Option<Out> {
        match self.ready().await {
            Ready::Messages => self.take(),
            Ready::Close(..) => Some(Out::Close),
            Ready::Lost => None,
        }
    }

    /// Returns whether an item is queued, a close included.
    pub(crate) fn has_any(&self) -> bool {
        self.queue.has_any()
    }

    /// Returns the next item that is already queued, or `None`. Waits until it can be sent.
    pub(crate) async fn rest(&mut self) -> Option<Out> {
        if self.has_any() { self.recv().await } else { None }
    }

    /// Removes and returns the first message. The caller has checked that it can be sent.
    pub(crate) fn take(&mut self) -> Option<Out> {
        let number = self.queue.first()?.number;
        self.queue.take().map(|text| Out::Text(text.into_owned().into(), number))
    }

    /// Returns the amount of queued messages.
    pub(crate) fn waiting(&self) -> Waiting {
        let (messages, bytes) = self.queue.size();
        Waiting { messages, bytes }
    }
}

/// The amount of messages that are queued for a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waiting {
    messages: usize,
    bytes: usize,
}

impl Waiting {
    /// Returns whether the connection must not be read for now.
    pub(crate) const fn over_high_water(self) -> bool {
        self.messages >= HIGH_WATER.0 || self.bytes >= HIGH_WATER.1
    }

    /// Returns the maximum of this amount and what was queued since. The earlier messages may already be taken.
    pub(crate) fn and(self, link: &Link) -> Self {
        let (messages, bytes) = link.sender.size();
        Self { messages: self.messages.max(messages), bytes: self.bytes.max(bytes) }
    }
}

/// The sending end of one connection.
#[derive(Debug, Clone)]
pub(crate) struct Link(Arc<SendingEnd>);

#[derive(Debug)]
pub(crate) struct SendingEnd {
    /// UUID of the connection; `sender.conn_id` of relayed messages.
    pub(crate) conn_id: Arc<str>,
    pub(crate) kind: LinkKind,
    sender: Sender,
    journal: Arc<Journal>,
    keeper: Option<Arc<StateWriter>>,
}

/// The path of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LinkKind {
    /// Through the relay.
    Relay,
    /// To the local port of the hub.
    Local,
    /// From the hub to the relay of another cloud.
    Controller,
}

impl std::ops::Deref for Link {
    type Target = SendingEnd;

    fn deref(&self) -> &SendingEnd {
        &self.0
    }
}

impl Link {
    pub(crate) fn new(
        journal: &Arc<Journal>,
        keeper: Option<&Arc<StateWriter>>,
        conn_id: String,
        kind: LinkKind,
    ) -> (Self, Outbox) {
        let (sender, queue) = queue(OUTBOX_CAPACITY);
        let outbox = Outbox { queue, keeper: keeper.cloned() };
        let (conn_id, journal, keeper) = (conn_id.into(), Arc::clone(journal), keeper.cloned());
        (Self(Arc::new(SendingEnd { conn_id, kind, sender, journal, keeper })), outbox)
    }

    /// Sends messages that are longer than this number of bytes as several frames from now on; 0 for no limit.
    pub(crate) fn limit_frames(&self, bytes: usize) {
        self.sender.limit_frames(bytes);
    }

    /// Queues a message. Returns false if the connection is closed or too slow.
    pub(crate) fn send(&self, text: &str) -> bool {
        let number = self.journal.message(EntryKind::MessageOut, &self.conn_id, text);
        self.sender.send(text, self.mark(), number)
    }

    /// Returns the epoch that must be durable before a message that is queued now is sent.
    fn mark(&self) -> u64 {
        self.keeper.as_ref().map_or(0, |keeper| keeper.current_epoch())
    }

    /// Closes the connection after the queued messages are sent.
    pub(crate) fn close(&self, code: u16, reason: &'static str) {
        self.journal.named(EntryKind::Close, &self.conn_id, reason, Some(code), &serde_json::Value::Null);
        self.sender.close((self.mark(), code, reason));
    }

    /// Ends the connection and discards the queued messages, because their changes were not acknowledged.
    #[cfg(feature = "cluster")]
    pub(crate) fn cut(&self) {
        self.sender.cut();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::clock::Clock;

    fn link() -> (Link, Outbox) {
        Link::new(&Arc::new(Journal::new(Clock::frozen(0), true)), None, "c".into(), LinkKind::Relay)
    }

    #[tokio::test]
    async fn queued_messages_are_sent_after_the_link_is_dropped() {
        let (link, mut outbox) = link();
        assert!(link.send("a"));
        link.close(1001, "bye");
        assert!(!link.send("after"));
        drop(link);
        assert!(matches!(outbox.recv().await, Some(Out::Text(text, _)) if text.as_str() == "a"));
        assert!(matches!(outbox.recv().await, Some(Out::Close)));
    }

    #[tokio::test]
    async fn overflow_ends_the_connection() {
        let (link, mut outbox) = link();
        assert!((0..OUTBOX_CAPACITY.0).all(|_| link.send("a")) && !link.send("b"));
        assert!(
            outbox.recv().await.is_none() && outbox.frames().bytes.is_empty(),
            "frames after a lost message are not sent"
        );
    }

    #[tokio::test]
    async fn high_water_mark_counts_messages_and_bytes() {
        let (link, mut outbox) = link();
        assert!((1..HIGH_WATER.0).all(|_| link.send("a")) && !outbox.waiting().over_high_water());
        assert!(link.send("a") && outbox.waiting().over_high_water());
        outbox.frames().mark_sent();
        assert!(!outbox.waiting().over_high_water());
        assert!(link.send(&"a".repeat(HIGH_WATER.1)) && outbox.waiting().over_high_water());
        outbox.frames().mark_sent();
        assert!(!outbox.waiting().over_high_water(), "sent frames do not count");
    }
}
