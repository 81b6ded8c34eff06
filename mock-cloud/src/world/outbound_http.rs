//! Calls to web servers that scenes make. They stay on this machine unless the configuration says otherwise.

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use http::Uri;
use http::header::{CONTENT_TYPE, HOST};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use ezlo_hub_sim::HttpCall;

/// How long a call may take.
const CALL_TIME: Duration = Duration::from_secs(10);
/// Most of an answer that is read, in bytes; nothing is done with it.
const MAX_ANSWER: usize = 64 * 1024;
const HTTP_PORT: u16 = 80;

/// Why a call was not made, or did not come through.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("the address is not http://host[:port]/path; scenes here speak no TLS")]
    Address,
    #[error("the host is not this machine; assumptions.allow_external_scene_http lets scenes call others")]
    Elsewhere,
    #[error("it took longer than {CALL_TIME:?}")]
    TooLong,
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Request(#[from] http::Error),
    #[error(transparent)]
    Http(#[from] hyper::Error),
}

/// Makes the call. A hub does not wait for the outcome, so it goes to the log only; what is called is not logged, since
/// addresses carry keys.
pub(crate) async fn run(call: HttpCall, anywhere: bool) {
    match tokio::time::timeout(CALL_TIME, send(&call, anywhere)).await.unwrap_or(Err(Refusal::TooLong)) {
        Ok(status) => tracing::debug!(status, "a scene's HTTP request was answered"),
        Err(error) => tracing::warn!(%error, "a scene's HTTP request failed"),
    }
}

async fn send(call: &HttpCall, anywhere: bool) -> Result<u16, Refusal> {
    let uri: Uri = call.url.parse().map_err(|_| Refusal::Address)?;
    let host = uri.host().filter(|_| uri.scheme_str() == Some("http")).ok_or(Refusal::Address)?;
    let plain = host.trim_start_matches('[').trim_end_matches(']');
    let is_here = plain == "localhost" || plain.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    if !is_here && !anywhere {
        return Err(Refusal::Elsewhere);
    }
    let stream = TcpStream::connect((plain, uri.port_u16().unwrap_or(HTTP_PORT))).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = http::Request::builder().method(call.method.as_str()).uri(path);
    if let Some(authority) = uri.authority() {
        request = request.header(HOST, authority.as_str());
    }
    if let Some(kind) = &call.content_type {
        request = request.header(CONTENT_TYPE, kind);
    }
    let request = request.body(Full::new(Bytes::from(call.content.clone().unwrap_or_default())))?;
    let answer = async {
        let answer = sender.send_request(request).await?;
        let status = answer.status().as_u16();
        // Read, so that the other side is not reset; one that is too long is left.
        let _ = Limited::new(answer.into_body(), MAX_ANSWER).collect().await;
        Ok::<_, Refusal>(status)
    };
    tokio::select! {
        status = answer => status,
        ended = connection => Err(ended.err().map_or(Refusal::Address, Refusal::Http)),
    }
}
