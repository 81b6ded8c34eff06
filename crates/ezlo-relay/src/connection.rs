//! One connection: login, proof, and the conversation until it ends.

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

/// Id of the question that keeps a quiet link alive.
const PROBE: &str = "keep-alive";
/// How long a link is kept for what is under way, once a new one is wanted.
const LEAVING_TIME: Duration = Duration::from_secs(5);
/// Frames that are taken in before others have a turn.
const BREATH: u32 = 64;
/// How long a goodbye may take.
const CLOSE_TIME: Duration = Duration::from_secs(2);

/// A connection that is up, and who it talks for.
pub(crate) struct ActiveConnection<T> {
    transport: T,
    voice: EventPublisher,
    config: Arc<SessionConfig>,
}

/// How a conversation ended.
#[derive(Debug)]
pub(crate) enum ConnectionEnd {
    /// The link is gone.
    Lost(CloseReason),
    /// The handle wants an end.
    Closed,
}

impl<T: Transport> ActiveConnection<T> {
    pub(crate) const fn new(transport: T, voice: EventPublisher, config: Arc<SessionConfig>) -> Self {
        Self { transport, voice, config }
    }

    /// Logs in, chooses the hub at the relay, and proves that it answers. A hub that is not there is no failure: the relay
    /// tells when it comes.
    pub(crate) async fn authenticate(&mut self, login: &HubCredentials) -> Result<bool, ConnectError> {
        match login {
            HubCredentials::Anonymous => {}
            HubCredentials::Local(credentials) => {
                self.voice.set_phase(Phase::LoggingIn);
                let params = OfflineLogin {
                    user: credentials.user.as_str().into(),
                    token: credentials.token.clone(),
                    ..OfflineLogin::default()
                };
                self.log_in(LocalLogin::NAME, wire::to_value(&params)).await?;
            }
            HubCredentials::Relay { pair, serial } => {
                self.voice.set_phase(Phase::LoggingIn);
                let params = LoginUserMios {
                    identity: pair.identity.clone(),
                    signature: pair.signature.clone(),
                    ..LoginUserMios::default()
                };
                self.log_in(RelayLogin::NAME, wire::to_value(&params)).await?;
                self.voice.serial = Some(serial.clone());
                self.voice.set_phase(Phase::Registering);
                let register = wire::to_value(&Register::user(serial.clone()));
                self.request("registration", RelayRegister::NAME, register).await?.map_err(ConnectError::Register)?;
            }
        }
        self.voice.set_phase(Phase::Verifying);
        // Whatever it says: an answer is the proof. What says that the hub is away proves the relay.
        let proof = self.request("the first answer", InfoGet::NAME, json!({})).await?;
        match proof {
            Err(error) if error.class() == RetryClass::LogInAgain => Err(ConnectError::Login(error)),
            Err(error) => Ok(presence(&error).unwrap_or_default()),
            Ok(()) => Ok(true),
        }
    }

    /// Already logged in is as good as logged in.
    async fn log_in(&mut self, method: &str, params: Value) -> Result<(), ConnectError> {
        match self.request("login", method, params).await? {
            Err(error) if error.class() == RetryClass::AlreadySo => Ok(()),
            outcome => outcome.map_err(ConnectError::Login),
        }
    }

