//! Faults on demand: what goes wrong, where, and when. One list, asked at each place where something can go wrong.
//!
//! The real service has done all of this to somebody (public clients' bug reports); when it does, nobody knows. So a fault is
//! always somebody's wish: by count first, then by match, then by chance, and chance comes from the world's seed.

use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::random::Random;

mod catalogue;
mod kind;
pub(crate) mod message;
pub(crate) mod stream;

pub use catalogue::{CATALOGUE, CatalogueEntry};
pub use kind::FaultKind;

/// Sets the chance of faults apart from that of the world.
const FAULT_SEED: u64 = 0x6661_756c_7473;

/// Longest text of an error that is wished for.
const LONGEST_DATA: usize = 256;

/// Faults that may be there at once.
const MOST: usize = 256;

/// Where something can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Connection,
    Request,
    Upgrade,
    Message,
    Call,
}

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

/// A fault as it stands, with what it has done.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Standing {
    /// Its number.
    pub id: u64,
    /// What it is.
    #[serde(flatten)]
    pub fault: Fault,
    /// How often something matched.
    pub matched: u64,
    /// How often it went wrong.
    pub fired: u64,
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
        ];
        for (member, is_wanted) in wanted {
            if is_wanted && !place.knows().contains(&member) {
                let knows = [place.knows(), &["hub", "listener"]].concat().join(", ");
                let fault = self.kind.name();
                return Err(FaultError::NeverMatches { fault, place: place.plural(), member, knows });
            }
        }
        match &self.matching.listener {
            Some(name) if !LISTENERS.contains(&name.as_str()) => Err(FaultError::Listener { name: name.clone() }),
            _ => Ok(()),
        }
    }

    fn check(&self) -> Result<(), FaultError> {
        self.check_match()?;
        let within = |what, value: u64, least, most| {
            if (least..=most).contains(&value) { Ok(()) } else { Err(FaultError::Bounds { what, least, most }) }
        };
        match (&self.kind, self.when) {
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
            (FaultKind::Latency { millis }, _) => within("millis", *millis, 1, 60_000),
            (FaultKind::Bandwidth { bytes_per_second }, _) => within("bytes_per_second", *bytes_per_second, 1, 1 << 40),
            (FaultKind::SlowAnswer { millis } | FaultKind::LateMessage { millis }, _) => {
                within("millis", *millis, 0, 60_000)
            }
            (FaultKind::RpcError { data, .. }, _) => {
                within("length of data", data.len() as u64, 0, LONGEST_DATA as u64)
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
            Self::Connection => &[],
            Self::Request | Self::Upgrade => &["host", "path", "method"],
            Self::Message | Self::Call => &["method"],
        }
    }

    const fn plural(self) -> &'static str {
        match self {
            Self::Connection => "connections",
            Self::Request => "requests",
            Self::Upgrade => "WebSocket upgrades",
            Self::Message => "messages",
            Self::Call => "calls",
        }
    }
}

/// What is about to happen.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Facts<'a> {
    /// Uuid of the connection of a message.
    pub(crate) connection: &'a str,
    pub(crate) host: &'a str,
    pub(crate) path: &'a str,
    pub(crate) method: &'a str,
    pub(crate) hub: &'a str,
    pub(crate) listener: &'a str,
}

impl Match {
    fn holds(&self, facts: &Facts<'_>) -> bool {
        let same = |wanted: &Option<String>, have: &str| wanted.as_deref().is_none_or(|wanted| wanted == have);
        same(&self.host, facts.host)
            && same(&self.method, facts.method)
            && same(&self.hub, facts.hub)
            && same(&self.listener, facts.listener)
            && self.path.as_deref().is_none_or(|start| facts.path.starts_with(start))
    }
}

/// The faults of a cloud.
#[derive(Debug)]
pub(crate) struct Faults {
    /// Chance of their own: one that is there and does nothing changes nothing.
    random: Random,
    state: Mutex<State>,
    /// Whether there is any: asked on every frame.
    any: std::sync::atomic::AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    standing: Vec<Standing>,
}

