//! The handle of a session: connecting, calls, status and event subscriptions.

use std::sync::Arc;
use std::time::Duration;

use ezlo_protocol::hub::method::{Kind, Method, spec};
use ezlo_protocol::wire;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::time::Instant;

use crate::byte_budget::ByteBudget;
use crate::config::{LONGEST, SessionConfig};
use crate::connection::ActiveConnection;
use crate::connector::{Connector, SingleUse, StaticConnector};
use crate::endpoint::{Endpoint, HubCredentials};
use crate::error::{CallError, CloseReason, ConnectError};
use crate::event::{BufferedEvent, RelayEvents};
use crate::pending_calls::NewCall;
use crate::state::{Command, EventPublisher, SessionState};
use crate::status::{AtomicCounters, Counters, Phase, Status};
use crate::supervisor::{Supervisor, establish_first};
use crate::transport::Transport;

/// Capacity of the command channel. The session task empties it with and without a connection.
const COMMANDS: usize = 64;

/// A session with one hub, over the relay or the local network. It reconnects when its connection is lost.
///
/// The session runs in a task of the Tokio runtime. This handle is cheap to clone. The session closes when the last clone is
/// dropped.
///
/// # Examples
///
/// A hub on the local network:
///
/// ```no_run
/// use ezlo_relay::protocol::cloud::keys::LocalCredentials;
/// use ezlo_relay::protocol::hub::Empty;
/// use ezlo_relay::protocol::hub::method::InfoGet;
/// use ezlo_relay::{Endpoint, HubCredentials, RelaySession, Trust};
///
/// async fn print_model(credentials: LocalCredentials) -> Result<(), Box<dyn std::error::Error>> {
///     let trust = Trust::Hub { serial: "90000001".parse()?, pin: None };
///     let endpoint = Endpoint::new("wss://192.0.2.7:17000").trust(trust);
///     let session = RelaySession::connect(&endpoint, &HubCredentials::Local(credentials)).await?;
///     let info = session.call(InfoGet, Empty::default()).await?;
///     println!("model {:?}, certificate {:?}", info.model.as_deref(), session.certificate_pin());
///     session.close().await;
///     Ok(())
/// }
/// ```
#[derive(Debug, Clone)]
pub struct RelaySession {
    commands: mpsc::Sender<Command>,
    events: broadcast::Sender<BufferedEvent>,
    status: watch::Receiver<Status>,
    counters: Arc<AtomicCounters>,
    call_timeout: Duration,
}

/// A handle that does not keep the session open, from [`RelaySession::downgrade`].
#[derive(Debug, Clone)]
pub struct WeakRelaySession {
    commands: mpsc::WeakSender<Command>,
    events: broadcast::WeakSender<BufferedEvent>,
    status: watch::Receiver<Status>,
    counters: Arc<AtomicCounters>,
    call_timeout: Duration,
}

impl WeakRelaySession {
    /// Returns a receiver of the status. The last value has the phase [`Phase::Closed`]. No network traffic.
    pub fn watch_status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// Returns a handle that keeps the session open, or `None` if the last such handle was dropped. The session may be closed.
    pub fn upgrade(&self) -> Option<RelaySession> {
        Some(RelaySession {
            commands: self.commands.upgrade()?,
            events: self.events.upgrade()?,
            status: self.status.clone(),
            counters: Arc::clone(&self.counters),
            call_timeout: self.call_timeout,
        })
    }
}

/// Time after the deadline within which the session task ends a call.
const GRACE: Duration = Duration::from_millis(50);

/// The channels and the state of a session before its task is spawned.
struct Channels {
    commands: mpsc::Sender<Command>,
    state: SessionState,
    publisher: EventPublisher,
}

impl Channels {
    fn new(config: &SessionConfig) -> Self {
        let (commands, receiver) = mpsc::channel(COMMANDS);
        let (events, _) = broadcast::channel(config.event_capacity.max(1));
        let (status, _) = watch::channel(Status::new());
        let budget = ByteBudget::new(config.event_bytes);
        let publisher = EventPublisher { events, budget, status, counters: Arc::default(), serial: None };
        Self { commands, state: SessionState::new(receiver), publisher }
    }

