//! The active faults of a cloud, and the decision whether one is injected.
//!
//! Faults are injected only on request. The trigger decides by count or by chance among the matching events. Each fault has its
//! own random numbers, from the seed of the world.

use crate::faults::profile;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use tokio::sync::watch;

use crate::config::Profile;
use crate::core::rng::Random;

use crate::faults::kinds::{FaultKind, PointFault};
use crate::faults::point::InjectionContext;
use crate::faults::spec::{FaultError, FaultSpec, MAX_FAULTS, Trigger};

/// Separates the random numbers of faults from those of the world.
const FAULT_SEED: u64 = 0x6661_756c_7473;

/// An active fault with its counters.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct ActiveFault {
    /// Id of the fault. It removes the fault and identifies it in the journal.
    pub id: u64,
    /// The requested fault.
    #[serde(flatten)]
    pub fault: FaultSpec,
    /// Number of events that matched and to which the fault was applicable.
    pub matched: u64,
    /// Number of events for which the trigger fired.
    pub fired: u64,
}

/// A fault with its own random numbers, so that it does not change the decisions of other faults.
#[derive(Debug)]
struct FaultEntry {
    active: ActiveFault,
    random: Random,
    /// The fault belongs to a profile and is evaluated after all others.
    of_profile: bool,
}

/// The result of the evaluation of the faults for one event.
#[derive(Debug)]
pub(crate) struct Decision<F> {
    /// The fault that fired, as one of its injection point and as one of the catalogue, with its id.
    pub(crate) fired: Option<(u64, F, FaultKind)>,
    /// Faults whose `chance` trigger did not fire: id, name and probability.
    pub(crate) skipped: Vec<(u64, &'static str, f64)>,
}

impl FaultEntry {
    /// Returns the fault if it acts at the injection point of `F` and matches.
    fn at<F: PointFault>(&self, facts: &InjectionContext<'_>) -> Option<F> {
        F::of(&self.active.fault.kind).filter(|_| self.active.fault.matcher.holds(facts))
    }
}

/// The active faults of a cloud.
#[derive(Debug)]
pub(crate) struct Faults {
    seed: u64,
    state: Mutex<State>,
    /// At least one fault is active. Read for every frame, so without the lock.
    any: std::sync::atomic::AtomicBool,
    /// Number of additions and removals. Listeners that close and reopen wait for a change.
    changes: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    held: Vec<FaultEntry>,
    /// Number of connections that got a seed.
    connections: u64,
    /// Number of fired events by kind, including those of removed faults.
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

    /// Adds a fault; returns its id.
    ///
    /// # Errors
    ///
    /// The [`FaultError`] of an invalid fault, or [`FaultError::TooMany`].
    pub(crate) fn add(&self, fault: FaultSpec) -> Result<u64, FaultError> {
        self.add_one(fault, false)
    }

    /// Adds the faults of a profile; returns their ids.
    ///
    /// # Errors
    ///
    /// [`FaultError::TooMany`] if they exceed the maximum. Then none of them is added.
    pub(crate) fn add_profile(&self, profile: Profile) -> Result<Vec<u64>, FaultError> {
        let faults = profile::faults(profile);
        if self.lock().held.len() + faults.len() > MAX_FAULTS {
            return Err(FaultError::TooMany);
        }
        faults.into_iter().map(|fault| self.add_one(fault, true)).collect()
    }

    fn add_one(&self, fault: FaultSpec, of_profile: bool) -> Result<u64, FaultError> {
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

    /// Removes one fault, or all without an id. Returns the number of removed faults.
    pub(crate) fn remove(&self, id: Option<u64>) -> usize {
        let mut state = self.lock();
        let before = state.held.len();
        state.held.retain(|held| id.is_some_and(|id| id != held.active.id));
        self.any.store(!state.held.is_empty(), std::sync::atomic::Ordering::Relaxed);
        self.changes.send_modify(|changes| *changes += 1);
        before - state.held.len()
    }

    /// Returns a receiver that is notified when faults are added or removed.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Returns `true` if at least one fault is active. Messages skip all fault handling otherwise.
    pub(crate) fn any_active(&self) -> bool {
        self.any.load(std::sync::atomic::Ordering::Relaxed)
    }

    pub(crate) fn list(&self) -> Vec<ActiveFault> {
        self.lock().held.iter().map(|held| held.active.clone()).collect()
    }

    /// Returns the number of fired events by kind.
    pub(crate) fn fired(&self) -> BTreeMap<&'static str, u64> {
        self.lock().fired.clone()
    }

