//! A hub with its lock, its subscribers and its timers.
//!
//! The lock guarantees the documented order: a reply is queued before the broadcasts that its call caused, and every
//! connection receives the broadcasts in the same order.

use crate::core::process_limits::{self, Share};
use crate::evidence::error_table;
use crate::journal::cause;
use crate::journal::cause::with_cause;
use crate::world::hub_actor::subscribers::Subscribers;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ezlo_protocol::hub::broadcast::HUB_STATE_CHANGED;
use ezlo_protocol::hub::method::{self, Kind};
use ezlo_protocol::mac::MacAddress;
use ezlo_protocol::rpc::{Envelope, RpcError};
use ezlo_protocol::serial::{ModelFamily, Serial};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::journal::usage_report;
use crate::persistence::rows::RowKey;
use crate::wire;
use crate::wire::{MessageId, ReplyRoute};
use crate::world::hub_env::HubEnv;
use crate::world::outbound_http;
use crate::world::outbox::{Link, LinkKind};
use ezlo_hub_sim::json::{RawJson, is_too_deep};
use ezlo_hub_sim::world_file::HubKind;
use ezlo_hub_sim::{Context, Effects, Family, Hub, HubBroadcast, Local};
use ezlo_hub_sim::{Timers, Waiting};

pub(crate) mod controller;
pub(crate) mod hub_snapshot;
pub(crate) mod relay_calls;
mod row_limit;
pub(crate) mod subscribers;

/// Maximum number of open HTTP requests at one hub (the vendor's note on the HTTP server).
const OPEN_REQUESTS: usize = 100;

/// A hub and its subscribers.
#[derive(Debug)]
pub(crate) struct HubActor {
    env: Arc<HubEnv>,
    pub(crate) serial: Serial,
    pub(crate) mac: MacAddress,
    pub(crate) kind: HubKind,
    pub(crate) family: &'static Family,
    /// The interfaces that the hub has on its local network.
    pub(crate) local: Local,
    state: Mutex<State>,
    open_requests: AtomicUsize,
    /// Number of messages sent, for families that number their messages.
    messages: AtomicU64,
    /// Incremented each time the hub drops its local connections.
    pub(crate) drops: watch::Sender<u64>,
    /// False from a loss of power until the hub has started again. Changes before `on_network`.
    pub(crate) has_power: watch::Sender<bool>,
    /// True while the hub is on its local network.
    pub(crate) on_network: watch::Sender<bool>,
    /// The persisted hub was larger than half of its limit in a cluster.
    is_large: AtomicBool,
    /// True after a login, for families where one login gives access to all local connections.
    pub(crate) unlocked: AtomicBool,
}

#[derive(Debug)]
struct State {
    /// Shared with the snapshots of the hub; copied at the first change after a snapshot.
    hub: Arc<Hub>,
    timers: Timers,
    links: Subscribers,
    /// Local connections of the time when the hub lost its power. They stay open, and nothing is sent on them.
    silenced: Vec<Link>,
    /// Connection of an external controller that answers for this hub instead of the simulated one.
    controller: Option<Link>,
    /// An external controller is connected to another process of the cluster.
    controller_elsewhere: bool,
    /// Bytes of parameters since the size of the persisted hub was checked.
    unchecked_bytes: usize,
    /// The newest state that another process has written, not decoded yet.
    #[cfg(feature = "cluster")]
    received: Option<Arc<[u8]>>,
    /// Size of the scenes, as far as they have changed since the hub was created.
    scene_bytes: Share,
    /// The last broadcast about each item, recorded while faults are active.
    last_broadcasts: BTreeMap<String, Utf8Bytes>,
    /// The broadcast that the most recent one about the same item replaced.
    stale: Option<Utf8Bytes>,
}

impl State {
    fn remember(&mut self, content: &str, text: &str) {
        let content: Value = serde_json::from_str(content).unwrap_or_default();
        let item = content["_id"].as_str().unwrap_or_default().to_owned();
        // Entries of removed items are never removed one by one, so the map is cleared at its limit.
        if self.last_broadcasts.len() > MAX_LAST_BROADCASTS {
            self.last_broadcasts.clear();
        }
        if let Some(before) = self.last_broadcasts.insert(item, text.into()) {
            self.stale = Some(before);
        }
    }
}

/// Maximum number of items whose last broadcast is recorded while faults are active.
const MAX_LAST_BROADCASTS: usize = 10_000;

/// One of the open HTTP requests of a hub. Dropping it releases the request.
#[derive(Debug)]
pub(crate) struct OpenHttpRequest(Arc<HubActor>);

