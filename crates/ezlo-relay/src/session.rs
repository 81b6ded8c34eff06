//! The handle: calls out, events in.

use std::sync::Arc;
use std::time::Duration;

use ezlo_protocol::hub::method::{Kind, Method, spec};
use ezlo_protocol::wire;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::time::Instant;

use crate::config::{LONGEST, SessionConfig};
use crate::connection::ActiveConnection;
use crate::connector::{Connector, SingleUse, StaticConnector};
use crate::endpoint::{Endpoint, HubCredentials};
use crate::error::{CallError, CloseReason, ConnectError};
use crate::event::{RelayEvent, RelayEvents};
use crate::pending_calls::NewCall;
use crate::state::{Command, EventPublisher, SessionState};
use crate::status::{AtomicCounters, Counters, Phase, Status};
use crate::supervisor::{Supervisor, establish_first};
use crate::transport::Transport;

/// Calls on their way to the task. It takes them as fast as they come, link or none.
const COMMANDS: usize = 64;

/// A connection to one hub that outlives its links: over the relay or the local network, made again when it is lost. Cheap to
/// clone; it closes when the last clone goes.
#[derive(Debug, Clone)]
pub struct RelaySession {
    commands: mpsc::Sender<Command>,
    events: broadcast::Sender<RelayEvent>,
    status: watch::Receiver<Status>,
    tally: Arc<AtomicCounters>,
    call_timeout: Duration,
}

/// A hold on a session that does not keep it open.
#[derive(Debug, Clone)]
pub struct WeakRelaySession {
    commands: mpsc::WeakSender<Command>,
    events: broadcast::WeakSender<RelayEvent>,
    status: watch::Receiver<Status>,
    tally: Arc<AtomicCounters>,
    call_timeout: Duration,
}

impl WeakRelaySession {
    /// Watches what the session is doing; its last word is `Closed`.
    pub fn watch_status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// The session, if it is still open.
    pub fn upgrade(&self) -> Option<RelaySession> {
        Some(RelaySession {
            commands: self.commands.upgrade()?,
            events: self.events.upgrade()?,
            status: self.status.clone(),
            tally: Arc::clone(&self.tally),
            call_timeout: self.call_timeout,
        })
    }
}

/// How late the ledger may be.
const GRACE: Duration = Duration::from_millis(50);

/// The channels of a session before its task runs.
struct Channels {
    commands: mpsc::Sender<Command>,
    desk: SessionState,
    voice: EventPublisher,
}

impl Channels {
    fn new(config: &SessionConfig) -> Self {
        let (commands, receiver) = mpsc::channel(COMMANDS);
        let (events, _) = broadcast::channel(config.event_capacity.max(1));
        let (status, _) = watch::channel(Status::new());
        let voice = EventPublisher { events, status, tally: Arc::default(), serial: None };
        Self { commands, desk: SessionState::new(receiver), voice }
    }

    fn start<R: Connector>(
        self,
        route: R,
        config: Arc<SessionConfig>,
        first: Option<ActiveConnection<R::Transport>>,
    ) -> RelaySession {
        let Self { commands, desk, voice } = self;
        let session = RelaySession {
            commands,
            events: voice.events.clone(),
            status: voice.status.subscribe(),
            tally: Arc::clone(&voice.tally),
            call_timeout: config.call_timeout,
        };
        tokio::spawn(Supervisor::new(route, desk, voice, config).run(first));
        session
    }
}

impl RelaySession {
    /// Connects, logs in and, at the relay, chooses the hub; from then on the session connects again by itself. The first
    /// connection must succeed: its error is told.
    pub async fn connect(endpoint: &Endpoint, login: &HubCredentials) -> Result<Self, ConnectError> {
        let route = StaticConnector::new(endpoint.clone(), login.clone());
        Self::connect_with(route, SessionConfig::default()).await
    }

    /// The same by a route and with settings of one's own.
    pub async fn connect_with<R: Connector>(mut route: R, config: SessionConfig) -> Result<Self, ConnectError> {
        let config = Arc::new(config.bounded());
        let channels = Channels::new(&config);
        let link = establish_first(&mut route, &channels.voice, &config).await?;
        Ok(channels.start(route, config, Some(link)))
    }

    /// Starts a session without waiting for its first link: calls wait for it within their deadlines.
    pub fn connect_lazy<R: Connector>(route: R, config: SessionConfig) -> Self {
        let config = Arc::new(config.bounded());
        Channels::new(&config).start(route, config, None)
    }

