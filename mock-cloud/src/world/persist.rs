//! The world as rows of a kept state, and waiting until what was done is kept.

use std::collections::BTreeSet;
#[cfg(feature = "cluster")]
use std::sync::Arc;

use ezlo_protocol::password::sha1_password;
#[cfg(feature = "cluster")]
use ezlo_protocol::secret::masked;
use ezlo_protocol::serial::Serial;

use crate::core::ready_line::Ready;
use crate::persistence::rows::{PersistedAuthority, PersistedState, PersistedTime, Row, RowKey, StateHeader};
use crate::world::World;
#[cfg(feature = "cluster")]
use crate::world::hub_actor::HubActor;
#[cfg(feature = "cluster")]
use crate::world::hub_actor::hub_snapshot::HubSnapshot;

impl World {
    /// Whatever becomes of accounts and sessions is told to who keeps them.
    pub(crate) fn attach_writer(&self) {
        self.accounts().attach_writer(self.keeper.as_ref(), &self.journal);
        self.sessions().attach_writer(self.keeper.as_ref());
    }

    /// The ready line as it is now: passwords that are no longer good are left out.
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

    /// The time was moved.
    pub(crate) fn mark_clock(&self) {
        if let Some(keeper) = &self.keeper {
            keeper.mark_row(RowKey::Clock);
        }
    }

    /// Everything as it is now.
    pub(crate) fn kept(&self, about: StateHeader, authority: PersistedAuthority) -> PersistedState {
        PersistedState { about, authority, time: PersistedTime::of(&self.clock), snapshot: self.snapshot() }
    }

    /// The rows of these as they are now, and those that change with everything.
    pub(crate) fn rows_of(&self, touched: &BTreeSet<RowKey>) -> Vec<Row> {
        let row = |touch: &RowKey, value| Row { key: touch.key(), value };
        let mut rows = Vec::new();
        {
            // All of them at one moment: one act may have changed several.
            let accounts = self.accounts();
            rows.extend(
                touched.iter().filter(|touch| touch.is_of_accounts()).map(|touch| row(touch, accounts.row(touch))),
            );
        }
        for touch in touched {
            match touch {
                RowKey::Hub(serial) => rows.push(row(touch, self.hub_row(serial, touch))),
                RowKey::Session(_) => rows.push(row(touch, self.sessions().row(touch))),
                _ => {}
            }
        }
        rows.push(Row::new(RowKey::Clock.key(), &PersistedTime::of(&self.clock)));
        rows.push(Row::new("chance", &self.random));
        rows
    }

    fn hub_row(&self, serial: &Serial, touch: &RowKey) -> Option<Vec<u8>> {
        // Taken under the hub's lock, written outside of it.
        let snapshot = self.hub(serial)?.snapshot(self.clock.now_ms());
        Row::new(touch.key(), &snapshot).value
    }

    /// Waits until everything that was done so far outlives the program; false when it never will. Returns at once where
    /// nothing is to be kept.
    pub(crate) async fn flush(&self) -> bool {
        match &self.keeper {
            Some(keeper) => keeper.wait_durable(keeper.current_epoch()).await,
            None => true,
        }
    }
}

#[cfg(feature = "cluster")]
impl World {
    /// Takes over what another process of the cluster wrote about users and sessions.
    pub(crate) fn hear(&self, key: &str, value: Option<&[u8]>) {
        let heard = match key.split_once('/') {
            Some(("sessions", token)) => self.sessions().hear(token, value),
            Some(("hubs", serial)) => value.map_or(Ok(()), |value| self.on_remote_hub(serial, value)),
            Some(("users" | "accounts" | "owners", _)) => self.accounts().hear(key, value),
            _ => Ok(()),
        };
        if let Err(error) = heard {
            tracing::warn!(%error, "what another process wrote is not understood");
        }
    }

    /// Goes on with a hub that lived in another process.
    pub(crate) fn adopt_hub(self: &Arc<Self>, serial: &Serial, state: &[u8]) -> Result<(), String> {
        let snapshot = read_shot(serial, state)?;
        let cell = self.hub(serial).unwrap_or_else(|| self.put_hub(HubActor::from_shot(&self.env, &snapshot)));
        cell.adopt(&snapshot);
        Ok(())
    }

    /// A hub as it is here, as a row.
    pub(crate) fn row_of(&self, serial: &Serial) -> Option<Vec<u8>> {
        self.hub_row(serial, &RowKey::Hub(serial.clone()))
    }

    /// What becomes of a hub is to be kept.
    pub(crate) fn mark_hub(&self, serial: &Serial) {
        if let Some(keeper) = &self.keeper {
            keeper.mark_row(RowKey::Hub(serial.clone()));
        }
    }

    /// A hub that brought itself to another process.
    fn on_remote_hub(&self, serial: &str, state: &[u8]) -> Result<(), String> {
        let serial = serial.parse::<Serial>().map_err(|error| error.to_string())?;
        if self.hub_summary(&serial).is_some() {
            return Ok(());
        }
        let snapshot = read_shot(&serial, state)?;
        // One that has registered here meanwhile stays as it is.
        self.add_hub(HubActor::from_shot(&self.env, &snapshot))
            .map(drop)
            .ok_or_else(|| format!("hub {serial}: there are too many"))
    }

    /// A hub lives in another process from now on.
    pub(crate) fn lose(&self, serial: &Serial) {
        if let Some(cell) = self.hub(serial) {
            cell.disconnect_all();
        }
    }
}

/// A hub as another process wrote it; nothing of it is in the error.
#[cfg(feature = "cluster")]
fn read_shot(serial: &Serial, state: &[u8]) -> Result<HubSnapshot, String> {
    let snapshot: HubSnapshot =
        serde_json::from_slice(state).map_err(|error| format!("hub {serial}: {}", masked(&error.to_string())))?;
    snapshot.check().map_err(|error| format!("hub {serial}: {error}"))?;
    Ok(snapshot.rehydrate())
}
