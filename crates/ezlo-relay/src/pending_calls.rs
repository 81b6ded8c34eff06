//! The calls that are under way: plain and synchronous, so that its rules are tested without a runtime.
//!
//! A call waits until a link is up, is sent, and ends exactly once: answered, out of time, or by the end of its link. Reads
//! and idempotent calls wait for the next link then; a command that was sent ends as unknown and is never sent again.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use ezlo_protocol::hub::method::Kind;
use ezlo_protocol::rpc::RpcError;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::error::{CallError, CloseReason};

/// Calls under way at once. A hub answers in milliseconds; a thousand means nobody answers.
pub(crate) const MAX_CALLS: usize = 1024;

/// The result as it came: who called knows what it is to be.
pub(crate) type CallOutcome = Result<Box<RawValue>, CallError>;

/// A call on its way in.
#[derive(Debug)]
pub(crate) struct NewCall {
    pub(crate) method: String,
    pub(crate) kind: Kind,
    pub(crate) params: Value,
    pub(crate) deadline: Instant,
    pub(crate) waiter: oneshot::Sender<CallOutcome>,
}

#[derive(Debug)]
struct Pending {
    call: NewCall,
    /// On the link that is up.
    sent: bool,
    /// On any link: it may have been done.
    was_sent: bool,
}

#[derive(Debug, Default)]
pub(crate) struct PendingCalls {
    calls: BTreeMap<u64, Pending>,
    /// Ids that wait to be sent, in order; some of them may have ended meanwhile.
    unsent: VecDeque<u64>,
    next: u64,
}

impl PendingCalls {
    /// Takes a call in; when there are too many, its caller is told.
    pub(crate) fn open(&mut self, call: NewCall) {
        if self.calls.len() >= MAX_CALLS {
            // Calls whose callers went away make room.
            self.calls.retain(|_, pending| !pending.call.waiter.is_closed());
        }
        if self.unsent.len() >= 2 * MAX_CALLS {
            // Without a link, calls that ran out of time leave their ids behind.
            self.unsent.retain(|id| self.calls.contains_key(id));
        }
        if self.calls.len() >= MAX_CALLS {
            let method = call.method.clone();
            let _ = call.waiter.send(Err(CallError::TooMany { method }));
            return;
        }
        self.next += 1;
        self.calls.insert(self.next, Pending { call, sent: false, was_sent: false });
        self.unsent.push_back(self.next);
    }

    /// The next call to send, with its id; it counts as sent from now on, whatever becomes of the sending. Calls that
    /// nobody waits for any more are not sent.
    pub(crate) fn take_unsent(&mut self) -> Option<(String, &NewCall)> {
        let id = loop {
            let id = self.unsent.pop_front()?;
            match self.calls.get(&id) {
                Some(pending) if pending.call.waiter.is_closed() => drop(self.calls.remove(&id)),
                Some(_) => break id,
                None => {}
            }
        };
        let pending = self.calls.get_mut(&id)?;
        pending.sent = true;
        pending.was_sent = true;
        Some((id.to_string(), &pending.call))
    }

    /// Gives an answer to who waits for it; false when nobody does.
    pub(crate) fn resolve(&mut self, id: &str, answer: Result<Box<RawValue>, RpcError>) -> bool {
        let known = id.parse().ok().filter(|id| self.calls.get(id).is_some_and(|pending| pending.sent));
        let Some(Pending { call, .. }) = known.and_then(|id| self.calls.remove(&id)) else { return false };
        let NewCall { method, waiter, .. } = call;
        // The caller may have gone; the slot is free either way.
        let _ = waiter.send(answer.map_err(|error| CallError::Refused { method, error }));
        true
    }

