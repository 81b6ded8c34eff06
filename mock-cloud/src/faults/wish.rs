//! A fault as it is wished for: what, when, for whom; and what cannot be wished for.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha1::{Digest as _, Sha1};

use super::{CATALOGUE, Facts, FaultKind, MOST, Place};

/// Longest text of an error that is wished for.
const LONGEST_DATA: usize = 256;

/// When it goes wrong, counted over what matches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Trigger {
    /// Each time.
    #[default]
    Always,
    /// The first so many times.
    First(u64),
    /// Each so manieth time.
    Every(u64),
    /// The so manieth time only.
    Nth(u64),
    /// In that share of times, 0 to 1; 0 changes nothing.
    Chance(f64),
}

/// What has to be so. What is absent does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Match {
    /// Host name of the request, without port.
    pub host: Option<String>,
    /// Beginning of the path of the request.
    pub path: Option<String>,
    /// HTTP method, or method of the call or message; a broadcast's `msg_subclass`.
    pub method: Option<String>,
    /// Serial of the hub that the connection talks to.
    pub hub: Option<String>,
    /// Name of the user who asks: of the tokens of a request, or of the login of a connection.
    pub user: Option<String>,
    /// Uuid of the WebSocket connection, as in the journal.
    pub connection: Option<String>,
    /// Parameters of a call, or of the query of a request, and the values that they have to have.
    pub params: Option<Map<String, Value>>,
    /// Name of the listener: `cloud`, `access-point` or `lan`. The control API has no faults.
    pub listener: Option<String>,
}

/// A fault.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Fault {
    /// What goes wrong.
    #[serde(flatten)]
    pub kind: FaultKind,
    /// When.
    pub when: Trigger,
    /// For whom.
    #[serde(rename = "match")]
    pub matching: Match,
}

impl<'de> Deserialize<'de> for Fault {
    /// By hand: what is derived for flattened members passes over members that nobody knows, and a misspelt `when` would make
    /// a fault that always fires.
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        let mut wish = serde_json::Map::deserialize(deserializer)?;
        let when = wish.remove("when").map_or_else(|| Ok(Trigger::Always), serde_json::from_value);
        let matching = wish.remove("match").map_or_else(|| Ok(Match::default()), serde_json::from_value);
        let name = wish.get("fault").and_then(serde_json::Value::as_str).unwrap_or_default();
        let takes = CATALOGUE.iter().find(|entry| entry.fault == name).map(|entry| entry.takes);
        let known =
            |member: &str| member == "fault" || takes.is_none_or(|takes| takes.split(", ").any(|one| one == member));
        if let Some(strange) = wish.keys().find(|member| !known(member)) {
            let takes = takes.filter(|takes| !takes.is_empty()).map_or_else(String::new, |takes| format!(", {takes}"));
            return Err(D::Error::custom(format!("unknown member `{strange}`; {name} takes when, match{takes}")));
        }
        let kind = FaultKind::deserialize(serde_json::Value::Object(wish)).map_err(D::Error::custom)?;
        Ok(Self { kind, when: when.map_err(D::Error::custom)?, matching: matching.map_err(D::Error::custom)? })
    }
}

/// A fault cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FaultError {
    /// A number is out of bounds.
    #[error("{what} is not between {least} and {most}")]
    Bounds {
        /// Which.
        what: &'static str,
        /// The smallest.
        least: u64,
        /// The largest.
        most: u64,
    },
    /// It could never match.
    #[error("{fault} is about {place}, which have no {member}; match by {knows}")]
    NeverMatches {
        /// Name of the fault.
        fault: String,
        /// What it is about.
        place: &'static str,
        /// Member of the match.
        member: &'static str,
        /// What can be matched by.
        knows: String,
    },
    /// There is no such listener.
    #[error("no listener is called {name:?}; there are {}", LISTENERS.join(", "))]
    Listener {
        /// What was asked for.
        name: String,
    },
    /// A close code that stands for closes without one.
    #[error("close code {0} is never sent; `abort` ends a connection without one")]
    CloseCode(u16),
    /// No path begins so.
    #[error("path is the beginning of a path, as /autha; none begins with {0:?}")]
    Path(String),
    /// Nobody can count connections that are not taken.
    #[error("refuse is there until it is removed; nobody can count what the system turns away")]
    NotCounted,
    /// The processes of a cluster do not share what it needs.
    #[error("{0} is for a cloud of one process: each process of a cluster counts its own logins")]
    OfOneProcess(String),
    /// There are too many.
    #[error("there are {MOST} faults already; remove some")]
    TooMany,
}

