//! The cluster-wide lock of account changes.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use async_nats::jetstream::kv;
use tokio::runtime::Handle;
use tokio::sync::OwnedMutexGuard;

use crate::cluster::nats::{ANSWER_TIME, AccountLock, BEAT, Inner, Unreachable, number, unreachable};

/// The entry with the number of the process that holds the lock.
const TURN: &str = "_turn";
/// Interval at which a process checks whether another process has released the lock.
const PAUSE: Duration = Duration::from_millis(2);
/// Number of unused account numbers below which a process reserves a new block.
const FEW_NUMBERS: u64 = 8;

impl Inner {
    /// Acquires the lock. The lock of a lost process is taken over.
    pub(crate) async fn lock_accounts(inner: Arc<Self>, runtime: Handle) -> Result<AccountLock, Unreachable> {
        let until = Instant::now() + ANSWER_TIME;
        let among_own = tokio::time::timeout(ANSWER_TIME, Arc::clone(&inner.turns).lock_owned()).await;
        let among_own = among_own.map_err(unreachable)?;
        // Created first, so that every early return releases the lock.
        let doubt = Arc::new(OnceLock::new());
        let turn = AccountLock::new({
            let (inner, doubt) = (Arc::clone(&inner), Arc::clone(&doubt));
            move || drop(runtime.spawn(inner.end_turn(doubt.get().copied(), among_own)))
        });
        loop {
            let entry = inner.homes.entry(TURN).await.map_err(unreachable)?;
            let whose = entry.as_ref().filter(|entry| entry.operation == kv::Operation::Put);
            let whose = whose.and_then(|entry| number(&entry.value));
            if whose.is_none_or(|node| node == inner.node || !inner.lives(node)) {
                let revision = entry.map_or(0, |entry| entry.revision);
                match inner.homes.update(TURN, inner.own_number(), revision).await {
                    Ok(_) => break,
                    Err(error) if error.kind() == kv::UpdateErrorKind::WrongLastRevision => {}
                    Err(error) => {
                        // The update can still be applied, so the release resolves it.
                        let _ = doubt.set(revision);
                        return Err(unreachable(error));
                    }
                }
            }
            if Instant::now() > until {
                return Err(Unreachable("another process did not release the account lock in time".into()));
            }
            tokio::time::sleep(PAUSE).await;
        }
        inner.get_numbers().await?;
        Ok(turn)
    }

    /// Reserves a block of account numbers that no other process uses, if few are left.
    async fn get_numbers(&self) -> Result<(), Unreachable> {
        let Some(world) = self.world() else { return Ok(()) };
        if world.accounts().numbers_left() < FEW_NUMBERS {
            let block = self.nodes.put("last", self.own_number()).await.map_err(unreachable)?;
            world.accounts().number_from(block);
        }
        Ok(())
    }

    /// Releases the lock after all changes are durable, and repeats that until it succeeds, because all processes wait for the
    /// lock. A lock that another process took over is left alone.
    async fn end_turn(self: Arc<Self>, doubt: Option<u64>, _among_own: OwnedMutexGuard<()>) {
        if let Some(keeper) = self.world().and_then(|world| world.keeper.clone()) {
            keeper.wait_durable(keeper.current_epoch()).await;
        }
        let mut doubt = doubt;
        while self.world().is_some() {
            match self.try_to_end_turn(&mut doubt).await {
                Ok(()) => return,
                Err(error) => {
                    tracing::warn!(%error, "cannot release the account lock yet");
                    tokio::time::sleep(BEAT).await;
                }
            }
        }
    }

    /// Releases the lock once. An acquisition with an unknown outcome is resolved first by an update of the same revision.
    async fn try_to_end_turn(&self, doubt: &mut Option<u64>) -> Result<(), Unreachable> {
        if let Some(revision) = *doubt {
            match self.homes.update(TURN, self.own_number(), revision).await {
                Ok(_) => {}
                Err(error) if error.kind() == kv::UpdateErrorKind::WrongLastRevision => {}
                Err(error) => return Err(unreachable(error)),
            }
            *doubt = None;
        }
        let entry = self.homes.entry(TURN).await.map_err(unreachable)?;
        let own = entry.filter(|entry| number(&entry.value) == Some(self.node));
        match own {
            Some(own) if own.operation == kv::Operation::Put => {
                self.homes.delete_expect_revision(TURN, Some(own.revision)).await.map_err(unreachable)
            }
            _ => Ok(()),
        }
    }
}
