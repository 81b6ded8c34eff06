//! MAC addresses, as printed on the label of a hub.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::wire::Field;

/// A MAC address.
///
/// It is written as `AB:CD:EF:12:34:56`. Parsing also accepts `-` or no separator, and both letter cases.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MacAddress([u8; 6]);

impl MacAddress {
    /// Returns the address that consists of these six bytes.
    pub const fn new(bytes: [u8; 6]) -> Self {
        Self(bytes)
    }

    /// Returns the six bytes.
    pub const fn bytes(self) -> [u8; 6] {
        self.0
    }
}

/// The error of parsing a text that is not a MAC address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid MAC address; expected six pairs of hexadecimal digits, such as AB:CD:EF:12:34:56")]
pub struct MacError;

impl FromStr for MacAddress {
    type Err = MacError;

    fn from_str(text: &str) -> Result<Self, MacError> {
        let digits: Vec<u8> = match text.len() {
            12 => text.bytes().collect(),
            17 if separators_are_uniform(text) => {
                text.bytes().enumerate().filter(|(at, _)| at % 3 != 2).map(|(_, byte)| byte).collect()
            }
            _ => return Err(MacError),
        };
        let mut bytes = [0; 6];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let [high, low] = [pair[0], pair[1]].map(|digit| char::from(digit).to_digit(16));
            let (Some(high), Some(low)) = (high, low) else { return Err(MacError) };
            *byte = u8::try_from(high * 16 + low).map_err(|_| MacError)?;
        }
        Ok(Self(bytes))
    }
}

fn separators_are_uniform(text: &str) -> bool {
    let mut separators = text.bytes().skip(2).step_by(3);
    let first = separators.next();
    matches!(first, Some(b':' | b'-')) && separators.all(|separator| Some(separator) == first)
}

impl TryFrom<String> for MacAddress {
    type Error = MacError;

    fn try_from(text: String) -> Result<Self, MacError> {
        text.parse()
    }
}

impl From<MacAddress> for String {
    fn from(address: MacAddress) -> Self {
        address.to_string()
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
        // Formatted by hand: lists of thousands of hubs contain one address each.
        let mut text = *b"00:00:00:00:00:00";
        for (pair, byte) in text.chunks_mut(3).zip(self.0) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        f.pad(str::from_utf8(&text).unwrap_or_default())
    }
}

/// A MAC address as a server wrote it: the letter case and the separators are preserved.
///
/// Servers send both letter cases. A text that is not a MAC address is preserved as well: [`MacText::address`] is `None`.
/// Two values are equal if their texts are equal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MacText(Box<str>);

impl MacText {
    /// Returns the address, or `None` if the text is empty or is not a MAC address.
    pub fn address(&self) -> Option<MacAddress> {
        self.0.parse().ok()
    }

    /// Returns the text as received.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<MacAddress> for MacText {
    fn from(address: MacAddress) -> Self {
        Self(address.to_string().into())
    }
}

impl From<&str> for MacText {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<MacAddress> for Field<MacText> {
    fn from(address: MacAddress) -> Self {
        Self::Value(address.into())
    }
}

impl fmt::Display for MacText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn received_spelling_is_preserved() {
        for (text, valid) in [("aa:bb:cc:00:00:01", true), ("AA-BB-CC-00-00-01", true), ("", false), ("unknown", false)]
        {
            let mac: MacText = serde_json::from_value(text.into()).unwrap();
            assert_eq!((mac.as_str(), mac.address().is_some()), (text, valid));
            assert_eq!(serde_json::to_value(&mac).unwrap(), text);
        }
    }

    #[test]
    fn all_usual_notations_are_parsed() {
        for text in ["AB:CD:EF:12:34:56", "ab:cd:ef:12:34:56", "AB-CD-EF-12-34-56", "abcdef123456"] {
            assert_eq!(text.parse::<MacAddress>().unwrap().to_string(), "AB:CD:EF:12:34:56");
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "AB:CD:EF:12:34", "AB:CD-EF:12:34:56", "AB:CD:EF:12:34:5G", "AB:CD:EF:12:34:56:78", "éééééé"]
        {
            assert!(text.parse::<MacAddress>().is_err(), "{text}");
        }
    }
}
