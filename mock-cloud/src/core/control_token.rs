//! The token of the control API.

use serde::{Deserialize, Serialize};

use crate::core::os_random::random_bytes;

/// The token of the control API. Its `Debug` output is masked.
#[derive(Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(transparent)]
pub struct ControlToken(String);

impl ControlToken {
    /// Smallest length, in bytes.
    pub(crate) const SHORTEST: usize = 16;

    /// Creates a random token.
    pub(crate) fn random() -> Self {
        Self(ezlo_hub_sim::encoding::hex(&random_bytes::<16>()))
    }

    /// Returns the text.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl<T: Into<String>> From<T> for ControlToken {
    fn from(token: T) -> Self {
        Self(token.into())
    }
}

impl std::fmt::Debug for ControlToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ControlToken(***)")
    }
}
