//! The ownership of hubs. The hubs of a world-file entry are assigned together, as one range of serials: a million of them
//! need as much memory as one. In a persisted state, each hub has a row of its own.

use std::collections::{BTreeMap, HashMap};

use ezlo_protocol::serial::Serial;
use jiff::Timestamp;

use ezlo_hub_sim::{SerialRange, plain_number};

/// The owner of a hub.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ownership {
    pub(crate) account: u64,
    pub(crate) since: Timestamp,
    /// Position in the order of all assignments.
    pub(crate) place: u64,
}

#[derive(Debug, Default, Clone)]
pub(crate) struct Owners {
    /// Hubs that were assigned one by one. They take precedence over `rows`.
    single: HashMap<Serial, Ownership>,
    /// Ranges, by the number of the first serial.
    rows: BTreeMap<u64, (SerialRange, Ownership)>,
    /// Property of each account, by place, which is the order of the hub list.
    by_account: BTreeMap<u64, BTreeMap<u64, Property>>,
    next_place: u64,
}

/// One assignment to an account.
#[derive(Debug, Clone)]
enum Property {
    One(Serial),
    /// The range that begins with this number.
    Row(u64),
}

impl Owners {
    pub(crate) fn get(&self, serial: &Serial) -> Option<Ownership> {
        let in_row = || {
            let (_, (serials, ownership)) = self.rows.range(..=plain_number(serial)?).next_back()?;
            let number = serials.number(serial)?;
            Some(Ownership { place: ownership.place + u64::from(number), ..*ownership })
        };
        self.single.get(serial).copied().or_else(in_row)
    }

    /// Assigns a hub to an account. Has no effect if the hub has an owner.
    pub(crate) fn add(&mut self, serial: &Serial, account: u64, since: Timestamp) {
        if self.get(serial).is_none() {
            self.add_single(serial, account, since);
        }
    }

    /// Assigns a hub to an account and replaces its owner, as recorded by another process of the cluster.
    pub(crate) fn put(&mut self, serial: &Serial, account: u64, since: Timestamp) {
        let is_own = |owners: &Self| owners.get(serial).is_some_and(|known| known.account == account);
        if is_own(self) {
            return;
        }
        if let Some(before) = self.single.remove(serial)
            && let Some(properties) = self.by_account.get_mut(&before.account)
        {
            properties.remove(&before.place);
        }
        // Without its own entry, the hub may belong to the account by its range.
        if !is_own(self) {
            self.add_single(serial, account, since);
        }
    }

    /// Assigns a hub alone. This takes precedence over the assignment of a range.
    fn add_single(&mut self, serial: &Serial, account: u64, since: Timestamp) {
        let place = self.take_places(1);
        self.by_account.entry(account).or_default().insert(place, Property::One(serial.clone()));
        self.single.insert(serial.clone(), Ownership { account, since, place });
    }

    /// Assigns a range of hubs. None of them may have an owner.
    pub(crate) fn add_row(&mut self, serials: SerialRange, account: u64, since: Timestamp) {
        let place = self.take_places(serials.count());
        self.by_account.entry(account).or_default().insert(place, Property::Row(serials.first()));
        self.rows.insert(serials.first(), (serials, Ownership { account, since, place }));
    }

    fn take_places(&mut self, count: u32) -> u64 {
        let place = self.next_place;
        self.next_place += u64::from(count);
        place
    }

    /// Returns the hubs of an account, in the order of their assignment.
    pub(crate) fn of(&self, account: u64) -> impl Iterator<Item = (Serial, Ownership)> {
        let properties = self.by_account.get(&account).into_iter().flat_map(BTreeMap::values);
        let serials = properties.flat_map(|property| {
            let (one, row) = match property {
                Property::One(serial) => (Some(serial.clone()), None),
                Property::Row(first) => (None, self.rows.get(first)),
            };
            one.into_iter().chain(row.into_iter().flat_map(|(serials, _)| serials.after(None, usize::MAX)))
        });
        let owned = serials.filter_map(|serial| self.get(&serial).map(|ownership| (serial, ownership)));
        // A hub of the range may have been assigned to another account since.
        owned.filter(move |(_, ownership)| ownership.account == account)
    }

