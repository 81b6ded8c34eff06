//! Property test of the session: random sequences of operations, and the invariants that must hold for all of them. The real
//! session runs over channels in paused time. Phase changes are asserted in [`crate::status::Phase::may_follow`].

use std::collections::BTreeMap;
use std::time::Duration;

use ezlo_protocol::hub::method::Kind;
use ezlo_protocol::rpc::RpcError;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::config::SessionConfig;
use crate::error::{CallError, ConnectError};
use crate::event::{RelayEvent, RelayEvents};
use crate::fakes::{FakeHub, Rig, Step};
use crate::transport::Incoming;

/// An operation on the session, its connector or its hub.
#[derive(Debug, Clone)]
enum Op {
    /// A connection is opened and verified.
    ActiveConnection,
    /// An attempt fails.
    Fail,
    /// An attempt fails because the credentials have expired.
    Stale,
    /// A connection is opened and breaks before it is verified.
    Unproven,
    /// The connection breaks.
    Drop,
    /// A call with a time limit in seconds.
    Call(Kind, u64),
    /// A call is dropped.
    Cancel(usize),
    /// The hub reads the received calls and executes the commands.
    Hear,
    /// The hub replies to one of the calls of this connection.
    Answer(usize),
    /// The hub replies to one of them a second time.
    AnswerAgain(usize),
    /// The hub sends a broadcast.
    Broadcast,
    /// The hub sends an undecodable frame.
    Garbage,
    /// Time passes, in ms.
    Wait(u64),
    /// A reconnect is requested.
    Reconnect,
}

fn op() -> impl Strategy<Value = Op> {
    let kind = prop_oneof![Just(Kind::Read), Just(Kind::Idempotent), Just(Kind::Command)];
    prop_oneof![
        4 => Just(Op::ActiveConnection),
        1 => Just(Op::Fail),
        1 => Just(Op::Stale),
        1 => Just(Op::Unproven),
        2 => Just(Op::Drop),
        6 => (kind, 1_u64..40).prop_map(|(kind, patience)| Op::Call(kind, patience)),
        1 => any::<usize>().prop_map(Op::Cancel),
        4 => Just(Op::Hear),
        5 => any::<usize>().prop_map(Op::Answer),
        1 => any::<usize>().prop_map(Op::AnswerAgain),
        2 => Just(Op::Broadcast),
        1 => Just(Op::Garbage),
        3 => (0_u64..20_000).prop_map(Op::Wait),
        1 => Just(Op::Reconnect),
    ]
}

struct Call {
    kind: Kind,
    deadline: Instant,
    task: Option<JoinHandle<(Result<Value, CallError>, Instant)>>,
}

struct World {
    rig: Rig,
    events: RelayEvents,
    connection: Option<FakeHub>,
    calls: BTreeMap<u64, Call>,
    /// Number of executions by the hub, by the number of the call.
    done: BTreeMap<u64, u32>,
    /// Received on this connection, without a reply so far.
    open: Vec<Value>,
    answered: Vec<Value>,
    said: u64,
}

impl World {
    fn new() -> Self {
        let config = SessionConfig { seed: Some(1), event_capacity: 4096, ..SessionConfig::default() };
        let rig = Rig::new(config);
        let events = rig.session.events();
        let (calls, done) = (BTreeMap::new(), BTreeMap::new());
        Self { rig, events, connection: None, calls, done, open: Vec::new(), answered: Vec::new(), said: 0 }
    }

    async fn happen(&mut self, op: &Op) {
        match op {
            Op::ActiveConnection => self.link().await,
            Op::Fail => {
                let source = std::io::ErrorKind::ConnectionRefused.into();
                let _ = self.rig.steps.try_send(Step::Fail(ConnectError::Dial { address: "a".into(), source }));
            }
            Op::Stale => {
                let stale = RpcError::known("cloud.error.mms_autha_token_expired");
                let _ = self.rig.steps.try_send(Step::Fail(ConnectError::Login(stale)));
            }
            Op::Unproven => {
                let (pipe, _) = FakeHub::pair();
                let _ = self.rig.steps.try_send(Step::ActiveConnection(pipe));
            }
            Op::Drop => self.drop_link(),
            Op::Call(kind, patience) => self.call(*kind, Duration::from_secs(*patience)),
            Op::Cancel(which) => {
                if let Some(call) = pick_value(&mut self.calls, *which) {
                    call.task.take().inspect(JoinHandle::abort);
                }
            }
            Op::Hear => self.hear(),
            Op::Answer(which) => {
                if !self.open.is_empty() {
                    let call = self.open.swap_remove(which % self.open.len());
                    self.say(&json!({"id": call["id"], "error": null, "result": {"of": call["params"]["number"]}}));
                    self.answered.push(call);
                }
            }
            Op::AnswerAgain(which) => {
                if !self.answered.is_empty() {
                    let call = self.answered[which % self.answered.len()].clone();
                    self.say(&json!({"id": call["id"], "error": null, "result": {"of": call["params"]["number"]}}));
                }
            }
            Op::Broadcast => {
                self.said += 1;
                let number = self.said;
                if !self.say(&json!({"msg_subclass": "hub.new", "result": {"number": number}})) {
                    self.said -= 1;
                }
            }
            Op::Garbage => {
                if let Some(connection) = &self.connection {
                    let _ = connection.say.try_send(Incoming::Text("{ no message".into()));
                }
            }
            Op::Wait(milliseconds) => tokio::time::sleep(Duration::from_millis(*milliseconds)).await,
            Op::Reconnect => self.rig.session.reconnect().await,
        }
        settle().await;
    }