impl Drop for OpenHttpRequest {
    fn drop(&mut self) {
        self.0.open_requests.fetch_sub(1, Ordering::AcqRel);
    }
}

impl HubActor {
    /// Creates a hub that is not in the world file and registers as a controller. Without a UUID, it gets one.
    pub(crate) fn foreign(
        env: &Arc<HubEnv>,
        serial: Serial,
        mac: MacAddress,
        model: &str,
        uuid: Option<String>,
    ) -> Self {
        let kind = if serial.family() == ModelFamily::EzloPi { HubKind::Ezlopi } else { HubKind::Linux };
        let mut hub = Hub::bare(serial.as_str(), kind, model, 0, env.clock.now_ms());
        hub.uuid = uuid.unwrap_or(hub.uuid);
        Self::new(env, serial, mac, kind, Arc::new(hub))
    }

    fn new(env: &Arc<HubEnv>, serial: Serial, mac: MacAddress, kind: HubKind, hub: Arc<Hub>) -> Self {
        let family = Family::of(kind);
        let on_network = watch::Sender::new(hub.wifi.on_network());
        Self {
            env: Arc::clone(env),
            drops: watch::Sender::new(0),
            has_power: watch::Sender::new(!hub.is_unplugged()),
            on_network,
            serial,
            mac,
            kind,
            family,
            local: family.local,
            state: Mutex::new(State {
                hub,
                timers: Timers::default(),
                links: Subscribers::default(),
                silenced: Vec::new(),
                controller: None,
                controller_elsewhere: false,
                unchecked_bytes: 0,
                #[cfg(feature = "cluster")]
                received: None,
                scene_bytes: Share::of(&process_limits::SCENES),
                last_broadcasts: BTreeMap::new(),
                stale: None,
            }),
            open_requests: AtomicUsize::new(0),
            messages: AtomicU64::new(0),
            is_large: AtomicBool::new(false),
            unlocked: AtomicBool::new(false),
        }
    }

    /// Serialises a reply in the format of the hub's family.
    pub(crate) fn reply_text(
        &self,
        request: &Envelope<'_>,
        outcome: &Result<RawJson, RpcError>,
        way: ReplyRoute<'_>,
    ) -> String {
        let number = self.messages.fetch_add(1, Ordering::Relaxed) + 1;
        let method = request.method.as_deref().unwrap_or_default();
        let weak = outcome.as_ref().err();
        let weak =
            weak.and_then(|error| error_table::replacement_for(self.env.assumptions.min_evidence, error)).map(Err);
        let mut text = wire::counted_reply(request, method, weak.as_ref().unwrap_or(outcome), way, self.family, number);
        let every = self.env.assumptions.rtos_truncate_every_nth_reply;
        if self.kind == HubKind::Rtos && every > 0 && number.is_multiple_of(every) {
            text.pop();
        }
        text
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the state of the hub under its lock.
    pub(crate) fn read<R>(&self, read: impl FnOnce(&Hub) -> R) -> R {
        read(&self.lock().hub)
    }

    /// Returns whether the hub has no power.
    pub(crate) fn is_unplugged(&self) -> bool {
        self.read(Hub::is_unplugged)
    }

    /// Waits until the hub is on its local network.
    pub(crate) async fn wait_until_on_network(&self) {
        // Fails only if the sender is dropped, and `self` owns it.
        let _ = self.on_network.subscribe().wait_for(|is_on_network| *is_on_network).await;
    }

    /// Returns whether the hub can be reached through the relay.
    pub(crate) fn is_online(&self) -> bool {
        let state = self.lock();
        state.controller.is_some() || state.controller_elsewhere || state.hub.wifi.at_relay()
    }

    /// Adds a subscriber. Returns false if there are too many.
    pub(crate) fn attach(&self, link: Link) -> bool {
        self.lock().links.add(link)
    }

    pub(crate) fn detach(&self, conn_id: &str) {
        self.lock().links.remove(conn_id);
    }

    /// Opens an HTTP request at the hub. Returns `None` if too many are open.
    pub(crate) fn open_request(self: &Arc<Self>) -> Option<OpenHttpRequest> {
        let taken = self
            .open_requests
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |open| (open < OPEN_REQUESTS).then_some(open + 1));
        taken.ok().map(|_| OpenHttpRequest(Arc::clone(self)))
    }

