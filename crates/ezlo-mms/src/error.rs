//! What can go wrong with a call, and what to do about it.

use std::time::Duration;

use ezlo_protocol::cloud::call::AnswerError;
use ezlo_protocol::error::RetryClass;

/// A call failed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{call} at {host} failed: {kind}; {}", kind.hint())]
pub struct Error {
    call: &'static str,
    host: String,
    #[source]
    kind: ErrorKind,
    retry_after: Option<Duration>,
}

/// Why a call failed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// User name or password is wrong. Never retried.
    #[error("user name or password is wrong")]
    BadCredentials,
    /// The token is no longer good.
    #[error("the identity is not accepted any more")]
    IdentityExpired,
    /// The service refused.
    #[error("the service refused ({0})")]
    Refused(AnswerError),
    /// The service failed; it may work in a moment.
    #[error("the service failed ({0})")]
    Unavailable(AnswerError),
    /// The service could not be reached.
    #[error("no connection ({0})")]
    Unreachable(String),
    /// The connection broke before the answer was whole. The call may have been done.
    #[error("the connection broke ({0})")]
    ConnectionLost(String),
    /// No answer in time.
    #[error("no answer in time")]
    TimedOut,
    /// The answer is longer than any real one.
    #[error("the answer is too long")]
    BodyTooLarge,
    /// The answer is not what it should be.
    #[error("{0}")]
    InvalidResponse(String),
    /// The request cannot be built from what was given.
    #[error("{0}")]
    BadRequest(String),
}

impl ErrorKind {
    const fn hint(&self) -> &'static str {
        match self {
            Self::BadCredentials => "check both and log in again",
            Self::IdentityExpired => "log in again",
            Self::Refused(_) => "the same request will be refused again",
            Self::Unavailable(_) | Self::ConnectionLost(_) | Self::TimedOut => "try again later",
            Self::Unreachable(_) => "check the network and the address",
            Self::BodyTooLarge | Self::InvalidResponse(_) => "is this the right server?",
            Self::BadRequest(_) => "check what was given",
        }
    }
}

impl Error {
    pub(crate) fn new(call: &'static str, host: &str, kind: ErrorKind) -> Self {
        Self { call, host: host.to_owned(), kind, retry_after: None }
    }

    pub(crate) const fn asked_to_wait(mut self, asked: Option<Duration>) -> Self {
        self.retry_after = asked;
        self
    }

    /// How long the service asked to be left alone.
    pub const fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Why.
    pub const fn kind(&self) -> &ErrorKind {
        &self.kind
    }

    /// The longer of two waits that were asked for.
    pub(crate) fn not_before(mut self, other: Option<Duration>) -> Self {
        self.retry_after = self.retry_after.max(other);
        self
    }

    /// Which call.
    pub const fn call(&self) -> &'static str {
        self.call
    }

    /// Whether another server, or the same one later, may do better.
    pub const fn is_transient(&self) -> bool {
        matches!(
            self.kind,
            ErrorKind::Unavailable(_) | ErrorKind::Unreachable(_) | ErrorKind::ConnectionLost(_) | ErrorKind::TimedOut
        )
    }

    /// Whether the request cannot have reached the server.
    pub(crate) const fn never_left(&self) -> bool {
        matches!(self.kind, ErrorKind::Unreachable(_))
    }
}

impl From<AnswerError> for ErrorKind {
    fn from(error: AnswerError) -> Self {
        match (&error, error.class()) {
            (_, RetryClass::BadCredentials) => Self::BadCredentials,
            (_, RetryClass::LogInAgain) => Self::IdentityExpired,
            (_, RetryClass::Transient) => Self::Unavailable(error),
            (AnswerError::Decode(decode), _) => Self::InvalidResponse(format!("cannot read the answer: {decode}")),
            _ => Self::Refused(error),
        }
    }
}
