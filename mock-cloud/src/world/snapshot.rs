//! Snapshots of a world: they can be restored, or used to create a fork. Taking one is cheap, because hubs are shared with
//! the snapshot and copied at their next change.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use ezlo_protocol::serial::Serial;

use crate::config::SigningKey;
use crate::core::os_random::random_bytes;
use crate::core::rng::Random;
use crate::world::accounts::Accounts;
use crate::world::hub_actor::HubActor;
use crate::world::hub_actor::hub_snapshot::HubSnapshot;
use crate::world::hub_registry::Copies;
use crate::world::sessions::Sessions;
use crate::world::tokens::Tokens;
use crate::world::{World, WorldConfig};
use ezlo_hub_sim::world_file::WorldFile;

/// A state of a world. The time is not part of it: timers keep their remaining time.
pub(crate) struct Snapshot {
    pub(crate) random: Random,
    pub(crate) tokens: Tokens,
    pub(crate) accounts: Accounts,
    pub(crate) sessions: Sessions,
    pub(crate) hubs: Vec<HubSnapshot>,
    /// Ranges of hubs that were not all created when the snapshot was taken.
    pub(crate) copies: Arc<[Copies]>,
}

impl std::fmt::Debug for Snapshot {
    /// Omits the content, which includes tokens and personal data.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot").field("hubs", &self.hubs.len()).finish_non_exhaustive()
    }
}

impl Snapshot {
    /// Returns the initial state of a world.
    pub(crate) fn beginning(world_config: &WorldConfig) -> Self {
        let WorldConfig { clock, seed, signing_key, assumptions, file, .. } = world_config;
        let assumptions = assumptions.hub();
        let random = Random::new(*seed);
        // Drawn in either case, so that all other random numbers are those of the seed.
        let seeded = Tokens::new(&random);
        let tokens = match signing_key {
            SigningKey::Seed => seeded,
            SigningKey::System => Tokens::with_key(random_bytes()),
        };
        let mut accounts = Accounts::new(&file.users, &random);
        let (mut hubs, mut copies) = (BTreeMap::new(), Vec::new());
        let now_ms = clock.now_ms();
        let now = clock.timestamp();
        for (at, hub) in file.hubs.iter().enumerate() {
            // The hubs of an entry have either one common owner or one owner each.
            let step = if hub.has_one_owner() { hub.count().max(1) } else { 1 };
            for from in (0..hub.count()).step_by(step as usize) {
                if let Some(owner) = hub.owner_of(from) {
                    accounts.adopt(&owner, &hub.serial_of(from), step, now);
                }
            }
            let begun = |n| HubSnapshot::from_file(hub, n, *seed, &assumptions, now_ms);
            let first = begun(0);
            // Hubs with pending timers cannot be created on first access: they act without a request.
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
    /// Adds the hubs of the world file that are created on first access, as they are not persisted.
    pub(crate) fn add_copies(&mut self, file: &WorldFile, begun_ms: i64) {
        let copies = (0..file.hubs.len()).filter_map(|at| Copies::of(file, at, begun_ms));
        self.copies = copies.collect();
    }
}

impl World {
    /// Takes a snapshot. Each hub is consistent in itself; hubs are read one after the other.
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

    /// Restores a snapshot of this world, or of the world that it was forked from.
    ///
    /// Connections to hubs are closed, because the state of their clients is outdated. Hubs that were added since the snapshot
    /// are removed. Faults and the journal are not affected.
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
        for cell in before.into_values() {
            // A hub of a range gets its initial state and keeps its ports if it is in use. If only this list and the world
            // refer to it, it is removed and created again on the next access.
            let is_in_use = Arc::strong_count(&cell) > 2;
            match is_in_use.then(|| self.template_snapshot(&snapshot.copies, &cell.serial)).flatten() {
                Some(snapshot) => cell.restore(&snapshot),
                None => self.remove_hub(&cell),
            }
        }
        self.hubs.write().unwrap_or_else(PoisonError::into_inner).copies = Arc::clone(&snapshot.copies);
    }
}
