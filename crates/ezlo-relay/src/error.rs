//! Errors of connections and calls, and the reasons for which connections end.

use std::sync::Arc;

use ezlo_protocol::error::RetryClass;
use ezlo_protocol::rpc::RpcError;
use ezlo_protocol::wire::DecodeError;

/// An error that prevented a connection to the hub. The variant names the step that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL is not a WebSocket URL.
    #[error("invalid WebSocket URL {0:?}; expected wss://host:port")]
    Url(String),
    /// The TCP connection or the TLS handshake failed.
    #[error("cannot connect to {address}")]
    Dial {
        /// The address, as host and port.
        address: String,
        /// The error of TCP or TLS.
        source: std::io::Error,
    },
    /// The WebSocket handshake failed.
    #[error("the WebSocket handshake with {address} failed: {text}")]
    Upgrade {
        /// The address, as host and port.
        address: String,
        /// The error of the WebSocket library.
        text: String,
    },
    /// A step exceeded its time limit (10 s for the handshakes, `SessionConfig::handshake_timeout` for later steps).
    #[error("{phase} timed out")]
    TimedOut {
        /// The name of the step, for display.
        phase: &'static str,
    },
    /// The relay or the hub refused the login.
    #[error("the login was refused")]
    Login(#[source] RpcError),
    /// The relay refused access to the hub.
    #[error("the registration for the hub was refused")]
    Register(#[source] RpcError),
    /// The credentials were refused as expired, and the connector has no others.
    #[error("the credentials have expired and there are no others; log in again")]
    CredentialsExhausted,
    /// The connector failed to obtain credentials or the address of the hub.
    #[error("cannot obtain the address or the credentials of the hub: {text}")]
    Connector {
        /// The cause, for display.
        text: String,
        /// True if another attempt would fail too; the session then closes.
        permanent: bool,
    },
    /// The connection of `RelaySession::from_transport` has ended and cannot be opened again.
    #[error("the connection has ended and cannot be opened again")]
    NotReconnectable {
        /// The reason for which it ended.
        #[source]
        reason: CloseReason,
    },
    /// The connection ended during login, registration or verification.
    #[error("the connection ended during {phase}")]
    Closed {
        /// The name of the step, for display.
        phase: &'static str,
        /// The reason for which it ended.
        #[source]
        reason: CloseReason,
    },
}

impl ConnectError {
    /// Returns true if another attempt with the same credentials would fail too.
    ///
    /// A refused login or registration is permanent only if its error is known to be permanent. Credentials that are refused
    /// at login may have expired and are not permanent.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Url(_) | Self::CredentialsExhausted | Self::NotReconnectable { .. } => true,
            Self::Connector { permanent, .. } => *permanent,
            Self::Login(error) | Self::Register(error) => {
                // An unknown error may be transient.
                let known = error.entry().is_some();
                known
                    && matches!(error.class(), RetryClass::Permanent | RetryClass::BadCredentials)
                    && !self.may_be_expired()
            }
            Self::Dial { .. } | Self::Upgrade { .. } | Self::TimedOut { .. } | Self::Closed { .. } => false,
        }
    }

    /// Returns true if the login or registration may succeed with new credentials.
    pub fn credentials_expired(&self) -> bool {
        match self {
            Self::Login(error) | Self::Register(error) => {
                error.class() == RetryClass::LogInAgain || self.may_be_expired()
            }
            _ => false,
        }
    }

    /// Returns true for bad credentials at login. The error of a relay for an expired Identity is not known (inferred), so bad
    /// credentials may be expired ones.
    fn may_be_expired(&self) -> bool {
        matches!(self, Self::Login(error) if error.class() == RetryClass::BadCredentials)
    }

    pub(crate) fn close_reason(&self) -> CloseReason {
        match self {
            Self::Closed { reason, .. } | Self::NotReconnectable { reason } => reason.clone(),
            other => CloseReason::ConnectFailed(ezlo_protocol::error::with_causes(other)),
        }
    }
}

/// The reason for which a connection or a session ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CloseReason {
    /// The session was closed by this side.
    #[error("closed locally")]
    ClosedLocally,
    /// A reconnect was requested by `RelaySession::reconnect`.
    #[error("replaced by a new connection")]
    Reconnect,
    /// A reply of the peer requires a new login.
    #[error("the credentials have expired")]
    CredentialsExpired,
    /// The peer closed the connection.
    #[error("closed by the peer with code {code} and reason {text:?}")]
    Remote {
        /// The WebSocket close code; 1005 if the peer sent none.
        code: u16,
        /// The reason text of the close frame; may be empty.
        text: String,
    },
    /// The connection could not be opened; the text describes the [`ConnectError`].
    #[error("connection attempt failed: {0}")]
    ConnectFailed(String),
    /// The connection failed; the text describes the I/O or protocol error.
    #[error("connection failed: {0}")]
    Io(String),
    /// No frame was received within `SessionConfig::idle_timeout`, or a write did not complete within `handshake_timeout`.
    #[error("the peer did not respond in time")]
    IdleTimeout,
}

/// An error of a call.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The hub or the relay replied with an error.
    #[error("{method} was refused")]
    Refused {
        /// The name of the method.
        method: String,
        /// The error of the reply.
        #[source]
        error: RpcError,
    },
    /// The call was sent, and no reply arrived before the deadline. A command may have been executed.
    #[error("{method} timed out: no reply before the deadline")]
    TimedOut {
        /// The name of the method.
        method: String,
    },
    /// No connection was live before the deadline: the call was never sent.
    #[error("{method} was not sent: no connection to the hub before the deadline")]
    NotSent {
        /// The name of the method.
        method: String,
    },
    /// The session is closed. The call was not sent, or it was a read.
    #[error("{method} was not completed: the session is closed")]
    Closed {
        /// The name of the method.
        method: String,
        /// The reason for which the connection or session ended.
        #[source]
        reason: Arc<CloseReason>,
    },
    /// The connection was lost after a command was sent, or the session closed after a command or an idempotent call was
    /// sent. The call may have been executed.
    #[error("the outcome of {method} is unknown: the connection was lost; check the state before retrying")]
    OutcomeUnknown {
        /// The name of the method.
        method: String,
        /// The reason for which the connection or session ended.
        #[source]
        reason: Arc<CloseReason>,
    },
    /// The result of the reply does not have the type of the method.
    #[error("cannot decode the reply to {method}")]
    Decode {
        /// The name of the method.
        method: String,
        /// The error of the decoder.
        #[source]
        error: DecodeError,
    },
    /// 1,024 calls are pending already; the call was not sent.
    #[error("{method} was not sent: too many calls are pending; wait for some of them to complete")]
    TooMany {
        /// The name of the method.
        method: String,
    },
}
