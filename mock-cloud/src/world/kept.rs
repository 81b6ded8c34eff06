//! The world as rows of a kept state, and waiting until what was done is kept.

use std::collections::BTreeSet;

use super::World;
use crate::state::{About, KeptAuthority, KeptState, Row, Touch};

impl World {
    /// Whatever becomes of accounts and sessions is told to who keeps them.
    pub(super) fn is_heard(&self) {
        self.accounts().heard_by(self.keeper.as_ref());
        self.sessions().heard_by(self.keeper.as_ref());
    }

    /// The time was moved.
    pub(crate) fn note_time(&self) {
        if let Some(keeper) = &self.keeper {
            keeper.note(Touch::Clock);
        }
    }

    /// Everything as it is now.
    pub(crate) fn kept(&self, about: About, authority: KeptAuthority) -> KeptState {
        KeptState { about, authority, now_ms: self.clock.now_ms(), snapshot: self.snapshot() }
    }

    /// The rows of these as they are now, and those that change with everything.
    pub(crate) fn rows_of(&self, touched: &BTreeSet<Touch>) -> Vec<Row> {
        let mut rows: Vec<Row> = touched
            .iter()
            .map(|touch| {
                let value = match touch {
                    Touch::Hub(serial) => self.hub_row(serial, touch),
                    Touch::Session(_) => self.sessions().row(touch),
                    _ => self.accounts().row(touch),
                };
                Row { key: touch.key(), value }
            })
            .filter(|row| row.key != Touch::Clock.key())
            .collect();
        rows.push(Row::new(Touch::Clock.key(), &self.clock.now_ms()));
        rows.push(Row::new("chance", &self.random));
        rows
    }

    fn hub_row(&self, serial: &ezlo_protocol::serial::Serial, touch: &Touch) -> Option<Vec<u8>> {
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
