//! WebSocket frames without a library, for frames that a library does not send or does not show.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::within;

/// First byte of a final text frame.
pub const TEXT: u8 = 0x81;
/// First byte of a close frame.
pub const CLOSE: u8 = 0x88;
/// First byte of a ping frame.
pub const PING: u8 = 0x89;
/// First byte of a pong frame.
pub const PONG: u8 = 0x8a;

/// Encodes a client frame with a masking key of zeros. `code` is the first byte of the frame.
///
/// # Panics
///
/// Panics if the payload is longer than 65,535 bytes.
#[must_use]
pub fn frame(code: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![code];
    match u8::try_from(payload.len()) {
        Ok(short @ 0..126) => frame.push(0x80 | short),
        _ => {
            frame.push(0x80 | 126);
            let length = u16::try_from(payload.len())
                .unwrap_or_else(|_| panic!("payload of {} bytes exceeds 65,535 bytes", payload.len()));
            frame.extend_from_slice(&length.to_be_bytes());
        }
    }
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(payload);
    frame
}

/// A WebSocket connection without a library.
#[derive(Debug)]
pub struct RawSocket(TcpStream);

impl RawSocket {
    /// Connects to an address and performs the WebSocket handshake. `host` is the `Host` header and is not resolved.
    ///
    /// # Panics
    ///
    /// Panics if the connection fails or the status is not 101.
    pub async fn connect(to: SocketAddr, host: &str) -> Self {
        let mut socket = Self::asked(to, host).await;
        let head = socket.head().await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        socket
    }

    /// Connects and sends the WebSocket handshake without reading the response.
    ///
    /// # Panics
    ///
    /// Panics if the connection fails.
    pub async fn asked(to: SocketAddr, host: &str) -> Self {
        let mut stream = within(TcpStream::connect(to)).await.unwrap_or_else(|error| panic!("connect {to}: {error}"));
        let request = format!(
            "GET / HTTP/1.1\r\nhost: {host}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        within(stream.write_all(request.as_bytes())).await.unwrap_or_else(|error| panic!("upgrade {to}: {error}"));
        Self(stream)
    }

    /// Reads the head of the response to the handshake.
    ///
    /// # Panics
    ///
    /// Panics if the connection ends before the end of the head.
    pub async fn head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(within(self.0.read_u8()).await.unwrap_or_else(|error| panic!("head: {error}")));
        }
        String::from_utf8_lossy(&head).into_owned()
    }

    /// Returns the TCP connection.
    pub const fn stream(&mut self) -> &mut TcpStream {
        &mut self.0
    }

    /// Sends bytes without framing.
    ///
    /// # Panics
    ///
    /// Panics if the connection has ended.
    pub async fn send(&mut self, bytes: &[u8]) {
        within(self.0.write_all(bytes)).await.unwrap_or_else(|error| panic!("send: {error}"));
    }

    /// Reads the next frame: its first byte and its payload. Returns `None` if the connection has ended.
    pub async fn next(&mut self) -> Option<(u8, Vec<u8>)> {
        within(async {
            let code = self.0.read_u8().await.ok()?;
            let length = match self.0.read_u8().await.ok()? {
                126 => u64::from(self.0.read_u16().await.ok()?),
                127 => self.0.read_u64().await.ok()?,
                short => u64::from(short),
            };
            let mut payload = vec![0; usize::try_from(length).ok()?];
            self.0.read_exact(&mut payload).await.ok()?;
            Some((code, payload))
        })
        .await
    }

    /// Reads all frames until the connection ends.
    pub async fn rest(&mut self) -> Vec<(u8, Vec<u8>)> {
        let mut all = Vec::new();
        while let Some(frame) = self.next().await {
            all.push(frame);
        }
        all
    }
}
