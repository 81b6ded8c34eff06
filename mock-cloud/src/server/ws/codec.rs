//! Reads and writes the frames of one WebSocket with tungstenite, without giving the library the socket.
//!
//! Bytes are read into a buffer that all connections of a thread share, so an idle connection holds no read buffer.

use std::cell::Cell;
use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead as _, AsyncReadExt as _, AsyncWriteExt as _, ReadBuf};
use tokio_tungstenite::tungstenite::error::{CapacityError, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::server::ws::types::{Broken, End, MAX_MESSAGE, WsMessage};

/// Initial size of the library's read buffer, in bytes. Each connection has one, and every read zeroes it (library default:
/// 128 KiB).
const READ_BUFFER: usize = 1024;
/// Maximum number of bytes per read from a socket.
const SCRATCH: usize = 16 * 1024;

/// The byte stream of an upgraded connection.
pub(crate) type Bytes = TokioIo<Upgraded>;

/// The decision of a message handler after a message.
#[derive(Debug)]
pub(crate) enum Then {
    /// Continue with the next message.
    Next,
    /// Send queued messages before the next message is read.
    Pause,
    /// End the connection.
    End(End),
}

/// The reason why reading messages stopped.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The handler paused, or all received messages were handled.
    Pause,
    /// A pong must be sent before the next message is read.
    Ping,
    /// The connection ends.
    End(End),
}

/// A function that handles each received message.
pub(crate) type MessageHandler<'a> = dyn FnMut(&WsMessage<'_>) -> Then + Send + 'a;

/// The result of decoding bytes.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Number of bytes that the decoder consumed.
    pub(crate) taken: usize,
    /// Reason of the stop, or `None` if no complete message is left.
    pub(crate) stop: Option<Stop>,
    /// At least one message was handled.
    has_messages: bool,
}

/// Decoder and encoder of one connection's frames. Replies to ping and close frames are written to `owed`.
struct Framing(WebSocketContext);

/// An in-memory stream: received bytes to read, and a buffer for written bytes.
struct Memory<'a> {
    incoming: &'a [u8],
    outgoing: &'a mut Vec<u8>,
}

impl Read for Memory<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.incoming.is_empty() {
            Err(io::ErrorKind::WouldBlock.into())
        } else {
            Read::read(&mut self.incoming, out)
        }
    }
}

impl Write for Memory<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.outgoing.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Framing {
    fn new() -> Self {
        let limits = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .max_message_size(Some(MAX_MESSAGE))
            .max_frame_size(Some(MAX_MESSAGE));
        Self(WebSocketContext::new(Role::Server, Some(limits)))
    }

    fn decode(&mut self, bytes: &[u8], owed: &mut Vec<u8>, handler: &mut MessageHandler<'_>) -> Outcome {
        let mut memory = Memory { incoming: bytes, outgoing: owed };
        let mut has_messages = false;
        let stop = loop {
            let message = match self.0.read(&mut memory) {
                Ok(message) => message,
                Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => break None,
                Err(error) => break Some(Stop::End(on_error(&error))),
            };
            has_messages = true;
            let received = match &message {
                Message::Text(text) => WsMessage::Text(text),
                Message::Binary(bytes) => WsMessage::Binary(bytes),
                Message::Ping(payload) => WsMessage::Ping(payload),
                Message::Pong(_) | Message::Frame(_) => WsMessage::Pong,
                Message::Close(frame) => {
                    WsMessage::Close(frame.as_ref().map(|frame| (frame.code.into(), frame.reason.as_str())))
                }
            };
            let then = handler(&received);
            let is_answered = message.is_ping() || message.is_close();
            // The library writes its reply only when it is used again.
            if is_answered && let Err(error) = self.0.flush(&mut memory) {
                break Some(Stop::End(on_error(&error)));
            }
            match then {
                Then::End(end) => break Some(Stop::End(end)),
                _ if message.is_ping() => break Some(Stop::Ping),
                Then::Pause => break Some(Stop::Pause),
                Then::Next => {}
            }
        };
        let left = memory.incoming.len();
        Outcome { taken: bytes.len() - left, stop, has_messages }
    }

    fn write(&mut self, message: Message, out: &mut Vec<u8>) -> io::Result<()> {
        let mut memory = Memory { incoming: &[], outgoing: out };
        self.0.write(&mut memory, message).map_err(io::Error::other)?;
        self.0.flush(&mut memory).map_err(io::Error::other)
    }
}

