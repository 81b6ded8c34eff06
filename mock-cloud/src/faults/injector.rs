//! The active faults of a cloud, and the decision whether one is injected.
//!
//! Faults are injected only on request. The trigger decides by count or by chance among the events that match; chance comes from
//! the world's seed, separately for each fault.

use crate::faults::profile;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use tokio::sync::watch;

use crate::config::Profile;
use crate::core::rng::Random;

use crate::faults::kinds::FaultKind;
use crate::faults::point::{InjectionContext, InjectionPoint};
use crate::faults::spec::{Fault, FaultError, MAX_FAULTS, Trigger};

/// Sets the chance of faults apart from that of the world.
const FAULT_SEED: u64 = 0x6661_756c_7473;

/// A fault as it stands, with what it has done.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct ActiveFault {
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

/// A fault with the chance that is its own: one that comes, goes, or does nothing, changes nothing for the others.
#[derive(Debug)]
struct FaultEntry {
    active: ActiveFault,
    random: Random,
    /// Whether it is of the profile. Those act after all others.
    of_profile: bool,
}

/// What came of asking whether something goes wrong.
#[derive(Debug, Default)]
pub(crate) struct Decision {
    /// What does, with its number.
    pub(crate) fired: Option<(u64, FaultKind)>,
    /// What might have, by chance, and did not: number, name and share.
    pub(crate) skipped: Vec<(u64, &'static str, f64)>,
}

impl FaultEntry {
    fn is_at(&self, place: InjectionPoint, facts: &InjectionContext<'_>) -> bool {
        self.active.fault.kind.injection_point() == place && self.active.fault.matching.holds(facts)
    }
}

/// The faults of a cloud.
#[derive(Debug)]
pub(crate) struct Faults {
    seed: u64,
    state: Mutex<State>,
    /// Whether there is any: asked on every frame.
    any: std::sync::atomic::AtomicBool,
    /// Counts additions and removals, for listeners that close and open again.
    changes: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    held: Vec<FaultEntry>,
    /// Connections that have chance of their own.
    connections: u64,
    /// How often each kind went wrong, those that are gone too.
    fired: BTreeMap<&'static str, u64>,
}

impl Faults {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed: seed ^ FAULT_SEED,
            state: Mutex::default(),
            any: std::sync::atomic::AtomicBool::new(false),
            changes: watch::Sender::default(),
        }
    }

    pub(crate) fn add(&self, fault: Fault) -> Result<u64, FaultError> {
        self.add_one(fault, false)
    }

    /// Those of a profile; their numbers.
    pub(crate) fn add_profile(&self, profile: Profile) -> Result<Vec<u64>, FaultError> {
        let faults = profile::faults(profile);
        // All of them or none.
        if self.lock().held.len() + faults.len() > MAX_FAULTS {
            return Err(FaultError::TooMany);
        }
        faults.into_iter().map(|fault| self.add_one(fault, true)).collect()
    }

    fn add_one(&self, fault: Fault, of_profile: bool) -> Result<u64, FaultError> {
        fault.check()?;
        let mut state = self.lock();
        if state.held.len() >= MAX_FAULTS {
            return Err(FaultError::TooMany);
        }
        state.next += 1;
        let id = state.next;
        let alike = state.held.iter().filter(|held| held.active.fault == fault).count();
        let random = Random::new(self.seed ^ fault.digest() ^ alike as u64);
        let held = FaultEntry { active: ActiveFault { id, fault, matched: 0, fired: 0 }, random, of_profile };
        let decide = if of_profile { state.held.len() } else { state.held.partition_point(|held| !held.of_profile) };
        state.held.insert(decide, held);
        self.any.store(true, std::sync::atomic::Ordering::Relaxed);
        self.changes.send_modify(|changes| *changes += 1);
        Ok(id)
    }

    /// Removes one, or all; says how many went.
    pub(crate) fn remove(&self, id: Option<u64>) -> usize {
        let mut state = self.lock();
        let before = state.held.len();
        state.held.retain(|held| id.is_some_and(|id| id != held.active.id));
        self.any.store(!state.held.is_empty(), std::sync::atomic::Ordering::Relaxed);
        self.changes.send_modify(|changes| *changes += 1);
        before - state.held.len()
    }

    /// Tells when faults come or go.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Whether there is any: messages go the short way while there is none.
    pub(crate) fn any_active(&self) -> bool {
        self.any.load(std::sync::atomic::Ordering::Relaxed)
    }

    pub(crate) fn list(&self) -> Vec<ActiveFault> {
        self.lock().held.iter().map(|held| held.active.clone()).collect()
    }

    /// How often each kind went wrong.
    pub(crate) fn fired(&self) -> BTreeMap<&'static str, u64> {
        self.lock().fired.clone()
    }

    /// What the chance of a connection begins with; each has another one.
    pub(crate) fn seed_of_one(&self) -> u64 {
        let mut state = self.lock();
        state.connections += 1;
        self.seed ^ state.connections
    }

    /// Whether one stands here that always acts; nobody counts it.
    pub(crate) fn is_active(&self, place: InjectionPoint, facts: &InjectionContext<'_>) -> bool {
        self.any_active() && self.lock().held.iter().any(|held| held.is_at(place, facts))
    }

    /// What goes wrong here now, if anything: the first that matches, can do something here, and whose turn it is. Those after
    /// it do not count this time.
    pub(crate) fn decide(
        &self,
        place: InjectionPoint,
        facts: &InjectionContext<'_>,
        can: impl Fn(&FaultKind) -> bool,
    ) -> Decision {
        let mut decided = Decision::default();
        if !self.any_active() {
            return decided;
        }
        let mut state = self.lock();
        let state = &mut *state;
        for held in &mut state.held {
            if !held.is_at(place, facts) || !can(&held.active.fault.kind) {
                continue;
            }
            let FaultEntry { active, random, .. } = held;
            active.matched += 1;
            let times = active.matched;
            let due = match active.fault.when {
                Trigger::Always => true,
                Trigger::First(most) => times <= most,
                Trigger::Every(step) => times % step == 0,
                Trigger::Nth(which) => times == which,
                // Nothing is decided.
                Trigger::Chance(0.0) => false,
                Trigger::Chance(chance) => random.chance(chance),
            };
            if due {
                active.fired += 1;
                *state.fired.entry(active.fault.kind.name()).or_default() += 1;
                tracing::info!(fault = active.fault.kind.name(), id = active.id, "something goes wrong");
                decided.fired = Some((active.id, active.fault.kind.clone()));
                break;
            }
            if let Trigger::Chance(chance) = active.fault.when
                && chance > 0.0
            {
                decided.skipped.push((active.id, active.fault.kind.name(), chance));
            }
        }
        decided
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
    use crate::faults::kinds::CATALOGUE;
    use serde_json::json;

    fn fired(when: Trigger, times: u64) -> Vec<u64> {
        let faults = Faults::new(1);
        faults.add(Fault::new(FaultKind::EmptyAnswer).when(when)).unwrap();
        let hits =
            |_: &u64| faults.decide(InjectionPoint::Request, &InjectionContext::default(), |_| true).fired.is_some();
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

    /// What one fault decides does not depend on what else there is.
    #[test]
    fn each_has_a_chance_of_its_own() {
        let half = || Fault::new(FaultKind::Status { status: 500, retry_after: None }).when(Trigger::Chance(0.5));
        let decisions = |others: &[Fault]| {
            let faults = Faults::new(7);
            others.iter().for_each(|other| assert!(faults.add(other.clone()).is_ok()));
            let id = faults.add(half()).unwrap();
            let decide = |_| {
                let decided = faults.decide(InjectionPoint::Request, &InjectionContext::default(), |_| true);
                let skipped = decided.skipped.iter().any(|(skipped, ..)| *skipped == id);
                assert_ne!(decided.fired.is_some(), skipped, "every decision is told");
                decided.fired.is_some()
            };
            (0..64).map(decide).collect::<Vec<_>>()
        };
        let nothing = Fault::new(FaultKind::HtmlPage).when(Trigger::Chance(0.0));
        let elsewhere = Fault::new(FaultKind::Abort).when(Trigger::Chance(0.5));
        assert_eq!(decisions(&[]), decisions(&[nothing, elsewhere]));
        let faults = Faults::new(7);
        faults.add_profile(Profile::Hostile).unwrap();
        let own = faults.add(Fault::new(FaultKind::BadSignature)).unwrap();
        let login = faults.decide(
            InjectionPoint::Login,
            &InjectionContext { listener: "cloud", ..InjectionContext::default() },
            |_| true,
        );
        assert_eq!(
            login.fired,
            Some((own, FaultKind::BadSignature)),
            "a profile's come after those that somebody wants"
        );
    }

    #[test]
    fn only_what_matches_counts() {
        let faults = Faults::new(1);
        let id = faults.add(Fault::new(FaultKind::EmptyAnswer).path("/autha").method("GET").when(Trigger::Nth(2)));
        let decide = |path, method| {
            let facts = InjectionContext { path, method, ..InjectionContext::default() };
            faults.decide(InjectionPoint::Request, &facts, |_| true).fired.map(|(_, kind)| kind)
        };
        assert!(
            decide("/autha/x", "GET").is_none()
                && decide("/info", "GET").is_none()
                && decide("/autha", "PUT").is_none()
        );
        assert!(faults.decide(InjectionPoint::Connection, &InjectionContext::default(), |_| true).fired.is_none());
        assert!(
            faults.decide(InjectionPoint::Request, &InjectionContext::default(), |_| false).fired.is_none(),
            "it can do nothing there"
        );
        assert_eq!(decide("/autha/y", "GET"), Some(FaultKind::EmptyAnswer));
        let active = &faults.list()[0];
        assert_eq!((Ok(active.id), active.matched, active.fired), (id, 2, 1));
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
        for kind in [FaultKind::Status { status: 200, retry_after: None }, FaultKind::FragmentWrites { bytes: 0 }] {
            assert!(matches!(faults.add(Fault::new(kind)), Err(FaultError::Bounds { .. })));
        }
        assert!(faults.add(Fault::new(FaultKind::Abort).when(Trigger::Chance(f64::NAN))).is_err());
        for _ in 0..MAX_FAULTS {
            faults.add(Fault::new(FaultKind::Abort)).unwrap();
        }
        assert_eq!(faults.add(Fault::new(FaultKind::Abort)), Err(FaultError::TooMany));
    }

    #[test]
    fn the_catalogue_is_what_can_be_wished_for() {
        for entry in CATALOGUE {
            let mut wish = json!({"fault": entry.fault});
            for parameter in entry.parameters {
                wish[parameter.name] = if parameter.json_type == "string" { json!("x") } else { json!(500) };
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
