//! Snapshots of a hub: taking, restoring and resuming them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use ezlo_protocol::mac::MacAddress;
#[cfg(feature = "cluster")]
use ezlo_protocol::secret::masked;
use ezlo_protocol::serial::Serial;

use crate::core::clock::Clock;
use crate::world::hub_actor::HubActor;
use crate::world::hub_actor::subscribers::Subscribers;
use crate::world::hub_env::HubEnv;
use ezlo_hub_sim::HubAssumptions;
use ezlo_hub_sim::Waiting;
use ezlo_hub_sim::world_file::{HubFile, HubKind};
use ezlo_hub_sim::{Context, Family, Hub, Local};

/// Close reason of connections after a restore.
const WORLD_RESTORED: &str = "the world was restored";

/// Maximum value of the message counter, which JSON clients can represent exactly.
const MOST_MESSAGES: u64 = 1 << 53;

/// The state of a hub at one moment.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct HubSnapshot {
    serial: Serial,
    mac: MacAddress,
    kind: HubKind,
    local: Local,
    hub: Arc<Hub>,
    /// Time of the snapshot, in Unix milliseconds.
    taken_ms: i64,
    /// Pending timers, each with the milliseconds until it is due.
    timers: Vec<(i64, Waiting)>,
    messages: u64,
    unlocked: bool,
    /// An external controller is connected.
    #[serde(default)]
    controller: bool,
}

impl HubSnapshot {
    /// Returns the initial state of the hub at `index` (0-based) of a world-file entry, with the timers that it starts.
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
            controller: false,
        }
    }

    pub(crate) const fn serial(&self) -> &Serial {
        &self.serial
    }

    /// Checks the numbers of a snapshot that was read from a document.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        if self.messages > MOST_MESSAGES {
            return Err("the message counter is above 2^53");
        }
        let times = self.timers.iter().map(|(left, _)| *left).chain([self.taken_ms]);
        if times.into_iter().any(|time| !(-Clock::END_MS..=Clock::END_MS).contains(&time)) {
            return Err("a time is outside of the range of the clock");
        }
        Ok(())
    }

    /// Returns whether the hub has no pending timers.
    pub(crate) const fn is_idle(&self) -> bool {
        self.timers.is_empty()
    }

    pub(crate) fn device_count(&self) -> usize {
        self.hub.device_count()
    }

    /// Restores the parts of the hub that are not persisted.
    pub(crate) fn rehydrate(mut self) -> Self {
        Arc::make_mut(&mut self.hub).rehydrate(self.kind);
        self
    }
}

impl HubActor {
    /// Takes a snapshot of the hub.
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
            controller: state.controller.is_some(),
        }
    }

    /// Creates a hub from a snapshot. Its timers start with [`HubActor::resume`].
    pub(crate) fn from_shot(env: &Arc<HubEnv>, snapshot: &HubSnapshot) -> Self {
        let HubSnapshot { serial, mac, kind, local, hub, messages, unlocked, .. } = snapshot;
        let cell = Self::new(env, serial.clone(), *mac, *kind, Arc::clone(hub));
        cell.messages.store(*messages, Ordering::Relaxed);
        cell.unlocked.store(*unlocked, Ordering::Release);
        Self { local: *local, ..cell }
    }

    /// Starts the timers of a snapshot.
    pub(crate) fn resume(self: &Arc<Self>, snapshot: &HubSnapshot) {
        let mut state = self.lock();
        // Relative to the time of the snapshot: timers that became due meanwhile are overdue and fire at once.
        state.timers.replace(&snapshot.timers, snapshot.taken_ms);
        self.wake_in_time(&mut state);
    }

    /// Restores a snapshot and closes all subscribers.
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

    /// Closes all subscribers and the external controller and stops the timers, because the hub is removed.
    pub(crate) fn detach_all(&self) {
        {
            let mut state = self.lock();
            close_all(&mut state.links);
            if let Some(controller) = state.controller.take() {
                controller.close(1012, WORLD_RESTORED);
            }
            state.timers.replace(&[], 0);
        }
        self.drops.send_modify(|drops| *drops += 1);
    }
}

#[cfg(feature = "cluster")]
impl HubSnapshot {
    /// Decodes a hub that another process wrote. The error contains no values of it.
    pub(crate) fn from_row(serial: &Serial, row: &[u8]) -> Result<Self, String> {
        let snapshot: Self =
            serde_json::from_slice(row).map_err(|error| format!("hub {serial}: {}", masked(&error.to_string())))?;
        snapshot.check().map_err(|error| format!("hub {serial}: {error}"))?;
        Ok(snapshot.rehydrate())
    }
}

#[cfg(feature = "cluster")]
impl HubActor {
    /// Cuts off all subscribers and stops the timers, because another process has taken over the hub. Queued messages are
    /// discarded.
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

    /// Stores the state that another process has written. It is decoded when it is needed.
    pub(crate) fn receive_row(&self, row: Arc<[u8]>) {
        self.lock().received = Some(row);
    }

    /// Takes over the hub with the state that it had in another process. An external controller stays connected.
    pub(crate) fn adopt(self: &Arc<Self>, snapshot: &HubSnapshot) {
        {
            let mut state = self.lock();
            cut_all(&mut state.links);
            (state.received, state.controller_elsewhere) = (None, false);
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
impl HubActor {
    /// Shows the state that another process has written, if there is a newer one. No timers start here.
    pub(crate) fn refresh(&self) {
        let mut state = self.lock();
        let Some(row) = state.received.take() else { return };
        let snapshot = match HubSnapshot::from_row(&self.serial, &row) {
            Ok(snapshot) => snapshot,
            Err(error) => {
                tracing::warn!(%error, "a row of another process is not valid and was ignored");
                return;
            }
        };
        state.hub = Arc::clone(&snapshot.hub);
        state.controller_elsewhere = snapshot.controller;
        self.messages.store(snapshot.messages, Ordering::Relaxed);
        self.unlocked.store(snapshot.unlocked, Ordering::Release);
        let on_network = state.hub.wifi.on_network();
        self.on_network.send_if_modified(|known| std::mem::replace(known, on_network) != on_network);
    }
}

#[cfg(not(feature = "cluster"))]
impl HubActor {
    /// Has no effect: no other process writes the state.
    #[expect(clippy::unused_self, reason = "the same call as with the feature `cluster`")]
    pub(crate) const fn refresh(&self) {}
}

#[cfg(feature = "cluster")]
fn cut_all(links: &mut Subscribers) {
    for link in links.drain() {
        link.cut();
    }
}

fn close_all(links: &mut Subscribers) {
    for link in links.drain() {
        link.close(1012, WORLD_RESTORED);
    }
}
