//! Types that all calls share.

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
    /// User authentication, `…autha…`.
    Auth,
    /// Accounts, `…account…`.
    Account,
    /// Hub records, `…device…`.
    Device,
    /// The locator, `…authd…`.
    Locator,
    /// Token exchange, `cloud.ezlo.com`.
    Cloud,
    /// RPC gateway and v4, `api-cloud.ezlo.com`.
    CloudApi,
    /// The hub's access point, Wi-Fi API.
    AccessPoint,
    /// The hub's access point, port 80.
    AccessPointRoot,
}

/// What is known of a call, apart from its parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallSpec {
    /// Name used in errors, traces and snapshots.
    pub name: &'static str,
    /// Who answers it.
    pub role: HostRole,
    /// HTTP method.
    pub method: &'static str,
    /// Path; `{…}` stands for a parameter.
    pub path: &'static str,
    /// How the request is known.
    pub request: Evidence,
    /// How the answer is known.
    pub answer: Evidence,
    /// Whether sending it twice is the same as sending it once.
    pub idempotent: bool,
}

/// One HTTP call of the cloud or the access point.
pub trait Call {
    /// What is known of it.
    const SPEC: CallSpec;
    /// What a success says.
    type Answer;

    /// The request, ready to be sent.
    fn request(&self, base: &str) -> Result<Request<Bytes>, RequestError>;

    /// Reads the answer.
    fn parse(&self, status: StatusCode, body: &[u8]) -> Result<Self::Answer, AnswerError>;
}

/// How a call says who is asking.
#[derive(Debug, Clone, Copy)]
pub enum Auth<'a> {
    /// `MMSAuth` and `MMSAuthSig`.
    Pair(&'a IdentityPair),
    /// `MMSSession`, valid on the host that gave the token.
    Session(&'a SessionToken),
}

/// A request could not be built.
#[derive(Debug, thiserror::Error)]
#[error("cannot build a request for the base URL {base}")]
pub struct RequestError {
    base: String,
    source: http::Error,
}

/// The answer to a call was not a success, or not what a success looks like.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// The service refused, or failed.
    #[error("HTTP {status}{}{text}", if text.is_empty() { "" } else { ": " })]
    Status {
        /// HTTP status.
        status: u16,
        /// What the service said, cut short; MMS errors begin with `ERROR:`.
        text: String,
        /// What to do about it.
        class: RetryClass,
    },
    /// HTTP success, but the cloud API's envelope says failure.
    #[error("the cloud API refused: {text}")]
    Refused {
        /// `error_text`, cut short.
        text: String,
    },
    /// A success in a shape nobody has seen.
    #[error("cannot read the answer: {0}")]
    Decode(#[from] DecodeError),
}

impl AnswerError {
    /// What to do about it.
    pub const fn class(&self) -> RetryClass {
        match self {
            Self::Status { class, .. } => *class,
            Self::Refused { .. } | Self::Decode(_) => RetryClass::Permanent,
        }
    }
}

/// Passes a success on and turns the rest into errors, by the MMS family's meanings of a status.
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
    let text = std::str::from_utf8(body).map(said).unwrap_or_default();
    Err(AnswerError::Status { status: status.as_u16(), text, class })
}

/// The same for a call that logs in: there is no older login to blame, so who is not let in has the wrong password.
pub(crate) fn login_success(status: StatusCode, body: &[u8]) -> Result<&[u8], AnswerError> {
    mms_success(status, body, RetryClass::BadCredentials).map_err(|error| match error {
        AnswerError::Status { status: 401, text, .. } => {
            AnswerError::Status { status: 401, text, class: RetryClass::BadCredentials }
        }
        other => other,
    })
}

/// What a service said, for people: without parameters, since a page about an error may repeat the request with a password in
/// it, and without tokens.
pub(crate) fn said(text: &str) -> String {
    let plain = |word: &str| {
        let front = word.split('?').next().unwrap_or_default();
        if front.contains('=') { "***".to_owned() } else { front.to_owned() }
    };
    secret::masked(&text.split(' ').map(plain).collect::<Vec<_>>().join(" "))
}

/// Everything but the characters that never need encoding in a URL.
pub(crate) const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

pub(crate) fn encode(text: &str) -> String {
    utf8_percent_encode(text, COMPONENT).to_string()
}

/// Builds a request step by step; the first error is kept until the end.
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

    /// Marked sensitive, so that no HTTP library prints it.
    pub(crate) fn secret_header(mut self, name: &'static str, value: &str) -> Self {
        self.request = match HeaderValue::from_str(value) {
            Ok(mut value) => {
                value.set_sensitive(true);
                self.request.header(name, value)
            }
            // Lets the builder keep the error without the value in it.
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
