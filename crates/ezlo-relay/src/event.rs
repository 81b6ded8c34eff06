//! Events of a session, and subscriptions to them.

use std::sync::Arc;

use ezlo_protocol::hub::broadcast::Event;
use tokio::sync::broadcast;

use crate::byte_budget::ReservedBytes;
use crate::error::CloseReason;

/// An event of a session.
///
/// Events are delivered in order and at most once. Gaps are reported: [`Lagged`](Self::Lagged) for a slow subscriber,
/// [`Disconnected`](Self::Disconnected) for a lost connection.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum RelayEvent {
    /// A connection is live. Broadcasts may have been missed before it: reload cached state.
    Connected,
    /// The connection was lost. The session reconnects.
    Disconnected(Arc<CloseReason>),
    /// A broadcast of the hub, or of the relay about the hub.
    Hub(Arc<Event>),
    /// A frame could not be decoded. The connection stays open.
    BadFrame {
        /// At most 200 characters of the frame; possible tokens are replaced by `***`. Empty for a binary frame.
        text: String,
    },
    /// A reply arrived for which no call is pending, for example after the deadline.
    UnsolicitedReply {
        /// The id of the reply; possible tokens are replaced by `***`.
        id: String,
    },
    /// The given number of events was lost: this subscriber was too slow, or the buffered events reached
    /// [`SessionConfig::event_bytes`](crate::SessionConfig::event_bytes).
    Lagged(u64),
    /// The session has ended. This is the last event.
    Closed(Arc<CloseReason>),
}

/// An event in the buffer of a session, with the bytes that it holds.
#[derive(Debug, Clone)]
pub(crate) struct BufferedEvent {
    pub(crate) event: RelayEvent,
    /// `None` for events of bounded size.
    pub(crate) _bytes: Option<ReservedBytes>,
}

/// A subscription to the events of a session, from [`RelaySession::events`](crate::RelaySession::events).
///
/// It receives the events that are published after the subscription. It does not keep the session open.
///
/// # Examples
///
/// ```no_run
/// use ezlo_relay::{RelayEvent, RelaySession};
///
/// async fn print_events(session: &RelaySession) {
///     let mut events = session.events();
///     while let Some(event) = events.next().await {
///         match event {
///             RelayEvent::Connected => println!("connected: reload cached state"),
///             RelayEvent::Disconnected(reason) => println!("disconnected: {reason}"),
///             RelayEvent::Hub(broadcast) => println!("{}: {}", broadcast.name(), broadcast.content()),
///             RelayEvent::Lagged(lost) => println!("{lost} events lost: reload cached state"),
///             RelayEvent::Closed(reason) => println!("closed: {reason}"),
///             _ => {}
///         }
///     }
/// }
/// ```
#[derive(Debug)]
pub struct RelayEvents {
    pub(crate) receiver: broadcast::Receiver<BufferedEvent>,
    pub(crate) ended: bool,
}

impl RelayEvents {
    /// Waits for the next event. Returns `None` after [`RelayEvent::Closed`], or if the session ended before the subscription.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a dropped future loses no event.
    pub async fn next(&mut self) -> Option<RelayEvent> {
        if self.ended {
            return None;
        }
        match self.receiver.recv().await {
            Ok(BufferedEvent { event, .. }) => {
                self.ended = matches!(event, RelayEvent::Closed(_));
                Some(event)
            }
            Err(broadcast::error::RecvError::Lagged(lost)) => Some(RelayEvent::Lagged(lost)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }

    /// Returns the next event if one is buffered, without waiting.
    ///
    /// `None` means that no event is buffered or that the session has ended.
    pub fn try_next(&mut self) -> Option<RelayEvent> {
        if self.ended {
            return None;
        }
        match self.receiver.try_recv() {
            Ok(BufferedEvent { event, .. }) => {
                self.ended = matches!(event, RelayEvent::Closed(_));
                Some(event)
            }
            Err(broadcast::error::TryRecvError::Lagged(lost)) => Some(RelayEvent::Lagged(lost)),
            Err(broadcast::error::TryRecvError::Empty | broadcast::error::TryRecvError::Closed) => None,
        }
    }
}
