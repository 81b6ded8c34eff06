//! Text encodings of bytes, UUIDs and random number generators.

/// Serialises a random number generator as its seed and position, for `#[serde(with = "...")]`.
pub mod rng_state {
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Place {
        /// The seed in hexadecimal.
        seed: String,
        /// The position in decimal, as text: JSON numbers do not represent every `u128` exactly.
        at: String,
    }

    /// Serialises the generator.
    ///
    /// # Errors
    ///
    /// Returns the error of the serialiser.
    pub fn serialize<S: Serializer>(numbers: &ChaCha8Rng, serializer: S) -> Result<S::Ok, S::Error> {
        Place { seed: super::hex(&numbers.get_seed()), at: numbers.get_word_pos().to_string() }.serialize(serializer)
    }

    /// Deserialises the generator.
    ///
    /// # Errors
    ///
    /// Returns an error if the seed is not 64 hexadecimal digits or the position is not a decimal number.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ChaCha8Rng, D::Error> {
        let place = Place::deserialize(deserializer)?;
        let seed =
            super::bytes(&place.seed).ok_or_else(|| serde::de::Error::custom("a seed has 64 hexadecimal digits"))?;
        let mut numbers = ChaCha8Rng::from_seed(seed);
        numbers.set_word_pos(place.at.parse().map_err(serde::de::Error::custom)?);
        Ok(numbers)
    }
}

/// Returns bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    push_hex(&mut text, bytes);
    text
}

/// Appends bytes as lower-case hexadecimal digits.
pub fn push_hex(text: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |number: u8| DIGITS[usize::from(number & 15)];
    for bytes in bytes.chunks(32) {
        let mut digits = [0; 64];
        for (pair, byte) in digits.as_chunks_mut::<2>().0.iter_mut().zip(bytes) {
            *pair = [digit(byte >> 4), digit(*byte)];
        }
        // Hexadecimal digits are valid UTF-8.
        text.push_str(str::from_utf8(&digits[..2 * bytes.len()]).unwrap_or_default());
    }
}

/// Decodes `N` bytes from hexadecimal digits of either case.
///
/// Returns `None` if the text is not exactly `2 * N` hexadecimal digits.
pub fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits: Option<Vec<u8>> = text.chars().map(|digit| u8::try_from(digit.to_digit(16)?).ok()).collect();
    let bytes: Vec<u8> = digits?.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect();
    (text.len() == 2 * N).then(|| bytes.try_into().ok()).flatten()
}

/// Formats 16 bytes as a UUID of version 4, in lower case. The version and variant bits are overwritten.
pub fn uuid(mut bytes: [u8; 16]) -> String {
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let digits = hex(&bytes);
    let parts = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]];
    parts.join("-")
}
