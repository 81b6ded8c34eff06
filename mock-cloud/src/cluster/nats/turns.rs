//! Whose turn it is to change accounts.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::jetstream::kv;
use tokio::runtime::Handle;

use super::{ANSWER_TIME, Inner, Turn, Unreachable, number, unreachable};

/// The entry that says whose turn it is.
const TURN: &str = "_turn";
/// How long to wait before it is looked again whether another one's turn is over.
const PAUSE: Duration = Duration::from_millis(2);

impl Inner {
    /// Waits for this process's turn. One that is gone has none any more.
    pub(super) async fn turn(inner: Arc<Self>, runtime: Handle) -> Result<Turn, Unreachable> {
        let until = Instant::now() + ANSWER_TIME;
        let among_own = tokio::time::timeout(ANSWER_TIME, Arc::clone(&inner.turns).lock_owned()).await;
        let among_own = among_own.map_err(unreachable)?;
        loop {
            let entry = inner.homes.entry(TURN).await.map_err(unreachable)?;
            let whose = entry.as_ref().filter(|entry| entry.operation == kv::Operation::Put);
            let whose = whose.and_then(|entry| number(&entry.value));
            if whose.is_none_or(|node| node == inner.node || !inner.lives(node)) {
                let revision = entry.map_or(0, |entry| entry.revision);
                match inner.homes.update(TURN, inner.own_number(), revision).await {
                    Ok(_) => break,
                    Err(error) if error.kind() == kv::UpdateErrorKind::WrongLastRevision => {}
                    Err(error) => return Err(unreachable(error)),
                }
            }
            if Instant::now() > until {
                return Err(Unreachable("another process changes accounts all the time".into()));
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(Turn::new(move || {
            runtime.spawn(async move {
                if let Err(error) = inner.homes.delete(TURN).await {
                    tracing::warn!(%error, "the others do not hear that this process's turn is over");
                }
                drop(among_own);
            });
        }))
    }
}
