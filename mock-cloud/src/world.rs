//! All state of the simulated cloud. Servers turn bytes into commands on it and its answers into bytes; nothing else keeps
//! anything. Hubs are cells of their own under one index, so that a busy hub does not hold up the others.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

use ezlo_protocol::rpc::RpcError;
use ezlo_protocol::serial::Serial;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::cluster::Backplane;
use crate::config::{Framing, Guesses, Profile};
use crate::faults::{Decided, Facts, Fault, FaultError, FaultKind, Faults, Place};
use crate::journal::{EntryKind, Journal};
use crate::random::Random;
use crate::state::{Keeper, Touch};

mod accounts;
pub(crate) mod file;
mod fleet;
pub(crate) mod hub;
mod kept;
pub(crate) mod link;
mod serials;
mod sessions;
mod snapshot;
pub(crate) mod template;
mod tokens;

pub(crate) use accounts::{Account, Accounts, Claim, ClaimError, CreateError, NewAccount, Ownership, User};
pub(crate) use file::{HubKind, WifiFile, WorldFile};
pub(crate) use fleet::{Copies, Fleet, Glance};
pub use hub::SetupFault;
pub(crate) use hub::cell::{HubCell, HubShot};
pub(crate) use sessions::{Session, Sessions};
pub(crate) use snapshot::Snapshot;
pub(crate) use tokens::{AuthError, Caller, Issue, ShownPair, Tokens};

/// The state of one simulated cloud.
pub(crate) struct World {
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    pub(crate) guesses: Guesses,
    pub(crate) profile: Profile,
    pub(crate) framing: Framing,
    pub(crate) tokens: Tokens,
    pub(crate) networks: Vec<WifiFile>,
    pub(crate) faults: Faults,
    pub(crate) journal: Arc<Journal>,
    /// Writes what changes where it outlives the program, if that is wanted.
    pub(crate) keeper: Option<Arc<Keeper>>,
    accounts: Mutex<Accounts>,
    sessions: Mutex<Sessions>,
    hubs: RwLock<Fleet>,
    /// What it was made from: hubs that nobody has touched are made from it.
    file: Arc<WorldFile>,
    seed: u64,
    /// The other processes of this cloud, if there are any.
    backplane: OnceLock<Arc<dyn Backplane>>,
    /// Everything that runs; gone when the cloud is dropped.
    tasks: Mutex<Option<JoinSet<()>>>,
    /// Whether it has ended: connections by another world's port are not among what runs here.
    stopped: watch::Sender<bool>,
}

/// What a world is made from.
pub(crate) struct Beginnings {
    pub(crate) clock: Clock,
    pub(crate) seed: u64,
    pub(crate) guesses: Guesses,
    pub(crate) profile: Profile,
    pub(crate) framing: Framing,
    pub(crate) file: Arc<WorldFile>,
    /// Whether a journal is kept.
    pub(crate) journal: bool,
    pub(crate) keeper: Option<Arc<Keeper>>,
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
    pub(crate) fn new(beginnings: Beginnings) -> Arc<Self> {
        Self::from_snapshot(Snapshot::beginning(&beginnings), beginnings)
    }

