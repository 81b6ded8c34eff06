//! A hub one is connected to: devices, rooms, scenes, modes, and what happens there.

use std::sync::{Arc, RwLockReadGuard};
use std::time::Duration;

use ezlo_protocol::hub::broadcast::Event;
use ezlo_protocol::hub::device::Device as DeviceRecord;
use ezlo_protocol::hub::gateway::{PluginRun, START_EXCLUDE, ZwaveEvent};
use ezlo_protocol::hub::info::HubInfo;
use ezlo_protocol::hub::item::Item;
use ezlo_protocol::hub::method::{InfoGet, ModesGet, ModesSwitch, PluginScriptRun, SceneRunNow};
use ezlo_protocol::hub::mode::{ModeSwitch as ModeWish, ModesState, SwitchStatus};
use ezlo_protocol::hub::room::Room;
use ezlo_protocol::hub::scene::{RunStatus, Scene, SceneRun};
use ezlo_protocol::hub::{DeviceId, Empty, ItemId, ModeId};
use ezlo_protocol::serial::Serial;
use ezlo_relay::{CallError, Events, RelayEvent, Session, Status};
use serde_json::Value;
use tokio::sync::watch;

use crate::error::Error;
use crate::inclusion::{Inclusion, InclusionStep};
use crate::item::{ItemHandle, ItemWatch, SetItem};
use crate::live::{HubEvents, Live, Progress};
use crate::model::HubModel;
use crate::route::{Taken, Way};

/// How long the start of a mode switch may take to be reported.
const REPORT_TIME: Duration = Duration::from_secs(15);
/// How long a scene may run; a public client waits 60 s.
const SCENE_TIME: Duration = Duration::from_secs(60);
/// How long an exclusion may take, somebody walking to the device included.
const ZWAVE_TIME: Duration = Duration::from_secs(180);
/// How long the model may lag behind a conversation.
const SHOWN_TIME: Duration = Duration::from_secs(5);
/// How long everything may take to be read for the first time.
const SYNC_TIME: Duration = Duration::from_secs(60);

/// A hub one is connected to, over the relay or the local network. Works the same over both. Cheap to clone; clones share the
/// link and the model.
#[derive(Debug, Clone)]
pub struct Hub {
    session: Session,
    live: Arc<Live>,
    taken: watch::Receiver<Taken>,
}

/// A device with its items, as they were when it was asked for.
#[derive(Debug, Clone)]
pub struct Device {
    /// Its id.
    pub id: DeviceId,
    /// What the hub says of it.
    pub record: DeviceRecord,
    /// What it can be asked and told.
    pub items: Vec<Item>,
    hub: Hub,
}

impl Device {
    /// Its name; empty when the hub gives none.
    pub fn name(&self) -> &str {
        self.record.name.as_deref().unwrap_or_default()
    }

    /// The item of that name, such as `switch`.
    pub fn item(&self, name: &str) -> Result<ItemHandle, Error> {
        let names = || self.items.iter().filter_map(|item| item.name.as_deref().map(str::to_owned)).collect();
        let found = self.items.iter().find(|item| item.name.as_deref() == Some(name));
        let item = found.ok_or_else(|| Error::NotFound { what: "item", name: name.into(), known: names() })?;
        Ok(ItemHandle::new(self.hub.clone(), item.clone()))
    }
}

impl Hub {
    /// Over a session that is there already; its model begins to be read.
    pub fn new(session: Session) -> Self {
        Self::by(session, None, watch::Sender::default().subscribe())
    }

    pub(crate) fn by(session: Session, serial: Option<Serial>, taken: watch::Receiver<Taken>) -> Self {
        let live = Live::start(&session, serial);
        Self { session, live, taken }
    }

    /// Which way the link goes, or went last. For a session of one's own ([`Hub::new`]) it is not known and said to be the
    /// relay.
    pub fn way(&self) -> Way {
        self.taken.borrow().way
    }

    /// The session underneath, for methods that have no name here.
    pub const fn session(&self) -> &Session {
        &self.session
    }

    /// What the link is doing.
    pub fn status(&self) -> Status {
        self.session.status()
    }

    /// Listens to what happens from now on.
    pub fn events(&self) -> HubEvents {
        self.live.events()
    }

    /// Counts the changes of the model: whoever keeps a copy knows by it whether there is something newer.
    pub fn version(&self) -> u64 {
        self.live.progress.borrow().version
    }

