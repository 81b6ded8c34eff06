//! The environment that the hubs of a world share.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use ezlo_hub_sim::HubAssumptions;
use ezlo_hub_sim::world_file::WifiFile;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::config::Assumptions;
use crate::core::clock::Clock;
use crate::faults::injector::{Decision, Faults};
use crate::faults::kinds::PointFault;
use crate::faults::point::InjectionContext;
use crate::journal::Journal;
use crate::journal::entry::EntryKind;
use crate::persistence::writer::StateWriter;

/// Everything outside a hub that it uses: time, journal, faults, persistence, tasks.
#[derive(Debug)]
pub(crate) struct HubEnv {
    pub(crate) clock: Clock,
    pub(crate) journal: Arc<Journal>,
    pub(crate) faults: Arc<Faults>,
    pub(crate) keeper: Option<Arc<StateWriter>>,
    pub(crate) assumptions: Assumptions,
    pub(crate) hub_assumptions: HubAssumptions,
    pub(crate) networks: Vec<WifiFile>,
    pub(crate) tasks: Tasks,
    /// The limit of persisted hubs in a cluster; empty without one.
    pub(crate) row_limit: OnceLock<RowLimit>,
    /// Free slots for HTTP requests of scenes.
    pub(crate) http_slots: Arc<Semaphore>,
}

/// The limit of the size of a persisted hub.
pub(crate) struct RowLimit {
    /// Maximum length of the row as it is sent, in bytes.
    pub(crate) max_bytes: usize,
    /// Returns whether a row with this content can be written.
    pub(crate) fits: RowFits,
}

/// A check of the content of a row.
pub(crate) type RowFits = Box<dyn Fn(&[u8]) -> bool + Send + Sync>;

impl std::fmt::Debug for RowLimit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RowLimit").field("max_bytes", &self.max_bytes).finish_non_exhaustive()
    }
}

impl HubEnv {
    /// Returns an environment with a frozen clock, for tests of parts that need a hub.
    #[cfg(all(test, feature = "mdns"))]
    pub(crate) fn for_tests() -> Arc<Self> {
        let (clock, assumptions) = (Clock::frozen(0), Assumptions::default());
        Arc::new(Self {
            journal: Arc::new(Journal::new(clock.clone(), false)),
            clock,
            faults: Arc::new(Faults::new(1)),
            keeper: None,
            hub_assumptions: assumptions.hub(),
            assumptions,
            networks: Vec::new(),
            row_limit: OnceLock::new(),
            tasks: Tasks::new(),
            http_slots: Arc::new(Semaphore::new(crate::world::outbound_http::MAX_CALLS)),
        })
    }

    /// Returns the fault to inject, if any. Decisions by chance are recorded in the journal either way.
    pub(crate) fn fault_if<F: PointFault>(&self, facts: &InjectionContext<'_>, can: impl Fn(&F) -> bool) -> Option<F> {
        let Decision { fired, skipped } = self.faults.decide(facts, can);
        for (id, name, chance) in skipped {
            let content = serde_json::json!({"id": id, "chance": chance, "hub": facts.hub, "method": facts.method});
            self.journal.named(EntryKind::FaultSkipped, facts.connection, name, None, &content);
        }
        let (id, fault, kind) = fired?;
        let mut content = ezlo_protocol::wire::to_value(&kind);
        content["id"] = id.into();
        content["hub"] = facts.hub.into();
        content["method"] = facts.method.into();
        self.journal.named(EntryKind::Fault, facts.connection, kind.name(), None, &content);
        Some(fault)
    }
}

/// Tasks of a world. All are aborted when the world stops.
#[derive(Debug)]
pub(crate) struct Tasks(Mutex<Option<JoinSet<()>>>);

impl Tasks {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Some(JoinSet::new())))
    }

    /// Spawns a task. Has no effect after the world has stopped.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tasks) = tasks.as_mut() {
            while tasks.try_join_next().is_some() {}
            tasks.spawn(task);
        }
    }

    /// Aborts all tasks. Later calls of [`Tasks::spawn`] have no effect.
    pub(crate) fn stop(&self) {
        drop(self.0.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}
