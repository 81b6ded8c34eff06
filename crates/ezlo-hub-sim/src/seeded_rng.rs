//! Random numbers from a seed.

use chacha20::ChaCha8Rng;
use chacha20::rand_core::{Rng as _, SeedableRng as _};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::encoding::{bytes, hex};

/// A generator of random numbers with the algorithm `ChaCha8`.
///
/// The same seed yields the same numbers on every platform. A clone and a deserialised generator continue at the same position.
/// The values are not secret.
#[derive(Debug)]
pub struct SeededRng(ChaCha8Rng);

#[derive(Serialize, Deserialize)]
struct Position {
    /// The seed in hexadecimal.
    seed: String,
    /// The position in decimal, as text: JSON numbers do not represent every large number exactly.
    at: String,
}

impl SeededRng {
    /// Returns a generator with a short seed.
    pub fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// Returns a generator with a whole seed.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(ChaCha8Rng::from_seed(seed))
    }

    /// Fills `bytes` with random bytes.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }

    /// Returns a uniformly distributed number.
    pub fn next_u32(&mut self) -> u32 {
        self.0.next_u32()
    }
}

impl Clone for SeededRng {
    fn clone(&self) -> Self {
        let mut clone = Self::from_seed(self.0.get_seed());
        clone.0.set_word_pos(self.0.get_word_pos());
        clone
    }
}

impl Serialize for SeededRng {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Position { seed: hex(&self.0.get_seed()), at: self.0.get_word_pos().to_string() }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SeededRng {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let position = Position::deserialize(deserializer)?;
        let seed = bytes(&position.seed).ok_or_else(|| D::Error::custom("a seed has 64 hexadecimal digits"))?;
        let mut numbers = Self::from_seed(seed);
        numbers.0.set_word_pos(position.at.parse().map_err(D::Error::custom)?);
        Ok(numbers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_and_deserialised_generators_continue_at_the_same_position() {
        for drawn in [0, 1, 3, 15, 16, 17, 1000] {
            let mut numbers = SeededRng::new(7);
            (0..drawn).for_each(|_| {
                numbers.next_u32();
            });
            let text = serde_json::to_string(&numbers).unwrap();
            let mut read: SeededRng = serde_json::from_str(&text).unwrap();
            let mut clone = numbers.clone();
            let next = [(); 40].map(|()| numbers.next_u32());
            assert_eq!(next, [(); 40].map(|()| clone.next_u32()), "{drawn}");
            assert_eq!(next, [(); 40].map(|()| read.next_u32()), "{drawn}: {text}");
        }
    }

    #[test]
    fn the_numbers_of_a_seed_never_change() {
        let mut bytes = [0; 8];
        SeededRng::new(1).fill(&mut bytes);
        assert_eq!(hex(&bytes), "b10da48cea4c0967");
    }

    #[test]
    fn an_invalid_position_is_refused() {
        for text in [r#"{"seed":"00","at":"0"}"#, r#"{"seed":"","at":"x"}"#] {
            assert!(serde_json::from_str::<SeededRng>(text).is_err(), "{text}");
        }
    }
}
