//! All state of the simulated cloud. Servers turn bytes into commands on it and its answers into bytes; nothing else keeps
//! anything. Hubs are cells of their own under one index, so that a busy hub does not hold up the others.

use crate::world::accounts::Accounts;
use crate::world::hub_actor::HubActor;
use crate::world::hub_env::{HubEnv, Tasks};
use crate::world::hub_registry::HubRegistry;
use crate::world::sessions::Sessions;
use crate::world::snapshot::Snapshot;
use crate::world::tokens::AuthError;
use crate::world::tokens::Caller;
use crate::world::tokens::Tokens;
use ezlo_hub_sim::world_file::HubKind;
use ezlo_hub_sim::world_file::WorldFile;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

use ezlo_protocol::rpc::RpcError;
use ezlo_protocol::serial::Serial;
use tokio::sync::watch;

use crate::cluster::Backplane;
use crate::config::{Assumptions, Framing, Profile};
use crate::core::clock::Clock;
use crate::core::rng::Random;
use crate::faults::injector::Faults;
use crate::faults::kinds::FaultKind;
use crate::faults::point::{InjectionContext, InjectionPoint};
use crate::faults::spec::{Fault, FaultError};
use crate::journal::Journal;
use crate::persistence::rows::RowKey;
use crate::persistence::writer::StateWriter;

pub(crate) mod accounts;
pub(crate) mod hub_actor;
pub(crate) mod hub_env;
pub(crate) mod hub_handle;
pub(crate) mod hub_registry;
pub(crate) mod outbound_http;
pub(crate) mod outbox;
pub(crate) mod persist;
pub(crate) mod sessions;
pub(crate) mod snapshot;
pub(crate) mod tokens;

/// The state of one simulated cloud.
pub(crate) struct World {
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    pub(crate) assumptions: Assumptions,
    pub(crate) profile: Profile,
    pub(crate) framing: Framing,
    pub(crate) tokens: Tokens,
    /// Shared with all hubs.
    pub(crate) env: Arc<HubEnv>,
    pub(crate) faults: Arc<Faults>,
    pub(crate) journal: Arc<Journal>,
    /// Writes what changes where it outlives the program, if that is wanted.
    pub(crate) keeper: Option<Arc<StateWriter>>,
    accounts: Mutex<Accounts>,
    sessions: Mutex<Sessions>,
    hubs: RwLock<HubRegistry>,
    /// What it was made from: hubs that nobody has touched are made from it.
    file: Arc<WorldFile>,
    seed: u64,
    /// The other processes of this cloud, if there are any.
    backplane: OnceLock<Arc<dyn Backplane>>,
    /// Whether it has ended: connections by another world's port are not among what runs here.
    stopped: watch::Sender<bool>,
}

/// What a world is made from.
pub(crate) struct WorldConfig {
    pub(crate) clock: Clock,
    pub(crate) seed: u64,
    pub(crate) assumptions: Assumptions,
    pub(crate) profile: Profile,
    pub(crate) framing: Framing,
    pub(crate) file: Arc<WorldFile>,
    /// Whether a journal is kept.
    pub(crate) journal: bool,
    pub(crate) keeper: Option<Arc<StateWriter>>,
    /// Whether hubs live only once somebody says that they live here: there are other processes.
    pub(crate) asleep: bool,
}

impl std::fmt::Debug for World {
    /// Without what is in it: tokens, codes, names of people.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").finish_non_exhaustive()
    }
}

impl World {
    pub(crate) fn new(world_config: WorldConfig) -> Arc<Self> {
        Self::from_snapshot(Snapshot::beginning(&world_config), world_config)
    }

    /// A world of its own that begins in that state; of the beginnings the manners and the time count.
    pub(crate) fn from_snapshot(snapshot: Snapshot, world_config: WorldConfig) -> Arc<Self> {
        let WorldConfig { clock, seed, assumptions, profile, framing, file, journal, keeper, asleep } = world_config;
        let env = Arc::new(HubEnv {
            journal: Arc::new(Journal::new(clock.clone(), journal)),
            clock: clock.clone(),
            faults: Arc::new(Faults::new(seed)),
            keeper: keeper.clone(),
            hub_assumptions: assumptions.hub(),
            assumptions: assumptions.clone(),
            networks: file.wifi.clone(),
            tasks: Tasks::new(),
        });
        let hubs = snapshot
            .hubs
            .iter()
            .map(|snapshot| (snapshot.serial().clone(), Arc::new(HubActor::from_shot(&env, snapshot))));
        let hubs = hubs.collect();
        let world = Arc::new(Self {
            random: snapshot.random,
            assumptions,
            profile,
            framing,
            tokens: snapshot.tokens,
            faults: Arc::clone(&env.faults),
            journal: Arc::clone(&env.journal),
            env,
            clock,
            keeper,
            accounts: Mutex::new(snapshot.accounts),
            sessions: Mutex::new(snapshot.sessions),
            hubs: RwLock::new(HubRegistry { made: hubs, copies: snapshot.copies }),
            file,
            seed,
            backplane: OnceLock::new(),
            stopped: watch::Sender::new(false),
        });
        if let Err(error) = world.faults.add_profile(profile) {
            tracing::error!(%error, "a profile has a fault that cannot be");
        }
        world.attach_writer();
        for snapshot in snapshot.hubs.iter().filter(|_| !asleep) {
            if let Some(cell) = world.hub(snapshot.serial()) {
                cell.resume(snapshot);
            }
        }
        world
    }

    /// The other processes of this cloud, if there are any.
    pub(crate) fn backplane(&self) -> Option<&Arc<dyn Backplane>> {
        self.backplane.get()
    }

