//! The task behind a session: from attempt to attempt, one function for each thing it does.
//!
//! ```text
//!            +--------------------- backing off <---------+
//!            v                                            |
//!   dialing -> logging in -> registering -> syncing -> live
//!            |                                            |
//!            +-----------------> closed <-----------------+
//! ```

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

/// How long a link must have lived before the waits begin anew: a relay that takes us and throws us out again must not be
/// asked all the time.
const STEADY_TIME: Duration = Duration::from_secs(5);

/// How often a call may cut a wait short before the waits grow all the same: a caller in a loop must not hammer a relay.
const EARLY_WAKES: u32 = 3;

pub(crate) struct Supervisor<R: Connector> {
    route: R,
    desk: SessionState,
    voice: EventPublisher,
    config: Arc<SessionConfig>,
    chance: Jitter,
    attempt: ConnectContext,
    early_retries: u32,
    /// Ways in a row that did not let us in although there was another.
    alternatives_tried: u32,
}

/// What to do next.
enum NextStep {
    Reconnect,
    Close(CloseReason),
}

impl<R: Connector> Supervisor<R> {
    pub(crate) fn new(route: R, desk: SessionState, voice: EventPublisher, config: Arc<SessionConfig>) -> Self {
        let chance = Jitter::new(config.seed);
        Self {
            route,
            desk,
            voice,
            config,
            chance,
            attempt: ConnectContext::default(),
            early_retries: 0,
            alternatives_tried: 0,
        }
    }

    /// Runs until the session is over, from a link that is up already or from none.
    pub(crate) async fn run(mut self, mut first: Option<ActiveConnection<R::Transport>>) {
        let reason = loop {
            let arrived = match first.take() {
                Some(link) => WaitOutcome::Done(Ok(link)),
                None => {
                    let Self { route, desk, voice, config, attempt, .. } = &mut self;
                    // What was wished for begins now; what is wished for from now on is another link.
                    desk.reconnect_requested = false;
                    desk.wait_for(establish(route, voice, config, attempt), false).await
                }
            };
            let next = match arrived {
                WaitOutcome::Done(Ok(link)) => self.run_connection(link).await,
                WaitOutcome::Done(Err(failed)) => self.failed(failed).await,
                WaitOutcome::Closed | WaitOutcome::Woken => NextStep::Close(CloseReason::ClosedLocally),
            };
            if let NextStep::Close(reason) = next {
                break Arc::new(reason);
            }
        };
        self.voice.update_status(Phase::Closed, |status| {
            status.relay = false;
            status.hub = false;
            status.reason = Some(Arc::clone(&reason));
        });
        self.desk.close(&reason).await;
        self.voice.publish(RelayEvent::Closed(reason));
    }

    /// The link is proven: failures are forgotten, calls go out.
    async fn run_connection(&mut self, link: ActiveConnection<R::Transport>) -> NextStep {
        let failures = std::mem::take(&mut self.attempt).failures;
        self.alternatives_tried = 0;
        let began = Instant::now();
        self.voice.update_status(Phase::Live, |status| {
            status.relay = true;
            status.failures = 0;
            status.connections += 1;
        });
        tracing::info!("the link to the hub is up");
        self.voice.publish(RelayEvent::Connected);
        match link.run(&mut self.desk).await {
            ConnectionEnd::Closed => NextStep::Close(CloseReason::ClosedLocally),
            ConnectionEnd::Lost(reason) => {
                tracing::info!(%reason, "the link to the hub is lost");
                let was_steady = began.elapsed() >= STEADY_TIME;
                if was_steady {
                    self.early_retries = 0;
                } else {
                    self.attempt.failures = failures;
                }
                let reason = Arc::new(reason);
                self.desk.ledger.connection_lost(&reason);
                self.voice.publish(RelayEvent::Disconnected(Arc::clone(&reason)));
                self.attempt.credentials_expired = *reason == CloseReason::CredentialsExpired;
                // A relay that calls fresh credentials stale is not asked, and not logged in for, all the time.
                let at_once =
                    *reason == CloseReason::Reconnect || *reason == CloseReason::CredentialsExpired && was_steady;
                self.voice.disconnected(&reason);
                self.attempt.last_close = Some(reason);
                if at_once { NextStep::Reconnect } else { self.back_off().await }
            }
        }
    }