    fn start<R: Connector>(
        self,
        connector: R,
        config: Arc<SessionConfig>,
        first: Option<ActiveConnection<R::Transport>>,
    ) -> RelaySession {
        let Self { commands, state, publisher } = self;
        let session = RelaySession {
            commands,
            events: publisher.events.clone(),
            status: publisher.status.subscribe(),
            counters: Arc::clone(&publisher.counters),
            call_timeout: config.call_timeout,
        };
        tokio::spawn(Supervisor::new(connector, state, publisher, config).run(first));
        session
    }
}

impl RelaySession {
    /// Connects to a hub with the default settings, logs in and verifies the connection.
    ///
    /// At the relay, sends `loginUserMios`, `register` and `hub.info.get`; on the local network `hub.offline.login.ui` and
    /// `hub.info.get`. A hub that is offline at the relay is not an error, see [`Status::hub`]. Later connections are opened
    /// automatically. TCP with TLS and the WebSocket handshake may take 10 s each, every call 20 s.
    ///
    /// # Errors
    ///
    /// The [`ConnectError`] of the step that failed. The first connection is not retried.
    ///
    /// # Panics
    ///
    /// If called outside a Tokio runtime with time and I/O enabled.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection. No task is left behind.
    pub async fn connect(endpoint: &Endpoint, login: &HubCredentials) -> Result<Self, ConnectError> {
        let connector = StaticConnector::new(endpoint.clone(), login.clone());
        Self::connect_with(connector, SessionConfig::default()).await
    }

    /// Connects with a connector and settings, logs in and verifies the connection.
    ///
    /// Sends the same calls as [`connect`](Self::connect). Expired credentials lead to one more attempt with
    /// [`ConnectContext::credentials_expired`] set, and an alternative path is tried once for each set of credentials.
    ///
    /// # Errors
    ///
    /// The [`ConnectError`] of the last attempt. If the connector has no new credentials
    /// ([`ConnectError::CredentialsExhausted`]), the error that required them is returned.
    ///
    /// # Panics
    ///
    /// If called outside a Tokio runtime with time enabled.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection and drops the connector. No task is left behind.
    ///
    /// [`ConnectContext::credentials_expired`]: crate::ConnectContext::credentials_expired
    pub async fn connect_with<R: Connector>(mut connector: R, config: SessionConfig) -> Result<Self, ConnectError> {
        let config = Arc::new(config.bounded());
        let channels = Channels::new(&config);
        let connection = establish_first(&mut connector, &channels.publisher, &config).await?;
        Ok(channels.start(connector, config, Some(connection)))
    }

    /// Starts a session and returns without waiting for the first connection.
    ///
    /// The session task connects in the background, with back-off. Calls wait for the connection up to their deadlines. A
    /// permanent error closes the session, see [`Status::reason`].
    ///
    /// # Panics
    ///
    /// If called outside a Tokio runtime with time enabled.
    pub fn connect_lazy<R: Connector>(connector: R, config: SessionConfig) -> Self {
        let config = Arc::new(config.bounded());
        Channels::new(&config).start(connector, config, None)
    }

    /// Starts a session over a connection that is already open. The session closes when this connection ends.
    ///
    /// Logs in and verifies the connection as [`connect`](Self::connect) does, with the default settings.
    ///
    /// # Errors
    ///
    /// The [`ConnectError`] of the step that failed: [`Login`](ConnectError::Login), [`Register`](ConnectError::Register),
    /// [`TimedOut`](ConnectError::TimedOut) or [`Closed`](ConnectError::Closed).
    ///
    /// # Panics
    ///
    /// If called outside a Tokio runtime with time enabled.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the transport. No task is left behind.
    pub async fn from_transport<T: Transport>(transport: T, login: &HubCredentials) -> Result<Self, ConnectError> {
        Self::connect_with(SingleUse(Some((transport, login.clone()))), SessionConfig::default()).await
    }

