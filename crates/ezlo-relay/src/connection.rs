//! One connection: login, verification, and the event loop until it ends.

use std::sync::Arc;
use std::time::Duration;

use ezlo_protocol::error::RetryClass;
use ezlo_protocol::hub::broadcast::Event;
use ezlo_protocol::hub::login::{LoginUserMios, OfflineLogin, Register};
use ezlo_protocol::hub::method::{InfoGet, LocalLogin, Method as _, ModesCurrent, RelayLogin, RelayRegister};
use ezlo_protocol::rpc::{Envelope, FrameKind, RpcError};
use ezlo_protocol::secret::masked;
use ezlo_protocol::wire;
use futures_util::FutureExt as _;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::config::{KeepAlive, SessionConfig};
use crate::endpoint::HubCredentials;
use crate::error::{CloseReason, ConnectError};
use crate::event::RelayEvent;
use crate::state::{EventPublisher, Instruction, SessionState};
use crate::status::{AtomicCounters, Phase};
use crate::transport::{Incoming, Transport};

/// Request id of the keep-alive call.
const PROBE: &str = "keep-alive";
/// Time for which new calls wait after a reconnect request, while other calls are in flight.
const LEAVING_TIME: Duration = Duration::from_secs(5);
/// Number of received frames after which the task yields.
const BREATH: u32 = 64;
/// Time limit of the closing handshake.
const CLOSE_TIME: Duration = Duration::from_secs(2);

/// An open connection with the settings and the publisher of its session.
pub(crate) struct ActiveConnection<T> {
    transport: T,
    publisher: EventPublisher,
    config: Arc<SessionConfig>,
}

/// The reason for which the event loop ended.
#[derive(Debug)]
pub(crate) enum ConnectionEnd {
    /// The connection was lost, or is to be replaced.
    Lost(CloseReason),
    /// The handle closed the session.
    Closed,
}

impl<T: Transport> ActiveConnection<T> {
    pub(crate) const fn new(transport: T, publisher: EventPublisher, config: Arc<SessionConfig>) -> Self {
        Self { transport, publisher, config }
    }

    /// Logs in, registers for the hub at the relay and verifies the connection. Returns true if the hub is online. An offline
    /// hub is not an error: the relay sends a broadcast when it returns.
    pub(crate) async fn authenticate(&mut self, login: &HubCredentials) -> Result<bool, ConnectError> {
        match login {
            HubCredentials::Anonymous => {}
            HubCredentials::Local(credentials) => {
                self.publisher.set_phase(Phase::LoggingIn);
                let params = OfflineLogin {
                    user: credentials.user.as_str().into(),
                    token: credentials.token.clone(),
                    ..OfflineLogin::default()
                };
                self.log_in(LocalLogin::NAME, wire::to_value(&params)).await?;
            }
            HubCredentials::Relay { pair, serial } => {
                self.publisher.set_phase(Phase::LoggingIn);
                let params = LoginUserMios {
                    identity: pair.identity.clone(),
                    signature: pair.signature.clone(),
                    ..LoginUserMios::default()
                };
                self.log_in(RelayLogin::NAME, wire::to_value(&params)).await?;
                self.publisher.serial = Some(serial.clone());
                self.publisher.set_phase(Phase::Registering);
                let register = wire::to_value(&Register::user(serial.clone()));
                self.request("registration", RelayRegister::NAME, register).await?.map_err(ConnectError::Register)?;
            }
        }
        self.publisher.set_phase(Phase::Verifying);
        // Any reply proves that the connection works, including a refusal because the hub is offline.
        let proof = self.request("verification", InfoGet::NAME, json!({})).await?;
        match proof {
            Err(error) if error.class() == RetryClass::LogInAgain => Err(ConnectError::Login(error)),
            Err(error) => Ok(presence(&error).unwrap_or_default()),
            Ok(()) => Ok(true),
        }
    }

    /// Logs in. An "already logged in" error counts as success.
    async fn log_in(&mut self, method: &str, params: Value) -> Result<(), ConnectError> {
        match self.request("login", method, params).await? {
            Err(error) if error.class() == RetryClass::AlreadySo => Ok(()),
            outcome => outcome.map_err(ConnectError::Login),
        }
    }

