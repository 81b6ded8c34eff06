//! The pending calls of a session, as synchronous code that is tested without a runtime.
//!
//! Each call ends exactly once: by its reply, at its deadline, or because of a lost connection or a closed session. After a
//! lost connection, sent commands end with an unknown outcome; all other calls wait for the next connection.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use ezlo_protocol::hub::method::Kind;
use ezlo_protocol::rpc::RpcError;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::error::{CallError, CloseReason};

/// Maximum number of pending calls. A hub replies within milliseconds, so a thousand calls means that it does not reply.
pub(crate) const MAX_CALLS: usize = 1024;

/// The undecoded result of a reply, or the error of the call. The caller decodes the result.
pub(crate) type CallOutcome = Result<Box<RawValue>, CallError>;

/// A call from the handle.
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
    /// It was sent on the current connection.
    sent: bool,
    /// It was sent on any connection, so it may have been executed.
    was_sent: bool,
}

#[derive(Debug, Default)]
pub(crate) struct PendingCalls {
    calls: BTreeMap<u64, Pending>,
    /// Ids of calls to send, in order. Some of these calls may have ended already.
    unsent: VecDeque<u64>,
    next: u64,
}

impl PendingCalls {
    /// Adds a call. If too many calls are pending, it ends with [`CallError::TooMany`].
    pub(crate) fn open(&mut self, call: NewCall) {
        if self.calls.len() >= MAX_CALLS {
            // Dropped calls free their slots.
            self.calls.retain(|_, pending| !pending.call.waiter.is_closed());
        }
        if self.unsent.len() >= 2 * MAX_CALLS {
            // Without a connection, the ids of expired calls accumulate.
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

    /// Returns the next call to send and its id, and marks it as sent, even if the write fails later. Dropped calls are
    /// skipped.
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

    /// Completes the call with this id. Returns false if no such call was sent on the current connection.
    pub(crate) fn resolve(&mut self, id: &str, answer: Result<Box<RawValue>, RpcError>) -> bool {
        let known = id.parse().ok().filter(|id| self.calls.get(id).is_some_and(|pending| pending.sent));
        let Some(Pending { call, .. }) = known.and_then(|id| self.calls.remove(&id)) else { return false };
        let NewCall { method, waiter, .. } = call;
        // Fails if the call was dropped; its slot is free either way.
        let _ = waiter.send(answer.map_err(|error| CallError::Refused { method, error }));
        true
    }

    /// Returns the earliest deadline.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.calls.values().map(|pending| pending.call.deadline).min()
    }

    /// Ends the calls whose deadline has passed, with [`CallError::TimedOut`] if sent, else with [`CallError::NotSent`].
    pub(crate) fn expire(&mut self, now: Instant) {
        for Pending { call, was_sent, .. } in self.remove_if(|pending| pending.call.deadline <= now) {
            let NewCall { method, waiter, .. } = call;
            let _ =
                waiter.send(Err(if was_sent { CallError::TimedOut { method } } else { CallError::NotSent { method } }));
        }
    }

    /// Ends sent commands with [`CallError::OutcomeUnknown`] and queues all other calls for the next connection.
    pub(crate) fn connection_lost(&mut self, reason: &Arc<CloseReason>) {
        for Pending { call, .. } in self.remove_if(|pending| pending.sent && pending.call.kind == Kind::Command) {
            let NewCall { method, waiter, .. } = call;
            let _ = waiter.send(Err(CallError::OutcomeUnknown { method, reason: Arc::clone(reason) }));
        }
        for pending in self.calls.values_mut() {
            pending.sent = false;
        }
        self.unsent = self.calls.keys().copied().collect();
    }

    /// Removes the calls that match, in the order of their ids.
    fn remove_if(&mut self, matches: impl Fn(&Pending) -> bool) -> Vec<Pending> {
        let ids: Vec<u64> = self.calls.iter().filter(|(_, pending)| matches(pending)).map(|(id, _)| *id).collect();
        ids.iter().filter_map(|id| self.calls.remove(id)).collect()
    }

    /// Ends every call: with [`CallError::OutcomeUnknown`] if it may have been executed and changes something, else with
    /// [`CallError::Closed`].
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

    /// Returns true if a call was sent on the current connection and has no reply yet.
    pub(crate) fn is_busy(&self) -> bool {
        self.calls.values().any(|pending| pending.sent)
    }

    /// Returns the number of pending calls.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.calls.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn open(pending: &mut PendingCalls, kind: Kind, deadline: Instant) -> oneshot::Receiver<CallOutcome> {
        let (waiter, receiver) = oneshot::channel();
        pending.open(NewCall { method: "m".into(), kind, params: Value::Null, deadline, waiter });
        receiver
    }

