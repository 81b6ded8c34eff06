//! Hub serials and the model family that their first digits name.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The serial of a hub: 1 to 18 decimal digits.
///
/// Most hubs have eight digits, EzloPi has nine. The serial is opaque except for its prefix; see [`Serial::family`].
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Serial {
    /// The digits in ASCII, padded with zero bytes. A zero byte sorts before every digit, so the order is that of the texts.
    /// The array avoids one heap allocation for each hub.
    digits: [u8; MAX_DIGITS],
    length: u8,
}

/// Maximum length: longer than every known serial, and short enough for a `u64`.
const MAX_DIGITS: usize = 18;

impl Serial {
    /// Returns the digits.
    pub fn as_str(&self) -> &str {
        let digits = self.digits.get(..self.length.into()).unwrap_or_default();
        // Parsing accepts ASCII digits only, so this is always valid UTF-8.
        std::str::from_utf8(digits).unwrap_or_default()
    }

    /// Returns the model family of the longest known prefix.
    ///
    /// Real hubs have prefixes outside the vendor's table, such as `46`. An unknown prefix is therefore no error: it returns
    /// [`ModelFamily::Unknown`].
    pub fn family(&self) -> ModelFamily {
        PREFIXES
            .iter()
            .filter(|(prefix, ..)| self.as_str().starts_with(prefix))
            .max_by_key(|(prefix, ..)| prefix.len())
            .map_or(ModelFamily::Unknown, |(_, family)| *family)
    }
}

/// The error of parsing a text that is not a serial.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid serial; expected 1 to {MAX_DIGITS} decimal digits, as printed on the hub's label")]
pub struct SerialError;

impl FromStr for Serial {
    type Err = SerialError;

    fn from_str(text: &str) -> Result<Self, SerialError> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let length = u8::try_from(text.len()).map_err(|_| SerialError)?;
        let mut serial = Self { length, ..Self::default() };
        serial.digits.get_mut(..text.len()).filter(|_| digits).ok_or(SerialError)?.copy_from_slice(text.as_bytes());
        Ok(serial)
    }
}

impl TryFrom<String> for Serial {
    type Error = SerialError;

    fn try_from(text: String) -> Result<Self, SerialError> {
        text.parse()
    }
}

/// Hashes the digits without the padding, about half the bytes that a derived implementation would hash.
impl Hash for Serial {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Debug for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Serial").field(&self.as_str()).finish()
    }
}

impl From<Serial> for String {
    fn from(serial: Serial) -> Self {
        serial.as_str().to_owned()
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The model family of a hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ModelFamily {
    /// VeraEdge; units with `40…` (vendor) and `45…` (field) exist.
    VeraEdge,
    /// VeraPlus (G450).
    VeraPlus,
    /// VeraSecure (G550).
    VeraSecure,
    /// Ezlo Atom and the Bali gateway (ESP32, RTOS firmware).
    EzloAtom,
    /// PlugHub class (ESP32, RTOS firmware).
    PlugHub,
    /// Ezlo Plus (`h2.1`).
    EzloPlus,
    /// Ezlo Secure (`h2_secure.1`).
    EzloSecure,
    /// EzloPi (ESP32), nine digits.
    EzloPi,
    /// A prefix that no source describes.
    Unknown,
}

impl ModelFamily {
    /// Returns the product name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::VeraEdge => "VeraEdge",
            Self::VeraPlus => "VeraPlus",
            Self::VeraSecure => "VeraSecure",
            Self::EzloAtom => "Ezlo Atom",
            Self::PlugHub => "PlugHub",
            Self::EzloPlus => "Ezlo Plus",
            Self::EzloSecure => "Ezlo Secure",
            Self::EzloPi => "EzloPi",
            Self::Unknown => "unknown",
        }
    }
}

/// Serial prefixes (vendor; `45`, `76` and `10`: client-source).
const PREFIXES: &[(&str, ModelFamily)] = &[
    ("40", ModelFamily::VeraEdge),
    ("45", ModelFamily::VeraEdge),
    ("50", ModelFamily::VeraPlus),
    ("55", ModelFamily::VeraSecure),
    ("70", ModelFamily::EzloAtom),
    ("76", ModelFamily::PlugHub),
    ("90", ModelFamily::EzloPlus),
    ("92", ModelFamily::EzloSecure),
    ("10", ModelFamily::EzloPi),
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn serials_sort_like_their_texts(one in "[0-9]{1,18}", other in "[0-9]{1,18}") {
            let (first, second): (Serial, Serial) = (one.parse().unwrap(), other.parse().unwrap());
            prop_assert_eq!(first.cmp(&second), one.cmp(&other));
            prop_assert_eq!(first.as_str(), one);
        }
    }

    #[test]
    fn the_longest_prefix_decides_the_family() {
        let cases = [
            ("40000001", ModelFamily::VeraEdge),
            ("45000001", ModelFamily::VeraEdge),
            ("46000001", ModelFamily::Unknown),
            ("90000001", ModelFamily::EzloPlus),
            ("105000001", ModelFamily::EzloPi),
            ("10000001", ModelFamily::EzloPi),
            ("11000001", ModelFamily::Unknown),
        ];
        for (serial, family) in cases {
            assert_eq!(serial.parse::<Serial>().unwrap().family(), family, "{serial}");
        }
    }

    #[test]
    fn only_1_to_18_ascii_digits_are_accepted() {
        for text in ["", "9000000x", "-1", "1234567890123456789", "９０"] {
            assert_eq!(text.parse::<Serial>(), Err(SerialError), "{text}");
        }
    }
}
