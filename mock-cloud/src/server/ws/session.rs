//! The session behind a WebSocket connection: at the relay, or at a hub's local port.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::server::hub_ports::lan::LocalSession;
use crate::server::relay_session::{RelaySession, Room};
use crate::server::ws::types::End;
use crate::world::World;
use crate::world::outbox::Link;

/// The session of a WebSocket connection.
pub(crate) enum Session {
    /// A connection to the relay.
    Relay(RelaySession),
    /// A connection to a hub's local port.
    Local(LocalSession),
}

impl Session {
    /// Handles a text message of the peer.
    pub(crate) fn on_text(&mut self, world: &Arc<World>, text: &str) {
        match self {
            Self::Relay(session) => session.on_text(world, text),
            Self::Local(session) => session.on_text(world, text),
        }
    }

    /// Returns a future that waits until the next message can be forwarded, or `None` if it can be forwarded now.
    pub(crate) fn room(&self) -> Option<Room> {
        match self {
            Self::Relay(session) => session.room(),
            Self::Local(_) => None,
        }
    }

    /// Returns the sending end of the connection's queue.
    pub(crate) const fn link(&self) -> &Link {
        match self {
            Self::Relay(session) => session.link(),
            Self::Local(session) => session.link(),
        }
    }

    /// Handles a close frame of the peer.
    pub(crate) fn on_close(&self) {
        if let Self::Local(session) = self {
            session.on_close();
        }
    }

    /// Returns a receiver that changes when the hub drops its local connections.
    pub(crate) fn drops(&self) -> Option<watch::Receiver<u64>> {
        match self {
            Self::Relay(_) => None,
            Self::Local(session) => Some(session.drops()),
        }
    }

    /// Returns the end of a connection that the hub drops: without a close frame if the hub has lost its power.
    pub(crate) fn dropped(&self) -> End {
        match self {
            Self::Local(session) if session.hub().is_unplugged() => End::Silent(Arc::clone(session.hub())),
            Self::Local(_) | Self::Relay(_) => End::Close(1001, "hub drops local connections"),
        }
    }

    /// Returns the serial of the hub, empty if there is none, and the name of the listener.
    pub(crate) fn about(&self) -> (String, &'static str) {
        match self {
            Self::Relay(session) => (session.serial().map(ToString::to_string).unwrap_or_default(), "cloud"),
            Self::Local(session) => (session.hub().serial.to_string(), "lan"),
        }
    }

    /// Returns the number of the user who has logged in at the relay.
    pub(crate) fn user(&self) -> Option<u64> {
        match self {
            Self::Relay(session) => session.user(),
            Self::Local(_) => None,
        }
    }

    /// Returns an outdated broadcast of the hub.
    pub(crate) fn stale_broadcast(&self) -> Option<Utf8Bytes> {
        match self {
            Self::Relay(session) => session.hub()?.stale_broadcast(),
            Self::Local(session) => session.hub().stale_broadcast(),
        }
    }

    /// Returns the connection's UUID.
    pub(crate) fn connection(&self) -> &str {
        match self {
            Self::Relay(session) => session.connection(),
            Self::Local(session) => session.connection(),
        }
    }

    /// Returns whether the server answers pings. At a local port, this depends on the hub family.
    pub(crate) fn answers_pings(&self) -> bool {
        match self {
            Self::Relay(_) => true,
            Self::Local(session) => session.answers_pings(),
        }
    }

    /// Returns the time without received frames after which the server drops the connection; `None` for no limit.
    pub(crate) fn idle_limit(&self, world: &World) -> Option<Duration> {
        let is_limited = matches!(self, Self::Local(session) if session.closes_when_idle());
        let limit = Duration::from_millis(world.assumptions.ezlopi_idle_ms);
        (is_limited && !limit.is_zero()).then_some(limit)
    }

    /// Returns whether the server sends pings. At a local port, this depends on the hub family.
    pub(crate) fn pings(&self) -> bool {
        match self {
            Self::Relay(_) => true,
            Self::Local(session) => session.pings(),
        }
    }

    /// Returns the expiry of the user's Identity, in Unix seconds.
    pub(crate) const fn expires(&self) -> Option<i64> {
        match self {
            Self::Relay(session) => session.expires(),
            Self::Local(_) => None,
        }
    }
}
