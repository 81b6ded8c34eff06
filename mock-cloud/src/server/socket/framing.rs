//! How a connection is read and written, once it speaks WebSocket: by tokio-tungstenite, or by framing of our own, which
//! holds no buffer while nothing comes.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::{SinkExt as _, StreamExt as _};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead as _, AsyncWriteExt as _, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{CapacityError, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::frames::{Broken, CLOSE, Heard, PONG, Reader, control};
use super::{End, MAX_MESSAGE};

/// Read buffer of the library. Its default of 128 KiB is zeroed on every read and kept per connection.
const READ_BUFFER: usize = 4 * 1024;
/// What is read at once by our own framing, into a buffer that all connections of a thread share.
const SCRATCH: usize = 16 * 1024;

/// Bytes, both ways.
pub(super) type Bytes = TokioIo<Upgraded>;

/// What is to be done after a message was heard.
#[derive(Debug)]
pub(super) enum Then {
    Next,
    /// What it led to goes out first.
    Pause,
    Over(End),
}

/// How hearing came to a stop.
#[derive(Debug)]
pub(super) enum Stop {
    Pause,
    /// A ping is to be answered before anything else is heard.
    Ping,
    Over(End),
}

/// WebSocket frames over bytes. Messages go out as frames that are made already.
pub(super) trait Framing: Send + Sized {
    fn over(stream: Bytes) -> impl Future<Output = Self> + Send;

    /// Lets everything be heard that has come, until it is told to stop or there is no more.
    fn poll_hear(&mut self, context: &mut Context<'_>, hear: &mut (dyn FnMut(&Heard<'_>) -> Then + Send))
    -> Poll<Stop>;

    /// Where frames are written to.
    fn stream(&mut self) -> &mut Bytes;

    /// Sends anything else.
    fn send(&mut self, message: Message) -> impl Future<Output = io::Result<()>> + Send;

    /// Sends what is owed: answers to pings, and to a close.
    fn settle(&mut self) -> impl Future<Output = io::Result<()>> + Send;
}

/// tokio-tungstenite.
pub(super) struct Library(WebSocketStream<Bytes>);

impl Framing for Library {
    async fn over(stream: Bytes) -> Self {
        let limits = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .max_message_size(Some(MAX_MESSAGE))
            .max_frame_size(Some(MAX_MESSAGE));
        Self(WebSocketStream::from_raw_socket(stream, Role::Server, Some(limits)).await)
    }

