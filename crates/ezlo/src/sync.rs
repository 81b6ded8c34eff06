//! The task that keeps the model: applies broadcasts in their order, and reads everything again after every gap.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use ezlo_protocol::hub::broadcast::Event;
use ezlo_protocol::hub::item::ItemQuery;
use ezlo_protocol::hub::method::{DevicesList, ItemsList, ModesGet, RoomsList, ScenesList};
use ezlo_protocol::hub::{Empty, ModeId};
use ezlo_protocol::serial::Serial;
use ezlo_protocol::wire::Loose;
use ezlo_relay::{CallError, CloseReason, RelayEvent, RelayEvents, RelaySession};
use tokio::sync::{Notify, broadcast, watch};
use tokio::time::Instant;

use crate::model::{Change, HubModel, ModelDelta, MomentaryEvent};

/// Events kept for each listener; a resync of a large house fits.
const EVENTS: usize = 4096;
/// Broadcasts that may come while everything is read; beyond them it is read again.
const MEANWHILE: usize = 4096;
/// How often everything is read at most for what the hub says and nobody understands.
const REPAIR_TIME: Duration = Duration::from_secs(10);
/// Wait before reading again what could not be read; doubled each time, up to a minute.
const RETRY: Duration = Duration::from_secs(2);
const MOST_DOUBLINGS: u32 = 5;

/// Something that happened at a hub.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum HubEvent {
    /// Something in the model is different now.
    Changed(Arc<Change>),
    /// Something happened and is over: a press, a lock that was worked.
    Momentary(Arc<MomentaryEvent>),
    /// The link is lost; the model shows what was last known.
    Disconnected(Arc<CloseReason>),
    /// The model is the hub again: everything was read, and the differences were told before this.
    Resynced {
        /// How many differences there were.
        changes: usize,
    },
    /// What happened for a while is not known: the hub was away behind the relay, or this library was too slow. The model is
    /// read again, and the differences are told; presses in between are lost.
    ResyncStarted,
    /// This listener was too slow and lost that many events; the model itself is whole.
    Lagged(u64),
    /// The session is over.
    Closed(Arc<CloseReason>),
}

/// A subscription to what happens at a hub, from the moment it was made.
#[derive(Debug)]
pub struct HubEvents {
    receiver: broadcast::Receiver<HubEvent>,
    ended: bool,
}

