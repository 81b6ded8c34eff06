//! Faults on demand: what goes wrong, where, and when. One list, asked at each place where something can go wrong.
//!
//! The real service has done all of this to somebody (public clients' bug reports); when it does, nobody knows. So a fault is
//! always somebody's wish: by count first, then by match, then by chance, and chance comes from the world's seed.

use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use serde_json::Value;
use tokio::sync::watch;

use crate::random::Random;

mod catalogue;
mod kind;
pub(crate) mod message;
pub(crate) mod stream;
mod wish;

pub use catalogue::{CATALOGUE, CatalogueEntry};
pub use kind::FaultKind;
pub use wish::{Fault, FaultError, Match, Trigger};

/// Sets the chance of faults apart from that of the world.
const FAULT_SEED: u64 = 0x6661_756c_7473;

/// Faults that may be there at once.
const MOST: usize = 256;

/// Where something can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Listener,
    Connection,
    Login,
    Token,
    Record,
    Request,
    Upgrade,
    Message,
    Call,
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
    pub(crate) user: &'a str,
    pub(crate) params: Option<&'a Value>,
}

/// The faults of a cloud.
#[derive(Debug)]
pub(crate) struct Faults {
    /// Chance of their own: one that is there and does nothing changes nothing.
    random: Random,
    state: Mutex<State>,
    /// Whether there is any: asked on every frame.
    any: std::sync::atomic::AtomicBool,
    /// Counts additions and removals, for listeners that close and open again.
    changes: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    standing: Vec<Standing>,
}

impl Faults {
    pub(crate) fn new(seed: u64) -> Self {
        let random = Random::new(seed ^ FAULT_SEED);
        Self {
            random,
            state: Mutex::default(),
            any: std::sync::atomic::AtomicBool::new(false),
            changes: watch::Sender::default(),
        }
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
        self.changes.send_modify(|changes| *changes += 1);
        Ok(id)
    }

    /// Removes one, or all; says how many went.
    pub(crate) fn remove(&self, id: Option<u64>) -> usize {
        let mut state = self.lock();
        let before = state.standing.len();
        state.standing.retain(|standing| id.is_some_and(|id| id != standing.id));
        self.any.store(!state.standing.is_empty(), std::sync::atomic::Ordering::Relaxed);
        self.changes.send_modify(|changes| *changes += 1);
        before - state.standing.len()
    }

    /// Tells when faults come or go.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
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
