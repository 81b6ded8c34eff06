//! Pending timers of a hub as plain data. They can be copied with the hub, and one sleeping task serves all of them.

use std::collections::{BTreeMap, BTreeSet};

use crate::context::Timer;

/// A pending timer of a hub.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Waiting {
    /// The timer to pass to [`Hub::fire`](crate::Hub::fire).
    pub timer: Timer,
    /// Value of [`Hub::epoch`](crate::Hub::epoch) when the timer was set. A timer of an earlier epoch must not fire.
    pub epoch: u64,
    /// Number of the journal entry that caused the timer. It is opaque to this crate.
    pub cause: Option<u64>,
}

/// The pending timers of a hub, ordered by due time and then by the order in which they were added.
///
/// Times are Unix milliseconds. Timers are data only: the caller sleeps and fires them.
#[derive(Debug, Default, Clone)]
pub struct Timers {
    next: u64,
    waiting: BTreeMap<(i64, u64), Waiting>,
    /// Number of timers above which the next sweep happens.
    sweep_at: usize,
    /// Due times of the claimed wake-ups.
    wakers: BTreeSet<i64>,
}

/// Number of timers up to which no sweep happens.
const SWEEP_AT_LEAST: usize = 1024;

impl Timers {
    /// Removes the timers for which `counts` returns false, if many timers are pending.
    ///
    /// A scene that is edited repeatedly leaves one obsolete timer per edit, some of them due only after days. A sweep happens
    /// above 1,024 timers, and again when twice the timers that remained are exceeded.
    pub fn sweep(&mut self, counts: impl Fn(&Waiting) -> bool) {
        if self.waiting.len() > self.sweep_at.max(SWEEP_AT_LEAST) {
            self.waiting.retain(|_, waiting| counts(waiting));
            self.sweep_at = self.waiting.len() * 2;
        }
    }

    /// Adds a timer that is due at the given time in Unix milliseconds.
    pub fn add(&mut self, due: i64, waiting: Waiting) {
        self.next += 1;
        self.waiting.insert((due, self.next), waiting);
    }

    /// Claims the next wake-up and returns its time, or `None` if no timer is pending or an earlier wake-up is claimed.
    ///
    /// The caller must sleep until that time, call [`Timers::on_woken`] and then fire the due timers.
    pub fn claim_waking(&mut self) -> Option<i64> {
        let due = self.waiting.first_key_value().map(|((due, _), _)| *due)?;
        let is_news = self.wakers.first().is_none_or(|first| *first > due);
        (is_news && self.wakers.insert(due)).then_some(due)
    }

    /// Releases the wake-up that was claimed for the given time.
    pub fn on_woken(&mut self, due: i64) {
        self.wakers.remove(&due);
    }

    /// Removes and returns the next timer that is due at `now_ms`, or `None` if none is due.
    pub fn next_due(&mut self, now_ms: i64) -> Option<Waiting> {
        self.next_due_with_time(now_ms).map(|(_, waiting)| waiting)
    }

    /// Removes and returns the next timer that is due at `now_ms`, with its due time.
    pub(crate) fn next_due_with_time(&mut self, now_ms: i64) -> Option<(i64, Waiting)> {
        let first = self.waiting.first_entry().filter(|entry| entry.key().0 <= now_ms)?;
        let due = first.key().0;
        Some((due, first.remove()))
    }

    /// Returns copies of all timers, each with the time until it is due in milliseconds. Overdue timers have a negative time.
    pub fn left(&self, now_ms: i64) -> Vec<(i64, Waiting)> {
        self.waiting.iter().map(|((due, _), waiting)| (due.saturating_sub(now_ms), waiting.clone())).collect()
    }

    /// Replaces all timers by copies that are due after the given milliseconds from `now_ms`.
    ///
    /// The copies have no cause. Claimed wake-ups remain claimed.
    pub fn replace(&mut self, left: &[(i64, Waiting)], now_ms: i64) {
        self.waiting.clear();
        for (left, waiting) in left {
            self.add(now_ms.saturating_add(*left), Waiting { cause: None, ..waiting.clone() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sweep_removes_obsolete_timers_and_keeps_the_others() {
        let mut timers = Timers::default();
        for number in 0..100_000 {
            timers.add(
                1000 + i64::from(number),
                Waiting { timer: Timer::Restarted, epoch: u64::from(number % 1000 == 0), cause: None },
            );
            timers.sweep(|waiting| waiting.epoch == 1);
        }
        assert!(timers.waiting.len() < 3 * SWEEP_AT_LEAST, "{}", timers.waiting.len());
        let counting = timers.waiting.values().filter(|waiting| waiting.epoch == 1).count();
        assert_eq!((counting, timers.claim_waking()), (100, Some(1000)));
    }
}
