//! Servers with bare tokio-tungstenite: a relay that parses the envelope of each message, and an echo behind hyper.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::header::{CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use super::pairs::Pairs;

/// The members of a message that a relay parses.
#[derive(Deserialize)]
pub(super) struct Envelope<'a> {
    #[serde(borrow, rename = "id")]
    _id: Option<&'a RawValue>,
    #[serde(borrow, rename = "method")]
    _method: Option<std::borrow::Cow<'a, str>>,
    #[serde(borrow, rename = "params")]
    _params: Option<&'a RawValue>,
    #[serde(borrow, rename = "result")]
    _result: Option<&'a RawValue>,
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

pub(super) async fn relay(buffer: usize) -> Result<(), String> {
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(text)?;
    super::print_address(listener.local_addr().map_err(text)?)?;
    let pairs = Pairs::default();
    loop {
        let (stream, _) = listener.accept().await.map_err(text)?;
        stream.set_nodelay(true).map_err(text)?;
        tokio::spawn(one(pairs.clone(), stream, buffer));
    }
}

async fn one(pairs: Pairs<Utf8Bytes>, stream: TcpStream, buffer: usize) {
    let mut registered = None;
    let config = WebSocketConfig::default().read_buffer_size(buffer);
    // Registers the connection before the upgrade is confirmed, so that it receives the next message.
    let register = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
        registered = Some(pairs.register(request.uri().path()));
        Ok(response)
    };
    let accepted = tokio_tungstenite::accept_hdr_async_with_config(stream, register, Some(config)).await;
    let (Ok(mut socket), Some((end, mut outbox))) = (accepted, registered) else { return };
    loop {
        tokio::select! {
            biased;
            out = outbox.recv() => {
                let Some(first) = out else { return };
                let mut next = Some(first);
                while let Some(text) = next {
                    if socket.feed(Message::Text(text)).await.is_err() {
                        return;
                    }
                    next = outbox.try_recv().ok();
                }
                if socket.flush().await.is_err() {
                    return;
                }
            }
            message = socket.next() => match message {
                Some(Ok(Message::Text(text))) => {
                    if serde_json::from_str::<Envelope<'_>>(&text).is_err() {
                        continue;
                    }
                    pairs.forward(&end, &text);
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return,
            }
        }
    }
}

pub(super) async fn echo() -> Result<(), String> {
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(text)?;
    super::print_address(listener.local_addr().map_err(text)?)?;
    loop {
        let (stream, _) = listener.accept().await.map_err(text)?;
        stream.set_nodelay(true).map_err(text)?;
        tokio::spawn(async move {
            let serving = http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(upgraded));
            let _ = serving.with_upgrades().await;
        });
    }
}

async fn upgraded(request: http::Request<hyper::body::Incoming>) -> Result<http::Response<Full<Bytes>>, Infallible> {
    let key = request.headers().get(SEC_WEBSOCKET_KEY).map(|key| derive_accept_key(key.as_bytes()));
    tokio::spawn(async move {
        let Ok(upgraded) = hyper::upgrade::on(request).await else { return };
        let config = WebSocketConfig::default().read_buffer_size(4096);
        let mut socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
        while let Some(Ok(message)) = socket.next().await {
            if message.is_text() && socket.send(message).await.is_err() {
                return;
            }
        }
    });
    let mut response = http::Response::new(Full::new(Bytes::new()));
    *response.status_mut() = http::StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    if let Some(key) = key.and_then(|key| HeaderValue::from_str(&key).ok()) {
        headers.insert(SEC_WEBSOCKET_ACCEPT, key);
    }
    Ok(response)
}
