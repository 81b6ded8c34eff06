//! Which world a request is for, and what has to be so before it is answered.

use std::sync::Arc;

use http::StatusCode;

use crate::cluster::{AccountLock, Home, LeaseGuard, Unreachable};
use crate::server::http::{Host, Reply, Request};
use crate::server::vendor::routes;
use crate::server::{ListenerKind, Shared};

/// A world that a request is for.
pub(crate) enum RoutedWorld {
    /// The listener's own.
    This,
    Copy(Arc<Shared>),
    /// There is no such copy.
    Nobody,
}

/// The world that a host name means: `w1.localhost` the copy of number 1, everything else the listener's own.
pub(crate) fn route_world(shared: &Shared, host: Option<&Host>) -> RoutedWorld {
    match host.and_then(|host| world_number(&host.name())) {
        None | Some(0) => RoutedWorld::This,
        Some(number) => shared.kept.copy(number).map_or(RoutedWorld::Nobody, RoutedWorld::Copy),
    }
}

/// The number in `w1.localhost`.
pub(crate) fn world_number(name: &str) -> Option<u64> {
    name.strip_suffix(".localhost")?.strip_prefix('w')?.parse().ok()
}

/// Why a request is not answered here now.
pub(crate) enum Unavailable {
    /// The hub's own ports are where it lives.
    Elsewhere,
    Unreachable,
}

impl Unavailable {
    pub(crate) fn reply(&self) -> Reply {
        let text = match self {
            Self::Elsewhere => "The hub lives in another process of this cloud",
            Self::Unreachable => "The other processes of this cloud cannot be asked",
        };
        Reply::error(StatusCode::SERVICE_UNAVAILABLE, text)
    }
}

impl From<Unreachable> for Unavailable {
    fn from(error: Unreachable) -> Self {
        tracing::warn!(%error, "a request cannot be answered");
        Self::Unreachable
    }
}

/// Waits until everything is known that another process of this cloud has told anybody. The hub of a port of its own has to
/// live here, and to do so until what is done to it is kept.
pub(crate) async fn ensure_local(shared: &Shared, surface: &ListenerKind) -> Result<LeaseGuard, Unavailable> {
    let Some(backplane) = shared.world.backplane() else { return Ok(LeaseGuard::everywhere()) };
    match surface.hub() {
        Some(hub) => match backplane.home(&hub.serial).await? {
            Home::Here(since) => Ok(LeaseGuard::since(&hub.serial, since)),
            Home::There(_) | Home::Nowhere => Err(Unavailable::Elsewhere),
        },
        None => {
            if matches!(surface, ListenerKind::Cloud { .. }) {
                backplane.caught_up().await?;
            }
            Ok(LeaseGuard::everywhere())
        }
    }
}

/// Waits for the turn of a request that changes accounts. Nobody waits for one that has not come whole.
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
    let lock = backplane.turn().await?;
    backplane.caught_up().await?;
    Ok(Some(lock))
}