impl Faults {
    pub(crate) fn new(seed: u64) -> Self {
        let random = Random::new(seed ^ FAULT_SEED);
        Self { random, state: Mutex::default(), any: std::sync::atomic::AtomicBool::new(false) }
    }

    /// True in that share of cases, for what a profile does by chance.
    pub(crate) fn chance(&self, share: f64) -> bool {
        self.random.chance(share)
    }

    pub(crate) fn add(&self, fault: Fault) -> Result<u64, FaultError> {
        fault.check()?;
        let mut state = self.lock();
        if state.standing.len() >= MOST {
            return Err(FaultError::TooMany);
        }
        state.next += 1;
        let id = state.next;
        state.standing.push(Standing { id, fault, matched: 0, fired: 0 });
        self.any.store(true, std::sync::atomic::Ordering::Relaxed);
        Ok(id)
    }

    /// Removes one, or all; says how many went.
    pub(crate) fn remove(&self, id: Option<u64>) -> usize {
        let mut state = self.lock();
        let before = state.standing.len();
        state.standing.retain(|standing| id.is_some_and(|id| id != standing.id));
        self.any.store(!state.standing.is_empty(), std::sync::atomic::Ordering::Relaxed);
        before - state.standing.len()
    }

    /// Whether there is any: messages go the short way while there is none.
    pub(crate) fn are_there(&self) -> bool {
        self.any.load(std::sync::atomic::Ordering::Relaxed)
    }

    pub(crate) fn list(&self) -> Vec<Standing> {
        self.lock().standing.clone()
    }

