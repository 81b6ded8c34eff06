//! The handle: calls out, events in.

use std::sync::Arc;
use std::time::Duration;

use ezlo_protocol::hub::broadcast::Event;
use ezlo_protocol::hub::method::{Kind, Method, spec};
use ezlo_protocol::wire;
use serde_json::Value;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::time::Instant;

use crate::connect::{Endpoint, Login, dial};
use crate::error::{CallError, CloseReason, ConnectError};
use crate::ledger::NewCall;
use crate::service::{Command, Service};
use crate::transport::Transport;

/// Calls that wait to be sent. The task takes them as fast as the socket does.
const COMMANDS: usize = 64;
/// Events kept for each subscriber; a storm of a house's every item fits.
const EVENTS: usize = 1024;
/// How long an ordinary call may take; public clients use 15 to 30 s.
const CALL_TIME: Duration = Duration::from_secs(20);

/// A connection to one hub, over the relay or the local network. Cheap to clone; it closes when the last clone goes.
#[derive(Debug, Clone)]
pub struct Session {
    commands: mpsc::Sender<Command>,
    events: broadcast::Sender<RelayEvent>,
    pin: Option<[u8; 32]>,
}

/// Something that happened on a connection.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum RelayEvent {
    /// The hub, or the relay for it, says something.
    Hub(Arc<Event>),
    /// A frame that cannot be read; its text, cut short.
    BadFrame {
        /// What came.
        text: String,
    },
    /// An answer to a call that nobody waits for.
    ForeignAnswer {
        /// The call's id.
        id: String,
    },
    /// This subscriber was too slow and lost that many events.
    Lost(u64),
    /// The connection ended.
    Closed(Arc<CloseReason>),
}

/// A subscription to what happens, from the moment it was made.
#[derive(Debug)]
pub struct Events {
    receiver: broadcast::Receiver<RelayEvent>,
    ended: bool,
}

