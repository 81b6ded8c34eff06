//! The effect of a repeated call.

/// The effect of a repeated call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The call changes nothing.
    Read,
    /// The call changes something. A repetition leads to the same state.
    Idempotent,
    /// Each call has an effect. Never repeat it automatically.
    Command,
}

impl Kind {
    /// Returns the name of the kind, such as `idempotent`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Idempotent => "idempotent",
            Self::Command => "command",
        }
    }
}
