//! Everything that can go wrong, under one name.

use std::time::Duration;

/// Something did not work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The environment cannot be used.
    #[error(transparent)]
    Environment(#[from] ezlo_mms::EnvironmentError),
    /// A call to the cloud failed.
    #[error(transparent)]
    Cloud(#[from] ezlo_mms::Error),
    /// A connection to a hub could not be made.
    #[error(transparent)]
    Connect(#[from] ezlo_relay::ConnectError),
    /// A call to a hub failed.
    #[error(transparent)]
    Call(#[from] ezlo_relay::CallError),
    /// A hub could not be brought in.
    #[error(transparent)]
    Onboarding(#[from] ezlo_onboarding::OnboardingError),
    /// The hub runs Vera firmware; it has no relay of the kind this crate speaks.
    #[error("hub {0} is not reached by WebSocket: it runs Vera firmware, or the service names no relay for it")]
    NoRelay(String),
    /// The account has no local key for the hub.
    #[error("the account has no local key for hub {0}; remove the hub from the account and add it again")]
    NoLocalKey(String),
    /// There is no such thing on the hub.
    #[error("the hub has no {what} called {name:?}; it has {}", known.join(", "))]
    NotFound {
        /// What kind of thing.
        what: &'static str,
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// The item does not take the value; nothing was sent.
    #[error("item {item} does not accept the value")]
    InvalidValue {
        /// Which.
        item: String,
        /// Refusal of the local check.
        #[source]
        error: ezlo_protocol::rpc::RpcError,
    },
    /// The device or item is gone.
    #[error("{0} is gone from the hub")]
    Removed(String),
    /// The link was lost while a command was under way, and the state after it shows that the command did nothing.
    #[error("{what} was not applied: the link was lost, and the hub still has the old state")]
    NotApplied {
        /// What was asked for.
        what: String,
    },
    /// The link was lost, or no answer came in time, while a command was under way, and the state after it does not tell
    /// whether it was done.
    #[error("the outcome of {what} is unknown (connection lost or timeout); check the state before retrying")]
    OutcomeUnknown {
        /// What was asked for.
        what: String,
    },
    /// The session is over.
    #[error("the session with the hub is over")]
    SessionClosed,
    /// The hub took the call, but what it leads to did not come in time.
    #[error("the hub took {what} but did not report it within {limit:?}")]
    ConfirmationTimeout {
        /// What was asked for.
        what: String,
        /// How long was waited.
        limit: Duration,
    },
    /// What was asked for failed on the hub.
    #[error("{what} failed on the hub: {text}")]
    Failed {
        /// What was asked for.
        what: String,
        /// In the hub's words.
        text: String,
    },
}
