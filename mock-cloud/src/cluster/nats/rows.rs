//! Rows of the state that all processes share.

use std::sync::Arc;

use async_nats::jetstream::kv;
use bytes::Bytes;
use ezlo_protocol::serial::Serial;
use futures_util::StreamExt as _;
use futures_util::future::try_join_all;
use tokio::runtime::Handle;

use super::{ANSWER_TIME, Inner, Mine, Unreachable, decoded, encoded, parts, unreachable};
use crate::state::{Row, StateError, Store};

/// Rows that belong to one process: what it counts, its time and its chance.
const OWN: &[&str] = &["clock", "chance", "counters"];

/// Name of a row in the bucket.
pub(super) fn name(key: &str) -> String {
    encoded(key)
}

/// Writes rows for all processes to see.
pub(crate) struct SharedRows {
    pub(super) inner: Arc<Inner>,
    pub(super) runtime: Handle,
}

impl Store for SharedRows {
    fn write(&self, rows: &[Row]) -> Result<(), StateError> {
        let written = try_join_all(rows.iter().map(|row| self.inner.write(row)));
        self.runtime.block_on(written).map(drop).map_err(|error| StateError::Cluster { reason: error.to_string() })
    }

    /// Puts a whole state back: rows that are not in it stay with the others, which have seen them.
    fn replace(&self, rows: &[Row]) -> Result<(), StateError> {
        self.write(rows)
    }
}

impl Inner {
    /// What this process writes.
    pub(super) fn signed(&self, value: &[u8]) -> Bytes {
        let mut signed = format!("{}\n", self.node).into_bytes();
        signed.extend_from_slice(value);
        signed.into()
    }

    async fn write(&self, row: &Row) -> Result<(), Unreachable> {
        if let Some(serial) = row.key.strip_prefix("hubs/") {
            let (Ok(serial), Some(value)) = (serial.parse(), &row.value) else { return Ok(()) };
            return self.write_hub(&serial, value).await;
        }
        if OWN.contains(&row.key.as_str()) {
            return Ok(());
        }
        match &row.value {
            Some(value) => self.rows.put(name(&row.key), self.signed(value)).await.map(drop).map_err(unreachable),
            None => self.rows.delete(name(&row.key)).await.map_err(unreachable),
        }
    }

    /// Writes a hub that lives here. When another process has it meanwhile, what was done here is lost, and nobody is told
    /// that it was done.
    async fn write_hub(&self, serial: &Serial, value: &[u8]) -> Result<(), Unreachable> {
        let Some(Mine { row: before, .. }) = self.mine().get(serial).copied() else { return Ok(()) };
        let row = name(&format!("hubs/{serial}"));
        match self.rows.update(row, self.signed(value), before).await {
            Ok(revision) => {
                if let Some(mine) = self.mine().get_mut(serial) {
                    mine.row = revision;
                }
                Ok(())
            }
            Err(error) if error.kind() == kv::UpdateErrorKind::WrongLastRevision => {
                self.lose(serial);
                Ok(())
            }
            Err(error) => Err(unreachable(error)),
        }
    }

    /// A hub's row as it is, and its revision; 0 when there is none.
    pub(super) async fn hub_row(&self, serial: &Serial) -> Result<(Option<Vec<u8>>, u64), Unreachable> {
        let entry = self.rows.entry(name(&format!("hubs/{serial}"))).await.map_err(unreachable)?;
        Ok(entry.map_or((None, 0), |entry| {
            let value = parts(&entry.value).map(|(_, value)| value.to_vec());
            (value.filter(|_| entry.operation == kv::Operation::Put), entry.revision)
        }))
    }

    pub(super) async fn all_rows(&self) -> Result<(Vec<Row>, kv::Watch), Unreachable> {
        let mut news = self.rows.watch_with_history(">").await.map_err(unreachable)?;
        let mut rows = Vec::new();
        loop {
            let next = tokio::time::timeout(ANSWER_TIME, news.next()).await.map_err(unreachable)?;
            let entry = next.ok_or_else(|| Unreachable("it ended".into()))?.map_err(unreachable)?;
            self.seen.send_replace(entry.revision);
            let is_last = entry.delta == 0;
            if entry.operation == kv::Operation::Put
                && let (Some(key), Some((_, value))) = (decoded(&entry.key), parts(&entry.value))
            {
                rows.push(Row { key, value: Some(value.to_vec()) });
            }
            if is_last {
                return Ok((rows, news));
            }
        }
    }

    /// Takes over what other processes write about users and sessions.
    pub(super) async fn see(self: Arc<Self>, mut news: kv::Watch) {
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
            match (entry.operation, parts(&entry.value)) {
                (kv::Operation::Put, Some((node, value))) if node != self.node => world.hear(&key, Some(value)),
                (kv::Operation::Put, _) => {}
                _ => world.hear(&key, None),
            }
            self.seen.send_replace(entry.revision);
        }
    }

    pub(super) async fn caught_up(&self) -> Result<(), Unreachable> {
        let last = self.rows.stream.get_info().await.map_err(unreachable)?.state.last_sequence;
        let mut seen = self.seen.subscribe();
        let there = tokio::time::timeout(ANSWER_TIME, seen.wait_for(|seen| *seen >= last)).await;
        there.map_err(unreachable)?.map(drop).map_err(unreachable)
    }
}