    /// Offers a connection, which the session takes at its next attempt.
    async fn link(&mut self) {
        let wanted = self.connection.as_ref().is_none_or(|connection| connection.say.is_closed());
        if !wanted {
            return;
        }
        self.drop_link();
        let (pipe, mut hub) = FakeHub::pair();
        if self.rig.steps.try_send(Step::ActiveConnection(pipe)).is_err() {
            return;
        }
        // Much longer than the longest back-off, so that the steps before it in the queue are used up.
        let proven = async {
            while let Some(call) = hub.hear.recv().await {
                if call["method"] == "hub.info.get" {
                    hub.answer(&call, json!({})).await;
                    return true;
                }
            }
            false
        };
        if tokio::time::timeout(Duration::from_secs(3600), proven).await == Ok(true) {
            self.connection = Some(hub);
        }
    }

    fn drop_link(&mut self) {
        self.hear();
        self.connection = None;
        self.open.clear();
        self.answered.clear();
    }

    fn call(&mut self, kind: Kind, patience: Duration) {
        let number = self.calls.len() as u64;
        let session = self.rig.session.clone();
        let task = tokio::spawn(async move {
            let outcome = session.call_within("m", kind, json!({"number": number}), patience).await;
            (outcome, Instant::now())
        });
        self.calls.insert(number, Call { kind, deadline: Instant::now() + patience, task: Some(task) });
    }

    fn hear(&mut self) {
        let Some(connection) = &mut self.connection else { return };
        while let Ok(call) = connection.hear.try_recv() {
            if let Some(number) = call["params"]["number"].as_u64() {
                *self.done.entry(number).or_insert(0) += 1;
                self.open.push(call);
            }
        }
    }

    fn say(&self, frame: &Value) -> bool {
        let text = Incoming::Text(frame.to_string());
        self.connection.as_ref().is_some_and(|connection| connection.say.try_send(text).is_ok())
    }

    /// Closes the session and checks all invariants.
    async fn judge(mut self) -> Result<(), TestCaseError> {
        self.hear();
        self.rig.session.clone().close().await;
        let calls = std::mem::take(&mut self.calls);
        for (number, Call { kind, deadline, task }) in calls {
            let times = self.done.get(&number).copied().unwrap_or_default();
            if kind == Kind::Command {
                prop_assert!(times <= 1, "command {number} was executed {times} times");
            }
            let Some(task) = task else { continue };
            let (outcome, ended) = task.await.map_err(|error| TestCaseError::fail(error.to_string()))?;
            prop_assert!(ended <= deadline + Duration::from_millis(60), "call {number} ended late");
            match outcome {
                Ok(result) => {
                    prop_assert_eq!(&result["of"], &json!(number), "call {} has the reply of another call", number);
                    prop_assert!(times >= 1, "call {number} was confirmed but not executed");
                }
                Err(CallError::NotSent { .. }) => {
                    prop_assert_eq!(times, 0, "call {} was reported as not sent", number);
                }
                Err(CallError::Closed { .. }) if kind != Kind::Read => {
                    prop_assert_eq!(times, 0, "call {} was reported as not executed", number);
                }
                Err(CallError::OutcomeUnknown { .. }) => {
                    prop_assert!(kind != Kind::Read, "read {number} should have been sent again");
                }
                Err(_) => {}
            }
        }
        self.judge_events().await
    }

    /// Checks that events are in order, delivered at most once, and not published between connections.
    async fn judge_events(&mut self) -> Result<(), TestCaseError> {
        let (mut last, mut up, mut closed) = (0, false, false);
        while let Some(event) = self.events.next().await {
            prop_assert!(!closed, "an event after Closed");
            match event {
                RelayEvent::Connected => {
                    prop_assert!(!up, "Connected twice");
                    up = true;
                }
                RelayEvent::Disconnected(_) => {
                    prop_assert!(up, "Disconnected without Connected");
                    up = false;
                }
                RelayEvent::Hub(event) => {
                    let number = event.content()["number"].as_u64().unwrap_or_default();
                    prop_assert!(up && number > last, "broadcast {number} after {last}, connected: {up}");
                    last = number;
                }
                RelayEvent::Lagged(lost) => prop_assert!(false, "{lost} events lost although the capacity suffices"),
                RelayEvent::Closed(_) => closed = true,
                _ => {}
            }
        }
        prop_assert!(closed, "Closed was not published");
        Ok(())
    }
}

fn pick_value(calls: &mut BTreeMap<u64, Call>, which: usize) -> Option<&mut Call> {
    let count = calls.len();
    if count == 0 { None } else { calls.values_mut().nth(which % count) }
}

/// Lets every task run without advancing the time.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn session_invariants_hold_for_any_sequence_of_operations(ops in vec(op(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let mut world = World::new();
            for op in &ops {
                world.happen(op).await;
            }
            world.judge().await
        })?;
    }
}
