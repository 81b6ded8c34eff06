//! What is kept of a world, as rows: a key and a JSON document each. One row a user, an account, a hub, so that a change
//! writes what it changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use ezlo_protocol::secret::masked;
use ezlo_protocol::serial::Serial;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::core::clock::Clock;
use crate::core::rng::Random;
use crate::persistence::Summary;
use crate::world::accounts::Accounts;
use crate::world::hub_actor::hub_snapshot::HubSnapshot;
use crate::world::sessions::Sessions;
use crate::world::snapshot::Snapshot;
use crate::world::tokens::Tokens;

/// Number of the way rows are written; another one is not read.
const FORMAT: u32 = 2;

/// A row: kept, or with `None` away.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) key: String,
    pub(crate) value: Option<Vec<u8>>,
}

impl Row {
    pub(crate) fn new(key: impl Into<String>, value: &impl Serialize) -> Self {
        // What is kept consists of JSON and types that are made to be JSON.
        Self { key: key.into(), value: serde_json::to_vec(value).ok() }
    }
}

/// Something that is kept in a row of its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum RowKey {
    /// By lower-cased name.
    User(String),
    Account(u64),
    Owner(Serial),
    Counters,
    /// By token.
    Session(String),
    Hub(Serial),
    /// The time, which is written with everything else.
    Clock,
}

impl RowKey {
    /// Whether it is among users and accounts, which are under one lock.
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

/// Which world a state is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StateHeader {
    format: u32,
    /// Program that wrote it, for people.
    program: String,
    /// Name or path.
    pub(crate) world: String,
    /// Of the world's text.
    pub(crate) digest: String,
    /// What hubs that nobody has touched are made from, beside the world: the seed, and when it began (Unix milliseconds).
    pub(crate) seed: u64,
    pub(crate) begun_ms: i64,
    /// Whether houses live in it.
    pub(crate) living: bool,
}

impl StateHeader {
    pub(crate) fn new(world: &str, digest: &str, seed: u64, begun_ms: i64, living: bool) -> Self {
        let program = concat!("mock-cloud ", env!("CARGO_PKG_VERSION")).into();
        Self { format: FORMAT, program, world: world.into(), digest: digest.into(), seed, begun_ms, living }
    }
}

/// The certificate authority, so that a client that trusts it goes on to do so.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct PersistedAuthority {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// The time of a state.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct PersistedTime {
    /// Unix milliseconds.
    pub(crate) now_ms: i64,
    /// As [`Clock::speed`] tells it.
    pub(crate) speed: f64,
}

impl PersistedTime {
    pub(crate) fn of(clock: &Clock) -> Self {
        Self { now_ms: clock.now_ms(), speed: clock.speed() }
    }

    fn check(self) -> Result<(), String> {
        let is_speed = self.speed == 0.0 || (Clock::SLOWEST..=Clock::FASTEST).contains(&self.speed);
        if (0..=Clock::END_MS).contains(&self.now_ms) && is_speed {
            Ok(())
        } else {
            Err("row \"clock\" is no time between 1970 and 9999, or no speed".into())
        }
    }
}

/// A whole state.
pub(crate) struct PersistedState {
    pub(crate) about: StateHeader,
    pub(crate) authority: PersistedAuthority,
    pub(crate) time: PersistedTime,
    pub(crate) snapshot: Snapshot,
}

impl std::fmt::Debug for PersistedAuthority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeptAuthority(***)")
    }
}

impl PersistedState {
    /// Kinds of rows that there are many of.
    pub(crate) const KINDS: &[&str] = &["users", "accounts", "owners", "sessions", "hubs"];

