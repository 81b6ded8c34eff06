//! What a hub's messages go out through: one bounded queue for each connection that listens.

use crate::world::outbox::frame_queue::Frames;
use std::sync::Arc;

use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::journal::{EntryKind, Journal};
use crate::persistence::writer::StateWriter;

use crate::world::outbox::frame_queue::{Next, Receiver, Sender, queue};

pub(crate) mod frame_queue;

/// Messages and bytes that wait for one connection; as many more may be on their way out. Who is a thousand broadcasts behind
/// has stopped reading, and is cut off rather than fed from memory.
const OUTBOX_CAPACITY: (usize, usize) = (1024, 16 * 1024 * 1024);
/// Messages and bytes that wait from which on nothing more is heard of a connection: far less than what it is cut off for.
const HIGH_WATER: (usize, usize) = (128, 1024 * 1024);

/// Something for a connection to send.
#[derive(Debug, Clone)]
pub(crate) enum Out {
    /// A message, with its number in the journal.
    Text(Utf8Bytes, u64),
    /// The connection's end.
    Close,
}

/// What a connection has to do next.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ready {
    /// There are messages that may go.
    Messages,
    /// It is to close, with code and reason.
    Close(u16, &'static str),
    /// It is to end: something for it is lost, because it was too slow or because it could not be kept.
    Lost,
}

/// The receiving end, owned by the connection. It ends when the link was cut off for being slow.
#[derive(Debug)]
pub(crate) struct Outbox {
    queue: Receiver,
    keeper: Option<Arc<StateWriter>>,
}

impl Outbox {
    /// Waits for something that may go, once what it tells is kept, and leaves it there.
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
            // Nothing is kept any more, so nothing more is said.
            return Ready::Lost;
        }
        match next {
            // It was cut off while it waited.
            _ if self.queue.is_cut() => Ready::Lost,
            Next::Close((_, code, reason)) => Ready::Close(code, reason),
            Next::Message(_) | Next::Nothing => Ready::Messages,
        }
    }

    /// Everything that is there and may go.
    pub(crate) fn frames(&mut self) -> Frames<'_> {
        let Self { queue, keeper } = self;
        let keeper = keeper.as_deref();
        queue.frames(|item| keeper.is_none_or(|keeper| keeper.is_durable(item.mark)))
    }

    /// The next thing to send; `None` when the connection is to end.
    pub(crate) async fn recv(&mut self) -> Option<Out> {
        match self.ready().await {
            Ready::Messages => self.take(),
            Ready::Close(..) => Some(Out::Close),
            Ready::Lost => None,
        }
    }

    /// Whether anything is queued already.
    pub(crate) fn has_any(&self) -> bool {
        self.queue.has_any()
    }

    /// The next of what is queued already.
    pub(crate) async fn rest(&mut self) -> Option<Out> {
        if self.has_any() { self.recv().await } else { None }
    }

    /// The first message, which may go.
    pub(crate) fn take(&mut self) -> Option<Out> {
        let number = self.queue.first()?.number;
        self.queue.take().map(|text| Out::Text(text.into(), number))
    }

    /// How much waits.
    pub(crate) fn waiting(&self) -> Waiting {
        let (messages, bytes) = self.queue.size();
        Waiting { messages, bytes }
    }
}

/// How much waits for a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waiting {
    messages: usize,
    bytes: usize,
}

impl Waiting {
    /// Whether it is so much that nothing more is to be heard for now.
    pub(crate) const fn over_high_water(self) -> bool {
        self.messages >= HIGH_WATER.0 || self.bytes >= HIGH_WATER.1
    }

    /// With what was queued since: what waited then may have been taken already.
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
    /// The connection's uuid; `sender.conn_id` on relayed messages.
    pub(crate) conn_id: Box<str>,
    pub(crate) kind: LinkKind,
    sender: Sender,
    journal: Arc<Journal>,
    keeper: Option<Arc<StateWriter>>,
}

/// Which way a connection came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LinkKind {
    /// Through the relay.
    Relay,
    /// On the hub's local port.
    Local,
    /// The hub's own connection to a relay elsewhere.
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

    /// Queues a message; false when the connection is gone or too slow.
    pub(crate) fn send(&self, text: &str) -> bool {
        let number = self.journal.message(EntryKind::MessageOut, &self.conn_id, text);
        self.sender.send(text, self.mark(), number)
    }

    /// What has to be kept before anything goes out that is queued now.
    fn mark(&self) -> u64 {
        self.keeper.as_ref().map_or(0, |keeper| keeper.current_epoch())
    }

    /// Closes the connection once what is queued has gone out.
    pub(crate) fn close(&self, code: u16, reason: &'static str) {
        self.journal.named(EntryKind::Close, &self.conn_id, reason, Some(code), &serde_json::Value::Null);
        self.sender.close((self.mark(), code, reason));
    }

    /// Ends the connection without anything that waits to go out: it did not come true.
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
    async fn what_is_queued_goes_out_also_when_nobody_is_left_to_queue() {
        let (link, mut outbox) = link();
        assert!(link.send("a"));
        link.close(1001, "bye");
        assert!(!link.send("after"));
        drop(link);
        assert!(matches!(outbox.recv().await, Some(Out::Text(text, _)) if text.as_str() == "a"));
        assert!(matches!(outbox.recv().await, Some(Out::Close)));
    }

    #[tokio::test]
    async fn what_does_not_fit_ends_the_connection() {
        let (link, mut outbox) = link();
        assert!((0..OUTBOX_CAPACITY.0).all(|_| link.send("a")) && !link.send("b"));
        assert!(outbox.recv().await.is_none() && outbox.frames().bytes.is_empty(), "there is a gap");
    }

    #[tokio::test]
    async fn many_messages_and_long_ones_are_much() {
        let (link, mut outbox) = link();
        assert!((1..HIGH_WATER.0).all(|_| link.send("a")) && !outbox.waiting().over_high_water());
        assert!(link.send("a") && outbox.waiting().over_high_water());
        outbox.frames().are_out();
        assert!(!outbox.waiting().over_high_water());
        assert!(link.send(&"a".repeat(HIGH_WATER.1)) && outbox.waiting().over_high_water());
        outbox.frames().are_out();
        assert!(!outbox.waiting().over_high_water(), "it has gone out");
    }
}
