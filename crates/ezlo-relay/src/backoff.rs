//! When to try again: a pure function of how often it failed.

use std::time::Duration;

/// How waits between attempts grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackoffPolicy {
    /// Before the second attempt.
    pub initial: Duration,
    /// Never longer than this.
    pub max: Duration,
}

impl Default for BackoffPolicy {
    /// Half a second, doubled up to a minute: a relay that restarts finds its clients spread out, and nobody waits long for
    /// a link that only blinked.
    fn default() -> Self {
        Self { initial: Duration::from_millis(500), max: Duration::from_secs(60) }
    }
}

impl BackoffPolicy {
    /// The wait after that many failures in a row (1 = the first), for a `spread` between 0.0 and 1.0: half of the doubled
    /// wait is sure, the other half is by chance, so that clients that fell together do not come back together.
    ///
    /// ```
    /// use ezlo_relay::BackoffPolicy;
    /// use std::time::Duration;
    /// let policy = BackoffPolicy::default();
    /// assert_eq!(policy.wait(1, 1.0), Duration::from_millis(500));
    /// assert_eq!(policy.wait(3, 0.0), Duration::from_secs(1));
    /// assert_eq!(policy.wait(1000, 1.0), Duration::from_secs(60));
    /// ```
    pub fn wait(&self, failures: u32, spread: f64) -> Duration {
        let doublings = failures.saturating_sub(1).min(20);
        let whole = self.initial.saturating_mul(1 << doublings).min(self.max);
        whole.mul_f64(0.5f64.mul_add(spread.clamp(0.0, 1.0), 0.5))
    }
}

/// Chance for the spread: small and seeded, so that a run can be repeated. Nothing here is secret.
#[derive(Debug, Clone)]
pub(crate) struct Jitter(u64);

impl Jitter {
    pub(crate) fn new(seed: Option<u64>) -> Self {
        // The hasher's keys are the one source of entropy in the standard library.
        let drawn = || std::hash::BuildHasher::hash_one(&std::collections::hash_map::RandomState::new(), 0_u8);
        Self(seed.unwrap_or_else(drawn))
    }

    /// Between 0.0 and 1.0 (splitmix64).
    #[expect(clippy::cast_precision_loss, reason = "53 bits are kept")]
    pub(crate) fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        (mixed >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_longest_and_stay_between_half_and_whole() {
        let policy = BackoffPolicy { initial: Duration::from_secs(1), max: Duration::from_secs(10) };
        let table = [(0, 1), (1, 1), (2, 2), (3, 4), (4, 8), (5, 10), (6, 10), (u32::MAX, 10)];
        for (failures, seconds) in table {
            let whole = Duration::from_secs(seconds);
            assert_eq!(policy.wait(failures, 1.0), whole, "{failures}");
            assert_eq!(policy.wait(failures, 0.0), whole / 2, "{failures}");
            assert_eq!(policy.wait(failures, 7.0), whole, "chance out of bounds changes nothing");
        }
    }

    #[test]
    fn chance_repeats_by_seed_and_spreads() {
        let draw = |seed| {
            let mut chance = Jitter::new(Some(seed));
            (0..100).map(|_| chance.uniform()).collect::<Vec<_>>()
        };
        assert_eq!(draw(1), draw(1));
        // The published generator's first values for seed 1.
        assert_eq!(draw(1)[..3], [0.566_561_575_172_280_9, 0.745_781_757_262_701_1, 0.971_002_753_586_796_2]);
        assert_ne!(draw(1), draw(2));
        assert!(draw(3).iter().all(|share| (0.0..1.0).contains(share)));
        let (low, high) =
            draw(4).iter().fold((1.0_f64, 0.0_f64), |(low, high), share| (low.min(*share), high.max(*share)));
        assert!(low < 0.1 && high > 0.9);
    }
}
