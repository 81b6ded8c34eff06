//! Exponential back-off with jitter, as a pure function of the failure count.

use std::time::Duration;

/// Exponential back-off between connection attempts, with jitter.
///
/// The wait doubles with each consecutive failure. Defaults: `initial` 500 ms, `max` 60 s.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackoffPolicy {
    /// Upper bound of the wait after the first failure (default: 500 ms).
    pub initial: Duration,
    /// Upper bound of every wait (default: 60 s).
    pub max: Duration,
}

impl Default for BackoffPolicy {
    /// Returns a policy with `initial` 500 ms and `max` 60 s.
    ///
    /// A short interruption ends quickly, and the clients of a relay that restarts reconnect at different times.
    fn default() -> Self {
        Self { initial: Duration::from_millis(500), max: Duration::from_secs(60) }
    }
}

impl BackoffPolicy {
    /// Returns the wait after `failures` consecutive failures (1 = the first).
    ///
    /// The upper bound is `initial` doubled `failures - 1` times, at most `max`. Half of it is fixed. The other half is
    /// multiplied by `spread`, a random number between 0.0 and 1.0; other values are clamped. The random half prevents that
    /// clients which were disconnected together reconnect together.
    ///
    /// # Panics
    ///
    /// If `initial` and `max` are so close to [`Duration::MAX`] that the product overflows.
    ///
    /// # Examples
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

/// Random numbers for the jitter. They are seeded for reproducible runs and not suitable for secrets.
#[derive(Debug, Clone)]
pub(crate) struct Jitter(u64);

impl Jitter {
    pub(crate) fn new(seed: Option<u64>) -> Self {
        // The keys of the hasher are the only source of entropy in the standard library.
        let drawn = || std::hash::BuildHasher::hash_one(&std::collections::hash_map::RandomState::new(), 0_u8);
        Self(seed.unwrap_or_else(drawn))
    }

    /// Returns a number in 0.0..1.0 (splitmix64).
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
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
    fn delay_doubles_up_to_max_and_jitter_covers_its_upper_half() {
        let policy = BackoffPolicy { initial: Duration::from_secs(1), max: Duration::from_secs(10) };
        let table = [(0, 1), (1, 1), (2, 2), (3, 4), (4, 8), (5, 10), (6, 10), (u32::MAX, 10)];
        for (failures, seconds) in table {
            let whole = Duration::from_secs(seconds);
            assert_eq!(policy.wait(failures, 1.0), whole, "{failures}");
            assert_eq!(policy.wait(failures, 0.0), whole / 2, "{failures}");
            assert_eq!(policy.wait(failures, 7.0), whole, "a spread out of range is clamped");
        }
    }

    #[test]
    fn jitter_is_reproducible_by_seed_and_covers_the_range() {
        let draw = |seed| {
            let mut jitter = Jitter::new(Some(seed));
            (0..100).map(|_| jitter.uniform()).collect::<Vec<_>>()
        };
        assert_eq!(draw(1), draw(1));
        // The first values of the published generator for seed 1.
        assert_eq!(draw(1)[..3], [0.566_561_575_172_280_9, 0.745_781_757_262_701_1, 0.971_002_753_586_796_2]);
        assert_ne!(draw(1), draw(2));
        assert!(draw(3).iter().all(|share| (0.0..1.0).contains(share)));
        let (low, high) =
            draw(4).iter().fold((1.0_f64, 0.0_f64), |(low, high), share| (low.min(*share), high.max(*share)));
        assert!(low < 0.1 && high > 0.9);
    }
}