    /// Asks and waits for that answer; broadcasts that come meanwhile are passed on.
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
                match self.voice.read(&text) {
                    Some((answered, outcome)) if answered == id => return Ok(outcome.map(|_| ())),
                    Some((foreign, _)) => self.voice.on_unsolicited_reply(foreign),
                    None => {}
                }
            }
        };
        tokio::time::timeout(limit, exchange).await.map_err(|_| ConnectError::TimedOut { phase })?
    }

    /// Carries calls, answers and broadcasts until the connection ends.
    pub(crate) async fn run(mut self, desk: &mut SessionState) -> ConnectionEnd {
        match self.event_loop(desk).await {
            ConnectionEnd::Closed => {
                let _ = tokio::time::timeout(CLOSE_TIME, self.transport.close()).await;
                ConnectionEnd::Closed
            }
            lost => lost,
        }
    }

    async fn event_loop(&mut self, desk: &mut SessionState) -> ConnectionEnd {
        let silence = self.config.idle_timeout;
        let mut heard = Instant::now();
        let mut probed = false;
        let mut came: u32 = 0;
        // Until when calls that come wait for the next link.
        let mut held_until = Instant::now();
        // Set anew only when it would ring too late: most wakes come sooner than it does.
        let mut alarm = std::pin::pin!(tokio::time::sleep_until(heard + silence / 2));
        loop {
            if desk.reconnect_requested && !desk.ledger.is_busy() {
                return ConnectionEnd::Lost(CloseReason::Reconnect);
            }
            let holds = desk.reconnect_requested && Instant::now() < held_until;
            if !holds && let Err(reason) = self.send_waiting(desk).await {
                return ConnectionEnd::Lost(reason);
            }
            let mut wake = heard + if probed { silence } else { silence / 2 };
            if let Some(deadline) = desk.ledger.next_deadline() {
                wake = wake.min(deadline);
            }
            if holds {
                wake = wake.min(held_until);
            }
            if wake < alarm.deadline() || alarm.is_elapsed() {
                alarm.as_mut().reset(wake);
            }
            tokio::select! {
                // In no order: a hub that never stops talking must not keep callers from being heard.
                incoming = self.transport.receive() => {
                    (heard, probed) = (Instant::now(), false);
                    if let Some(reason) = self.on_incoming(desk, incoming) {
                        return ConnectionEnd::Lost(reason);
                    }
                    came = came.wrapping_add(1);
                    if came.is_multiple_of(BREATH) {
                        // A caller may be driving; a hub that never stops talking must not keep it.
                        tokio::task::yield_now().await;
                    }
                }
                asked = desk.next() => match asked {
                    Instruction::Close => return ConnectionEnd::Closed,
                    // What is under way may take long; it is not worth that everybody waits for it.
                    Instruction::Reconnect => held_until = Instant::now() + LEAVING_TIME,
                    Instruction::Call => {}
                },
                () = &mut alarm => {
                    let now = Instant::now();
                    desk.ledger.expire(now);
                    if now >= heard + silence {
                        // A machine that was busy may not have read what is there.
                        let Some(incoming) = self.transport.receive().now_or_never() else {
                            return ConnectionEnd::Lost(CloseReason::IdleTimeout);
                        };
                        (heard, probed) = (now, false);
                        if let Some(reason) = self.on_incoming(desk, incoming) {
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

    /// Takes in what came; gives the end of the link when it is one.
    fn on_incoming(&self, desk: &mut SessionState, incoming: Result<Incoming, CloseReason>) -> Option<CloseReason> {
        match incoming {
            Ok(Incoming::Text(text)) => self.on_text(desk, &text).then_some(CloseReason::CredentialsExpired),
            Ok(Incoming::NonText) => {
                self.voice.bad_frame("");
                None
            }
            Ok(Incoming::Control) => None,
            Err(reason) => Some(reason),
        }
    }

    /// Sends what waits. A call counts as sent before its bytes leave: one that may have left is never sent again unless
    /// that changes nothing.
    async fn send_waiting(&mut self, desk: &mut SessionState) -> Result<(), CloseReason> {
        while let Some((id, call)) = desk.ledger.take_unsent() {
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

    /// True when the other side says that the credentials are no longer good.
    fn on_text(&self, desk: &mut SessionState, text: &str) -> bool {
        let Some((id, outcome)) = self.voice.read(text) else { return false };
        let stale = outcome.as_ref().is_err_and(|error| error.class() == RetryClass::LogInAgain);
        match outcome.as_ref().map_err(presence) {
            Ok(_) | Err(Some(true)) => self.voice.set_hub_online(true),
            Err(Some(false)) => self.voice.set_hub_online(false),
            Err(None) => {}
        }
        if id != PROBE && !desk.ledger.resolve(&id, outcome) {
            self.voice.on_unsolicited_reply(id);
        }
        stale
    }
}

impl EventPublisher {
    fn on_unsolicited_reply(&self, id: String) {
        AtomicCounters::add(&self.tally.unsolicited_replies);
        self.publish(RelayEvent::UnsolicitedReply { id: masked(&id) });
    }

    fn bad_frame(&self, text: &str) {
        AtomicCounters::add(&self.tally.bad_frames);
        self.publish(RelayEvent::BadFrame { text: masked(text) });
    }

    /// Reads a frame: an answer comes back, everything else becomes an event. A bad frame is an event too, not the end.
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
                        .unwrap_or_else(|_| RpcError::new(0, "", "an error of unknown shape"))),
                };
                Some((id, outcome))
            }
            FrameKind::Broadcast => {
                if envelope.msg_id.is_some_and(|id| !self.tally.is_new(id.get())) {
                    AtomicCounters::add(&self.tally.duplicate_broadcasts);
                    return None;
                }
                let name = envelope.msg_subclass.as_deref().unwrap_or_default();
                match Event::parse(name, &value(envelope.result)) {
                    Ok(event) => self.on_event(event),
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

    fn on_event(&self, event: Event) {
        if let Event::HubState(change) = &event
            && let Some(there) = change.connected.get()
            && self.is_ours(change)
        {
            self.set_hub_online(*there);
        }
        if matches!(event, Event::Unknown { .. }) {
            AtomicCounters::add(&self.tally.unknown_broadcasts);
        }
        self.publish(RelayEvent::Hub(Arc::new(event)));
    }
}

/// What a refusal says of the hub: the relay's own errors say that it is away, or nothing; every other comes from the hub.
fn presence(error: &RpcError) -> Option<bool> {
    match error.data() {
        "nma.ezlo.notconnected" | "nma.ezlo.unavailable" => Some(false),
        data if data.starts_with("nma.") || data.starts_with("cloud.") => None,
        _ => Some(true),
    }
}

fn frame(id: &str, method: &str, params: &Value) -> String {
    /// `ezlo_protocol::rpc::Request`, borrowed.
    #[derive(Serialize)]
    struct Call<'a> {
        id: &'a str,
        method: &'a str,
        api: &'a str,
        params: &'a Value,
    }
    // Strings and a document always have a text.
    serde_json::to_string(&Call { id, method, api: "1.0", params }).unwrap_or_default()
}
