//! The connections that receive the broadcasts of a hub.

use std::sync::Arc;

use indexmap::IndexMap;

use crate::world::outbox::{Link, LinkKind};

/// Maximum number of connections that subscribe to one hub.
const MAX_SUBSCRIBERS: usize = 20_000;

/// Connections by id. A reply finds its connection in constant time. The order of deliveries depends only on the order in which
/// connections were added and removed, so it is the same in every run.
#[derive(Debug, Default)]
pub(crate) struct Subscribers(IndexMap<Arc<str>, Link>);

impl Subscribers {
    /// Adds a connection. Returns false if there are too many.
    pub(crate) fn add(&mut self, link: Link) -> bool {
        let has_room = self.0.len() < MAX_SUBSCRIBERS;
        if has_room {
            self.0.insert(Arc::clone(&link.conn_id), link);
        }
        has_room
    }

    /// Removes a connection.
    pub(crate) fn remove(&mut self, conn_id: &str) {
        self.0.swap_remove(conn_id);
    }

    /// Sends a reply to one connection. A connection that is closed or too slow is removed.
    pub(crate) fn reply(&mut self, conn_id: &str, text: &str) {
        if self.0.get(conn_id).is_some_and(|link| !link.send(text)) {
            self.0.swap_remove(conn_id);
        }
    }

    /// Sends a broadcast to the connections of some kinds. Those that are closed or too slow are removed.
    pub(crate) fn broadcast(&mut self, receives: impl Fn(LinkKind) -> bool, text: &str) {
        self.0.retain(|_, link| !receives(link.kind) || link.send(text));
    }

    /// Closes and removes the connections other than those through the relay.
    pub(crate) fn close_local(&mut self) {
        self.0.retain(|_, link| {
            // `LinkKind::Controller` is included: such a hub also drops its own connection to the relay.
            let is_local = link.kind != LinkKind::Relay;
            if is_local {
                link.close(1001, "hub drops local connections");
            }
            !is_local
        });
    }

    /// Removes and returns the connections other than those through the relay.
    pub(crate) fn take_local(&mut self) -> impl Iterator<Item = Link> {
        let is_local = |_: &Arc<str>, link: &mut Link| link.kind != LinkKind::Relay;
        self.0.extract_if(.., is_local).map(|(_, link)| link)
    }

    /// Removes all connections.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Link> {
        self.0.drain(..).map(|(_, link)| link)
    }
}
