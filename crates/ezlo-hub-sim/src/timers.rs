//! What a hub has yet to do, as data: it can be copied with the hub, and takes one sleeper however much there is.

use std::collections::{BTreeMap, BTreeSet};

use crate::context::Timer;

/// A timer of a hub that waits.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Waiting {
    pub timer: Timer,
    /// The hub's life that it belongs to.
    pub epoch: u64,
    /// What led to it, for the journal.
    pub cause: Option<u64>,
}

/// The timers of a hub, by when they are due, in Unix milliseconds, and by when they were set.
#[derive(Debug, Default, Clone)]
pub struct Timers {
    next: u64,
    waiting: BTreeMap<(i64, u64), Waiting>,
    /// Number of timers at which those are swept out that do nothing any more.
    sweep_at: usize,
    /// When somebody is going to wake the hub.
    wakers: BTreeSet<i64>,
}

/// Fewest timers worth a sweep.
const SWEEP_AT_LEAST: usize = 1024;

impl Timers {
    /// Takes out what does not count any more, when there is so much that it may be a pile: a scene that is changed again and
    /// again leaves a timer each time, for days.
    pub fn sweep(&mut self, counts: impl Fn(&Waiting) -> bool) {
        if self.waiting.len() > self.sweep_at.max(SWEEP_AT_LEAST) {
            self.waiting.retain(|_, waiting| counts(waiting));
            self.sweep_at = self.waiting.len() * 2;
        }
    }

    pub fn add(&mut self, due: i64, waiting: Waiting) {
        self.next += 1;
        self.waiting.insert((due, self.next), waiting);
    }

    /// When the hub is to be woken that nobody wakes it for yet; from then on somebody does.
    pub fn claim_waking(&mut self) -> Option<i64> {
        let due = self.waiting.first_key_value().map(|((due, _), _)| *due)?;
        let is_news = self.wakers.first().is_none_or(|first| *first > due);
        (is_news && self.wakers.insert(due)).then_some(due)
    }

    /// Somebody woke the hub.
    pub fn on_woken(&mut self, due: i64) {
        self.wakers.remove(&due);
    }

    /// Takes out the next timer that is due.
    pub fn next_due(&mut self, now_ms: i64) -> Option<Waiting> {
        self.next_due_with_time(now_ms).map(|(_, waiting)| waiting)
    }

    /// Removes and returns the next timer that is due at the given time, with its due time.
    pub(crate) fn next_due_with_time(&mut self, now_ms: i64) -> Option<(i64, Waiting)> {
        let first = self.waiting.first_entry().filter(|entry| entry.key().0 <= now_ms)?;
        let due = first.key().0;
        Some((due, first.remove()))
    }

    /// The timers alone, each with the time that is left.
    pub fn left(&self, now_ms: i64) -> Vec<(i64, Waiting)> {
        self.waiting.iter().map(|((due, _), waiting)| (due.saturating_sub(now_ms), waiting.clone())).collect()
    }

    /// These timers in place of those that were there, with that time left from now. Who was to wake the hub still does.
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
    fn a_pile_is_swept_and_what_counts_stays() {
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