    /// The model as it is now: empty before [`Hub::synced`], what was last known while the link is down. Do not hold it
    /// across an await.
    pub fn model(&self) -> RwLockReadGuard<'_, HubModel> {
        self.live.model()
    }

    /// Waits until the model is the hub: everything was read and nothing was missed since.
    pub async fn synced(&self) -> Result<(), Error> {
        let mut progress = self.live.progress.subscribe();
        let synced = progress.wait_for(|progress| progress.in_step || progress.closed);
        match tokio::time::timeout(SYNC_TIME, synced).await {
            Ok(Ok(progress)) if !progress.closed => Ok(()),
            Ok(_) => Err(Error::Over),
            Err(_) => Err(Error::NotConfirmed { what: "reading the hub".into(), limit: SYNC_TIME }),
        }
    }

    pub(crate) fn progress(&self) -> watch::Receiver<Progress> {
        self.live.progress.subscribe()
    }

    /// Waits until the model shows what a conversation has been told already; the two listen side by side.
    pub(crate) async fn until(&self, shown: impl Fn(&HubModel) -> bool) {
        let mut progress = self.progress();
        let waiting = async {
            while !shown(&self.model()) {
                if progress.changed().await.is_err() {
                    return;
                }
            }
        };
        // A model that never shows it is out of step and says so itself.
        let _ = tokio::time::timeout(SHOWN_TIME, waiting).await;
    }

    pub(crate) fn resync(&self) -> u64 {
        self.live.resync()
    }

    /// What the hub says of itself.
    pub async fn info(&self) -> Result<HubInfo, Error> {
        Ok(self.session.call(InfoGet, Empty::default()).await?)
    }

    /// All devices with their items, from the model.
    pub async fn devices(&self) -> Result<Vec<Device>, Error> {
        self.synced().await?;
        let model = self.model();
        let device = |(id, record): (&DeviceId, &DeviceRecord)| Device {
            id: id.clone(),
            record: record.clone(),
            items: model.items_of(id).cloned().collect(),
            hub: self.clone(),
        };
        Ok(model.devices.iter().map(device).collect())
    }

    /// The device of that name; the first where several have it.
    pub async fn device(&self, name: &str) -> Result<Device, Error> {
        let devices = self.devices().await?;
        let known = || devices.iter().map(|device| device.name().to_owned()).collect();
        let found = devices.iter().find(|device| device.name() == name).cloned();
        found.ok_or_else(|| Error::NotFound { what: "device", name: name.into(), known: known() })
    }

    /// The rooms, in order.
    pub async fn rooms(&self) -> Result<Vec<Room>, Error> {
        self.synced().await?;
        Ok(self.model().rooms.values().cloned().collect())
    }

    /// The scenes.
    pub async fn scenes(&self) -> Result<Vec<Scene>, Error> {
        self.synced().await?;
        Ok(self.model().scenes.values().cloned().collect())
    }

    /// The house modes.
    pub async fn modes(&self) -> Result<ModesState, Error> {
        Ok(self.session.call(ModesGet, Empty::default()).await?)
    }

    /// Watches an item's value.
    pub fn watch(&self, item: &ItemId) -> ItemWatch {
        ItemWatch::new(self.clone(), item.clone())
    }

    /// Sets an item and waits until the hub reports the new value.
    pub async fn set(&self, item: &ItemId, value: Value) -> Result<Item, Error> {
        SetItem::new(self.clone(), item.clone(), value).confirmed().await
    }

    /// Closes the link in good order.
    pub async fn close(self) {
        let Self { session, live, .. } = self;
        drop(live);
        session.close().await;
    }

    /// Asks for a mode by name. The switch takes its delay; [`ModeSwitch::reached`] waits for it.
    pub async fn switch_mode(&self, name: &str) -> Result<ModeSwitch, Error> {
        let modes = self.modes().await?.modes;
        let id = modes.iter().find(|mode| mode.name.as_deref() == Some(name)).map(|mode| mode.id.clone());
        let known = || modes.iter().filter_map(|mode| mode.name.as_deref().map(str::to_owned)).collect();
        let id = id.ok_or_else(|| Error::NotFound { what: "house mode", name: name.into(), known: known() })?;
        let events = self.session.events();
        let wish = ModeWish { name: name.into(), ..ModeWish::default() };
        let answer = self.session.call(ModesSwitch, wish).await?;
        let delay = answer.switch_to_delay.get().map_or(0, |delay| *delay.get());
        Ok(ModeSwitch { events, id, delay_seconds: u64::try_from(delay).unwrap_or_default() })
    }

    /// Runs a scene by name and waits until it has run.
    pub async fn run_scene(&self, name: &str) -> Result<(), Error> {
        let scenes = self.scenes().await?;
        let named = |scene: &&Scene| scene.name.as_deref() == Some(name);
        let Some(id) = scenes.iter().find(named).and_then(|scene| scene.id.get()).cloned() else {
            let known = scenes.iter().filter_map(|scene| scene.name.as_deref().map(str::to_owned)).collect();
            return Err(Error::NotFound { what: "scene", name: name.into(), known });
        };
        let events = self.session.events();
        self.session.call(SceneRunNow, SceneRun { scene_id: id.clone(), ..SceneRun::default() }).await?;
        let over = |event: &Event| match event {
            Event::SceneRunProgress(progress) if progress.scene_id.get() == Some(&id) => match progress.status.get()? {
                RunStatus::Started => None,
                RunStatus::Finished => Some(Ok(())),
                other => Some(Err(other.to_string())),
            },
            _ => None,
        };
        wait_for(events, format!("scene {name}"), SCENE_TIME, over).await
    }

    /// Includes a Z-Wave device, step by step.
    pub async fn start_inclusion(&self) -> Result<Inclusion, Error> {
        Inclusion::start(self.clone()).await
    }

    /// Includes a Z-Wave device: put the device into inclusion now. Ends when all its items are there, with its id. A device
    /// that could prove itself by a key is let in without one; use [`Hub::start_inclusion`] to give it.
    pub async fn include(&self) -> Result<DeviceId, Error> {
        let mut inclusion = self.start_inclusion().await?;
        while let Some(step) = inclusion.next().await? {
            match step {
                InclusionStep::ChooseModes(modes) => {
                    let open = modes.into_iter().filter(|mode| mode == "unauthenticated");
                    inclusion.choose_modes(open).await?;
                }
                InclusionStep::Done(id) => return Ok(id),
                _ => {}
            }
        }
        Err(Error::Failed { what: "the inclusion".into(), text: "it ended without a device".into() })
    }

    /// Excludes a Z-Wave device: put the device into exclusion now. Ends when it is gone, with the id that went, if the hub
    /// told one.
    pub async fn exclude(&self) -> Result<Option<DeviceId>, Error> {
        let mut removed = None;
        let gone = self.zwave(START_EXCLUDE, "the exclusion", |event| match event {
            Event::DeviceRemoved(device) => {
                removed = Some(device.id.clone());
                None
            }
            Event::Plugin(plugin) => match plugin.event.get()? {
                ZwaveEvent::ExcludeFinished => Some(Ok(removed.clone())),
                event @ (ZwaveEvent::ExcludeFinishedError
                | ZwaveEvent::ExcludeFinishedTimeout
                | ZwaveEvent::ActionBusy) => Some(Err(event.to_string())),
                _ => None,
            },
            _ => None,
        });
        let gone = gone.await?;
        if let Some(id) = &gone {
            self.until(|model| !model.devices.contains_key(id)).await;
        }
        Ok(gone)
    }

    async fn zwave<T>(
        &self,
        script: &str,
        what: &str,
        end: impl FnMut(&Event) -> Option<Result<T, String>>,
    ) -> Result<T, Error> {
        let events = self.session.events();
        self.session.call(PluginScriptRun, PluginRun::script(script)).await?;
        wait_for(events, what.to_owned(), ZWAVE_TIME, end).await
    }
}

