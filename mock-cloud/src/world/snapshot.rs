//! The state of a world as it was at one moment: taken in no time, put back, or made into a world of its own. Hubs are shared
//! with it until they change.

use std::collections::BTreeMap;
use std::sync::Arc;

use ezlo_protocol::serial::Serial;

use super::hub::cell::HubShot;
use super::{Accounts, Beginnings, HubCell, Sessions, Tokens, World};
use crate::random::Random;

/// A state of a world. The time is not part of it: what was due in ten seconds is due in ten seconds again.
pub(crate) struct Snapshot {
    pub(crate) random: Random,
    pub(crate) tokens: Tokens,
    pub(crate) accounts: Accounts,
    pub(crate) sessions: Sessions,
    pub(crate) hubs: Vec<HubShot>,
}

impl std::fmt::Debug for Snapshot {
    /// Without what is in it: tokens, codes, names of people.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot").field("hubs", &self.hubs.len()).finish_non_exhaustive()
    }
}

impl Snapshot {
    /// The state that a world begins with.
    pub(crate) fn beginning(beginnings: &Beginnings) -> Self {
        let Beginnings { clock, seed, guesses, file, .. } = beginnings;
        let random = Random::new(*seed);
        let tokens = Tokens::new(&random);
        let mut accounts = Accounts::new(&file.users, &random);
        let mut hubs = BTreeMap::new();
        for hub in &file.hubs {
            let cell = HubCell::from_file(hub, *seed, guesses, clock.now_ms());
            if let Some(owner) = &hub.owner {
                accounts.adopt(owner, &cell.serial, clock.timestamp(), &random);
            }
            hubs.insert(cell.serial.clone(), cell);
        }
        let hubs = hubs.into_values().map(|cell| cell.begun(clock.now_ms(), guesses)).collect();
        Self { random, tokens, accounts, sessions: Sessions::default(), hubs }
    }
}

impl World {
    /// The state as it is now, hub by hub.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let now_ms = self.clock.now_ms();
        Snapshot {
            random: self.random.clone(),
            tokens: self.tokens.clone(),
            accounts: self.accounts().clone(),
            sessions: self.sessions().clone(),
            hubs: self.hubs().iter().map(|cell| cell.shot(now_ms)).collect(),
        }
    }

    /// Puts a state back that was taken of this world, or of one that it was made from. Connections that listen to a hub are
    /// closed: what they know is no longer so. Hubs that came since are gone; faults and the journal stay.
    pub(crate) fn restore(self: &Arc<Self>, snapshot: &Snapshot) {
        self.random.become_like(&snapshot.random);
        self.accounts().clone_from(&snapshot.accounts);
        self.sessions().clone_from(&snapshot.sessions);
        self.is_heard();
        let mut before: BTreeMap<Serial, Arc<HubCell>> =
            self.hubs().into_iter().map(|cell| (cell.serial.clone(), cell)).collect();
        for shot in &snapshot.hubs {
            let cell = before.remove(shot.serial()).unwrap_or_else(|| self.put_hub(HubCell::from_shot(shot)));
            cell.restore(self, shot);
        }
        for gone in before.into_values() {
            self.remove_hub(&gone);
        }
        if let Some(keeper) = &self.keeper {
            keeper.note_all();
        }
    }
}
