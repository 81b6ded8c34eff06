//! A hub under its own lock, with the connections that listen to it and the clock that moves it.
//!
//! One lock per hub makes the documented order a property of the code: an answer is queued before the broadcasts that its
//! call caused, and every connection gets broadcasts in the same order.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ezlo_protocol::hub::broadcast::HUB_STATE_CHANGED;
use ezlo_protocol::hub::method::{self, Kind};
use ezlo_protocol::mac::MacAddress;
use ezlo_protocol::rpc::{Envelope, FrameKind, RpcError};
use ezlo_protocol::serial::Serial;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::timers::{Timers, Waiting};
use super::{Context, Effects, Family, Hub, Local};
use crate::config::Guesses;
use crate::evidence;
use crate::frame::{self, MessageId, Way};
use crate::glance::conn_id;
use crate::http_call;
use crate::journal;
use crate::json_text::{JsonText, is_too_deep};
use crate::report;
use crate::state::Touch;
use crate::world::World;
use crate::world::file::{HubFile, HubKind};
use crate::world::link::{Link, LinkKind};

mod calls;
mod shots;

pub(crate) use calls::WISHED;
pub(crate) use shots::HubShot;

/// HTTP requests that may be open at one hub (the vendor's note on the HTTP server).
const OPEN_REQUESTS: usize = 100;

/// Connections that may listen to one hub.
const MAX_LINKS: usize = 20_000;

/// A hub and who listens to it.
#[derive(Debug)]
pub(crate) struct HubCell {
    pub(crate) serial: Serial,
    pub(crate) mac: MacAddress,
    pub(crate) kind: HubKind,
    pub(crate) family: &'static Family,
    /// What is open on the local network.
    pub(crate) local: Local,
    state: Mutex<State>,
    open_requests: AtomicUsize,
    /// Messages that went out, for families that count them.
    messages: AtomicU64,
    /// Counts the times that the hub dropped its local connections.
    pub(crate) drops: watch::Sender<u64>,
    /// Whether the hub is on its local network.
    pub(crate) on_network: watch::Sender<bool>,
    /// Whether somebody has logged in, for families where that opens the hub to all.
    pub(crate) unlocked: AtomicBool,
}

#[derive(Debug)]
struct State {
    /// Shared with the snapshots that were taken of it; copied when it changes after one.
    hub: Arc<Hub>,
    timers: Timers,
    links: Vec<Link>,
    /// A process of its own that speaks for this hub in place of the simulated one.
    controller: Option<Link>,
    /// The last broadcast about each item, and what it took the place of, while there are faults.
    told: BTreeMap<String, Utf8Bytes>,
    stale: Option<Utf8Bytes>,
}

impl State {
    fn remember(&mut self, content: &str, text: &str) {
        let content: Value = serde_json::from_str(content).unwrap_or_default();
        let item = content["_id"].as_str().unwrap_or_default().to_owned();
        // An item that is gone is not told of any more; a house has so many at most.
        if self.told.len() > MOST_TOLD {
            self.told.clear();
        }
        if let Some(before) = self.told.insert(item, text.into()) {
            self.stale = Some(before);
        }
    }
}

/// Broadcasts that are remembered while there are faults.
const MOST_TOLD: usize = 10_000;

/// Holds one of the hub's open HTTP requests.
#[derive(Debug)]
pub(crate) struct OpenRequest(Arc<HubCell>);

impl Drop for OpenRequest {
    fn drop(&mut self) {
        self.0.open_requests.fetch_sub(1, Ordering::AcqRel);
    }
}

impl HubCell {
    /// The so manieth of those that the file means, counted from 0.
    pub(crate) fn from_file(file: &HubFile, n: u32, seed: u64, guesses: &Guesses, now_ms: i64) -> Self {
        let serial = file.serial_of(n);
        let hub = Hub::from_file(file, &serial, seed, guesses, now_ms);
        let cell = Self::new(serial, file.mac_of(n), file.kind, Arc::new(hub));
        let local = match (file.local, cell.local) {
            (Some(true), Local::None) => Local::Full,
            (Some(false), _) => Local::None,
            (_, local) => local,
        };
        Self { local, ..cell }
    }

