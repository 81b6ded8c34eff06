//! What a session keeps from connection to connection: the calls, the handle's wishes, the subscribers, the status.

use std::sync::Arc;

use ezlo_protocol::hub::login::HubStateChange;
use ezlo_protocol::serial::Serial;
use ezlo_protocol::wire::Loose;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::time::Instant;

use crate::error::CloseReason;
use crate::event::RelayEvent;
use crate::pending_calls::{NewCall, PendingCalls};
use crate::status::{AtomicCounters, Phase, Status};

/// What the handle asks for.
#[derive(Debug)]
pub(crate) enum Command {
    Call(NewCall),
    Reconnect,
    Close,
}

/// What came from the handle; a call is in the ledger already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Instruction {
    Call,
    Reconnect,
    Close,
}

/// The way to everybody who listens.
#[derive(Debug, Clone)]
pub(crate) struct EventPublisher {
    pub(crate) events: broadcast::Sender<RelayEvent>,
    pub(crate) status: watch::Sender<Status>,
    pub(crate) tally: Arc<AtomicCounters>,
    /// The hub that was chosen at the relay.
    pub(crate) serial: Option<Serial>,
}

impl EventPublisher {
    /// Whether a notice about a hub's presence is about ours. One that names no hub is.
    pub(crate) fn is_ours(&self, change: &HubStateChange) -> bool {
        let about = change.serial.get().map(Loose::get);
        self.serial.as_ref().is_none_or(|ours| about.is_none_or(|about| about == ours))
    }

    pub(crate) fn publish(&self, event: RelayEvent) {
        // Nobody may be listening.
        let _ = self.events.send(event);
    }

    pub(crate) fn set_phase(&self, phase: Phase) {
        self.update_status(phase, |_| ());
    }

    /// The one place where the phase changes.
    pub(crate) fn update_status(&self, phase: Phase, change: impl FnOnce(&mut Status)) {
        self.status.send_modify(|status| {
            debug_assert!(status.phase.may_follow(phase), "{:?} becomes {phase:?}", status.phase);
            status.phase = phase;
            change(status);
        });
    }

    /// Nothing is known of relay and hub any more.
    pub(crate) fn disconnected(&self, reason: &Arc<CloseReason>) {
        self.status.send_modify(|status| {
            status.relay = false;
            status.hub = false;
            status.reason = Some(Arc::clone(reason));
        });
    }

    /// The relay told that the hub came or went.
    pub(crate) fn set_hub_online(&self, there: bool) {
        self.status.send_if_modified(|status| std::mem::replace(&mut status.hub, there) != there);
    }
}

pub(crate) struct SessionState {
    pub(crate) ledger: PendingCalls,
    /// A new link is wanted that is looked for from now on.
    pub(crate) reconnect_requested: bool,
    commands: mpsc::Receiver<Command>,
}

/// What became of waiting for something.
#[derive(Debug)]
pub(crate) enum WaitOutcome<T> {
    /// It is there.
    Done(T),
    /// A call came, which wants a link now.
    Woken,
    /// The handle wants an end.
    Closed,
}

impl SessionState {
    pub(crate) fn new(commands: mpsc::Receiver<Command>) -> Self {
        Self { ledger: PendingCalls::default(), reconnect_requested: false, commands }
    }

    /// Waits for the handle; a call goes into the ledger. Safe to cancel.
    pub(crate) async fn next(&mut self) -> Instruction {
        match self.commands.recv().await {
            Some(Command::Call(call)) => {
                self.ledger.open(call);
                Instruction::Call
            }
            Some(Command::Reconnect) => {
                self.reconnect_requested = true;
                Instruction::Reconnect
            }
            Some(Command::Close) | None => Instruction::Close,
        }
    }

    /// Waits for something without a link: calls are taken in and run out of time meanwhile. With `wakes`, a call ends the
    /// wait.
    pub(crate) async fn wait_for<F: Future>(&mut self, what: F, wakes: bool) -> WaitOutcome<F::Output> {
        let mut what = std::pin::pin!(what);
        loop {
            let deadline = self.ledger.next_deadline();
            tokio::select! {
                biased;
                done = &mut what => return WaitOutcome::Done(done),
                asked = self.next() => match asked {
                    Instruction::Close => return WaitOutcome::Closed,
                    Instruction::Call | Instruction::Reconnect if wakes => return WaitOutcome::Woken,
                    Instruction::Call | Instruction::Reconnect => {}
                },
                () = async { match deadline { Some(at) => tokio::time::sleep_until(at).await, None => std::future::pending().await } } => {
                    self.ledger.expire(Instant::now());
                }
            }
        }
    }

    /// Ends every call, those included that are still on their way here.
    pub(crate) async fn close(&mut self, reason: &Arc<CloseReason>) {
        self.commands.close();
        while let Some(command) = self.commands.recv().await {
            if let Command::Call(call) = command {
                self.ledger.open(call);
            }
        }
        self.ledger.close(reason);
    }
}
