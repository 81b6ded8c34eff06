//! Rows of the persisted state, each with a key and a JSON value. Each user, account and hub has a row of its own, so that a
//! change writes only what it changed.

use std::collections::BTreeMap;

use ezlo_protocol::secret::masked;
use ezlo_protocol::serial::Serial;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A row. The value `None` deletes it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) key: String,
    pub(crate) value: Option<Vec<u8>>,
}

impl Row {
    pub(crate) fn new(key: impl Into<String>, value: &impl Serialize) -> Self {
        Self { key: key.into(), value: Some(ezlo_protocol::wire::to_bytes(value)) }
    }
}

/// The key of a row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum RowKey {
    /// A user, by lower-cased name.
    User(String),
    /// An account, by number.
    Account(u64),
    /// The owner of a hub.
    Owner(Serial),
    /// The counters of accounts.
    Counters,
    /// A session, by token.
    Session(String),
    /// A hub.
    Hub(Serial),
    /// The time, which is written with every transaction.
    Clock,
}

impl RowKey {
    /// Returns true for the rows of users, accounts and owners, which are guarded by one lock.
    pub(crate) const fn is_of_accounts(&self) -> bool {
        !matches!(self, Self::Hub(_) | Self::Session(_) | Self::Clock)
    }

    pub(crate) fn key(&self) -> String {
        match self {
            Self::User(name) => format!("users/{name}"),
            Self::Account(id) => format!("accounts/{id}"),
            Self::Owner(serial) => format!("owners/{serial}"),
            Self::Counters => "counters".into(),
            Self::Session(token) => format!("sessions/{token}"),
            Self::Hub(serial) => format!("hubs/{serial}"),
            Self::Clock => "clock".into(),
        }
    }
}

/// Rows that are not decoded yet, by key.
pub(crate) struct Rows(pub(crate) BTreeMap<String, Vec<u8>>);

impl Rows {
    /// Returns a set of one row.
    #[cfg(feature = "cluster")]
    pub(crate) fn of(key: &str, value: &[u8]) -> Self {
        Self(BTreeMap::from([(key.to_owned(), value.to_vec())]))
    }

    /// Removes and decodes one row.
    pub(crate) fn one<T: DeserializeOwned>(&mut self, key: &str) -> Result<T, String> {
        let value = self.0.remove(key).ok_or_else(|| format!("row {key:?} is missing"))?;
        decoded(key, &value)
    }

    /// Removes and decodes all rows of a kind, with the part of the key behind the kind.
    pub(crate) fn all<T: DeserializeOwned>(&mut self, kind: &str) -> Result<Vec<(String, T)>, String> {
        let (front, behind) = (format!("{kind}/"), format!("{kind}0"));
        let keys: Vec<String> = self.0.range(front.clone()..behind).map(|(key, _)| key.clone()).collect();
        let read = |key: String| {
            let value = decoded(&key, &self.0.remove(&key).unwrap_or_default())?;
            Ok((key[front.len()..].to_owned(), value))
        };
        keys.into_iter().map(read).collect()
    }
}

fn decoded<T: DeserializeOwned>(key: &str, value: &[u8]) -> Result<T, String> {
    serde_json::from_slice(value).map_err(|error| format!("row {:?}: {}", shown(key), masked(&error.to_string())))
}

/// Returns the key as error texts may show it. The key of a session contains its token, so only the kind is shown.
pub(crate) fn shown(key: &str) -> &str {
    match key.split_once('/') {
        Some(("sessions", _)) => "sessions",
        _ => key,
    }
}