    /// Sends a call and waits for its reply. Broadcasts that arrive meanwhile are published.
    async fn request(
        &mut self,
        phase: &'static str,
        method: &str,
        params: Value,
    ) -> Result<Result<(), RpcError>, ConnectError> {
        let id = format!("{method}-0");
        let closed = |reason| ConnectError::Closed { phase, reason };
        let limit = self.config.handshake_timeout;
        let exchange = async {
            self.transport.send(frame(&id, method, &params)).await.map_err(closed)?;
            loop {
                let Incoming::Text(text) = self.transport.receive().await.map_err(closed)? else { continue };
                match self.publisher.read(&text) {
                    Some((answered, outcome)) if answered == id => return Ok(outcome.map(|_| ())),
                    Some((foreign, _)) => self.publisher.on_unsolicited_reply(foreign),
                    None => {}
                }
            }
        };
        tokio::time::timeout(limit, exchange).await.map_err(|_| ConnectError::TimedOut { phase })?
    }

    /// Carries calls, replies and broadcasts until the connection ends. Performs the closing handshake if the session closes.
    pub(crate) async fn run(mut self, state: &mut SessionState) -> ConnectionEnd {
        match self.event_loop(state).await {
            ConnectionEnd::Closed => {
                let _ = tokio::time::timeout(CLOSE_TIME, self.transport.close()).await;
                ConnectionEnd::Closed
            }
            lost => lost,
        }
    }

    async fn event_loop(&mut self, state: &mut SessionState) -> ConnectionEnd {
        let silence = self.config.idle_timeout;
        let mut heard = Instant::now();
        let mut probed = false;
        let mut came: u32 = 0;
        // New calls wait for the next connection until this time.
        let mut held_until = Instant::now();
        // Reset only if it would fire too late: most frames arrive long before it fires.
        let mut alarm = std::pin::pin!(tokio::time::sleep_until(heard + silence / 2));
        loop {
            if state.reconnect_requested && !state.pending.is_busy() {
                return ConnectionEnd::Lost(CloseReason::Reconnect);
            }
            let holds = state.reconnect_requested && Instant::now() < held_until;
            if !holds && let Err(reason) = self.send_waiting(state).await {
                return ConnectionEnd::Lost(reason);
            }
            let mut wake = heard + if probed { silence } else { silence / 2 };
            if let Some(deadline) = state.pending.next_deadline() {
                wake = wake.min(deadline);
            }
            if holds {
                wake = wake.min(held_until);
            }
            if wake < alarm.deadline() || alarm.is_elapsed() {
                alarm.as_mut().reset(wake);
            }
            tokio::select! {
                // Not biased: a hub that sends continuously must not starve the commands.
                incoming = self.transport.receive() => {
                    (heard, probed) = (Instant::now(), false);
                    if let Some(reason) = self.on_incoming(state, incoming) {
                        return ConnectionEnd::Lost(reason);
                    }
                    came = came.wrapping_add(1);
                    if came.is_multiple_of(BREATH) {
                        // A hub that sends continuously must not starve other tasks of the runtime.
                        tokio::task::yield_now().await;
                    }
                }
                asked = state.next() => match asked {
                    Instruction::Close => return ConnectionEnd::Closed,
                    // A slow call in flight must not delay all other calls.
                    Instruction::Reconnect => held_until = Instant::now() + LEAVING_TIME,
                    Instruction::Call => {}
                },
                () = &mut alarm => {
                    let now = Instant::now();
                    state.pending.expire(now);
                    if now >= heard + silence {
                        // On a busy machine, a frame may have arrived that was not read yet.
                        let Some(incoming) = self.transport.receive().now_or_never() else {
                            return ConnectionEnd::Lost(CloseReason::IdleTimeout);
                        };
                        (heard, probed) = (now, false);
                        if let Some(reason) = self.on_incoming(state, incoming) {
                            return ConnectionEnd::Lost(reason);
                        }
                        continue;
                    }
                    if now >= heard + silence / 2 && !probed {
                        probed = true;
                        if let Err(reason) = self.probe().await {
                            return ConnectionEnd::Lost(reason);
                        }
                    }
                }
            }
        }
    }

    /// Handles a received frame. Returns a reason if the connection has ended.
    fn on_incoming(&self, state: &mut SessionState, incoming: Result<Incoming, CloseReason>) -> Option<CloseReason> {
        match incoming {
            Ok(Incoming::Text(text)) => self.on_text(state, &text).then_some(CloseReason::CredentialsExpired),
            Ok(Incoming::NonText) => {
                self.publisher.bad_frame("");
                None
            }
            Ok(Incoming::Control) => None,
            Err(reason) => Some(reason),
        }
    }

    /// Sends the queued calls. A call counts as sent before its bytes are written, so that a command whose write failed
    /// half-way is not sent again.
    async fn send_waiting(&mut self, state: &mut SessionState) -> Result<(), CloseReason> {
        while let Some((id, call)) = state.pending.take_unsent() {
            let text = frame(&id, &call.method, &call.params);
            let sent = tokio::time::timeout(self.config.handshake_timeout, self.transport.send(text)).await;
            sent.unwrap_or(Err(CloseReason::IdleTimeout))?;
        }
        Ok(())
    }

