//! Where hubs live.

use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_nats::jetstream::kv;
use ezlo_protocol::serial::Serial;
use futures_util::StreamExt as _;

use crate::cluster::nats::shared_rows::{Outcome, key};
use crate::cluster::nats::{ANSWER_TIME, Home, Inner, Mine, Unreachable, number, unreachable};

/// How often it is tried to find out where a hub lives, while others try too.
const ATTEMPTS: usize = 10;
/// The moment of a hub that is being taken over: later than all.
const COMING: u64 = u64::MAX;
/// Hubs whose homes are found out at once.
pub(crate) const CLAIMS: usize = 64;

impl Inner {
    /// When that hub came here, if it lives here.
    pub(crate) fn lease(&self, serial: &Serial) -> Option<u64> {
        self.mine().get(serial).filter(|mine| mine.moment != COMING).map(|mine| mine.since)
    }

    pub(crate) async fn home(self: &Arc<Self>, serial: &Serial) -> Result<Home, Unreachable> {
        // Should it be another's by now, nothing that is done to it here is acknowledged.
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

    /// In a task of its own: whoever asks may go, and what is begun is ended.
    async fn to_the_end<T: Send + 'static>(
        &self,
        claim: impl Future<Output = Result<T, Unreachable>> + Send + 'static,
    ) -> Result<T, Unreachable> {
        let claimed = tokio::time::timeout(2 * ANSWER_TIME, tokio::spawn(claim)).await;
        claimed.map_err(unreachable)?.map_err(unreachable)?
    }

    /// Held while it is found out where a hub lives.
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
                // Nobody knows a hub of that serial.
                None if entry.is_none() && !is_known() => return Ok(Home::Nowhere),
                Some(node) if node != self.node && self.lives(node) => return Ok(Home::There(node)),
                _ => {}
            }
            // Whoever writes in place of this revision has it.
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
        Err(Unreachable(format!("too many want hub {serial}")))
    }

    /// Goes on with a hub as it was when it last told anybody anything. Its row is written once more as it is: from now on no
    /// other process can write it.
    async fn move_in(&self, serial: &Serial, since: u64) -> Result<(), Unreachable> {
        let world = self.world().ok_or_else(|| unreachable("the world has ended"))?;
        let name = key(serial);
        for _ in 0..ATTEMPTS {
            let (state, revision) = self.hub_row(serial).await?;
            // One that nobody has changed yet has none.
            let state = state.or_else(|| world.row_of(serial));
            let state = state.ok_or_else(|| Unreachable(format!("there is no hub {serial}")))?;
            match self.write_row(&name, &state, revision).await? {
                Outcome::Written(row) => {
                    // What happens to it from here on is not taken for what happens to a hub of another process.
                    self.mine().insert(serial.clone(), Mine { since, row, moment: COMING });
                    if let Err(error) = world.adopt_hub(serial, &state) {
                        self.mine().remove(serial);
                        return Err(Unreachable(error));
                    }
                    let moment = self.moments.fetch_add(1, Ordering::AcqRel) + 1;
                    match self.mine().get_mut(serial) {
                        Some(mine) => mine.moment = moment,
                        // Another has taken it meanwhile.
                        None => return Err(Unreachable(format!("hub {serial} lives elsewhere already"))),
                    }
                    // What happened since it was taken over is written, whoever read it before it lived here.
                    world.mark_hub(serial);
                    return Ok(());
                }
                // The one before has written once more.
                Outcome::Taken => {}
                Outcome::TooLong => return Err(Unreachable(format!("hub {serial} is too large for the server"))),
            }
        }
        Err(Unreachable(format!("hub {serial} is busy elsewhere")))
    }

    /// A hub lives elsewhere from now on, or what it did here cannot be kept.
    pub(crate) fn lose(&self, serial: &Serial) {
        let was_here = self.mine().remove(serial).is_some();
        if let Some(world) = self.world() {
            if was_here {
                tracing::warn!(%serial, "a hub lives here no more");
            }
            // Also one that was not here: nobody is told what was done to it.
            world.lose(serial);
        }
    }

    pub(crate) fn lose_all(&self) {
        let all: Vec<Serial> = self.mine().keys().cloned().collect();
        for serial in all {
            self.lose(&serial);
        }
    }

    /// Lets hubs go that others have taken.
    pub(crate) async fn watch_homes(self: Arc<Self>, mut homes: kv::Watch) {
        while let Some(entry) = homes.next().await {
            let Ok(entry) = entry else { continue };
            if let (Ok(serial), Some(node)) = (entry.key.parse::<Serial>(), number(&entry.value))
                && node != self.node
                // Not by what was so before it came here.
                && self.mine().get(&serial).is_some_and(|mine| entry.revision > mine.since)
            {
                self.lose(&serial);
            }
        }
    }
}
