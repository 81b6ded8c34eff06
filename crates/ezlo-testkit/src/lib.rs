#![doc = include_str!("../README.md")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_websockets::{ClientBuilder, Message, WebSocketStream};

mod control;
mod raw_socket;

pub use control::{Control, Refused};
pub use raw_socket::{CLOSE, PING, PONG, RawSocket, TEXT, frame};

/// Time limit of each wait in a test (20 s). It is far above the usual duration.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for a future and returns its output.
///
/// # Panics
///
/// Panics if the future takes longer than [`PATIENCE`].
pub async fn within<T>(what: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, what).await {
        Ok(value) => value,
        Err(_) => panic!("timed out after {PATIENCE:?}"),
    }
}

/// Returns the socket address of a URL such as `https://127.0.0.1:8443`.
///
/// # Panics
///
/// Panics if the authority of the URL is not an IP address and a port.
pub fn address(url: &str) -> SocketAddr {
    let authority = url.split("//").nth(1).unwrap_or_default();
    authority.parse().unwrap_or_else(|error| panic!("{url}: {error}"))
}

/// Sends bytes over TCP without TLS and returns all bytes that are received until the peer closes.
///
/// # Panics
///
/// Panics if the connection fails.
pub async fn raw(to: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = within(TcpStream::connect(to)).await.unwrap_or_else(|error| panic!("connect {to}: {error}"));
    // The peer may close before it has read all bytes. Its response still counts.
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
    let mut answer = Vec::new();
    let _ = within(stream.read_to_end(&mut answer)).await;
    answer
}

/// An HTTP response, parsed without a library.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Status code; 0 if no response was received.
    pub status: u16,
    /// Status line and headers.
    pub head: String,
    /// Body, without decoding of transfer encodings.
    pub body: String,
}

impl Answer {
    /// Parses the body as JSON. Returns `null` if it is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }
}

/// Sends an HTTP/1.1 request and reads the response. `head` is method and path, such as `GET /info`.
pub async fn http(to: SocketAddr, head: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut request = format!("{head} HTTP/1.1\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        request.push_str(&format!("host: {to}\r\n"));
    }
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    let bytes = [request.as_bytes(), body].concat();
    let answer = raw(to, &bytes).await;
    let text = String::from_utf8_lossy(&answer);
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_default();
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

/// A WebSocket client that shares no code with the SDK or the simulator.
#[derive(Debug)]
pub struct Socket(WebSocketStream<TcpStream>);

/// A message or the end of a [`Socket`].
#[derive(Debug, Clone, PartialEq)]
pub enum Came {
    /// A text message; `null` if it is not JSON.
    Json(Value),
    /// A binary message.
    Binary(Vec<u8>),
    /// A close frame with its code.
    Closed(u16),
    /// The connection ended without a close frame.
    Gone,
}

impl Socket {
    /// Connects without TLS.
    ///
    /// # Panics
    ///
    /// Panics if the connection or the WebSocket handshake fails.
    pub async fn connect(to: SocketAddr) -> Self {
        let stream = within(TcpStream::connect(to)).await.unwrap_or_else(|error| panic!("connect {to}: {error}"));
        let builder = ClientBuilder::new().uri(&format!("ws://{to}/")).unwrap_or_else(|error| panic!("{error}"));
        let upgraded = within(builder.connect_on(stream)).await;
        Self(upgraded.unwrap_or_else(|error| panic!("upgrade {to}: {error}")).0)
    }

    /// Sends a text message. Errors are ignored.
    pub async fn text(&mut self, text: impl Into<String>) {
        // A closed connection is detected by the next read.
        let _ = within(self.0.send(Message::text(text.into()))).await;
    }

    /// Sends a binary message. Errors are ignored.
    pub async fn binary(&mut self, bytes: Vec<u8>) {
        let _ = within(self.0.send(Message::binary(bytes))).await;
    }

    /// Waits for the next message or the end of the connection. Pings and pongs are skipped.
    pub async fn next(&mut self) -> Came {
        loop {
            match within(self.0.next()).await {
                Some(Ok(message)) => {
                    if let Some(text) = message.as_text() {
                        return Came::Json(serde_json::from_str(text).unwrap_or(Value::Null));
                    }
                    if let Some((code, _)) = message.as_close() {
                        return Came::Closed(code.into());
                    }
                    if message.is_binary() {
                        return Came::Binary(message.as_payload().to_vec());
                    }
                }
                Some(Err(_)) | None => return Came::Gone,
            }
        }
    }

    /// Waits for the next text message.
    ///
    /// # Panics
    ///
    /// Panics if another message is received or the connection ends.
    pub async fn json(&mut self) -> Value {
        match self.next().await {
            Came::Json(value) => value,
            other => panic!("expected a text message, got {other:?}"),
        }
    }

    /// Sends a text message and waits for the next one.
    pub async fn ask(&mut self, text: impl Into<String>) -> Value {
        self.text(text).await;
        self.json().await
    }
}

/// Creates a TLS connector that trusts only this certificate authority.
///
/// # Panics
///
/// Panics if the text is not a certificate in PEM.
pub fn connector(ca_pem: &str) -> TlsConnector {
    use rustls_pki_types::pem::PemObject as _;
    let mut roots = rustls::RootCertStore::empty();
    let certificate = rustls_pki_types::CertificateDer::from_pem_slice(ca_pem.as_bytes());
    let added = certificate.map(|certificate| roots.add(certificate).is_ok());
    assert!(matches!(added, Ok(true)), "the CA is not a certificate in PEM");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    match rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions() {
        Ok(builder) => TlsConnector::from(Arc::new(builder.with_root_certificates(roots).with_no_client_auth())),
        Err(error) => panic!("{error}"),
    }
}
