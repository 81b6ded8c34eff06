//! Faults of a TCP connection: fragmented and delayed writes, limited rate, reset, stall and slow close.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

use crate::core::rng::Random;
use crate::faults::kinds::ConnectionFault;

/// Time after which a stalled or unresponsive connection is closed, in machine time.
pub(crate) const UNRESPONSIVE_TIME: Duration = Duration::from_secs(600);

/// A TCP connection with at most one fault.
#[derive(Debug)]
pub(crate) struct FaultyStream {
    stream: TcpStream,
    /// Bytes that are still sent before the reset or the stall.
    left: Option<u64>,
    stalls: bool,
    /// Delay of the close.
    closing: Duration,
    /// Maximum size of a write, in bytes.
    piece: usize,
    /// Delay of each write, in machine time.
    latency: Option<Box<Latency>>,
    /// Delay of each byte, in machine time.
    per_byte: Duration,
    /// Pending delay of the next write or of the close.
    wait: Option<Pin<Box<Sleep>>>,
    /// The delay of the next write has elapsed.
    may_go: bool,
}

/// Distribution of the delay of writes, in milliseconds.
#[derive(Debug, Default)]
struct Latency {
    millis: u64,
    jitter: u64,
    deviation: u64,
    chance: Option<Random>,
}

impl Latency {
    /// Returns the delay of the next write.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "milliseconds"
    )]
    fn next(&self) -> Duration {
        let Some(chance) = &self.chance else { return Duration::from_millis(self.millis) };
        // The sum of twelve uniform numbers approximates a normal distribution with a standard deviation of 1.
        let normal = (0..12).map(|_| chance.share()).sum::<f64>() - 6.0;
        let deviation = normal.clamp(-4.0, 4.0) * self.deviation as f64;
        let millis = self.millis as f64 + chance.share() * self.jitter as f64 + deviation;
        Duration::from_millis(millis.max(0.0) as u64)
    }
}

impl FaultyStream {
    /// Wraps `stream`. Faults that do not act on its bytes have no effect.
    pub(crate) fn new(stream: TcpStream, fault: Option<&ConnectionFault>, seed: impl FnOnce() -> u64) -> Self {
        let whole = Self {
            stream,
            left: None,
            stalls: false,
            closing: Duration::ZERO,
            piece: usize::MAX,
            latency: None,
            per_byte: Duration::ZERO,
            wait: None,
            may_go: false,
        };
        match fault {
            Some(ConnectionFault::ResetAfter { bytes }) => Self { left: Some(*bytes), ..whole },
            Some(ConnectionFault::StallAfter { bytes }) => Self { left: Some(*bytes), stalls: true, ..whole },
            Some(ConnectionFault::SlowClose { millis }) => Self { closing: Duration::from_millis(*millis), ..whole },
            Some(ConnectionFault::FragmentWrites { bytes }) => Self { piece: *bytes, ..whole },
            Some(ConnectionFault::Latency { millis, jitter, deviation }) => {
                let chance = (*jitter > 0 || *deviation > 0).then(|| Random::new(seed()));
                let latency = Latency { millis: *millis, jitter: *jitter, deviation: *deviation, chance };
                Self { latency: Some(Box::new(latency)), ..whole }
            }
            Some(ConnectionFault::Bandwidth { bytes_per_second: rate }) => {
                // Ten writes per second: smooth, with few timers.
                let piece = usize::try_from(*rate / 10).unwrap_or(usize::MAX).max(1);
                Self {
                    piece,
                    per_byte: Duration::from_secs(1) / u32::try_from(*rate).unwrap_or(u32::MAX).max(1),
                    ..whole
                }
            }
            // These end the connection, or change the TLS handshake.
            Some(
                ConnectionFault::ResetOnAccept
                | ConnectionFault::Unresponsive
                | ConnectionFault::NoCommonCipher
                | ConnectionFault::CertificateExpired
                | ConnectionFault::CertificateWrongHost
                | ConnectionFault::CertificateUnknownAuthority,
            )
            | None => whole,
        }
    }

    /// Waits for the delay of a write of `length` bytes.
    fn poll_wait(&mut self, context: &mut Context<'_>, length: usize) -> Poll<()> {
        if self.may_go {
            return Poll::Ready(());
        }
        if self.wait.is_none() {
            let latency = self.latency.as_ref().map_or(Duration::ZERO, |latency| latency.next());
            let time = latency + self.per_byte * u32::try_from(length).unwrap_or(u32::MAX);
            if time.is_zero() {
                self.may_go = true;
                return Poll::Ready(());
            }
            self.wait = Some(Box::pin(tokio::time::sleep(time)));
        }
        let Some(wait) = &mut self.wait else { return Poll::Ready(()) };
        ready!(wait.as_mut().poll(context));
        self.wait = None;
        self.may_go = true;
        Poll::Ready(())
    }

    /// Ends a connection that must not send more bytes: by a reset, for a stall after [`UNRESPONSIVE_TIME`].
    fn poll_end<T>(&mut self, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if self.stalls {
            let wait = self.wait.get_or_insert_with(|| Box::pin(tokio::time::sleep(UNRESPONSIVE_TIME)));
            ready!(wait.as_mut().poll(context));
        }
        reset(&self.stream);
        Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
    }

    pub(crate) const fn stream(&self) -> &TcpStream {
        &self.stream
    }
}

/// Makes the close of the connection send a reset. An error is ignored, because the connection ends anyway.
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
            return self.poll_end(context);
        }
        let length = bytes.len().min(self.piece).min(room);
        ready!(self.poll_wait(context, length));
        let written = ready!(Pin::new(&mut self.stream).poll_write(context, &bytes[..length]))?;
        self.may_go = false;
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(written as u64);
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.left == Some(0) {
            return self.poll_end(context);
        }
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { closing, wait, .. } = &mut *self;
        if !closing.is_zero() {
            let wait = wait.get_or_insert_with(|| Box::pin(tokio::time::sleep(*closing)));
            ready!(wait.as_mut().poll(context));
        }
        self.closing = Duration::ZERO;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(millis: u64, jitter: u64, deviation: u64) -> Vec<u64> {
        let latency = Latency { millis, jitter, deviation, chance: Some(Random::new(5)) };
        (0..2000).map(|_| u64::try_from(latency.next().as_millis()).unwrap()).collect()
    }

    #[test]
    fn delays_of_writes_follow_the_distribution() {
        let mean = |all: &[u64]| all.iter().sum::<u64>() / all.len() as u64;
        let even = drawn(30, 40, 0);
        assert!(even.iter().all(|time| (30..=70).contains(time)) && (48..=52).contains(&mean(&even)));
        assert!(even.iter().any(|time| *time < 34) && even.iter().any(|time| *time > 66), "uniform up to its ends");
        let normal = drawn(100, 0, 10);
        assert!(normal.iter().all(|time| (60..=140).contains(time)) && (98..=101).contains(&mean(&normal)));
        let near = normal.iter().filter(|time| (90..=110).contains(*time)).count();
        assert!((1300..1500).contains(&near), "about two thirds lie within one deviation: {near}");
        assert!(drawn(1, 0, 50).contains(&0), "cut off at 0");
        assert_eq!(drawn(30, 40, 10), drawn(30, 40, 10), "equal seeds yield equal delays");
        assert_eq!(Latency { millis: 7, ..Latency::default() }.next(), Duration::from_millis(7));
    }
}