    /// One connection that is there already, and no other after it.
    pub async fn from_transport<T: Transport>(transport: T, login: &HubCredentials) -> Result<Self, ConnectError> {
        Self::connect_with(SingleUse(Some((transport, login.clone()))), SessionConfig::default()).await
    }

    /// A hold that does not keep the session open.
    pub fn downgrade(&self) -> WeakRelaySession {
        WeakRelaySession {
            commands: self.commands.downgrade(),
            events: self.events.downgrade(),
            status: self.status.clone(),
            tally: Arc::clone(&self.tally),
            call_timeout: self.call_timeout,
        }
    }

    /// Makes a new link in place of the one that is up: the way to the hub is looked for anew. It happens as soon as no call is
    /// under way; new calls wait for it, for five seconds at most. While there is no link the next attempt is made at once.
    pub async fn reconnect(&self) {
        // A session that is over has no links to make.
        let _ = self.commands.send(Command::Reconnect).await;
    }

    /// What the session is doing now.
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Watches what the session is doing. Do not call while you hold what `borrow` gives: the call may want to change it.
    pub fn watch_status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// Counts of what came that should not have.
    pub fn counters(&self) -> Counters {
        self.tally.read()
    }

    /// SHA-256 of the other side's certificate; keep it to recognise the hub.
    pub fn certificate_pin(&self) -> Option<[u8; 32]> {
        self.status.borrow().certificate
    }

    /// Listens to what happens from now on.
    pub fn events(&self) -> RelayEvents {
        let receiver = self.events.subscribe();
        // After the end nothing comes any more; the end itself was told before.
        let ended = self.status.borrow().phase == Phase::Closed && receiver.is_empty();
        RelayEvents { receiver, ended }
    }

    /// Calls a method by its type.
    pub async fn call<M: Method>(&self, _method: M, params: M::Params) -> Result<M::Output, CallError> {
        let result = self.answer(M::NAME, M::KIND, wire::to_value(&params), self.call_timeout).await?;
        let decoded = wire::from_str(result.get());
        decoded.map_err(|error| CallError::Decode { method: M::NAME.into(), error })
    }

    /// Calls any method by name. A method that the table does not know counts as a command.
    pub async fn call_raw(&self, method: &str, params: Value) -> Result<Value, CallError> {
        let kind = spec(method).map_or(Kind::Command, |spec| spec.kind);
        self.call_within(method, kind, params, self.call_timeout).await
    }

    /// Calls any method by name within a time limit of one's own. While there is no link the call waits for one; it can be
    /// dropped at any time.
    pub async fn call_within(
        &self,
        method: &str,
        kind: Kind,
        params: Value,
        limit: Duration,
    ) -> Result<Value, CallError> {
        let result = self.answer(method, kind, params, limit).await?;
        // What is too deep for a document is as good as nothing.
        Ok(serde_json::from_str(result.get()).unwrap_or_default())
    }

    /// The result as it came.
    async fn answer(
        &self,
        method: &str,
        kind: Kind,
        params: Value,
        limit: Duration,
    ) -> Result<Box<RawValue>, CallError> {
        let (waiter, answer) = oneshot::channel();
        let deadline = Instant::now() + limit.min(LONGEST);
        let call = Command::Call(NewCall { method: method.to_owned(), kind, params, deadline, waiter });
        let gone = || CallError::Closed { method: method.to_owned(), reason: self.reason() };
        match self.commands.try_send(call) {
            Ok(()) => {}
            Err(TrySendError::Closed(_)) => return Err(gone()),
            Err(TrySendError::Full(call)) => {
                let sent = tokio::time::timeout_at(deadline, self.commands.send(call)).await;
                sent.map_err(|_| CallError::NotSent { method: method.to_owned() })?.map_err(|_| gone())?;
            }
        }
        // The ledger ends it at its deadline and knows best how; it is late only while a transport is stuck in sending.
        let answer = tokio::time::timeout_at(deadline + GRACE, answer).await;
        answer.map_err(|_| CallError::TimedOut { method: method.to_owned() })?.map_err(|_| gone())?
    }

    fn reason(&self) -> Arc<CloseReason> {
        self.status.borrow().reason.clone().unwrap_or_else(|| Arc::new(CloseReason::ClosedLocally))
    }