    /// When the next call runs out of time.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.calls.values().map(|pending| pending.call.deadline).min()
    }

    /// Ends the calls that ran out of time. One that was never sent did nothing.
    pub(crate) fn expire(&mut self, now: Instant) {
        for (_, Pending { call, was_sent, .. }) in self.calls.extract_if(.., |_, pending| pending.call.deadline <= now)
        {
            let NewCall { method, waiter, .. } = call;
            let _ =
                waiter.send(Err(if was_sent { CallError::TimedOut { method } } else { CallError::NotSent { method } }));
        }
    }

    /// The link is gone: reads and idempotent calls wait for the next one, commands that were sent end as unknown.
    pub(crate) fn connection_lost(&mut self, reason: &Arc<CloseReason>) {
        for (_, Pending { call, .. }) in
            self.calls.extract_if(.., |_, pending| pending.sent && pending.call.kind == Kind::Command)
        {
            let NewCall { method, waiter, .. } = call;
            let _ = waiter.send(Err(CallError::OutcomeUnknown { method, reason: Arc::clone(reason) }));
        }
        for pending in self.calls.values_mut() {
            pending.sent = false;
        }
        self.unsent = self.calls.keys().copied().collect();
    }

    /// The session is over: every call ends.
    pub(crate) fn close(&mut self, reason: &Arc<CloseReason>) {
        self.connection_lost(reason);
        while let Some((_, Pending { call, was_sent, .. })) = self.calls.pop_first() {
            let NewCall { method, kind, waiter, .. } = call;
            let reason = Arc::clone(reason);
            let may_be_done = was_sent && kind != Kind::Read;
            let end = if may_be_done {
                CallError::OutcomeUnknown { method, reason }
            } else {
                CallError::Closed { method, reason }
            };
            let _ = waiter.send(Err(end));
        }
    }

    /// Whether calls are under way.
    pub(crate) fn is_busy(&self) -> bool {
        self.calls.values().any(|pending| pending.sent)
    }

    /// Calls that wait or are under way.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.calls.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn open(ledger: &mut PendingCalls, kind: Kind, deadline: Instant) -> oneshot::Receiver<CallOutcome> {
        let (waiter, receiver) = oneshot::channel();
        ledger.open(NewCall { method: "m".into(), kind, params: Value::Null, deadline, waiter });
        receiver
    }

    fn send_all(ledger: &mut PendingCalls) -> Vec<String> {
        std::iter::from_fn(|| ledger.take_unsent().map(|(id, _)| id)).collect()
    }

    #[test]
    fn every_call_ends_once() {
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        let mut ledger = PendingCalls::default();
        let mut answered = open(&mut ledger, Kind::Read, later);
        let mut late = open(&mut ledger, Kind::Read, now);
        let ids = send_all(&mut ledger);
        let mut unsent = open(&mut ledger, Kind::Command, now);
        assert_eq!(ledger.next_deadline(), Some(now));
        assert!(ledger.resolve(&ids[0], Ok(RawValue::NULL.to_owned())));
        assert!(!ledger.resolve(&ids[0], Ok(RawValue::NULL.to_owned())), "a second answer finds nobody");
        assert!(!ledger.resolve("3", Ok(RawValue::NULL.to_owned())), "nor does one to a call that was not sent");
        assert!(!ledger.resolve("foreign", Ok(RawValue::NULL.to_owned())));
        ledger.expire(now);
        assert!(answered.try_recv().unwrap().is_ok());
        assert!(matches!(late.try_recv().unwrap(), Err(CallError::TimedOut { .. })));
        assert!(matches!(unsent.try_recv().unwrap(), Err(CallError::NotSent { .. })));
        assert_eq!((ledger.next_deadline(), ledger.len()), (None, 0));
    }

    #[test]
    fn a_lost_link_ends_sent_commands_and_keeps_the_rest() {
        let later = Instant::now() + Duration::from_secs(1);
        let reason = Arc::new(CloseReason::IdleTimeout);
        let mut ledger = PendingCalls::default();
        let mut command = open(&mut ledger, Kind::Command, later);
        let mut read = open(&mut ledger, Kind::Read, later);
        let mut idempotent = open(&mut ledger, Kind::Idempotent, later);
        assert_eq!(send_all(&mut ledger), ["1", "2", "3"]);
        let mut waiting = open(&mut ledger, Kind::Command, later);
        ledger.connection_lost(&reason);
        assert!(matches!(command.try_recv().unwrap(), Err(CallError::OutcomeUnknown { .. })));
        assert!(read.try_recv().is_err() && idempotent.try_recv().is_err() && waiting.try_recv().is_err());
        assert_eq!(send_all(&mut ledger), ["2", "3", "4"], "in their order, and the command that never left");
        ledger.close(&reason);
        assert!(matches!(read.try_recv().unwrap(), Err(CallError::Closed { .. })));
        assert!(matches!(waiting.try_recv().unwrap(), Err(CallError::OutcomeUnknown { .. })));
    }

    #[test]
    fn calls_that_end_without_a_link_leave_nothing_behind() {
        let now = Instant::now();
        let mut ledger = PendingCalls::default();
        for _ in 0..10 * MAX_CALLS {
            drop(open(&mut ledger, Kind::Read, now));
            ledger.expire(now);
        }
        assert!(ledger.unsent.len() <= 2 * MAX_CALLS && ledger.len() == 0, "{} ids", ledger.unsent.len());
        let mut kept = open(&mut ledger, Kind::Command, now + Duration::from_secs(1));
        assert_eq!(send_all(&mut ledger).len(), 1);
        assert!(kept.try_recv().is_err());
    }

    #[test]
    fn dropped_callers_leave_no_slot_taken_and_are_not_sent() {
        let later = Instant::now() + Duration::from_secs(1);
        let mut ledger = PendingCalls::default();
        for _ in 0..3 * MAX_CALLS {
            drop(open(&mut ledger, Kind::Read, later));
        }
        assert!(ledger.take_unsent().is_none());
        let kept: Vec<_> = (0..MAX_CALLS).map(|_| open(&mut ledger, Kind::Read, later)).collect();
        let mut refused = open(&mut ledger, Kind::Read, later);
        assert!(matches!(refused.try_recv().unwrap(), Err(CallError::TooMany { .. })));
        assert_eq!((kept.len(), ledger.len()), (MAX_CALLS, MAX_CALLS));
        drop(kept);
        let mut taken = open(&mut ledger, Kind::Read, later);
        assert!(taken.try_recv().is_err(), "those who went away make room");
        assert_eq!((ledger.len(), ledger.is_busy()), (1, false));
        send_all(&mut ledger);
        assert!(ledger.is_busy());
    }
}
