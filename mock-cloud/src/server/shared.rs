//! State that the connections of a cloud share: the world, its forks and the kinds of listeners.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::HeaderValue;
use rustls::ServerConfig;

use crate::core::ready_line::Ready;
use crate::evidence::entry::Entry;
use crate::faults::http_raw::RawWriteControl;
use crate::server::context::CloudContext;
use crate::server::ws::connection;
use crate::world::World;
use crate::world::hub_actor::HubActor;
use crate::world::snapshot::Snapshot;
use crate::world::state_document;

/// The state of a cloud that every connection uses.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) world: Arc<World>,
    /// The ready line, which the control API returns. Empty until all listeners are bound.
    pub(crate) ready: std::sync::OnceLock<Ready>,
    /// The inputs that the world was created from.
    pub(crate) origin: Arc<CloudContext>,
    /// Forks and snapshots that the control API created.
    pub(crate) forks: Forks,
    pub(crate) services: Services,
}

impl Shared {
    pub(crate) fn new(world: Arc<World>, origin: Arc<CloudContext>, services: Services) -> Self {
        Self { world, ready: std::sync::OnceLock::new(), origin, forks: Forks::default(), services }
    }

    /// Returns whether other processes may listen on the same port. Every process of a cluster serves the vendor's hosts.
    pub(crate) fn is_port_shared(&self, surface: &ListenerKind) -> bool {
        self.origin.config.cluster.is_some() && matches!(surface, ListenerKind::Cloud { .. })
    }

    /// Writes the whole state as one document.
    pub(crate) fn export(&self) -> String {
        state_document::write(&self.world.persisted_state(self.origin.about(), self.origin.authority.to_persisted()))
    }

    /// Restores the initial state of the world. The time continues.
    pub(crate) fn reset(&self) {
        let world_config = self.origin.world_config(self.world.clock.clone());
        self.world.restore(&Snapshot::beginning(&world_config));
    }

    /// Returns the world's time as a value of the header `Date`.
    pub(crate) fn date(&self) -> Option<HeaderValue> {
        thread_local! {
            /// The last second and its text. Most responses fall into the second of the previous one.
            static DATE: RefCell<(i64, Option<HeaderValue>)> = const { RefCell::new((0, None)) };
        }
        let second = self.world.clock.unix_seconds();
        DATE.with_borrow_mut(|date| {
            if date.0 != second || date.1.is_none() {
                let text = jiff::Timestamp::from_second(second).ok()?.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
                *date = (second, HeaderValue::from_str(&text).ok());
            }
            date.1.clone()
        })
    }
}

/// Functions of higher layers that the control API calls.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Services {
    /// Starts a fork of the world with listeners of its own.
    pub(crate) fork: fn(&Shared) -> Forking,
    /// Lists the evidence of every simulated answer.
    pub(crate) ledger: fn() -> Vec<Entry>,
}

/// A fork of a world that is getting its listeners.
pub(crate) type Forking = Pin<Box<dyn Future<Output = Result<Box<dyn Fork>, String>> + Send>>;

/// A fork of a world. Dropping it stops it.
pub(crate) trait Fork: Send + Sync + std::fmt::Debug {
    fn shared(&self) -> &Arc<Shared>;
    fn ready(&self) -> &Ready;
}

/// Forks and snapshots of a world.
#[derive(Debug, Default)]
pub(crate) struct Forks(Mutex<ForkTable>);

#[derive(Debug, Default)]
pub(crate) struct ForkTable {
    /// Number of forks that were ever created.
    pub(crate) created: u64,
    pub(crate) forks: BTreeMap<u64, Box<dyn Fork>>,
    pub(crate) snapshots: BTreeMap<String, Arc<Snapshot>>,
}

impl Forks {
    /// Returns the fork with the given number.
    pub(crate) fn fork(&self, id: u64) -> Option<Arc<Shared>> {
        self.lock().forks.get(&id).map(|fork| Arc::clone(fork.shared()))
    }

    /// Locks the table of forks and snapshots.
    pub(crate) fn lock(&self) -> MutexGuard<'_, ForkTable> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The purpose of a listener.
#[derive(Debug, Clone)]
pub(crate) enum ListenerKind {
    /// All vendor host names, with or without TLS.
    Cloud { tls: Option<Arc<ServerConfig>> },
    /// The control API.
    Control,
    /// The Wi-Fi API of a hub's access point.
    AccessPoint(Arc<HubActor>),
    /// The root URL of a hub's access point.
    AccessPointRoot(Arc<HubActor>),
    /// The local port of a hub.
    Lan { hub: Arc<HubActor> },
}

impl ListenerKind {
    /// Returns the listener's name in the match conditions of faults.
    pub(crate) const fn listener(&self) -> &'static str {
        match self {
            Self::Cloud { .. } => "cloud",
            Self::Control => "control",
            Self::AccessPoint(_) | Self::AccessPointRoot(_) => "access-point",
            Self::Lan { .. } => "lan",
        }
    }

    /// Returns the hub that the listener belongs to.
    pub(crate) const fn hub(&self) -> Option<&Arc<HubActor>> {
        match self {
            Self::AccessPoint(hub) | Self::AccessPointRoot(hub) | Self::Lan { hub, .. } => Some(hub),
            Self::Cloud { .. } | Self::Control => None,
        }
    }

    /// Returns whether faults act on this listener. The control API is exempt so that clients can always remove faults.
    pub(crate) const fn has_faults(&self) -> bool {
        !matches!(self, Self::Control)
    }
}

/// The WebSocket of an accepted upgrade request. The connection takes it after the response was written.
pub(crate) type UpgradeSlot = Arc<Mutex<Option<connection::Accepted>>>;

/// Data that request handlers pass to their connection.
#[derive(Clone, Default)]
pub(crate) struct ConnectionSlot {
    pub(crate) upgrade: UpgradeSlot,
    /// Control of faults that change the written bytes.
    pub(crate) tamper: Arc<RawWriteControl>,
}