    /// Closes in good order and waits until nothing is said or heard any more. `Closed` may be told a moment later.
    pub async fn close(self) {
        if self.commands.send(Command::Close).await.is_ok() {
            self.commands.closed().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fakes::{FakeHub, FakeRoute, PIN, Rig, Step};
    use crate::transport::Incoming;
    use ezlo_protocol::hub::Empty;
    use ezlo_protocol::hub::method::{DevicesList, Kind, Reboot};
    use serde_json::json;

    async fn anonymous() -> (RelaySession, FakeHub) {
        let (pipe, mut hub) = FakeHub::pair();
        let (session, ()) = tokio::join!(RelaySession::from_transport(pipe, &HubCredentials::Anonymous), hub.prove());
        (session.unwrap(), hub)
    }

    #[tokio::test(start_paused = true)]
    async fn answers_find_their_calls_in_any_order() {
        let (session, mut hub) = anonymous().await;
        let calls = tokio::join!(session.call_raw("a", json!({})), session.call_raw("b", json!({})), async {
            let (first, second) = (hub.heard().await, hub.heard().await);
            hub.say(json!({"id": "nobody", "error": null, "result": {}})).await;
            hub.answer(&second, json!({"for": second["method"]})).await;
            hub.refuse(&first, "ezlo.device.notfound").await;
        });
        assert!(matches!(calls.0, Err(CallError::Refused { error, .. }) if error.data() == "ezlo.device.notfound"));
        assert_eq!(calls.1.unwrap(), json!({"for": "b"}));
        assert_eq!(session.counters().unsolicited_replies, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn bad_frames_are_events_and_the_connection_goes_on() {
        let (session, mut hub) = anonymous().await;
        let mut events = session.events();
        hub.say.send(Incoming::Text("{not json".into())).await.unwrap();
        hub.say(json!({"msg_subclass": "hub.new", "result": {}})).await;
        let next = async |events: &mut RelayEvents| loop {
            match events.next().await {
                Some(RelayEvent::Connected) => {}
                event => return event,
            }
        };
        assert!(matches!(next(&mut events).await, Some(RelayEvent::BadFrame { text }) if text == "{not json"));
        assert!(matches!(next(&mut events).await, Some(RelayEvent::Hub(event)) if event.name() == "hub.new"));
        let (answer, ()) = tokio::join!(session.call(DevicesList, Empty::default()), async {
            let call = hub.heard().await;
            hub.answer(&call, json!({"devices": []})).await;
        });
        assert!(answer.unwrap().devices.is_empty());
        let counters = session.counters();
        assert_eq!((counters.bad_frames, counters.unknown_broadcasts), (1, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_ends_at_its_deadline_and_silence_ends_the_link() {
        let (session, mut hub) = anonymous().await;
        let mut events = session.events();
        let error = session.call(DevicesList, Empty::default()).await.unwrap_err();
        assert!(matches!(error, CallError::TimedOut { .. }), "{error}");
        assert_eq!(hub.heard().await["method"], "hub.devices.list");
        loop {
            match events.next().await {
                Some(RelayEvent::Disconnected(reason)) => {
                    assert_eq!(*reason, CloseReason::IdleTimeout);
                    break;
                }
                Some(_) => {}
                None => panic!("silence was not told"),
            }
        }
        assert_eq!(hub.pings.load(std::sync::atomic::Ordering::Relaxed), 1, "asked once before giving up");
    }

    #[tokio::test(start_paused = true)]
    async fn a_command_that_was_under_way_is_unknown_and_the_session_over_one_transport_ends() {
        let (session, mut hub) = anonymous().await;
        let (answer, ()) = tokio::join!(session.call(Reboot, Empty::default()), async {
            hub.heard().await;
            drop(hub);
        });
        assert!(matches!(answer.unwrap_err(), CallError::OutcomeUnknown { .. }));
        assert!(matches!(session.call(Reboot, Empty::default()).await.unwrap_err(), CallError::Closed { .. }));
    }

    #[tokio::test(start_paused = true)]
    async fn already_logged_in_is_success_and_a_refusal_is_an_error() {
        for (data, good) in [("user.login.alreadylogged", true), ("user.login.badpassword", false)] {
            let (pipe, mut hub) = FakeHub::pair();
            let credentials = ezlo_protocol::cloud::keys::LocalCredentials { user: "u".into(), token: "t".into() };
            let login = HubCredentials::Local(credentials);
            let (session, ()) = tokio::join!(RelaySession::from_transport(pipe, &login), async {
                let call = hub.heard().await;
                hub.refuse(&call, data).await;
                if good {
                    hub.prove().await;
                }
            });
            match session {
                Ok(_) => assert!(good, "{data}"),
                Err(error) => assert!(
                    !good && matches!(&error, ConnectError::Login(refused) if refused.data() == data),
                    "{error}"
                ),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_finds_no_link_in_time_never_left() {
        let rig = Rig::new(SessionConfig::default());
        let error = rig.session.call_within("m", Kind::Command, json!({}), Duration::from_secs(1)).await.unwrap_err();
        assert!(matches!(error, CallError::NotSent { .. }), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_link_on_wish_waits_for_what_is_under_way() {
        let mut rig = Rig::new(SessionConfig { seed: Some(1), ..SessionConfig::default() });
        let mut first = rig.link().await;
        rig.attempts.recv().await.unwrap();
        assert_eq!(rig.session.certificate_pin(), Some(PIN));
        let call = |method: &'static str| {
            let session = rig.session.clone();
            tokio::spawn(async move { session.call_raw(method, json!({})).await })
        };
        let under_way = call("a");
        let heard = first.heard().await;
        rig.session.reconnect().await;
        let waits = call("b");
        tokio::task::yield_now().await;
        assert!(rig.attempts.try_recv().is_err(), "not while a command is under way");
        first.answer(&heard, json!({})).await;
        under_way.await.unwrap().unwrap();
        let mut second = rig.link().await;
        let heard = second.heard().await;
        assert_eq!(heard["method"], "b", "it waited for the new link");
        second.answer(&heard, json!({})).await;
        waits.await.unwrap().unwrap();
        assert!(first.hear.try_recv().is_err());
        let attempt = rig.attempts.recv().await.unwrap();
        assert_eq!((attempt.failures, attempt.last_close.as_deref()), (0, Some(&CloseReason::Reconnect)));
    }

    #[tokio::test(start_paused = true)]
    async fn events_that_are_there_need_no_waiting() {
        let (session, hub) = anonymous().await;
        let mut events = session.events();
        hub.say(json!({"msg_subclass": "hub.new", "result": {}})).await;
        while !matches!(events.next().await, Some(RelayEvent::Hub(_))) {}
        assert!(events.try_next().is_none());
        session.clone().close().await;
        assert!(matches!(events.try_next(), Some(RelayEvent::Closed(_))));
        assert!(events.try_next().is_none() && events.next().await.is_none());
        assert!(session.events().next().await.is_none(), "who comes after the end does not wait for ever");
    }

    #[tokio::test(start_paused = true)]
    async fn a_weak_hold_does_not_keep_it_open() {
        let (session, hub) = anonymous().await;
        let weak = session.downgrade();
        assert!(weak.upgrade().is_some());
        drop(session);
        hub.say.closed().await;
        assert!(weak.upgrade().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_link_gets_fresh_credentials_once_and_no_second_chance() {
        let stale = || ConnectError::Login(ezlo_protocol::rpc::RpcError::known("cloud.error.mms_autha_token_expired"));
        let refused = || ConnectError::Register(ezlo_protocol::rpc::RpcError::known("nma.ezlo.notlinked"));
        for (errors, attempts_made) in [(vec![stale(), refused()], 2), (vec![refused()], 1)] {
            let (route, steps, mut attempts) = FakeRoute::new();
            for error in errors {
                steps.send(Step::Fail(error)).await.unwrap();
            }
            let error = RelaySession::connect_with(route, SessionConfig::default()).await.unwrap_err();
            assert!(matches!(error, ConnectError::Register(_)), "{error}");
            let mut stale = Vec::new();
            while let Ok(attempt) = attempts.try_recv() {
                stale.push(attempt.credentials_expired);
            }
            assert_eq!(stale, [false, true][..attempts_made]);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_no_text_is_told_and_times_without_end_do_not_panic() {
        let config =
            SessionConfig { idle_timeout: Duration::MAX, call_timeout: Duration::MAX, ..SessionConfig::default() };
        let rig = Rig::new(config);
        let mut events = rig.session.events();
        let mut hub = rig.link().await;
        hub.say.send(Incoming::NonText).await.unwrap();
        while !matches!(events.next().await, Some(RelayEvent::BadFrame { .. })) {}
        assert_eq!(rig.session.counters().bad_frames, 1);
        let (answer, ()) = tokio::join!(rig.session.call_within("m", Kind::Read, json!({}), Duration::MAX), async {
            let call = hub.heard().await;
            hub.answer(&call, json!(1)).await;
        });
        assert_eq!(answer.unwrap(), json!(1));
    }
}
