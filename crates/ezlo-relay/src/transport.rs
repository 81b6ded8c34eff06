//! What carries frames: a WebSocket in earnest, anything in tests.

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use crate::error::CloseReason;
use crate::stream::Stream;

/// Something that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// A text frame.
    Text(String),
    /// A frame that should have been text and is not.
    NonText,
    /// A ping or a pong: proof that the other side lives.
    Control,
}

/// A connection that carries text frames. `receive` must be safe to cancel.
pub trait Transport: Send + 'static {
    /// Waits for the next frame, or the end.
    fn receive(&mut self) -> impl Future<Output = Result<Incoming, CloseReason>> + Send;
    /// Sends a text frame.
    fn send(&mut self, text: String) -> impl Future<Output = Result<(), CloseReason>> + Send;
    /// Sends a ping, where the transport has such a thing.
    fn ping(&mut self) -> impl Future<Output = Result<(), CloseReason>> + Send {
        std::future::ready(Ok(()))
    }
    /// Closes in good order.
    fn close(&mut self) -> impl Future<Output = ()> + Send;
}

/// Longest message taken, in bytes. A house of a thousand items is about half a megabyte.
const MAX_MESSAGE: usize = 16 * 1024 * 1024;
/// Read buffer; the library's default of 128 KiB is zeroed on every read.
const READ_BUFFER: usize = 4 * 1024;

pub(crate) fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE))
}

/// A WebSocket over TCP, with TLS or without.
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
            // Nobody documents binary frames; one that holds text is read as text.
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
        // The other side may be gone already; then there is nobody to say goodbye to.
        if self.0.close(None).await.is_ok() {
            while let Some(Ok(_)) = self.0.next().await {}
        }
    }
}
