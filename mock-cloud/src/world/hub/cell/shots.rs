//! The state of a hub at one moment: taken, gone on from, put back.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use ezlo_protocol::mac::MacAddress;
use ezlo_protocol::serial::Serial;

use super::super::timers::Waiting;
use super::super::{Context, Hub, Local};
use super::HubCell;
use crate::clock::Clock;
use crate::config::Guesses;
use crate::world::World;
use crate::world::file::HubKind;
use crate::world::link::Link;

/// Why a connection is closed whose hub is another one now.
const PUT_BACK: &str = "the world was put back";

/// Messages of a hub's life; a counter that a client can read exactly.
const MOST_MESSAGES: u64 = 1 << 53;

/// The state of a hub at one moment.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct HubShot {
    serial: Serial,
    mac: MacAddress,
    kind: HubKind,
    local: Local,
    hub: Arc<Hub>,
    taken_ms: i64,
    /// What it has yet to do, and in how many milliseconds.
    timers: Vec<(i64, Waiting)>,
    messages: u64,
    unlocked: bool,
}

impl HubShot {
    pub(crate) const fn serial(&self) -> &Serial {
        &self.serial
    }

    /// Refuses numbers that no hub comes to: a document can say anything.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        if self.messages > MOST_MESSAGES {
            return Err("more messages than a hub sends");
        }
        let times = self.timers.iter().map(|(left, _)| *left).chain([self.taken_ms]);
        if times.into_iter().any(|time| !(-Clock::END_MS..=Clock::END_MS).contains(&time)) {
            return Err("a time before 1970 or after 9999");
        }
        Ok(())
    }

    /// Whether nothing happens until somebody does something.
    pub(crate) const fn is_at_rest(&self) -> bool {
        self.timers.is_empty()
    }

    pub(crate) fn device_count(&self) -> usize {
        self.hub.device_count()
    }

    /// What is not kept of a hub, made anew.
    pub(crate) fn awake(mut self) -> Self {
        Arc::make_mut(&mut self.hub).awake(self.kind);
        self
    }
}

impl HubCell {
    /// The state as it is now.
    pub(crate) fn shot(&self, now_ms: i64) -> HubShot {
        let state = self.lock();
        HubShot {
            serial: self.serial.clone(),
            mac: self.mac,
            kind: self.kind,
            local: self.local,
            hub: Arc::clone(&state.hub),
            taken_ms: now_ms,
            timers: state.timers.left(now_ms),
            messages: self.messages.load(Ordering::Relaxed),
            unlocked: self.unlocked.load(Ordering::Acquire),
        }
    }

    /// The state that a new hub begins to live with.
    pub(crate) fn begun(self, now_ms: i64, guesses: &Guesses) -> HubShot {
        let mut context = Context::new(now_ms, guesses);
        let mut shot = self.shot(now_ms);
        drop(self);
        Arc::make_mut(&mut shot.hub).start(&mut context);
        let epoch = shot.hub.epoch;
        let left = |(ms, timer)| (i64::try_from(ms).unwrap_or(i64::MAX), Waiting { timer, epoch, cause: None });
        shot.timers = context.effects.timers.into_iter().map(left).collect();
        shot
    }

    /// A hub in that state; its timers stand still until it goes on.
    pub(crate) fn from_shot(shot: &HubShot) -> Self {
        let HubShot { serial, mac, kind, local, hub, messages, unlocked, .. } = shot;
        let cell = Self::new(serial.clone(), *mac, *kind, Arc::clone(hub));
        cell.messages.store(*messages, Ordering::Relaxed);
        cell.unlocked.store(*unlocked, Ordering::Release);
        Self { local: *local, ..cell }
    }

    /// Begins to live, with the timers of that state.
    pub(crate) fn go_on(self: &Arc<Self>, world: &Arc<World>, shot: &HubShot) {
        let mut state = self.lock();
        // By the clock: what became due while nobody was there is overdue.
        state.timers.replace(&shot.timers, shot.taken_ms);
        self.wake_in_time(world, &mut state);
    }

    /// Puts that state back. Whoever listens is let go.
    pub(crate) fn restore(self: &Arc<Self>, world: &Arc<World>, shot: &HubShot) {
        let later_ms = world.clock.now_ms() - shot.taken_ms;
        {
            let mut state = self.lock();
            close_all(&mut state.links);
            state.hub = Arc::clone(&shot.hub);
            state.timers.replace(&shot.timers, world.clock.now_ms());
            self.messages.store(shot.messages, Ordering::Relaxed);
            self.unlocked.store(shot.unlocked, Ordering::Release);
            if later_ms != 0 {
                Arc::make_mut(&mut state.hub).put_off(later_ms);
                self.change_locked(world, &mut state, None, Hub::watch_times_of_day, |()| ());
            }
            let on_network = state.hub.wifi.on_network();
            self.on_network.send_if_modified(|known| std::mem::replace(known, on_network) != on_network);
            self.wake_in_time(world, &mut state);
        }
        self.drops.send_modify(|drops| *drops += 1);
    }

    /// This hub is no longer there: every connection that listens is closed, and that of a process that speaks for it.
    pub(crate) fn let_go(&self) {
        {
            let mut state = self.lock();
            close_all(&mut state.links);
            if let Some(controller) = state.controller.take() {
                controller.close(1012, PUT_BACK);
            }
            state.timers.replace(&[], 0);
        }
        self.drops.send_modify(|drops| *drops += 1);
    }
}

#[cfg(feature = "cluster")]
impl HubCell {
    /// This hub lives elsewhere: whoever listens to it here hears nothing more of it.
    pub(crate) fn cut_off(&self) {
        {
            let mut state = self.lock();
            cut_all(&mut state.links);
            if let Some(controller) = state.controller.take() {
                controller.close(1012, "registered elsewhere");
            }
            state.timers.replace(&[], 0);
        }
        self.drops.send_modify(|drops| *drops += 1);
    }

    /// Lives here from now on, as it was at its home before. A process that speaks for it stays.
    pub(crate) fn moves_in(self: &Arc<Self>, world: &Arc<World>, shot: &HubShot) {
        {
            let mut state = self.lock();
            cut_all(&mut state.links);
            state.hub = Arc::clone(&shot.hub);
            self.messages.store(shot.messages, Ordering::Relaxed);
            self.unlocked.store(shot.unlocked, Ordering::Release);
            let on_network = state.hub.wifi.on_network();
            self.on_network.send_if_modified(|known| std::mem::replace(known, on_network) != on_network);
            state.timers.replace(&shot.timers, shot.taken_ms);
            self.wake_in_time(world, &mut state);
        }
        self.drops.send_modify(|drops| *drops += 1);
    }
}

#[cfg(feature = "cluster")]
fn cut_all(links: &mut Vec<Link>) {
    for link in links.drain(..) {
        link.cut();
    }
}

fn close_all(links: &mut Vec<Link>) {
    for link in links.drain(..) {
        link.close(1012, PUT_BACK);
    }
}
