//! What a session is doing, for those who watch it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::CloseReason;

/// What a session is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Reaching the other side: address, TCP, TLS, WebSocket.
    Dialing,
    /// Saying who it is.
    LoggingIn,
    /// Choosing the hub, at the relay.
    Registering,
    /// Proving that the hub answers.
    Verifying,
    /// Carrying calls and events.
    Live,
    /// Waiting before the next attempt.
    BackingOff,
    /// Over.
    Closed,
}

impl Phase {
    /// Which phase may follow: everything else is a mistake in this crate, and tests fail by it.
    pub(crate) const fn may_follow(self, next: Self) -> bool {
        match self {
            // Credentials that are stale are replaced at once, without a wait.
            Self::Dialing => {
                matches!(next, Self::Dialing | Self::LoggingIn | Self::Verifying | Self::BackingOff | Self::Closed)
            }
            Self::LoggingIn => {
                matches!(next, Self::Dialing | Self::Registering | Self::Verifying | Self::BackingOff | Self::Closed)
            }
            Self::Registering => matches!(next, Self::Dialing | Self::Verifying | Self::BackingOff | Self::Closed),
            Self::Verifying => matches!(next, Self::Dialing | Self::Live | Self::BackingOff | Self::Closed),
            // A link that is left by wish needs no wait.
            Self::Live => matches!(next, Self::Dialing | Self::BackingOff | Self::Closed),
            Self::BackingOff => matches!(next, Self::Dialing | Self::Closed),
            Self::Closed => false,
        }
    }
}

/// The current state of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// What it is doing.
    pub phase: Phase,
    /// Why the last connection ended, or could not be made.
    pub reason: Option<Arc<CloseReason>>,
    /// Whether the relay, or the hub on the local network, is connected.
    pub relay: bool,
    /// Whether the hub behind it is there, as far as it was told.
    pub hub: bool,
    /// Failures in a row; 0 once the link is proven.
    pub failures: u32,
    /// Connections that came to life so far.
    pub connections: u64,
    /// SHA-256 of the other side's certificate; keep it to recognise a hub.
    pub certificate: Option<[u8; 32]>,
}

impl Status {
    pub(crate) const fn new() -> Self {
        Self {
            phase: Phase::Dialing,
            reason: None,
            relay: false,
            hub: false,
            failures: 0,
            connections: 0,
            certificate: None,
        }
    }

    /// Whether calls go out now.
    pub const fn is_live(&self) -> bool {
        matches!(self.phase, Phase::Live)
    }
}

/// What came that should not have, and what was lost; never fatal, always counted.
#[derive(Debug, Default)]
pub(crate) struct AtomicCounters {
    pub(crate) bad_frames: AtomicU64,
    pub(crate) unknown_broadcasts: AtomicU64,
    pub(crate) unsolicited_replies: AtomicU64,
    pub(crate) duplicate_broadcasts: AtomicU64,
    /// The newest broadcasts, by `msg_id`.
    recent: Mutex<VecDeque<String>>,
}

/// Broadcasts that are remembered, to tell one that comes twice.
const RECENT: usize = 128;
/// Shortest `msg_id` that is unique: Linux hubs send 24 hexadecimal digits, EzloPi a counter that begins anew.
const UNIQUE: usize = 16;
/// Longest that is remembered.
const LONGEST: usize = 64;

/// Counts of a session's whole life.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Frames that could not be read.
    pub bad_frames: u64,
    /// Broadcasts that this version does not know; they came as events all the same.
    pub unknown_broadcasts: u64,
    /// Answers to calls that nobody waited for.
    pub unsolicited_replies: u64,
    /// Broadcasts that came twice and were told once.
    pub duplicate_broadcasts: u64,
}

impl AtomicCounters {
    pub(crate) fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether a broadcast of that `msg_id` has not been told yet.
    pub(crate) fn is_new(&self, msg_id: &str) -> bool {
        if !(UNIQUE..=LONGEST).contains(&msg_id.len()) {
            return true;
        }
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.iter().any(|known| known == msg_id) {
            return false;
        }
        if recent.len() >= RECENT {
            recent.pop_front();
        }
        recent.push_back(msg_id.to_owned());
        true
    }

    pub(crate) fn read(&self) -> Counters {
        Counters {
            bad_frames: self.bad_frames.load(Ordering::Relaxed),
            unknown_broadcasts: self.unknown_broadcasts.load(Ordering::Relaxed),
            unsolicited_replies: self.unsolicited_replies.load(Ordering::Relaxed),
            duplicate_broadcasts: self.duplicate_broadcasts.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broadcasts_that_come_twice_are_known_for_a_while() {
        let tally = AtomicCounters::default();
        let id = |number: usize| format!("{number:024x}");
        assert!(tally.is_new(&id(1)) && !tally.is_new(&id(1)));
        assert!((2..RECENT + 2).all(|number| tally.is_new(&id(number))));
        assert!(tally.is_new(&id(1)), "too long ago");
        assert!(tally.is_new("7") && tally.is_new("7"), "a counter begins anew");
        assert!(tally.is_new(&"f".repeat(65)) && tally.is_new(&"f".repeat(65)), "nothing long is kept");
    }
}