    /// Returns a handle that does not keep the session open.
    pub fn downgrade(&self) -> WeakRelaySession {
        WeakRelaySession {
            commands: self.commands.downgrade(),
            events: self.events.downgrade(),
            status: self.status.clone(),
            counters: Arc::clone(&self.counters),
            call_timeout: self.call_timeout,
        }
    }

    /// Requests a new connection, which the connector opens in place of the current one. Returns once the request is queued.
    ///
    /// The current connection is closed as soon as no call is in flight. New calls wait for the new connection, for 5 s at
    /// most, and are then sent on the current one. A request while a connection is being opened leads to another one. During a
    /// back-off, a request after the first half of [`BackoffPolicy::initial`] ends the wait, at most three times in a row. Does
    /// nothing on a closed session.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future may drop the request; nothing else is affected.
    ///
    /// [`BackoffPolicy::initial`]: crate::BackoffPolicy::initial
    pub async fn reconnect(&self) {
        // Fails only if the session is closed.
        let _ = self.commands.send(Command::Reconnect).await;
    }

    /// Returns the current status. No network traffic.
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Returns a receiver of the status, for waiting until it changes. No network traffic.
    ///
    /// Do not hold the guard of `borrow` across an `.await`: the session task blocks while it updates the status.
    pub fn watch_status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// Returns the counters of irregular frames since the session started. No network traffic.
    pub fn counters(&self) -> Counters {
        self.counters.read()
    }

    /// Returns the SHA-256 of the hub's certificate, to be persisted for [`Trust::Hub`](crate::Trust::Hub). No network traffic.
    ///
    /// `None` if no connection had a certificate of the hub, as over the relay.
    pub fn certificate_pin(&self) -> Option<[u8; 32]> {
        self.status.borrow().certificate
    }

    /// Subscribes to the events that are published from now on. No network traffic.
    pub fn events(&self) -> RelayEvents {
        let receiver = self.events.subscribe();
        // A subscription after `Closed` would never receive an event.
        let ended = self.status.borrow().phase == Phase::Closed && receiver.is_empty();
        RelayEvents { receiver, ended }
    }

    /// Calls a method by its type and waits for the reply, up to `SessionConfig::call_timeout` (default: 20 s).
    ///
    /// Sends one call; the result is not cached. Without a connection the call waits for one. After a lost connection, reads
    /// and idempotent calls are sent again.
    ///
    /// # Errors
    ///
    /// - [`CallError::Refused`]: the hub or the relay replied with an error.
    /// - [`CallError::Decode`]: the result does not have the type `M::Output`.
    /// - [`CallError::TimedOut`]: sent, but no reply before the deadline. A command may have been executed.
    /// - [`CallError::NotSent`]: no connection before the deadline.
    /// - [`CallError::OutcomeUnknown`]: sent, but the connection was lost. The call may have been executed.
    /// - [`CallError::Closed`]: the session is closed.
    /// - [`CallError::TooMany`]: 1,024 calls are pending.
    ///
    /// # Cancel safety
    ///
    /// A dropped call that was not sent is never sent. If it was sent, the hub may execute it, and the reply is discarded.
    pub async fn call<M: Method>(&self, _method: M, params: M::Params) -> Result<M::Output, CallError> {
        let result = self.answer(M::NAME, M::KIND, wire::to_value(&params), self.call_timeout).await?;
        let decoded = wire::from_str(result.get());
        decoded.map_err(|error| CallError::Decode { method: M::NAME.into(), error })
    }

