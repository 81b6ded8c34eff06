//! Calls that come through the relay, and what goes wrong with calls.

use std::sync::Arc;

use ezlo_protocol::rpc::{Envelope, RpcError};
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::faults::kinds::FaultKind;
use crate::faults::point::{InjectionContext, InjectionPoint};
use crate::wire::frame_writer;
use crate::wire::frame_writer::ReplyRoute;
use crate::world::hub_actor::HubActor;
use crate::world::outbox::Link;
use ezlo_hub_sim::json::RawJson;

/// What an error says that somebody wished for.
pub(crate) const INJECTED: &str = "as wished";

impl HubActor {
    /// What goes wrong with a call that came that way, if anything.
    pub(crate) fn call_fault(
        &self,
        request: &Envelope<'_>,
        listener: &str,
        connection: &str,
        user: impl FnOnce() -> String,
        can: impl Fn(&FaultKind) -> bool,
    ) -> Option<FaultKind> {
        if !self.env.faults.any_active() {
            return None;
        }
        let method = request.method.as_deref().unwrap_or_default();
        let params = request.params.and_then(|raw| serde_json::from_str(raw.get()).ok());
        let user = user();
        let hub = self.serial.as_str();
        let facts = InjectionContext {
            method,
            hub,
            listener,
            connection,
            user: &user,
            params: params.as_ref(),
            ..InjectionContext::default()
        };
        self.env.fault_if(InjectionPoint::Call, &facts, can)
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
    pub(crate) fn forward_to_controller(&self, controller: &Link, caller: &Link, text: &str) {
        if !controller.send(&frame_writer::with_sender(false, text, &caller.conn_id)) {
            let request = Envelope::parse(text).unwrap_or_default();
            let (method, error) =
                (request.method.as_deref().unwrap_or_default(), RpcError::known("nma.ezlo.unavailable"));
            caller.send(&frame_writer::refusal(
                self.env.assumptions.min_evidence,
                &request,
                method,
                error,
                ReplyRoute::Relay,
            ));
        }
    }

    /// Answers a call that came through the relay, by the simulated hub or the process that speaks for it.
    pub(crate) fn relayed_call(
        self: &Arc<Self>,
        request: &Envelope<'_>,
        text: &str,
        caller: &Link,
        user: impl FnOnce() -> String,
    ) {
        let method = request.method.as_deref().unwrap_or_default();
        let refuse = |data| {
            let wanted = self.env.assumptions.min_evidence;
            caller.send(&frame_writer::refusal(wanted, request, method, RpcError::known(data), ReplyRoute::Relay));
        };
        let (controller, is_there) = {
            let state = self.lock();
            (state.controller.clone(), state.controller.is_some() || state.hub.wifi.at_relay())
        };
        if !is_there {
            return refuse("nma.ezlo.notconnected");
        }
        let fault = self.call_fault(request, "cloud", &caller.conn_id, user, |_| true);
        if let Some(FaultKind::RpcError { code, data }) = &fault {
            let refused = Err(RpcError::new(*code, data, INJECTED));
            caller.send(&self.reply_text(request, &refused, ReplyRoute::Relayed(&caller.conn_id)));
            return;
        }
        match controller {
            // It is done, and what comes of it finds nobody.
            Some(controller) if fault == Some(FaultKind::DropReply) => {
                controller.send(&frame_writer::with_sender(request.sender.is_some(), text, "nobody"));
            }
            Some(controller) => {
                if !controller.send(&frame_writer::with_sender(request.sender.is_some(), text, &caller.conn_id)) {
                    refuse("nma.ezlo.unavailable");
                }
            }
            None => {
                let answer = |outcome: &Result<RawJson, RpcError>| {
                    if fault == Some(FaultKind::DropReply) {
                        return;
                    }
                    caller.send(&self.reply_text(request, outcome, ReplyRoute::Relayed(&caller.conn_id)));
                };
                // The outcome has gone out already.
                let _ = self.call(request, answer);
            }
        }
    }
}
