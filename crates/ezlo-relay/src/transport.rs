//! Transports carry text frames: a WebSocket in production, channels in tests.

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use crate::error::CloseReason;
use crate::stream::Stream;

/// A frame that was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// A text frame.
    Text(String),
    /// A data frame that is not UTF-8 text.
    NonText,
    /// A ping or a pong. It proves that the connection works.
    Control,
}

/// A connection that carries text frames.
///
/// An error of any method ends the connection. The session drops the transport afterwards without calling `close`.
pub trait Transport: Send + 'static {
    /// Waits for the next frame.
    ///
    /// # Errors
    ///
    /// The reason for which the connection ended, usually [`CloseReason::Remote`] or [`CloseReason::Io`].
    ///
    /// # Cancel safety
    ///
    /// Implementations must be cancel safe: a dropped future must not lose a frame.
    fn receive(&mut self) -> impl Future<Output = Result<Incoming, CloseReason>> + Send;
    /// Sends a text frame.
    ///
    /// # Errors
    ///
    /// The reason for which the connection failed, usually [`CloseReason::Io`].
    ///
    /// # Cancel safety
    ///
    /// Not required. The session drops the future after `SessionConfig::handshake_timeout` and then does not use the transport
    /// again.
    fn send(&mut self, text: String) -> impl Future<Output = Result<(), CloseReason>> + Send;
    /// Sends a ping. The default implementation does nothing, for transports without pings.
    ///
    /// # Errors
    ///
    /// The reason for which the connection failed, usually [`CloseReason::Io`].
    ///
    /// # Cancel safety
    ///
    /// Not required, as for [`send`](Self::send).
    fn ping(&mut self) -> impl Future<Output = Result<(), CloseReason>> + Send {
        std::future::ready(Ok(()))
    }
    /// Performs the closing handshake. The session drops the future after 2 s.
    fn close(&mut self) -> impl Future<Output = ()> + Send;
}

/// Largest message that is accepted, in bytes. The item list of a house with 1,000 items has about 0.5 MB.
const MAX_MESSAGE: usize = 16 * 1024 * 1024;
/// Size of the read buffer, in bytes. The default of the library, 128 KiB, is zeroed on every read.
const READ_BUFFER: usize = 4 * 1024;

pub(crate) fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE))
}

/// A client WebSocket over TCP, with or without TLS.
///
/// [`Endpoint::connect`](crate::Endpoint::connect) opens it. Messages of more than 16 MiB end the connection.
pub struct WebSocket(WebSocketStream<Box<dyn Stream>>);

impl std::fmt::Debug for WebSocket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WebSocket")
    }
}

impl WebSocket {
    pub(crate) const fn new(socket: WebSocketStream<Box<dyn Stream>>) -> Self {
        Self(socket)
    }
}

impl Transport for WebSocket {
    async fn receive(&mut self) -> Result<Incoming, CloseReason> {
        match self.0.next().await {
            Some(Ok(Message::Text(text))) => Ok(Incoming::Text(text.as_str().to_owned())),
            Some(Ok(Message::Close(frame))) => Err(match frame {
                Some(frame) => CloseReason::Remote { code: frame.code.into(), text: frame.reason.as_str().to_owned() },
                None => CloseReason::Remote { code: 1005, text: String::new() },
            }),
            // Binary frames are not documented. One that contains text is read as text.
            Some(Ok(Message::Binary(bytes))) => {
                Ok(String::from_utf8(bytes.into()).map_or(Incoming::NonText, Incoming::Text))
            }
            Some(Ok(_)) => Ok(Incoming::Control),
            Some(Err(error)) => Err(CloseReason::Io(error.to_string())),
            None => Err(CloseReason::Io("the connection ended".into())),
        }
    }

    async fn send(&mut self, text: String) -> Result<(), CloseReason> {
        SinkExt::send(&mut self.0, Message::text(text)).await.map_err(|error| CloseReason::Io(error.to_string()))
    }

    async fn ping(&mut self) -> Result<(), CloseReason> {
        let ping = Message::Ping(Bytes::new());
        SinkExt::send(&mut self.0, ping).await.map_err(|error| CloseReason::Io(error.to_string()))
    }

    async fn close(&mut self) {
        // An error means that the connection has ended already.
        if self.0.close(None).await.is_ok() {
            while let Some(Ok(_)) = self.0.next().await {}
        }
    }
}