fn on_error(error: &Error) -> End {
    match error {
        // The highest bit of a length must be zero (RFC 6455, section 5.2).
        Error::Capacity(CapacityError::MessageTooLong { size, .. }) if isize::try_from(*size).is_err() => {
            Broken::Protocol.into()
        }
        Error::Capacity(CapacityError::MessageTooLong { .. }) => Broken::TooLong.into(),
        Error::Utf8(_) => Broken::Utf8.into(),
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) | Error::ConnectionClosed => End::Closed,
        Error::Protocol(_) => Broken::Protocol.into(),
        _ => End::Lost,
    }
}

impl From<Broken> for End {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Protocol => Self::Close(1002, "protocol error"),
            Broken::TooLong => Self::Close(1009, "message too long"),
            Broken::Utf8 => Self::Close(1007, "invalid UTF-8"),
        }
    }
}

/// A WebSocket connection.
pub(crate) struct Socket {
    stream: Bytes,
    framing: Framing,
    /// Received bytes that are not decoded yet: an incomplete message, or messages after a stop.
    rest: Vec<u8>,
    /// `rest` may contain a complete message.
    has_more: bool,
    /// Encoded pong and close frames that are not sent yet.
    owed: Vec<u8>,
    /// No more messages are read.
    is_ended: bool,
    /// The peer violated the protocol or a limit. Further bytes are not decoded.
    is_broken: bool,
}

