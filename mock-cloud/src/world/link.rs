//! What a hub's messages go out through: one bounded queue for each connection that listens.

use std::sync::Arc;

use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::journal::{EntryKind, Journal};
use crate::state::Keeper;

mod queue;

use queue::{Receiver, Sender, queue};

/// Messages that wait for one connection. A connected reader drains them in microseconds; a thousand broadcasts behind it
/// has stopped reading, and is cut off rather than fed from memory.
const OUTBOX: usize = 1024;

/// Something for a connection to send.
#[derive(Debug, Clone)]
pub(crate) enum Out {
    /// A message, with its number in the journal.
    Text(Utf8Bytes, u64),
    /// Close code and reason.
    Close(u16, &'static str),
}

/// The receiving end, owned by the connection. It ends when the link was cut off for being slow.
#[derive(Debug)]
pub(crate) struct Outbox {
    queue: Receiver<(u64, Out)>,
    /// Taken from the queue, and not to be sent before what it tells is kept.
    held: Option<(u64, Out)>,
    keeper: Option<Arc<Keeper>>,
}

impl Outbox {
    /// The next thing to send; `None` when the connection is to end: it was too slow, and something for it is lost.
    pub(crate) async fn recv(&mut self) -> Option<Out> {
        let Self { queue, held, keeper } = self;
        next(queue, held, keeper.as_deref()).await
    }

    /// The next of what is queued already.
    pub(crate) async fn rest(&mut self) -> Option<Out> {
        if self.len() == 0 {
            return None;
        }
        self.recv().await
    }

    /// How much waits.
    pub(crate) fn len(&self) -> usize {
        self.queue.len() + usize::from(self.held.is_some())
    }

    /// What is there already and may go.
    pub(crate) fn try_recv(&mut self) -> Option<Out> {
        if self.held.is_none() {
            self.held = self.queue.now();
        }
        let keeper = self.keeper.as_deref();
        let kept = self.held.take_if(|(mark, _)| keeper.is_none_or(|keeper| keeper.has_reached(*mark)));
        // Looked at last: who is cut off before something counts as kept must not be told of it.
        kept.filter(|_| !self.queue.is_cut()).map(|(_, out)| out)
    }
}

/// The next of a queue, once what it tells is kept. What is taken out and has to wait stays in `held`, whatever becomes of
/// who waits.
async fn next(queue: &mut Receiver<(u64, Out)>, held: &mut Option<(u64, Out)>, keeper: Option<&Keeper>) -> Option<Out> {
    if held.is_none() {
        *held = Some(queue.next().await?);
    }
    if let (Some(keeper), Some((mark, _))) = (keeper, &held)
        && !keeper.reached(*mark).await
    {
        // Nothing is kept any more, so nothing more is said.
        return None;
    }
    // It was cut off while it waited.
    held.take().filter(|_| !queue.is_cut()).map(|(_, out)| out)
}

/// The sending end of one connection.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    /// The connection's uuid; `sender.conn_id` on relayed messages.
    pub(crate) conn_id: Arc<str>,
    pub(crate) kind: LinkKind,
    sender: Sender<(u64, Out)>,
    journal: Arc<Journal>,
    keeper: Option<Arc<Keeper>>,
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

impl Link {
    pub(crate) fn new(
        journal: &Arc<Journal>,
        keeper: Option<&Arc<Keeper>>,
        conn_id: String,
        kind: LinkKind,
    ) -> (Self, Outbox) {
        let (sender, queue) = queue(OUTBOX);
        let outbox = Outbox { queue, held: None, keeper: keeper.cloned() };
        (Self { conn_id: conn_id.into(), kind, sender, journal: Arc::clone(journal), keeper: keeper.cloned() }, outbox)
    }

    /// Queues a message; false when the connection is gone or too slow.
    pub(crate) fn send(&self, text: Utf8Bytes) -> bool {
        let number = self.journal.message(EntryKind::MessageOut, &self.conn_id, text.clone());
        self.queue(Out::Text(text, number))
    }

    fn queue(&self, out: Out) -> bool {
        let mark = self.keeper.as_ref().map_or(0, |keeper| keeper.mark());
        self.sender.send((mark, out))
    }

    /// Closes the connection once what is queued has gone out.
    pub(crate) fn close(&self, code: u16, reason: &'static str) {
        self.journal.named(EntryKind::Close, &self.conn_id, reason, Some(code), serde_json::Value::Null);
        // One that takes nothing any more is cut off.
        self.queue(Out::Close(code, reason));
    }

    /// Ends the connection without anything that waits to go out: it did not come true.
    #[cfg(feature = "cluster")]
    pub(crate) fn cut(&self) {
        self.sender.cut();
    }

    pub(crate) fn text(&self, text: String) -> bool {
        self.send(text.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    fn link() -> (Link, Outbox) {
        Link::new(&Arc::new(Journal::new(Clock::frozen(0), true)), None, "c".into(), LinkKind::Relay)
    }

    #[tokio::test]
    async fn what_is_queued_goes_out_also_when_nobody_is_left_to_queue() {
        let (link, mut outbox) = link();
        assert!(link.text("a".into()));
        link.close(1001, "bye");
        drop(link);
        assert!(matches!(outbox.recv().await, Some(Out::Text(text, _)) if text.as_str() == "a"));
        assert!(matches!(outbox.recv().await, Some(Out::Close(1001, _))));
        assert!(outbox.recv().await.is_none());
    }

    #[tokio::test]
    async fn what_does_not_fit_ends_the_connection() {
        let (link, mut outbox) = link();
        assert!((0..OUTBOX).all(|_| link.text("a".into())) && !link.text("b".into()));
        assert!(outbox.recv().await.is_none() && outbox.try_recv().is_none(), "there is a gap");
    }
}