impl Events {
    /// Waits for the next event; `None` after the connection ended. Events come in order and at most once; a gap is told.
    pub async fn next(&mut self) -> Option<RelayEvent> {
        if self.ended {
            return None;
        }
        match self.receiver.recv().await {
            Ok(event) => {
                self.ended = matches!(event, RelayEvent::Closed(_));
                Some(event)
            }
            Err(broadcast::error::RecvError::Lagged(lost)) => Some(RelayEvent::Lost(lost)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

impl Session {
    /// Connects, logs in and, at the relay, chooses the hub.
    pub async fn connect(endpoint: &Endpoint, login: &Login) -> Result<Self, ConnectError> {
        let dialed = dial(endpoint).await?;
        let mut session = Self::over(dialed.socket, login).await?;
        session.pin = dialed.pin;
        Ok(session)
    }

    /// The same over any transport that is already there.
    pub async fn over<T: Transport>(transport: T, login: &Login) -> Result<Self, ConnectError> {
        let (commands, receiver) = mpsc::channel(COMMANDS);
        let (events, _) = broadcast::channel(EVENTS);
        let mut service = Service::new(transport, receiver, events.clone());
        service.enter(login).await?;
        tokio::spawn(service.live());
        Ok(Self { commands, events, pin: None })
    }

    /// SHA-256 of the other side's certificate; keep it to recognise the hub.
    pub const fn certificate_pin(&self) -> Option<[u8; 32]> {
        self.pin
    }

    /// Listens to what happens from now on.
    pub fn events(&self) -> Events {
        Events { receiver: self.events.subscribe(), ended: false }
    }

    /// Calls a method by its type.
    pub async fn call<M: Method>(&self, _method: M, params: M::Params) -> Result<M::Output, CallError> {
        let result = self.call_within(M::NAME, M::KIND, wire::to_value(&params), CALL_TIME).await?;
        wire::from_value(&result).map_err(|error| CallError::Decode { method: M::NAME.into(), error })
    }

    /// Calls any method by name. A method that the table does not know counts as a command.
    pub async fn call_raw(&self, method: &str, params: Value) -> Result<Value, CallError> {
        let kind = spec(method).map_or(Kind::Command, |spec| spec.kind);
        self.call_within(method, kind, params, CALL_TIME).await
    }

    /// Calls any method by name within a time limit of one's own.
    pub async fn call_within(
        &self,
        method: &str,
        kind: Kind,
        params: Value,
        limit: Duration,
    ) -> Result<Value, CallError> {
        let (waiter, answer) = oneshot::channel();
        let deadline = Instant::now() + limit;
        let call = NewCall { method: method.to_owned(), kind, deadline, waiter };
        let gone = || CallError::Closed { method: method.to_owned(), reason: Arc::new(CloseReason::Local) };
        let sent = tokio::time::timeout_at(deadline, self.commands.send(Command::Call { call, params })).await;
        sent.map_err(|_| CallError::TimedOut { method: method.to_owned() })?.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    /// Closes in good order and waits until it is done.
    pub async fn close(self) {
        if self.commands.send(Command::Close).await.is_ok() {
            self.commands.closed().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::Incoming;
    use ezlo_protocol::hub::Empty;
    use ezlo_protocol::hub::method::{DevicesList, Reboot};
    use serde_json::json;

    /// Two channels in place of a socket.
    struct Pipe {
        incoming: mpsc::Receiver<Incoming>,
        outgoing: mpsc::Sender<Value>,
    }

    impl Transport for Pipe {
        async fn receive(&mut self) -> Result<Incoming, CloseReason> {
            self.incoming.recv().await.ok_or_else(|| CloseReason::Broken("gone".into()))
        }
        async fn send(&mut self, text: String) -> Result<(), CloseReason> {
            self.outgoing
                .send(serde_json::from_str(&text).unwrap())
                .await
                .map_err(|_| CloseReason::Broken("gone".into()))
        }
        async fn close(&mut self) {}
    }

    struct Hub {
        say: mpsc::Sender<Incoming>,
        hear: mpsc::Receiver<Value>,
    }

    impl Hub {
        async fn say(&self, frame: Value) {
            self.say.send(Incoming::Text(frame.to_string())).await.unwrap();
        }
    }

    async fn anonymous() -> (Session, Hub) {
        let ((say, incoming), (outgoing, hear)) = (mpsc::channel(16), mpsc::channel(16));
        let session = Session::over(Pipe { incoming, outgoing }, &Login::Anonymous).await.unwrap();
        (session, Hub { say, hear })
    }

    #[tokio::test(start_paused = true)]
    async fn answers_find_their_calls_in_any_order() {
        let (session, mut hub) = anonymous().await;
        let calls = tokio::join!(session.call_raw("a", json!({})), session.call_raw("b", json!({})), async {
            let (first, second) = (hub.hear.recv().await.unwrap(), hub.hear.recv().await.unwrap());
            hub.say(json!({"id": "nobody", "error": null, "result": {}})).await;
            hub.say(json!({"id": second["id"], "error": null, "result": {"for": second["method"]}})).await;
            hub.say(
                json!({"id": first["id"], "error": {"code": -32500, "data": "ezlo.device.notfound"}, "result": {}}),
            )
            .await;
        });
        assert!(matches!(calls.0, Err(CallError::Refused { error, .. }) if error.data() == "ezlo.device.notfound"));
        assert_eq!(calls.1.unwrap(), json!({"for": "b"}));
    }

    #[tokio::test(start_paused = true)]
    async fn bad_frames_are_events_and_the_connection_goes_on() {
        let (session, mut hub) = anonymous().await;
        let mut events = session.events();
        hub.say.send(Incoming::Text("{not json".into())).await.unwrap();
        hub.say(json!({"msg_subclass": "hub.new", "result": {}})).await;
        assert!(matches!(events.next().await, Some(RelayEvent::BadFrame { text }) if text == "{not json"));
        assert!(matches!(events.next().await, Some(RelayEvent::Hub(event)) if event.name() == "hub.new"));
        let (answer, ()) = tokio::join!(session.call(DevicesList, Empty::default()), async {
            let call = hub.hear.recv().await.unwrap();
            hub.say(json!({"id": call["id"], "error": null, "result": {"devices": []}})).await;
        });
        assert!(answer.unwrap().devices.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_ends_at_its_deadline_and_silence_ends_the_connection() {
        let (session, mut hub) = anonymous().await;
        let mut events = session.events();
        let error = session.call(DevicesList, Empty::default()).await.unwrap_err();
        assert!(matches!(error, CallError::TimedOut { .. }), "{error}");
        assert!(hub.hear.recv().await.is_some());
        assert!(matches!(events.next().await, Some(RelayEvent::Closed(reason)) if *reason == CloseReason::Silent));
    }

    #[tokio::test(start_paused = true)]
    async fn a_command_that_was_under_way_is_unknown_and_a_later_one_is_not_sent() {
        let (session, mut hub) = anonymous().await;
        let (answer, ()) = tokio::join!(session.call(Reboot, Empty::default()), async {
            hub.hear.recv().await.unwrap();
            hub.say = mpsc::channel(1).0;
        });
        assert!(matches!(answer.unwrap_err(), CallError::OutcomeUnknown { .. }));
        assert!(matches!(session.call(Reboot, Empty::default()).await.unwrap_err(), CallError::Closed { .. }));
    }

    #[tokio::test(start_paused = true)]
    async fn already_logged_in_is_success_and_a_refusal_is_an_error() {
        for (data, good) in [("user.login.alreadylogged", true), ("user.login.badpassword", false)] {
            let ((say, incoming), (outgoing, mut hear)) = (mpsc::channel(16), mpsc::channel(16));
            let credentials = ezlo_protocol::cloud::keys::LocalCredentials { user: "u".into(), token: "t".into() };
            let login = Login::Local(credentials);
            let (session, ()) = tokio::join!(Session::over(Pipe { incoming, outgoing }, &login), async {
                let call: Value = hear.recv().await.unwrap();
                let answer = json!({"id": call["id"], "error": {"code": -32500, "data": data}, "result": {}});
                say.send(Incoming::Text(answer.to_string())).await.unwrap();
            });
            assert_eq!(session.is_ok(), good, "{data}");
        }
    }
}
