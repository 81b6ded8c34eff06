//! The firmware's version, and an update that is under way.

use serde_json::Value;

#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct Firmware {
    pub(crate) version: String,
    pub(crate) update: Option<Update>,
    pub(crate) generation: u64,
}

#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct Update {
    pub(crate) of: UpdateOf,
    /// The firmware's version after it; the packages of an update have their own.
    pub(crate) version: Option<String>,
    pub(crate) operation: Value,
    pub(crate) step: usize,
}

/// What an update brings.
#[derive(Debug, Clone, Copy, serde::Serialize, serde::Deserialize)]
pub(crate) enum UpdateOf {
    Firmware,
    Software,
}

impl UpdateOf {
    /// What its progress is told as.
    pub(crate) const fn broadcast(self) -> &'static str {
        match self {
            Self::Firmware => "hub.firmware.update.progress",
            Self::Software => "hub.software.update.progress",
        }
    }
}

impl Firmware {
    pub(crate) fn new(version: &str) -> Self {
        Self { version: version.to_owned(), update: None, generation: 0 }
    }
}