    /// What goes wrong here now, if anything, with its number: the first that matches and whose turn it is. Those after it do
    /// not count this time.
    pub(crate) fn at(&self, place: Place, facts: &Facts<'_>) -> Option<(u64, FaultKind)> {
        if !self.are_there() {
            return None;
        }
        let mut state = self.lock();
        for standing in &mut state.standing {
            if standing.fault.kind.place() != place || !standing.fault.matching.holds(facts) {
                continue;
            }
            standing.matched += 1;
            let times = standing.matched;
            let due = match standing.fault.when {
                Trigger::Always => true,
                Trigger::First(most) => times <= most,
                Trigger::Every(step) => times % step == 0,
                Trigger::Nth(which) => times == which,
                Trigger::Chance(share) => self.random.chance(share) && share > 0.0,
            };
            if due {
                standing.fired += 1;
                tracing::info!(fault = standing.fault.kind.name(), id = standing.id, "something goes wrong");
                return Some((standing.id, standing.fault.kind.clone()));
            }
        }
        None
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a message is about: the method of a call or answer, the name of a broadcast.
pub(crate) fn name_of(text: &str) -> String {
    let envelope = ezlo_protocol::rpc::Envelope::parse(text).unwrap_or_default();
    envelope.msg_subclass.or(envelope.method).map(std::borrow::Cow::into_owned).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fired(when: Trigger, times: u64) -> Vec<u64> {
        let faults = Faults::new(1);
        faults.add(Fault::new(FaultKind::EmptyAnswer).when(when)).unwrap();
        let hits = |_: &u64| faults.at(Place::Request, &Facts::default()).is_some();
        (1..=times).filter(hits).collect()
    }

    #[test]
    fn counts_come_first() {
        assert_eq!(fired(Trigger::First(2), 5), [1, 2]);
        assert_eq!(fired(Trigger::Every(2), 5), [2, 4]);
        assert_eq!(fired(Trigger::Nth(3), 5), [3]);
        assert_eq!(fired(Trigger::Always, 2), [1, 2]);
        assert!(fired(Trigger::Chance(0.0), 100).is_empty(), "nothing changes");
        assert_eq!(fired(Trigger::Chance(1.0), 3), [1, 2, 3]);
        let some = fired(Trigger::Chance(0.5), 100);
        assert!((20..80).contains(&some.len()) && some == fired(Trigger::Chance(0.5), 100), "the seed repeats it");
    }

    #[test]
    fn only_what_matches_counts() {
        let faults = Faults::new(1);
        let id = faults.add(Fault::new(FaultKind::EmptyAnswer).path("/autha").method("GET").when(Trigger::Nth(2)));
        let at = |path, method| {
            let facts = Facts { path, method, ..Facts::default() };
            faults.at(Place::Request, &facts).map(|(_, kind)| kind)
        };
        assert!(at("/autha/x", "GET").is_none() && at("/info", "GET").is_none() && at("/autha", "PUT").is_none());
        assert!(faults.at(Place::Connection, &Facts::default()).is_none());
        assert_eq!(at("/autha/y", "GET"), Some(FaultKind::EmptyAnswer));
        let standing = &faults.list()[0];
        assert_eq!((Ok(standing.id), standing.matched, standing.fired), (id, 2, 1));
        assert_eq!((faults.remove(None), faults.list().len()), (1, 0));
    }

    #[test]
    fn wishes_are_checked() {
        let read = |wish: serde_json::Value| serde_json::from_value::<Fault>(wish);
        let wish = read(
            json!({"fault": "status", "status": 503, "retry_after": 2, "when": {"first": 1}, "match": {"path": "/x"}}),
        );
        let wish = wish.unwrap();
        assert_eq!(wish.kind, FaultKind::Status { status: 503, retry_after: Some(2) });
        assert_eq!((wish.when, wish.matching.path.as_deref()), (Trigger::First(1), Some("/x")));
        assert!(read(json!({"fault": "nothing"})).is_err());
        assert!(read(json!({"fault": "abort", "match": {"colour": 1}})).is_err());
        for (wish, said) in [
            (json!({"fault": "abort", "wen": {"first": 1}}), "unknown member `wen`; abort takes when, match"),
            (json!({"fault": "close", "code": 1000, "reason": "x"}), "close takes when, match, code"),
        ] {
            assert!(read(wish.clone()).unwrap_err().to_string().contains(said), "{wish}");
        }
        let faults = Faults::new(1);
        for (wish, said) in [
            (
                json!({"fault": "reset_on_accept", "match": {"path": "/autha"}}),
                "connections, which have no path; match by hub",
            ),
            (json!({"fault": "abort", "match": {"listener": "lann"}}), "cloud, access-point, lan"),
            (json!({"fault": "close", "code": 1006}), "abort"),
            (json!({"fault": "rpc_error", "code": 1, "data": "x".repeat(257)}), "length of data"),
        ] {
            let error = faults.add(read(wish.clone()).unwrap()).unwrap_err().to_string();
            assert!(error.contains(said), "{wish}: {error}");
        }
        for kind in [FaultKind::Status { status: 200, retry_after: None }, FaultKind::Slices { bytes: 0 }] {
            assert!(matches!(faults.add(Fault::new(kind)), Err(FaultError::Bounds { .. })));
        }
        assert!(faults.add(Fault::new(FaultKind::Abort).when(Trigger::Chance(f64::NAN))).is_err());
        for _ in 0..MOST {
            faults.add(Fault::new(FaultKind::Abort)).unwrap();
        }
        assert_eq!(faults.add(Fault::new(FaultKind::Abort)), Err(FaultError::TooMany));
    }

    #[test]
    fn the_catalogue_is_what_can_be_wished_for() {
        for entry in CATALOGUE {
            let mut wish = json!({"fault": entry.fault});
            for name in entry.takes.split(", ").filter(|name| !name.is_empty()) {
                wish[name] = if name == "data" { json!("x") } else { json!(500) };
            }
            let read = serde_json::from_value::<Fault>(wish.clone());
            assert!(read.is_ok(), "{wish}: {read:?}");
        }
        let unknown = serde_json::from_value::<Fault>(json!({"fault": "nothing"})).unwrap_err().to_string();
        for entry in CATALOGUE {
            assert!(unknown.contains(&format!("`{}`", entry.fault)), "{}", entry.fault);
        }
        assert_eq!(unknown.matches('`').count() / 2 - 1, CATALOGUE.len(), "{unknown}");
    }
}
