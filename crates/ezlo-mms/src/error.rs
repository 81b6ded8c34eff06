//! The errors of calls to the account cloud.

use std::time::Duration;

use ezlo_protocol::cloud::call::AnswerError;
use ezlo_protocol::error::RetryClass;

/// A failed call to the account cloud.
///
/// `Display` prints the call, the host, the kind and a hint. [`std::error::Error::source`] is the response of the service, if there
/// is one. No text contains a password or token.
#[derive(Debug, Clone)]
pub struct MmsError {
    call: &'static str,
    host: String,
    kind: ErrorKind,
    retry_after: Option<Duration>,
}

impl std::fmt::Display for MmsError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { call, host, kind, .. } = self;
        write!(f, "{call} at {host} failed: {kind}; {}", kind.hint())
    }
}

impl std::error::Error for MmsError {
    /// Returns the cause of the kind, because `Display` prints the kind itself.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.kind.source()
    }
}

/// The kind of a failed call.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// User name or password is wrong. Permanent; never retried.
    #[error("user name or password is wrong")]
    BadCredentials,
    /// The Identity or token is missing or not accepted. Permanent.
    ///
    /// [`Authenticator::call`](crate::Authenticator::call) refreshes the Identity once.
    #[error("the Identity is not accepted")]
    IdentityExpired,
    /// The service refused the call. Permanent.
    #[error("the service refused the call")]
    Refused(#[source] AnswerError),
    /// The service reported a temporary failure (HTTP 408, 429, or 500 and above). Transient.
    #[error("the service failed")]
    Unavailable(#[source] AnswerError),
    /// No connection was established, so the request was not sent. Transient.
    #[error("no connection ({0})")]
    Unreachable(String),
    /// The connection ended before the response was complete. The call may have taken effect. Transient.
    #[error("the connection ended before the response was complete ({0})")]
    ConnectionLost(String),
    /// No response within 30 s (60 s for a token exchange). The call may have taken effect. Transient.
    #[error("no response in time")]
    TimedOut,
    /// The response body is longer than 8 MiB. Permanent.
    #[error("the response is longer than 8 MiB")]
    BodyTooLarge,
    /// The response is not one of this service. The text contains the cause. Permanent.
    #[error("{0}")]
    InvalidResponse(String),
    /// The response has an unexpected shape. Permanent.
    #[error("cannot decode the response")]
    Decode(#[source] ezlo_protocol::wire::DecodeError),
    /// The request cannot be built from the parameters. The text contains the cause. Permanent.
    #[error("{0}")]
    BadRequest(String),
}

impl ErrorKind {
    const fn hint(&self) -> &'static str {
        match self {
            Self::BadCredentials => "check the credentials and log in again",
            Self::IdentityExpired => "log in again",
            Self::Refused(_) => "the same request will be refused again",
            Self::Unavailable(_) | Self::ConnectionLost(_) | Self::TimedOut => "try again later",
            Self::Unreachable(_) => "check the network and the address",
            Self::BodyTooLarge | Self::InvalidResponse(_) | Self::Decode(_) => {
                "check that the host belongs to this service"
            }
            Self::BadRequest(_) => "check the parameters",
        }
    }
}

impl MmsError {
    pub(crate) fn new(call: &'static str, host: &str, kind: ErrorKind) -> Self {
        Self { call, host: host.to_owned(), kind, retry_after: None }
    }

    pub(crate) const fn asked_to_wait(mut self, asked: Option<Duration>) -> Self {
        self.retry_after = asked;
        self
    }

    /// Returns the wait that the service requested with `Retry-After`, if any.
    pub const fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Returns the kind of the error.
    pub const fn kind(&self) -> &ErrorKind {
        &self.kind
    }

    /// Sets `retry_after` to the longer of two requested waits.
    pub(crate) fn not_before(mut self, other: Option<Duration>) -> Self {
        self.retry_after = self.retry_after.max(other);
        self
    }

    /// Returns the name of the call, such as `login` or `devices`.
    pub const fn call(&self) -> &'static str {
        self.call
    }

    /// Returns true if the same call may succeed later or at another host.
    ///
    /// True for `Unavailable`, `Unreachable`, `ConnectionLost` and `TimedOut`.
    pub const fn is_transient(&self) -> bool {
        matches!(
            self.kind,
            ErrorKind::Unavailable(_) | ErrorKind::Unreachable(_) | ErrorKind::ConnectionLost(_) | ErrorKind::TimedOut
        )
    }

    /// Returns true if the request cannot have reached the server.
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
            (AnswerError::Decode(decode), _) => Self::Decode(decode.clone()),
            _ => Self::Refused(error),
        }
    }
}
