//! Events of a hub, and subscriptions to them.

use std::sync::Arc;

use ezlo_relay::{CloseReason, ReservedBytes};
use tokio::sync::broadcast;

use crate::model::{Change, MomentaryEvent};

/// An event of a hub, derived from its broadcasts and from the state of the connection.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum HubEvent {
    /// The model changed. It already contains the change.
    Changed(Arc<Change>),
    /// A momentary event, such as a button press or a lock operation.
    Momentary(Arc<MomentaryEvent>),
    /// The connection is lost and is being restored. The model keeps the last known state.
    Disconnected(Arc<CloseReason>),
    /// The model was read and is in sync. Sent after each complete read: the first one, after a reconnect, and after a gap.
    ///
    /// The differences were sent as [`HubEvent::Changed`] before this event.
    Resynced {
        /// The number of differences.
        changes: usize,
    },
    /// Broadcasts may be missing although the connection is up: the hub was offline at the relay, or this client was too slow.
    ///
    /// The model is read again. Momentary events during the gap are lost. [`HubEvent::Resynced`] follows.
    ResyncStarted,
    /// The model has reached its limits: 10,000 devices, 100,000 items, 10,000 rooms, 10,000 scenes, or 64 MiB of broadcasts that
    /// enlarged it since the last read. Broadcasts are dropped until it is read again. Sent once before that read.
    LimitReached,
    /// The given number of events was lost: this subscriber was too slow, or the queued values reached 64 MiB. The model is not
    /// affected.
    Lagged(u64),
    /// The session is closed. The last event.
    Closed(Arc<CloseReason>),
}

/// A subscription to the events of a hub, from the time of [`Hub::events`](crate::Hub::events). Earlier events are not
/// replayed.
///
/// Up to 4,096 events are queued for each subscriber; with more, the oldest are lost and [`HubEvent::Lagged`] reports it. A
/// subscription does not keep the session open.
///
/// ```no_run
/// use ezlo::prelude::*;
///
/// # async fn example(hub: &Hub) -> Result<(), Error> {
/// // Without this, the first read reports the whole house as changes.
/// hub.synced().await?;
/// let mut events = hub.events();
/// while let Some(event) = events.next().await {
///     match event {
///         HubEvent::Changed(change) => println!("{change:?}"),
///         HubEvent::Momentary(event) => println!("{event:?}"),
///         HubEvent::Disconnected(reason) => println!("disconnected: {reason}"),
///         HubEvent::Lagged(lost) => println!("{lost} events lost"),
///         _ => {}
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct HubEvents {
    pub(crate) receiver: broadcast::Receiver<QueuedEvent>,
    pub(crate) ended: bool,
}

impl HubEvents {
    /// Waits for the next event. Returns `None` after [`HubEvent::Closed`]. No network traffic.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no event is lost.
    pub async fn next(&mut self) -> Option<HubEvent> {
        if self.ended {
            return None;
        }
        match self.receiver.recv().await {
            Ok(QueuedEvent { event, .. }) => {
                self.ended = matches!(event, HubEvent::Closed(_));
                Some(event)
            }
            Err(broadcast::error::RecvError::Lagged(lost)) => Some(HubEvent::Lagged(lost)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

/// An event in the queue, with the bytes of its values.
#[derive(Debug, Clone)]
pub(crate) struct QueuedEvent {
    pub(crate) event: HubEvent,
    pub(crate) _bytes: Option<ReservedBytes>,
}