    /// Returns every hub that has an owner. A hub that was reassigned from its range occurs twice.
    pub(crate) fn all(&self) -> impl Iterator<Item = Serial> {
        let in_rows = self.rows.values().flat_map(|(serials, _)| serials.after(None, usize::MAX));
        self.single.keys().cloned().chain(in_rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn serial(number: u64) -> Serial {
        number.to_string().parse().unwrap()
    }

    proptest! {
        #[test]
        fn ranges_and_single_assignments_give_the_same_owners(
            given in prop::collection::vec((1_u32..6, 0_u64..3), 1..20), queried in prop::collection::vec(0_u64..200, 20),
        ) {
            let (mut rows, mut singles, mut first) = (Owners::default(), Owners::default(), 90_000_000);
            for (count, account) in given {
                // Each range is followed by a gap of hubs without an owner.
                match SerialRange::from(&serial(first), count) {
                    Some(row) => rows.add_row(row, account, Timestamp::UNIX_EPOCH),
                    None => rows.add(&serial(first), account, Timestamp::UNIX_EPOCH),
                }
                (first..first + u64::from(count)).for_each(|n| singles.add(&serial(n), account, Timestamp::UNIX_EPOCH));
                first += u64::from(count) + 2;
            }
            for n in queried {
                let (serial, account) = (serial(90_000_000 + n), n % 4);
                // Has no effect on hubs with an owner.
                rows.add(&serial, account, Timestamp::UNIX_EPOCH);
                singles.add(&serial, account, Timestamp::UNIX_EPOCH);
                let owner = |owners: &Owners| owners.get(&serial).map(|ownership| (ownership.account, ownership.place));
                prop_assert_eq!(owner(&rows), owner(&singles));
            }
            for account in 0..4 {
                let hubs = |owners: &Owners| owners.of(account).map(|(serial, _)| serial).collect::<Vec<_>>();
                prop_assert_eq!(hubs(&rows), hubs(&singles));
            }
            let all = |owners: &Owners| owners.all().collect::<std::collections::BTreeSet<_>>();
            prop_assert_eq!(all(&rows), all(&singles));
        }
    }

    #[test]
    fn put_replaces_the_owner_and_restores_the_range() {
        let mut owners = Owners::default();
        owners.add_row(SerialRange::from(&serial(90_000_000), 3).unwrap(), 1, Timestamp::UNIX_EPOCH);
        owners.add(&serial(90_000_007), 1, Timestamp::UNIX_EPOCH);
        for number in [90_000_001, 90_000_007] {
            owners.put(&serial(number), 2, Timestamp::UNIX_EPOCH);
            owners.put(&serial(number), 2, Timestamp::UNIX_EPOCH);
        }
        let hubs = |account| owners.of(account).map(|(serial, _)| serial.to_string()).collect::<Vec<_>>();
        assert_eq!(hubs(1), ["90000000", "90000002"]);
        assert_eq!(hubs(2), ["90000001", "90000007"]);
        owners.put(&serial(90_000_001), 1, Timestamp::UNIX_EPOCH);
        let hubs = |account| owners.of(account).map(|(serial, _)| serial.to_string()).collect::<Vec<_>>();
        assert_eq!(
            (hubs(1), hubs(2)),
            (["90000000", "90000001", "90000002"].map(String::from).into(), vec!["90000007".into()])
        );
    }

    #[test]
    fn serial_with_leading_zero_is_a_different_hub() {
        let mut owners = Owners::default();
        owners.add_row(SerialRange::from(&serial(90_000_000), 10).unwrap(), 1, Timestamp::UNIX_EPOCH);
        assert!(owners.get(&serial(90_000_009)).is_some() && owners.get(&serial(90_000_010)).is_none());
        assert!(owners.get(&"090000001".parse().unwrap()).is_none());
        assert!(SerialRange::from(&"00000001".parse().unwrap(), 2).is_none());
    }
}