impl Fault {
    /// Each time, for everybody.
    pub fn new(kind: FaultKind) -> Self {
        Self { kind, when: Trigger::Always, matching: Match::default() }
    }

    /// When.
    #[must_use]
    pub const fn when(mut self, when: Trigger) -> Self {
        self.when = when;
        self
    }

    /// Only for requests whose path begins so.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.matching.path = Some(path.into());
        self
    }

    /// Only for that HTTP method, or that method of a call or message.
    #[must_use]
    pub fn method(mut self, method: impl Into<String>) -> Self {
        self.matching.method = Some(method.into());
        self
    }

    /// The same for equal faults, in every run.
    pub(super) fn digest(&self) -> u64 {
        let digest = Sha1::digest(serde_json::to_vec(self).unwrap_or_default());
        digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    /// Only for that hub.
    #[must_use]
    pub fn hub(mut self, serial: impl Into<String>) -> Self {
        self.matching.hub = Some(serial.into());
        self
    }

    /// What a match may name depends on where the fault is: a connection has no path yet.
    fn check_match(&self) -> Result<(), FaultError> {
        let place = self.kind.place();
        let wanted = [
            ("host", self.matching.host.is_some()),
            ("path", self.matching.path.is_some()),
            ("method", self.matching.method.is_some()),
            ("user", self.matching.user.is_some()),
            ("connection", self.matching.connection.is_some()),
            ("params", self.matching.params.is_some()),
        ];
        for (member, is_wanted) in wanted {
            if is_wanted && !place.knows().contains(&member) {
                let knows = [place.knows(), &["hub", "listener"]].concat().join(", ");
                let fault = self.kind.name();
                return Err(FaultError::NeverMatches { fault, place: place.plural(), member, knows });
            }
        }
        let Match { hub, listener, user, .. } = &self.matching;
        let is_cloud = matches!(place, Place::Login | Place::Token | Place::Record);
        let local = listener.as_deref().is_some_and(|name| name != "cloud");
        // A connection to the cloud is nobody's hub's before it says something.
        let of_nobody = matches!(place, Place::Listener | Place::Connection | Place::Upgrade)
            && listener.as_deref() == Some("cloud");
        // A login and a token are nobody's hub's; users are known to the cloud alone.
        let never = [
            ("hub", hub.is_some() && matches!(place, Place::Login | Place::Token)),
            ("listener", local && is_cloud),
            ("user on that listener", local && user.is_some()),
            ("hub on that listener", of_nobody && hub.is_some()),
        ];
        if let Some((member, _)) = never.into_iter().find(|(_, never)| *never) {
            let knows = place.knows().join(", ");
            return Err(FaultError::NeverMatches { fault: self.kind.name(), place: place.plural(), member, knows });
        }
        if let Some(path) = self.matching.path.as_ref().filter(|path| !path.starts_with('/')) {
            return Err(FaultError::Path(path.clone()));
        }
        match &self.matching.listener {
            Some(name) if !LISTENERS.contains(&name.as_str()) => Err(FaultError::Listener { name: name.clone() }),
            _ => Ok(()),
        }
    }

    pub(super) fn check(&self) -> Result<(), FaultError> {
        self.check_match()?;
        if self.kind == FaultKind::Refuse && self.when != Trigger::Always {
            return Err(FaultError::NotCounted);
        }
        let within = |what, value: u64, least, most| {
            if (least..=most).contains(&value) { Ok(()) } else { Err(FaultError::Bounds { what, least, most }) }
        };
        match (&self.kind, self.when) {
            (_, Trigger::First(0)) => within("first", 0, 1, u64::MAX),
            (_, Trigger::Every(0)) => within("every", 0, 1, u64::MAX),
            (_, Trigger::Nth(0)) => within("nth", 0, 1, u64::MAX),
            (_, Trigger::Chance(share)) if !(0.0..=1.0).contains(&share) => within("chance", 2, 0, 1),
            (FaultKind::Status { status, .. }, _) => within("status", u64::from(*status), 400, 599),
            (FaultKind::UpgradeRefused { status: 200 }, _) => Ok(()),
            (FaultKind::UpgradeRefused { status }, _) => within("status", u64::from(*status), 400, 599),
            (FaultKind::Close { code: code @ (1005 | 1006 | 1015) }, _) => Err(FaultError::CloseCode(*code)),
            (FaultKind::Close { code }, _) => within("code", u64::from(*code), 1000, 4999),
            (FaultKind::PingFlood { count } | FaultKind::Storm { count }, _) => {
                within("count", u64::from(*count), 1, 10_000)
            }
            (FaultKind::Oversize { bytes }, _) => within("bytes", *bytes as u64, 1, 64 << 20),
            (FaultKind::Latency { millis, jitter, deviation }, _) => {
                within("millis", *millis, 0, 60_000)?;
                within("jitter", *jitter, 0, 60_000)?;
                within("deviation", *deviation, 0, 60_000)
            }
            (FaultKind::SlowClose { millis } | FaultKind::SlowHead { millis }, _) => {
                within("millis", *millis, 1, 60_000)
            }
            (FaultKind::Bandwidth { bytes_per_second }, _) => within("bytes_per_second", *bytes_per_second, 1, 1 << 40),
            (FaultKind::SlowAnswer { millis } | FaultKind::LateMessage { millis }, _) => {
                within("millis", *millis, 0, 60_000)
            }
            (FaultKind::RpcError { data, .. }, _) => {
                within("length of data", data.len() as u64, 0, LONGEST_DATA as u64)
            }
            (FaultKind::EarlyExpiry { seconds }, _) => within("seconds", u64::from(*seconds), 0, 86_400),
            (FaultKind::ClockSkew { seconds }, _) => {
                within("seconds, with its sign left out,", seconds.unsigned_abs(), 1, 31_536_000)
            }
            (FaultKind::Slices { bytes }, _) => within("bytes", *bytes as u64, 1, 1 << 20),
            _ => Ok(()),
        }
    }
}

