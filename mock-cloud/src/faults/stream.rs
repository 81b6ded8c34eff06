//! A connection whose bytes come in pieces, or which is reset in the middle.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A TCP connection with what goes wrong on it.
#[derive(Debug)]
pub(crate) struct FaultyStream {
    stream: TcpStream,
    /// Bytes that still go out before the reset.
    left: Option<u64>,
    /// Most bytes of a piece.
    piece: usize,
}

impl FaultyStream {
    pub(crate) const fn new(stream: TcpStream, reset_after: Option<u64>, piece: Option<usize>) -> Self {
        let piece = match piece {
            Some(piece) => piece,
            None => usize::MAX,
        };
        Self { stream, left: reset_after, piece }
    }

    pub(crate) const fn stream(&self) -> &TcpStream {
        &self.stream
    }
}

/// Whoever closes a connection with this set sends a reset. The error matters to nobody: the connection ends either way.
pub(crate) fn reset(stream: &TcpStream) {
    let _ = socket2::SockRef::from(stream).set_linger(Some(std::time::Duration::ZERO));
}

impl AsyncRead for FaultyStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for FaultyStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let room = self.left.map_or(usize::MAX, |left| usize::try_from(left).unwrap_or(usize::MAX));
        if room == 0 {
            reset(&self.stream);
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let length = bytes.len().min(self.piece).min(room);
        let written = ready!(Pin::new(&mut self.stream).poll_write(context, &bytes[..length]))?;
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(written as u64);
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.left == Some(0) {
            reset(&self.stream);
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
