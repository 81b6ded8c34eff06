//! Indexes of users by id, uuid, account and e-mail address.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::world::accounts::User;

#[derive(Debug, Default, Clone)]
pub(crate) struct Index {
    /// Values are the keys of the users: lower-cased names.
    by_id: HashMap<u64, String>,
    by_uuid: HashMap<String, String>,
    by_account: HashMap<u64, BTreeSet<String>>,
    /// E-mail addresses in lower case.
    emails: HashSet<String>,
}

impl Index {
    pub(crate) fn add_user(&mut self, key: &str, user: &User) {
        self.by_id.insert(user.id, key.to_owned());
        self.by_uuid.insert(user.uuid.clone(), key.to_owned());
        self.by_account.entry(user.account).or_default().insert(key.to_owned());
        self.emails.insert(user.email.to_ascii_lowercase());
    }

    pub(crate) fn by_id(&self, id: u64) -> Option<&str> {
        self.by_id.get(&id).map(String::as_str)
    }

    pub(crate) fn by_uuid(&self, uuid: &str) -> Option<&str> {
        self.by_uuid.get(uuid).map(String::as_str)
    }

    /// Returns the keys of the account's users, in ascending order.
    pub(crate) fn members(&self, account: u64) -> impl Iterator<Item = &String> {
        self.by_account.get(&account).into_iter().flatten()
    }

    pub(crate) fn has_email(&self, email: &str) -> bool {
        self.emails.contains(&email.to_ascii_lowercase())
    }
}