    /// No link came of the attempt.
    async fn failed(&mut self, failed: FailedAttempt) -> NextStep {
        let FailedAttempt { error, connected, has_alternative } = failed;
        let reason = error.close_reason();
        self.attempt.previous_unverified |= connected;
        self.attempt.previous_refused = error.credentials_expired();
        let gives_up = self.config.max_attempts.is_some_and(|most| self.attempt.failures.saturating_add(1) >= most);
        if has_alternative && !gives_up {
            tracing::info!(%error, "one way to the hub does not let us in");
            self.attempt.last_close = Some(Arc::new(reason));
            self.alternatives_tried = self.alternatives_tried.saturating_add(1);
            return if self.alternatives_tried == 1 { NextStep::Reconnect } else { self.back_off().await };
        }
        // Stale credentials are refreshed at once, but only once: fresh ones that are refused are no use.
        let was_fresh = std::mem::replace(&mut self.attempt.credentials_expired, error.credentials_expired());
        if error.is_permanent() || was_fresh && error.credentials_expired() || gives_up {
            return NextStep::Close(reason);
        }
        tracing::info!(%error, failures = self.attempt.failures.saturating_add(1), "no link to the hub");
        self.attempt.last_close = Some(Arc::new(reason));
        if self.attempt.credentials_expired {
            self.attempt.failures = self.attempt.failures.saturating_add(1);
            return NextStep::Reconnect;
        }
        self.back_off().await
    }