    async fn probe(&mut self) -> Result<(), CloseReason> {
        let probing = async {
            match self.config.keep_alive {
                KeepAlive::Passive => Ok(()),
                KeepAlive::Ping => self.transport.ping().await,
                KeepAlive::Query => self.transport.send(frame(PROBE, ModesCurrent::NAME, &json!({}))).await,
            }
        };
        tokio::time::timeout(self.config.handshake_timeout, probing).await.unwrap_or(Err(CloseReason::IdleTimeout))
    }

    /// Handles a text frame. Returns true if it is a reply that requires a new login.
    fn on_text(&self, state: &mut SessionState, text: &str) -> bool {
        let Some((id, outcome)) = self.publisher.read(text) else { return false };
        let stale = outcome.as_ref().is_err_and(|error| error.class() == RetryClass::LogInAgain);
        match outcome.as_ref().map_err(presence) {
            Ok(_) | Err(Some(true)) => self.publisher.set_hub_online(true),
            Err(Some(false)) => self.publisher.set_hub_online(false),
            Err(None) => {}
        }
        if id != PROBE && !state.pending.resolve(&id, outcome) {
            self.publisher.on_unsolicited_reply(id);
        }
        stale
    }
}

impl EventPublisher {
    fn on_unsolicited_reply(&self, id: String) {
        AtomicCounters::add(&self.counters.unsolicited_replies);
        self.publish(RelayEvent::UnsolicitedReply { id: masked(&id) });
    }

    fn bad_frame(&self, text: &str) {
        AtomicCounters::add(&self.counters.bad_frames);
        self.publish(RelayEvent::BadFrame { text: masked(text) });
    }

    /// Decodes a frame. Returns the id and outcome of a reply; publishes everything else as an event, undecodable frames too.
    pub(crate) fn read(&self, text: &str) -> Option<(String, Result<Box<RawValue>, RpcError>)> {
        let Ok(envelope) = Envelope::parse(text) else {
            self.bad_frame(text);
            return None;
        };
        let value = |raw: Option<&RawValue>| {
            raw.and_then(|raw| serde_json::from_str::<Value>(raw.get()).ok()).unwrap_or(Value::Null)
        };
        match envelope.kind() {
            FrameKind::Reply => {
                let id = match value(envelope.id) {
                    Value::String(id) => id,
                    other => other.to_string(),
                };
                let outcome = match envelope.error {
                    None => Ok(envelope.result.unwrap_or(RawValue::NULL).to_owned()),
                    Some(raw) => Err(serde_json::from_str(raw.get())
                        .unwrap_or_else(|_| RpcError::new(0, "", "error object of unknown format"))),
                };
                Some((id, outcome))
            }
            FrameKind::Broadcast => {
                if envelope.msg_id.is_some_and(|id| !self.counters.is_new(id.get())) {
                    AtomicCounters::add(&self.counters.duplicate_broadcasts);
                    return None;
                }
                let name = envelope.msg_subclass.as_deref().unwrap_or_default();
                match Event::parse(name, &value(envelope.result)) {
                    Ok(event) => self.on_event(event, text.len()),
                    Err(_) => self.bad_frame(text),
                }
                None
            }
            FrameKind::Request | FrameKind::Unknown => {
                self.bad_frame(text);
                None
            }
        }
    }

    fn on_event(&self, event: Event, bytes: usize) {
        if let Event::HubState(change) = &event
            && let Some(there) = change.connected.get()
            && self.is_ours(change)
        {
            self.set_hub_online(*there);
        }
        if matches!(event, Event::Unknown { .. }) {
            AtomicCounters::add(&self.counters.unknown_broadcasts);
        }
        self.publish_broadcast(event, bytes);
    }
}

/// Returns the state of the hub according to an error: offline, or unknown, for an error of the relay; online for an error
/// of the hub itself.
fn presence(error: &RpcError) -> Option<bool> {
    match error.data() {
        "nma.ezlo.notconnected" | "nma.ezlo.unavailable" => Some(false),
        data if data.starts_with("nma.") || data.starts_with("cloud.") => None,
        _ => Some(true),
    }
}

fn frame(id: &str, method: &str, params: &Value) -> String {
    /// A borrowed `ezlo_protocol::rpc::Request`.
    #[derive(Serialize)]
    struct Call<'a> {
        id: &'a str,
        method: &'a str,
        api: &'a str,
        params: &'a Value,
    }
    wire::to_text(&Call { id, method, api: "1.0", params })
}
