//! The observable state of a session: phase, status and counters.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::CloseReason;

/// The phase of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// The connector opens a connection: address, TCP, TLS, WebSocket.
    Dialing,
    /// A login call is in progress.
    LoggingIn,
    /// A `register` call selects the hub at the relay.
    Registering,
    /// A `hub.info.get` call verifies that the connection works.
    Verifying,
    /// The connection carries calls and events.
    Live,
    /// The session waits before the next attempt.
    BackingOff,
    /// The session has ended. The phase does not change any more.
    Closed,
}

impl Phase {
    /// Returns true if `next` may follow this phase. Debug builds assert it at every change.
    pub(crate) const fn may_follow(self, next: Self) -> bool {
        match self {
            // Expired credentials are refreshed without a back-off.
            Self::Dialing => {
                matches!(next, Self::Dialing | Self::LoggingIn | Self::Verifying | Self::BackingOff | Self::Closed)
            }
            Self::LoggingIn => {
                matches!(next, Self::Dialing | Self::Registering | Self::Verifying | Self::BackingOff | Self::Closed)
            }
            Self::Registering => matches!(next, Self::Dialing | Self::Verifying | Self::BackingOff | Self::Closed),
            Self::Verifying => matches!(next, Self::Dialing | Self::Live | Self::BackingOff | Self::Closed),
            // A requested reconnect has no back-off.
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
    /// The current phase.
    pub phase: Phase,
    /// The reason for which the last connection ended or the last attempt failed; `None` if there was none.
    pub reason: Option<Arc<CloseReason>>,
    /// True while a connection to the relay, or to the hub on the local network, is live.
    pub relay: bool,
    /// True if the hub is online, according to its last reply or the last notice of the relay. False without a connection.
    pub hub: bool,
    /// Consecutive failures before the current back-off; 0 after a connection became live.
    pub failures: u32,
    /// Number of connections that became live.
    pub connections: u64,
    /// SHA-256 of the hub's certificate, from the last connection that had one; `None` at the relay.
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

    /// Returns true if a connection is live, so that calls are sent at once.
    pub const fn is_live(&self) -> bool {
        matches!(self.phase, Phase::Live)
    }
}

/// Counters of irregular frames, and the ids of recent broadcasts. None of them ends a connection.
#[derive(Debug, Default)]
pub(crate) struct AtomicCounters {
    pub(crate) bad_frames: AtomicU64,
    pub(crate) unknown_broadcasts: AtomicU64,
    pub(crate) unsolicited_replies: AtomicU64,
    pub(crate) duplicate_broadcasts: AtomicU64,
    /// The `msg_id` of the last broadcasts, oldest first.
    recent: Mutex<VecDeque<String>>,
}

/// Number of broadcast ids that are stored to detect duplicates.
const RECENT: usize = 128;
/// Minimum length of a `msg_id` that is unique: Linux hubs send 24 hexadecimal digits, EzloPi a counter that restarts.
const UNIQUE: usize = 16;
/// Maximum length of a `msg_id` that is stored.
const LONGEST: usize = 64;

/// Counters of irregular frames since the start of a session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Frames that could not be decoded ([`RelayEvent::BadFrame`](crate::RelayEvent::BadFrame)).
    pub bad_frames: u64,
    /// Broadcasts of an unknown type. They are delivered as events all the same.
    pub unknown_broadcasts: u64,
    /// Replies without a pending call ([`RelayEvent::UnsolicitedReply`](crate::RelayEvent::UnsolicitedReply)).
    pub unsolicited_replies: u64,
    /// Repeated broadcasts (same `msg_id`) that were not delivered a second time.
    pub duplicate_broadcasts: u64,
}

impl AtomicCounters {
    pub(crate) fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Records a broadcast id. Returns false if the id is a recent duplicate; ids that may not be unique are always new.
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
    fn duplicate_broadcast_is_detected_among_the_last_128() {
        let counters = AtomicCounters::default();
        let id = |number: usize| format!("{number:024x}");
        assert!(counters.is_new(&id(1)) && !counters.is_new(&id(1)));
        assert!((2..RECENT + 2).all(|number| counters.is_new(&id(number))));
        assert!(counters.is_new(&id(1)), "the id was evicted");
        assert!(counters.is_new("7") && counters.is_new("7"), "a short id is a counter and may repeat");
        assert!(counters.is_new(&"f".repeat(65)) && counters.is_new(&"f".repeat(65)), "a long id is not stored");
    }
}
