//! Evidence levels: the strength of the source of a fact about the wire.

/// The evidence level of a fact. The order is from the strongest to the weakest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Evidence {
    /// A captured real message.
    Captured,
    /// A document of the vendor.
    Vendor,
    /// Source code of a working client or of firmware.
    ClientSource,
    /// Reports of users.
    Community,
    /// No source. An assumption that is compatible with known clients.
    Inferred,
}

impl Evidence {
    /// All levels, strongest first.
    pub const ALL: &[Self] = &[Self::Captured, Self::Vendor, Self::ClientSource, Self::Community, Self::Inferred];

    /// Returns the name of the level, such as `client-source`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Captured => "captured",
            Self::Vendor => "vendor",
            Self::ClientSource => "client-source",
            Self::Community => "community",
            Self::Inferred => "inferred",
        }
    }
}

/// The error of parsing an unknown evidence level.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown evidence level {0:?}; expected captured, vendor, client-source, community or inferred")]
pub struct UnknownEvidence(String);

impl std::str::FromStr for Evidence {
    type Err = UnknownEvidence;

    fn from_str(text: &str) -> Result<Self, UnknownEvidence> {
        let found = Self::ALL.iter().find(|level| level.as_str() == text);
        found.copied().ok_or_else(|| UnknownEvidence(text.chars().take(40).collect()))
    }
}

impl<'de> serde::Deserialize<'de> for Evidence {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'_, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl serde::Serialize for Evidence {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn level_names_parse_and_deserialise_to_their_level() {
        for level in Evidence::ALL {
            assert_eq!(level.as_str().parse(), Ok(*level));
            assert_eq!(serde_json::from_str::<Evidence>(&serde_json::to_string(level).unwrap()).unwrap(), *level);
        }
        assert!(Evidence::ALL.is_sorted(), "the strongest level is first");
        assert!("certain".parse::<Evidence>().unwrap_err().to_string().contains("client-source"));
    }
}
