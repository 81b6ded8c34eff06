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

/// How long anything in a test may take before it fails; far longer than anything should.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Waits, but not for ever.
///
/// # Panics
/// When it takes longer than [`PATIENCE`].
pub async fn within<T>(what: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, what).await {
        Ok(value) => value,
        Err(_) => panic!("this took longer than {PATIENCE:?}"),
    }
}

/// The authority (`host:port`) of a URL such as `https://127.0.0.1:8443`.
///
/// # Panics
/// When there is no address in it.
pub fn address(url: &str) -> SocketAddr {
    let authority = url.split("//").nth(1).unwrap_or_default();
    authority.parse().unwrap_or_else(|error| panic!("{url}: {error}"))
}

/// Sends these bytes to a plain port and returns everything that comes until the other side closes.
///
/// # Panics
/// When there is no connection.
pub async fn raw(to: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = within(TcpStream::connect(to)).await.unwrap_or_else(|error| panic!("connect {to}: {error}"));
    // The other side may close before it has read everything; what it said still counts.
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
    let mut answer = Vec::new();
    let _ = within(stream.read_to_end(&mut answer)).await;
    answer
}

/// An HTTP answer, read without a library.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Status code; 0 when nothing came.
    pub status: u16,
    /// Status line and headers.
    pub head: String,
    /// Everything after the head.
    pub body: String,
}

impl Answer {
    /// The body as JSON; null when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }
}

/// Sends one HTTP request head and body as written and reads the answer.
pub async fn http(to: SocketAddr, head: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut request =
        format!("{head} HTTP/1.1\r\nhost: {to}\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
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

/// What came on a [`Socket`].
#[derive(Debug, Clone, PartialEq)]
pub enum Came {
    /// A text; null when it is no JSON.
    Json(Value),
    /// A binary message.
    Binary(Vec<u8>),
    /// A close frame, with its code.
    Closed(u16),
    /// The connection ended without one.
    Gone,
}

impl Socket {
    /// Connects in clear text.
    ///
    /// # Panics
    /// When there is no connection or no WebSocket.
    pub async fn connect(to: SocketAddr) -> Self {
        let stream = within(TcpStream::connect(to)).await.unwrap_or_else(|error| panic!("connect {to}: {error}"));
        let builder = ClientBuilder::new().uri(&format!("ws://{to}/")).unwrap_or_else(|error| panic!("{error}"));
        let upgraded = within(builder.connect_on(stream)).await;
        Self(upgraded.unwrap_or_else(|error| panic!("upgrade {to}: {error}")).0)
    }

    /// Sends raw text.
    pub async fn text(&mut self, text: impl Into<String>) {
        // A test that expects the connection to be gone sees so when it reads.
        let _ = within(self.0.send(Message::text(text.into()))).await;
    }

    /// Sends raw bytes as a binary frame.
    pub async fn binary(&mut self, bytes: Vec<u8>) {
        let _ = within(self.0.send(Message::binary(bytes))).await;
    }

    /// Waits for the next message or the end.
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

    /// Waits for the next text.
    ///
    /// # Panics
    /// When the connection ends instead.
    pub async fn json(&mut self) -> Value {
        match self.next().await {
            Came::Json(value) => value,
            other => panic!("expected a text, got {other:?}"),
        }
    }

    /// Sends text and waits for the next text.
    pub async fn ask(&mut self, text: impl Into<String>) -> Value {
        self.text(text).await;
        self.json().await
    }
}

/// A TLS connector that trusts this certificate authority alone.
///
/// # Panics
/// When it is no certificate.
pub fn connector(ca_pem: &str) -> TlsConnector {
    use rustls_pki_types::pem::PemObject as _;
    let mut roots = rustls::RootCertStore::empty();
    let certificate = rustls_pki_types::CertificateDer::from_pem_slice(ca_pem.as_bytes());
    let added = certificate.map(|certificate| roots.add(certificate).is_ok());
    assert!(matches!(added, Ok(true)), "not a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    match rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions() {
        Ok(builder) => TlsConnector::from(Arc::new(builder.with_root_certificates(roots).with_no_client_auth())),
        Err(error) => panic!("{error}"),
    }
}

/// Returns an error and its causes, separated by colons.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
