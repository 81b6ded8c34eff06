//! The task that owns a connection: one async function per state, joined to the handle by one pair of channels.
//!
//! ```text
//! Session (handle) --Command--> Service --text--> Transport
//!                  <--oneshot--         <--text--
//! Events           <-broadcast-
//! ```

use std::sync::Arc;
use std::time::Duration;

use ezlo_protocol::hub::broadcast::Event;
use ezlo_protocol::hub::login::{LoginUserMios, OfflineLogin, Register};
use ezlo_protocol::hub::method::{LocalLogin, Method as _, RelayLogin, RelayRegister};
use ezlo_protocol::rpc::{Envelope, FrameKind, Request, RpcError};
use ezlo_protocol::wire;
use serde_json::{Value, json};
use tokio::sync::{broadcast, mpsc};
use tokio::time::Instant;

use crate::connect::Login;
use crate::error::{CloseReason, ConnectError};
use crate::ledger::{Ledger, NewCall};
use crate::session::RelayEvent;
use crate::transport::{Incoming, Transport};

/// How long login and choice of hub may take; public clients wait 15 to 30 s for any answer.
const HANDSHAKE_TIME: Duration = Duration::from_secs(20);
/// Pings come about every 20 s; two public clients give up after 60 s without one.
const SILENCE: Duration = Duration::from_secs(65);
/// Words of that length in a bad frame may be tokens; method names and ids are longer at times and go too.
const TOKEN_LENGTH: usize = 24;
/// How much of a bad frame an event keeps, in characters.
const KEPT_TEXT: usize = 200;

/// What the handle asks for.
#[derive(Debug)]
pub(crate) enum Command {
    Call { call: NewCall, params: Value },
    Close,
}

pub(crate) struct Service<T> {
    pub(crate) transport: T,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) events: broadcast::Sender<RelayEvent>,
    ledger: Ledger,
}

impl<T: Transport> Service<T> {
    pub(crate) fn new(transport: T, commands: mpsc::Receiver<Command>, events: broadcast::Sender<RelayEvent>) -> Self {
        Self { transport, commands, events, ledger: Ledger::default() }
    }

    /// Logs in, and at the relay chooses the hub.
    pub(crate) async fn enter(&mut self, login: &Login) -> Result<(), ConnectError> {
        match login {
            Login::Anonymous => Ok(()),
            Login::Local(credentials) => {
                let params = OfflineLogin {
                    user: credentials.user.as_str().into(),
                    token: credentials.token.clone(),
                    ..OfflineLogin::default()
                };
                self.log_in(LocalLogin::NAME, wire::to_value(&params)).await
            }
            Login::Relay { pair, serial } => {
                let params = LoginUserMios {
                    identity: pair.identity.clone(),
                    signature: pair.signature.clone(),
                    ..LoginUserMios::default()
                };
                self.log_in(RelayLogin::NAME, wire::to_value(&params)).await?;
                let register = wire::to_value(&Register::user(serial.clone()));
                self.ask("registration", RelayRegister::NAME, register).await?.map_err(ConnectError::Register)
            }
        }
    }

    /// Already logged in is as good as logged in.
    async fn log_in(&mut self, method: &str, params: Value) -> Result<(), ConnectError> {
        match self.ask("login", method, params).await? {
            Err(error) if error.class() == ezlo_protocol::error::RetryClass::AlreadySo => Ok(()),
            outcome => outcome.map_err(ConnectError::Login),
        }
    }

    /// Asks and waits for that answer; broadcasts that come meanwhile are passed on.
    async fn ask(
        &mut self,
        phase: &'static str,
        method: &str,
        params: Value,
    ) -> Result<Result<(), RpcError>, ConnectError> {
        let id = format!("{method}-0");
        let closed = |reason| ConnectError::Closed { phase, reason };
        let exchange = async {
            self.transport.send(frame(&id, method, params)).await.map_err(closed)?;
            loop {
                let Incoming::Text(text) = self.transport.receive().await.map_err(closed)? else { continue };
                match self.read(&text) {
                    Some((answered, outcome)) if answered == id => return Ok(outcome.map(|_| ())),
                    Some((foreign, _)) => self.tell(RelayEvent::ForeignAnswer { id: foreign }),
                    None => {}
                }
            }
        };
        tokio::time::timeout(HANDSHAKE_TIME, exchange).await.map_err(|_| ConnectError::TimedOut { phase })?
    }

    /// Carries calls, answers and broadcasts until the connection ends.
    pub(crate) async fn live(mut self) {
        let reason = Arc::new(self.converse().await);
        self.ledger.close(&reason);
        // Commands that came too late are answered, not forgotten.
        self.commands.close();
        while let Some(command) = self.commands.recv().await {
            if let Command::Call { call, .. } = command {
                let NewCall { method, waiter, .. } = call;
                let _ = waiter.send(Err(crate::CallError::Closed { method, reason: Arc::clone(&reason) }));
            }
        }
        self.tell(RelayEvent::Closed(reason));
    }

