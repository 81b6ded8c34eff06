//! Leases of hubs: the process in which each hub is active.

use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_nats::jetstream::kv;
use ezlo_protocol::serial::Serial;
use futures_util::StreamExt as _;

use crate::cluster::nats::shared_rows::{Outcome, key};
use crate::cluster::nats::{ANSWER_TIME, Home, Inner, Mine, Unreachable, number, unreachable};

/// Maximum number of attempts while other processes compete for a hub or its row.
const ATTEMPTS: usize = 10;
/// Counter value of a hub that is being taken over. It is greater than all others.
const COMING: u64 = u64::MAX;
/// Number of locks, and so of concurrent searches for the process of a hub.
pub(crate) const CLAIMS: usize = 64;

impl Inner {
    /// Returns the revision of the lease if the hub is active here, and no other process may have taken it over.
    pub(crate) fn lease(&self, serial: &Serial) -> Option<u64> {
        if !self.is_heard() {
            return None;
        }
        self.mine().get(serial).filter(|mine| mine.moment != COMING).map(|mine| mine.since)
    }

    pub(crate) async fn home(self: &Arc<Self>, serial: &Serial) -> Result<Home, Unreachable> {
        // If another process has taken the hub meanwhile, the row's revision check prevents an acknowledgement.
        if let Some(since) = self.lease(serial) {
            return Ok(Home::Here(since));
        }
        let (inner, serial) = (Arc::clone(self), serial.clone());
        self.to_the_end(async move { inner.claim(&serial).await }).await
    }

    pub(crate) async fn register_here(self: &Arc<Self>, serial: &Serial) -> Result<(), Unreachable> {
        let (inner, serial) = (Arc::clone(self), serial.clone());
        let comes = async move {
            let _claiming = inner.claiming(&serial).lock().await;
            if inner.lease(&serial).is_some() {
                return Ok(());
            }
            let since = inner.homes.put(serial.as_str(), inner.own_number()).await.map_err(unreachable)?;
            inner.move_in(&serial, since).await
        };
        self.to_the_end(comes).await
    }

    /// Runs an operation in a task of its own, so that it completes even if the caller is cancelled.
    async fn to_the_end<T: Send + 'static>(
        &self,
        claim: impl Future<Output = Result<T, Unreachable>> + Send + 'static,
    ) -> Result<T, Unreachable> {
        let claimed = tokio::time::timeout(2 * ANSWER_TIME, tokio::spawn(claim)).await;
        claimed.map_err(unreachable)?.map_err(unreachable)?
    }

    /// Returns the lock of the search for the process of a hub.
    fn claiming(&self, serial: &Serial) -> &tokio::sync::Mutex<()> {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(serial);
        &self.claims[usize::try_from(hash % CLAIMS as u64).unwrap_or_default()]
    }

    async fn claim(&self, serial: &Serial) -> Result<Home, Unreachable> {
        let _claiming = self.claiming(serial).lock().await;
        for _ in 0..ATTEMPTS {
            if let Some(since) = self.lease(serial) {
                return Ok(Home::Here(since));
            }
            let entry = self.homes.entry(serial.as_str()).await.map_err(unreachable)?;
            let before = match &entry {
                Some(entry) if entry.operation == kv::Operation::Put => number(&entry.value),
                _ => None,
            };
            let is_known = || self.world().is_some_and(|world| world.hub(serial).is_some());
            match before {
                // No process and no world file has a hub with this serial.
                None if entry.is_none() && !is_known() => return Ok(Home::Nowhere),
                Some(node) if node != self.node && self.lives(node) => return Ok(Home::There(node)),
                _ => {}
            }
            // A compare-and-swap: the process that replaces this revision owns the hub.
            let revision = entry.map_or(0, |entry| entry.revision);
            match self.homes.update(serial.as_str(), self.own_number(), revision).await {
                Ok(since) => {
                    self.move_in(serial, since).await?;
                    return Ok(Home::Here(since));
                }
                Err(error) if error.kind() == kv::UpdateErrorKind::WrongLastRevision => {}
                Err(error) => return Err(unreachable(error)),
            }
        }
        Err(Unreachable(format!("too many processes compete for hub {serial}")))
    }

    /// Takes over a hub with its acknowledged state. The row is rewritten without a change, so that writes of the previous
    /// process fail their revision check.
    async fn move_in(&self, serial: &Serial, since: u64) -> Result<(), Unreachable> {
        let world = self.world().ok_or_else(|| unreachable("the world has ended"))?;
        let name = key(serial);
        for _ in 0..ATTEMPTS {
            let (state, revision) = self.hub_row(serial).await?;
            // An unchanged hub has no row; its state is derived from the world file.
            let state = state.or_else(|| world.row_of(serial));
            let state = state.ok_or_else(|| Unreachable(format!("no hub has the serial {serial}")))?;
            match self.write_row(&name, &state, revision).await? {
                Outcome::Written(row) => {
                    // From here on, changes are attributed to this process.
                    self.mine().insert(serial.clone(), Mine { since, row, moment: COMING });
                    if let Err(error) = world.adopt_hub(serial, &state) {
                        self.mine().remove(serial);
                        return Err(Unreachable(error));
                    }
                    let moment = self.moments.fetch_add(1, Ordering::AcqRel) + 1;
                    match self.mine().get_mut(serial) {
                        Some(mine) => mine.moment = moment,
                        // Another process has taken it meanwhile.
                        None => return Err(Unreachable(format!("hub {serial} moved to another process meanwhile"))),
                    }
                    // Changes since the takeover are marked again, because rows that were read before it are not written.
                    world.mark_hub(serial);
                    return Ok(());
                }
                // The previous process has written the row once more.
                Outcome::Taken => {}
                Outcome::TooLong => return Err(Unreachable(format!("hub {serial} is too large for the server"))),
            }
        }
        Err(Unreachable(format!("another process keeps writing hub {serial}")))
    }

    /// Gives up a hub that another process took, or whose changes cannot be persisted.
    pub(crate) fn release(&self, serial: &Serial) {
        let was_here = self.mine().remove(serial).is_some();
        if let Some(world) = self.world() {
            if was_here {
                tracing::warn!(%serial, "lost the lease of a hub");
            }
            // Also for a hub that was not active here: changes without a lease must not be acknowledged.
            world.release_hub(serial);
        }
    }

    pub(crate) fn lose_all(&self) {
        let all: Vec<Serial> = self.mine().keys().cloned().collect();
        for serial in all {
            self.release(&serial);
        }
    }

    /// Gives up the hubs that other processes take.
    pub(crate) async fn watch_homes(self: Arc<Self>, mut homes: kv::Watch) {
        while let Some(entry) = homes.next().await {
            let Ok(entry) = entry else { continue };
            if let (Ok(serial), Some(node)) = (entry.key.parse::<Serial>(), number(&entry.value))
                && node != self.node
                // Entries that precede the lease of this process are outdated.
                && self.mine().get(&serial).is_some_and(|mine| entry.revision > mine.since)
            {
                self.release(&serial);
            }
        }
    }
}
