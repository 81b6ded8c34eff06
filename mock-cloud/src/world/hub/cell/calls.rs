//! Calls that come through the relay, and what goes wrong with calls.

use std::sync::Arc;

use ezlo_protocol::rpc::{Envelope, RpcError};
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::HubCell;
use crate::faults::{Facts, FaultKind, Place};
use crate::frame::{self, Way};
use crate::json_text::JsonText;
use crate::world::World;
use crate::world::link::Link;

/// What an error says that somebody wished for.
pub(crate) const WISHED: &str = "as wished";

impl HubCell {
    /// What goes wrong with a call that came that way, if anything.
    pub(crate) fn call_fault(
        &self,
        world: &World,
        request: &Envelope<'_>,
        listener: &str,
        (connection, user): (&str, Option<u64>),
        can: impl Fn(&FaultKind) -> bool,
    ) -> Option<FaultKind> {
        if !world.faults.are_there() {
            return None;
        }
        let method = request.method.as_deref().unwrap_or_default();
        let params = request.params.and_then(|raw| serde_json::from_str(raw.get()).ok());
        let user = user.map(|user| world.user_name(user)).unwrap_or_default();
        let hub = self.serial.as_str();
        let facts =
            Facts { method, hub, listener, connection, user: &user, params: params.as_ref(), ..Facts::default() };
        world.fault_that(Place::Call, &facts, can)
    }

    /// A broadcast that was true once: the one before the last about the item that was told of last. Kept while there are
    /// faults.
    pub(crate) fn stale_broadcast(&self) -> Option<Utf8Bytes> {
        self.lock().stale.clone()
    }

    /// The process that speaks for this hub.
    pub(crate) fn controller(&self) -> Option<Link> {
        self.lock().controller.clone()
    }

    /// Passes a call on to the process that speaks for its hub.
    pub(crate) fn pass_to(controller: &Link, world: &World, caller: &Link, text: &str) {
        if !controller.send(&frame::with_sender(false, text, &caller.conn_id)) {
            let request = Envelope::parse(text).unwrap_or_default();
            let (method, error) =
                (request.method.as_deref().unwrap_or_default(), RpcError::known("nma.ezlo.unavailable"));
            caller.send(&frame::refusal(world.guesses.only_proven, &request, method, error, Way::Relay));
        }
    }

    /// Answers a call that came through the relay, by the simulated hub or the process that speaks for it.
    pub(crate) fn relayed_call(
        self: &Arc<Self>,
        world: &Arc<World>,
        request: &Envelope<'_>,
        text: &str,
        (caller, user): (&Link, u64),
    ) {
        let method = request.method.as_deref().unwrap_or_default();
        let refuse = |data| {
            let wanted = world.guesses.only_proven;
            caller.send(&frame::refusal(wanted, request, method, RpcError::known(data), Way::Relay));
        };
        let (controller, is_there) = {
            let state = self.lock();
            (state.controller.clone(), state.controller.is_some() || state.hub.wifi.at_relay())
        };
        if !is_there {
            return refuse("nma.ezlo.notconnected");
        }
        let fault = self.call_fault(world, request, "cloud", (&caller.conn_id, Some(user)), |_| true);
        if let Some(FaultKind::RpcError { code, data }) = &fault {
            let refused = Err(RpcError::new(*code, data, WISHED));
            caller.send(&self.reply_text(world, request, &refused, Way::Relayed(&caller.conn_id)));
            return;
        }
        match controller {
            // It is done, and what comes of it finds nobody.
            Some(controller) if fault == Some(FaultKind::NoAnswer) => {
                controller.send(&frame::with_sender(request.sender.is_some(), text, "nobody"));
            }
            Some(controller) => {
                if !controller.send(&frame::with_sender(request.sender.is_some(), text, &caller.conn_id)) {
                    refuse("nma.ezlo.unavailable");
                }
            }
            None => {
                let answer = |outcome: &Result<JsonText, RpcError>| {
                    if fault == Some(FaultKind::NoAnswer) {
                        return;
                    }
                    caller.send(&self.reply_text(world, request, outcome, Way::Relayed(&caller.conn_id)));
                };
                // The outcome has gone out already.
                let _ = self.call(world, request, answer);
            }
        }
    }
}