    fn poll_hear(
        &mut self,
        context: &mut Context<'_>,
        hear: &mut (dyn FnMut(&Heard<'_>) -> Then + Send),
    ) -> Poll<Stop> {
        let mut has_heard = false;
        loop {
            let message = match self.0.poll_next_unpin(context) {
                Poll::Pending if has_heard => return Poll::Ready(Stop::Pause),
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => return Poll::Ready(Stop::Over(End::Closed)),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Stop::Over(on_error(&error))),
                Poll::Ready(Some(Ok(message))) => message,
            };
            has_heard = true;
            let heard = match &message {
                Message::Text(text) => Heard::Text(text),
                Message::Binary(bytes) => Heard::Binary(bytes),
                Message::Ping(payload) => Heard::Ping(payload),
                Message::Pong(_) | Message::Frame(_) => Heard::Pong,
                Message::Close(frame) => Heard::Close(frame.as_ref().map(|frame| frame.code.into())),
            };
            match hear(&heard) {
                Then::Over(end) => return Poll::Ready(Stop::Over(end)),
                _ if message.is_ping() => return Poll::Ready(Stop::Ping),
                Then::Pause => return Poll::Ready(Stop::Pause),
                Then::Next => {}
            }
        }
    }

    /// It has nothing of its own to say whenever this is used: what it owes has gone out before.
    fn stream(&mut self) -> &mut Bytes {
        self.0.get_mut()
    }

    async fn send(&mut self, message: Message) -> io::Result<()> {
        self.0.send(message).await.map_err(io::Error::other)
    }

    async fn settle(&mut self) -> io::Result<()> {
        self.0.flush().await.map_err(io::Error::other)
    }
}

fn on_error(error: &Error) -> End {
    match error {
        Error::Capacity(CapacityError::MessageTooLong { .. }) => Broken::TooLong.into(),
        Error::Utf8(_) => Broken::Utf8.into(),
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) | Error::ConnectionClosed => End::Closed,
        Error::Io(_) => End::Gone,
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
pub(super) struct Own {
    stream: Bytes,
    reader: Reader,
    /// What came and is not heard yet: the beginning of a message, or more than was wanted at once.
    rest: Vec<u8>,
    /// Whether there may be a whole message in it.
    has_more: bool,
    /// The answer to the last ping, or to a close.
    owed: Vec<u8>,
    is_closed: bool,
}

thread_local! {
    static READ: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

impl Own {
    /// Lets those be heard that are in these bytes; says how many it took.
    fn hear_in(
        &mut self,
        bytes: &mut [u8],
        hear: &mut (dyn FnMut(&Heard<'_>) -> Then + Send),
    ) -> (usize, Option<Stop>, bool) {
        let (mut taken, mut has_heard) = (0, false);
        loop {
            let (more, heard) = match self.reader.next(&mut bytes[taken..]) {
                Ok(next) => next,
                Err(broken) => return (taken, Some(Stop::Over(broken.into())), has_heard),
            };
            taken += more;
            let Some(heard) = heard else { return (taken, None, has_heard) };
            has_heard = true;
            match heard {
                Heard::Ping(payload) => self.owed = control(PONG, payload),
                Heard::Close(code) => {
                    self.owed = control(CLOSE, code.map(u16::to_be_bytes).as_ref().map_or(&[], |code| &code[..]));
                    self.is_closed = true;
                }
                _ => {}
            }
            let (is_ping, then) = (matches!(heard, Heard::Ping(_)), hear(&heard));
            self.reader.forget();
            match then {
                Then::Over(end) => return (taken, Some(Stop::Over(end)), true),
                _ if is_ping => return (taken, Some(Stop::Ping), true),
                Then::Pause => return (taken, Some(Stop::Pause), true),
                Then::Next => {}
            }
        }
    }

    /// The same, in what was left over.
    fn hear_rest(&mut self, hear: &mut (dyn FnMut(&Heard<'_>) -> Then + Send)) -> Option<Stop> {
        let mut rest = std::mem::take(&mut self.rest);
        let (taken, stop, has_heard) = self.hear_in(&mut rest, hear);
        self.has_more = stop.is_some();
        if taken < rest.len() {
            rest.drain(..taken);
            self.rest = rest;
        }
        stop.or(has_heard.then_some(Stop::Pause))
    }
}

impl Framing for Own {
    async fn over(stream: Bytes) -> Self {
        let (reader, rest, owed) = (Reader::default(), Vec::new(), Vec::new());
        Self { stream, reader, rest, has_more: false, owed, is_closed: false }
    }

    fn poll_hear(
        &mut self,
        context: &mut Context<'_>,
        hear: &mut (dyn FnMut(&Heard<'_>) -> Then + Send),
    ) -> Poll<Stop> {
        if self.is_closed {
            return Poll::Ready(Stop::Over(End::Closed));
        }
        if self.has_more
            && let Some(stop) = self.hear_rest(hear)
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
                Poll::Ready(Ok(())) if self.rest.is_empty() => {
                    let (taken, stop, has_heard) = self.hear_in(&mut scratch[..length], hear);
                    self.rest.extend_from_slice(&scratch[taken..length]);
                    self.has_more = stop.is_some();
                    stop.or(has_heard.then_some(Stop::Pause))
                }
                Poll::Ready(Ok(())) => {
                    self.rest.extend_from_slice(&scratch[..length]);
                    self.hear_rest(hear)
                }
            };
            READ.set(scratch);
            if let Some(stop) = stop {
                return Poll::Ready(stop);
            }
            ready!(read.map(drop));
        }
    }

    fn stream(&mut self) -> &mut Bytes {
        &mut self.stream
    }

    async fn send(&mut self, message: Message) -> io::Result<()> {
        let frame = match message {
            Message::Text(text) => Frame::message(text, OpCode::Data(Data::Text), true),
            Message::Binary(bytes) => Frame::message(bytes, OpCode::Data(Data::Binary), true),
            Message::Ping(payload) => Frame::ping(payload),
            Message::Pong(payload) => Frame::pong(payload),
            Message::Close(frame) => Frame::close(frame),
            Message::Frame(frame) => frame,
        };
        let mut bytes = Vec::new();
        frame.format(&mut bytes).map_err(io::Error::other)?;
        self.stream.write_all(&bytes).await?;
        self.stream.flush().await
    }

    async fn settle(&mut self) -> io::Result<()> {
        let owed = std::mem::take(&mut self.owed);
        self.stream.write_all(&owed).await?;
        self.stream.flush().await
    }
}

/// Hears nothing any more, until the other side goes too.
pub(super) async fn until_gone(socket: &mut impl Framing) {
    let silent = &mut |_: &Heard<'_>| Then::Next;
    while !matches!(poll_fn(|context| socket.poll_hear(context, silent)).await, Stop::Over(_)) {}
}
