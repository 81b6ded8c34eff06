//! Which world a request is for, and what has to be so before it is answered.

use std::sync::Arc;

use http::StatusCode;

use crate::cluster::{Home, Residence, Turn, Unreachable};
use crate::server::http::{Host, Reply, Request};
use crate::server::{Shared, Surface, route};

/// A world that a request is for.
pub(super) enum Meant {
    /// The listener's own.
    This,
    Copy(Arc<Shared>),
    /// There is no such copy.
    Nobody,
}

/// The world that a host name means: `w1.localhost` the copy of number 1, everything else the listener's own.
pub(super) fn meant(shared: &Shared, host: Option<&Host>) -> Meant {
    match host.and_then(|host| world_number(&host.name())) {
        None | Some(0) => Meant::This,
        Some(number) => shared.kept.copy(number).map_or(Meant::Nobody, Meant::Copy),
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

/// Waits until everything is known that another process of this cloud has told anybody. The hub of a port of its own has to
/// live here, and to do so until what is done to it is kept.
pub(super) async fn agree(shared: &Shared, surface: &Surface) -> Result<Residence, Apart> {
    let Some(backplane) = shared.world.backplane() else { return Ok(Residence::everywhere()) };
    match surface.hub() {
        Some(hub) => match backplane.home(&hub.serial).await? {
            Home::Here(since) => Ok(Residence::since(&hub.serial, since)),
            Home::There(_) | Home::Nowhere => Err(Apart::Elsewhere),
        },
        None => {
            if matches!(surface, Surface::Cloud { .. }) {
                backplane.caught_up().await?;
            }
            Ok(Residence::everywhere())
        }
    }
}

/// Waits for the turn of a request that changes accounts. Nobody waits for one that has not come whole.
pub(super) async fn turn(shared: &Shared, surface: &Surface, request: &Request) -> Result<Option<Turn>, Apart> {
    let Some(backplane) = shared.world.backplane() else { return Ok(None) };
    let changes = match surface {
        Surface::Cloud { .. } => route::changes_accounts(request),
        Surface::Control => request.path.starts_with("/users/"),
        _ => false,
    };
    if !changes {
        return Ok(None);
    }
    let turn = backplane.turn().await?;
    backplane.caught_up().await?;
    Ok(Some(turn))
}