    pub(crate) fn rows(&self) -> Vec<Row> {
        let Snapshot { random, tokens, accounts, sessions, hubs, copies: _ } = &self.snapshot;
        let mut rows = vec![
            Row::new("about", &self.about),
            Row::new("authority", &self.authority),
            Row::new(RowKey::Clock.key(), &self.time),
            Row::new("chance", random),
            Row::new("tokens", tokens),
        ];
        let touches = accounts.touches().into_iter().chain(sessions.touches());
        rows.extend(
            touches.map(|touch| Row { value: accounts.row(&touch).or_else(|| sessions.row(&touch)), key: touch.key() }),
        );
        rows.extend(hubs.iter().map(|snapshot| Row::new(RowKey::Hub(snapshot.serial().clone()).key(), snapshot)));
        rows
    }

    pub(crate) fn from_rows(rows: Vec<Row>) -> Result<Self, String> {
        let mut rows = Rows(rows.into_iter().filter_map(|row| Some((row.key, row.value?))).collect());
        let about: serde_json::Value = rows.one("about")?;
        if about["format"] != FORMAT {
            return Err(format!(
                "it is written in format {}, and this program reads format {FORMAT}: keep it for the version that wrote it, and \
                 begin in another folder",
                about["format"]
            ));
        }
        let about: StateHeader = serde_json::from_value(about).map_err(|error| format!("row \"about\": {error}"))?;
        let (authority, time): (_, PersistedTime) = (rows.one("authority")?, rows.one("clock")?);
        time.check()?;
        if !(0..=Clock::END_MS).contains(&about.begun_ms) {
            return Err("row \"about\": it began before 1970 or after 9999".into());
        }
        let (random, tokens): (Random, Tokens) = (rows.one("chance")?, rows.one("tokens")?);
        let accounts = Accounts::from_rows(&mut rows)?;
        let sessions = Sessions::from_rows(&mut rows)?;
        let mut hubs = Vec::new();
        for (serial, snapshot) in rows.all::<HubSnapshot>("hubs")? {
            if snapshot.serial().as_str() != serial {
                return Err(format!("row \"hubs/{serial}\" is hub {}", snapshot.serial()));
            }
            snapshot.check().map_err(|what| format!("row \"hubs/{serial}\": {what}"))?;
            hubs.push(snapshot.rehydrate());
        }
        match rows.0.into_keys().next() {
            Some(key) => Err(format!("nobody knows row {:?}", shown(&key))),
            None => Ok(Self {
                about,
                authority,
                time,
                snapshot: Snapshot { random, tokens, accounts, sessions, hubs, copies: Arc::default() },
            }),
        }
    }

    pub(crate) fn summary(&self) -> Summary {
        let Snapshot { accounts, sessions, hubs, .. } = &self.snapshot;
        let many = |kind: fn(&RowKey) -> bool| accounts.touches().iter().filter(|touch| kind(touch)).count();
        Summary {
            world: self.about.world.clone(),
            time: jiff::Timestamp::from_millisecond(self.time.now_ms).unwrap_or_default().to_string(),
            users: many(|touch| matches!(touch, RowKey::User(_))),
            owned: many(|touch| matches!(touch, RowKey::Owner(_))),
            hubs: hubs.len(),
            devices: hubs.iter().map(HubSnapshot::device_count).sum(),
            sessions: sessions.touches().len(),
        }
    }
}

/// Rows that have not been read yet.
pub(crate) struct Rows(BTreeMap<String, Vec<u8>>);

impl Rows {
    /// One row.
    #[cfg(feature = "cluster")]
    pub(crate) fn of(key: &str, value: &[u8]) -> Self {
        Self(BTreeMap::from([(key.to_owned(), value.to_vec())]))
    }

    pub(crate) fn one<T: DeserializeOwned>(&mut self, key: &str) -> Result<T, String> {
        let value = self.0.remove(key).ok_or_else(|| format!("it has no row {key:?}"))?;
        decoded(key, &value)
    }

    /// All rows of a kind, by name.
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

/// A session's key is a token: the kind has to do.
fn shown(key: &str) -> &str {
    match key.split_once('/') {
        Some(("sessions", _)) => "sessions",
        _ => key,
    }
}