    /// A hub that brought itself, by registering as a controller.
    pub(crate) fn foreign(serial: Serial, mac: MacAddress, model: &str, seed: u64, now_ms: i64) -> Self {
        let hub = Hub::bare(serial.as_str(), HubKind::Linux, model, seed, now_ms);
        Self::new(serial, mac, HubKind::Linux, Arc::new(hub))
    }

    fn new(serial: Serial, mac: MacAddress, kind: HubKind, hub: Arc<Hub>) -> Self {
        let family = Family::of(kind);
        let on_network = watch::Sender::new(hub.wifi.on_network());
        Self {
            drops: watch::Sender::new(0),
            on_network,
            serial,
            mac,
            kind,
            family,
            local: family.local,
            state: Mutex::new(State {
                hub,
                timers: Timers::default(),
                links: Vec::new(),
                controller: None,
                told: BTreeMap::new(),
                stale: None,
            }),
            open_requests: AtomicUsize::new(0),
            messages: AtomicU64::new(0),
            unlocked: AtomicBool::new(false),
        }
    }

    /// An answer as text, in the family's manner.
    pub(crate) fn reply_text(
        &self,
        world: &World,
        request: &Envelope<'_>,
        outcome: &Result<JsonText, RpcError>,
        way: Way<'_>,
    ) -> String {
        let number = self.messages.fetch_add(1, Ordering::Relaxed) + 1;
        let counted = self.family.counted_messages.then_some(number);
        let method = request.method.as_deref().unwrap_or_default();
        let weak = outcome.as_ref().err();
        let weak = weak.and_then(|error| evidence::errors::in_place_of(world.guesses.only_proven, error)).map(Err);
        let mut text = frame::counted_reply(request, method, weak.as_ref().unwrap_or(outcome), way, counted);
        let every = world.guesses.rtos_malformed_every;
        if self.kind == HubKind::Rtos && every > 0 && number.is_multiple_of(every) {
            text.pop();
        }
        text
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the hub.
    pub(crate) fn read<R>(&self, look: impl FnOnce(&Hub) -> R) -> R {
        look(&self.lock().hub)
    }

    /// Whether the hub can be reached through the relay.
    pub(crate) fn is_online(&self) -> bool {
        let state = self.lock();
        state.controller.is_some() || state.hub.wifi.at_relay()
    }

    /// Adds a listener; false when there are too many.
    pub(crate) fn attach(&self, link: Link) -> bool {
        let mut state = self.lock();
        let room = state.links.len() < MAX_LINKS;
        if room {
            state.links.push(link);
        }
        room
    }

    pub(crate) fn detach(&self, conn_id: &str) {
        self.lock().links.retain(|link| &*link.conn_id != conn_id);
    }

    /// Takes one of the hub's open HTTP requests; `None` when all are taken.
    pub(crate) fn open_request(self: &Arc<Self>) -> Option<OpenRequest> {
        let taken = self
            .open_requests
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |open| (open < OPEN_REQUESTS).then_some(open + 1));
        taken.ok().map(|_| OpenRequest(Arc::clone(self)))
    }

