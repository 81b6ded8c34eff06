//! The trait of calls, its error types, and the request builder.

use crate::error::RetryClass;
use crate::evidence::Evidence;
use crate::identity::IdentityPair;
use crate::secret;
use crate::secret::{CloudToken, SessionToken};
use crate::wire::DecodeError;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, StatusCode, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// The kind of server that answers a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HostRole {
    /// The auth server, `…autha…`.
    Auth,
    /// The account server, `…account…`.
    Account,
    /// The device server with the hub records, `…device…`.
    Device,
    /// The locator, `…authd…`.
    Locator,
    /// The token exchange, `cloud.ezlo.com`.
    Cloud,
    /// The RPC gateway and the v4 calls, `api-cloud.ezlo.com`.
    CloudApi,
    /// The Wi-Fi API of a hub's access point; see [`API_BASE`](crate::cloud::access_point::API_BASE).
    AccessPoint,
    /// Port 80 of a hub's access point; see [`ROOT_BASE`](crate::cloud::access_point::ROOT_BASE).
    AccessPointRoot,
}

/// The properties of a call that do not depend on its parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallSpec {
    /// Name in errors, traces and snapshots.
    pub name: &'static str,
    /// Kind of server that answers the call.
    pub role: HostRole,
    /// HTTP method.
    pub method: &'static str,
    /// Path below the base URL; `{…}` is a parameter.
    pub path: &'static str,
    /// Evidence of the request.
    pub request: Evidence,
    /// Evidence of the response.
    pub answer: Evidence,
    /// `true` if sending the call twice has the same effect as sending it once.
    pub idempotent: bool,
}

/// An HTTP call of the cloud or of a hub's access point.
///
/// A call builds its request and parses the response. The caller sends it with an HTTP client of its choice.
pub trait Call {
    /// The properties of the call, including the evidence of request and response.
    const SPEC: CallSpec;
    /// The document of a successful response.
    type Answer;

    /// Builds the request.
    ///
    /// `base` is scheme and authority, such as `https://vera-us-oem-autha.mios.com`. A trailing slash is ignored. Headers with
    /// secrets are marked as sensitive.
    ///
    /// # Errors
    ///
    /// [`RequestError`] if `base` is not a valid URL or a secret is not a valid header value.
    fn request(&self, base: &str) -> Result<Request<Bytes>, RequestError>;

    /// Parses the response from its status and body.
    ///
    /// # Errors
    ///
    /// - [`AnswerError::Status`] if the HTTP status is not a success, or a successful response lacks its token.
    /// - [`AnswerError::Refused`] if the RPC gateway reports a failure with HTTP status 200.
    /// - [`AnswerError::Decode`] if a successful response has an unexpected shape.
    fn parse(&self, status: StatusCode, body: &[u8]) -> Result<Self::Answer, AnswerError>;
}

