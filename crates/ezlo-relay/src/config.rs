//! The settings of a session: timeouts, keep-alive, back-off and queue sizes.

use std::time::Duration;

use crate::backoff::BackoffPolicy;

/// The settings of a session.
///
/// The defaults suit the relay and Linux hubs. Durations of more than 365 days are reduced to 365 days. Start from the
/// default and assign single fields:
///
/// ```
/// use ezlo_relay::{KeepAlive, SessionConfig};
/// use std::time::Duration;
///
/// let mut config = SessionConfig::default();
/// assert_eq!(config.call_timeout, Duration::from_secs(20));
/// config.call_timeout = Duration::from_secs(60);
/// config.keep_alive = KeepAlive::Query;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionConfig {
    /// Time limit of a call, including the time to connect and reconnect (default: 20 s; public clients use 15 to 30 s).
    pub call_timeout: Duration,
    /// Time limit of each of login, registration and verification, and of each write to the connection (default: 20 s).
    pub handshake_timeout: Duration,
    /// Time without a received frame after which a connection is considered lost (default: 65 s).
    ///
    /// Servers send a ping about every 20 s. Two public clients use a limit of 60 s.
    pub idle_timeout: Duration,
    /// Probe that is sent after half of `idle_timeout` without a received frame (default: [`KeepAlive::Ping`]).
    pub keep_alive: KeepAlive,
    /// Waits between connection attempts (default: 500 ms, doubled up to 60 s, half of it random).
    pub backoff: BackoffPolicy,
    /// Consecutive failures after which a failed attempt closes the session (default: `None`, no limit).
    ///
    /// The first connection of `RelaySession::connect` and `connect_with` does not use this setting.
    pub max_attempts: Option<u32>,
    /// Number of events that are buffered for slow subscribers (default: 1,024; rounded up to a power of two).
    ///
    /// The buffer is allocated when the session starts, which panics above `usize::MAX / 2`.
    pub event_capacity: usize,
    /// Bytes of the broadcasts that are buffered for slow subscribers (default: 64 MiB; a message has at most 16 MiB).
    ///
    /// Above it, later broadcasts are lost and reported as [`RelayEvent::Lagged`](crate::RelayEvent::Lagged).
    pub event_bytes: usize,
    /// Seed of the jitter, for reproducible waits (default: `None`, random).
    pub seed: Option<u64>,
}

/// The probe of an idle connection.
///
/// It is sent once after half of [`SessionConfig::idle_timeout`] without a received frame. Any received frame, including
/// ping and pong, restarts the idle timeout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeepAlive {
    /// No probe; the pings of the peer prove that the connection works.
    Passive,
    /// A WebSocket ping. Suits the relay and Linux hubs.
    Ping,
    /// A `hub.modes.current.get` call. Suits RTOS hubs, which do not handle pings well, and EzloPi, which does not answer
    /// them.
    Query,
}

/// Upper bound of every time limit: a deadline is an `Instant` and must not overflow.
pub(crate) const LONGEST: Duration = Duration::from_secs(365 * 86_400);

impl SessionConfig {
    /// Returns the settings with every time limit reduced to [`LONGEST`].
    pub(crate) fn bounded(mut self) -> Self {
        for time in [&mut self.call_timeout, &mut self.handshake_timeout, &mut self.idle_timeout] {
            *time = (*time).min(LONGEST);
        }
        self
    }
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            call_timeout: Duration::from_secs(20),
            handshake_timeout: Duration::from_secs(20),
            idle_timeout: Duration::from_secs(65),
            keep_alive: KeepAlive::Ping,
            backoff: BackoffPolicy::default(),
            max_attempts: None,
            // An update of every item of a large house fits.
            event_capacity: 1024,
            event_bytes: 64 * 1024 * 1024,
            seed: None,
        }
    }
}
