//! HTTP requests of scenes. Only loopback addresses are allowed, unless `allow_external_scene_http` is set. The ports of this process
//! are never allowed, so that an app user cannot reach the control API by a scene.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Uri;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use ezlo_hub_sim::HttpCall;

use crate::core::own_ports::is_own_port;

/// Timeout of a request.
const CALL_TIME: Duration = Duration::from_secs(10);
/// Maximum number of bytes of a response body that are read. The body is not used.
const MAX_ANSWER: usize = 64 * 1024;
const HTTP_PORT: u16 = 80;

/// Maximum number of requests of scenes that a world has in progress. Further ones fail, so that servers that do not answer cannot use up
/// the file descriptors.
pub(crate) const MAX_CALLS: usize = 64;

/// The errors of a request.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("the URL is not of the form http://host[:port]/path; TLS is not supported for scenes")]
    Address,
    #[error("the host is not a loopback address; set assumptions.allow_external_scene_http to allow others")]
    Elsewhere,
    #[error("port {0} belongs to this process")]
    OwnPort(u16),
    #[error("{MAX_CALLS} HTTP requests of scenes are in progress already")]
    TooMany,
    #[error("the request timed out after {CALL_TIME:?}")]
    TooLong,
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Request(#[from] http::Error),
    #[error(transparent)]
    Http(#[from] hyper::Error),
}

/// Sends the request. The hub does not wait for the outcome, so it is only logged. The URL is not logged, because it may
/// contain keys.
pub(crate) async fn run(call: HttpCall, allow_external: bool, slots: Arc<Semaphore>) {
    let limited = async {
        let _slot = slots.try_acquire().map_err(|_| Refusal::TooMany)?;
        tokio::time::timeout(CALL_TIME, send(&call, allow_external)).await.unwrap_or(Err(Refusal::TooLong))
    };
    match limited.await {
        Ok(status) => tracing::debug!(status, "HTTP request of a scene succeeded"),
        Err(error) => tracing::warn!(%error, "HTTP request of a scene failed"),
    }
}

async fn send(call: &HttpCall, allow_external: bool) -> Result<u16, Refusal> {
    let uri: Uri = call.url.parse().map_err(|_| Refusal::Address)?;
    let host = uri.host().filter(|_| uri.scheme_str() == Some("http")).ok_or(Refusal::Address)?;
    let plain = host.trim_start_matches('[').trim_end_matches(']');
    let is_loopback = plain == "localhost" || plain.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    if !is_loopback && !allow_external {
        return Err(Refusal::Elsewhere);
    }
    let port = uri.port_u16().unwrap_or(HTTP_PORT);
    if is_own_port(port) {
        return Err(Refusal::OwnPort(port));
    }
    let stream = TcpStream::connect((plain, port)).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let headers = headers(call, &uri)?;
    let mut request = http::Request::builder().method(call.method.as_str()).uri(path);
    if let Some(all) = request.headers_mut() {
        *all = headers;
    }
    let request = request.body(Full::new(Bytes::from(call.content.clone().unwrap_or_default())))?;
    let answer = async {
        let answer = sender.send_request(request).await?;
        let status = answer.status().as_u16();
        // The body is read so that the server gets no connection reset. A longer body is not read to its end.
        let _ = Limited::new(answer.into_body(), MAX_ANSWER).collect().await;
        Ok::<_, Refusal>(status)
    };
    tokio::select! {
        status = answer => status,
        ended = connection => Err(ended.err().map_or(Refusal::Address, Refusal::Http)),
    }
}

/// Returns the headers of a request. A later source replaces an earlier one: the URL, the credential, and the headers of the call.
fn headers(call: &HttpCall, uri: &Uri) -> Result<HeaderMap, http::Error> {
    let basic = |pair: &[u8]| HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair)));
    let mut headers = HeaderMap::new();
    if let Some(authority) = uri.authority() {
        // User information does not belong into `Host` (RFC 9110, 7.2). Common clients send it as Basic credentials.
        let (user, host) =
            authority.as_str().rsplit_once('@').map_or((None, authority.as_str()), |(user, host)| (Some(user), host));
        headers.insert(HOST, host.try_into()?);
        if let Some(user) = user {
            let user: Vec<u8> = percent_encoding::percent_decode_str(user).collect();
            headers.insert(AUTHORIZATION, basic(&user)?);
        }
    }
    if let Some((user, password)) = &call.credential {
        headers.insert(AUTHORIZATION, basic(format!("{user}:{}", password.expose()).as_bytes())?);
    }
    if let Some(kind) = &call.content_type {
        headers.insert(CONTENT_TYPE, kind.try_into()?);
    }
    // These follow from the URL and the body.
    const OWN: [&str; 5] = ["host", "content-length", "transfer-encoding", "connection", "upgrade"];
    for (name, value) in &call.headers {
        if !OWN.iter().any(|own| own.eq_ignore_ascii_case(name)) {
            headers.try_insert(HeaderName::try_from(name.as_str())?, value.try_into()?)?;
        }
    }
    Ok(headers)
}