    /// Calls a method by name and waits for the reply, up to `SessionConfig::call_timeout` (default: 20 s).
    ///
    /// Sends one call, as [`call`](Self::call) does. The kind comes from the method table of `ezlo-protocol`; an unknown method
    /// is treated as a command. A result that is nested deeper than `serde_json` allows (128 levels) is returned as `Null`.
    ///
    /// # Errors
    ///
    /// As for [`call`](Self::call), except [`CallError::Decode`].
    ///
    /// # Cancel safety
    ///
    /// As for [`call`](Self::call).
    pub async fn call_raw(&self, method: &str, params: Value) -> Result<Value, CallError> {
        let kind = spec(method).map_or(Kind::Command, |spec| spec.kind);
        self.call_within(method, kind, params, self.call_timeout).await
    }

    /// Calls a method by name, with an explicit kind and time limit (at most 365 days).
    ///
    /// Sends one call, as [`call`](Self::call) does. `kind` decides if the call is sent again after a lost connection. A result
    /// that is nested deeper than `serde_json` allows (128 levels) is returned as `Null`.
    ///
    /// # Errors
    ///
    /// As for [`call`](Self::call), except [`CallError::Decode`].
    ///
    /// # Cancel safety
    ///
    /// As for [`call`](Self::call).
    pub async fn call_within(
        &self,
        method: &str,
        kind: Kind,
        params: Value,
        limit: Duration,
    ) -> Result<Value, CallError> {
        let result = self.answer(method, kind, params, limit).await?;
        // The text is valid JSON: decoding fails only if it is nested too deeply.
        Ok(serde_json::from_str(result.get()).unwrap_or_default())
    }

