//! Users, accounts and owners as persisted rows.

use std::collections::BTreeSet;
use std::sync::Arc;

use ezlo_protocol::serial::Serial;
use serde::{Deserialize, Serialize};

use crate::journal::Journal;
use crate::journal::entry::EntryKind;
use crate::persistence::rows::{Row, RowKey, Rows};
use crate::persistence::writer::StateWriter;
use crate::world::accounts::owners::Ownership;
use crate::world::accounts::{Account, Accounts, User};

/// Maximum value of the counters: JSON clients represent integers exactly up to it.
const MOST_COUNTED: u64 = 1 << 53;

/// Size of a block of numbers for new users and accounts. Each process of a cluster assigns numbers of its own blocks.
#[cfg(feature = "cluster")]
const NUMBERS_OF_A_PROCESS: u64 = 10_000;

#[derive(Serialize, Deserialize)]
struct Counters {
    next: u64,
    logins: i64,
}

/// The row of a hub's owner. `place` orders the hubs of an account.
#[derive(Serialize, Deserialize)]
struct Owner {
    place: u64,
    account: u64,
    since: jiff::Timestamp,
}

impl Accounts {
    /// Records the change of rows in journal and state writer, and removes cached texts. Must be called before a message about
    /// the change is queued.
    pub(crate) fn mark(&mut self, touches: impl IntoIterator<Item = RowKey>) {
        if self.journal.is_none() && self.keeper.is_none() && self.written.is_empty() {
            // The world is being created: no writer or journal is attached yet.
            return;
        }
        let touches: Vec<RowKey> = touches.into_iter().collect();
        for touch in &touches {
            if let RowKey::Account(id) = touch {
                self.written.forget(*id);
            }
        }
        if let Some(journal) = &self.journal {
            // Every login changes the counters, which is not a change of a user or account.
            for touch in touches.iter().filter(|touch| **touch != RowKey::Counters) {
                journal.named(EntryKind::Change, "", &touch.key(), None, &serde_json::Value::Null);
            }
        }
        if let Some(keeper) = &self.keeper {
            keeper.mark_all_of(touches);
        }
    }

    /// Sets the state writer and the journal that receive all later changes.
    pub(crate) fn attach_writer(&mut self, keeper: Option<&Arc<StateWriter>>, journal: &Arc<Journal>) {
        self.keeper = keeper.cloned();
        self.journal = Some(Arc::clone(journal));
    }

    /// Returns the keys of all rows.
    pub(crate) fn dirty_rows(&self) -> BTreeSet<RowKey> {
        let users = self.users.keys().cloned().map(RowKey::User);
        let accounts = self.accounts.keys().copied().map(RowKey::Account);
        let owners = self.owners.all().map(RowKey::Owner);
        [RowKey::Counters].into_iter().chain(users).chain(accounts).chain(owners).collect()
    }

    /// Returns the value of a row, or `None` if it does not exist.
    pub(crate) fn row(&self, touch: &RowKey) -> Option<Vec<u8>> {
        let key = touch.key();
        match touch {
            RowKey::User(name) => self.users.get(name).map(|user| Row::new(key, user)),
            RowKey::Account(id) => self.accounts.get(id).map(|account| Row::new(key, account)),
            RowKey::Owner(serial) => self
                .owners
                .get(serial)
                .map(|Ownership { account, since, place }| Row::new(key, &Owner { place, account, since })),
            RowKey::Counters => Some(Row::new(key, &Counters { next: self.next, logins: self.logins })),
            RowKey::Session(_) | RowKey::Hub(_) | RowKey::Clock => None,
        }?
        .value
    }

    pub(crate) fn from_rows(rows: &mut Rows) -> Result<Self, String> {
        let Counters { next, logins } = rows.one("counters")?;
        if !(crate::world::accounts::FIRST_NEW..=MOST_COUNTED).contains(&next)
            || !(0..=MOST_COUNTED.cast_signed()).contains(&logins)
        {
            return Err("row \"counters\": a counter is out of range".into());
        }
        let mut all = Self::new(&[], &crate::core::rng::Random::new(0));
        (all.next, all.logins) = (next, logins);
        all.add_rows(rows)?;
        Ok(all)
    }

    fn add_rows(&mut self, rows: &mut Rows) -> Result<(), String> {
        for (key, user) in rows.all::<User>("users")? {
            self.add_user(key, user);
        }
        for (id, account) in rows.all::<Account>("accounts")? {
            let id = number("accounts", &id)?;
            self.written.forget(id);
            self.accounts.insert(id, account);
        }
        let mut owners = rows.all::<Owner>("owners")?;
        owners.sort_by_key(|(_, owner)| owner.place);
        for (serial, Owner { account, since, .. }) in owners {
            self.owners.put(&hub("owners", &serial)?, account, since);
        }
        Ok(())
    }

    /// Applies a row that another process of the cluster wrote. Users and accounts are never removed.
    #[cfg(feature = "cluster")]
    pub(crate) fn apply_row(&mut self, key: &str, value: Option<&[u8]>) -> Result<(), String> {
        value.map_or(Ok(()), |value| self.add_rows(&mut Rows::of(key, value)))
    }

    /// Sets the block of numbers for new users and accounts. No two processes of a cluster have the same block.
    #[cfg(feature = "cluster")]
    pub(crate) fn number_from(&mut self, block: u64) {
        self.next = crate::world::accounts::FIRST_NEW.saturating_add(block.saturating_mul(NUMBERS_OF_A_PROCESS));
        self.end = self.next.saturating_add(NUMBERS_OF_A_PROCESS);
    }

    /// Returns the count of numbers left in the block of this process.
    #[cfg(feature = "cluster")]
    pub(crate) const fn numbers_left(&self) -> u64 {
        self.end.saturating_sub(self.next)
    }
}

fn number(kind: &str, text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("rows {kind:?}: {text:?} is not a number"))
}

fn hub(kind: &str, text: &str) -> Result<Serial, String> {
    text.parse().map_err(|_| format!("rows {kind:?}: {text:?} is not a serial"))
}
