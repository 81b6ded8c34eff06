//! The state of a hub at one moment: taken, gone on from, put back.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use ezlo_protocol::mac::MacAddress;
use ezlo_protocol::serial::Serial;

use crate::core::clock::Clock;
use crate::world::hub_actor::HubActor;
use crate::world::hub_env::HubEnv;
use crate::world::outbox::Link;
use ezlo_hub_sim::HubAssumptions;
use ezlo_hub_sim::Waiting;
use ezlo_hub_sim::world_file::{HubFile, HubKind};
use ezlo_hub_sim::{Context, Family, Hub, Local};

/// Why a connection is closed whose hub is another one now.
const PUT_BACK: &str = "the world was put back";

/// Messages of a hub's life; a counter that a client can read exactly.
const MOST_MESSAGES: u64 = 1 << 53;

/// The state of a hub at one moment.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct HubSnapshot {
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

impl HubSnapshot {
    /// The initial state of the hub at `index` (0-based) of a world-file entry, with the timers that it starts.
    pub(crate) fn from_file(file: &HubFile, index: u32, seed: u64, assumptions: &HubAssumptions, now_ms: i64) -> Self {
        let (serial, family) = (file.serial_of(index), Family::of(file.kind));
        let mut hub = Hub::from_file(file, &serial, seed, assumptions, now_ms);
        let mut context = Context::new(now_ms, assumptions);
        hub.start(&mut context);
        let epoch = hub.epoch;
        let left = |(ms, timer)| (i64::try_from(ms).unwrap_or(i64::MAX), Waiting { timer, epoch, cause: None });
        Self {
            serial,
            mac: file.mac_of(index),
            kind: file.kind,
            local: match (file.local, family.local) {
                (Some(true), Local::None) => Local::Full,
                (Some(false), _) => Local::None,
                (_, local) => local,
            },
            hub: Arc::new(hub),
            taken_ms: now_ms,
            timers: context.effects.timers.into_iter().map(left).collect(),
            messages: 0,
            unlocked: false,
        }
    }

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
    pub(crate) const fn is_idle(&self) -> bool {
        self.timers.is_empty()
    }

    pub(crate) fn device_count(&self) -> usize {
        self.hub.device_count()
    }

    /// What is not kept of a hub, made anew.
    pub(crate) fn rehydrate(mut self) -> Self {
        Arc::make_mut(&mut self.hub).rehydrate(self.kind);
        self
    }
}

impl HubActor {
    /// The state as it is now.
    pub(crate) fn snapshot(&self, now_ms: i64) -> HubSnapshot {
        let state = self.lock();
        HubSnapshot {
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

    /// A hub in that state; its timers stand still until it goes on.
    pub(crate) fn from_shot(env: &Arc<HubEnv>, snapshot: &HubSnapshot) -> Self {
        let HubSnapshot { serial, mac, kind, local, hub, messages, unlocked, .. } = snapshot;
        let cell = Self::new(env, serial.clone(), *mac, *kind, Arc::clone(hub));
        cell.messages.store(*messages, Ordering::Relaxed);
        cell.unlocked.store(*unlocked, Ordering::Release);
        Self { local: *local, ..cell }
    }

    /// Begins to live, with the timers of that state.
    pub(crate) fn resume(self: &Arc<Self>, snapshot: &HubSnapshot) {
        let mut state = self.lock();
        // By the clock: what became due while nobody was there is overdue.
        state.timers.replace(&snapshot.timers, snapshot.taken_ms);
        self.wake_in_time(&mut state);
    }

    /// Puts that state back. Whoever listens is let go.
    pub(crate) fn restore(self: &Arc<Self>, snapshot: &HubSnapshot) {
        let later_ms = self.env.clock.now_ms() - snapshot.taken_ms;
        {
            let mut state = self.lock();
            close_all(&mut state.links);
            state.hub = Arc::clone(&snapshot.hub);
            state.timers.replace(&snapshot.timers, self.env.clock.now_ms());
            self.messages.store(snapshot.messages, Ordering::Relaxed);
            self.unlocked.store(snapshot.unlocked, Ordering::Release);
            if later_ms != 0 {
                Arc::make_mut(&mut state.hub).shift_timers(later_ms);
                self.change_locked(&mut state, None, Hub::watch_times_of_day, |()| ());
            }
            let on_network = state.hub.wifi.on_network();
            self.on_network.send_if_modified(|known| std::mem::replace(known, on_network) != on_network);
            self.wake_in_time(&mut state);
        }
        self.drops.send_modify(|drops| *drops += 1);
    }

    /// This hub is no longer there: every connection that listens is closed, and that of a process that speaks for it.
    pub(crate) fn detach_all(&self) {
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
impl HubActor {
    /// This hub lives elsewhere: whoever listens to it here hears nothing more of it.
    pub(crate) fn disconnect_all(&self) {
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
    pub(crate) fn adopt(self: &Arc<Self>, snapshot: &HubSnapshot) {
        {
            let mut state = self.lock();
            cut_all(&mut state.links);
            state.hub = Arc::clone(&snapshot.hub);
            self.messages.store(snapshot.messages, Ordering::Relaxed);
            self.unlocked.store(snapshot.unlocked, Ordering::Release);
            let on_network = state.hub.wifi.on_network();
            self.on_network.send_if_modified(|known| std::mem::replace(known, on_network) != on_network);
            state.timers.replace(&snapshot.timers, snapshot.taken_ms);
            self.wake_in_time(&mut state);
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
