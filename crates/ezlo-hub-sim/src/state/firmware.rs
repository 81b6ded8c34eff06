//! The firmware version and a running update.

use serde_json::Value;

/// The state of the firmware.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct Firmware {
    pub(crate) version: String,
    pub(crate) update: Option<Update>,
    pub(crate) generation: u64,
}

/// A running update.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct Update {
    pub(crate) of: UpdateOf,
    /// Firmware version after the update; `None` for a software update, which does not change it.
    pub(crate) version: Option<String>,
    pub(crate) operation: Value,
    pub(crate) step: usize,
}

/// The kind of an update.
#[derive(Debug, Clone, Copy, serde::Serialize, serde::Deserialize)]
pub(crate) enum UpdateOf {
    Firmware,
    Software,
}

impl UpdateOf {
    /// Returns the name of the progress broadcast.
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
