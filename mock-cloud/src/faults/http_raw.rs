//! Faults between the HTTP library and the connection: malformed responses that the library cannot write, and the suppression
//! of pongs. Other bytes pass unchanged.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// First byte of a pong with the FIN bit.
const PONG: u8 = 0x8a;

/// A raw response. The connection ends after it.
#[derive(Debug)]
pub(crate) struct Raw {
    /// Pieces of the response, each with the delay before it, in machine time.
    pub(crate) pieces: Vec<(Duration, Bytes)>,
}

/// The pending faults of a connection, set by the handlers of its requests.
#[derive(Debug, Default)]
pub(crate) struct RawWriteControl {
    /// A fault is pending. Read at every write, so without the lock.
    any: AtomicBool,
    raw: Mutex<Option<Raw>>,
    no_pong: AtomicBool,
}

impl RawWriteControl {
    /// Replaces the next response of the library by a raw one.
    pub(crate) fn answer(&self, raw: Raw) {
        *self.raw.lock().unwrap_or_else(PoisonError::into_inner) = Some(raw);
        self.any.store(true, Ordering::Release);
    }

    /// Suppresses pongs after the header of the next response.
    pub(crate) fn no_pong(&self) {
        self.no_pong.store(true, Ordering::Release);
        self.any.store(true, Ordering::Release);
    }
}

/// A connection that applies its [`RawWriteControl`] to written bytes.
#[derive(Debug)]
pub(crate) struct RawWriteStream<S> {
    stream: S,
    tamper: std::sync::Arc<RawWriteControl>,
    raw: Option<std::collections::VecDeque<(Duration, Bytes)>>,
    wait: Option<Pin<Box<Sleep>>>,
    frames: Option<Frames>,
    /// Bytes that the next flush writes.
    out: BytesMut,
}

/// The written bytes, split into WebSocket frames.
#[derive(Debug, Default)]
struct Frames {
    /// The header of the upgrade response was written.
    begun: bool,
    /// The beginning of an incomplete frame.
    rest: BytesMut,
}

impl Frames {
    /// Appends `bytes` to `out`, without pongs. An incomplete frame is buffered.
    fn without_pongs(&mut self, bytes: &[u8], out: &mut BytesMut) {
        self.rest.extend_from_slice(bytes);
        if !self.begun {
            let Some(end) = self.rest.windows(4).position(|four| four == b"\r\n\r\n") else { return };
            out.extend_from_slice(&self.rest.split_to(end + 4));
            self.begun = true;
        }
        while let Some(length) = frame_length(&self.rest).filter(|length| *length <= self.rest.len()) {
            let frame = self.rest.split_to(length);
            if frame[0] != PONG {
                out.extend_from_slice(&frame);
            }
        }
    }
}

/// Returns the length of the first frame including its header; `None` if the header is incomplete.
fn frame_length(bytes: &[u8]) -> Option<usize> {
    let wide = |from: usize, to: usize| {
        let length = bytes.get(from..to)?.iter().fold(0_u64, |length, byte| length << 8 | u64::from(*byte));
        usize::try_from(length).ok()?.checked_add(to)
    };
    match bytes.get(1)? & 0x7f {
        126 => wide(2, 4),
        127 => wide(2, 10),
        short => Some(2 + usize::from(short)),
    }
}

impl<S> RawWriteStream<S> {
    pub(crate) fn new(stream: S, tamper: std::sync::Arc<RawWriteControl>) -> Self {
        Self { stream, tamper, raw: None, wait: None, frames: None, out: BytesMut::new() }
    }

    /// Applies a pending fault.
    fn apply_control(&mut self) {
        if !self.tamper.any.swap(false, Ordering::AcqRel) {
            return;
        }
        if let Some(raw) = self.tamper.raw.lock().unwrap_or_else(PoisonError::into_inner).take() {
            self.raw = Some(raw.pieces.into());
        }
        if self.tamper.no_pong.load(Ordering::Acquire) {
            self.frames.get_or_insert_default();
        }
    }
}

impl<S: AsyncWrite + Unpin> RawWriteStream<S> {
    fn poll_out(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.out.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(context, &self.out))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.out.advance(written);
        }
        Pin::new(&mut self.stream).poll_flush(context)
    }

    /// Writes the raw response piece by piece and ends the connection.
    fn poll_raw(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_out(context))?;
            let next = self.raw.as_ref().and_then(|pieces| pieces.front()).cloned();
            let Some((time, piece)) = next else { break };
            let wait = self.wait.get_or_insert_with(|| Box::pin(tokio::time::sleep(time)));
            ready!(wait.as_mut().poll(context));
            self.wait = None;
            self.out.extend_from_slice(&piece);
            self.raw.as_mut().and_then(std::collections::VecDeque::pop_front);
        }
        ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
        Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for RawWriteStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for RawWriteStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.apply_control();
        if self.raw.is_some() {
            return Poll::Ready(Ok(bytes.len()));
        }
        let Self { frames: Some(frames), out, .. } = &mut *self else {
            return Pin::new(&mut self.stream).poll_write(context, bytes);
        };
        frames.without_pongs(bytes, out);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.raw.is_some() { self.poll_raw(context) } else { self.poll_out(context) }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(context))?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.apply_control();
        if self.raw.is_none() && self.frames.is_none() {
            return Pin::new(&mut self.stream).poll_write_vectored(context, buffers);
        }
        let first = buffers.iter().find(|buffer| !buffer.is_empty());
        self.poll_write(context, first.map_or(&[][..], |first| first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(code: u8, length: usize) -> Vec<u8> {
        let head = match length {
            0..126 => vec![code, u8::try_from(length).unwrap()],
            126..65_536 => [&[code, 126][..], &u16::try_from(length).unwrap().to_be_bytes()].concat(),
            _ => [&[code, 127][..], &(length as u64).to_be_bytes()].concat(),
        };
        [head, vec![code; length]].concat()
    }

    proptest! {
        #[test]
        fn only_pongs_are_suppressed_for_any_split_of_the_writes(
            frames in prop::collection::vec((prop::sample::select(vec![0x81, 0x8a, 0x89, 0x88]), prop::sample::select(vec![0, 5, 125, 126, 300, 70_000])), 0..8),
            cuts in prop::collection::vec(1..5000_usize, 1..20),
        ) {
            let head = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n".to_vec();
            let all: Vec<Vec<u8>> = frames.iter().map(|(code, length)| frame(*code, *length)).collect();
            let whole = [head.clone(), all.concat()].concat();
            let (mut filter, mut out) = (Frames::default(), BytesMut::new());
            let mut rest = &whole[..];
            for cut in cuts.iter().cycle() {
                let (now, later) = rest.split_at((*cut).min(rest.len()));
                filter.without_pongs(now, &mut out);
                rest = later;
                if rest.is_empty() {
                    break;
                }
            }
            let expected: Vec<u8> = all.into_iter().filter(|frame| frame[0] != PONG).flatten().collect();
            prop_assert!(out == [head, expected].concat());
        }
    }
}
