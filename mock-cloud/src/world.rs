//! The state of the simulated cloud. Servers translate requests into calls of [`World`] and hold no state of their own.
//! Each hub has its own lock, so that a busy hub does not block the others.

use crate::world::accounts::Accounts;
use crate::world::hub_actor::HubActor;
#[cfg(feature = "cluster")]
use crate::world::hub_env::RowLimit;
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
use tokio::sync::Semaphore;
use tokio::sync::watch;

use crate::config::{Assumptions, Profile, SigningKey};
use crate::core::clock::Clock;
use crate::core::rng::Random;
use crate::faults::injector::Faults;
use crate::faults::kinds::{FaultKind, PointFault, TokenFault};
use crate::faults::point::{InjectionContext, InjectionPoint};
use crate::faults::spec::{FaultError, FaultSpec};
use crate::journal::Journal;
use crate::persistence::rows::RowKey;
use crate::persistence::writer::StateWriter;
use crate::tls::Authority;
use crate::world::backplane::Backplane;

pub(crate) mod accounts;
pub(crate) mod backplane;
pub(crate) mod hub_actor;
pub(crate) mod hub_env;
pub(crate) mod hub_handle;
pub(crate) mod hub_registry;
pub(crate) mod outbound_http;
pub(crate) mod outbox;
pub(crate) mod persist;
pub(crate) mod persisted_state;
pub(crate) mod sessions;
pub(crate) mod snapshot;
pub(crate) mod state_document;
pub(crate) mod tokens;

/// The state of one simulated cloud.
pub(crate) struct World {
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    pub(crate) assumptions: Assumptions,
    pub(crate) profile: Profile,
    pub(crate) tokens: Tokens,
    /// Shared with all hubs.
    pub(crate) env: Arc<HubEnv>,
    pub(crate) faults: Arc<Faults>,
    pub(crate) journal: Arc<Journal>,
    /// Persists changes; `None` without a state directory.
    pub(crate) keeper: Option<Arc<StateWriter>>,
    /// Signs the certificates of controllers; `None` in a process that is a hub.
    pub(crate) authority: Option<Arc<Authority>>,
    accounts: Mutex<Accounts>,
    sessions: Mutex<Sessions>,
    hubs: RwLock<HubRegistry>,
    /// The world file. Hubs are created from it on first access.
    file: Arc<WorldFile>,
    seed: u64,
    /// Connection to the other processes of the cluster; empty without a cluster.
    backplane: OnceLock<Arc<dyn Backplane>>,
    /// True after the end of the world. Connections of another world's port do not run as tasks of this world.
    stopped: watch::Sender<bool>,
}

/// The parts that a world is created from.
pub(crate) struct WorldConfig {
    pub(crate) clock: Clock,
    pub(crate) seed: u64,
    pub(crate) signing_key: SigningKey,
    pub(crate) assumptions: Assumptions,
    pub(crate) profile: Profile,
    pub(crate) file: Arc<WorldFile>,
    /// True if a journal is recorded.
    pub(crate) journal: bool,
    pub(crate) keeper: Option<Arc<StateWriter>>,
    pub(crate) authority: Option<Arc<Authority>>,
    /// True in a cluster: the timers of a hub start only when this process takes over the hub.
    pub(crate) asleep: bool,
}

impl std::fmt::Debug for World {
    /// Omits the content, which includes tokens and personal data.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").finish_non_exhaustive()
    }
}

impl World {
    /// Creates a world in its initial state.
    pub(crate) fn new(world_config: WorldConfig) -> Arc<Self> {
        Self::from_snapshot(Snapshot::beginning(&world_config), world_config)
    }

    /// Creates a world with the state of a snapshot. Clock, profile and assumptions are those of the configuration.
    pub(crate) fn from_snapshot(snapshot: Snapshot, world_config: WorldConfig) -> Arc<Self> {
        let WorldConfig { clock, seed, assumptions, profile, file, journal, keeper, authority, asleep, .. } =
            world_config;
        let env = Arc::new(HubEnv {
            journal: Arc::new(Journal::new(clock.clone(), journal)),
            clock: clock.clone(),
            faults: Arc::new(Faults::new(seed)),
            keeper: keeper.clone(),
            hub_assumptions: assumptions.hub(),
            assumptions: assumptions.clone(),
            networks: file.wifi.clone(),
            row_limit: OnceLock::new(),
            http_slots: Arc::new(Semaphore::new(outbound_http::MAX_CALLS)),
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
            tokens: snapshot.tokens,
            faults: Arc::clone(&env.faults),
            journal: Arc::clone(&env.journal),
            env,
            clock,
            keeper,
            authority,
            accounts: Mutex::new(snapshot.accounts),
            sessions: Mutex::new(snapshot.sessions),
            hubs: RwLock::new(HubRegistry { made: hubs, copies: snapshot.copies, registered: 0 }),
            file,
            seed,
            backplane: OnceLock::new(),
            stopped: watch::Sender::new(false),
        });
        if let Err(error) = world.faults.add_profile(profile) {
            tracing::error!(%error, "a fault of the profile is not valid");
        }
        world.attach_writer();
        for snapshot in snapshot.hubs.iter().filter(|_| !asleep) {
            if let Some(cell) = world.hub(snapshot.serial()) {
                cell.resume(snapshot);
            }
        }
        world
    }