    fn send_all(pending: &mut PendingCalls) -> Vec<String> {
        std::iter::from_fn(|| pending.take_unsent().map(|(id, _)| id)).collect()
    }

    #[test]
    fn every_call_completes_exactly_once() {
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        let mut pending = PendingCalls::default();
        let mut answered = open(&mut pending, Kind::Read, later);
        let mut late = open(&mut pending, Kind::Read, now);
        let ids = send_all(&mut pending);
        let mut unsent = open(&mut pending, Kind::Command, now);
        assert_eq!(pending.next_deadline(), Some(now));
        assert!(pending.resolve(&ids[0], Ok(RawValue::NULL.to_owned())));
        assert!(!pending.resolve(&ids[0], Ok(RawValue::NULL.to_owned())), "a second reply has no pending call");
        assert!(!pending.resolve("3", Ok(RawValue::NULL.to_owned())), "nor has a reply to a call that was not sent");
        assert!(!pending.resolve("foreign", Ok(RawValue::NULL.to_owned())));
        pending.expire(now);
        assert!(answered.try_recv().unwrap().is_ok());
        assert!(matches!(late.try_recv().unwrap(), Err(CallError::TimedOut { .. })));
        assert!(matches!(unsent.try_recv().unwrap(), Err(CallError::NotSent { .. })));
        assert_eq!((pending.next_deadline(), pending.len()), (None, 0));
    }

    #[test]
    fn lost_connection_fails_sent_commands_and_retains_other_calls() {
        let later = Instant::now() + Duration::from_secs(1);
        let reason = Arc::new(CloseReason::IdleTimeout);
        let mut pending = PendingCalls::default();
        let mut command = open(&mut pending, Kind::Command, later);
        let mut read = open(&mut pending, Kind::Read, later);
        let mut idempotent = open(&mut pending, Kind::Idempotent, later);
        assert_eq!(send_all(&mut pending), ["1", "2", "3"]);
        let mut waiting = open(&mut pending, Kind::Command, later);
        pending.connection_lost(&reason);
        assert!(matches!(command.try_recv().unwrap(), Err(CallError::OutcomeUnknown { .. })));
        assert!(read.try_recv().is_err() && idempotent.try_recv().is_err() && waiting.try_recv().is_err());
        assert_eq!(send_all(&mut pending), ["2", "3", "4"], "in order, with the command that was not sent");
        pending.close(&reason);
        assert!(matches!(read.try_recv().unwrap(), Err(CallError::Closed { .. })));
        assert!(matches!(waiting.try_recv().unwrap(), Err(CallError::OutcomeUnknown { .. })));
    }

    #[test]
    fn calls_that_expire_without_a_connection_free_their_ids() {
        let now = Instant::now();
        let mut pending = PendingCalls::default();
        for _ in 0..10 * MAX_CALLS {
            drop(open(&mut pending, Kind::Read, now));
            pending.expire(now);
        }
        assert!(pending.unsent.len() <= 2 * MAX_CALLS && pending.len() == 0, "{} ids", pending.unsent.len());
        let mut kept = open(&mut pending, Kind::Command, now + Duration::from_secs(1));
        assert_eq!(send_all(&mut pending).len(), 1);
        assert!(kept.try_recv().is_err());
    }

    #[test]
    fn dropped_calls_free_their_slots_and_are_not_sent() {
        let later = Instant::now() + Duration::from_secs(1);
        let mut pending = PendingCalls::default();
        for _ in 0..3 * MAX_CALLS {
            drop(open(&mut pending, Kind::Read, later));
        }
        assert!(pending.take_unsent().is_none());
        let kept: Vec<_> = (0..MAX_CALLS).map(|_| open(&mut pending, Kind::Read, later)).collect();
        let mut refused = open(&mut pending, Kind::Read, later);
        assert!(matches!(refused.try_recv().unwrap(), Err(CallError::TooMany { .. })));
        assert_eq!((kept.len(), pending.len()), (MAX_CALLS, MAX_CALLS));
        drop(kept);
        let mut taken = open(&mut pending, Kind::Read, later);
        assert!(taken.try_recv().is_err(), "dropped calls free their slots");
        assert_eq!((pending.len(), pending.is_busy()), (1, false));
        send_all(&mut pending);
        assert!(pending.is_busy());
    }
}
