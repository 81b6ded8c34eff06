//! Control calls to a hub. In a cluster they are forwarded to the process that has the hub.

use std::sync::Arc;

use ezlo_protocol::serial::Serial;
use http::StatusCode;
#[cfg(feature = "cluster")]
use http_body_util::BodyExt as _;

#[cfg(feature = "cluster")]
use crate::server::control::calls::CALLS;
#[cfg(feature = "cluster")]
use crate::server::control::request::Action;
use crate::server::control::request::{Call, refusal};
use crate::server::http::message::{Reply, Request};
use crate::server::shared::Shared;
use crate::world::World;
#[cfg(feature = "cluster")]
use crate::world::backplane::Done;
use crate::world::backplane::{Home, LeaseGuard, RemoteCall};
use crate::world::hub_handle::HubHandle;

/// Runs a call at the hub with this serial, in this process or in the one that has the hub.
pub(crate) async fn call_hub(
    shared: &Shared,
    serial: &str,
    call: &Call,
    act: impl FnOnce(&HubHandle) -> Reply,
    request: &Request,
) -> Reply {
    let Ok(serial) = serial.parse::<Serial>() else { return no_such_hub(serial) };
    if let Some(backplane) = shared.world.backplane() {
        let unavailable = |error: &dyn std::fmt::Display| refusal(StatusCode::SERVICE_UNAVAILABLE, &error.to_string());
        match backplane.home(&serial).await {
            Ok(Home::Nowhere) => return no_such_hub(serial.as_str()),
            Ok(Home::Here(since)) => {
                let lease = LeaseGuard::since(&serial, since);
                let reply = at_hub(&shared.world, &serial, act);
                return if shared.world.flush().await && lease.is_still(shared.world.backplane()) {
                    reply
                } else {
                    unavailable(&MOVED)
                };
            }
            Ok(Home::There(node)) => {
                let Ok(body) = String::from_utf8(request.body.to_vec()) else {
                    return refusal(StatusCode::BAD_REQUEST, &format!("the body is not UTF-8; send {}", call.body));
                };
                let remote = RemoteCall { serial, method: call.method.to_string(), path: call.path.to_owned(), body };
                return match backplane.call_remote(node, remote).await {
                    Ok(done) => {
                        let status = StatusCode::from_u16(done.status).unwrap_or(StatusCode::BAD_GATEWAY);
                        Reply::new(status, "application/json", done.body)
                    }
                    Err(error) => unavailable(&error),
                };
            }
            Err(error) => return unavailable(&error),
        }
    }
    at_hub(&shared.world, &serial, act)
}

/// Refusal of a call whose hub moved to another process before the change was durable.
pub(crate) const MOVED: &str = "the hub moved to another process, and the change was not persisted; retry the call";

/// Runs `act` with the hub of this serial.
pub(crate) fn at_hub(world: &Arc<World>, serial: &Serial, act: impl FnOnce(&HubHandle) -> Reply) -> Reply {
    match world.hub(serial) {
        Some(cell) => act(&HubHandle { cell }),
        None => no_such_hub(serial.as_str()),
    }
}

fn no_such_hub(serial: &str) -> Reply {
    refusal(StatusCode::NOT_FOUND, &format!("no hub has the serial {serial:?}; GET /hubs lists the hubs"))
}

/// Runs a call that another process of the cluster received. The change is durable when this returns.
#[cfg(feature = "cluster")]
pub(crate) async fn run(world: &Arc<World>, remote: &RemoteCall, lease: &LeaseGuard) -> Done {
    let call = CALLS.iter().find(|call| call.path == remote.path && call.method.as_str() == remote.method);
    let reply = match call.map(|call| (&call.act, call.body)) {
        Some((Action::Hub(act), example)) => {
            at_hub(world, &remote.serial, |hub| act(hub, remote.body.as_bytes(), example))
        }
        // The other process has another version.
        _ => refusal(
            StatusCode::NOT_IMPLEMENTED,
            "the process that has the hub does not support this call; run one version in all processes",
        ),
    };
    if !(world.flush().await && lease.is_still(world.backplane())) {
        return Done::unavailable(&MOVED);
    }
    let status = reply.status.as_u16();
    let body = match reply.body.collect().await {
        Ok(body) => String::from_utf8_lossy(&body.to_bytes()).into_owned(),
        Err(never) => match never {},
    };
    Done { status, body }
}

/// Boxes [`run`] for the cluster, which is a layer below.
#[cfg(feature = "cluster")]
pub(crate) fn handler<'a>(
    world: &'a Arc<World>,
    call: &'a RemoteCall,
    lease: &'a LeaseGuard,
) -> crate::world::backplane::Waiting<'a, Done> {
    Box::pin(run(world, call, lease))
}
