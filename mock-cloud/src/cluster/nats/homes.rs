//! Where hubs live.

use std::sync::Arc;

use async_nats::jetstream::kv;
use ezlo_protocol::serial::Serial;
use futures_util::StreamExt as _;

use super::rows::name;
use super::{Home, Inner, Mine, Unreachable, number, unreachable};

/// How often it is tried to find out where a hub lives, while others try too.
const ATTEMPTS: usize = 10;

impl Inner {
    pub(super) async fn home(&self, serial: &Serial) -> Result<Home, Unreachable> {
        let _claiming = self.claiming.lock().await;
        for _ in 0..ATTEMPTS {
            let entry = self.homes.entry(serial.as_str()).await.map_err(unreachable)?;
            let before = match &entry {
                Some(entry) if entry.operation == kv::Operation::Put => number(&entry.value),
                _ => None,
            };
            let is_known = || self.world().is_some_and(|world| world.hub(serial).is_some());
            match before {
                // Nobody knows a hub of that serial.
                None if entry.is_none() && !is_known() => return Ok(Home::Here),
                Some(node) if node == self.node && self.mine().contains_key(serial) => return Ok(Home::Here),
                Some(node) if node != self.node && self.lives(node) => return Ok(Home::There(node)),
                _ => {}
            }
            // Whoever writes in place of this revision has it.
            let revision = entry.map_or(0, |entry| entry.revision);
            match self.homes.update(serial.as_str(), self.own_number(), revision).await {
                Ok(since) => {
                    self.take_over(serial, since).await?;
                    return Ok(Home::Here);
                }
                Err(error) if error.kind() == kv::UpdateErrorKind::WrongLastRevision => {}
                Err(error) => return Err(unreachable(error)),
            }
        }
        Err(Unreachable(format!("too many want hub {serial}")))
    }

    pub(super) async fn comes_here(&self, serial: &Serial) -> Result<(), Unreachable> {
        let _claiming = self.claiming.lock().await;
        if self.mine().contains_key(serial) {
            return Ok(());
        }
        let since = self.homes.put(serial.as_str(), self.own_number()).await.map_err(unreachable)?;
        self.fence(serial, since).await.map(drop)
    }

    /// Goes on with a hub as it was when it last told anybody anything.
    async fn take_over(&self, serial: &Serial, since: u64) -> Result<(), Unreachable> {
        let state = self.fence(serial, since).await?;
        if let (Some(world), Some(state)) = (self.world(), state) {
            world.take_over(serial, &state).map_err(Unreachable)?;
        }
        Ok(())
    }

    /// Writes a hub's row once more as it is: from now on no other process can.
    async fn fence(&self, serial: &Serial, since: u64) -> Result<Option<Vec<u8>>, Unreachable> {
        for _ in 0..ATTEMPTS {
            let (state, revision) = self.hub_row(serial).await?;
            let Some(value) = &state else {
                self.mine().insert(serial.clone(), Mine { since, row: revision });
                return Ok(None);
            };
            match self.rows.update(name(&format!("hubs/{serial}")), self.signed(value), revision).await {
                Ok(row) => {
                    self.mine().insert(serial.clone(), Mine { since, row });
                    return Ok(state);
                }
                // The one before has written once more.
                Err(error) if error.kind() == kv::UpdateErrorKind::WrongLastRevision => {}
                Err(error) => return Err(unreachable(error)),
            }
        }
        Err(Unreachable(format!("hub {serial} is busy elsewhere")))
    }

    /// A hub lives elsewhere from now on.
    pub(super) fn lose(&self, serial: &Serial) {
        if self.mine().remove(serial).is_some()
            && let Some(world) = self.world()
        {
            tracing::warn!(%serial, "a hub lives elsewhere now");
            world.lose(serial);
        }
    }

    pub(super) fn lose_all(&self) {
        let all: Vec<Serial> = self.mine().keys().cloned().collect();
        for serial in all {
            self.lose(&serial);
        }
    }

    /// Lets hubs go that others have taken.
    pub(super) async fn watch_homes(self: Arc<Self>, mut homes: kv::Watch) {
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