    /// Changes the hub. `answer` runs with the result before the broadcasts that `act` caused are queued.
    pub(crate) fn change<R>(
        self: &Arc<Self>,
        act: impl FnOnce(&mut Hub, &mut Context<'_>) -> R,
        answer: impl FnOnce(&R),
    ) -> R {
        let mut state = self.lock();
        self.mark_dirty();
        self.change_locked(&mut state, None, act, answer)
    }

    /// Marks the hub for persistence. Must be called under its lock, before a message about the change is queued.
    fn mark_dirty(&self) {
        if let Some(keeper) = &self.env.keeper {
            keeper.mark_row(RowKey::Hub(self.serial.clone()));
        }
    }

    fn change_locked<R>(
        self: &Arc<Self>,
        state: &mut State,
        request_id: Option<&RawValue>,
        act: impl FnOnce(&mut Hub, &mut Context<'_>) -> R,
        answer: impl FnOnce(&R),
    ) -> R {
        let mut context = Context::new(self.env.clock.now_ms(), &self.env.hub_assumptions);
        (context.networks, context.request_id) = (&self.env.networks, request_id);
        context.max_scene_bytes = state.scene_bytes.bytes().saturating_add(process_limits::SCENES.free());
        let result = act(Arc::make_mut(&mut state.hub), &mut context);
        answer(&result);
        self.apply(state, context.now_ms, context.effects);
        result
    }

    /// Runs a call at the simulated hub. `answer` runs with the outcome before the broadcasts are queued.
    pub(crate) fn call(
        self: &Arc<Self>,
        request: &Envelope<'_>,
        answer: impl FnOnce(&Result<RawJson, RpcError>),
    ) -> Result<RawJson, RpcError> {
        if [request.id, request.params].into_iter().flatten().any(|raw| is_too_deep(raw.get())) {
            let refused = Err(RpcError::known("rpc.params.invalid"));
            answer(&refused);
            return refused;
        }
        let params = request.params.map(RawValue::get);
        let name = request.method.as_deref().unwrap_or_default();
        let spec = method::spec(method::current_name(name));
        usage_report::record_unknown_members(&self.env.journal, name, spec, params);
        let mut state = self.lock();
        if spec.is_none_or(|spec| spec.kind != Kind::Read) {
            self.mark_dirty();
        }
        let is_read = spec.is_some_and(|spec| spec.kind == Kind::Read);
        let before = if is_read { None } else { self.before_large_change(&mut state, params) };
        let act = |hub: &mut Hub, context: &mut Context<'_>| match before {
            None => hub.call(name, params, context),
            Some(before) => {
                self.call_within_limit(hub, before, context, |hub, context| hub.call(name, params, context))
            }
        };
        let outcome = self.change_locked(&mut state, request.id, act, answer);
        tracing::info!(
            hub = %self.serial,
            method = name,
            error = outcome.as_ref().err().map(RpcError::data),
            "call"
        );
        if let Err(error) = &outcome
            && error.data() == "rpc.method.notfound"
        {
            usage_report::record_unmatched(
                &self.env.journal,
                name,
                name,
                ezlo_hub_sim::SIMULATED_METHODS.iter().map(|known| (*known).to_owned()),
            );
        }
        outcome
    }

    fn apply(self: &Arc<Self>, state: &mut State, now_ms: i64, effects: Effects) {
        let is_reset = effects.drop_local || effects.power_lost;
        if !effects.broadcasts.is_empty() || effects.at_relay.is_some() || is_reset {
            for broadcast in &effects.broadcasts {
                tracing::info!(hub = %self.serial, broadcast = broadcast.name, "change");
            }
            let presence = effects.at_relay.map(|_| HUB_STATE_CHANGED);
            let names = effects.broadcasts.iter().map(|broadcast| broadcast.name).chain(presence);
            self.env.journal.hub_changed(&self.serial, names, &effects.changes);
        }
        for broadcast in &effects.broadcasts {
            let method = self.family.method_on_room_broadcasts.then(|| room_method(broadcast.name)).flatten();
            let text = wire::broadcast(&self.next_msg_id(now_ms.div_euclid(1000)), broadcast, method);
            if self.env.faults.any_active() && broadcast.name == "hub.item.updated" {
                state.remember(broadcast.content.as_str(), &text);
            }
            // The relay forwards broadcasts only while the hub is connected to it.
            let at_relay = state.hub.wifi.at_relay() || effects.at_relay == Some(false);
            state.links.broadcast(|kind| at_relay || kind != LinkKind::Relay, &text);
        }
        if let Some(bytes) = effects.scene_bytes {
            state.scene_bytes.set(bytes);
        }
        if !effects.unsupported.is_empty() {
            usage_report::record_unknown_fields(&self.env.journal, "scene", &effects.unsupported);
        }
        for call in effects.http {
            let (allow_external, slots) =
                (self.env.assumptions.allow_external_scene_http, Arc::clone(&self.env.http_slots));
            self.env.tasks.spawn(outbound_http::run(call, allow_external, slots));
        }
        if effects.drop_local {
            state.links.close_local();
            self.drops.send_modify(|drops| *drops += 1);
        }
        if effects.power_lost {
            state.silenced.extend(state.links.take_local());
            self.has_power.send_replace(false);
            self.drops.send_modify(|drops| *drops += 1);
        }
        let on_network = state.hub.wifi.on_network();
        if on_network {
            state.silenced.clear();
            self.has_power.send_if_modified(|known| !std::mem::replace(known, true));
        }
        self.on_network.send_if_modified(|known| std::mem::replace(known, on_network) != on_network);
        if let Some(connected) = effects.at_relay.filter(|_| state.controller.is_none()) {
            self.broadcast_presence(state, connected);
        }
        for (ms, timer) in effects.timers {
            let due = self.env.clock.now_ms().saturating_add(i64::try_from(ms).unwrap_or(i64::MAX));
            // The effects of the timer have the same cause as this change.
            state.timers.add(due, Waiting { timer, epoch: state.hub.epoch, cause: cause::cause() });
        }
        let State { hub, timers, .. } = state;
        timers.sweep(|waiting| waiting.epoch == hub.epoch && hub.waits_for(&waiting.timer));
        self.wake_in_time(state);
    }

    /// Spawns a task that wakes this hub when its next timer is due.
    fn wake_in_time(self: &Arc<Self>, state: &mut State) {
        let Some(due) = state.timers.claim_waking() else { return };
        let wait = due.saturating_sub(self.env.clock.now_ms());
        let timer = self.env.clock.timer(Duration::from_millis(u64::try_from(wait).unwrap_or_default()));
        let cell = Arc::clone(self);
        self.env.tasks.spawn(async move {
            // Held until all effects are done: `Clock::advance` fires its next timer only after that.
            let _woken = timer.await;
            cell.woken(due).await;
        });
    }

    /// Fires all due timers in order. Yields between two timers, so that a busy hub does not block a worker thread.
    async fn woken(self: &Arc<Self>, due: i64) {
        self.lock().timers.on_woken(due);
        while self.fire_next() {
            tokio::task::yield_now().await;
        }
    }

    /// Fires the next due timer. If none is due, schedules the next wake-up and returns false.
    fn fire_next(self: &Arc<Self>) -> bool {
        // Removed and fired under one lock, so that a concurrent snapshot contains both effects or neither.
        let mut state = self.lock();
        let Some(waiting) = state.timers.next_due(self.env.clock.now_ms()) else {
            self.wake_in_time(&mut state);
            return false;
        };
        self.mark_dirty();
        let fire = |hub: &mut Hub, context: &mut Context<'_>| {
            if hub.epoch == waiting.epoch {
                hub.fire(&waiting.timer, context);
            }
        };
        with_cause(waiting.cause, || self.change_locked(&mut state, None, fire, |()| ()));
        true
    }