    /// Joins other processes; once, before anybody is served.
    #[cfg(feature = "cluster")]
    pub(crate) fn join(&self, backplane: Arc<dyn Backplane>) {
        let _ = self.backplane.set(backplane);
    }

    pub(crate) fn accounts(&self) -> MutexGuard<'_, Accounts> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn hub(&self, serial: &Serial) -> Option<Arc<HubActor>> {
        let copies = {
            let fleet = self.hubs.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(cell) = fleet.made.get(serial) {
                return Some(Arc::clone(cell));
            }
            Arc::clone(&fleet.copies)
        };
        // Made without the lock; whoever was faster wins.
        let cell = HubActor::from_shot(&self.env, &self.template_snapshot(&copies, serial)?);
        let mut fleet = self.hubs.write().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(fleet.made.entry(serial.clone()).or_insert_with(|| Arc::new(cell))))
    }

    /// That hub, if it is there, of that account and online. The errors are the vendor's own list of 2018; which of them the
    /// service sends today is not known.
    pub(crate) fn hub_for(&self, account: u64, serial: &Serial) -> Result<Arc<HubActor>, RpcError> {
        let hub = self.hub(serial).ok_or_else(|| RpcError::known("nma.ezlo.notfound"))?;
        let owner = self.accounts().ownership(serial).map(|ownership| ownership.account);
        if owner != Some(account) {
            return Err(RpcError::known("nma.ezlo.notlinked"));
        }
        if hub.kind == HubKind::Vera {
            // Native Vera firmware does not know this relay.
            return Err(RpcError::known("nma.ezlo.notregistered"));
        }
        if !hub.is_online() {
            return Err(RpcError::known("nma.ezlo.notconnected"));
        }
        Ok(hub)
    }

    /// All hubs that somebody has touched, by serial.
    pub(crate) fn materialised_hubs(&self) -> Vec<Arc<HubActor>> {
        self.hubs.read().unwrap_or_else(PoisonError::into_inner).made.values().cloned().collect()
    }

    /// How many hubs there are.
    pub(crate) fn hub_count(&self) -> usize {
        self.hubs.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// A hub that nobody knew before; `None` when there are too many already.
    pub(crate) fn add_hub(&self, cell: HubActor) -> Option<Arc<HubActor>> {
        let mut hubs = self.hubs.write().unwrap_or_else(PoisonError::into_inner);
        if hubs.len() >= MAX_HUBS {
            return None;
        }
        // In a cluster it is kept once all know that it lives here.
        if let Some(keeper) = self.keeper.as_ref().filter(|_| self.backplane().is_none()) {
            keeper.mark_row(RowKey::Hub(cell.serial.clone()));
        }
        Some(Arc::clone(hubs.made.entry(cell.serial.clone()).or_insert_with(|| Arc::new(cell))))
    }

    /// A hub that was there before.
    fn put_hub(&self, cell: HubActor) -> Arc<HubActor> {
        let cell = Arc::new(cell);
        self.hubs.write().unwrap_or_else(PoisonError::into_inner).made.insert(cell.serial.clone(), Arc::clone(&cell));
        cell
    }

    fn remove_hub(&self, cell: &HubActor) {
        self.hubs.write().unwrap_or_else(PoisonError::into_inner).made.remove(&cell.serial);
        cell.detach_all();
    }

    /// Lets something go wrong.
    pub(crate) fn add_fault(&self, fault: Fault) -> Result<u64, FaultError> {
        // Each process counts its own logins.
        if fault.kind == FaultKind::EvictOthers && self.backplane().is_some() {
            return Err(FaultError::OfOneProcess(fault.kind.name()));
        }
        self.faults.add(fault)
    }

    /// What goes wrong at this place now, if anything.
    pub(crate) fn fault(&self, place: InjectionPoint, facts: &InjectionContext<'_>) -> Option<FaultKind> {
        self.fault_if(place, facts, |_| true)
    }

    /// The same, of those that can do something here. What chance decides is in the journal, whichever way it goes.
    pub(crate) fn fault_if(
        &self,
        place: InjectionPoint,
        facts: &InjectionContext<'_>,
        can: impl Fn(&FaultKind) -> bool,
    ) -> Option<FaultKind> {
        self.env.fault_if(place, facts, can)
    }

    /// A caller whose token is good, unless it was made worthless since.
    pub(crate) fn admit(&self, caller: Caller, host: &str, path: &str) -> Result<Caller, AuthError> {
        if self.accounts().is_evicted(caller.user, caller.seq) {
            return Err(AuthError::Bad);
        }
        if self.faults.any_active() {
            let user = self.user_name(caller.user);
            let facts = InjectionContext { host, path, user: &user, listener: "cloud", ..InjectionContext::default() };
            if self.fault(InjectionPoint::Token, &facts) == Some(FaultKind::Revoked) {
                return Err(AuthError::Bad);
            }
        }
        Ok(caller)
    }

    pub(crate) fn user_name(&self, id: u64) -> String {
        self.accounts().user(id).map(|user| user.username.clone()).unwrap_or_default()
    }

    /// Runs something until it ends or the cloud is dropped.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.env.tasks.spawn(task);
    }

    /// Tells when the world ends.
    pub(crate) fn stopped(&self) -> watch::Receiver<bool> {
        self.stopped.subscribe()
    }

    /// Ends everything that runs; what is to be kept is.
    pub(crate) fn stop(&self) {
        self.stopped.send_replace(true);
        self.env.tasks.stop();
        if let Some(keeper) = &self.keeper {
            keeper.mark_row(RowKey::Clock);
            keeper.end();
        }
        if let Some(backplane) = self.backplane() {
            backplane.leave();
        }
    }
}

/// Hubs that strangers may bring by registering as controllers end here.
const MAX_HUBS: usize = 1_000_000;
