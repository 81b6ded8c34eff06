//! The world as persisted rows, and waiting for durability.

use std::collections::BTreeSet;
use std::sync::Weak;
#[cfg(feature = "cluster")]
use std::sync::{Arc, PoisonError};

use crate::persistence::writer::RowSource;

use ezlo_protocol::password::sha1_password;
use ezlo_protocol::serial::Serial;

use crate::core::ready_line::Ready;
use crate::persistence::rows::{Row, RowKey};
use crate::tls::PersistedAuthority;
use crate::world::World;
#[cfg(feature = "cluster")]
use crate::world::hub_actor::HubActor;
#[cfg(feature = "cluster")]
use crate::world::hub_actor::hub_snapshot::HubSnapshot;
use crate::world::persisted_state::{PersistedState, PersistedTime, StateHeader};

/// The source of the rows that the state writer of a world persists.
pub(crate) struct WorldRows {
    pub(crate) world: Weak<World>,
    pub(crate) header: StateHeader,
    pub(crate) authority: PersistedAuthority,
}

impl RowSource for WorldRows {
    fn rows_of(&self, keys: &BTreeSet<RowKey>) -> Option<Vec<Row>> {
        Some(self.world.upgrade()?.rows_of(keys))
    }

    fn all_rows(&self) -> Option<Vec<Row>> {
        Some(self.world.upgrade()?.persisted_state(self.header.clone(), self.authority.clone()).rows())
    }
}

impl World {
    /// Attaches the state writer to accounts and sessions, and the journal to accounts.
    pub(crate) fn attach_writer(&self) {
        self.accounts().attach_writer(self.keeper.as_ref(), &self.journal);
        self.sessions().attach_writer(self.keeper.as_ref());
    }

    /// Returns the ready line without the passwords that are no longer valid.
    pub(crate) fn with_current_passwords(&self, ready: &Ready) -> Ready {
        let mut ready = ready.clone();
        let accounts = self.accounts();
        for user in &mut ready.users {
            let is_good = |password: &String| {
                let hash = sha1_password(&user.username, &password.as_str().into());
                accounts.log_in(&user.username, hash.expose(), None).is_some()
            };
            user.password = user.password.take().filter(is_good);
        }
        ready
    }

    /// Marks the clock for persistence, after its time or speed was set.
    pub(crate) fn mark_clock(&self) {
        if let Some(keeper) = &self.keeper {
            keeper.mark_row(RowKey::Clock);
        }
    }

    /// Returns the whole current state.
    pub(crate) fn persisted_state(&self, about: StateHeader, authority: PersistedAuthority) -> PersistedState {
        PersistedState { about, authority, time: PersistedTime::of(&self.clock), snapshot: self.snapshot() }
    }

    /// Returns the current rows with these keys, and the rows of the clock and the random generator.
    pub(crate) fn rows_of(&self, keys: &BTreeSet<RowKey>) -> Vec<Row> {
        let row = |key: &RowKey, value| Row { key: key.key(), value };
        let mut rows = Vec::new();
        {
            // Under one lock, because one operation can change several of these rows.
            let accounts = self.accounts();
            rows.extend(keys.iter().filter(|key| key.is_of_accounts()).map(|key| row(key, accounts.row(key))));
        }
        for key in keys {
            match key {
                RowKey::Hub(serial) => rows.push(row(key, self.hub_row(serial, key))),
                RowKey::Session(_) => rows.push(row(key, self.sessions().row(key))),
                _ => {}
            }
        }
        rows.push(Row::new(RowKey::Clock.key(), &PersistedTime::of(&self.clock)));
        rows.push(Row::new("chance", &self.random));
        rows
    }

    fn hub_row(&self, serial: &Serial, key: &RowKey) -> Option<Vec<u8>> {
        // Only the snapshot is taken under the lock of the hub; it is serialised outside.
        let snapshot = self.hub(serial)?.snapshot(self.clock.now_ms());
        Row::new(key.key(), &snapshot).value
    }

    /// Waits until all changes so far are durable. Returns false if persistence has failed, and true at once without a state
    /// directory.
    pub(crate) async fn flush(&self) -> bool {
        match &self.keeper {
            Some(keeper) => keeper.wait_durable(keeper.current_epoch()).await,
            None => true,
        }
    }
}

#[cfg(feature = "cluster")]
impl World {
    /// Applies a row of a user, account, owner, session or hub that another process of the cluster wrote.
    pub(crate) fn apply_row(&self, key: &str, value: Option<&[u8]>) {
        let applied = match key.split_once('/') {
            Some(("sessions", token)) => self.sessions().apply_row(token, value),
            Some(("hubs", serial)) => value.map_or(Ok(()), |value| self.on_remote_hub(serial, value)),
            Some(("users" | "accounts" | "owners", _)) => self.accounts().apply_row(key, value),
            _ => Ok(()),
        };
        if let Err(error) = applied {
            tracing::warn!(%error, "a row of another process is not valid and was ignored");
        }
    }

    /// Takes over a hub with the state that another process persisted.
    pub(crate) fn adopt_hub(self: &Arc<Self>, serial: &Serial, state: &[u8]) -> Result<(), String> {
        let snapshot = HubSnapshot::from_row(serial, state)?;
        let cell = self.hub(serial).unwrap_or_else(|| self.put_hub(HubActor::from_shot(&self.env, &snapshot)));
        cell.adopt(&snapshot);
        Ok(())
    }

    /// Returns the current row of a hub, or `None` if no hub has this serial.
    pub(crate) fn row_of(&self, serial: &Serial) -> Option<Vec<u8>> {
        self.hub_row(serial, &RowKey::Hub(serial.clone()))
    }

    /// Marks a hub for persistence.
    pub(crate) fn mark_hub(&self, serial: &Serial) {
        if let Some(keeper) = &self.keeper {
            keeper.mark_row(RowKey::Hub(serial.clone()));
        }
    }

    /// Receives the state of a hub that runs in another process. Adds a hub that registered there.
    fn on_remote_hub(&self, serial: &str, state: &[u8]) -> Result<(), String> {
        let serial = serial.parse::<Serial>().map_err(|error| error.to_string())?;
        if self.backplane().is_some_and(|backplane| backplane.holds(&serial)) {
            // A row from before the takeover.
            return Ok(());
        }
        // Not `World::hub`, which would decode the previous row.
        let made = self.hubs.read().unwrap_or_else(PoisonError::into_inner).made.get(&serial).cloned();
        if let Some(cell) = made.or_else(|| self.hub(&serial)) {
            cell.receive_row(state.into());
            return Ok(());
        }
        let snapshot = HubSnapshot::from_row(&serial, state)?;
        // A hub that has registered here in the meantime is not replaced.
        self.add_hub(HubActor::from_shot(&self.env, &snapshot))
            .map(drop)
            .ok_or_else(|| format!("hub {serial}: the maximum number of hubs is reached"))
    }

    /// Disconnects the clients of a hub that another process has taken over.
    pub(crate) fn release_hub(&self, serial: &Serial) {
        if let Some(cell) = self.hub(serial) {
            cell.disconnect_all();
        }
    }
}
