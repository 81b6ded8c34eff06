//! The task of a session: it opens connections, runs them one after the other and backs off after failures.
//!
//! ```text
//!   dialing -> logging in -> registering -> verifying -> live
//! ```
//!
//! Local connections skip registering, anonymous ones also logging in. A failure in any phase leads to backing off and then
//! to dialing, or directly to dialing. Any phase can lead to closed.

use std::sync::Arc;
use std::time::Duration;

use crate::backoff::Jitter;
use crate::config::SessionConfig;
use crate::connection::{ActiveConnection, ConnectionEnd};
use crate::connector::{ConnectContext, Connector};
use crate::error::{CloseReason, ConnectError};
use crate::event::RelayEvent;
use crate::state::{EventPublisher, SessionState, WaitOutcome};
use crate::status::Phase;
use tokio::time::Instant;

/// Minimum duration of a connection that resets the back-off. A relay that accepts connections and closes them at once must
/// not cause a reconnect loop.
const STEADY_TIME: Duration = Duration::from_secs(5);

/// Number of waits that a pending call may shorten. An application that calls in a loop must not cause a reconnect loop.
const EARLY_WAKES: u32 = 3;

/// The task of a session.
pub(crate) struct Supervisor<R: Connector> {
    connector: R,
    state: SessionState,
    publisher: EventPublisher,
    config: Arc<SessionConfig>,
    jitter: Jitter,
    attempt: ConnectContext,
    early_retries: u32,
    /// Consecutive failed connections of a connector that had an alternative path.
    alternatives_tried: u32,
}

/// The action after a connection or an attempt has ended.
enum NextStep {
    Reconnect,
    Close(CloseReason),
}

impl<R: Connector> Supervisor<R> {
    pub(crate) fn new(
        connector: R,
        state: SessionState,
        publisher: EventPublisher,
        config: Arc<SessionConfig>,
    ) -> Self {
        let jitter = Jitter::new(config.seed);
        Self {
            connector,
            state,
            publisher,
            config,
            jitter,
            attempt: ConnectContext::default(),
            early_retries: 0,
            alternatives_tried: 0,
        }
    }

    /// Runs until the session closes. Starts with `first` if there is one.
    pub(crate) async fn run(mut self, mut first: Option<ActiveConnection<R::Transport>>) {
        let reason = loop {
            let arrived = match first.take() {
                Some(connection) => WaitOutcome::Done(Ok(connection)),
                None => {
                    let Self { connector, state, publisher, config, attempt, .. } = &mut self;
                    // The attempt fulfils earlier requests; a request during the attempt leads to another connection.
                    state.reconnect_requested = false;
                    state.wait_for(establish(connector, publisher, config, attempt), false).await
                }
            };
            let next = match arrived {
                WaitOutcome::Done(Ok(connection)) => self.run_connection(connection).await,
                WaitOutcome::Done(Err(failed)) => self.failed(failed).await,
                WaitOutcome::Closed | WaitOutcome::Woken => NextStep::Close(CloseReason::ClosedLocally),
            };
            if let NextStep::Close(reason) = next {
                break Arc::new(reason);
            }
        };
        self.publisher.update_status(Phase::Closed, |status| {
            status.relay = false;
            status.hub = false;
            status.reason = Some(Arc::clone(&reason));
        });
        self.state.close(&reason).await;
        self.publisher.publish(RelayEvent::Closed(reason));
    }