    /// Returns the seed of one connection, different for each.
    pub(crate) fn next_seed(&self) -> u64 {
        let mut state = self.lock();
        state.connections += 1;
        self.seed ^ state.connections
    }

    /// Returns `true` if a matching fault is active. Ignores its trigger and counts nothing.
    pub(crate) fn is_active<F: PointFault>(&self, facts: &InjectionContext<'_>) -> bool {
        self.any_active() && self.lock().held.iter().any(|held| held.at::<F>(facts).is_some())
    }

    /// Evaluates the faults of one injection point for one event. The first fault fires that matches, is applicable (`can`) and whose trigger fires.
    /// The counters of later faults do not change.
    pub(crate) fn decide<F: PointFault>(&self, facts: &InjectionContext<'_>, can: impl Fn(&F) -> bool) -> Decision<F> {
        let mut decided = Decision { fired: None, skipped: Vec::new() };
        if !self.any_active() {
            return decided;
        }
        let mut state = self.lock();
        let state = &mut *state;
        for held in &mut state.held {
            let Some(fault) = held.at::<F>(facts).filter(&can) else { continue };
            let FaultEntry { active, random, .. } = held;
            active.matched += 1;
            let times = active.matched;
            let due = match active.fault.when {
                Trigger::Always => true,
                Trigger::First(most) => times <= most,
                Trigger::Every(step) => times % step == 0,
                Trigger::Nth(which) => times == which,
                // Without a random number, so that the fault has no influence.
                Trigger::Chance(0.0) => false,
                Trigger::Chance(chance) => random.chance(chance),
            };
            if due {
                active.fired += 1;
                *state.fired.entry(active.fault.kind.name()).or_default() += 1;
                tracing::info!(fault = active.fault.kind.name(), id = active.id, "fault injected");
                decided.fired = Some((active.id, fault, active.fault.kind.clone()));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::kinds::{CATALOGUE, ConnectionFault, LoginFault, RequestFault};
    use serde_json::json;

    fn fired(when: Trigger, times: u64) -> Vec<u64> {
        let faults = Faults::new(1);
        faults.add(FaultSpec::new(FaultKind::EmptyAnswer).when(when)).unwrap();
        let hits = |_: &u64| faults.decide::<RequestFault>(&InjectionContext::default(), |_| true).fired.is_some();
        (1..=times).filter(hits).collect()
    }

    #[test]
    fn triggers_fire_by_count_or_by_chance() {
        assert_eq!(fired(Trigger::First(2), 5), [1, 2]);
        assert_eq!(fired(Trigger::Every(2), 5), [2, 4]);
        assert_eq!(fired(Trigger::Nth(3), 5), [3]);
        assert_eq!(fired(Trigger::Always, 2), [1, 2]);
        assert!(fired(Trigger::Chance(0.0), 100).is_empty(), "chance 0 never fires");
        assert_eq!(fired(Trigger::Chance(1.0), 3), [1, 2, 3]);
        let some = fired(Trigger::Chance(0.5), 100);
        assert!(
            (20..80).contains(&some.len()) && some == fired(Trigger::Chance(0.5), 100),
            "equal seeds yield equal decisions"
        );
    }

    #[test]
    fn decisions_of_a_fault_do_not_depend_on_other_faults() {
        let half = || FaultSpec::new(FaultKind::Status { status: 500, retry_after: None }).when(Trigger::Chance(0.5));
        let decisions = |others: &[FaultSpec]| {
            let faults = Faults::new(7);
            others.iter().for_each(|other| assert!(faults.add(other.clone()).is_ok()));
            let id = faults.add(half()).unwrap();
            let decide = |_| {
                let decided = faults.decide::<RequestFault>(&InjectionContext::default(), |_| true);
                let skipped = decided.skipped.iter().any(|(skipped, ..)| *skipped == id);
                assert_ne!(decided.fired.is_some(), skipped, "every decision is reported");
                decided.fired.is_some()
            };
            (0..64).map(decide).collect::<Vec<_>>()
        };
        let nothing = FaultSpec::new(FaultKind::HtmlPage).when(Trigger::Chance(0.0));
        let elsewhere = FaultSpec::new(FaultKind::Abort).when(Trigger::Chance(0.5));
        assert_eq!(decisions(&[]), decisions(&[nothing, elsewhere]));
        let faults = Faults::new(7);
        faults.add_profile(Profile::Hostile).unwrap();
        let own = faults.add(FaultSpec::new(FaultKind::BadSignature)).unwrap();
        let login = faults
            .decide::<LoginFault>(&InjectionContext { listener: "cloud", ..InjectionContext::default() }, |_| true);
        assert_eq!(
            login.fired,
            Some((own, LoginFault::BadSignature, FaultKind::BadSignature)),
            "faults of a profile are evaluated last"
        );
    }

    #[test]
    fn only_matching_and_applicable_events_are_counted() {
        let faults = Faults::new(1);
        let id = faults.add(FaultSpec::new(FaultKind::EmptyAnswer).path("/autha").method("GET").when(Trigger::Nth(2)));
        let decide = |path, method| {
            let facts = InjectionContext { path, method, ..InjectionContext::default() };
            faults.decide::<RequestFault>(&facts, |_| true).fired.map(|(_, fault, _)| fault)
        };
        assert!(
            decide("/autha/x", "GET").is_none()
                && decide("/info", "GET").is_none()
                && decide("/autha", "PUT").is_none()
        );
        assert!(faults.decide::<ConnectionFault>(&InjectionContext::default(), |_| true).fired.is_none());
        assert!(
            faults.decide::<RequestFault>(&InjectionContext::default(), |_| false).fired.is_none(),
            "not applicable"
        );
        assert_eq!(decide("/autha/y", "GET"), Some(RequestFault::EmptyAnswer));
        let active = &faults.list()[0];
        assert_eq!((Ok(active.id), active.matched, active.fired), (id, 2, 1));
        assert_eq!((faults.remove(None), faults.list().len()), (1, 0));
    }

    #[test]
    fn invalid_faults_are_refused_with_the_reason() {
        let read = |json: serde_json::Value| serde_json::from_value::<FaultSpec>(json);
        let request = read(
            json!({"fault": "status", "status": 503, "retry_after": 2, "when": {"first": 1}, "match": {"path": "/x"}}),
        );
        let request = request.unwrap();
        assert_eq!(request.kind, FaultKind::Status { status: 503, retry_after: Some(2) });
        assert_eq!((request.when, request.matcher.path.as_deref()), (Trigger::First(1), Some("/x")));
        assert!(read(json!({"fault": "nothing"})).is_err());
        assert!(read(json!({"fault": "abort", "match": {"colour": 1}})).is_err());
        for (request, expected) in [
            (json!({"fault": "abort", "wen": {"first": 1}}), "unknown member `wen`; abort takes when, match"),
            (json!({"fault": "close", "code": 1000, "reason": "x"}), "close takes when, match, code"),
        ] {
            assert!(read(request.clone()).unwrap_err().to_string().contains(expected), "{request}");
        }
        let faults = Faults::new(1);
        for (request, expected) in [
            (
                json!({"fault": "reset_on_accept", "match": {"path": "/autha"}}),
                "connections, which have no path; match by hub",
            ),
            (json!({"fault": "abort", "match": {"listener": "lann"}}), "cloud, access-point, lan"),
            (json!({"fault": "close", "code": 1006}), "abort"),
            (json!({"fault": "rpc_error", "code": 1, "data": "x".repeat(257)}), "length of data"),
        ] {
            let error = faults.add(read(request.clone()).unwrap()).unwrap_err().to_string();
            assert!(error.contains(expected), "{request}: {error}");
        }
        for kind in [FaultKind::Status { status: 200, retry_after: None }, FaultKind::FragmentWrites { bytes: 0 }] {
            assert!(matches!(faults.add(FaultSpec::new(kind)), Err(FaultError::Bounds { .. })));
        }
        assert!(faults.add(FaultSpec::new(FaultKind::Abort).when(Trigger::Chance(f64::NAN))).is_err());
        for _ in 0..MAX_FAULTS {
            faults.add(FaultSpec::new(FaultKind::Abort)).unwrap();
        }
        assert_eq!(faults.add(FaultSpec::new(FaultKind::Abort)), Err(FaultError::TooMany));
    }

    #[test]
    fn the_catalogue_lists_every_accepted_fault() {
        for entry in CATALOGUE {
            let mut request = json!({"fault": entry.fault});
            for parameter in entry.parameters {
                request[parameter.name] = if parameter.json_type == "string" { json!("x") } else { json!(500) };
            }
            let read = serde_json::from_value::<FaultSpec>(request.clone());
            assert!(read.is_ok(), "{request}: {read:?}");
        }
        let unknown = serde_json::from_value::<FaultSpec>(json!({"fault": "nothing"})).unwrap_err().to_string();
        for entry in CATALOGUE {
            assert!(unknown.contains(&format!("`{}`", entry.fault)), "{}", entry.fault);
        }
        assert_eq!(unknown.matches('`').count() / 2 - 1, CATALOGUE.len(), "{unknown}");
    }
}
