//! The state of a session that outlives its connections: pending calls, commands of the handle, subscribers and status.

use std::sync::Arc;

use ezlo_protocol::hub::broadcast::Event;
use ezlo_protocol::hub::login::HubStateChange;
use ezlo_protocol::serial::Serial;
use ezlo_protocol::wire::Loose;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::time::Instant;

use crate::byte_budget::ByteBudget;
use crate::error::CloseReason;
use crate::event::{BufferedEvent, RelayEvent};
use crate::pending_calls::{NewCall, PendingCalls};
use crate::status::{AtomicCounters, Phase, Status};

/// A command from the handle to the session task.
#[derive(Debug)]
pub(crate) enum Command {
    Call(NewCall),
    Reconnect,
    Close,
}

/// The kind of a received [`Command`]. A call has been added to the pending calls already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Instruction {
    Call,
    Reconnect,
    Close,
}

/// Publishes events and status to subscribers.
#[derive(Debug, Clone)]
pub(crate) struct EventPublisher {
    pub(crate) events: broadcast::Sender<BufferedEvent>,
    /// Bytes of the buffered broadcasts.
    pub(crate) budget: ByteBudget,
    pub(crate) status: watch::Sender<Status>,
    pub(crate) counters: Arc<AtomicCounters>,
    /// The hub that is registered at the relay; `None` on the local network.
    pub(crate) serial: Option<Serial>,
}

impl EventPublisher {
    /// Returns true if a notice about the state of a hub is about this hub. A notice without a serial is.
    pub(crate) fn is_ours(&self, change: &HubStateChange) -> bool {
        let about = change.serial.get().map(Loose::get);
        self.serial.as_ref().is_none_or(|ours| about.is_none_or(|about| about == ours))
    }

    pub(crate) fn publish(&self, event: RelayEvent) {
        self.send(BufferedEvent { event, _bytes: None });
    }

    /// Publishes a broadcast of the hub that came in a frame of this length. Above the limit of buffered bytes, it is lost.
    pub(crate) fn publish_broadcast(&self, event: Event, bytes: usize) {
        match self.budget.reserve(bytes) {
            Some(reserved) => {
                self.send(BufferedEvent { event: RelayEvent::Hub(Arc::new(event)), _bytes: Some(reserved) });
            }
            None => self.publish(RelayEvent::Lagged(1)),
        }
    }

    fn send(&self, event: BufferedEvent) {
        // Fails only if there is no subscriber.
        let _ = self.events.send(event);
    }

    pub(crate) fn set_phase(&self, phase: Phase) {
        self.update_status(phase, |_| ());
    }

    /// Changes phase and status. All phase changes use this function, which asserts that the transition is allowed.
    pub(crate) fn update_status(&self, phase: Phase, change: impl FnOnce(&mut Status)) {
        self.status.send_modify(|status| {
            debug_assert!(status.phase.may_follow(phase), "{:?} becomes {phase:?}", status.phase);
            status.phase = phase;
            change(status);
        });
    }

    /// Records the loss of the connection: the state of relay and hub is unknown.
    pub(crate) fn disconnected(&self, reason: &Arc<CloseReason>) {
        self.status.send_modify(|status| {
            status.relay = false;
            status.hub = false;
            status.reason = Some(Arc::clone(reason));
        });
    }

    /// Records whether the hub is online.
    pub(crate) fn set_hub_online(&self, there: bool) {
        self.status.send_if_modified(|status| std::mem::replace(&mut status.hub, there) != there);
    }
}

/// Pending calls and commands of a session.
pub(crate) struct SessionState {
    pub(crate) pending: PendingCalls,
    /// A reconnect was requested and has not started yet.
    pub(crate) reconnect_requested: bool,
    commands: mpsc::Receiver<Command>,
}

/// The result of [`SessionState::wait_for`].
#[derive(Debug)]
pub(crate) enum WaitOutcome<T> {
    /// The future completed.
    Done(T),
    /// A call or a reconnect request arrived, which ends the back-off.
    Woken,
    /// The handle closed the session.
    Closed,
}

impl SessionState {
    pub(crate) fn new(commands: mpsc::Receiver<Command>) -> Self {
        Self { pending: PendingCalls::default(), reconnect_requested: false, commands }
    }

    /// Waits for the next command. A call is added to the pending calls, a reconnect request is recorded. Cancel safe.
    pub(crate) async fn next(&mut self) -> Instruction {
        match self.commands.recv().await {
            Some(Command::Call(call)) => {
                self.pending.open(call);
                Instruction::Call
            }
            Some(Command::Reconnect) => {
                self.reconnect_requested = true;
                Instruction::Reconnect
            }
            Some(Command::Close) | None => Instruction::Close,
        }
    }

    /// Waits for a future while there is no connection. Meanwhile calls are queued and expire at their deadlines. With `wakes`,
    /// a call or a reconnect request ends the wait.
    pub(crate) async fn wait_for<F: Future>(&mut self, what: F, wakes: bool) -> WaitOutcome<F::Output> {
        let mut what = std::pin::pin!(what);
        loop {
            let deadline = self.pending.next_deadline();
            tokio::select! {
                biased;
                done = &mut what => return WaitOutcome::Done(done),
                asked = self.next() => match asked {
                    Instruction::Close => return WaitOutcome::Closed,
                    Instruction::Call | Instruction::Reconnect if wakes => return WaitOutcome::Woken,
                    Instruction::Call | Instruction::Reconnect => {}
                },
                () = async {
                    match deadline {
                        Some(at) => tokio::time::sleep_until(at).await,
                        None => std::future::pending().await,
                    }
                } => {
                    self.pending.expire(Instant::now());
                }
            }
        }
    }

    /// Ends every call, including those that are still in the command channel.
    pub(crate) async fn close(&mut self, reason: &Arc<CloseReason>) {
        self.commands.close();
        while let Some(command) = self.commands.recv().await {
            if let Command::Call(call) = command {
                self.pending.open(call);
            }
        }
        self.pending.close(reason);
    }
}
