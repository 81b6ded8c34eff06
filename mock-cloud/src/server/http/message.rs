//! HTTP requests and replies as handlers see them, with the limits that hold for every listener.

use std::borrow::Cow;
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http::header::{ALLOW, AsHeaderName, CONTENT_LENGTH, CONTENT_TYPE, DATE, HOST, HeaderValue};
use http::{HeaderMap, Method, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited, StreamBody};
use hyper::body::{Body as _, Frame, Incoming};
use percent_encoding::percent_decode_str;
use serde::Serialize;
use serde_json::Value;

use crate::journal::shown::shown_name;

/// Longest request body, in bytes. The longest real one is a scene of a few kB.
pub(crate) const MAX_BODY: usize = 256 * 1024;

/// Time in which the first half of a truncated body is sent.
pub(crate) const FLUSH_TIME: Duration = Duration::from_millis(50);

/// Initial capacity of the headers of a reply, those of hyper included.
pub(crate) const USUAL_HEADERS: usize = 6;

/// Most names of unread query parameters in one journal entry.
pub(crate) const MOST_TOLD: usize = 32;

pub(crate) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// A request with its whole body. Not `Debug`: it holds passwords and tokens.
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) path: String,
    /// Names and values, decoded.
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) host: Host,
    /// Marks the parameters of `query` that a handler has read.
    pub(crate) looked_at: Vec<AtomicBool>,
}

impl Request {
    /// Returns the first query parameter with this name and marks it as read.
    pub(crate) fn param(&self, name: &str) -> Option<&str> {
        let (at, (_, value)) = self.query.iter().enumerate().find(|(_, (key, _))| key == name)?;
        self.looked_at[at].store(true, Ordering::Relaxed);
        Some(value)
    }

    /// Returns the names of unread query parameters, masked as in the journal.
    pub(crate) fn ignored(&self) -> Vec<String> {
        let unread = self.query.iter().zip(&self.looked_at).filter(|(_, looked)| !looked.load(Ordering::Relaxed));
        unread.take(MOST_TOLD).map(|((name, _), _)| shown_name(name)).collect()
    }

    /// Returns the value of a header; `None` if it is absent or not UTF-8.
    pub(crate) fn header(&self, name: impl AsHeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| str::from_utf8(value.as_bytes()).ok())
    }
}

/// The host that the client addressed. Names in replies follow it.
#[derive(Debug, Clone)]
pub(crate) struct Host {
    /// As sent, port included.
    pub(crate) authority: String,
    pub(crate) tls: bool,
}

impl Host {
    /// Returns the name without port, in lower case.
    pub(crate) fn name(&self) -> Cow<'_, str> {
        let name = match self.authority.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => name,
            _ => &self.authority,
        };
        if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Cow::Owned(name.to_ascii_lowercase())
        } else {
            Cow::Borrowed(name)
        }
    }

    /// Returns whether the client used a host name of the vendor.
    pub(crate) fn is_vendors(&self) -> bool {
        let name = self.name();
        name.ends_with(".mios.com") || name.ends_with(".ezlo.com")
    }
}

/// An HTTP reply.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
    /// The body as the handler wrote it, for the journal; empty for a stream.
    pub(crate) written: Bytes,
}

pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).boxed_unsync()
}

impl Reply {
    pub(crate) fn new(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let mut headers = HeaderMap::with_capacity(USUAL_HEADERS);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        let written = body.into();
        Self { status, headers, body: full(written.clone()), written }
    }

    pub(crate) fn json(document: &impl Serialize) -> Self {
        Self::json_text(ezlo_protocol::wire::to_bytes(document))
    }

    /// Returns a JSON reply with a serialised document.
    pub(crate) fn json_text(text: impl Into<Bytes>) -> Self {
        Self::new(StatusCode::OK, "application/json", text)
    }

    pub(crate) fn text(text: impl Into<Bytes>) -> Self {
        Self::new(StatusCode::OK, "text/plain", text)
    }

    /// Returns a refusal of an MMS server: plain text that begins with `ERROR:` (seen on the legacy relay; inferred for the
    /// other servers).
    pub(crate) fn error(status: StatusCode, text: &str) -> Self {
        Self::new(status, "text/plain", format!("ERROR:{text}"))
    }

    pub(crate) fn not_found() -> Self {
        Self::error(StatusCode::NOT_FOUND, "Not found")
    }

