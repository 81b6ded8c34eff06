//! All hubs: those that somebody has touched, and those that a world file has many of and nobody has touched yet. The latter
//! are a number: they are made when they are asked for, as they would have been from the beginning.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Bound;
use std::sync::{Arc, PoisonError};

use ezlo_protocol::mac::MacAddress;
use ezlo_protocol::serial::Serial;

use crate::core::ready_line::ReadyHub;
use crate::world::World;
use crate::world::hub_actor::HubActor;
use crate::world::hub_actor::hub_snapshot::HubSnapshot;
use ezlo_hub_sim::SerialRange;
use ezlo_hub_sim::world_file::HubKind;
use ezlo_hub_sim::world_file::{HubFile, WorldFile};

/// Hubs by serial.
#[derive(Debug)]
pub(crate) struct HubRegistry {
    pub(crate) made: BTreeMap<Serial, Arc<HubActor>>,
    pub(crate) copies: Arc<[Copies]>,
}

/// Hubs of one entry of the world file, with serials that count up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Copies {
    /// Place of the entry.
    at: usize,
    serials: SerialRange,
    /// When the world began, Unix milliseconds.
    begun_ms: i64,
}

impl Copies {
    /// Those of that entry; `None` when it is about one hub alone.
    pub(crate) fn of(file: &WorldFile, at: usize, begun_ms: i64) -> Option<Self> {
        let hub = &file.hubs[at];
        Some(Self { at, serials: SerialRange::from(&hub.serial, hub.count())?, begun_ms })
    }

    /// Which of them has that serial.
    pub(crate) fn number(&self, serial: &Serial) -> Option<u32> {
        self.serials.number(serial)
    }
}

impl HubRegistry {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        let copies: usize = self.copies.iter().map(|copies| copies.serials.count() as usize).sum();
        let strange = self.made.keys().filter(|serial| self.copies.iter().all(|row| row.number(serial).is_none()));
        copies + if self.copies.is_empty() { self.made.len() } else { strange.count() }
    }
}

/// What lists tell of a hub.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HubSummary {
    pub(crate) mac: MacAddress,
    pub(crate) kind: HubKind,
}

impl World {
    /// The hub of that serial as it is before anybody has touched it; `None` when it is none of those.
    pub(crate) fn template_snapshot(&self, copies: &[Copies], serial: &Serial) -> Option<HubSnapshot> {
        let (copies, n) = copies.iter().find_map(|copies| Some((copies, copies.number(serial)?)))?;
        let file = &self.file.hubs[copies.at];
        Some(HubSnapshot::from_file(file, n, self.seed, &self.env.hub_assumptions, copies.begun_ms))
    }

    /// The first hubs by serial after that one, so many at most, to be read only: those that nobody has touched are made for
    /// this look alone.
    pub(crate) fn list_hubs(&self, after: Option<&Serial>, most: usize) -> Vec<Arc<HubActor>> {
        let begin = after.map_or(Bound::Unbounded, Bound::Excluded);
        let (copies, mut hubs): (_, BTreeMap<Serial, Arc<HubActor>>) = {
            let fleet = self.hubs.read().unwrap_or_else(PoisonError::into_inner);
            let made = fleet.made.range((begin, Bound::Unbounded)).take(most);
            (Arc::clone(&fleet.copies), made.map(|(serial, cell)| (serial.clone(), Arc::clone(cell))).collect())
        };
        for serial in copies.iter().flat_map(|copies| copies.serials.after(after, most)) {
            if let Entry::Vacant(entry) = hubs.entry(serial)
                && let Some(snapshot) = self.template_snapshot(&copies, entry.key())
            {
                entry.insert(Arc::new(HubActor::from_shot(&self.env, &snapshot)));
            }
        }
        hubs.into_values().take(most).collect()
    }

    /// What lists tell of a hub. One that nobody has touched stays so.
    pub(crate) fn hub_summary(&self, serial: &Serial) -> Option<HubSummary> {
        let copies = {
            let fleet = self.hubs.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(cell) = fleet.made.get(serial) {
                return Some(HubSummary { mac: cell.mac, kind: cell.kind });
            }
            Arc::clone(&fleet.copies)
        };
        let (copies, n) = copies.iter().find_map(|copies| Some((copies, copies.number(serial)?)))?;
        let file = &self.file.hubs[copies.at];
        Some(HubSummary { mac: file.mac_of(n), kind: file.kind })
    }

    /// What the ready line tells of the so manieth hub of that entry. One that nobody has touched stays so.
    pub(crate) fn told(&self, file: &HubFile, n: u32) -> ReadyHub {
        let serial = file.serial_of(n);
        let made = self.hubs.read().unwrap_or_else(PoisonError::into_inner).made.get(&serial).cloned();
        let online = made.as_ref().map_or(file.online, |cell| cell.is_online());
        let model = made.map_or_else(|| file.model.clone(), |cell| cell.read(|hub| hub.model.clone()));
        ReadyHub {
            serial: serial.to_string(),
            mac: file.mac_of(n).to_string(),
            kind: file.kind.as_str(),
            model,
            online,
            owner: None,
            ap: None,
            ap_root: None,
            lan: None,
            lan_http: None,
        }
    }
}