    /// Sends a call and returns its undecoded result.
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
        // The session task ends the call at its deadline with the exact error. It is late only while a write blocks.
        let answer = tokio::time::timeout_at(deadline + GRACE, answer).await;
        answer.map_err(|_| CallError::TimedOut { method: method.to_owned() })?.map_err(|_| gone())?
    }

    fn reason(&self) -> Arc<CloseReason> {
        self.status.borrow().reason.clone().unwrap_or_else(|| Arc::new(CloseReason::ClosedLocally))
    }

    /// Closes the session for all handles and waits until its connection is closed.
    ///
    /// A write in progress is awaited first, up to `SessionConfig::handshake_timeout`. Then performs the closing handshake of
    /// the WebSocket, for 2 s at most. Pending calls end with [`CallError::Closed`] or [`CallError::OutcomeUnknown`].
    /// [`RelayEvent::Closed`](crate::RelayEvent::Closed) may be published shortly after this function returns.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future may drop the request to close; a request that was queued is carried out.
    pub async fn close(self) {
        if self.commands.send(Command::Close).await.is_ok() {
            self.commands.closed().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::RelayEvent;
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
    async fn replies_are_matched_to_calls_in_any_order() {
        let (session, mut hub) = anonymous().await;
        let calls = tokio::join!(session.call_raw("a", json!({})), session.call_raw("b", json!({})), async {
            let (first, second) = (hub.heard().await, hub.heard().await);
            hub.say(json!({"id": "unknown", "error": null, "result": {}})).await;
            hub.answer(&second, json!({"for": second["method"]})).await;
            hub.refuse(&first, "ezlo.device.notfound").await;
        });
        assert!(matches!(calls.0, Err(CallError::Refused { error, .. }) if error.data() == "ezlo.device.notfound"));
        assert_eq!(calls.1.unwrap(), json!({"for": "b"}));
        assert_eq!(session.counters().unsolicited_replies, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn undecodable_frame_is_an_event_and_the_connection_stays_open() {
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
    async fn call_times_out_and_idle_timeout_ends_the_connection() {
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
                None => panic!("the idle timeout was not reported"),
            }
        }
        assert_eq!(hub.pings.load(std::sync::atomic::Ordering::Relaxed), 1, "one probe before the idle timeout");
    }

    #[tokio::test(start_paused = true)]
    async fn lost_transport_makes_the_command_unknown_and_closes_the_session() {
        let (session, mut hub) = anonymous().await;
        let (answer, ()) = tokio::join!(session.call(Reboot, Empty::default()), async {
            hub.heard().await;
            drop(hub);
        });
        assert!(matches!(answer.unwrap_err(), CallError::OutcomeUnknown { .. }));
        assert!(matches!(session.call(Reboot, Empty::default()).await.unwrap_err(), CallError::Closed { .. }));
    }

    #[tokio::test(start_paused = true)]
    async fn already_logged_in_reply_is_success_and_a_refusal_is_an_error() {
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
    async fn call_without_a_connection_before_its_deadline_is_not_sent() {
        let rig = Rig::new(SessionConfig::default());
        let error = rig.session.call_within("m", Kind::Command, json!({}), Duration::from_secs(1)).await.unwrap_err();
        assert!(matches!(error, CallError::NotSent { .. }), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn requested_reconnect_waits_for_calls_in_flight() {
        let mut rig = Rig::new(SessionConfig { seed: Some(1), ..SessionConfig::default() });
        let mut first = rig.link().await;
        rig.attempts.recv().await.unwrap();
        assert_eq!(rig.session.certificate_pin(), Some(PIN));
        let call = |method: &'static str| {
            let session = rig.session.clone();
            tokio::spawn(async move { session.call_raw(method, json!({})).await })
        };
        let under_way = call("a");
        let request = first.heard().await;
        rig.session.reconnect().await;
        let waits = call("b");
        tokio::task::yield_now().await;
        assert!(rig.attempts.try_recv().is_err(), "no reconnect while a command is in flight");
        first.answer(&request, json!({})).await;
        under_way.await.unwrap().unwrap();
        let mut second = rig.link().await;
        let request = second.heard().await;
        assert_eq!(request["method"], "b", "the call waited for the new connection");
        second.answer(&request, json!({})).await;
        waits.await.unwrap().unwrap();
        assert!(first.hear.try_recv().is_err());
        let attempt = rig.attempts.recv().await.unwrap();
        assert_eq!((attempt.failures, attempt.last_close.as_deref()), (0, Some(&CloseReason::Reconnect)));
    }

    #[tokio::test(start_paused = true)]
    async fn try_next_returns_buffered_events_without_waiting() {
        let (session, hub) = anonymous().await;
        let mut events = session.events();
        hub.say(json!({"msg_subclass": "hub.new", "result": {}})).await;
        while !matches!(events.next().await, Some(RelayEvent::Hub(_))) {}
        assert!(events.try_next().is_none());
        session.clone().close().await;
        assert!(matches!(events.try_next(), Some(RelayEvent::Closed(_))));
        assert!(events.try_next().is_none() && events.next().await.is_none());
        assert!(session.events().next().await.is_none(), "a subscription after the end returns None at once");
    }

    #[tokio::test(start_paused = true)]
    async fn weak_handle_does_not_keep_the_session_open() {
        let (session, hub) = anonymous().await;
        let weak = session.downgrade();
        assert!(weak.upgrade().is_some());
        drop(session);
        hub.say.closed().await;
        assert!(weak.upgrade().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn first_connection_refreshes_expired_credentials_once() {
        let stale = || ConnectError::Login(ezlo_protocol::rpc::RpcError::known("cloud.error.mms_autha_token_expired"));
        let refused = || ConnectError::Register(ezlo_protocol::rpc::RpcError::known("nma.ezlo.notlinked"));
        for (errors, attempts_made) in [(vec![stale(), refused()], 2), (vec![refused()], 1)] {
            let (connector, steps, mut attempts) = FakeRoute::new();
            for error in errors {
                steps.send(Step::Fail(error)).await.unwrap();
            }
            let error = RelaySession::connect_with(connector, SessionConfig::default()).await.unwrap_err();
            assert!(matches!(error, ConnectError::Register(_)), "{error}");
            let mut stale = Vec::new();
            while let Ok(attempt) = attempts.try_recv() {
                stale.push(attempt.credentials_expired);
            }
            assert_eq!(stale, [false, true][..attempts_made]);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn non_text_frame_is_an_event_and_unlimited_timeouts_do_not_panic() {
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