    /// Lets something happen to the hub. `answer` runs before the broadcasts it caused are queued.
    pub(crate) fn change<R>(
        self: &Arc<Self>,
        world: &Arc<World>,
        act: impl FnOnce(&mut Hub, &mut Context<'_>) -> R,
        answer: impl FnOnce(&R),
    ) -> R {
        let mut state = self.lock();
        self.is_changing(world);
        self.change_locked(world, &mut state, None, act, answer)
    }

    /// To be called under this hub's lock, before anything that says what has become of it.
    fn is_changing(&self, world: &World) {
        if let Some(keeper) = &world.keeper {
            keeper.note(Touch::Hub(self.serial.clone()));
        }
    }

    fn change_locked<'c, R>(
        self: &Arc<Self>,
        world: &'c Arc<World>,
        state: &mut State,
        request_id: Option<&'c RawValue>,
        act: impl FnOnce(&mut Hub, &mut Context<'c>) -> R,
        answer: impl FnOnce(&R),
    ) -> R {
        let mut context = Context::new(world.clock.now_ms(), &world.guesses);
        (context.networks, context.request_id) = (&world.networks, request_id);
        let result = act(Arc::make_mut(&mut state.hub), &mut context);
        answer(&result);
        self.apply(world, state, context.now_ms, context.effects);
        result
    }

    /// Answers a call of the simulated hub.
    pub(crate) fn call(
        self: &Arc<Self>,
        world: &Arc<World>,
        request: &Envelope<'_>,
        answer: impl FnOnce(&Result<JsonText, RpcError>),
    ) -> Result<JsonText, RpcError> {
        if [request.id, request.params].into_iter().flatten().any(|raw| is_too_deep(raw.get())) {
            let refused = Err(RpcError::known("rpc.params.invalid"));
            answer(&refused);
            return refused;
        }
        let params = request.params.map(RawValue::get);
        let name = request.method.as_deref().unwrap_or_default();
        let spec = method::spec(method::current_name(name));
        report::unknown_members(world, name, spec, params);
        let mut state = self.lock();
        if spec.is_none_or(|spec| spec.kind != Kind::Read) {
            self.is_changing(world);
        }
        let act = |hub: &mut Hub, context: &mut Context<'_>| hub.call(name, params, context);
        let outcome = self.change_locked(world, &mut state, request.id, act, answer);
        if let Err(error) = &outcome
            && error.data() == "rpc.method.notfound"
        {
            report::unanswered(world, name, name, super::SIMULATED.iter().map(|known| (*known).to_owned()));
        }
        outcome
    }

    /// A process begins to speak for this hub; the one before it, if any, is told to go.
    pub(crate) fn controller_came(&self, link: Link) {
        let mut state = self.lock();
        let was_online = state.controller.is_some() || state.hub.wifi.at_relay();
        if let Some(before) = state.controller.replace(link) {
            before.close(1000, "another controller registered");
        }
        if !was_online {
            self.tell_presence(&mut state, true);
        }
    }

    /// The process that spoke for this hub is gone.
    pub(crate) fn controller_went(&self, conn_id: &str) {
        let mut state = self.lock();
        if state.controller.as_ref().is_some_and(|controller| &*controller.conn_id == conn_id) {
            state.controller = None;
            if !state.hub.wifi.at_relay() {
                self.tell_presence(&mut state, false);
            }
        }
    }

    /// Passes on what a process says for this hub: broadcasts to everybody, answers to who asked.
    pub(crate) fn pass_on(&self, kind: FrameKind, sender: Option<&str>, text: &str) {
        let mut state = self.lock();
        match kind {
            FrameKind::Broadcast => send_to(&mut state.links, |_| true, text),
            FrameKind::Reply => {
                let read = |sender| serde_json::from_str::<Sender<'_>>(sender).ok().map(|sender| sender.conn_id);
                let seen = sender.and_then(|sender| conn_id(sender).map(Cow::Borrowed).or_else(|| read(sender)));
                let conn_id = seen.unwrap_or_default();
                send_to(&mut state.links, |link| *link.conn_id == *conn_id, text);
            }
            FrameKind::Request | FrameKind::Unknown => {}
        }
    }

    fn apply(self: &Arc<Self>, world: &Arc<World>, state: &mut State, now_ms: i64, effects: Effects) {
        if !effects.broadcasts.is_empty() || effects.at_relay.is_some() || effects.drop_local {
            let presence = effects.at_relay.map(|_| HUB_STATE_CHANGED);
            let told = effects.broadcasts.iter().map(|(name, _)| *name).chain(presence);
            world.journal.hub_changed(&self.serial, told);
        }
        for (name, content) in &effects.broadcasts {
            let told = self.family.method_on_room_broadcasts.then(|| room_method(name)).flatten();
            let text = frame::broadcast(&self.next_msg_id(now_ms.div_euclid(1000)), name, content.as_str(), told);
            if world.faults.are_there() && *name == "hub.item.updated" {
                state.remember(content.as_str(), &text);
            }
            // Through the relay only while the hub is there.
            let at_relay = state.hub.wifi.at_relay() || effects.at_relay == Some(false);
            send_to(&mut state.links, |link| at_relay || link.kind != LinkKind::Relay, &text);
        }
        for call in effects.http {
            world.spawn(http_call::run(call, world.guesses.scene_http_anywhere));
        }
        if effects.drop_local {
            drop_local(&mut state.links);
            self.drops.send_modify(|drops| *drops += 1);
        }
        let on_network = state.hub.wifi.on_network();
        self.on_network.send_if_modified(|known| std::mem::replace(known, on_network) != on_network);
        if let Some(connected) = effects.at_relay.filter(|_| state.controller.is_none()) {
            self.tell_presence(state, connected);
        }
        for (ms, timer) in effects.timers {
            let due = world.clock.now_ms().saturating_add(i64::try_from(ms).unwrap_or(i64::MAX));
            // What comes later has the same cause as what was asked for now.
            state.timers.add(due, Waiting { timer, epoch: state.hub.epoch, cause: journal::cause() });
        }
        let State { hub, timers, .. } = state;
        timers.sweep(|waiting| waiting.epoch == hub.epoch && hub.waits_for(&waiting.timer));
        self.wake_in_time(world, state);
    }

    /// Sees to it that somebody wakes this hub when its next timer is due.
    fn wake_in_time(self: &Arc<Self>, world: &Arc<World>, state: &mut State) {
        let Some(due) = state.timers.claim_waking() else { return };
        let wait = due.saturating_sub(world.clock.now_ms());
        let timer = world.clock.timer(Duration::from_millis(u64::try_from(wait).unwrap_or_default()));
        let (cell, world_then) = (Arc::clone(self), Arc::clone(world));
        world.spawn(async move {
            // Held until everything that it leads to is done.
            let _woken = timer.await;
            cell.woken(&world_then, due).await;
        });
    }

    /// Fires all due timers in order. Other tasks run between two of them: a busy hub must not hold a worker thread.
    async fn woken(self: &Arc<Self>, world: &Arc<World>, due: i64) {
        self.lock().timers.is_woken(due);
        while self.fire_next(world) {
            tokio::task::yield_now().await;
        }
    }

    /// Fires the next due timer; false when none is due and the next waking is arranged.
    fn fire_next(self: &Arc<Self>, world: &Arc<World>) -> bool {
        // Removed and done under one lock: a snapshot that is taken meanwhile has all of it or none.
        let mut state = self.lock();
        let Some(waiting) = state.timers.next_due(world.clock.now_ms()) else {
            self.wake_in_time(world, &mut state);
            return false;
        };
        self.is_changing(world);
        let fire = |hub: &mut Hub, context: &mut Context<'_>| {
            if hub.epoch == waiting.epoch {
                hub.fire(&waiting.timer, context);
            }
        };
        journal::because_of(waiting.cause, || self.change_locked(world, &mut state, None, fire, |()| ()));
        true
    }

