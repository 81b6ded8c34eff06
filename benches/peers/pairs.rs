//! The queues of a relay: one hub and its clients for each number.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;

/// Capacity of the queue of one connection, in messages.
const QUEUE: usize = 1024;

/// The queues of hubs and clients, by the number of the pair.
pub(super) struct Pairs<T>(Arc<Mutex<Queues<T>>>);

type Queues<T> = HashMap<String, (Option<mpsc::Sender<T>>, Vec<mpsc::Sender<T>>)>;

impl<T> Default for Pairs<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T> Clone for Pairs<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// One end of a pair.
pub(super) struct End {
    is_hub: bool,
    number: String,
}

impl<T: Clone> Pairs<T> {
    /// Registers a connection by its path, `/hub/N` or `/app/N`. Returns its end and the queue of messages to it.
    pub(super) fn register(&self, path: &str) -> (End, mpsc::Receiver<T>) {
        let (queue, outbox) = mpsc::channel(QUEUE);
        let (is_hub, number) = match path.strip_prefix("/hub/") {
            Some(number) => (true, number.to_owned()),
            None => (false, path.trim_start_matches("/app/").to_owned()),
        };
        let mut queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (hub, apps) = queues.entry(number.clone()).or_default();
        if is_hub {
            *hub = Some(queue);
        } else {
            apps.push(queue);
        }
        (End { is_hub, number }, outbox)
    }

    /// Forwards a message to the other end.
    pub(super) fn forward(&self, from: &End, message: &T) {
        let queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((hub, apps)) = queues.get(&from.number) else { return };
        let to = if from.is_hub { apps.as_slice() } else { hub.as_slice() };
        for queue in to {
            let _ = queue.try_send(message.clone());
        }
    }
}