    /// Runs a verified connection until it ends and returns the next step.
    async fn run_connection(&mut self, connection: ActiveConnection<R::Transport>) -> NextStep {
        let failures = std::mem::take(&mut self.attempt).failures;
        self.alternatives_tried = 0;
        let began = Instant::now();
        self.publisher.update_status(Phase::Live, |status| {
            status.relay = true;
            status.failures = 0;
            status.connections += 1;
        });
        tracing::info!("connected to the hub");
        self.publisher.publish(RelayEvent::Connected);
        match connection.run(&mut self.state).await {
            ConnectionEnd::Closed => NextStep::Close(CloseReason::ClosedLocally),
            ConnectionEnd::Lost(reason) => {
                tracing::info!(%reason, "connection to the hub lost");
                let was_steady = began.elapsed() >= STEADY_TIME;
                if was_steady {
                    self.early_retries = 0;
                } else {
                    self.attempt.failures = failures;
                }
                let reason = Arc::new(reason);
                self.state.pending.connection_lost(&reason);
                self.publisher.publish(RelayEvent::Disconnected(Arc::clone(&reason)));
                self.attempt.credentials_expired = *reason == CloseReason::CredentialsExpired;
                // A relay that reports fresh credentials as expired must not cause a loop of logins.
                let at_once =
                    *reason == CloseReason::Reconnect || *reason == CloseReason::CredentialsExpired && was_steady;
                self.publisher.disconnected(&reason);
                self.attempt.last_close = Some(reason);
                if at_once { NextStep::Reconnect } else { self.back_off().await }
            }
        }
    }

    /// Handles a failed attempt and returns the next step.
    async fn failed(&mut self, failed: FailedAttempt) -> NextStep {
        let FailedAttempt { error, connected, has_alternative } = failed;
        let reason = error.close_reason();
        self.attempt.previous_unverified |= connected;
        self.attempt.previous_refused = error.credentials_expired();
        let gives_up = self.config.max_attempts.is_some_and(|most| self.attempt.failures.saturating_add(1) >= most);
        if has_alternative && !gives_up {
            tracing::info!(%error, "no login over this path to the hub; trying the alternative path");
            self.attempt.last_close = Some(Arc::new(reason));
            self.alternatives_tried = self.alternatives_tried.saturating_add(1);
            return if self.alternatives_tried == 1 { NextStep::Reconnect } else { self.back_off().await };
        }
        // Expired credentials are refreshed without a wait, but only once: a refusal of fresh ones is final.
        let was_fresh = std::mem::replace(&mut self.attempt.credentials_expired, error.credentials_expired());
        if error.is_permanent() || was_fresh && error.credentials_expired() || gives_up {
            return NextStep::Close(reason);
        }
        tracing::info!(%error, failures = self.attempt.failures.saturating_add(1), "connection attempt failed");
        self.attempt.last_close = Some(Arc::new(reason));
        if self.attempt.credentials_expired {
            self.attempt.failures = self.attempt.failures.saturating_add(1);
            return NextStep::Reconnect;
        }
        self.back_off().await
    }

    /// Waits before the next attempt. Up to [`EARLY_WAKES`] times in a row, a pending call shortens the wait.
    async fn back_off(&mut self) -> NextStep {
        self.attempt.failures = self.attempt.failures.saturating_add(1);
        let wait = self.config.backoff.wait(self.attempt.failures, self.jitter.uniform());
        self.publisher.update_status(Phase::BackingOff, |status| {
            status.relay = false;
            status.hub = false;
            status.failures = self.attempt.failures;
            status.reason = self.attempt.last_close.clone();
        });
        // This part of the wait cannot be shortened, so that a call does not reconnect to a failing relay at once.
        let least = wait.min(self.config.backoff.initial / 2);
        match self.state.wait_for(tokio::time::sleep(least), false).await {
            WaitOutcome::Closed => return NextStep::Close(CloseReason::ClosedLocally),
            WaitOutcome::Done(()) | WaitOutcome::Woken => {}
        }
        let rest = wait.saturating_sub(least);
        let may_wake = self.early_retries < EARLY_WAKES;
        let waits_already = may_wake && self.state.pending.next_deadline().is_some();
        let rest = if waits_already { Duration::ZERO } else { rest };
        match self.state.wait_for(tokio::time::sleep(rest), may_wake).await {
            WaitOutcome::Closed => NextStep::Close(CloseReason::ClosedLocally),
            WaitOutcome::Woken => {
                self.early_retries += 1;
                NextStep::Reconnect
            }
            WaitOutcome::Done(()) => {
                self.early_retries += u32::from(waits_already);
                NextStep::Reconnect
            }
        }
    }
}

