//! Calls that arrive through the relay, and the faults of calls.

use crate::faults::point::INJECTED;
use std::sync::Arc;

use ezlo_protocol::rpc::{Envelope, RpcError};
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::faults::kinds::CallFault;
use crate::faults::point::InjectionContext;
use crate::wire;
use crate::wire::ReplyRoute;
use crate::world::hub_actor::HubActor;
use crate::world::outbox::Link;
use ezlo_hub_sim::json::RawJson;

/// An id that no connection has: ids of connections are UUIDs.
const NO_CONNECTION: &str = "none";

impl HubActor {
    /// Returns the fault to inject into a call, if any.
    pub(crate) fn call_fault(
        &self,
        request: &Envelope<'_>,
        listener: &str,
        connection: &str,
        user: impl FnOnce() -> String,
        can: impl Fn(&CallFault) -> bool,
    ) -> Option<CallFault> {
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
        self.env.fault_if(&facts, can)
    }

    /// Returns an outdated broadcast: the one that the most recent broadcast about the same item replaced. Recorded only while
    /// faults are active.
    pub(crate) fn stale_broadcast(&self) -> Option<Utf8Bytes> {
        self.lock().stale.clone()
    }

    /// Answers a call that arrived through the relay, by the simulated hub or its external controller.
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
            caller.send(&wire::refusal(wanted, request, method, RpcError::known(data), ReplyRoute::Relay));
        };
        let (controller, is_connected, is_silent) = {
            let state = self.lock();
            let is_connected = state.controller.is_some() || state.hub.wifi.at_relay();
            (state.controller.clone(), is_connected, state.hub.is_silent())
        };
        if !is_connected {
            return refuse("nma.ezlo.notconnected");
        }
        let is_reply_dropped = match self.call_fault(request, "cloud", &caller.conn_id, user, |_| true) {
            Some(CallFault::RpcError { code, data }) => {
                let refused = Err(RpcError::new(code, &data, INJECTED));
                caller.send(&self.reply_text(request, &refused, ReplyRoute::Relayed(&caller.conn_id)));
                return;
            }
            Some(CallFault::DropReply) => true,
            None => false,
        };
        match controller {
            // The controller runs the call, and its reply reaches no connection.
            Some(controller) if is_reply_dropped => {
                controller.send(&wire::with_sender(request.sender.is_some(), text, NO_CONNECTION));
            }
            Some(controller) => {
                if !controller.send(&wire::with_sender(request.sender.is_some(), text, &caller.conn_id)) {
                    refuse("nma.ezlo.unavailable");
                }
            }
            // The relay forwards the call to a hub without power and waits.
            None if is_silent => {}
            None => {
                let answer = |outcome: &Result<RawJson, RpcError>| {
                    if is_reply_dropped {
                        return;
                    }
                    caller.send(&self.reply_text(request, outcome, ReplyRoute::Relayed(&caller.conn_id)));
                };
                // `answer` has sent the outcome.
                let _ = self.call(request, answer);
            }
        }
    }
}
