//! The state of a world as it was at one moment: taken in no time, put back, or made into a world of its own. Hubs are shared
//! with it until they change.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use ezlo_protocol::serial::Serial;

use crate::core::rng::Random;
use crate::world::accounts::Accounts;
use crate::world::hub_actor::HubActor;
use crate::world::hub_actor::hub_snapshot::HubSnapshot;
use crate::world::hub_registry::Copies;
use crate::world::sessions::Sessions;
use crate::world::tokens::Tokens;
use crate::world::{World, WorldConfig};
use ezlo_hub_sim::world_file::WorldFile;

/// A state of a world. The time is not part of it: what was due in ten seconds is due in ten seconds again.
pub(crate) struct Snapshot {
    pub(crate) random: Random,
    pub(crate) tokens: Tokens,
    pub(crate) accounts: Accounts,
    pub(crate) sessions: Sessions,
    pub(crate) hubs: Vec<HubSnapshot>,
    /// Those that nobody had touched, beside those.
    pub(crate) copies: Arc<[Copies]>,
}

impl std::fmt::Debug for Snapshot {
    /// Without what is in it: tokens, codes, names of people.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot").field("hubs", &self.hubs.len()).finish_non_exhaustive()
    }
}

impl Snapshot {
    /// The state that a world begins with.
    pub(crate) fn beginning(world_config: &WorldConfig) -> Self {
        let WorldConfig { clock, seed, assumptions, file, .. } = world_config;
        let assumptions = assumptions.hub();
        let random = Random::new(*seed);
        let tokens = Tokens::new(&random);
        let mut accounts = Accounts::new(&file.users, &random);
        let (mut hubs, mut copies) = (BTreeMap::new(), Vec::new());
        let now_ms = clock.now_ms();
        let now = clock.timestamp();
        for (at, hub) in file.hubs.iter().enumerate() {
            // All of it belong to one user, or each to another.
            let step = if hub.has_one_owner() { hub.count().max(1) } else { 1 };
            for from in (0..hub.count()).step_by(step as usize) {
                if let Some(owner) = hub.owner_of(from) {
                    accounts.adopt(&owner, &hub.serial_of(from), step, now);
                }
            }
            let begun = |n| HubSnapshot::from_file(hub, n, *seed, &assumptions, now_ms);
            let first = begun(0);
            // Those that have something to do of their own begin at once, all of them.
            match Copies::of(file, at, now_ms).filter(|_| first.is_idle()) {
                Some(row) => copies.push(row),
                None => hubs.extend((1..hub.count()).map(begun).map(|snapshot| (snapshot.serial().clone(), snapshot))),
            }
            hubs.insert(first.serial().clone(), first);
        }
        let hubs = hubs.into_values().collect();
        Self { random, tokens, accounts, sessions: Sessions::default(), hubs, copies: copies.into() }
    }
}

impl Snapshot {
    /// With the hubs of the world file that nobody had touched when it was kept.
    pub(crate) fn add_copies(&mut self, file: &WorldFile, begun_ms: i64) {
        let copies = (0..file.hubs.len()).filter_map(|at| Copies::of(file, at, begun_ms));
        self.copies = copies.collect();
    }
}

impl World {
    /// The state as it is now, hub by hub.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let now_ms = self.clock.now_ms();
        Snapshot {
            random: self.random.clone(),
            tokens: self.tokens.clone(),
            accounts: self.accounts().clone(),
            sessions: self.sessions().clone(),
            hubs: self.materialised_hubs().iter().map(|cell| cell.snapshot(now_ms)).collect(),
            copies: Arc::clone(&self.hubs.read().unwrap_or_else(PoisonError::into_inner).copies),
        }
    }

    /// Puts a state back that was taken of this world, or of one that it was made from. Connections that listen to a hub are
    /// closed: what they know is no longer so. Hubs that came since are gone; faults and the journal stay.
    pub(crate) fn restore(self: &Arc<Self>, snapshot: &Snapshot) {
        let _held = self.keeper.as_ref().map(|keeper| keeper.mark_all());
        self.random.become_like(&snapshot.random);
        self.accounts().clone_from(&snapshot.accounts);
        self.sessions().clone_from(&snapshot.sessions);
        self.attach_writer();
        let mut before: BTreeMap<Serial, Arc<HubActor>> =
            self.materialised_hubs().into_iter().map(|cell| (cell.serial.clone(), cell)).collect();
        for snapshot in &snapshot.hubs {
            let cell = before
                .remove(snapshot.serial())
                .unwrap_or_else(|| self.put_hub(HubActor::from_shot(&self.env, snapshot)));
            cell.restore(snapshot);
        }
        for gone in before.into_values() {
            // One of many that nobody had touched then is as it was at the beginning; its ports are still its own.
            // Whom nobody holds beside this list and that of the world is forgotten: a number again.
            let is_held = Arc::strong_count(&gone) > 2;
            match is_held.then(|| self.template_snapshot(&snapshot.copies, &gone.serial)).flatten() {
                Some(snapshot) => gone.restore(&snapshot),
                None => self.remove_hub(&gone),
            }
        }
        self.hubs.write().unwrap_or_else(PoisonError::into_inner).copies = Arc::clone(&snapshot.copies);
    }
}