thread_local! {
    /// The read buffer of the thread.
    static READ: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

impl Socket {
    /// Creates a WebSocket over an upgraded connection.
    pub(crate) fn new(stream: Bytes) -> Self {
        let (rest, owed) = (Vec::new(), Vec::new());
        Self { stream, framing: Framing::new(), rest, has_more: false, owed, is_ended: false, is_broken: false }
    }

    /// Passes all received messages to the handler.
    ///
    /// Completes when the handler stops, or when at least one message was handled and no complete message is left.
    pub(crate) fn poll_messages(&mut self, context: &mut Context<'_>, handler: &mut MessageHandler<'_>) -> Poll<Stop> {
        if self.is_ended {
            return Poll::Ready(Stop::End(End::Closed));
        }
        if self.has_more
            && let Some(stop) = self.parse_rest(handler)
        {
            return Poll::Ready(stop);
        }
        loop {
            let mut scratch = READ.take();
            scratch.resize(SCRATCH, 0);
            let mut buffer = ReadBuf::new(&mut scratch);
            let read = Pin::new(&mut self.stream).poll_read(context, &mut buffer);
            let length = buffer.filled().len();
            let stop = match read {
                Poll::Pending => None,
                Poll::Ready(Err(_)) => Some(Stop::End(End::Lost)),
                Poll::Ready(Ok(())) if length == 0 => Some(Stop::End(End::Closed)),
                Poll::Ready(Ok(())) if self.rest.is_empty() => self.parse_buffered(&scratch[..length], handler),
                Poll::Ready(Ok(())) => {
                    self.rest.extend_from_slice(&scratch[..length]);
                    self.parse_rest(handler)
                }
            };
            READ.set(scratch);
            if let Some(stop) = stop {
                return Poll::Ready(stop);
            }
            ready!(read.map(drop));
        }
    }

    /// Handles the messages in the given bytes and stores the rest.
    fn parse_buffered(&mut self, bytes: &[u8], handler: &mut MessageHandler<'_>) -> Option<Stop> {
        let Outcome { taken, stop, has_messages } = self.framing.decode(bytes, &mut self.owed, handler);
        self.rest.extend_from_slice(&bytes[taken..]);
        self.has_more = stop.is_some();
        self.is_ended = matches!(stop, Some(Stop::End(_)));
        self.is_broken = matches!(stop, Some(Stop::End(End::Close(..))));
        stop.or(has_messages.then_some(Stop::Pause))
    }

    /// Handles the messages in the stored rest.
    fn parse_rest(&mut self, handler: &mut MessageHandler<'_>) -> Option<Stop> {
        let mut rest = std::mem::take(&mut self.rest);
        let Outcome { taken, stop, has_messages } = self.framing.decode(&rest, &mut self.owed, handler);
        if taken < rest.len() {
            rest.drain(..taken);
            self.rest = rest;
        }
        self.has_more = stop.is_some();
        self.is_ended = matches!(stop, Some(Stop::End(_)));
        self.is_broken = matches!(stop, Some(Stop::End(End::Close(..))));
        stop.or(has_messages.then_some(Stop::Pause))
    }

    /// Sends encoded frames.
    pub(crate) async fn put(&mut self, frames: &[u8]) -> io::Result<()> {
        self.stream.write_all(frames).await?;
        self.stream.flush().await
    }

    /// Encodes and sends a message.
    pub(crate) async fn send(&mut self, message: Message) -> io::Result<()> {
        let mut frames = Vec::new();
        self.framing.write(message, &mut frames)?;
        self.put(&frames).await
    }

    /// Sends pending pong and close frames.
    pub(crate) async fn flush_replies(&mut self) -> io::Result<()> {
        let owed = std::mem::take(&mut self.owed);
        self.put(&owed).await
    }

    /// Discards pending pong frames.
    pub(crate) fn discard_replies(&mut self) {
        self.owed.clear();
    }

    /// Discards messages until the peer closes or disconnects. Pings are not answered.
    pub(crate) async fn until_gone(&mut self) {
        let until_close = &mut |message: &WsMessage<'_>| match message {
            WsMessage::Close(_) => Then::End(End::Closed),
            _ => Then::Next,
        };
        while !self.is_broken {
            if let Stop::End(_) = poll_fn(|context| self.poll_messages(context, until_close)).await {
                break;
            }
            self.owed = Vec::new();
        }
        let mut bytes = [0; 1024];
        while self.is_broken && matches!(self.stream.read(&mut bytes).await, Ok(1..)) {}
    }

    /// Returns whether the peer has violated the protocol or a limit.
    pub(crate) const fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// Closes the sending side. Errors are ignored, because the connection ends anyway.
    pub(crate) async fn shutdown(&mut self) {
        let _ = self.stream.shutdown().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The stop of bytes that arrive in pieces, the replies, and the number of messages.
    fn decoded(bytes: &[u8], piece: usize) -> (Option<Stop>, Vec<u8>, usize) {
        let (mut framing, mut owed, mut rest, mut messages) = (Framing::new(), Vec::new(), Vec::new(), 0);
        for piece in bytes.chunks(piece) {
            rest.extend_from_slice(piece);
            let outcome = framing.decode(&rest, &mut owed, &mut |_| {
                messages += 1;
                Then::Next
            });
            rest.drain(..outcome.taken);
            if outcome.stop.is_some() {
                return (outcome.stop, owed, messages);
            }
        }
        (None, owed, messages)
    }

    /// A masked frame with the mask 0, as clients may send it.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let length = u64::try_from(payload.len()).unwrap().to_be_bytes();
        [&[first, 0xff][..], &length, &[0; 4], payload].concat()
    }

    fn close_code(stop: Option<Stop>) -> Option<u16> {
        match stop {
            Some(Stop::End(End::Close(code, _))) => Some(code),
            _ => None,
        }
    }

    #[test]
    fn too_long_message_is_refused_before_it_arrives() {
        for length in [MAX_MESSAGE as u64 + 1, u64::MAX >> 1] {
            let head = [&[0x81, 0xff][..], &length.to_be_bytes(), &[0; 4]].concat();
            assert_eq!(close_code(decoded(&head, 1).0), Some(1009), "{length}");
        }
        let half = vec![b'x'; MAX_MESSAGE / 2 + 1];
        let fragments = [frame(0x01, &half), frame(0x80, &half)].concat();
        assert_eq!(close_code(decoded(&fragments, 4096).0), Some(1009));
    }

    #[test]
    fn violations_have_the_close_codes_of_rfc_6455() {
        let unmasked = vec![0x81, 0x01, b'x'];
        let reserved_bit = frame(0xc1, b"x");
        let reserved_opcode = frame(0x83, b"x");
        let fragmented_ping = frame(0x09, b"x");
        let long_ping = frame(0x89, &[b'x'; 126]);
        let lone_continuation = frame(0x80, b"x");
        let nested_message = [frame(0x01, b"x"), frame(0x01, b"y")].concat();
        for bytes in
            [unmasked, reserved_bit, reserved_opcode, fragmented_ping, long_ping, lone_continuation, nested_message]
        {
            assert_eq!(close_code(decoded(&bytes, 3).0), Some(1002), "{bytes:?}");
        }
        assert_eq!(close_code(decoded(&frame(0x81, &[0xff, 0xfe]), 100).0), Some(1007));
        let mut highest_bit = vec![0x81, 0xff];
        highest_bit.extend([0x80, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]);
        assert_eq!(close_code(decoded(&highest_bit, 100).0), Some(1002), "a length with its highest bit set");
    }

    #[test]
    fn messages_are_read_at_any_split() {
        let bytes = [frame(0x81, b"one"), frame(0x01, b"t"), frame(0x80, b"wo"), frame(0x82, b"\x00")].concat();
        for piece in 1..bytes.len() {
            let (stop, owed, messages) = decoded(&bytes, piece);
            assert!(stop.is_none() && owed.is_empty() && messages == 3, "pieces of {piece}: {stop:?}, {messages}");
        }
    }
}
