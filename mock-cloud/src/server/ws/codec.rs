//! How a connection is read and written, once it speaks WebSocket: by tungstenite (the framing of tokio-tungstenite), or by framing of our own. Neither touches
//! the socket: bytes are read into a buffer that all connections of a thread share, so that an idle one holds none.

use std::cell::Cell;
use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead as _, AsyncReadExt as _, AsyncWriteExt as _, ReadBuf};
use tokio_tungstenite::tungstenite::error::{CapacityError, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::server::ws::connection::{End, MAX_MESSAGE};
use crate::server::ws::frame_parser::{Broken, CLOSE, PONG, Reader, WsMessage, control};

/// Read buffer of the library, which each connection has and which is zeroed on every read; it grows with what it needs. The
/// library's default is 128 KiB.
const READ_BUFFER: usize = 1024;
/// What is read at once from a socket.
const SCRATCH: usize = 16 * 1024;

/// Bytes, both ways.
pub(crate) type Bytes = TokioIo<Upgraded>;

/// What is to be done after a message was heard.
#[derive(Debug)]
pub(crate) enum Then {
    Next,
    /// What it led to goes out first.
    Pause,
    Over(End),
}

/// How hearing came to a stop.
#[derive(Debug)]
pub(crate) enum Stop {
    Pause,
    /// A ping is to be answered before anything else is heard.
    Ping,
    Over(End),
}

/// Who hears.
pub(crate) type MessageHandler<'a> = dyn FnMut(&WsMessage<'_>) -> Then + Send + 'a;

/// What came of some bytes.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Bytes that are done with.
    pub(crate) taken: usize,
    /// `None` when there is no whole message any more.
    pub(crate) stop: Option<Stop>,
    has_heard: bool,
}

/// WebSocket frames of a server, as bytes. What it owes the other side (answers to pings, and to a close) goes into `owed`.
pub(crate) trait Framing: Send {
    fn new() -> Self;

    /// Lets everything be heard that is in the bytes, until it is told to stop.
    fn hear(&mut self, bytes: &mut [u8], owed: &mut Vec<u8>, hear: &mut MessageHandler<'_>) -> Outcome;

    /// Writes a message as frames.
    fn write(&mut self, message: Message, out: &mut Vec<u8>) -> io::Result<()>;
}

/// tungstenite.
pub(crate) struct Library(WebSocketContext);

/// Bytes that are there, and bytes that are to go out, as a socket.
struct Memory<'a> {
    come: &'a [u8],
    go: &'a mut Vec<u8>,
}

impl Read for Memory<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.come.is_empty() { Err(io::ErrorKind::WouldBlock.into()) } else { Read::read(&mut self.come, out) }
    }
}

impl Write for Memory<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.go.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Framing for Library {
    fn new() -> Self {
        let limits = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .max_message_size(Some(MAX_MESSAGE))
            .max_frame_size(Some(MAX_MESSAGE));
        Self(WebSocketContext::new(Role::Server, Some(limits)))
    }

    fn hear(&mut self, bytes: &mut [u8], owed: &mut Vec<u8>, hear: &mut MessageHandler<'_>) -> Outcome {
        let mut memory = Memory { come: bytes, go: owed };
        let mut has_heard = false;
        let stop = loop {
            let message = match self.0.read(&mut memory) {
                Ok(message) => message,
                Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => break None,
                Err(error) => break Some(Stop::Over(on_error(&error))),
            };
            has_heard = true;
            let heard = match &message {
                Message::Text(text) => WsMessage::Text(text),
                Message::Binary(bytes) => WsMessage::Binary(bytes),
                Message::Ping(payload) => WsMessage::Ping(payload),
                Message::Pong(_) | Message::Frame(_) => WsMessage::Pong,
                Message::Close(frame) => {
                    WsMessage::Close(frame.as_ref().map(|frame| (frame.code.into(), frame.reason.as_str())))
                }
            };
            let then = hear(&heard);
            let is_answered = message.is_ping() || message.is_close();
            // The answer is written when the library is next used.
            if is_answered && let Err(error) = self.0.flush(&mut memory) {
                break Some(Stop::Over(on_error(&error)));
            }
            match then {
                Then::Over(end) => break Some(Stop::Over(end)),
                _ if message.is_ping() => break Some(Stop::Ping),
                Then::Pause => break Some(Stop::Pause),
                Then::Next => {}
            }
        };
        let left = memory.come.len();
        Outcome { taken: bytes.len() - left, stop, has_heard }
    }