    /// Waits before the next attempt; a call that wants a link cuts it short, a few times.
    async fn back_off(&mut self) -> NextStep {
        self.attempt.failures = self.attempt.failures.saturating_add(1);
        let wait = self.config.backoff.wait(self.attempt.failures, self.chance.uniform());
        self.voice.update_status(Phase::BackingOff, |status| {
            status.relay = false;
            status.hub = false;
            status.failures = self.attempt.failures;
            status.reason = self.attempt.last_close.clone();
        });
        // A caller who asks at once still lets a relay that just closed the door breathe.
        let least = wait.min(self.config.backoff.initial / 2);
        match self.desk.wait_for(tokio::time::sleep(least), false).await {
            WaitOutcome::Closed => return NextStep::Close(CloseReason::ClosedLocally),
            WaitOutcome::Done(()) | WaitOutcome::Woken => {}
        }
        let rest = wait.saturating_sub(least);
        let may_wake = self.early_retries < EARLY_WAKES;
        let waits_already = may_wake && self.desk.ledger.next_deadline().is_some();
        let rest = if waits_already { Duration::ZERO } else { rest };
        match self.desk.wait_for(tokio::time::sleep(rest), may_wake).await {
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

/// An attempt that came to nothing.
#[derive(Debug)]
pub(crate) struct FailedAttempt {
    pub(crate) error: ConnectError,
    /// A connection was made.
    pub(crate) connected: bool,
    /// The route has another way.
    pub(crate) has_alternative: bool,
}

/// Dials, logs in, registers, syncs.
pub(crate) async fn establish<R: Connector>(
    route: &mut R,
    voice: &EventPublisher,
    config: &Arc<SessionConfig>,
    attempt: &ConnectContext,
) -> Result<ActiveConnection<R::Transport>, FailedAttempt> {
    voice.set_phase(Phase::Dialing);
    let arrival = route.connect(attempt).await;
    let arrival = arrival.map_err(|error| FailedAttempt { error, connected: false, has_alternative: false })?;
    let mut link = ActiveConnection::new(arrival.transport, voice.clone(), Arc::clone(config));
    let entered = link.authenticate(&arrival.login).await;
    let hub =
        entered.map_err(|error| FailedAttempt { error, connected: true, has_alternative: arrival.has_alternative })?;
    voice.status.send_modify(|status| {
        status.hub = hub;
        status.certificate = arrival.certificate.or(status.certificate);
    });
    Ok(link)
}

/// The first link. Kept credentials may be old ones, and one way may not let us in: the route may have others of both.
pub(crate) async fn establish_first<R: Connector>(
    route: &mut R,
    voice: &EventPublisher,
    config: &Arc<SessionConfig>,
) -> Result<ActiveConnection<R::Transport>, ConnectError> {
    let mut attempt = ConnectContext::default();
    let mut stale = None;
    let mut tried_another_way = false;
    loop {
        let FailedAttempt { error, connected, has_alternative } = match establish(route, voice, config, &attempt).await
        {
            Ok(link) => return Ok(link),
            Err(failed) => failed,
        };
        attempt.previous_unverified |= connected;
        attempt.previous_refused = error.credentials_expired();
        if has_alternative && !tried_another_way {
            tried_another_way = true;
        } else if error.credentials_expired() && stale.is_none() {
            attempt.credentials_expired = true;
            stale = Some(error);
            // With fresh ones each way may be tried again.
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
    async fn reads_survive_a_lost_link_and_commands_end_as_unknown() {
        let rig = Rig::new(config());
        let mut hub = rig.link().await;
        let (read, command) = (call(&rig.session, "r", Kind::Read), call(&rig.session, "c", Kind::Command));
        let mut heard = [hub.heard().await["method"].clone(), hub.heard().await["method"].clone()];
        heard.sort_by_key(Value::to_string);
        assert_eq!(heard, ["c", "r"]);
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
        assert_eq!(late.await.unwrap().unwrap(), json!({"to": "late"}), "it never left before, so it is sent now");
        assert!(hub.hear.try_recv().is_err(), "nothing is sent twice");
    }

    /// How long five attempts that fail waited, each for its turn.
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
    async fn waits_grow_and_a_proven_link_forgets_them() {
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
        // One that takes us and throws us out at once is not asked all the time.
        for failures in 2..5 {
            drop(rig.link().await);
            assert_eq!(rig.attempts.recv().await.unwrap().failures, failures);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn credentials_that_die_on_a_link_are_replaced_and_the_hubs_absence_is_learned() {
        let mut rig = Rig::new(config());
        let mut hub = rig.link().await;
        rig.attempts.recv().await.unwrap();
        let away = call(&rig.session, "r", Kind::Read);
        let heard = hub.heard().await;
        hub.refuse(&heard, "nma.ezlo.notconnected").await;
        away.await.unwrap().unwrap_err();
        assert!(rig.session.status().relay && !rig.session.status().hub);
        let stale = call(&rig.session, "r", Kind::Read);
        let heard = hub.heard().await;
        hub.refuse(&heard, "nma.token.expired").await;
        stale.await.unwrap().unwrap_err();
        let attempt = rig.attempts.recv().await.unwrap();
        assert!(attempt.credentials_expired, "{attempt:?}");
        assert!(!rig.session.status().relay && !rig.session.status().hub, "nothing is known without a link");
    }

    #[tokio::test(start_paused = true)]
    async fn a_link_that_is_never_proven_does_not_reset_the_waits() {
        let mut rig = Rig::new(config());
        for failures in 0..4 {
            assert_eq!(rig.attempts.recv().await.unwrap().failures, failures);
            let (pipe, mut hub) = FakeHub::pair();
            rig.steps.send(Step::ActiveConnection(pipe)).await.unwrap();
            hub.heard().await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_wakes_the_next_attempt_but_does_not_hammer() {
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
    async fn stale_credentials_are_refreshed_once() {
        let mut rig = Rig::new(config());
        assert!(!rig.attempts.recv().await.unwrap().credentials_expired);
        rig.fail(refused("cloud.error.mms_autha_token_expired")).await;
        let second = rig.attempts.recv().await.unwrap();
        assert!(second.credentials_expired && second.failures == 1, "at once, without a wait: {second:?}");
        rig.fail(refused("cloud.error.mms_autha_token_expired")).await;
        let mut status = rig.session.watch_status();
        let closed = status.wait_for(|status| status.phase == Phase::Closed).await.unwrap().clone();
        assert!(closed.reason.unwrap().to_string().contains("login was refused"), "fresh ones that are refused end it");
    }

    #[tokio::test(start_paused = true)]
    async fn what_will_not_change_ends_the_session_and_its_calls() {
        let rig = Rig::new(config());
        let waiting = call(&rig.session, "r", Kind::Read);
        rig.fail(ConnectError::Register(RpcError::known("nma.ezlo.notlinked"))).await;
        assert!(matches!(waiting.await.unwrap(), Err(CallError::Closed { .. })));
        assert!(matches!(call(&rig.session, "r", Kind::Read).await.unwrap(), Err(CallError::Closed { .. })));
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_on_attempts_holds() {
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
    async fn a_call_that_waits_hurries_three_attempts_and_no_more() {
        let short = config().backoff.initial;
        // The call comes at once, and while the wait that can be cut short has begun.
        for late in [Duration::ZERO, short] {
            let mut rig = Rig::new(config());
            // Into long waits first.
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
    async fn a_connection_that_came_to_nothing_is_told_to_the_route() {
        let mut rig = Rig::new(config());
        assert!(!rig.attempts.recv().await.unwrap().previous_unverified);
        rig.fail(dial_error()).await;
        assert!(!rig.attempts.recv().await.unwrap().previous_unverified, "there was no connection");
        let (pipe, mut hub) = FakeHub::pair();
        rig.steps.send(Step::ActiveConnection(pipe)).await.unwrap();
        hub.heard().await;
        drop(hub);
        let attempt = rig.attempts.recv().await.unwrap();
        assert!(attempt.previous_unverified && !attempt.previous_refused, "{attempt:?}");
        rig.fail(dial_error()).await;
        assert!(rig.attempts.recv().await.unwrap().previous_unverified, "still the last connection there was");
        let hub = rig.link().await;
        drop(hub);
        assert!(!rig.attempts.recv().await.unwrap().previous_unverified);
    }

    #[tokio::test(start_paused = true)]
    async fn the_session_can_be_closed_in_every_phase() {
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
    async fn events_tell_every_gap() {
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
        let mut told = Vec::new();
        for _ in 0..5 {
            told.push(match events.next().await {
                Some(RelayEvent::Lagged(lost)) => format!("lost {lost}"),
                Some(RelayEvent::Hub(event)) => event.content()["at"].to_string(),
                Some(RelayEvent::Disconnected(_)) => "down".to_owned(),
                other => format!("{other:?}"),
            });
        }
        assert_eq!(told, ["lost 7", "7", "8", "9", "down"]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_hubs_presence_is_a_fact_of_its_own() {
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
    async fn calls_can_be_dropped_at_any_time() {
        let rig = Rig::new(config());
        let dropped: Vec<_> = (0..100).map(|_| call(&rig.session, "never", Kind::Command)).collect();
        tokio::task::yield_now().await;
        dropped.iter().for_each(tokio::task::JoinHandle::abort);
        for handle in dropped {
            assert!(handle.await.is_err_and(|error| error.is_cancelled()));
        }
        let mut hub = rig.link().await;
        let kept = call(&rig.session, "kept", Kind::Command);
        let heard = hub.heard().await;
        assert_eq!(heard["method"], "kept", "nobody waits for the others any more");
        hub.answer(&heard, json!({})).await;
        kept.await.unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_relay_that_calls_everything_stale_is_not_asked_all_the_time() {
        let mut rig = Rig::new(config());
        let mut waits = Vec::new();
        for _ in 0..6 {
            let mut hub = rig.link().await;
            assert_eq!(rig.attempts.recv().await.unwrap().credentials_expired, !waits.is_empty());
            let read = call(&rig.session, "r", Kind::Read);
            let heard = hub.heard().await;
            hub.refuse(&heard, "nma.token.expired").await;
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
    async fn another_way_is_taken_at_once_and_its_refusal_says_nothing_of_the_credentials() {
        let (mut route, steps, mut attempts) = crate::fakes::FakeRoute::new();
        route.has_alternative = true;
        let session = RelaySession::connect_lazy(route, config());
        let refuse = async |attempts: &mut tokio::sync::mpsc::UnboundedReceiver<ConnectContext>| {
            let attempt = attempts.recv().await.unwrap();
            let (pipe, mut hub) = FakeHub::pair();
            steps.send(Step::ActiveConnection(pipe)).await.unwrap();
            let proof = hub.heard().await;
            hub.refuse(&proof, "nma.token.expired").await;
            attempt
        };
        let began = Instant::now();
        refuse(&mut attempts).await;
        let second = refuse(&mut attempts).await;
        assert!(second.previous_unverified && second.previous_refused && !second.credentials_expired, "{second:?}");
        assert_eq!(began.elapsed(), Duration::ZERO, "at once");
        refuse(&mut attempts).await;
        assert!(began.elapsed() > Duration::ZERO, "but not again and again");
        session.close().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_wish_for_a_new_link_is_kept_while_one_is_made_and_while_calls_run_on() {
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
        let heard = hub.heard().await;
        rig.session.reconnect().await;
        tokio::task::yield_now().await;
        let later = call(&rig.session, "later", Kind::Command);
        let next = hub.heard().await;
        assert_eq!(next["method"], "later", "nobody waits longer than five seconds for a call that hangs");
        hub.answer(&next, json!({})).await;
        later.await.unwrap().unwrap();
        assert!(rig.attempts.try_recv().is_err());
        hub.answer(&heard, json!({})).await;
        slow.await.unwrap().unwrap();
        assert_eq!(
            rig.attempts.recv().await.unwrap().last_close.as_deref(),
            Some(&CloseReason::Reconnect),
            "the wish was kept"
        );
    }
}
