//! All hubs of a world. An entry of the world file with many hubs is stored as a range of serials; each hub is created on first
//! access, with its initial state.

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

/// The created hubs by serial, and the ranges of hubs that are created on first access.
#[derive(Debug)]
pub(crate) struct HubRegistry {
    pub(crate) made: BTreeMap<Serial, Arc<HubActor>>,
    pub(crate) copies: Arc<[Copies]>,
    /// Number of hubs that registered by themselves since the start.
    pub(crate) registered: usize,
}

/// The hubs of one entry of the world file, with consecutive serials.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Copies {
    /// Index of the entry in the world file.
    at: usize,
    serials: SerialRange,
    /// Start of the world, in Unix milliseconds.
    begun_ms: i64,
}

impl Copies {
    /// Returns the hubs of an entry, or `None` if the entry has only one hub.
    pub(crate) fn of(file: &WorldFile, at: usize, begun_ms: i64) -> Option<Self> {
        let hub = &file.hubs[at];
        Some(Self { at, serials: SerialRange::from(&hub.serial, hub.count())?, begun_ms })
    }

    /// Returns the 0-based index of the hub with this serial.
    pub(crate) fn number(&self, serial: &Serial) -> Option<u32> {
        self.serials.number(serial)
    }
}

impl HubRegistry {
    /// Returns the number of hubs, created or not.
    pub(crate) fn len(&self) -> usize {
        let copies: usize = self.copies.iter().map(|copies| copies.serials.count() as usize).sum();
        let others = self.made.keys().filter(|serial| self.copies.iter().all(|row| row.number(serial).is_none()));
        copies + if self.copies.is_empty() { self.made.len() } else { others.count() }
    }
}

/// The members of a hub that lists contain.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HubSummary {
    pub(crate) mac: MacAddress,
    pub(crate) kind: HubKind,
}

impl World {
    /// Returns the initial state of a hub in `copies`, or `None` if no range contains the serial.
    pub(crate) fn template_snapshot(&self, copies: &[Copies], serial: &Serial) -> Option<HubSnapshot> {
        let (copies, n) = copies.iter().find_map(|copies| Some((copies, copies.number(serial)?)))?;
        let file = &self.file.hubs[copies.at];
        Some(HubSnapshot::from_file(file, n, self.seed, &self.env.hub_assumptions, copies.begun_ms))
    }

    /// Returns up to `most` hubs with serials greater than `after`, in ascending order.
    ///
    /// The result is for reading only: hubs that were not accessed before are created for this call and not registered.
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
        let hubs: Vec<_> = hubs.into_values().take(most).collect();
        hubs.iter().for_each(|hub| hub.refresh());
        hubs
    }

    /// Returns the summary of a hub, without creating the hub.
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

    /// Returns the members of the ready line for the hub at index `n` (0-based) of an entry, without creating the hub.
    pub(crate) fn ready_hub(&self, file: &HubFile, n: u32) -> ReadyHub {
        let serial = file.serial_of(n);
        let made = self.hubs.read().unwrap_or_else(PoisonError::into_inner).made.get(&serial).cloned();
        let online = made.as_ref().map_or(file.online, |cell| {
            cell.refresh();
            cell.is_online()
        });
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
