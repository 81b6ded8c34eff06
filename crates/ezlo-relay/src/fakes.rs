//! Test doubles: a hub made of channels, and a connector that returns connections to such hubs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::config::SessionConfig;
use crate::connector::{ConnectContext, Connection, Connector};
use crate::endpoint::HubCredentials;
use crate::error::{CloseReason, ConnectError};
use crate::session::RelaySession;
use crate::transport::{Incoming, Transport};

/// A transport made of two channels.
pub(crate) struct Pipe {
    incoming: mpsc::Receiver<Incoming>,
    outgoing: mpsc::Sender<Value>,
    pings: Arc<AtomicU32>,
}

impl Transport for Pipe {
    async fn receive(&mut self) -> Result<Incoming, CloseReason> {
        self.incoming.recv().await.ok_or_else(|| CloseReason::Io("disconnected".into()))
    }

    async fn send(&mut self, text: String) -> Result<(), CloseReason> {
        let sent = self.outgoing.send(serde_json::from_str(&text).unwrap()).await;
        sent.map_err(|_| CloseReason::Io("disconnected".into()))
    }

    async fn ping(&mut self) -> Result<(), CloseReason> {
        self.pings.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    async fn close(&mut self) {}
}

/// The hub side of a pipe. Dropping it breaks the connection.
pub(crate) struct FakeHub {
    pub(crate) say: mpsc::Sender<Incoming>,
    pub(crate) hear: mpsc::Receiver<Value>,
    pub(crate) pings: Arc<AtomicU32>,
}

impl FakeHub {
    pub(crate) fn pair() -> (Pipe, Self) {
        let ((say, incoming), (outgoing, hear)) = (mpsc::channel(64), mpsc::channel(64));
        let pings = Arc::new(AtomicU32::new(0));
        (Pipe { incoming, outgoing, pings: Arc::clone(&pings) }, Self { say, hear, pings })
    }

    pub(crate) async fn say(&self, frame: Value) {
        self.say.send(Incoming::Text(frame.to_string())).await.unwrap();
    }

    /// Returns the next call.
    pub(crate) async fn heard(&mut self) -> Value {
        self.hear.recv().await.unwrap()
    }

    pub(crate) async fn answer(&self, call: &Value, result: Value) {
        self.say(json!({"id": call["id"], "method": call["method"], "error": null, "result": result})).await;
    }

    pub(crate) async fn refuse(&self, call: &Value, data: &str) {
        let error = json!({"code": -32500, "data": data, "message": ""});
        self.say(json!({"id": call["id"], "method": call["method"], "error": error, "result": {}})).await;
    }

    /// Answers the call that verifies the connection.
    pub(crate) async fn prove(&mut self) {
        let call = self.heard().await;
        assert_eq!(call["method"], "hub.info.get");
        self.answer(&call, json!({})).await;
    }
}

/// The outcome of one attempt of [`FakeRoute`].
pub(crate) enum Step {
    ActiveConnection(Pipe),
    Fail(ConnectError),
}

/// The certificate hash of every fake connection.
pub(crate) const PIN: [u8; 32] = [7; 32];

/// A connector that takes one [`Step`] per attempt and waits while there is none.
pub(crate) struct FakeRoute {
    steps: mpsc::Receiver<Step>,
    pub(crate) attempts: mpsc::UnboundedSender<ConnectContext>,
    /// Value of [`Connection::has_alternative`] of its connections.
    pub(crate) has_alternative: bool,
}

impl FakeRoute {
    #[expect(clippy::disallowed_methods, reason = "a test counts attempts; it makes few")]
    pub(crate) fn new() -> (Self, mpsc::Sender<Step>, mpsc::UnboundedReceiver<ConnectContext>) {
        let (steps, receiver) = mpsc::channel(64);
        let (sender, attempts) = mpsc::unbounded_channel();
        (Self { steps: receiver, attempts: sender, has_alternative: false }, steps, attempts)
    }
}

impl Connector for FakeRoute {
    type Transport = Pipe;

    async fn connect(&mut self, attempt: &ConnectContext) -> Result<Connection<Pipe>, ConnectError> {
        let _ = self.attempts.send(attempt.clone());
        match self.steps.recv().await {
            Some(Step::ActiveConnection(transport)) => Ok(Connection {
                transport,
                login: HubCredentials::Anonymous,
                certificate: Some(PIN),
                has_alternative: self.has_alternative,
            }),
            Some(Step::Fail(error)) => Err(error),
            None => std::future::pending().await,
        }
    }
}

/// A session and the controls of its connector.
pub(crate) struct Rig {
    pub(crate) session: RelaySession,
    pub(crate) steps: mpsc::Sender<Step>,
    pub(crate) attempts: mpsc::UnboundedReceiver<ConnectContext>,
}

impl Rig {
    pub(crate) fn new(config: SessionConfig) -> Self {
        let (connector, steps, attempts) = FakeRoute::new();
        Self { session: RelaySession::connect_lazy(connector, config), steps, attempts }
    }

    /// Gives the session a connection and waits until it is live.
    pub(crate) async fn link(&self) -> FakeHub {
        let (pipe, mut hub) = FakeHub::pair();
        self.steps.send(Step::ActiveConnection(pipe)).await.unwrap();
        hub.prove().await;
        let mut status = self.session.watch_status();
        status.wait_for(|status| status.is_live()).await.unwrap();
        hub
    }

    pub(crate) async fn fail(&self, error: ConnectError) {
        self.steps.send(Step::Fail(error)).await.unwrap();
    }
}
