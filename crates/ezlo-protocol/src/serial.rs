//! Hub serials and the model family behind their first digits.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A hub's serial: decimal digits, eight on most hubs, nine on EzloPi, otherwise opaque.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Serial(Box<str>);

/// More digits than any serial seen, fewer than make a number overflow.
const MAX_DIGITS: usize = 18;

impl Serial {
    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The model family that the first digits stand for, by the longest prefix that matches.
    ///
    /// Hubs in the field break the vendor's table (`46…`), so an unknown prefix is an answer, not an error.
    pub fn family(&self) -> ModelFamily {
        PREFIXES
            .iter()
            .filter(|(prefix, ..)| self.0.starts_with(prefix))
            .max_by_key(|(prefix, ..)| prefix.len())
            .map_or(ModelFamily::Unknown, |(_, family)| *family)
    }
}

/// The text is not a serial.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a serial is 1 to {MAX_DIGITS} decimal digits, as printed on the hub's label")]
pub struct SerialError;

impl FromStr for Serial {
    type Err = SerialError;

    fn from_str(text: &str) -> Result<Self, SerialError> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if digits && text.len() <= MAX_DIGITS { Ok(Self(text.into())) } else { Err(SerialError) }
    }
}

impl TryFrom<String> for Serial {
    type Error = SerialError;

    fn try_from(text: String) -> Result<Self, SerialError> {
        text.parse()
    }
}

impl From<Serial> for String {
    fn from(serial: Serial) -> Self {
        serial.0.into()
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What kind of hub a serial belongs to.
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
    /// A prefix nobody has described.
    Unknown,
}

impl ModelFamily {
    /// The name on the box.
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

/// Serial prefixes: the vendor's note, and for `45`, `76` and `10` public clients and firmware.
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

    #[test]
    fn families_go_by_the_longest_prefix() {
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
    fn anything_but_digits_is_refused() {
        for text in ["", "9000000x", "-1", "1234567890123456789", "９０"] {
            assert_eq!(text.parse::<Serial>(), Err(SerialError), "{text}");
        }
    }
}