impl HubEvents {
    /// Waits for the next event; `None` after the session ended. Safe to cancel.
    pub async fn next(&mut self) -> Option<HubEvent> {
        if self.ended {
            return None;
        }
        match self.receiver.recv().await {
            Ok(event) => {
                self.ended = matches!(event, HubEvent::Closed(_));
                Some(event)
            }
            Err(broadcast::error::RecvError::Lagged(lost)) => Some(HubEvent::Lagged(lost)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

/// How far the model is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct SyncProgress {
    /// Grows with every change of the model.
    pub(crate) version: u64,
    /// How often everything was read.
    pub(crate) syncs: u64,
    /// Number of the newest wish for a reading that was answered by one that began after it.
    pub(crate) answered: u64,
    /// Whether nothing was missed since.
    pub(crate) in_sync: bool,
    pub(crate) closed: bool,
}

/// The model and who waits for it.
#[derive(Debug)]
pub(crate) struct ModelSync {
    model: RwLock<Arc<HubModel>>,
    pub(crate) progress: watch::Sender<SyncProgress>,
    events: broadcast::Sender<HubEvent>,
    again: Notify,
    /// Counts wishes to read everything again.
    wishes: AtomicU64,
}

impl ModelSync {
    /// Begins to keep a session's model. Ends with the session. At a relay, notices about another hub than this one's are not
    /// about ours.
    pub(crate) fn start(session: &RelaySession, serial: Option<Serial>) -> Arc<Self> {
        let live = Arc::new(Self {
            model: RwLock::default(),
            progress: watch::Sender::new(SyncProgress::default()),
            events: broadcast::channel(EVENTS).0,
            again: Notify::new(),
            wishes: AtomicU64::new(0),
        });
        // Listening begins before anything is read, so that nothing falls between.
        let keeper = SyncTask {
            session: session.downgrade(),
            events: session.events(),
            live: Arc::clone(&live),
            serial,
            repaired: None,
            repair_at: None,
            failures: 0,
        };
        tokio::spawn(keeper.run());
        live
    }

    pub(crate) fn snapshot(&self) -> Arc<HubModel> {
        Arc::clone(&self.model.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn events(&self) -> HubEvents {
        let receiver = self.events.subscribe();
        // After the end nothing comes any more.
        let ended = self.progress.borrow().closed && receiver.is_empty();
        HubEvents { receiver, ended }
    }

    /// Reads everything again. Gives the number of this wish: once `Progress::answered` has it, everything was read after now.
    pub(crate) fn resync(&self) -> u64 {
        let wish = self.wishes.fetch_add(1, Ordering::AcqRel) + 1;
        self.progress.send_modify(|progress| progress.in_sync = false);
        self.again.notify_one();
        wish
    }

    fn change<R>(&self, change: impl FnOnce(&mut HubModel) -> R) -> R {
        // Copies the model only while a snapshot of it is held.
        change(Arc::make_mut(&mut self.model.write().unwrap_or_else(PoisonError::into_inner)))
    }

    fn publish(&self, event: HubEvent) {
        // Nobody may be listening.
        let _ = self.events.send(event);
    }

    /// The model first, then the events, then those who wait: whoever is woken sees what woke them.
    fn publish_delta(&self, meaning: ModelDelta) -> bool {
        let changed = !meaning.changes.is_empty();
        for change in meaning.changes {
            self.publish(HubEvent::Changed(Arc::new(change)));
        }
        if let Some(edge) = meaning.edge {
            self.publish(HubEvent::Momentary(Arc::new(edge)));
        }
        if changed {
            self.progress.send_modify(|progress| progress.version += 1);
        }
        meaning.needs_resync
    }
}

struct SyncTask {
    session: ezlo_relay::WeakRelaySession,
    events: RelayEvents,
    live: Arc<ModelSync>,
    /// The hub of the session, at a relay.
    serial: Option<Serial>,
    /// When everything was last read for something that was not understood.
    repaired: Option<Instant>,
    /// When it is to be read for that again.
    repair_at: Option<Instant>,
    /// Readings in a row that failed.
    failures: u32,
}

/// What to do after an event.
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
        self.live.progress.send_modify(|progress| {
            progress.closed = true;
            progress.in_sync = false;
        });
        self.live.publish(HubEvent::Closed(reason));
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
            () = self.live.again.notified() => SyncStep::Sync,
            () = repair => self.repair(),
        }
    }

    /// Something came that may have been a change. Everything is read for it, now or when the last such reading is long enough
    /// ago: a hub that cuts its messages all the time is not read all the time, and its model can be used meanwhile.
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

    /// Whether that brings the hub back behind the relay: what it said meanwhile is lost.
    fn is_back(&self, event: &Event) -> bool {
        let Event::HubState(change) = event else { return false };
        let about = change.serial.get().map(Loose::get);
        change.connected.get() == Some(&true)
            && self.serial.as_ref().is_none_or(|ours| about.is_none_or(|about| about == ours))
    }

    /// Whether events are missing at that place.
    fn is_gap(&self, event: &RelayEvent) -> bool {
        match event {
            // A link that came up is no gap by itself: the one that went before it is.
            RelayEvent::Disconnected(_) | RelayEvent::Lagged(_) => true,
            RelayEvent::Hub(event) => self.is_back(event),
            _ => false,
        }
    }

    fn on_event(&mut self, event: Option<RelayEvent>) -> SyncStep {
        match event {
            Some(RelayEvent::Hub(event)) => {
                let meaning = self.live.change(|model| model.apply(&event));
                let out_of_step = self.live.publish_delta(meaning);
                if self.is_back(&event) {
                    self.live.publish(HubEvent::ResyncStarted);
                    return self.out_of_step();
                }
                if out_of_step { self.repair() } else { SyncStep::GoOn }
            }
            Some(RelayEvent::Connected) => self.out_of_step(),
            Some(RelayEvent::Lagged(_)) => {
                self.live.publish(HubEvent::ResyncStarted);
                self.out_of_step()
            }
            Some(RelayEvent::BadFrame { .. }) => self.repair(),
            Some(RelayEvent::Disconnected(reason)) => {
                self.live.progress.send_modify(|progress| progress.in_sync = false);
                self.live.publish(HubEvent::Disconnected(reason));
                SyncStep::GoOn
            }
            Some(RelayEvent::Closed(reason)) => SyncStep::End(reason),
            Some(_) => SyncStep::GoOn,
            None => SyncStep::End(Arc::new(CloseReason::ClosedLocally)),
        }
    }

    fn out_of_step(&self) -> SyncStep {
        self.live.progress.send_modify(|progress| progress.in_sync = false);
        SyncStep::Sync
    }

    /// Reads everything. Broadcasts that come meanwhile are kept and applied to what was read, in their order: what the lists
    /// already have of them comes out the same. Only then the difference is told, so that nothing old is told as new.
    async fn sync(&mut self) -> SyncStep {
        let Some(session) = self.session.upgrade() else { return SyncStep::End(Arc::new(CloseReason::ClosedLocally)) };
        let wish = self.live.wishes.load(Ordering::Acquire);
        self.repair_at = None;
        let mut meanwhile: Vec<RelayEvent> = Vec::new();
        let read = {
            let mode = self.live.snapshot().mode.clone();
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
                if meanwhile.len() > MEANWHILE {
                    return self.unread(meanwhile);
                }
            }
        };
        drop(session);
        // What came before the last answer stands in the queue already.
        while meanwhile.len() <= MEANWHILE {
            match self.events.try_next() {
                Some(RelayEvent::Closed(reason)) => return SyncStep::End(reason),
                Some(event) => meanwhile.push(event),
                None => break,
            }
        }
        match read {
            // The lists may be of both sides of the gap.
            Ok(_) if meanwhile.iter().any(|event| self.is_gap(event)) => self.unread(meanwhile),
            Ok(now) => self.take(now, &meanwhile, wish),
            Err(error) => {
                tracing::info!(%error, "cannot read the hub's lists; trying again");
                match self.unread(meanwhile) {
                    SyncStep::End(reason) => SyncStep::End(reason),
                    _ => self.pause().await,
                }
            }
        }
    }

    /// What was read cannot be used; what came meanwhile counts as ever.
    fn unread(&mut self, meanwhile: Vec<RelayEvent>) -> SyncStep {
        for event in meanwhile {
            if let SyncStep::End(reason) = self.on_event(Some(event)) {
                return SyncStep::End(reason);
            }
        }
        self.out_of_step()
    }

    fn take(&mut self, mut now: HubModel, meanwhile: &[RelayEvent], wish: u64) -> SyncStep {
        let mut edges = Vec::new();
        let mut not_understood = false;
        for event in meanwhile {
            match event {
                RelayEvent::Hub(event) => {
                    let meaning = now.apply(event);
                    edges.extend(meaning.edge);
                    not_understood |= meaning.needs_resync;
                }
                RelayEvent::BadFrame { .. } => not_understood = true,
                _ => {}
            }
        }
        let changes = self.live.change(|model| model.replace(now));
        let number = changes.len();
        self.live.publish_delta(ModelDelta { changes, ..ModelDelta::default() });
        for edge in edges {
            self.live.publish(HubEvent::Momentary(Arc::new(edge)));
        }
        self.failures = 0;
        // The event first: who waited for this and listens from now on is not told of it again.
        self.live.publish(HubEvent::Resynced { changes: number });
        self.live.progress.send_modify(|progress| {
            progress.syncs += 1;
            progress.answered = wish;
            progress.in_sync = true;
        });
        if not_understood { self.repair() } else { SyncStep::GoOn }
    }

    /// A hub that is away is read when it comes back; others after a while, and what they say meanwhile does not hurry it.
    async fn pause(&mut self) -> SyncStep {
        let wait = RETRY * (1 << self.failures.min(MOST_DOUBLINGS));
        self.failures = self.failures.saturating_add(1);
        let mut over = std::pin::pin!(tokio::time::sleep(wait));
        loop {
            let event = tokio::select! {
                event = self.events.next() => event,
                () = self.live.again.notified() => return SyncStep::Sync,
                () = &mut over => return SyncStep::Sync,
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

/// A list that a hub does not have, or does not show to this user, is empty.
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

/// Reads the hub's lists. `mode` is the mode as it was known, for a hub that has none.
async fn read_all(session: &RelaySession, mode: ModeId) -> Result<HubModel, CallError> {
    let mut model = HubModel { mode, ..HubModel::default() };
    for device in session.call(DevicesList, Empty::default()).await?.devices {
        if let Some(id) = device.id().cloned() {
            model.devices.insert(id, device);
        }
    }
    for item in session.call(ItemsList, ItemQuery::default()).await?.items {
        model.items.insert(item.id.clone(), item);
    }
    let rooms = if_there(session.call(RoomsList, Empty::default()).await)?;
    for room in rooms.iter().flat_map(|list| list.rooms()) {
        model.rooms.insert(room.id.clone(), room.clone());
    }
    let scenes = if_there(session.call(ScenesList, Empty::default()).await)?;
    for scene in scenes.into_iter().flat_map(|list| list.scenes) {
        if let Some(id) = scene.id.get().cloned() {
            model.scenes.insert(id, scene);
        }
    }
    // EzloPi of some versions has no modes.
    if let Some(modes) = if_there(session.call(ModesGet, Empty::default()).await)? {
        model.mode = modes.current;
    }
    Ok(model)
}
