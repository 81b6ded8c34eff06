//! Rows of the state that all processes share.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use async_nats::jetstream::kv;
use bytes::Bytes;
use ezlo_protocol::serial::Serial;
use futures_util::StreamExt as _;
use futures_util::future::try_join_all;
use tokio::runtime::Handle;

use crate::cluster::nats::{
    ANSWER_TIME, BEAT, Inner, LONGEST, Mine, Unreachable, decoded, encoded, packed, unpacked, unreachable,
};
use crate::persistence::StateError;
use crate::persistence::rows::Row;
use crate::persistence::writer::Store;

/// Rows that belong to one process: what it counts, its time and its chance.
const OWN: &[&str] = &["clock", "chance", "counters"];
/// Rows that one process at a time changes, when it is its turn.
const IN_TURN: &[&str] = &["users/", "accounts/", "owners/"];
/// How long it is tried again to write what a server did not confirm. It may have been restarted.
const WRITE_TIME: Duration = Duration::from_secs(30);

/// Name of a row in the bucket.
pub(crate) fn name(key: &str) -> String {
    encoded(key)
}

/// Name of a hub's row.
pub(crate) fn key(serial: &Serial) -> String {
    name(&format!("hubs/{serial}"))
}

/// What became of a row that was to take the place of a revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It has this revision.
    Written(u64),
    /// Another one was written meanwhile.
    Taken,
    /// The server takes no message as long as that.
    TooLong,
}

/// Writes rows for all processes to see.
pub(crate) struct SharedRows {
    pub(crate) inner: Arc<Inner>,
    pub(crate) runtime: Handle,
}

impl Store for SharedRows {
    fn moment(&self) -> u64 {
        self.inner.moments.load(Ordering::Acquire)
    }

    fn write(&self, rows: &[Row], moment: u64) -> Result<(), StateError> {
        let written = try_join_all(rows.iter().map(|row| self.inner.write(row, moment)));
        self.runtime.block_on(written).map(drop).map_err(|error| StateError::Cluster { reason: error.to_string() })
    }

    /// Puts a whole state back: rows that are not in it stay with the others, which have seen them.
    fn replace(&self, rows: &[Row], moment: u64) -> Result<(), StateError> {
        self.write(rows, moment)
    }
}

impl Inner {
    /// What this process writes.
    fn signed(&self, value: &[u8]) -> Bytes {
        packed(self.node, value)
    }

    async fn write(&self, row: &Row, moment: u64) -> Result<(), Unreachable> {
        if let Some(serial) = row.key.strip_prefix("hubs/") {
            let (Ok(serial), Some(value)) = (serial.parse(), &row.value) else { return Ok(()) };
            return self.write_hub(&serial, value, moment).await;
        }
        if OWN.contains(&row.key.as_str()) {
            return Ok(());
        }
        match &row.value {
            Some(value) if IN_TURN.iter().any(|kind| row.key.starts_with(kind)) => {
                self.write_in_turn(&row.key, value).await
            }
            Some(value) => self.put(&name(&row.key), value).await.map(drop),
            None => again(async || self.rows.delete(name(&row.key)).await).await,
        }
    }

    /// Writes a row whatever is there.
    pub(crate) async fn put(&self, name: &str, value: &[u8]) -> Result<u64, Unreachable> {
        let value = self.signed(value);
        again(async || self.rows.put(name, value.clone()).await).await
    }

    /// Writes what no other process changes meanwhile. One that does took this one for dead: it must not go on.
    async fn write_in_turn(&self, key: &str, value: &[u8]) -> Result<(), Unreachable> {
        let before = self.revisions().get(key).copied().unwrap_or_default();
        match self.write_row(&name(key), value, before).await? {
            Outcome::Written(revision) => {
                self.has_seen(key, revision);
                Ok(())
            }
            Outcome::Taken => Err(Unreachable("another process changed the same account meanwhile".into())),
            Outcome::TooLong => Err(Unreachable("an account is too large for the server".into())),
        }
    }

    /// Remembers the revision of a row that is changed in turn.
    fn has_seen(&self, key: &str, revision: u64) {
        if IN_TURN.iter().any(|kind| key.starts_with(kind)) {
            let mut revisions = self.revisions();
            let known = revisions.entry(key.to_owned()).or_default();
            *known = revision.max(*known);
        }
    }

    /// Writes a hub that lives here. When it does not, or cannot be kept, what was done here is lost, and nobody is told that
    /// it was done.
    async fn write_hub(&self, serial: &Serial, value: &[u8], moment: u64) -> Result<(), Unreachable> {
        let Some(Mine { row: before, moment: came, .. }) = self.mine().get(serial).copied() else {
            self.lose(serial);
            return Ok(());
        };
        if came > moment {
            // It was read before the hub came here, which has noted it again.
            return Ok(());
        }
        let outcome = self.write_row(&key(serial), value, before).await?;
        let is_same = |mine: &Mine| mine.moment == came;
        match outcome {
            Outcome::Written(revision) => {
                if let Some(mine) = self.mine().get_mut(serial).filter(|mine| is_same(mine)) {
                    mine.row = revision;
                }
            }
            // It went and came again meanwhile: what was done before is lost already.
            _ if !self.mine().get(serial).is_some_and(is_same) => {}
            Outcome::Taken => self.lose(serial),
            Outcome::TooLong => {
                tracing::error!(%serial, "a hub is too large for the server; it goes on as it was before");
                self.lose(serial);
            }
        }
        Ok(())
    }