    async fn converse(&mut self) -> CloseReason {
        let mut last_sign = Instant::now();
        loop {
            let silent = last_sign + SILENCE;
            let wake = self.ledger.next_deadline().map_or(silent, |deadline| deadline.min(silent));
            tokio::select! {
                biased;
                incoming = self.transport.receive() => {
                    last_sign = Instant::now();
                    match incoming {
                        Ok(Incoming::Text(text)) => self.on_text(&text),
                        Ok(Incoming::Activity) => {}
                        Err(reason) => return reason,
                    }
                }
                command = self.commands.recv() => match command {
                    Some(Command::Call { call, params }) => {
                        let method = call.method.clone();
                        if let Some(id) = self.ledger.open(call)
                            && let Err(reason) = self.transport.send(frame(&id, &method, params)).await
                        {
                            return reason;
                        }
                    }
                    Some(Command::Close) | None => {
                        let _ = tokio::time::timeout(Duration::from_secs(2), self.transport.close()).await;
                        return CloseReason::Local;
                    }
                },
                () = tokio::time::sleep_until(wake) => {
                    let now = Instant::now();
                    self.ledger.expire(now);
                    if now >= silent {
                        return CloseReason::Silent;
                    }
                }
            }
        }
    }

    fn on_text(&mut self, text: &str) {
        if let Some((id, outcome)) = self.read(text)
            && !self.ledger.answer(&id, outcome)
        {
            self.tell(RelayEvent::ForeignAnswer { id });
        }
    }

    /// Reads a frame: an answer comes back, everything else becomes an event. A bad frame is an event too, not the end.
    fn read(&self, text: &str) -> Option<(String, Result<Value, RpcError>)> {
        let envelope = match Envelope::parse(text) {
            Ok(envelope) => envelope,
            Err(_) => {
                self.tell(RelayEvent::BadFrame { text: cut(text) });
                return None;
            }
        };
        let value = |raw: Option<&serde_json::value::RawValue>| {
            raw.and_then(|raw| serde_json::from_str::<Value>(raw.get()).ok()).unwrap_or(Value::Null)
        };
        match envelope.kind() {
            FrameKind::Reply => {
                let id = match value(envelope.id) {
                    Value::String(id) => id,
                    other => other.to_string(),
                };
                let outcome = match envelope.error {
                    None => Ok(value(envelope.result)),
                    Some(raw) => Err(serde_json::from_str(raw.get())
                        .unwrap_or_else(|_| RpcError::new(0, "", "an error of unknown shape"))),
                };
                Some((id, outcome))
            }
            FrameKind::Broadcast => {
                let name = envelope.msg_subclass.as_deref().unwrap_or_default();
                self.tell(match Event::parse(name, &value(envelope.result)) {
                    Ok(event) => RelayEvent::Hub(Arc::new(event)),
                    Err(_) => RelayEvent::BadFrame { text: cut(text) },
                });
                None
            }
            FrameKind::Request | FrameKind::Unknown => {
                self.tell(RelayEvent::BadFrame { text: cut(text) });
                None
            }
        }
    }

    fn tell(&self, event: RelayEvent) {
        // Nobody may be listening.
        let _ = self.events.send(event);
    }
}

/// A copy for people: cut short, and without anything long enough to be a token.
fn cut(text: &str) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "+/=_-.".contains(c);
    let mut copy = String::new();
    let mut word = String::new();
    for c in text.chars().take(KEPT_TEXT).chain([' ']) {
        if is_part(c) {
            word.push(c);
            continue;
        }
        copy.push_str(if word.len() < TOKEN_LENGTH { &word } else { "***" });
        word.clear();
        copy.push(c);
    }
    copy.pop();
    copy
}

fn frame(id: &str, method: &str, params: Value) -> String {
    let request = Request {
        id: json!(id).into(),
        method: method.into(),
        api: "1.0".into(),
        params: params.into(),
        ..Request::default()
    };
    wire::to_value(&request).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_of_bad_frames_are_short_and_hold_no_token() {
        let token = "eyJFeHBpcmVzIjoxNzAwMDg2NDAwfQ==";
        assert_eq!(cut(&format!("{{\"MMSAuth\":\"{token}\",x")), "{\"MMSAuth\":\"***\",x");
        assert_eq!(cut(token), "***");
        assert_eq!(cut(""), "");
        assert!(cut(&"a b".repeat(500)).len() <= KEPT_TEXT);
    }
}