/// A switch of the house mode that the hub has taken.
#[derive(Debug)]
pub struct ModeSwitch {
    events: Events,
    id: ModeId,
    delay_seconds: u64,
}

impl ModeSwitch {
    /// Seconds from the request to the switch.
    pub const fn delay_seconds(&self) -> u64 {
        self.delay_seconds
    }

    /// Waits until the house is in the new mode.
    pub async fn reached(self) -> Result<(), Error> {
        let limit = REPORT_TIME + Duration::from_secs(self.delay_seconds);
        let id = self.id;
        let done = move |event: &Event| {
            let Event::ModesSwitched(switched) = event else { return None };
            let is_ours = switched.to.get() == Some(&id);
            match switched.status.get() {
                Some(SwitchStatus::Done) if is_ours => Some(Ok(())),
                Some(SwitchStatus::Done) => Some(Err("another switch overtook it".to_owned())),
                Some(SwitchStatus::Cancel) if is_ours => Some(Err("the switch was called off".to_owned())),
                _ => None,
            }
        };
        wait_for(self.events, "the mode switch".into(), limit, done).await
    }
}

/// Waits for the event that ends something, well or badly.
async fn wait_for<T>(
    mut events: Events,
    what: String,
    limit: Duration,
    mut end: impl FnMut(&Event) -> Option<Result<T, String>>,
) -> Result<T, Error> {
    let waiting = async {
        loop {
            match events.next().await {
                Some(RelayEvent::Hub(event)) => match end(&event) {
                    Some(Ok(value)) => return Ok(value),
                    Some(Err(text)) => return Err(Error::Failed { what: what.clone(), text }),
                    None => {}
                },
                Some(RelayEvent::Down(reason) | RelayEvent::Closed(reason)) => {
                    return Err(CallError::OutcomeUnknown { method: what.clone(), reason }.into());
                }
                // What was lost may have been the very event; the time limit ends the wait.
                Some(_) => {}
                None => return Err(Error::NotConfirmed { what: what.clone(), limit }),
            }
        }
    };
    match tokio::time::timeout(limit, waiting).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Error::NotConfirmed { what, limit }),
    }
}