    fn write(&mut self, message: Message, out: &mut Vec<u8>) -> io::Result<()> {
        let mut memory = Memory { come: &[], go: out };
        self.0.write(&mut memory, message).map_err(io::Error::other)?;
        self.0.flush(&mut memory).map_err(io::Error::other)
    }
}

fn on_error(error: &Error) -> End {
    match error {
        Error::Capacity(CapacityError::MessageTooLong { .. }) => Broken::TooLong.into(),
        Error::Utf8(_) => Broken::Utf8.into(),
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) | Error::ConnectionClosed => End::Closed,
        Error::Protocol(_) => Broken::Protocol.into(),
        _ => End::Gone,
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

/// Framing of our own.
pub(crate) struct Own(Reader);

impl Framing for Own {
    fn new() -> Self {
        Self(Reader::default())
    }

    fn hear(&mut self, bytes: &mut [u8], owed: &mut Vec<u8>, hear: &mut MessageHandler<'_>) -> Outcome {
        let (mut taken, mut has_heard) = (0, false);
        let stop = loop {
            let heard = match self.0.next(&mut bytes[taken..]) {
                Ok((more, heard)) => {
                    taken += more;
                    heard
                }
                Err(broken) => break Some(Stop::Over(broken.into())),
            };
            let Some(heard) = heard else { break None };
            has_heard = true;
            match heard {
                WsMessage::Ping(payload) => owed.extend(control(PONG, payload)),
                WsMessage::Close(goodbye) => {
                    let (code, reason) =
                        goodbye.map_or((None, ""), |(code, reason)| (Some(code.to_be_bytes()), reason));
                    let code = code.as_ref().map_or(&[][..], |code| &code[..]);
                    owed.extend(control(CLOSE, &[code, reason.as_bytes()].concat()));
                }
                _ => {}
            }
            let (is_ping, then) = (matches!(heard, WsMessage::Ping(_)), hear(&heard));
            self.0.forget();
            match then {
                Then::Over(end) => break Some(Stop::Over(end)),
                _ if is_ping => break Some(Stop::Ping),
                Then::Pause => break Some(Stop::Pause),
                Then::Next => {}
            }
        };
        Outcome { taken, stop, has_heard }
    }

    fn write(&mut self, message: Message, out: &mut Vec<u8>) -> io::Result<()> {
        let frame = match message {
            Message::Text(text) => Frame::message(text, OpCode::Data(Data::Text), true),
            Message::Binary(bytes) => Frame::message(bytes, OpCode::Data(Data::Binary), true),
            Message::Ping(payload) => Frame::ping(payload),
            Message::Pong(payload) => Frame::pong(payload),
            Message::Close(frame) => Frame::close(frame),
            Message::Frame(frame) => frame,
        };
        frame.format(out).map_err(io::Error::other)
    }
}

/// A connection that speaks WebSocket.
pub(crate) struct Socket<F> {
    stream: Bytes,
    framing: F,
    /// What came and is not heard yet: the beginning of a message, or more than was wanted at once.
    rest: Vec<u8>,
    /// Whether there may be a whole message that came and is not heard.
    has_more: bool,
    owed: Vec<u8>,
    is_over: bool,
    /// What came is no WebSocket; nothing more of it is read as one.
    is_broken: bool,
}

thread_local! {
    static READ: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

impl<F: Framing> Socket<F> {
    pub(crate) fn over(stream: Bytes) -> Self {
        let (rest, owed) = (Vec::new(), Vec::new());
        Self { stream, framing: F::new(), rest, has_more: false, owed, is_over: false, is_broken: false }
    }

    /// Lets everything be heard that has come, until it is told to stop or there is no more.
    pub(crate) fn poll_messages(&mut self, context: &mut Context<'_>, hear: &mut MessageHandler<'_>) -> Poll<Stop> {
        if self.is_over {
            return Poll::Ready(Stop::Over(End::Closed));
        }
        if self.has_more
            && let Some(stop) = self.parse_rest(hear)
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
                Poll::Ready(Err(_)) => Some(Stop::Over(End::Gone)),
                Poll::Ready(Ok(())) if length == 0 => Some(Stop::Over(End::Closed)),
                Poll::Ready(Ok(())) if self.rest.is_empty() => self.parse_buffered(&mut scratch[..length], hear),
                Poll::Ready(Ok(())) => {
                    self.rest.extend_from_slice(&scratch[..length]);
                    self.parse_rest(hear)
                }
            };
            READ.set(scratch);
            if let Some(stop) = stop {
                return Poll::Ready(stop);
            }
            ready!(read.map(drop));
        }
    }

    /// Lets those be heard that are in these bytes, and keeps what is left of them.
    fn parse_buffered(&mut self, bytes: &mut [u8], hear: &mut MessageHandler<'_>) -> Option<Stop> {
        let Outcome { taken, stop, has_heard } = self.framing.hear(bytes, &mut self.owed, hear);
        self.rest.extend_from_slice(&bytes[taken..]);
        self.has_more = stop.is_some();
        self.is_over = matches!(stop, Some(Stop::Over(_)));
        self.is_broken = matches!(stop, Some(Stop::Over(End::Close(..))));
        stop.or(has_heard.then_some(Stop::Pause))
    }

    /// The same, in what was left over.
    fn parse_rest(&mut self, hear: &mut MessageHandler<'_>) -> Option<Stop> {
        let mut rest = std::mem::take(&mut self.rest);
        let Outcome { taken, stop, has_heard } = self.framing.hear(&mut rest, &mut self.owed, hear);
        if taken < rest.len() {
            rest.drain(..taken);
            self.rest = rest;
        }
        self.has_more = stop.is_some();
        self.is_over = matches!(stop, Some(Stop::Over(_)));
        self.is_broken = matches!(stop, Some(Stop::Over(End::Close(..))));
        stop.or(has_heard.then_some(Stop::Pause))
    }

    /// Sends frames that are made already.
    pub(crate) async fn put(&mut self, frames: &[u8]) -> io::Result<()> {
        self.stream.write_all(frames).await?;
        self.stream.flush().await
    }

    /// Sends anything else.
    pub(crate) async fn send(&mut self, message: Message) -> io::Result<()> {
        let mut frames = Vec::new();
        self.framing.write(message, &mut frames)?;
        self.put(&frames).await
    }

    /// Sends what is owed.
    pub(crate) async fn settle(&mut self) -> io::Result<()> {
        let owed = std::mem::take(&mut self.owed);
        self.put(&owed).await
    }

    /// Hears nothing any more, until the other side says goodbye too, or goes. Nothing is owed to it any more.
    pub(crate) async fn until_gone(&mut self) {
        let deaf = &mut |heard: &WsMessage<'_>| match heard {
            WsMessage::Close(_) => Then::Over(End::Closed),
            _ => Then::Next,
        };
        while !self.is_broken {
            if let Stop::Over(_) = poll_fn(|context| self.poll_messages(context, deaf)).await {
                break;
            }
            self.owed = Vec::new();
        }
        let mut bytes = [0; 1024];
        while self.is_broken && matches!(self.stream.read(&mut bytes).await, Ok(1..)) {}
    }

    pub(crate) async fn shutdown(&mut self) {
        let _ = self.stream.shutdown().await;
    }
}
