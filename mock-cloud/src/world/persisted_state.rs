//! The state of a whole world as persisted rows.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::core::clock::Clock;
use crate::core::rng::Random;
use crate::persistence::rows::{Row, RowKey, Rows, shown};
use crate::tls::PersistedAuthority;
use crate::world::accounts::Accounts;
use crate::world::hub_actor::hub_snapshot::HubSnapshot;
use crate::world::sessions::Sessions;
use crate::world::snapshot::Snapshot;
use crate::world::tokens::Tokens;

/// A summary of a persisted state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Name or path of the world that the state was created from.
    pub world: String,
    /// Simulated time of the state, in RFC 3339.
    pub time: String,
    /// Number of users.
    pub users: usize,
    /// Number of persisted hubs. Of an entry with many hubs, only those that were accessed are persisted.
    pub hubs: usize,
    /// Number of hubs with an owner, persisted or not.
    pub owned: usize,
    /// Number of devices of the persisted hubs.
    pub devices: usize,
    /// Number of session tokens, including expired ones.
    pub sessions: usize,
}

/// Version of the format of the rows. Other versions are refused.
pub(crate) const FORMAT: u32 = 2;

/// The row `about`, which identifies the world of a state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StateHeader {
    pub(crate) format: u32,
    /// Name and version of the program that wrote the state. Informative only.
    pub(crate) program: String,
    /// Name or path of the world.
    pub(crate) world: String,
    /// Digest of the text of the world file.
    pub(crate) digest: String,
    /// Random seed. With world and start, it determines the initial state of hubs that are not persisted.
    pub(crate) seed: u64,
    /// Start of the world, in Unix milliseconds.
    pub(crate) begun_ms: i64,
    /// True if device behaviours are simulated.
    pub(crate) living: bool,
}

impl StateHeader {
    pub(crate) fn new(world: &str, digest: &str, seed: u64, begun_ms: i64, living: bool) -> Self {
        let program = concat!("mock-cloud ", env!("CARGO_PKG_VERSION")).into();
        Self { format: FORMAT, program, world: world.into(), digest: digest.into(), seed, begun_ms, living }
    }
}

/// The row `clock`: time and speed of a state.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct PersistedTime {
    /// Unix milliseconds.
    pub(crate) now_ms: i64,
    /// Speed, as [`Clock::speed`] returns it.
    pub(crate) speed: f64,
}

impl PersistedTime {
    pub(crate) fn of(clock: &Clock) -> Self {
        Self { now_ms: clock.now_ms(), speed: clock.speed() }
    }

    pub(crate) fn check(self) -> Result<(), String> {
        let is_speed = self.speed == 0.0 || (Clock::SLOWEST..=Clock::FASTEST).contains(&self.speed);
        if (0..=Clock::END_MS).contains(&self.now_ms) && is_speed {
            Ok(())
        } else {
            Err("row \"clock\": the time is not between 1970 and 9999, or the speed is out of range".into())
        }
    }
}

/// The whole state of a world.
pub(crate) struct PersistedState {
    pub(crate) about: StateHeader,
    pub(crate) authority: PersistedAuthority,
    pub(crate) time: PersistedTime,
    pub(crate) snapshot: Snapshot,
}

impl PersistedState {
    /// Kinds of rows that can occur more than once.
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
        let touches = accounts.dirty_rows().into_iter().chain(sessions.dirty_rows());
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
                "the state has format {}, but this program reads format {FORMAT}; use the version that wrote it, or another \
                 directory",
                about["format"]
            ));
        }
        let about: StateHeader = serde_json::from_value(about).map_err(|error| format!("row \"about\": {error}"))?;
        let (authority, time): (_, PersistedTime) = (rows.one("authority")?, rows.one("clock")?);
        time.check()?;
        if !(0..=Clock::END_MS).contains(&about.begun_ms) {
            return Err("row \"about\": the start of the world is not between 1970 and 9999".into());
        }
        let (random, tokens): (Random, Tokens) = (rows.one("chance")?, rows.one("tokens")?);
        let accounts = Accounts::from_rows(&mut rows)?;
        let sessions = Sessions::from_rows(&mut rows)?;
        let mut hubs = Vec::new();
        for (serial, snapshot) in rows.all::<HubSnapshot>("hubs")? {
            if snapshot.serial().as_str() != serial {
                return Err(format!("row \"hubs/{serial}\" contains hub {}", snapshot.serial()));
            }
            snapshot.check().map_err(|what| format!("row \"hubs/{serial}\": {what}"))?;
            hubs.push(snapshot.rehydrate());
        }
        match rows.0.into_keys().next() {
            Some(key) => Err(format!("unknown row {:?}", shown(&key))),
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
        let many = |kind: fn(&RowKey) -> bool| accounts.dirty_rows().iter().filter(|touch| kind(touch)).count();
        Summary {
            world: self.about.world.clone(),
            time: jiff::Timestamp::from_millisecond(self.time.now_ms).unwrap_or_default().to_string(),
            users: many(|touch| matches!(touch, RowKey::User(_))),
            owned: many(|touch| matches!(touch, RowKey::Owner(_))),
            hubs: hubs.len(),
            devices: hubs.iter().map(HubSnapshot::device_count).sum(),
            sessions: sessions.dirty_rows().len(),
        }
    }
}
