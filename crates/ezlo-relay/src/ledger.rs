//! The calls that are under way: plain and synchronous, so that its rules are tested without a runtime.

use std::collections::HashMap;
use std::sync::Arc;

use ezlo_protocol::hub::method::Kind;
use ezlo_protocol::rpc::RpcError;
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::error::{CallError, CloseReason};

/// Calls under way at once. A hub answers in milliseconds; a thousand means nobody answers.
pub(crate) const MAX_CALLS: usize = 1024;

pub(crate) type Outcome = Result<Value, CallError>;

#[derive(Debug)]
struct Pending {
    method: String,
    kind: Kind,
    deadline: Instant,
    waiter: oneshot::Sender<Outcome>,
}

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    calls: HashMap<String, Pending>,
    next: u64,
}

/// A call on its way in.
#[derive(Debug)]
pub(crate) struct NewCall {
    pub(crate) method: String,
    pub(crate) kind: Kind,
    pub(crate) deadline: Instant,
    pub(crate) waiter: oneshot::Sender<Outcome>,
}

impl Ledger {
    /// Takes a call in and gives it its id; `None` when there are too many, then the caller has been told.
    pub(crate) fn open(&mut self, call: NewCall) -> Option<String> {
        // Calls whose callers went away make room.
        self.calls.retain(|_, pending| !pending.waiter.is_closed());
        let NewCall { method, kind, deadline, waiter } = call;
        if self.calls.len() >= MAX_CALLS {
            let _ = waiter.send(Err(CallError::TooMany { method }));
            return None;
        }
        self.next += 1;
        let id = self.next.to_string();
        self.calls.insert(id.clone(), Pending { method, kind, deadline, waiter });
        Some(id)
    }

    /// Gives an answer to who waits for it; false when nobody does.
    pub(crate) fn answer(&mut self, id: &str, answer: Result<Value, RpcError>) -> bool {
        let Some(Pending { method, waiter, .. }) = self.calls.remove(id) else { return false };
        // The caller may have gone; the slot is free either way.
        let _ = waiter.send(answer.map_err(|error| CallError::Refused { method, error }));
        true
    }

    /// When the next call runs out of time.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.calls.values().map(|pending| pending.deadline).min()
    }

    /// Ends the calls that ran out of time.
    pub(crate) fn expire(&mut self, now: Instant) {
        for (_, pending) in self.calls.extract_if(|_, pending| pending.deadline <= now) {
            let _ = pending.waiter.send(Err(CallError::TimedOut { method: pending.method }));
        }
    }

    /// Ends every call: the connection is gone. What a command did is not known; reads did nothing.
    pub(crate) fn close(&mut self, reason: &Arc<CloseReason>) {
        for (_, Pending { method, kind, waiter, .. }) in self.calls.drain() {
            let reason = Arc::clone(reason);
            let _ = waiter.send(Err(match kind {
                Kind::Command => CallError::OutcomeUnknown { method, reason },
                Kind::Read | Kind::Idempotent => CallError::Closed { method, reason },
            }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn open(ledger: &mut Ledger, kind: Kind, deadline: Instant) -> (Option<String>, oneshot::Receiver<Outcome>) {
        let (waiter, receiver) = oneshot::channel();
        (ledger.open(NewCall { method: "m".into(), kind, deadline, waiter }), receiver)
    }

    #[test]
    fn every_call_ends_once_and_a_lost_command_is_said_to_be_unknown() {
        let now = Instant::now();
        let mut ledger = Ledger::default();
        let (first, mut answered) = open(&mut ledger, Kind::Read, now + Duration::from_secs(1));
        let (_, mut late) = open(&mut ledger, Kind::Read, now);
        let (_, mut command) = open(&mut ledger, Kind::Command, now + Duration::from_secs(1));
        let (_, mut read) = open(&mut ledger, Kind::Read, now + Duration::from_secs(1));
        assert!(ledger.answer(&first.clone().unwrap(), Ok(Value::Null)));
        assert!(!ledger.answer(&first.unwrap(), Ok(Value::Null)), "a second answer finds nobody");
        assert!(!ledger.answer("foreign", Ok(Value::Null)));
        ledger.expire(now);
        ledger.close(&Arc::new(CloseReason::Silent));
        assert!(answered.try_recv().unwrap().is_ok());
        assert!(matches!(late.try_recv().unwrap(), Err(CallError::TimedOut { .. })));
        assert!(matches!(command.try_recv().unwrap(), Err(CallError::OutcomeUnknown { .. })));
        assert!(matches!(read.try_recv().unwrap(), Err(CallError::Closed { .. })));
        assert_eq!(ledger.next_deadline(), None);
    }

    #[test]
    fn dropped_callers_leave_no_slot_taken() {
        let now = Instant::now();
        let mut ledger = Ledger::default();
        for _ in 0..3 * MAX_CALLS {
            drop(open(&mut ledger, Kind::Read, now));
        }
        let kept: Vec<_> = (0..MAX_CALLS).map(|_| open(&mut ledger, Kind::Read, now)).collect();
        assert!(kept.iter().all(|(id, _)| id.is_some()));
        let (id, mut refused) = open(&mut ledger, Kind::Read, now);
        assert_eq!(id, None);
        assert!(matches!(refused.try_recv().unwrap(), Err(CallError::TooMany { .. })));
    }
}
