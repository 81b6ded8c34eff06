//! How a session behaves.

use std::time::Duration;

use crate::backoff::BackoffPolicy;

/// How a session behaves. The defaults suit the relay and Linux hubs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionConfig {
    /// How long an ordinary call may take, reconnects included; public clients use 15 to 30 s.
    pub call_timeout: Duration,
    /// How long each step of login may take.
    pub handshake_timeout: Duration,
    /// A link on which nothing came for that long is dead. Pings come about every 20 s; two public clients give up after
    /// 60 s.
    pub idle_timeout: Duration,
    /// What is done to hear from the other side before that.
    pub keep_alive: KeepAlive,
    /// Waits between attempts.
    pub backoff: BackoffPolicy,
    /// Attempts in a row that may fail before the session closes; `None` = it never gives up.
    pub max_attempts: Option<u32>,
    /// Events kept for each subscriber, by number; one holds a message of 16 MiB at most.
    pub event_capacity: usize,
    /// Where the spread of the waits comes from; drawn when absent.
    pub seed: Option<u64>,
}

/// What is done so that a quiet link shows whether it lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeepAlive {
    /// Listens for the other side's pings only.
    Passive,
    /// Pings once nothing came for half the time of silence. Right for the relay and Linux hubs.
    Ping,
    /// Asks for the current mode once nothing came for half the time of silence: RTOS hubs do not like pings, EzloPi does
    /// not answer them.
    Query,
}

/// The longest time that is waited for anything: points in time are computed from it, and must exist.
pub(crate) const LONGEST: Duration = Duration::from_secs(365 * 86_400);

impl SessionConfig {
    /// The same, without times that are longer than any clock.
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
            // A storm of a large house's every item fits.
            event_capacity: 1024,
            seed: None,
        }
    }
}
