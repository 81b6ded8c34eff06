//! How a fact about the wire is known.

/// How sure a fact is, strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Evidence {
    /// Seen in a real message.
    Captured,
    /// Written by the vendor.
    Vendor,
    /// Read from the source of a client that works, or of firmware.
    ClientSource,
    /// Told by users.
    Community,
    /// Nobody says so; chosen because clients can live with it.
    Inferred,
}

impl Evidence {
    /// Every level, strongest first.
    pub const ALL: &[Self] = &[Self::Captured, Self::Vendor, Self::ClientSource, Self::Community, Self::Inferred];

    /// The word used in listings.
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

/// No level has that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no level of evidence; there are captured, vendor, client-source, community and inferred")]
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
    fn words_and_levels_are_each_others() {
        for level in Evidence::ALL {
            assert_eq!(level.as_str().parse(), Ok(*level));
            assert_eq!(serde_json::from_str::<Evidence>(&serde_json::to_string(level).unwrap()).unwrap(), *level);
        }
        assert!(Evidence::ALL.is_sorted(), "strongest first");
        assert!("certain".parse::<Evidence>().unwrap_err().to_string().contains("client-source"));
    }
}