/// A failed attempt.
#[derive(Debug)]
pub(crate) struct FailedAttempt {
    pub(crate) error: ConnectError,
    /// A connection was opened; login, registration or verification failed.
    pub(crate) connected: bool,
    /// The connector has an alternative path.
    pub(crate) has_alternative: bool,
}

/// Opens a connection, logs in, registers and verifies it.
pub(crate) async fn establish<R: Connector>(
    connector: &mut R,
    publisher: &EventPublisher,
    config: &Arc<SessionConfig>,
    attempt: &ConnectContext,
) -> Result<ActiveConnection<R::Transport>, FailedAttempt> {
    publisher.set_phase(Phase::Dialing);
    let connection = connector.connect(attempt).await;
    let connection = connection.map_err(|error| FailedAttempt { error, connected: false, has_alternative: false })?;
    let mut active = ActiveConnection::new(connection.transport, publisher.clone(), Arc::clone(config));
    let entered = active.authenticate(&connection.login).await;
    let hub = entered.map_err(|error| FailedAttempt {
        error,
        connected: true,
        has_alternative: connection.has_alternative,
    })?;
    publisher.status.send_modify(|status| {
        status.hub = hub;
        status.certificate = connection.certificate.or(status.certificate);
    });
    Ok(active)
}

/// Opens the first connection. Persisted credentials may have expired, and one path may be refused: the connector gets one
/// chance to refresh the credentials, and one to use the alternative path with each of them.
pub(crate) async fn establish_first<R: Connector>(
    connector: &mut R,
    publisher: &EventPublisher,
    config: &Arc<SessionConfig>,
) -> Result<ActiveConnection<R::Transport>, ConnectError> {
    let mut attempt = ConnectContext::default();
    let mut stale = None;
    let mut tried_another_way = false;
    loop {
        let established = establish(connector, publisher, config, &attempt).await;
        let FailedAttempt { error, connected, has_alternative } = match established {
            Ok(connection) => return Ok(connection),
            Err(failed) => failed,
        };
        attempt.previous_unverified |= connected;
        attempt.previous_refused = error.credentials_expired();
        if has_alternative && !tried_another_way {
            tried_another_way = true;
        } else if error.credentials_expired() && stale.is_none() {
            attempt.credentials_expired = true;
            stale = Some(error);
            // Fresh credentials may be tried on both paths.
            tried_another_way = false;
        } else {
            return Err(if matches!(error, ConnectError::CredentialsExhausted) {
                stale.unwrap_or(error)
            } else {
                error
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::CallError;
    use crate::fakes::{FakeHub, Rig, Step};
    use crate::session::RelaySession;
    use ezlo_protocol::hub::method::Kind;
    use ezlo_protocol::rpc::RpcError;
    use serde_json::{Value, json};

    fn config() -> SessionConfig {
        SessionConfig { seed: Some(1), ..SessionConfig::default() }
    }

    fn call(
        session: &RelaySession,
        method: &'static str,
        kind: Kind,
    ) -> tokio::task::JoinHandle<Result<Value, CallError>> {
        let session = session.clone();
        tokio::spawn(async move { session.call_within(method, kind, json!({}), Duration::from_secs(30)).await })
    }

    fn dial_error() -> ConnectError {
        ConnectError::Dial { address: "a".into(), source: std::io::ErrorKind::ConnectionRefused.into() }
    }

    fn refused(data: &str) -> ConnectError {
        ConnectError::Login(RpcError::known(data))
    }

    #[tokio::test(start_paused = true)]
    async fn lost_connection_resends_reads_and_fails_commands_as_unknown() {
        let rig = Rig::new(config());
        let mut hub = rig.link().await;
        let (read, command) = (call(&rig.session, "r", Kind::Read), call(&rig.session, "c", Kind::Command));
        let mut methods = [hub.heard().await["method"].clone(), hub.heard().await["method"].clone()];
        methods.sort_by_key(Value::to_string);
        assert_eq!(methods, ["c", "r"]);
        drop(hub);
        assert!(matches!(command.await.unwrap(), Err(CallError::OutcomeUnknown { .. })));
        let late = call(&rig.session, "late", Kind::Command);
        let mut hub = rig.link().await;
        let mut again = [hub.heard().await, hub.heard().await];
        again.sort_by_key(|call| call["method"].to_string());
        assert_eq!((&again[0]["method"], &again[1]["method"]), (&json!("late"), &json!("r")));
        for call in &again {
            hub.answer(call, json!({"to": call["method"]})).await;
        }
        assert_eq!(read.await.unwrap().unwrap(), json!({"to": "r"}));
        assert_eq!(
            late.await.unwrap().unwrap(),
            json!({"to": "late"}),
            "a call that was not sent is sent on the next connection"
        );
        assert!(hub.hear.try_recv().is_err(), "nothing is sent twice");
    }

    /// Fails five attempts and returns the wait before each.
    async fn five_waits(rig: &mut Rig) -> Vec<Duration> {
        let mut last = Instant::now();
        let mut waits = Vec::new();
        for _ in 0..5 {
            rig.attempts.recv().await.unwrap();
            waits.push(last.elapsed());
            last = Instant::now();
            rig.fail(dial_error()).await;
        }
        waits
    }

    #[tokio::test(start_paused = true)]
    async fn backoff_grows_and_a_steady_connection_resets_it() {
        let mut rig = Rig::new(config());
        let waits = five_waits(&mut rig).await;
        assert!(waits.windows(2).skip(1).all(|pair| pair[0] < pair[1]), "{waits:?}");
        assert_eq!(rig.attempts.recv().await.unwrap().failures, 5);
        let hub = rig.link().await;
        assert_eq!((rig.session.status().failures, rig.session.status().connections), (0, 1));
        tokio::time::advance(STEADY_TIME).await;
        drop(hub);
        let lost = Instant::now();
        assert_eq!(rig.attempts.recv().await.unwrap().failures, 1);
        assert!(lost.elapsed() <= Duration::from_millis(500), "{:?}", lost.elapsed());
        // Connections that are lost at once continue the failure count.
        for failures in 2..5 {
            drop(rig.link().await);
            assert_eq!(rig.attempts.recv().await.unwrap().failures, failures);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn expired_credentials_cause_a_reconnect_and_an_offline_hub_is_reported() {
        let mut rig = Rig::new(config());
        let mut hub = rig.link().await;
        rig.attempts.recv().await.unwrap();
        let away = call(&rig.session, "r", Kind::Read);
        let request = hub.heard().await;
        hub.refuse(&request, "nma.ezlo.notconnected").await;
        away.await.unwrap().unwrap_err();
        assert!(rig.session.status().relay && !rig.session.status().hub);
        let stale = call(&rig.session, "r", Kind::Read);
        let request = hub.heard().await;
        hub.refuse(&request, "nma.token.expired").await;
        stale.await.unwrap().unwrap_err();
        let attempt = rig.attempts.recv().await.unwrap();
        assert!(attempt.credentials_expired, "{attempt:?}");
        assert!(!rig.session.status().relay && !rig.session.status().hub, "unknown without a connection");
    }

    #[tokio::test(start_paused = true)]
    async fn unverified_connection_does_not_reset_the_backoff() {
        let mut rig = Rig::new(config());
        for failures in 0..4 {
            assert_eq!(rig.attempts.recv().await.unwrap().failures, failures);
            let (pipe, mut hub) = FakeHub::pair();
            rig.steps.send(Step::ActiveConnection(pipe)).await.unwrap();
            hub.heard().await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn calls_shorten_the_first_waits_but_not_all() {
        let mut rig = Rig::new(config());
        for _ in 0..8 {
            rig.attempts.recv().await.unwrap();
            rig.fail(dial_error()).await;
        }
        let start = Instant::now();
        let mut waits = Vec::new();
        for _ in 0..6 {
            let waiting = call(&rig.session, "r", Kind::Read);
            rig.attempts.recv().await.unwrap();
            waits.push(start.elapsed());
            rig.fail(dial_error()).await;
            waiting.abort();
        }
        assert!(waits[0] < Duration::from_secs(1), "{waits:?}");
        assert!(waits[5] > Duration::from_secs(30), "{waits:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn expired_credentials_are_refreshed_once() {
        let mut rig = Rig::new(config());
        assert!(!rig.attempts.recv().await.unwrap().credentials_expired);
        rig.fail(refused("cloud.error.mms_autha_token_expired")).await;
        let second = rig.attempts.recv().await.unwrap();
        assert!(second.credentials_expired && second.failures == 1, "without a wait: {second:?}");
        rig.fail(refused("cloud.error.mms_autha_token_expired")).await;
        let mut status = rig.session.watch_status();
        let closed = status.wait_for(|status| status.phase == Phase::Closed).await.unwrap().clone();
        assert!(
            closed.reason.unwrap().to_string().contains("login was refused"),
            "a refusal of fresh credentials closes the session"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn permanent_error_closes_the_session_and_its_calls() {
        let rig = Rig::new(config());
        let waiting = call(&rig.session, "r", Kind::Read);
        rig.fail(ConnectError::Register(RpcError::known("nma.ezlo.notlinked"))).await;
        assert!(matches!(waiting.await.unwrap(), Err(CallError::Closed { .. })));
        assert!(matches!(call(&rig.session, "r", Kind::Read).await.unwrap(), Err(CallError::Closed { .. })));
    }

    #[tokio::test(start_paused = true)]
    async fn session_closes_after_max_attempts() {
        let mut rig = Rig::new(SessionConfig { max_attempts: Some(3), ..config() });
        for _ in 0..3 {
            rig.attempts.recv().await.unwrap();
            rig.fail(dial_error()).await;
        }
        let mut status = rig.session.watch_status();
        status.wait_for(|status| status.phase == Phase::Closed).await.unwrap();
        assert!(rig.attempts.recv().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn pending_call_shortens_three_waits_and_no_more() {
        let short = config().backoff.initial;
        // The call arrives before, and in, the part of the wait that can be shortened.
        for late in [Duration::ZERO, short] {
            let mut rig = Rig::new(config());
            // Eight failures lead to long waits.
            for _ in 0..8 {
                rig.attempts.recv().await.unwrap();
                rig.fail(dial_error()).await;
            }
            tokio::time::advance(late).await;
            let session = rig.session.clone();
            let patient =
                async move { session.call_within("r", Kind::Read, json!({}), Duration::from_secs(3600)).await };
            let waiting = tokio::spawn(patient);
            let waits = five_waits(&mut rig).await;
            waiting.abort();
            let hurried: Vec<bool> = waits.iter().map(|wait| *wait <= short).collect();
            assert_eq!(hurried, [true, true, true, false, false], "{waits:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn connector_is_informed_of_an_unverified_connection() {
        let mut rig = Rig::new(config());
        assert!(!rig.attempts.recv().await.unwrap().previous_unverified);
        rig.fail(dial_error()).await;
        assert!(!rig.attempts.recv().await.unwrap().previous_unverified, "no connection was opened");
        let (pipe, mut hub) = FakeHub::pair();
        rig.steps.send(Step::ActiveConnection(pipe)).await.unwrap();
        hub.heard().await;
        drop(hub);
        let attempt = rig.attempts.recv().await.unwrap();
        assert!(attempt.previous_unverified && !attempt.previous_refused, "{attempt:?}");
        rig.fail(dial_error()).await;
        assert!(
            rig.attempts.recv().await.unwrap().previous_unverified,
            "a failed dial does not replace the last connection"
        );
        let hub = rig.link().await;
        drop(hub);
        assert!(!rig.attempts.recv().await.unwrap().previous_unverified);
    }

    #[tokio::test(start_paused = true)]
    async fn session_closes_in_every_phase() {
        let dialing = Rig::new(config());
        dialing.session.close().await;
        let mut backing_off = Rig::new(config());
        backing_off.attempts.recv().await.unwrap();
        backing_off.fail(dial_error()).await;
        let mut status = backing_off.session.watch_status();
        status.wait_for(|status| status.phase == Phase::BackingOff).await.unwrap();
        backing_off.session.close().await;
        let proving = Rig::new(config());
        let (pipe, mut hub) = FakeHub::pair();
        proving.steps.send(Step::ActiveConnection(pipe)).await.unwrap();
        hub.heard().await;
        proving.session.close().await;
        let live = Rig::new(config());
        let _hub = live.link().await;
        live.session.close().await;
    }

    #[tokio::test(start_paused = true)]
    async fn slow_subscriber_receives_the_number_of_lost_events() {
        let rig = Rig::new(SessionConfig { event_capacity: 4, ..config() });
        let mut events = rig.session.events();
        let hub = rig.link().await;
        assert!(matches!(events.next().await, Some(RelayEvent::Connected)));
        for at in 0..10 {
            hub.say(json!({"msg_subclass": "hub.new", "result": {"at": at}})).await;
        }
        drop(hub);
        let mut status = rig.session.watch_status();
        status.wait_for(|status| status.phase == Phase::BackingOff).await.unwrap();
        let mut received = Vec::new();
        for _ in 0..5 {
            received.push(match events.next().await {
                Some(RelayEvent::Lagged(lost)) => format!("lost {lost}"),
                Some(RelayEvent::Hub(event)) => event.content()["at"].to_string(),
                Some(RelayEvent::Disconnected(_)) => "down".to_owned(),
                other => format!("{other:?}"),
            });
        }
        assert_eq!(received, ["lost 7", "7", "8", "9", "down"]);
    }

    #[tokio::test(start_paused = true)]
    async fn buffered_broadcasts_are_limited_in_bytes() {
        let rig = Rig::new(SessionConfig { event_bytes: 5_000, ..config() });
        let mut events = rig.session.events();
        let hub = rig.link().await;
        let text = "x".repeat(2_000);
        for round in 0..2 {
            for at in 0..4 {
                hub.say(json!({"msg_subclass": "hub.new", "result": {"at": at, "text": text}})).await;
            }
            hub.say(json!({"msg_subclass": "hub.new", "result": {"at": "small"}})).await;
            let mut received = Vec::new();
            while received.len() < 5 {
                match events.next().await {
                    Some(RelayEvent::Lagged(lost)) => received.push(format!("lost {lost}")),
                    Some(RelayEvent::Hub(event)) => received.push(event.content()["at"].to_string()),
                    _ => {}
                }
            }
            assert_eq!(received, ["0", "1", "lost 1", "lost 1", "\"small\""], "round {round}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn hub_state_broadcast_changes_the_hub_status_only() {
        let rig = Rig::new(config());
        let hub = rig.link().await;
        let mut status = rig.session.watch_status();
        for connected in [false, true] {
            hub.say(
                json!({"msg_subclass": "EZLOSTATECHANGED", "result": {"serial": "90000001", "connected": connected}}),
            )
            .await;
            let now = status.wait_for(|status| status.hub == connected).await.unwrap().clone();
            assert!(now.relay && now.is_live());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn dropped_calls_are_not_sent() {
        let rig = Rig::new(config());
        let dropped: Vec<_> = (0..100).map(|_| call(&rig.session, "never", Kind::Command)).collect();
        tokio::task::yield_now().await;
        dropped.iter().for_each(tokio::task::JoinHandle::abort);
        for handle in dropped {
            assert!(handle.await.is_err_and(|error| error.is_cancelled()));
        }
        let mut hub = rig.link().await;
        let kept = call(&rig.session, "kept", Kind::Command);
        let request = hub.heard().await;
        assert_eq!(request["method"], "kept", "the other calls were dropped");
        hub.answer(&request, json!({})).await;
        kept.await.unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn repeated_expiry_of_fresh_credentials_backs_off() {
        let mut rig = Rig::new(config());
        let mut waits = Vec::new();
        for _ in 0..6 {
            let mut hub = rig.link().await;
            assert_eq!(rig.attempts.recv().await.unwrap().credentials_expired, !waits.is_empty());
            let read = call(&rig.session, "r", Kind::Read);
            let request = hub.heard().await;
            hub.refuse(&request, "nma.token.expired").await;
            read.await.unwrap().unwrap_err();
            let refused = Instant::now();
            let mut status = rig.session.watch_status();
            status.wait_for(|status| status.phase == Phase::Dialing).await.unwrap();
            waits.push(refused.elapsed());
        }
        assert!(
            waits.windows(2).skip(1).all(|pair| pair[0] < pair[1]) && waits[5] > Duration::from_secs(4),
            "{waits:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn alternative_path_is_tried_at_once_without_new_credentials() {
        let (mut connector, steps, mut attempts) = crate::fakes::FakeRoute::new();
        connector.has_alternative = true;
        let session = RelaySession::connect_lazy(connector, config());
        let refuse = async |attempts: &mut tokio::sync::mpsc::UnboundedReceiver<ConnectContext>| {
            let attempt = attempts.recv().await.unwrap();
            let (pipe, mut hub) = FakeHub::pair();
            steps.send(Step::ActiveConnection(pipe)).await.unwrap();
            let request = hub.heard().await;
            hub.refuse(&request, "nma.token.expired").await;
            attempt
        };
        let began = Instant::now();
        refuse(&mut attempts).await;
        let second = refuse(&mut attempts).await;
        assert!(second.previous_unverified && second.previous_refused && !second.credentials_expired, "{second:?}");
        assert_eq!(began.elapsed(), Duration::ZERO, "without a wait");
        refuse(&mut attempts).await;
        assert!(began.elapsed() > Duration::ZERO, "the second time with a wait");
        session.close().await;
    }

    #[tokio::test(start_paused = true)]
    async fn reconnect_request_persists_while_connecting_and_during_calls() {
        let mut rig = Rig::new(config());
        rig.attempts.recv().await.unwrap();
        rig.session.reconnect().await;
        tokio::task::yield_now().await;
        let (pipe, mut hub) = FakeHub::pair();
        rig.steps.send(Step::ActiveConnection(pipe)).await.unwrap();
        hub.prove().await;
        assert_eq!(rig.attempts.recv().await.unwrap().last_close.as_deref(), Some(&CloseReason::Reconnect));
        let mut hub = rig.link().await;
        let slow = call(&rig.session, "slow", Kind::Command);
        let request = hub.heard().await;
        rig.session.reconnect().await;
        tokio::task::yield_now().await;
        let later = call(&rig.session, "later", Kind::Command);
        let next = hub.heard().await;
        assert_eq!(next["method"], "later", "new calls are sent after five seconds");
        hub.answer(&next, json!({})).await;
        later.await.unwrap().unwrap();
        assert!(rig.attempts.try_recv().is_err());
        hub.answer(&request, json!({})).await;
        slow.await.unwrap().unwrap();
        assert_eq!(
            rig.attempts.recv().await.unwrap().last_close.as_deref(),
            Some(&CloseReason::Reconnect),
            "the request persists"
        );
    }
}
