//! Selects the world of a request and waits for the conditions of a consistent reply in a cluster.

use crate::server::http::message::{WORLD_HEADER, world_number};
use std::sync::Arc;

use http::{HeaderMap, StatusCode};

use crate::server::http::message::{Host, Reply, Request};
use crate::server::shared::{ListenerKind, Shared};
use crate::server::vendor::routes;
use crate::world::backplane::{AccountLock, Home, LeaseGuard, Unreachable};

/// The world that a request selects.
pub(crate) enum RoutedWorld {
    /// The world of the listener.
    This,
    /// A fork.
    Fork(Arc<Shared>),
    /// No fork has the number in the host name.
    Unknown,
}

/// Selects a world by the header `mock-cloud-world`, or by host name: `w1.localhost` is fork 1, any other name is the world of the
/// listener.
pub(crate) fn route_world(shared: &Shared, host: Option<&Host>, headers: &HeaderMap) -> RoutedWorld {
    let number = match headers.get(WORLD_HEADER).map(|value| value.to_str().unwrap_or_default().parse()) {
        Some(Ok(number)) => Some(number),
        Some(Err(_)) => return RoutedWorld::Unknown,
        None => host.and_then(|host| world_number(&host.name())),
    };
    match number {
        None | Some(0) => RoutedWorld::This,
        Some(number) => shared.forks.fork(number).map_or(RoutedWorld::Unknown, RoutedWorld::Fork),
    }
}

/// The reason that this process cannot answer a request now.
pub(crate) enum Unavailable {
    /// Another process has the hub and its ports.
    Elsewhere,
    /// The cluster cannot be reached.
    Unreachable,
}

impl Unavailable {
    /// Returns the refusal, status 503.
    pub(crate) fn reply(&self) -> Reply {
        let text = match self {
            Self::Elsewhere => "The hub is in another process of this cloud",
            Self::Unreachable => "The other processes of this cloud cannot be reached",
        };
        Reply::error(StatusCode::SERVICE_UNAVAILABLE, text)
    }
}

impl From<Unreachable> for Unavailable {
    fn from(error: Unreachable) -> Self {
        tracing::warn!(%error, "request refused: cluster unreachable");
        Self::Unreachable
    }
}

/// Waits until this process has applied all changes that other processes acknowledged.
///
/// On a hub's own port, the hub must be in this process. The returned guard detects a move before the changes are durable.
pub(crate) async fn ensure_local(shared: &Shared, surface: &ListenerKind) -> Result<LeaseGuard, Unavailable> {
    let Some(backplane) = shared.world.backplane() else { return Ok(LeaseGuard::everywhere()) };
    match surface.hub() {
        Some(hub) => match backplane.home(&hub.serial).await? {
            Home::Here(since) => Ok(LeaseGuard::since(&hub.serial, since)),
            Home::There(_) | Home::Nowhere => Err(Unavailable::Elsewhere),
        },
        None => {
            if matches!(surface, ListenerKind::Cloud { .. }) {
                backplane.wait_synced().await?;
            }
            Ok(LeaseGuard::everywhere())
        }
    }
}

/// Acquires the cluster-wide account lock for a request that changes accounts. The caller has read the whole request, so a
/// slow client does not hold the lock.
pub(crate) async fn acquire_account_lock(
    shared: &Shared,
    surface: &ListenerKind,
    request: &Request,
) -> Result<Option<AccountLock>, Unavailable> {
    let Some(backplane) = shared.world.backplane() else { return Ok(None) };
    let changes = match surface {
        ListenerKind::Cloud { .. } => routes::changes_accounts(request),
        ListenerKind::Control => request.path.starts_with("/users/"),
        _ => false,
    };
    if !changes {
        return Ok(None);
    }
    let lock = backplane.lock_accounts().await?;
    backplane.wait_synced().await?;
    Ok(Some(lock))
}
