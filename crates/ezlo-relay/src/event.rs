//! Events of a session, and subscriptions to them.

use std::sync::Arc;

use ezlo_protocol::hub::broadcast::Event;
use tokio::sync::broadcast;

use crate::error::CloseReason;

/// Something that happened on a session. Events come in order and at most once; every gap is told.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum RelayEvent {
    /// A link came up. What the hub said before and after the last one, nobody knows: read again what you keep.
    Connected,
    /// The link is lost; another is being made.
    Disconnected(Arc<CloseReason>),
    /// The hub, or the relay for it, says something.
    Hub(Arc<Event>),
    /// A frame that cannot be read; its text, cut short and without anything that may be a token.
    BadFrame {
        /// What came.
        text: String,
    },
    /// An answer to a call that nobody waits for.
    UnsolicitedReply {
        /// The call's id.
        id: String,
    },
    /// This subscriber was too slow and lost that many events.
    Lagged(u64),
    /// The session is over.
    Closed(Arc<CloseReason>),
}

/// A subscription to what happens, from the moment it was made.
#[derive(Debug)]
pub struct RelayEvents {
    pub(crate) receiver: broadcast::Receiver<RelayEvent>,
    pub(crate) ended: bool,
}

impl RelayEvents {
    /// Waits for the next event; `None` after the session ended. Safe to cancel.
    pub async fn next(&mut self) -> Option<RelayEvent> {
        if self.ended {
            return None;
        }
        match self.receiver.recv().await {
            Ok(event) => {
                self.ended = matches!(event, RelayEvent::Closed(_));
                Some(event)
            }
            Err(broadcast::error::RecvError::Lagged(lost)) => Some(RelayEvent::Lagged(lost)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }

    /// An event that is there already.
    pub fn try_next(&mut self) -> Option<RelayEvent> {
        if self.ended {
            return None;
        }
        match self.receiver.try_recv() {
            Ok(event) => {
                self.ended = matches!(event, RelayEvent::Closed(_));
                Some(event)
            }
            Err(broadcast::error::TryRecvError::Lagged(lost)) => Some(RelayEvent::Lagged(lost)),
            Err(broadcast::error::TryRecvError::Empty | broadcast::error::TryRecvError::Closed) => None,
        }
    }
}