    /// A world of its own that begins in that state; of the beginnings the manners and the time count.
    pub(crate) fn from_snapshot(snapshot: Snapshot, beginnings: Beginnings) -> Arc<Self> {
        let Beginnings { clock, seed, guesses, profile, framing, file, journal, keeper, asleep } = beginnings;
        let hubs = snapshot.hubs.iter().map(|shot| (shot.serial().clone(), Arc::new(HubCell::from_shot(shot))));
        let world = Arc::new(Self {
            random: snapshot.random,
            guesses,
            profile,
            framing,
            tokens: snapshot.tokens,
            networks: file.wifi.clone(),
            faults: Faults::new(seed),
            journal: Arc::new(Journal::new(clock.clone(), journal)),
            clock,
            keeper,
            accounts: Mutex::new(snapshot.accounts),
            sessions: Mutex::new(snapshot.sessions),
            hubs: RwLock::new(Fleet { made: hubs.collect(), copies: snapshot.copies }),
            file,
            seed,
            backplane: OnceLock::new(),
            tasks: Mutex::new(Some(JoinSet::new())),
            stopped: watch::Sender::new(false),
        });
        if let Err(error) = world.faults.add_profile(profile) {
            tracing::error!(%error, "a profile has a fault that cannot be");
        }
        world.is_heard();
        for shot in snapshot.hubs.iter().filter(|_| !asleep) {
            if let Some(cell) = world.hub(shot.serial()) {
                cell.go_on(&world, shot);
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

    pub(crate) fn hub(&self, serial: &Serial) -> Option<Arc<HubCell>> {
        let copies = {
            let fleet = self.hubs.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(cell) = fleet.made.get(serial) {
                return Some(Arc::clone(cell));
            }
            Arc::clone(&fleet.copies)
        };
        // Made without the lock; whoever was faster wins.
        let cell = HubCell::from_shot(&self.untouched(&copies, serial)?);
        let mut fleet = self.hubs.write().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(fleet.made.entry(serial.clone()).or_insert_with(|| Arc::new(cell))))
    }

    /// That hub, if it is there, of that account and online. The errors are the vendor's own list of 2018; which of them the
    /// service sends today is not known.
    pub(crate) fn hub_for(&self, account: u64, serial: &Serial) -> Result<Arc<HubCell>, RpcError> {
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
    pub(crate) fn touched_hubs(&self) -> Vec<Arc<HubCell>> {
        self.hubs.read().unwrap_or_else(PoisonError::into_inner).made.values().cloned().collect()
    }

    /// How many hubs there are.
    pub(crate) fn hub_count(&self) -> usize {
        self.hubs.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// A hub that nobody knew before; `None` when there are too many already.
    pub(crate) fn add_hub(&self, cell: HubCell) -> Option<Arc<HubCell>> {
        let mut hubs = self.hubs.write().unwrap_or_else(PoisonError::into_inner);
        if hubs.len() >= MAX_HUBS {
            return None;
        }
        // In a cluster it is kept once all know that it lives here.
        if let Some(keeper) = self.keeper.as_ref().filter(|_| self.backplane().is_none()) {
            keeper.note(Touch::Hub(cell.serial.clone()));
        }
        Some(Arc::clone(hubs.made.entry(cell.serial.clone()).or_insert_with(|| Arc::new(cell))))
    }

    /// A hub that was there before.
    fn put_hub(&self, cell: HubCell) -> Arc<HubCell> {
        let cell = Arc::new(cell);
        self.hubs.write().unwrap_or_else(PoisonError::into_inner).made.insert(cell.serial.clone(), Arc::clone(&cell));
        cell
    }

    fn remove_hub(&self, cell: &HubCell) {
        self.hubs.write().unwrap_or_else(PoisonError::into_inner).made.remove(&cell.serial);
        cell.let_go();
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
    pub(crate) fn fault(&self, place: Place, facts: &Facts<'_>) -> Option<FaultKind> {
        self.fault_that(place, facts, |_| true)
    }

    /// The same, of those that can do something here. What chance decides is in the journal, whichever way it goes.
    pub(crate) fn fault_that(
        &self,
        place: Place,
        facts: &Facts<'_>,
        can: impl Fn(&FaultKind) -> bool,
    ) -> Option<FaultKind> {
        let Decided { fired, spared } = self.faults.at(place, facts, can);
        for (id, name, share) in spared {
            let content = serde_json::json!({"id": id, "chance": share, "hub": facts.hub, "method": facts.method});
            self.journal.named(EntryKind::Spared, facts.connection, &name, None, &content);
        }
        let (id, fault) = fired?;
        let mut content = serde_json::to_value(&fault).unwrap_or_default();
        content["id"] = id.into();
        content["hub"] = facts.hub.into();
        content["method"] = facts.method.into();
        self.journal.named(EntryKind::Fault, facts.connection, &fault.name(), None, &content);
        Some(fault)
    }

    /// A caller whose token is good, unless it was made worthless since.
    pub(crate) fn admit(&self, caller: Caller, host: &str, path: &str) -> Result<Caller, AuthError> {
        if self.accounts().is_evicted(caller.user, caller.seq) {
            return Err(AuthError::Bad);
        }
        if self.faults.are_there() {
            let user = self.user_name(caller.user);
            let facts = Facts { host, path, user: &user, listener: "cloud", ..Facts::default() };
            if self.fault(Place::Token, &facts) == Some(FaultKind::Revoked) {
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
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tasks) = tasks.as_mut() {
            while tasks.try_join_next().is_some() {}
            tasks.spawn(task);
        }
    }

    /// Tells when the world ends.
    pub(crate) fn stopped(&self) -> watch::Receiver<bool> {
        self.stopped.subscribe()
    }

    /// Ends everything that runs; what is to be kept is.
    pub(crate) fn stop(&self) {
        self.stopped.send_replace(true);
        drop(self.tasks.lock().unwrap_or_else(PoisonError::into_inner).take());
        if let Some(keeper) = &self.keeper {
            keeper.note(Touch::Clock);
            keeper.end();
        }
        if let Some(backplane) = self.backplane() {
            backplane.leave();
        }
    }
}

/// Hubs that strangers may bring by registering as controllers end here.
const MAX_HUBS: usize = 1_000_000;
