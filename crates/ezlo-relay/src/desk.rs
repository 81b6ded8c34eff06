//! What a session keeps from connection to connection: the calls, the handle's wishes, the subscribers, the status.

use std::sync::Arc;

use ezlo_protocol::hub::login::HubStateChange;
use ezlo_protocol::serial::Serial;
use ezlo_protocol::wire::Loose;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::time::Instant;

use crate::error::CloseReason;
use crate::ledger::{Ledger, NewCall};
use crate::session::RelayEvent;
use crate::status::{Phase, Status, Tally};

/// What the handle asks for.
#[derive(Debug)]
pub(crate) enum Command {
    Call(NewCall),
    Reconnect,
    Close,
}

/// What came from the handle; a call is in the ledger already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    Call,
    Reconnect,
    Close,
}

/// The way to everybody who listens.
#[derive(Debug, Clone)]
pub(crate) struct Voice {
    pub(crate) events: broadcast::Sender<RelayEvent>,
    pub(crate) status: watch::Sender<Status>,
    pub(crate) tally: Arc<Tally>,
    /// The hub that was chosen at the relay.
    pub(crate) serial: Option<Serial>,
}

impl Voice {
    /// Whether a notice about a hub's presence is about ours. One that names no hub is.
    pub(crate) fn is_ours(&self, change: &HubStateChange) -> bool {
        let about = change.serial.get().map(Loose::get);
        self.serial.as_ref().is_none_or(|ours| about.is_none_or(|about| about == ours))
    }

    pub(crate) fn tell(&self, event: RelayEvent) {
        // Nobody may be listening.
        let _ = self.events.send(event);
    }

    pub(crate) fn phase(&self, phase: Phase) {
        self.becomes(phase, |_| ());
    }

    /// The one place where the phase changes.
    pub(crate) fn becomes(&self, phase: Phase, change: impl FnOnce(&mut Status)) {
        self.status.send_modify(|status| {
            debug_assert!(status.phase.may_become(phase), "{:?} becomes {phase:?}", status.phase);
            status.phase = phase;
            change(status);
        });
    }

    /// Nothing is known of relay and hub any more.
    pub(crate) fn unlinked(&self, reason: &Arc<CloseReason>) {
        self.status.send_modify(|status| {
            status.relay = false;
            status.hub = false;
            status.reason = Some(Arc::clone(reason));
        });
    }

    /// The relay told that the hub came or went.
    pub(crate) fn hub_is(&self, there: bool) {
        self.status.send_if_modified(|status| std::mem::replace(&mut status.hub, there) != there);
    }
}

pub(crate) struct Desk {
    pub(crate) ledger: Ledger,
    /// A new link is wanted that is looked for from now on.
    pub(crate) wants_new_link: bool,
    commands: mpsc::Receiver<Command>,
}

/// What became of waiting for something.
#[derive(Debug)]
pub(crate) enum Waited<T> {
    /// It is there.
    Done(T),
    /// A call came, which wants a link now.
    Woken,
    /// The handle wants an end.
    Closed,
}

impl Desk {
    pub(crate) fn new(commands: mpsc::Receiver<Command>) -> Self {
        Self { ledger: Ledger::default(), wants_new_link: false, commands }
    }

    /// Waits for the handle; a call goes into the ledger. Safe to cancel.
    pub(crate) async fn next(&mut self) -> Asked {
        match self.commands.recv().await {
            Some(Command::Call(call)) => {
                self.ledger.open(call);
                Asked::Call
            }
            Some(Command::Reconnect) => {
                self.wants_new_link = true;
                Asked::Reconnect
            }
            Some(Command::Close) | None => Asked::Close,
        }
    }

    /// Waits for something without a link: calls are taken in and run out of time meanwhile. With `wakes`, a call ends the
    /// wait.
    pub(crate) async fn waiting<F: Future>(&mut self, what: F, wakes: bool) -> Waited<F::Output> {
        let mut what = std::pin::pin!(what);
        loop {
            let deadline = self.ledger.next_deadline();
            tokio::select! {
                biased;
                done = &mut what => return Waited::Done(done),
                asked = self.next() => match asked {
                    Asked::Close => return Waited::Closed,
                    Asked::Call | Asked::Reconnect if wakes => return Waited::Woken,
                    Asked::Call | Asked::Reconnect => {}
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
