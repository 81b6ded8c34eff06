//! The rows of the state, shared by all processes.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use async_nats::jetstream::{self, kv};
use bytes::Bytes;
use ezlo_protocol::serial::Serial;
use futures_util::StreamExt as _;
use futures_util::future::try_join_all;
use tokio::runtime::Handle;

use crate::cluster::nats::{
    ANSWER_TIME, BEAT, Inner, LONGEST, Mine, Unreachable, decoded, encoded, packed, unpacked, unreachable,
};
use crate::persistence::error::StateError;
use crate::persistence::rows::Row;
use crate::persistence::writer::Store;

/// Rows that belong to one process and are not shared: the counters, the time and the random generator.
const OWN: &[&str] = &["clock", "chance", "counters"];
/// Prefixes of the rows that only the holder of the account lock changes.
const IN_TURN: &[&str] = &["users/", "accounts/", "owners/"];
/// Time for which an unconfirmed write is repeated. It covers a restart of the server.
const WRITE_TIME: Duration = Duration::from_secs(30);

/// Returns the key of a row in the bucket.
pub(crate) fn name(key: &str) -> String {
    encoded(key)
}

/// Returns the key of a hub's row in the bucket.
pub(crate) fn key(serial: &Serial) -> String {
    name(&format!("hubs/{serial}"))
}

/// The outcome of a write that replaces a revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The row was written with this revision.
    Written(u64),
    /// Another process has written the row meanwhile.
    Taken,
    /// The row exceeds the maximum length.
    TooLong,
}

/// The store that shares rows with all processes.
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

    /// Writes the rows and deletes no others, because other processes have received them.
    fn replace(&self, rows: &[Row], moment: u64) -> Result<(), StateError> {
        self.write(rows, moment)
    }
}

impl Inner {
    /// Encodes a row with the number of this process.
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

    /// Writes a row without a revision check.
    pub(crate) async fn put(&self, name: &str, value: &[u8]) -> Result<u64, Unreachable> {
        let value = self.signed(value);
        again(async || self.rows.put(name, value.clone()).await).await
    }

    /// Writes a row that the account lock guards. Another writer means that this process lost the lock, so it must stop.
    async fn write_in_turn(&self, key: &str, value: &[u8]) -> Result<(), Unreachable> {
        let before = self.revisions().get(key).copied().unwrap_or_default();
        match self.write_row(&name(key), value, before).await? {
            Outcome::Written(revision) => {
                self.has_seen(key, revision);
                Ok(())
            }
            Outcome::Taken => Err(Unreachable("another process took the account lock and changed the same row".into())),
            Outcome::TooLong => Err(Unreachable("an account is too large for the server".into())),
        }
    }

    /// Records the revision of a row that the account lock guards.
    fn has_seen(&self, key: &str, revision: u64) {
        if IN_TURN.iter().any(|kind| key.starts_with(kind)) {
            let mut revisions = self.revisions();
            let known = revisions.entry(key.to_owned()).or_default();
            *known = revision.max(*known);
        }
    }

    /// Writes the row of a hub. If the hub is not active here, or the row is too large, its changes are discarded without an
    /// acknowledgement.
    async fn write_hub(&self, serial: &Serial, value: &[u8], moment: u64) -> Result<(), Unreachable> {
        let Some(Mine { row: before, moment: came, .. }) = self.mine().get(serial).copied() else {
            self.release(serial);
            return Ok(());
        };
        if came > moment {
            // The row was read before the hub became active here. The takeover has marked it again.
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
            // The hub was lost and taken over again meanwhile, so the changes are discarded already.
            _ if !self.mine().get(serial).is_some_and(is_same) => {}
            Outcome::Taken => self.release(serial),
            Outcome::TooLong => {
                tracing::error!(%serial, "a hub is too large for the server; its unsaved changes are lost");
                self.release(serial);
            }
        }
        Ok(())
    }

    /// Replaces a revision of a row. An unconfirmed write is repeated, and an earlier attempt can have succeeded.
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
                    tracing::warn!(%error, "a write was not confirmed; retrying");
                    is_doubtful = true;
                    tokio::time::sleep(BEAT).await;
                }
            }
        }
    }

    /// Returns the row of a hub and its revision, which is 0 without a row.
    pub(crate) async fn hub_row(&self, serial: &Serial) -> Result<(Option<Vec<u8>>, u64), Unreachable> {
        let entry = self.rows.entry(key(serial)).await.map_err(unreachable)?;
        match entry {
            None => Ok((None, 0)),
            Some(entry) if entry.operation != kv::Operation::Put => Ok((None, entry.revision)),
            // An unreadable row must not be replaced by the initial state.
            Some(entry) => match unpacked(&entry.value) {
                Some((_, value)) => Ok((Some(value), entry.revision)),
                None => Err(Unreachable(format!("the row of hub {serial} cannot be decoded"))),
            },
        }
    }

    pub(crate) async fn all_rows(&self) -> Result<(Vec<Row>, kv::Watch), Unreachable> {
        // The server needs long for the first row of a large world.
        let mut patient = jetstream::new(self.client.clone());
        patient.set_timeout(WRITE_TIME);
        let bucket = patient.get_key_value(format!("{}-rows", self.name)).await.map_err(unreachable)?;
        let mut news = again(async || bucket.watch_with_history(">").await).await?;
        let mut rows = Vec::new();
        loop {
            let next = tokio::time::timeout(WRITE_TIME, news.next()).await.map_err(unreachable)?;
            let entry =
                next.ok_or_else(|| Unreachable("the watch of the bucket ended".into()))?.map_err(unreachable)?;
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

    /// Applies the rows of users and sessions that other processes write.
    pub(crate) async fn see(self: Arc<Self>, mut news: kv::Watch) {
        while let Some(entry) = news.next().await {
            let Some(world) = self.world() else { return };
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    tracing::warn!(%error, "cannot receive a row of another process");
                    continue;
                }
            };
            let key = decoded(&entry.key).unwrap_or_default();
            self.has_seen(&key, entry.revision);
            match entry.operation {
                kv::Operation::Put => {
                    if let Some((_, value)) = unpacked(&entry.value).filter(|(node, _)| *node != self.node) {
                        world.apply_row(&key, Some(&value));
                    }
                }
                _ => world.apply_row(&key, None),
            }
            self.seen.send_replace(entry.revision);
        }
    }

    pub(crate) async fn wait_synced(&self) -> Result<(), Unreachable> {
        let last = self.rows.stream.get_info().await.map_err(unreachable)?.state.last_sequence;
        let mut seen = self.seen.subscribe();
        let there = tokio::time::timeout(ANSWER_TIME, seen.wait_for(|seen| *seen >= last)).await;
        there.map_err(unreachable)?.map(drop).map_err(unreachable)
    }
}

/// Repeats an idempotent operation until the server confirms it or the time has passed.
pub(crate) async fn again<T, E: std::fmt::Display>(act: impl AsyncFn() -> Result<T, E>) -> Result<T, Unreachable> {
    let until = Instant::now() + WRITE_TIME;
    loop {
        match act().await {
            Ok(done) => return Ok(done),
            Err(error) if Instant::now() > until => return Err(unreachable(error)),
            Err(error) => {
                tracing::warn!(%error, "the server did not confirm; trying again");
                tokio::time::sleep(BEAT).await;
            }
        }
    }
}
