//! Which world a request is for, and what has to be so before it is answered.

use std::sync::Arc;

use http::{Method, StatusCode};

use crate::cluster::{Home, Turn, Unreachable};
use crate::server::http::{Host, Reply};
use crate::server::{Shared, Surface};

/// The world that a host name means: `w1.localhost` the copy of number 1, everything else the listener's own. `None` when
/// there is no such copy.
pub(super) fn meant(shared: &Arc<Shared>, host: Option<&Host>) -> Option<Arc<Shared>> {
    match host.and_then(|host| world_number(&host.name())) {
        None | Some(0) => Some(Arc::clone(shared)),
        Some(number) => shared.kept.copy(number),
    }
}

/// The number in `w1.localhost`.
pub(in crate::server) fn world_number(name: &str) -> Option<u64> {
    name.strip_suffix(".localhost")?.strip_prefix('w')?.parse().ok()
}

/// Why a request is not answered here now.
pub(super) enum Apart {
    /// The hub's own ports are where it lives.
    Elsewhere,
    Unreachable,
}

impl Apart {
    pub(super) fn reply(&self) -> Reply {
        let text = match self {
            Self::Elsewhere => "The hub lives in another process of this cloud",
            Self::Unreachable => "The other processes of this cloud cannot be asked",
        };
        Reply::error(StatusCode::SERVICE_UNAVAILABLE, text)
    }
}

impl From<Unreachable> for Apart {
    fn from(error: Unreachable) -> Self {
        tracing::warn!(%error, "a request cannot be answered");
        Self::Unreachable
    }
}

/// Waits until everything is known that another process of this cloud has told anybody, and for the turn of a request that
/// changes accounts.
pub(super) async fn agree<B>(
    shared: &Shared,
    surface: &Surface,
    request: &http::Request<B>,
) -> Result<Option<Turn>, Apart> {
    let Some(backplane) = shared.world.backplane() else { return Ok(None) };
    if let Some(hub) = surface.hub()
        && backplane.home(&hub.serial).await? != Home::Here
    {
        return Err(Apart::Elsewhere);
    }
    let path = request.uri().path();
    let (is_cloud, changes) = match surface {
        Surface::Cloud { .. } => (true, request.method() == Method::PUT || path == "/autha/auth/username"),
        Surface::Control => (false, path.starts_with("/users/")),
        _ => (false, false),
    };
    let turn = if changes { Some(backplane.turn().await?) } else { None };
    if is_cloud || changes {
        backplane.caught_up().await?;
    }
    Ok(turn)
}
