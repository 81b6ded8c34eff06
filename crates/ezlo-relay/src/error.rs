//! What can go wrong with a connection and with a call.

use std::sync::Arc;

use ezlo_protocol::error::RetryClass;
use ezlo_protocol::rpc::RpcError;
use ezlo_protocol::wire::DecodeError;

/// A connection could not be made; the variant is the phase it failed in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The address is not a WebSocket URL.
    #[error("{0:?} is not a WebSocket URL; write wss://host:port")]
    Url(String),
    /// No connection, or no TLS.
    #[error("cannot reach {address}")]
    Dial {
        /// Where.
        address: String,
        /// Why.
        source: std::io::Error,
    },
    /// The other side does not speak WebSocket.
    #[error("{address} refused the WebSocket: {text}")]
    Upgrade {
        /// Where.
        address: String,
        /// Why.
        text: String,
    },
    /// The phase took too long.
    #[error("{phase} took too long")]
    TimedOut {
        /// Which.
        phase: &'static str,
    },
    /// The user was not let in.
    #[error("the login was refused")]
    Login(#[source] RpcError),
    /// The hub was not given.
    #[error("the registration at the hub was refused")]
    Register(#[source] RpcError),
    /// The credentials were refused as stale, and there are no others.
    #[error("the credentials are no longer good, and there are no others")]
    CredentialsExhausted,
    /// New credentials or the hub's address could not be got.
    #[error("cannot find the way to the hub: {text}")]
    Connector {
        /// Why.
        text: String,
        /// Whether trying again is of no use.
        permanent: bool,
    },
    /// The connection was given, and is over.
    #[error("the connection is over and there is no other: {reason}")]
    NotReconnectable {
        /// Why it ended.
        reason: CloseReason,
    },
    /// The connection ended before it was ready.
    #[error("the connection ended during {phase}: {reason}")]
    Closed {
        /// When.
        phase: &'static str,
        /// Why.
        reason: CloseReason,
    },
}

impl ConnectError {
    /// Whether another attempt with the same credentials would end the same.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Url(_) | Self::CredentialsExhausted | Self::NotReconnectable { .. } => true,
            Self::Connector { permanent, .. } => *permanent,
            Self::Login(error) | Self::Register(error) => {
                // Errors that nobody has described may pass.
                let known = error.entry().is_some();
                known
                    && matches!(error.class(), RetryClass::Permanent | RetryClass::BadCredentials)
                    && !self.may_be_expired()
            }
            Self::Dial { .. } | Self::Upgrade { .. } | Self::TimedOut { .. } | Self::Closed { .. } => false,
        }
    }

    /// Whether new credentials may do better.
    pub fn credentials_expired(&self) -> bool {
        match self {
            Self::Login(error) | Self::Register(error) => {
                error.class() == RetryClass::LogInAgain || self.may_be_expired()
            }
            _ => false,
        }
    }

    /// What a relay says to an Identity that it does not take is not known; bad credentials may be old ones.
    fn may_be_expired(&self) -> bool {
        matches!(self, Self::Login(error) if error.class() == RetryClass::BadCredentials)
    }

    pub(crate) fn close_reason(&self) -> CloseReason {
        match self {
            Self::Closed { reason, .. } | Self::NotReconnectable { reason } => reason.clone(),
            other => CloseReason::ConnectFailed(other.to_string()),
        }
    }
}

/// Why a connection ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CloseReason {
    /// This side closed it.
    #[error("closed here")]
    ClosedLocally,
    /// This side left it for a new one.
    #[error("left for a new link")]
    Reconnect,
    /// The other side says that the credentials are no longer good.
    #[error("the credentials are no longer good")]
    CredentialsExpired,
    /// The other side closed it.
    #[error("closed by the other side: {text} ({code})")]
    Remote {
        /// WebSocket close code; 1005 when none was given.
        code: u16,
        /// Its reason.
        text: String,
    },
    /// None could be made.
    #[error("no link: {0}")]
    ConnectFailed(String),
    /// It broke.
    #[error("broken: {0}")]
    Io(String),
    /// Nothing came for so long that it must be dead.
    #[error("silent for too long")]
    IdleTimeout,
}

/// A call did not succeed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The hub or the relay refused.
    #[error("the hub refused {method}")]
    Refused {
        /// Which.
        method: String,
        /// Refusal of the hub or the relay.
        #[source]
        error: RpcError,
    },
    /// No answer in time. A command may have been done all the same.
    #[error("{method} was not answered in time")]
    TimedOut {
        /// Which.
        method: String,
    },
    /// No link came up in time: the call was never sent.
    #[error("{method} was not sent: no link to the hub in time")]
    NotSent {
        /// Which.
        method: String,
    },
    /// The session is over; the call was not sent, or changes nothing.
    #[error("{method} was not sent: the session is closed")]
    Closed {
        /// Which.
        method: String,
        /// Cause of the close.
        #[source]
        reason: Arc<CloseReason>,
    },
    /// The connection went while a command was under way; it may have been done or not.
    #[error("the outcome of {method} is unknown: the connection was lost; check the state before retrying")]
    OutcomeUnknown {
        /// Which.
        method: String,
        /// Cause of the close.
        #[source]
        reason: Arc<CloseReason>,
    },
    /// The answer is not what it should be.
    #[error("cannot decode the reply to {method}")]
    Decode {
        /// Which.
        method: String,
        /// Cause.
        #[source]
        error: DecodeError,
    },
    /// Too many calls are under way.
    #[error("{method} cannot be sent: too many calls are under way")]
    TooMany {
        /// Which.
        method: String,
    },
}
