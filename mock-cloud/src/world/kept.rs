//! The world as rows of a kept state, and waiting until what was done is kept.

use std::collections::BTreeSet;
#[cfg(feature = "cluster")]
use std::sync::Arc;

use ezlo_protocol::password::sha1_password;
#[cfg(feature = "cluster")]
use ezlo_protocol::secret::masked;
use ezlo_protocol::serial::Serial;

use super::World;
#[cfg(feature = "cluster")]
use super::{HubCell, HubShot};
use crate::ready::Ready;
use crate::state::{About, KeptAuthority, KeptState, KeptTime, Row, Touch};

impl World {
    /// Whatever becomes of accounts and sessions is told to who keeps them.
    pub(super) fn is_heard(&self) {
        self.accounts().heard_by(self.keeper.as_ref(), &self.journal);
        self.sessions().heard_by(self.keeper.as_ref());
    }

    /// The ready line as it is now: passwords that are no longer good are left out.
    pub(crate) fn as_it_is(&self, ready: &Ready) -> Ready {
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
    pub(crate) fn note_time(&self) {
        if let Some(keeper) = &self.keeper {
            keeper.note(Touch::Clock);
        }
    }

    /// Everything as it is now.
    pub(crate) fn kept(&self, about: About, authority: KeptAuthority) -> KeptState {
        KeptState { about, authority, time: KeptTime::of(&self.clock), snapshot: self.snapshot() }
    }

    /// The rows of these as they are now, and those that change with everything.
    pub(crate) fn rows_of(&self, touched: &BTreeSet<Touch>) -> Vec<Row> {
        let row = |touch: &Touch, value| Row { key: touch.key(), value };
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
                Touch::Hub(serial) => rows.push(row(touch, self.hub_row(serial, touch))),
                Touch::Session(_) => rows.push(row(touch, self.sessions().row(touch))),
                _ => {}
            }
        }
        rows.push(Row::new(Touch::Clock.key(), &KeptTime::of(&self.clock)));
        rows.push(Row::new("chance", &self.random));
        rows
    }

    fn hub_row(&self, serial: &Serial, touch: &Touch) -> Option<Vec<u8>> {
        // Taken under the hub's lock, written outside of it.
        let shot = self.hub(serial)?.shot(self.clock.now_ms());
        Row::new(touch.key(), &shot).value
    }

    /// Waits until everything that was done so far outlives the program; false when it never will. Returns at once where
    /// nothing is to be kept.
    pub(crate) async fn is_kept(&self) -> bool {
        match &self.keeper {
            Some(keeper) => keeper.reached(keeper.mark()).await,
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
            Some(("hubs", serial)) => value.map_or(Ok(()), |value| self.hear_of_hub(serial, value)),
            Some(("users" | "accounts" | "owners", _)) => self.accounts().hear(key, value),
            _ => Ok(()),
        };
        if let Err(error) = heard {
            tracing::warn!(%error, "what another process wrote is not understood");
        }
    }

    /// Goes on with a hub that lived in another process.
    pub(crate) fn take_over(self: &Arc<Self>, serial: &Serial, state: &[u8]) -> Result<(), String> {
        let shot = read_shot(serial, state)?;
        let cell = self.hub(serial).unwrap_or_else(|| self.put_hub(HubCell::from_shot(&shot)));
        cell.moves_in(self, &shot);
        Ok(())
    }

    /// A hub as it is here, as a row.
    pub(crate) fn row_of(&self, serial: &Serial) -> Option<Vec<u8>> {
        self.hub_row(serial, &Touch::Hub(serial.clone()))
    }

    /// What becomes of a hub is to be kept.
    pub(crate) fn note_hub(&self, serial: &Serial) {
        if let Some(keeper) = &self.keeper {
            keeper.note(Touch::Hub(serial.clone()));
        }
    }

    /// A hub that brought itself to another process.
    fn hear_of_hub(&self, serial: &str, state: &[u8]) -> Result<(), String> {
        let serial = serial.parse::<Serial>().map_err(|error| error.to_string())?;
        if self.glance(&serial).is_some() {
            return Ok(());
        }
        let shot = read_shot(&serial, state)?;
        // One that has registered here meanwhile stays as it is.
        self.add_hub(HubCell::from_shot(&shot)).map(drop).ok_or_else(|| format!("hub {serial}: there are too many"))
    }

    /// A hub lives in another process from now on.
    pub(crate) fn lose(&self, serial: &Serial) {
        if let Some(cell) = self.hub(serial) {
            cell.cut_off();
        }
    }
}

/// A hub as another process wrote it; nothing of it is in the error.
#[cfg(feature = "cluster")]
fn read_shot(serial: &Serial, state: &[u8]) -> Result<HubShot, String> {
    let shot: HubShot =
        serde_json::from_slice(state).map_err(|error| format!("hub {serial}: {}", masked(&error.to_string())))?;
    shot.check().map_err(|error| format!("hub {serial}: {error}"))?;
    Ok(shot.awake())
}
