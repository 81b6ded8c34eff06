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