    /// Writes a row in place of that revision. What is not confirmed is tried again, and may have been written before.
    pub(crate) async fn write_row(&self, name: &str, value: &[u8], before: u64) -> Result<Outcome, Unreachable> {
        if value.len() > LONGEST {
            return Ok(Outcome::TooLong);
        }
        let value = self.signed(value);
        if value.len() > self.client.max_payload() {
            return Ok(Outcome::TooLong);
        }
        let (until, mut is_doubtful) = (Instant::now() + WRITE_TIME, false);
        loop {
            match self.rows.update(name, value.clone(), before).await {
                Ok(revision) => return Ok(Outcome::Written(revision)),
                Err(error) if error.kind() == kv::UpdateErrorKind::WrongLastRevision => {
                    let there = if is_doubtful { self.rows.entry(name).await.map_err(unreachable)? } else { None };
                    let own = there.filter(|there| there.value == value).map(|own| Outcome::Written(own.revision));
                    return Ok(own.unwrap_or(Outcome::Taken));
                }
                Err(error) if Instant::now() > until => return Err(unreachable(error)),
                Err(error) => {
                    tracing::warn!(%error, "a row is written again");
                    is_doubtful = true;
                    tokio::time::sleep(BEAT).await;
                }
            }
        }
    }

    /// A hub's row as it is, and its revision; 0 when there is none.
    pub(crate) async fn hub_row(&self, serial: &Serial) -> Result<(Option<Vec<u8>>, u64), Unreachable> {
        let entry = self.rows.entry(key(serial)).await.map_err(unreachable)?;
        match entry {
            None => Ok((None, 0)),
            Some(entry) if entry.operation != kv::Operation::Put => Ok((None, entry.revision)),
            // One that cannot be read is nothing to begin anew over.
            Some(entry) => match unpacked(&entry.value) {
                Some((_, value)) => Ok((Some(value), entry.revision)),
                None => Err(Unreachable(format!("the row of hub {serial} is not understood"))),
            },
        }
    }

    pub(crate) async fn all_rows(&self) -> Result<(Vec<Row>, kv::Watch), Unreachable> {
        let mut news = self.rows.watch_with_history(">").await.map_err(unreachable)?;
        let mut rows = Vec::new();
        loop {
            let next = tokio::time::timeout(ANSWER_TIME, news.next()).await.map_err(unreachable)?;
            let entry = next.ok_or_else(|| Unreachable("it ended".into()))?.map_err(unreachable)?;
            self.seen.send_replace(entry.revision);
            let is_last = entry.delta == 0;
            if entry.operation == kv::Operation::Put
                && let (Some(key), Some((_, value))) = (decoded(&entry.key), unpacked(&entry.value))
            {
                self.has_seen(&key, entry.revision);
                rows.push(Row { key, value: Some(value) });
            }
            if is_last {
                return Ok((rows, news));
            }
        }
    }

    /// Takes over what other processes write about users and sessions.
    pub(crate) async fn see(self: Arc<Self>, mut news: kv::Watch) {
        while let Some(entry) = news.next().await {
            let Some(world) = self.world() else { return };
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    tracing::warn!(%error, "what others write is not seen");
                    continue;
                }
            };
            let key = decoded(&entry.key).unwrap_or_default();
            self.has_seen(&key, entry.revision);
            match entry.operation {
                kv::Operation::Put => {
                    if let Some((_, value)) = unpacked(&entry.value).filter(|(node, _)| *node != self.node) {
                        world.hear(&key, Some(&value));
                    }
                }
                _ => world.hear(&key, None),
            }
            self.seen.send_replace(entry.revision);
        }
    }

    pub(crate) async fn caught_up(&self) -> Result<(), Unreachable> {
        let last = self.rows.stream.get_info().await.map_err(unreachable)?.state.last_sequence;
        let mut seen = self.seen.subscribe();
        let there = tokio::time::timeout(ANSWER_TIME, seen.wait_for(|seen| *seen >= last)).await;
        there.map_err(unreachable)?.map(drop).map_err(unreachable)
    }
}

/// Does something that may be done twice, until the server confirms it or too much time is over.
async fn again<T, E: std::fmt::Display>(act: impl AsyncFn() -> Result<T, E>) -> Result<T, Unreachable> {
    let until = Instant::now() + WRITE_TIME;
    loop {
        match act().await {
            Ok(done) => return Ok(done),
            Err(error) if Instant::now() > until => return Err(unreachable(error)),
            Err(error) => {
                tracing::warn!(%error, "a row is written again");
                tokio::time::sleep(BEAT).await;
            }
        }
    }
}
