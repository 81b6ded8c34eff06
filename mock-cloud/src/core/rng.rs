//! Deterministic random numbers from a seed, equal on every platform.

use std::sync::{Mutex, PoisonError};

use ezlo_hub_sim::SeededRng;
use ezlo_hub_sim::encoding::{hex, uuid};

/// A deterministic generator of random numbers, with the algorithm `ChaCha8`.
///
/// The same seed yields the same numbers on every platform. The values are not secret.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub struct Random(Mutex<SeededRng>);

impl Clone for Random {
    /// Returns a generator that yields the same numbers as this one from now on.
    fn clone(&self) -> Self {
        Self(Mutex::new(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()))
    }
}

impl Random {
    /// Returns a generator with this seed.
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(SeededRng::new(seed)))
    }

    /// Copies the state of another generator.
    pub(crate) fn become_like(&self, other: &Self) {
        let numbers = other.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = numbers;
    }

    /// Fills `bytes` with random bytes.
    pub fn fill(&self, bytes: &mut [u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fill(bytes);
    }

    /// Returns a random string of lower-case hexadecimal digits with length `digits`.
    pub fn hex(&self, digits: usize) -> String {
        let mut bytes = vec![0; digits.div_ceil(2)];
        self.fill(&mut bytes);
        let mut text = hex(&bytes);
        text.truncate(digits);
        text
    }

    /// Returns a random UUID, version 4.
    pub fn uuid(&self) -> String {
        let mut bytes = [0; 16];
        self.fill(&mut bytes);
        uuid(bytes)
    }

    /// Returns `true` with probability `share`, from 0.0 to 1.0.
    ///
    /// It draws a number also for 0.0, so that a changed probability does not shift later numbers.
    pub fn chance(&self, share: f64) -> bool {
        // The drawn number can be exactly 1.0.
        self.share() < share || share >= 1.0
    }

    /// Returns a uniformly distributed number from 0.0 to 1.0.
    pub(crate) fn share(&self) -> f64 {
        let mut bytes = [0; 4];
        self.fill(&mut bytes);
        f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_seeds_yield_equal_values() {
        let run = |seed| {
            let random = Random::new(seed);
            (random.hex(24), random.uuid(), random.chance(0.5))
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1).0, run(2).0);
        assert_eq!(run(1).0.len(), 24);
        assert_eq!(&run(1).1[14..15], "4");
    }

    #[test]
    fn the_probabilities_zero_and_one_are_exact() {
        let random = Random::new(1);
        assert!((0..100).all(|_| !random.chance(0.0)));
        assert!((0..100).all(|_| random.chance(1.0)));
    }
}