    pub(crate) fn method_not_allowed(allowed: &[Method]) -> Self {
        let mut reply = Self::error(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed");
        let names = allowed.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
        reply.headers.extend(HeaderValue::from_str(&names).ok().map(|names| (ALLOW, names)));
        reply
    }

    /// Truncates the body after half of its declared length. An endless body ends after its first frame.
    pub(crate) async fn truncated(mut self) -> Self {
        // hyper discards data that is not sent when the end arrives.
        let end = stream::once(async {
            tokio::time::sleep(FLUSH_TIME).await;
            Ok(Frame::data(Bytes::new()))
        });
        if self.body.size_hint().exact().is_none() {
            self.headers.insert(CONTENT_LENGTH, HeaderValue::from(MAX_BODY));
            let first = self.body.into_data_stream().take(1).map_ok(Frame::data);
            self.body = StreamBody::new(first.chain(end)).boxed_unsync();
            return self;
        }
        let whole = match self.body.collect().await {
            Ok(whole) => whole.to_bytes(),
            Err(never) => match never {},
        };
        self.headers.insert(CONTENT_LENGTH, HeaderValue::from(whole.len()));
        let half = Frame::data(whole.slice(..whole.len() / 2));
        self.body = StreamBody::new(stream::once(async { Ok(half) }).chain(end)).boxed_unsync();
        self
    }

    pub(crate) fn into_response(self, date: Option<HeaderValue>, head_only: bool) -> Response<Body> {
        let mut response = Response::new(if head_only { full(Bytes::new()) } else { self.body });
        (*response.status_mut(), *response.headers_mut()) = (self.status, self.headers);
        response.headers_mut().extend(date.map(|date| (DATE, date)));
        response
    }
}

/// Returns the authority of the request line or of the `Host` header. Only letters, digits and `.:-[]_` are accepted, because
/// the authority appears in replies.
pub(crate) fn host_of<B>(request: &http::Request<B>, tls: bool) -> Option<Host> {
    let mut hosts = request.headers().get_all(HOST).iter();
    let (first, more) = (hosts.next(), hosts.next());
    // Several `Host` headers are ambiguous.
    if more.is_some() {
        return None;
    }
    let header = || first.and_then(|host| host.to_str().ok()).map(str::to_owned);
    let authority = request.uri().authority().map(ToString::to_string).or_else(header)?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".:-[]_".contains(&byte);
    let good = !authority.is_empty() && authority.len() <= 300 && authority.bytes().all(plain);
    good.then_some(Host { authority, tls })
}

/// Reads the body and the query of a request, within a time limit.
pub(crate) async fn read(request: http::Request<Incoming>, host: Host, limit: Duration) -> Result<Request, Reply> {
    let (head, body) = request.into_parts();
    let is_empty = body.is_end_stream();
    let collected = async { Limited::new(body, MAX_BODY).collect().await.map(|body| body.to_bytes()) };
    // Most requests have no body and need no timer.
    let collected = if is_empty { Ok(Ok(Bytes::new())) } else { tokio::time::timeout(limit, collected).await };
    let body = match collected {
        Ok(Ok(body)) => body,
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            return Err(Reply::error(StatusCode::PAYLOAD_TOO_LARGE, "Request too long"));
        }
        Ok(Err(_)) => return Err(Reply::error(StatusCode::BAD_REQUEST, "Broken request body")),
        Err(_) => return Err(Reply::error(StatusCode::REQUEST_TIMEOUT, "Request body took too long")),
    };
    let query = head.uri.query().map(pairs).unwrap_or(Some(Vec::new()));
    let query = query.ok_or_else(|| Reply::error(StatusCode::BAD_REQUEST, "Query is not UTF-8"))?;
    let path = head.uri.path().to_owned();
    let looked_at = query.iter().map(|_| AtomicBool::new(false)).collect();
    Ok(Request { method: head.method, path, query, headers: head.headers, body, host, looked_at })
}

/// Returns a query as parameters that a fault can match.
pub(crate) fn query_params(query: &str) -> Value {
    pairs(query).unwrap_or_default().into_iter().map(|(name, value)| (name, Value::from(value))).collect()
}

/// Returns the pairs of a query string or form; `None` if one is not UTF-8. A plus sign is a space, as in HTML forms.
pub(crate) fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    let decode = |text: &str| {
        if !text.bytes().any(|byte| matches!(byte, b'+' | b'%')) {
            return Some(text.to_owned());
        }
        let spaced = text.replace('+', " ");
        percent_decode_str(&spaced).decode_utf8().ok().map(std::borrow::Cow::into_owned)
    };
    let parts = text.split('&').filter(|part| !part.is_empty());
    parts.map(|part| part.split_once('=').unwrap_or((part, ""))).map(|(k, v)| Some((decode(k)?, decode(v)?))).collect()
}

/// Header that selects a fork by number, for clients that cannot resolve `wN.localhost`.
pub(crate) const WORLD_HEADER: &str = "mock-cloud-world";

/// Returns the number of a fork in a host name such as `w1.localhost`.
pub(crate) fn world_number(name: &str) -> Option<u64> {
    name.strip_suffix(".localhost")?.strip_prefix('w')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(authority: &str) -> Host {
        Host { authority: authority.into(), tls: true }
    }

    #[test]
    fn server_names_follow_the_host_of_the_request() {
        for vendors in ["vera-us-oem-autha.mios.com", "VERA-us-oem-autha.MIOS.com:443"] {
            assert!(host(vendors).is_vendors(), "{vendors}");
        }
        for other in ["127.0.0.1:8443", "evilmios.com"] {
            assert!(!host(other).is_vendors(), "{other}");
        }
        assert_eq!(host("[::1]:8443").name(), "[::1]");
    }

    #[test]
    fn query_pairs_are_percent_decoded_once() {
        let expected = |pairs: &[(&str, &str)]| Some(pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect());
        assert_eq!(
            pairs("a=1&b=%7B%22x%22:%201%7D&c&d=x=y"),
            expected(&[("a", "1"), ("b", "{\"x\": 1}"), ("c", ""), ("d", "x=y")])
        );
        assert_eq!(pairs("a=b+c%2Bd"), expected(&[("a", "b c+d")]));
        assert_eq!(pairs("a=%FF"), None);
        assert_eq!(pairs("a=100%"), expected(&[("a", "100%")]));
    }
}
