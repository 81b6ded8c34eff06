//! Faults of HTTP responses: replaced, truncated and malformed ones.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http::header::{HeaderValue, LOCATION, RETRY_AFTER};
use http_body_util::BodyExt as _;

use crate::faults::http_raw::Raw;
use crate::faults::kinds::RequestFault;
use crate::server::http::message::{Reply, full};
use crate::server::shared::{ConnectionSlot, Shared};

/// Number of pieces of a slow response head.
const PIECES: usize = 10;
/// The bytes after the end of a body that is longer than its declared length.
const MORE: &str = "{\"and\": \"more\"}";
/// An invalid `content-length`.
const NO_LENGTH: &str = "many";

/// Returns the response that replaces the one of the handler; `None` if the fault does not replace it.
pub(crate) fn replacement_response(fault: &RequestFault) -> Option<Reply> {
    Some(match fault {
        RequestFault::Status { status, retry_after } => {
            let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let mut reply = Reply::error(status, status.canonical_reason().unwrap_or("Failed"));
            reply.headers.extend(retry_after.map(|seconds| (RETRY_AFTER, HeaderValue::from(seconds))));
            reply
        }
        RequestFault::HtmlPage => {
            let page = "<!DOCTYPE html><html><body><h1>Welcome</h1></body></html>";
            Reply::new(StatusCode::OK, "text/html", page)
        }
        RequestFault::CaptivePortal => {
            let mut reply = Reply::new(StatusCode::FOUND, "text/html", "<html><body>Log in to go on</body></html>");
            reply.headers.insert(LOCATION, HeaderValue::from_static("http://login.portal.invalid/"));
            reply
        }
        RequestFault::EmptyAnswer => Reply::new(StatusCode::OK, "application/json", ""),
        RequestFault::TruncatedBody
        | RequestFault::SlowAnswer { .. }
        | RequestFault::SlowHeaders { .. }
        | RequestFault::OverlongBody
        | RequestFault::WrongLength
        | RequestFault::BadChunk => return None,
    })
}

/// Applies a fault to the bytes of a response.
pub(crate) async fn apply_response_fault(
    fault: &RequestFault,
    shared: &Shared,
    exchange: &ConnectionSlot,
    answer: Reply,
) -> Reply {
    let change: fn(Head<'_>, &Bytes) -> Vec<Piece> = match fault {
        RequestFault::TruncatedBody => return answer.truncated().await,
        RequestFault::SlowHeaders { millis } => {
            let millis = *millis;
            return raw_response(shared, exchange, answer, |head, body| slowly(&head, millis, body)).await;
        }
        RequestFault::BadChunk => bad_chunk,
        RequestFault::WrongLength => wrong_length,
        RequestFault::OverlongBody => overlong_body,
        // They replace the response, or act before the handler.
        RequestFault::Status { .. }
        | RequestFault::HtmlPage
        | RequestFault::CaptivePortal
        | RequestFault::EmptyAnswer
        | RequestFault::SlowAnswer { .. } => return answer,
    };
    raw_response(shared, exchange, answer, |head, body| change(&head, body)).await
}

/// The text of a response head without `content-length` and without its end.
type Head<'a> = &'a str;
/// Bytes of a response, after a delay.
type Piece = (Duration, Bytes);

/// Sends the bytes that `change` makes of the head and the body, instead of the response.
async fn raw_response(
    shared: &Shared,
    exchange: &ConnectionSlot,
    reply: Reply,
    change: impl FnOnce(String, &Bytes) -> Vec<Piece>,
) -> Reply {
    let Reply { status, headers, body, written } = reply;
    // An endless body is not collected.
    let body = match hyper::body::Body::size_hint(&body).exact() {
        Some(_) => body.collect().await.map(|body| body.to_bytes()).unwrap_or_default(),
        None => Bytes::new(),
    };
    let mut head = format!("HTTP/1.1 {status}\r\n");
    for (name, value) in &headers {
        head.push_str(&format!("{name}: {}\r\n", String::from_utf8_lossy(value.as_bytes())));
    }
    let date = shared.world.clock.timestamp().strftime("%a, %d %b %Y %H:%M:%S GMT");
    head.push_str(&format!("date: {date}\r\n"));
    exchange.tamper.answer(Raw { pieces: change(head, &body) });
    Reply { status, headers, body: full(body), written }
}

fn now(text: String) -> Piece {
    (Duration::ZERO, Bytes::from(text))
}

fn bad_chunk(head: Head<'_>, body: &Bytes) -> Vec<Piece> {
    let (first, second) = body.split_at(body.len() / 2);
    let text = |part: &[u8]| String::from_utf8_lossy(part).into_owned();
    vec![now(format!(
        "{head}transfer-encoding: chunked\r\n\r\n{:x}\r\n{}\r\nno length\r\n{}\r\n0\r\n\r\n",
        first.len(),
        text(first),
        text(second)
    ))]
}

fn wrong_length(head: Head<'_>, body: &Bytes) -> Vec<Piece> {
    vec![now(format!("{head}content-length: {NO_LENGTH}\r\n\r\n")), (Duration::ZERO, body.clone())]
}

fn overlong_body(head: Head<'_>, body: &Bytes) -> Vec<Piece> {
    let length = body.len();
    vec![now(format!("{head}content-length: {length}\r\n\r\n")), (Duration::ZERO, body.clone()), now(MORE.into())]
}

/// Splits a response head into delayed pieces.
fn slowly(head: Head<'_>, millis: u64, body: &Bytes) -> Vec<Piece> {
    let head = format!("{head}content-length: {}\r\n\r\n", body.len());
    let pause = Duration::from_millis(millis) / u32::try_from(PIECES).unwrap_or(1);
    let length = head.len().div_ceil(PIECES).max(1);
    let pieces = head.as_bytes().chunks(length).map(|piece| (pause, Bytes::copy_from_slice(piece)));
    pieces.chain([(Duration::ZERO, body.clone())]).collect()
}
