//! Synchronisation of the model: broadcasts are applied in order, and all lists are read again after a gap.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use ezlo_protocol::hub::broadcast::Event;
use ezlo_protocol::hub::item::ItemQuery;
use ezlo_protocol::hub::method::{DevicesList, ItemsList, ModesGet, RoomsList, ScenesList};
use ezlo_protocol::hub::{Empty, ModeId};
use ezlo_protocol::serial::Serial;
use ezlo_protocol::wire::{Loose, encoded_len};
use ezlo_relay::{ByteBudget, CallError, CloseReason, RelayEvent, RelayEvents, RelaySession, ReservedBytes};
use tokio::sync::{Notify, broadcast, watch};
use tokio::time::Instant;

use crate::hub_event::{HubEvent, HubEvents, QueuedEvent};
use crate::model::{HubModel, MAX_DEVICES, MAX_ITEMS, MAX_ROOMS, MAX_SCENES, ModelDelta, growth};

/// Events queued for each subscriber; a resync of a large house fits.
const EVENTS: usize = 4096;
/// Bytes of the changed values in queued events.
const EVENT_BYTES: usize = 64 * 1024 * 1024;
/// Broadcasts queued during a read of the lists; with more, the lists are read again.
const MEANWHILE: usize = 4096;
/// Bytes of the broadcasts queued during a read of the lists.
const MEANWHILE_BYTES: usize = 32 * 1024 * 1024;
/// Bytes by which broadcasts can enlarge the model between two reads.
const MAX_GROWTH: usize = 64 * 1024 * 1024;
/// Shortest time between two reads caused by broadcasts that cannot be applied.
const REPAIR_TIME: Duration = Duration::from_secs(10);
/// Wait after the first failed read; doubled for each further one, up to 64 s.
const RETRY: Duration = Duration::from_secs(2);
const MOST_DOUBLINGS: u32 = 5;

/// The state of the synchronisation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct SyncProgress {
    /// Version of the model; grows with each change.
    pub(crate) version: u64,
    /// Number of completed reads.
    pub(crate) syncs: u64,
    /// Number of the newest resync request that a completed read answers. The read began after the request.
    pub(crate) answered: u64,
    /// True if no broadcast was missed since the last read.
    pub(crate) in_sync: bool,
    pub(crate) closed: bool,
}

/// The model, shared by the handles of a hub, the subscribers and the synchronisation task.
#[derive(Debug)]
pub(crate) struct ModelSync {
    model: RwLock<Arc<HubModel>>,
    pub(crate) progress: watch::Sender<SyncProgress>,
    events: broadcast::Sender<QueuedEvent>,
    /// Bytes of the queued values.
    budget: ByteBudget,
    resync_requested: Notify,
    /// Number of resync requests.
    requests: AtomicU64,
}

impl ModelSync {
    /// Starts the synchronisation task of a session. It ends with the session. `serial` selects the presence notices of the
    /// relay that concern this hub; `None` accepts all.
    pub(crate) fn start(session: &RelaySession, serial: Option<Serial>) -> Arc<Self> {
        let sync = Arc::new(Self {
            model: RwLock::default(),
            progress: watch::Sender::new(SyncProgress::default()),
            events: broadcast::channel(EVENTS).0,
            budget: ByteBudget::new(EVENT_BYTES),
            resync_requested: Notify::new(),
            requests: AtomicU64::new(0),
        });
        // Subscribing before the first read leaves no gap between them.
        let task = SyncTask {
            session: session.downgrade(),
            events: session.events(),
            sync: Arc::clone(&sync),
            serial,
            repaired: None,
            repair_at: None,
            failures: 0,
            growth: 0,
            limit_reported: false,
        };
        tokio::spawn(task.run());
        sync
    }

