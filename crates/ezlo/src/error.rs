//! The error type of this crate.

use std::time::Duration;

/// An operation failed.
///
/// The text describes this layer only. Follow [`std::error::Error::source`] for the cause. No error contains a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The environment is invalid, for example a proxy or a certificate that cannot be used.
    #[error(transparent)]
    Environment(#[from] ezlo_mms::EnvironmentError),
    /// A call to the account cloud failed: refused, unreachable or no response in time.
    #[error(transparent)]
    Cloud(#[from] ezlo_mms::MmsError),
    /// The first connection to a hub failed.
    #[error(transparent)]
    Connect(#[from] ezlo_relay::ConnectError),
    /// A call to a hub failed: refused, not sent, no reply in time, or the outcome is unknown.
    #[error(transparent)]
    Call(#[from] ezlo_relay::CallError),
    /// The onboarding of a hub failed.
    #[error(transparent)]
    Onboarding(#[from] ezlo_onboarding::OnboardingError),
    /// The hub has no relay that this crate supports. Contains the serial. Vera firmware uses another kind of relay.
    #[error("hub {0} has no WebSocket relay: it runs Vera firmware, or its record names no relay")]
    NoRelay(String),
    /// The account has no local key for the hub. Contains the serial.
    #[error("the account has no local key for hub {0}; remove the hub from the account and add it again")]
    NoLocalKey(String),
    /// No device, item, scene or house mode has the name. No command was sent.
    #[error("{what} {name:?} not found; known names: {}", known.join(", "))]
    NotFound {
        /// The kind of object: `device`, `item`, `scene` or `house mode`.
        what: &'static str,
        /// The requested name.
        name: String,
        /// The names that exist.
        known: Vec<String>,
    },
    /// The item does not accept the value. Nothing was sent.
    #[error("item {item} does not accept the value")]
    InvalidValue {
        /// The id of the item.
        item: String,
        /// The refusal of the local check.
        #[source]
        error: ezlo_protocol::rpc::RpcError,
    },
    /// The item was removed from the hub. Contains its id.
    #[error("{0} was removed from the hub")]
    Removed(String),
    /// The connection was lost during a command, and the state read afterwards shows that it had no effect.
    #[error("{what} was not applied: the connection was lost, and the hub reports the old value; a retry is safe")]
    NotApplied {
        /// The requested operation.
        what: String,
    },
    /// The connection was lost or the reply timed out during a command, and the state read afterwards proves neither outcome.
    #[error("the outcome of {what} is unknown (connection lost or timeout); check the state before retrying")]
    OutcomeUnknown {
        /// The requested operation.
        what: String,
    },
    /// The session is closed and does not reconnect.
    #[error("the session with the hub is closed; connect again")]
    SessionClosed,
    /// The expected report of the hub did not arrive in time. A command may still take effect.
    #[error("the hub did not confirm {what} within {limit:?}; check the state before retrying")]
    ConfirmationTimeout {
        /// The expected report.
        what: String,
        /// The timeout.
        limit: Duration,
    },
    /// The operation failed on the hub, or its progress can no longer be followed.
    #[error("{what} failed: {text}")]
    Failed {
        /// The requested operation.
        what: String,
        /// The status or event that the hub reported, or the reason found by this crate.
        text: String,
    },
}