    /// Returns the next message id: 24 hexadecimal digits of second and counter, as on Linux hubs, or the counter alone.
    fn next_msg_id(&self, unix_seconds: i64) -> MessageId {
        let number = self.messages.fetch_add(1, Ordering::Relaxed) + 1;
        if self.family.counted_messages {
            return MessageId::Counter(number);
        }
        let low = u32::try_from(unix_seconds & i64::from(u32::MAX)).unwrap_or_default();
        MessageId::Digits(low, number)
    }

    /// Sends the relay's broadcast that the hub has connected or disconnected (letter case and content: client-source).
    fn broadcast_presence(&self, state: &mut State, connected: bool) {
        let content = json!({"serial": self.serial, "connected": connected});
        let broadcast = HubBroadcast { name: HUB_STATE_CHANGED, content: RawJson::of(&content), changed_by: None };
        let text = wire::broadcast(&self.next_msg_id(0), &broadcast, None);
        state.links.broadcast(|kind| kind == LinkKind::Relay, &text);
    }
}

/// Returns the member `method` that EzloPi adds to these broadcasts.
fn room_method(name: &str) -> Option<&'static str> {
    match name {
        "hub.room.deleted" => Some("hub.room.delete"),
        "hub.room.reordered" => Some("hub.room.order.set"),
        _ => None,
    }
}