    /// Returns the connection to the other processes of the cluster, if there is a cluster.
    pub(crate) fn backplane(&self) -> Option<&Arc<dyn Backplane>> {
        self.backplane.get()
    }

    /// Joins a cluster. Must be called once, before requests are served.
    #[cfg(feature = "cluster")]
    pub(crate) fn join(&self, backplane: Arc<dyn Backplane>) {
        let (max_bytes, own) = (backplane.max_row_bytes(), Arc::clone(&backplane));
        let _ = self.env.row_limit.set(RowLimit { max_bytes, fits: Box::new(move |row| own.row_fits(row)) });
        let _ = self.backplane.set(backplane);
    }

    pub(crate) fn accounts(&self) -> MutexGuard<'_, Accounts> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a hub. A hub of the world file that was not accessed before is created.
    pub(crate) fn hub(&self, serial: &Serial) -> Option<Arc<HubActor>> {
        let copies = {
            let fleet = self.hubs.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(cell) = fleet.made.get(serial) {
                cell.refresh();
                return Some(Arc::clone(cell));
            }
            Arc::clone(&fleet.copies)
        };
        // Created without the lock. If two calls create the same hub, the first one that takes the write lock wins.
        let cell = HubActor::from_shot(&self.env, &self.template_snapshot(&copies, serial)?);
        let mut fleet = self.hubs.write().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(fleet.made.entry(serial.clone()).or_insert_with(|| Arc::new(cell))))
    }

    /// Returns a hub that belongs to the account and is online. The errors are those of the vendor's list of 2018 (vendor);
    /// which of them the service sends today is not known.
    pub(crate) fn hub_for(&self, account: u64, serial: &Serial) -> Result<Arc<HubActor>, RpcError> {
        let hub = self.hub(serial).ok_or_else(|| RpcError::known("nma.ezlo.notfound"))?;
        let owner = self.accounts().ownership(serial).map(|ownership| ownership.account);
        if owner != Some(account) {
            return Err(RpcError::known("nma.ezlo.notlinked"));
        }
        if hub.kind == HubKind::Vera {
            // Native Vera firmware does not register at this relay.
            return Err(RpcError::known("nma.ezlo.notregistered"));
        }
        if !hub.is_online() {
            return Err(RpcError::known("nma.ezlo.notconnected"));
        }
        Ok(hub)
    }

    /// Returns the hubs that were created so far, ordered by serial.
    pub(crate) fn materialised_hubs(&self) -> Vec<Arc<HubActor>> {
        let hubs: Vec<_> = self.hubs.read().unwrap_or_else(PoisonError::into_inner).made.values().cloned().collect();
        hubs.iter().for_each(|hub| hub.refresh());
        hubs
    }

    /// Returns the number of hubs, including those that were not created yet.
    pub(crate) fn hub_count(&self) -> usize {
        self.hubs.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Adds a hub that registered by itself. Returns `None` if there are too many hubs.
    pub(crate) fn add_hub(&self, cell: HubActor) -> Option<Arc<HubActor>> {
        let mut hubs = self.hubs.write().unwrap_or_else(PoisonError::into_inner);
        if hubs.made.contains_key(&cell.serial) {
            return hubs.made.get(&cell.serial).cloned();
        }
        if hubs.len() >= MAX_HUBS || hubs.registered >= MAX_REGISTERED_HUBS {
            return None;
        }
        hubs.registered += 1;
        // In a cluster, the hub is persisted once its lease is known to all processes.
        if let Some(keeper) = self.keeper.as_ref().filter(|_| self.backplane().is_none()) {
            keeper.mark_row(RowKey::Hub(cell.serial.clone()));
        }
        Some(Arc::clone(hubs.made.entry(cell.serial.clone()).or_insert_with(|| Arc::new(cell))))
    }

    /// Replaces a hub that registered by itself, when more is known of it.
    pub(crate) fn replace_hub(&self, cell: HubActor) -> Arc<HubActor> {
        if let Some(keeper) = self.keeper.as_ref().filter(|_| self.backplane().is_none()) {
            keeper.mark_row(RowKey::Hub(cell.serial.clone()));
        }
        self.put_hub(cell)
    }

    /// Tells the controller of a hub that the keys of its users have changed.
    pub(crate) fn announce_keys(&self, serial: &Serial) {
        if let Some(hub) = self.hub(serial) {
            hub.announce_keys(&self.random.uuid());
        }
    }

    /// Inserts a hub of a snapshot or of another process.
    fn put_hub(&self, cell: HubActor) -> Arc<HubActor> {
        let cell = Arc::new(cell);
        self.hubs.write().unwrap_or_else(PoisonError::into_inner).made.insert(cell.serial.clone(), Arc::clone(&cell));
        cell
    }

    fn remove_hub(&self, cell: &HubActor) {
        self.hubs.write().unwrap_or_else(PoisonError::into_inner).made.remove(&cell.serial);
        cell.detach_all();
    }

    /// Adds a fault and returns its id.
    pub(crate) fn add_fault(&self, fault: FaultSpec) -> Result<u64, FaultError> {
        // Each process numbers its own logins, so later logins cannot be recognised across processes.
        if fault.kind == FaultKind::EvictOthers && self.backplane().is_some() {
            return Err(FaultError::SingleProcessOnly(fault.kind.name()));
        }
        if let Some(backplane) = self.backplane().filter(|_| fault.kind.injection_point() == InjectionPoint::Call) {
            let name = fault.kind.name();
            let serial = fault.matcher.hub.clone().ok_or(FaultError::HubRequired(name))?;
            if serial.parse().is_ok_and(|serial| !backplane.holds(&serial)) {
                return Err(FaultError::HubElsewhere { fault: name, serial });
            }
        }
        // A fault on a hub that does not exist would never be injected, and its test would pass.
        if let Some(serial) = fault.matcher.hub.as_ref() {
            let known = serial.parse().is_ok_and(|serial| self.hub(&serial).is_some());
            if !known && self.backplane().is_none() {
                return Err(FaultError::UnknownHub(serial.clone()));
            }
        }
        self.faults.add(fault)
    }

    /// Returns the fault to inject at this injection point, if any.
    pub(crate) fn fault<F: PointFault>(&self, facts: &InjectionContext<'_>) -> Option<F> {
        self.fault_if(facts, |_| true)
    }

    /// Returns the fault to inject, among those for which `can` returns true. The journal records every decision by chance.
    pub(crate) fn fault_if<F: PointFault>(&self, facts: &InjectionContext<'_>, can: impl Fn(&F) -> bool) -> Option<F> {
        self.env.fault_if(facts, can)
    }

    /// Returns the caller of a valid token, unless a later login or a fault has revoked the token.
    pub(crate) fn admit(&self, caller: Caller, host: &str, path: &str) -> Result<Caller, AuthError> {
        if self.accounts().is_evicted(caller.user, caller.seq) {
            return Err(AuthError::Bad);
        }
        if self.faults.any_active() {
            let user = self.user_name(caller.user);
            let facts = InjectionContext { host, path, user: &user, listener: "cloud", ..InjectionContext::default() };
            match self.fault(&facts) {
                Some(TokenFault::Revoked) => return Err(AuthError::Bad),
                None => {}
            }
        }
        Ok(caller)
    }

    pub(crate) fn user_name(&self, id: u64) -> String {
        self.accounts().user(id).map(|user| user.username.clone()).unwrap_or_default()
    }

    /// Spawns a task that is aborted when the world stops.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.env.tasks.spawn(task);
    }

    /// Returns a receiver that becomes true when the world stops.
    pub(crate) fn stopped(&self) -> watch::Receiver<bool> {
        self.stopped.subscribe()
    }

    /// Aborts all tasks, persists the outstanding changes and leaves the cluster.
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

/// Maximum number of hubs that register by themselves as controllers. Each takes about 13 kB, and any client can register one.
const MAX_REGISTERED_HUBS: usize = 10_000;

/// Maximum number of hubs, including those that register by themselves as controllers.
const MAX_HUBS: usize = 1_000_000;
