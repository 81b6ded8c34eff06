//! The one source of chance: a named algorithm from one seed, so that the same seed gives the same run everywhere.

use std::sync::{Mutex, PoisonError};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// Random numbers of one simulated cloud.
#[derive(Debug)]
pub struct Random(Mutex<ChaCha8Rng>);

impl serde::Serialize for Random {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        numbers::serialize(&self.0.lock().unwrap_or_else(PoisonError::into_inner), serializer)
    }
}

impl<'de> serde::Deserialize<'de> for Random {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        numbers::deserialize(deserializer).map(|numbers| Self(Mutex::new(numbers)))
    }
}

impl Clone for Random {
    /// Both go on alike.
    fn clone(&self) -> Self {
        Self(Mutex::new(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()))
    }
}

impl Random {
    /// The numbers of that seed.
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(ChaCha8Rng::seed_from_u64(seed)))
    }

    /// Goes on as that one does.
    pub(crate) fn become_like(&self, other: &Self) {
        let numbers = other.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = numbers;
    }

    /// Fills the bytes.
    pub fn fill(&self, bytes: &mut [u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(bytes);
    }

    /// That many hexadecimal digits, lower case.
    pub fn hex(&self, digits: usize) -> String {
        let mut bytes = vec![0; digits.div_ceil(2)];
        self.fill(&mut bytes);
        let mut text = hex(&bytes);
        text.truncate(digits);
        text
    }

    /// A random uuid, version 4.
    pub fn uuid(&self) -> String {
        let mut bytes = [0; 16];
        self.fill(&mut bytes);
        uuid(bytes)
    }

    /// True in that share of cases, 0.0 to 1.0. Takes a number even for 0.0, so that a knob does not shift what follows.
    pub fn chance(&self, share: f64) -> bool {
        self.share() < share
    }

    /// Between 0 and 1, all as likely.
    pub(crate) fn share(&self) -> f64 {
        let mut bytes = [0; 4];
        self.fill(&mut bytes);
        f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX)
    }
}

/// A row of numbers as its seed and how far it has come, in kept states.
pub(crate) mod numbers {
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Place {
        /// Hexadecimal.
        seed: String,
        /// Decimal: it has more digits than a JSON number keeps everywhere.
        at: String,
    }

    pub(crate) fn serialize<S: Serializer>(numbers: &ChaCha8Rng, serializer: S) -> Result<S::Ok, S::Error> {
        Place { seed: super::hex(&numbers.get_seed()), at: numbers.get_word_pos().to_string() }.serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ChaCha8Rng, D::Error> {
        let place = Place::deserialize(deserializer)?;
        let seed =
            super::bytes(&place.seed).ok_or_else(|| serde::de::Error::custom("a seed is 64 hexadecimal digits"))?;
        let mut numbers = ChaCha8Rng::from_seed(seed);
        numbers.set_word_pos(place.at.parse().map_err(serde::de::Error::custom)?);
        Ok(numbers)
    }
}

/// Lower-case hexadecimal text.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    push_hex(&mut text, bytes);
    text
}

/// The same, behind what is there.
pub(crate) fn push_hex(text: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |number: u8| DIGITS[usize::from(number & 15)];
    for bytes in bytes.chunks(32) {
        let mut digits = [0; 64];
        for (pair, byte) in digits.as_chunks_mut::<2>().0.iter_mut().zip(bytes) {
            *pair = [digit(byte >> 4), digit(*byte)];
        }
        // Digits are text.
        text.push_str(str::from_utf8(&digits[..2 * bytes.len()]).unwrap_or_default());
    }
}

/// As many bytes as that in hexadecimal; `None` when it is something else.
pub(crate) fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits: Option<Vec<u8>> = text.chars().map(|digit| u8::try_from(digit.to_digit(16)?).ok()).collect();
    let bytes: Vec<u8> = digits?.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect();
    (text.len() == 2 * N).then(|| bytes.try_into().ok()).flatten()
}

/// These bytes as a uuid of version 4.
pub(crate) fn uuid(mut bytes: [u8; 16]) -> String {
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let digits = hex(&bytes);
    let parts = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]];
    parts.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_one_run() {
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
    fn chance_has_ends() {
        let random = Random::new(1);
        assert!((0..100).all(|_| !random.chance(0.0)));
        assert!((0..100).all(|_| random.chance(1.0)));
    }
}