/// Where faults can be.
pub(crate) const LISTENERS: &[&str] = &["cloud", "access-point", "lan"];

impl Place {
    /// Members of a match that are known there, beside hub and listener.
    const fn knows(self) -> &'static [&'static str] {
        match self {
            Self::Listener | Self::Connection => &[],
            Self::Request => &["host", "path", "method", "user", "params"],
            Self::Upgrade => &["host", "path", "method", "params"],
            Self::Login | Self::Token | Self::Record => &["host", "path", "user"],
            Self::Message => &["method", "user", "connection"],
            Self::Call => &["method", "user", "connection", "params"],
        }
    }

    const fn plural(self) -> &'static str {
        match self {
            Self::Listener => "listeners",
            Self::Connection => "connections",
            Self::Login => "logins",
            Self::Token => "tokens that are checked",
            Self::Record => "records of hubs",
            Self::Request => "requests",
            Self::Upgrade => "WebSocket upgrades",
            Self::Message => "messages",
            Self::Call => "calls",
        }
    }
}

impl Match {
    pub(super) fn holds(&self, facts: &Facts<'_>) -> bool {
        let same = |wanted: &Option<String>, have: &str| wanted.as_deref().is_none_or(|wanted| wanted == have);
        same(&self.host, facts.host)
            && same(&self.method, facts.method)
            && same(&self.hub, facts.hub)
            && same(&self.connection, facts.connection)
            && self.user.as_deref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(facts.user))
            && self.params.as_ref().is_none_or(|wanted| has(facts.params, wanted))
            && same(&self.listener, facts.listener)
            && self.path.as_deref().is_none_or(|start| facts.path.starts_with(start))
    }
}

/// Whether all of these are there, with these values. Values of a query are text.
fn has(params: Option<&Value>, wanted: &Map<String, Value>) -> bool {
    let same = |have: &Value, want: &Value| {
        let text = want.to_string();
        have == want || have.as_str() == Some(&text)
    };
    wanted.iter().all(|(name, want)| params.and_then(|params| params.get(name)).is_some_and(|have| same(have, want)))
}