    pub(crate) fn snapshot(&self) -> Arc<HubModel> {
        Arc::clone(&self.model.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn events(&self) -> HubEvents {
        let receiver = self.events.subscribe();
        // A subscription made after the close receives no event.
        let ended = self.progress.borrow().closed && receiver.is_empty();
        HubEvents { receiver, ended }
    }

    /// Requests a read of all lists and returns the number of the request. [`SyncProgress::answered`] reaches it once a
    /// read that began after this call has completed.
    pub(crate) fn resync(&self) -> u64 {
        let request = self.requests.fetch_add(1, Ordering::AcqRel) + 1;
        self.progress.send_modify(|progress| progress.in_sync = false);
        self.resync_requested.notify_one();
        request
    }

    fn change<R>(&self, change: impl FnOnce(&mut HubModel) -> R) -> R {
        // Copies the model only while a snapshot of it is held.
        change(Arc::make_mut(&mut self.model.write().unwrap_or_else(PoisonError::into_inner)))
    }

    fn publish(&self, event: HubEvent) {
        self.send(event, None);
    }

    /// Publishes an event with values of the hub. It is lost above the limit of queued bytes.
    fn publish_values(&self, event: HubEvent, bytes: usize) {
        match self.budget.reserve(bytes) {
            Some(reserved) => self.send(event, Some(reserved)),
            None => self.send(HubEvent::Lagged(1), None),
        }
    }

    fn send(&self, event: HubEvent, reserved: Option<ReservedBytes>) {
        // Fails only without subscribers.
        let _ = self.events.send(QueuedEvent { event, _bytes: reserved });
    }

    /// Publishes the events of a change and then wakes the waiting tasks. The model was changed before, so each of them
    /// sees the change. Returns true if the model must be read again.
    fn publish_delta(&self, delta: ModelDelta) -> bool {
        let changed = !delta.changes.is_empty();
        for change in delta.changes {
            let bytes = change.bytes();
            self.publish_values(HubEvent::Changed(Arc::new(change)), bytes);
        }
        if let Some(momentary) = delta.momentary {
            let bytes = momentary.bytes();
            self.publish_values(HubEvent::Momentary(Arc::new(momentary)), bytes);
        }
        if changed {
            self.progress.send_modify(|progress| progress.version += 1);
        }
        delta.needs_resync
    }
}

struct SyncTask {
    session: ezlo_relay::WeakRelaySession,
    events: RelayEvents,
    sync: Arc<ModelSync>,
    /// The hub of the session; only for sessions of an account.
    serial: Option<Serial>,
    /// Time of the last read caused by a broadcast that could not be applied.
    repaired: Option<Instant>,
    /// Time of the next such read, if one is due.
    repair_at: Option<Instant>,
    /// Consecutive failed reads.
    failures: u32,
    /// Bytes by which broadcasts have enlarged the model since the last read.
    growth: usize,
    /// [`HubEvent::LimitReached`] was sent since the last read.
    limit_reported: bool,
}

/// The next step of the task.
enum SyncStep {
    GoOn,
    Sync,
    End(Arc<CloseReason>),
}

impl SyncTask {
    async fn run(mut self) {
        let mut next = SyncStep::Sync;
        let reason = loop {
            next = match next {
                SyncStep::Sync => self.sync().await,
                SyncStep::GoOn => self.listen().await,
                SyncStep::End(reason) => break reason,
            };
        };
        self.sync.progress.send_modify(|progress| {
            progress.closed = true;
            progress.in_sync = false;
        });
        self.sync.publish(HubEvent::Closed(reason));
    }

    async fn listen(&mut self) -> SyncStep {
        let repair_at = self.repair_at;
        let repair = async {
            match repair_at {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            event = self.events.next() => self.on_event(event),
            () = self.sync.resync_requested.notified() => SyncStep::Sync,
            () = repair => self.repair(),
        }
    }

    /// Schedules a read for a broadcast that could not be applied and may have been a change. The rate is limited, so a hub
    /// that truncates many messages is not read all the time. The model stays usable until then.
    fn repair(&mut self) -> SyncStep {
        let now = Instant::now();
        match self.repaired.map(|last| last + REPAIR_TIME).filter(|next| *next > now) {
            Some(next) => {
                self.repair_at = Some(next);
                SyncStep::GoOn
            }
            None => {
                self.repaired = Some(now);
                self.out_of_step()
            }
        }
    }

    /// Returns true if the hub reconnected to the relay. Its broadcasts until then are lost.
    fn is_back(&self, event: &Event) -> bool {
        let Event::HubState(change) = event else { return false };
        let about = change.serial.get().map(Loose::get);
        change.connected.get() == Some(&true)
            && self.serial.as_ref().is_none_or(|ours| about.is_none_or(|about| about == ours))
    }

    /// Returns true if broadcasts may be missing before this event.
    fn is_gap(&self, event: &RelayEvent) -> bool {
        match event {
            // `Connected` is no gap by itself: the loss before it was one.
            RelayEvent::Disconnected(_) | RelayEvent::Lagged(_) => true,
            RelayEvent::Hub(event) => self.is_back(event),
            _ => false,
        }
    }

    fn on_event(&mut self, event: Option<RelayEvent>) -> SyncStep {
        match event {
            Some(RelayEvent::Hub(event)) => {
                let delta = self.apply(&event);
                let needs_resync = self.sync.publish_delta(delta);
                if self.is_back(&event) {
                    self.sync.publish(HubEvent::ResyncStarted);
                    return self.out_of_step();
                }
                if needs_resync { self.repair() } else { SyncStep::GoOn }
            }
            Some(RelayEvent::Connected) => self.out_of_step(),
            Some(RelayEvent::Lagged(_)) => {
                self.sync.publish(HubEvent::ResyncStarted);
                self.out_of_step()
            }
            Some(RelayEvent::BadFrame { .. }) => self.repair(),
            Some(RelayEvent::Disconnected(reason)) => {
                self.sync.progress.send_modify(|progress| progress.in_sync = false);
                self.sync.publish(HubEvent::Disconnected(reason));
                SyncStep::GoOn
            }
            Some(RelayEvent::Closed(reason)) => SyncStep::End(reason),
            Some(_) => SyncStep::GoOn,
            None => SyncStep::End(Arc::new(CloseReason::ClosedLocally)),
        }
    }

    /// Applies a broadcast, unless the model has reached its limits.
    fn apply(&mut self, event: &Event) -> ModelDelta {
        let grown = self.growth.saturating_add(growth(event));
        let delta = if grown > MAX_GROWTH {
            ModelDelta { needs_resync: true, limit_reached: true, ..ModelDelta::default() }
        } else {
            self.growth = grown;
            self.sync.change(|model| model.apply(event))
        };
        if delta.limit_reached && !std::mem::replace(&mut self.limit_reported, true) {
            self.sync.publish(HubEvent::LimitReached);
        }
        delta
    }

    fn out_of_step(&self) -> SyncStep {
        self.sync.progress.send_modify(|progress| progress.in_sync = false);
        SyncStep::Sync
    }

    /// Reads all lists. Broadcasts that arrive meanwhile are queued and then applied in order to the lists that were read.
    /// Applying one that the lists already contain changes nothing. The differences are published last, so no old state
    /// appears as new.
    async fn sync(&mut self) -> SyncStep {
        let Some(session) = self.session.upgrade() else { return SyncStep::End(Arc::new(CloseReason::ClosedLocally)) };
        let request = self.sync.requests.load(Ordering::Acquire);
        self.repair_at = None;
        let mut meanwhile = Meanwhile::default();
        let read = {
            let mode = self.sync.snapshot().mode.clone();
            let mut reading = std::pin::pin!(read_all(&session, mode));
            loop {
                tokio::select! {
                    biased;
                    read = &mut reading => break read,
                    event = self.events.next() => match event {
                        Some(RelayEvent::Closed(reason)) => return SyncStep::End(reason),
                        None => return SyncStep::End(Arc::new(CloseReason::ClosedLocally)),
                        Some(event) => meanwhile.push(event),
                    },
                }
                if meanwhile.is_full() {
                    return self.unread(meanwhile.events);
                }
            }
        };
        drop(session);
        // Broadcasts that arrived before the last reply are in the queue already.
        while !meanwhile.is_full() {
            match self.events.try_next() {
                Some(RelayEvent::Closed(reason)) => return SyncStep::End(reason),
                Some(event) => meanwhile.push(event),
                None => break,
            }
        }
        match read {
            // Some lists may be from before the gap and some from after it.
            Ok(_) if meanwhile.events.iter().any(|event| self.is_gap(event)) => self.unread(meanwhile.events),
            Ok(now) => self.take(now, &meanwhile.events, request),
            Err(error) => {
                tracing::info!(%error, "reading the lists of the hub failed; will retry");
                match self.unread(meanwhile.events) {
                    SyncStep::End(reason) => SyncStep::End(reason),
                    _ => self.pause().await,
                }
            }
        }
    }

    /// Discards a read and processes the events that arrived during it as usual.
    fn unread(&mut self, meanwhile: Vec<RelayEvent>) -> SyncStep {
        for event in meanwhile {
            if let SyncStep::End(reason) = self.on_event(Some(event)) {
                return SyncStep::End(reason);
            }
        }
        self.out_of_step()
    }

    /// Applies the events that arrived during the read, replaces the model and publishes the differences.
    fn take(&mut self, mut now: HubModel, meanwhile: &[RelayEvent], request: u64) -> SyncStep {
        let mut momentary = Vec::new();
        let mut not_understood = false;
        for event in meanwhile {
            match event {
                RelayEvent::Hub(event) => {
                    let delta = now.apply(event);
                    momentary.extend(delta.momentary);
                    not_understood |= delta.needs_resync;
                }
                RelayEvent::BadFrame { .. } => not_understood = true,
                _ => {}
            }
        }
        let changes = self.sync.change(|model| model.replace(now));
        let number = changes.len();
        self.sync.publish_delta(ModelDelta { changes, ..ModelDelta::default() });
        for event in momentary {
            self.sync.publish(HubEvent::Momentary(Arc::new(event)));
        }
        (self.failures, self.growth, self.limit_reported) = (0, 0, false);
        // The event comes first: a task that awaits the sync and then subscribes must not receive it.
        self.sync.publish(HubEvent::Resynced { changes: number });
        self.sync.progress.send_modify(|progress| {
            progress.syncs += 1;
            progress.answered = request;
            progress.in_sync = true;
        });
        if not_understood { self.repair() } else { SyncStep::GoOn }
    }

    /// Waits before the next read: until the connection or the hub returns, until a resync is requested, or for the backoff
    /// time. Other events do not shorten the wait.
    async fn pause(&mut self) -> SyncStep {
        let wait = RETRY * (1 << self.failures.min(MOST_DOUBLINGS));
        self.failures = self.failures.saturating_add(1);
        let mut elapsed = std::pin::pin!(tokio::time::sleep(wait));
        loop {
            let event = tokio::select! {
                event = self.events.next() => event,
                () = self.sync.resync_requested.notified() => return SyncStep::Sync,
                () = &mut elapsed => return SyncStep::Sync,
            };
            let hurries = match &event {
                Some(RelayEvent::Connected) => true,
                Some(event) => !matches!(event, RelayEvent::Disconnected(_)) && self.is_gap(event),
                None => true,
            };
            match self.on_event(event) {
                SyncStep::End(reason) => return SyncStep::End(reason),
                _ if hurries => return SyncStep::Sync,
                _ => {}
            }
        }
    }
}

/// Events that arrive during a read of the lists.
#[derive(Default)]
struct Meanwhile {
    events: Vec<RelayEvent>,
    bytes: usize,
}

impl Meanwhile {
    fn push(&mut self, event: RelayEvent) {
        if let RelayEvent::Hub(event) = &event {
            self.bytes = self.bytes.saturating_add(encoded_len(&event.content()));
        }
        self.events.push(event);
    }

    const fn is_full(&self) -> bool {
        self.events.len() > MEANWHILE || self.bytes > MEANWHILE_BYTES
    }
}

/// Returns `None` for a list that the hub does not support or does not show to this user.
fn if_there<T>(answer: Result<T, CallError>) -> Result<Option<T>, CallError> {
    match answer {
        Err(CallError::Refused { error, .. })
            if matches!(
                error.data(),
                "rpc.method.notfound" | "user.permission.doesnothave" | "user.permission.doesnothave."
            ) =>
        {
            Ok(None)
        }
        answer => answer.map(Some),
    }
}

/// Reads the lists of the hub. `mode` is the last known mode, used for a hub without modes.
async fn read_all(session: &RelaySession, mode: ModeId) -> Result<HubModel, CallError> {
    let mut model = HubModel { mode, ..HubModel::default() };
    for device in session.call(DevicesList, Empty::default()).await?.devices.into_iter().take(MAX_DEVICES) {
        if let Some(id) = device.id().cloned() {
            model.devices.insert(id, device);
        }
    }
    for item in session.call(ItemsList, ItemQuery::default()).await?.items.into_iter().take(MAX_ITEMS) {
        model.items.insert(item.id.clone(), item);
    }
    let rooms = if_there(session.call(RoomsList, Empty::default()).await)?;
    for room in rooms.iter().flat_map(|list| list.rooms()).take(MAX_ROOMS) {
        model.rooms.insert(room.id.clone(), room.clone());
    }
    let scenes = if_there(session.call(ScenesList, Empty::default()).await)?;
    for scene in scenes.into_iter().flat_map(|list| list.scenes).take(MAX_SCENES) {
        if let Some(id) = scene.id.get().cloned() {
            model.scenes.insert(id, scene);
        }
    }
    // Some versions of EzloPi have no modes.
    if let Some(modes) = if_there(session.call(ModesGet, Empty::default()).await)? {
        model.mode = modes.current;
    }
    Ok(model)
}
