//! The limit of the size of a persisted hub in a cluster. A call that would exceed it is refused and changes nothing.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use ezlo_protocol::rpc::RpcError;

use crate::world::hub_actor::{HubActor, State};
use ezlo_hub_sim::json::RawJson;
use ezlo_hub_sim::{Context, Effects, Hub};

/// Part of the limit in bytes of parameters after which the size is checked again.
const CHECKED_PART: usize = 8;
/// Maximum bytes of a small persisted hub besides its state: address, counters and timers.
const OTHER_BYTES: usize = 64 * 1024;

impl HubActor {
    /// Returns the state before a call whose result must be checked. Small calls of small hubs are not checked.
    pub(super) fn before_large_change(&self, state: &mut State, params: Option<&str>) -> Option<Arc<Hub>> {
        let limit = self.env.row_limit.get()?;
        state.unchecked_bytes = state.unchecked_bytes.saturating_add(params.map_or(0, str::len));
        let is_large = self.is_large.load(Ordering::Relaxed);
        if !is_large && state.unchecked_bytes < limit.max_bytes / CHECKED_PART {
            return None;
        }
        state.unchecked_bytes = 0;
        Some(Arc::clone(&state.hub))
    }

    /// Runs a call, and undoes it if the persisted hub would be too large.
    pub(super) fn call_within_limit(
        &self,
        hub: &mut Hub,
        before: Arc<Hub>,
        context: &mut Context<'_>,
        call: impl FnOnce(&mut Hub, &mut Context<'_>) -> Result<RawJson, RpcError>,
    ) -> Result<RawJson, RpcError> {
        let outcome = call(hub, context)?;
        let Some(limit) = self.env.row_limit.get() else { return Ok(outcome) };
        let row = ezlo_protocol::wire::to_bytes(hub);
        self.is_large.store(row.len() > limit.max_bytes / 2, Ordering::Relaxed);
        // Long rows are compressed, so only their real length counts.
        if row.len() < limit.max_bytes.saturating_sub(OTHER_BYTES) || (limit.fits)(&row) {
            return Ok(outcome);
        }
        *hub = Arc::unwrap_or_clone(before);
        context.effects = Effects::default();
        let reason = format!("the hub would exceed {} bytes, the maximum payload of the NATS server", limit.max_bytes);
        Err(RpcError { reason: reason.into(), ..RpcError::known("rpc.params.invalid") })
    }
}
