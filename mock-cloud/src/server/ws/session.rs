//! Whose connection it is: a client at the relay, or one at a hub's own port.

use std::sync::Arc;

use tokio::sync::watch;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::server::hub_ports::lan::LocalSession;
use crate::server::relay_session::{RelaySession, Room};
use crate::world::World;
use crate::world::outbox::Link;

pub(crate) enum Session {
    Relay(RelaySession),
    Local(LocalSession),
}

impl Session {
    pub(crate) fn on_text(&mut self, world: &Arc<World>, text: &str) {
        match self {
            Self::Relay(session) => session.on_text(world, text),
            Self::Local(session) => session.on_text(world, text),
        }
    }

    /// Waits until what comes next can be passed on; `None` when it can now.
    pub(crate) fn room(&self) -> Option<Room> {
        match self {
            Self::Relay(session) => session.room(),
            Self::Local(_) => None,
        }
    }

    /// What its messages go out through.
    pub(crate) const fn link(&self) -> &Link {
        match self {
            Self::Relay(session) => session.link(),
            Self::Local(session) => session.link(),
        }
    }

    pub(crate) fn on_close(&self) {
        if let Self::Local(session) = self {
            session.on_close();
        }
    }

    /// Tells when the hub drops its local connections.
    pub(crate) fn drops(&self) -> Option<watch::Receiver<u64>> {
        match self {
            Self::Relay(_) => None,
            Self::Local(session) => Some(session.drops()),
        }
    }

    /// Which hub it talks to, and on which listener.
    pub(crate) fn about(&self) -> (String, &'static str) {
        match self {
            Self::Relay(session) => (session.serial().map(ToString::to_string).unwrap_or_default(), "cloud"),
            Self::Local(session) => (session.hub().serial.to_string(), "lan"),
        }
    }

    pub(crate) fn user(&self) -> Option<u64> {
        match self {
            Self::Relay(session) => session.user(),
            Self::Local(_) => None,
        }
    }

    /// A broadcast of its hub that is not true any more.
    pub(crate) fn stale_broadcast(&self) -> Option<Utf8Bytes> {
        match self {
            Self::Relay(session) => session.hub()?.stale_broadcast(),
            Self::Local(session) => session.hub().stale_broadcast(),
        }
    }

    pub(crate) fn connection(&self) -> &str {
        match self {
            Self::Relay(session) => session.connection(),
            Self::Local(session) => session.connection(),
        }
    }

    /// Whether this side pings: families differ.
    pub(crate) fn pings(&self) -> bool {
        match self {
            Self::Relay(_) => true,
            Self::Local(session) => session.pings(),
        }
    }

    pub(crate) const fn expires(&self) -> Option<i64> {
        match self {
            Self::Relay(session) => session.expires(),
            Self::Local(_) => None,
        }
    }
}