/// The authentication of a call to the MMS servers.
#[derive(Debug, Clone, Copy)]
pub enum Auth<'a> {
    /// The MMS pair, sent as `MMSAuth` and `MMSAuthSig`.
    Pair(&'a IdentityPair),
    /// A session token, sent as `MMSSession`. It is valid on the host that issued it.
    Session(&'a SessionToken),
}

/// The error of building a request. It never contains a header value.
#[derive(Debug, thiserror::Error)]
#[error("invalid base URL {base} or invalid header value")]
pub struct RequestError {
    base: String,
    source: http::Error,
}

/// The error of a response that is no success or that cannot be parsed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// The HTTP status is not a success, or a successful response lacks its token.
    #[error("HTTP {status}{}{text}", if text.is_empty() { "" } else { ": " })]
    Status {
        /// HTTP status.
        status: u16,
        /// Text of the response, masked and at most 200 characters. Errors of the MMS servers begin with `ERROR:`.
        text: String,
        /// Recommended reaction.
        class: RetryClass,
    },
    /// The HTTP status is a success, but the envelope of the RPC gateway reports a failure.
    #[error("cloud API refused the call: {text}")]
    Refused {
        /// The `error_text` of the envelope, masked and at most 200 characters.
        text: String,
    },
    /// A successful response has an unexpected shape.
    #[error("response has an unexpected shape")]
    Decode(#[from] DecodeError),
}

impl AnswerError {
    /// Returns the recommended reaction.
    pub const fn class(&self) -> RetryClass {
        match self {
            Self::Status { class, .. } => *class,
            Self::Refused { .. } | Self::Decode(_) => RetryClass::Permanent,
        }
    }
}

/// Returns the body of a successful response, or an error classified by the status codes of the MMS servers.
pub(crate) fn mms_success(status: StatusCode, body: &[u8], not_found: RetryClass) -> Result<&[u8], AnswerError> {
    if status.is_success() {
        return Ok(body);
    }
    let class = match status.as_u16() {
        401 => RetryClass::LogInAgain,
        404 => not_found,
        408 | 429 | 500.. => RetryClass::Transient,
        _ => RetryClass::Permanent,
    };
    let text = std::str::from_utf8(body).map(excerpt).unwrap_or_default();
    Err(AnswerError::Status { status: status.as_u16(), text, class })
}

/// Like [`mms_success`], but for a login: no earlier login can have expired, so 401 and 404 mean bad credentials.
pub(crate) fn login_success(status: StatusCode, body: &[u8]) -> Result<&[u8], AnswerError> {
    mms_success(status, body, RetryClass::BadCredentials).map_err(|error| match error {
        AnswerError::Status { status: 401, text, .. } => {
            AnswerError::Status { status: 401, text, class: RetryClass::BadCredentials }
        }
        other => other,
    })
}

/// Makes the text of a service safe for an error message: removes URL parameters and masks assignments and tokens.
///
/// An error page may repeat the request, and with it a password.
pub(crate) fn excerpt(text: &str) -> String {
    let plain = |word: &str| {
        let front = word.split('?').next().unwrap_or_default();
        if front.contains('=') { "***".to_owned() } else { front.to_owned() }
    };
    secret::masked(&text.split(' ').map(plain).collect::<Vec<_>>().join(" "))
}

/// All characters except those that never need encoding in a URL.
pub(crate) const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

pub(crate) fn encode(text: &str) -> String {
    utf8_percent_encode(text, COMPONENT).to_string()
}

/// A request builder. It stores the first error, and [`Builder::body`] returns it.
pub(crate) struct Builder {
    base: String,
    uri: String,
    request: http::request::Builder,
    has_query: bool,
}

impl Builder {
    pub(crate) fn new(method: Method, base: &str, path: &str) -> Self {
        let base = base.trim_end_matches('/').to_owned();
        Self { uri: format!("{base}{path}"), base, request: Request::builder().method(method), has_query: false }
    }

    pub(crate) fn query(mut self, name: &str, value: &str) -> Self {
        self.uri.push(if self.has_query { '&' } else { '?' });
        self.has_query = true;
        self.uri.push_str(name);
        self.uri.push('=');
        self.uri.push_str(&encode(value));
        self
    }

    pub(crate) fn query_if(self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.query(name, value),
            None => self,
        }
    }

    pub(crate) fn header(mut self, name: HeaderName, value: &'static str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    /// Adds a header that is marked as sensitive, so that HTTP libraries do not print it.
    pub(crate) fn secret_header(mut self, name: &'static str, value: &str) -> Self {
        self.request = match HeaderValue::from_str(value) {
            Ok(mut value) => {
                value.set_sensitive(true);
                self.request.header(name, value)
            }
            // An invalid placeholder: the builder stores its error, which does not contain the secret.
            Err(_) => self.request.header(name, "\n"),
        };
        self
    }

    pub(crate) fn auth(self, auth: Auth<'_>) -> Self {
        match auth {
            Auth::Pair(pair) => self.pair(pair),
            Auth::Session(token) => self.secret_header("mmssession", token.expose()),
        }
    }

    pub(crate) fn pair(self, pair: &IdentityPair) -> Self {
        self.secret_header("mmsauth", pair.identity.expose()).secret_header("mmsauthsig", pair.signature.expose())
    }

    pub(crate) fn bearer(self, token: &CloudToken) -> Self {
        self.secret_header("authorization", &format!("Bearer {}", token.expose()))
    }

    pub(crate) fn empty(self) -> Result<Request<Bytes>, RequestError> {
        self.body(Bytes::new())
    }

    pub(crate) fn json(
        self,
        content_type: &'static str,
        body: &serde_json::Value,
    ) -> Result<Request<Bytes>, RequestError> {
        self.header(header::CONTENT_TYPE, content_type).body(Bytes::from(body.to_string()))
    }

    pub(crate) fn body(self, body: Bytes) -> Result<Request<Bytes>, RequestError> {
        let Self { base, uri, request, .. } = self;
        request.uri(uri).body(body).map_err(|source| RequestError { base, source })
    }
}