    /// 24 hexadecimal digits, as on Linux hubs: the second and a counter; or the counter alone.
    fn next_msg_id(&self, unix_seconds: i64) -> MessageId {
        let number = self.messages.fetch_add(1, Ordering::Relaxed) + 1;
        if self.family.counted_messages {
            return MessageId::Counter(number);
        }
        let low = u32::try_from(unix_seconds & i64::from(u32::MAX)).unwrap_or_default();
        MessageId::Digits(low, number)
    }

    /// The relay tells that the hub came or went (case and content by one public client).
    fn tell_presence(&self, state: &mut State, connected: bool) {
        let content = json!({"serial": self.serial, "connected": connected});
        let text = frame::broadcast(&self.next_msg_id(0), HUB_STATE_CHANGED, &content.to_string(), None);
        send_to(&mut state.links, |link| link.kind == LinkKind::Relay, &text);
    }
}

/// Whom an answer is for.
#[derive(serde::Deserialize)]
struct Sender<'a> {
    #[serde(borrow)]
    conn_id: Cow<'a, str>,
}

/// The method that EzloPi leaves on these broadcasts.
fn room_method(name: &str) -> Option<&'static str> {
    match name {
        "hub.room.deleted" => Some("hub.room.delete"),
        "hub.room.reordered" => Some("hub.room.order.set"),
        _ => None,
    }
}

/// Sends to those links; one that is gone or too slow is cut off.
fn send_to(links: &mut Vec<Link>, wanted: impl Fn(&Link) -> bool, text: &str) {
    links.retain(|link| !wanted(link) || link.send(text));
}

fn drop_local(links: &mut Vec<Link>) {
    links.retain(|link| {
        // A hub that is a process of its own drops its relay too.
        let own = link.kind != LinkKind::Relay;
        if own {
            link.close(1001, "hub drops local connections");
        }
        !own
    });
}
