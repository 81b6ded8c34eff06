//! A hub one is connected to: devices, rooms, scenes, modes, and what happens there.

use std::time::Duration;

use ezlo_protocol::hub::broadcast::Event;
use ezlo_protocol::hub::device::Device as DeviceRecord;
use ezlo_protocol::hub::gateway::{PluginRun, START_EXCLUDE, START_INCLUDE, ZwaveEvent};
use ezlo_protocol::hub::info::HubInfo;
use ezlo_protocol::hub::item::{Item, ItemQuery, ItemUpdate, ItemValueSet};
use ezlo_protocol::hub::method::{
    DevicesList, InfoGet, ItemSet, ItemsList, ModesGet, ModesSwitch, PluginScriptRun, RoomsList, SceneRunNow,
    ScenesList,
};
use ezlo_protocol::hub::mode::{ModeSwitch, ModesState, SwitchStatus};
use ezlo_protocol::hub::room::Room;
use ezlo_protocol::hub::scene::{RunStatus, Scene, SceneRun};
use ezlo_protocol::hub::{DeviceId, Empty, ItemId};
use ezlo_relay::{CallError, Events, RelayEvent, Session};
use serde_json::Value;

use crate::error::Error;

/// How long a value, or the start of a mode switch, may take to be reported. A sleeping radio node needs seconds.
const REPORT_TIME: Duration = Duration::from_secs(15);
/// How long a scene may run; a public client waits 60 s.
const SCENE_TIME: Duration = Duration::from_secs(60);
/// How long an inclusion or exclusion may take, somebody walking to the device included.
const ZWAVE_TIME: Duration = Duration::from_secs(180);

/// A hub one is connected to, over the relay or the local network. Works the same over both.
#[derive(Debug, Clone)]
pub struct Hub {
    session: Session,
}

/// A device with its items.
#[derive(Debug, Clone, PartialEq)]
pub struct Device {
    /// Its id.
    pub id: DeviceId,
    /// What the hub says of it.
    pub record: DeviceRecord,
    /// What it can be asked and told.
    pub items: Vec<Item>,
}

impl Device {
    /// Its name; empty when the hub gives none.
    pub fn name(&self) -> &str {
        self.record.name.as_deref().unwrap_or_default()
    }

    /// The item of that name, such as `switch`.
    pub fn item(&self, name: &str) -> Result<&Item, Error> {
        let names = || self.items.iter().filter_map(|item| item.name.as_deref().map(str::to_owned)).collect();
        let found = self.items.iter().find(|item| item.name.as_deref() == Some(name));
        found.ok_or_else(|| Error::NotFound { what: "item", name: name.into(), known: names() })
    }
}

impl Hub {
    /// Over a session that is there already.
    pub const fn new(session: Session) -> Self {
        Self { session }
    }

    /// The session underneath, for methods that have no name here.
    pub const fn session(&self) -> &Session {
        &self.session
    }

    /// Listens to what happens from now on.
    pub fn events(&self) -> Events {
        self.session.events()
    }

    /// What the hub says of itself.
    pub async fn info(&self) -> Result<HubInfo, Error> {
        Ok(self.session.call(InfoGet, Empty::default()).await?)
    }

    /// All devices with their items. A device or item without an id cannot be addressed and is left out.
    pub async fn devices(&self) -> Result<Vec<Device>, Error> {
        let devices = self.session.call(DevicesList, Empty::default()).await?.devices;
        let items = self.session.call(ItemsList, ItemQuery::default()).await?.items;
        let own = |id: &DeviceId| items.iter().filter(|item| item.device_id.get() == Some(id)).cloned().collect();
        let with_id = devices.into_iter().filter_map(|record| record.id().cloned().map(|id| (id, record)));
        Ok(with_id.map(|(id, record)| Device { items: own(&id), id, record }).collect())
    }

    /// The rooms, in order.
    pub async fn rooms(&self) -> Result<Vec<Room>, Error> {
        Ok(self.session.call(RoomsList, Empty::default()).await?.rooms().to_vec())
    }

    /// The scenes.
    pub async fn scenes(&self) -> Result<Vec<Scene>, Error> {
        Ok(self.session.call(ScenesList, Empty::default()).await?.scenes)
    }

    /// The house modes.
    pub async fn modes(&self) -> Result<ModesState, Error> {
        Ok(self.session.call(ModesGet, Empty::default()).await?)
    }

    /// Sets an item and waits until the hub reports the new value.
    pub async fn set(&self, item: &ItemId, value: Value) -> Result<ItemUpdate, Error> {
        let events = self.session.events();
        self.session.call(ItemSet, ItemValueSet::one(item.clone(), value.clone())).await?;
        let reported = |event: &Event| match event {
            Event::ItemUpdated(update) if update.id == *item && update.value.get() == Some(&value) => {
                Some(Ok((**update).clone()))
            }
            _ => None,
        };
        wait_for(events, format!("the value of {item}"), REPORT_TIME, reported).await
    }

    /// Asks for a mode by name. Returns the seconds until the switch; [`Hub::mode_reached`] waits for it.
    pub async fn switch_mode(&self, name: &str) -> Result<i64, Error> {
        let wish = ModeSwitch { name: name.into(), ..ModeSwitch::default() };
        let answer = self.session.call(ModesSwitch, wish).await?;
        Ok(answer.switch_to_delay.get().map_or(0, |delay| *delay.get()))
    }

    /// Waits until the house is in a new mode. Take `events` before asking for the switch.
    pub async fn mode_reached(events: Events, delay_seconds: i64) -> Result<(), Error> {
        let limit = REPORT_TIME + Duration::from_secs(u64::try_from(delay_seconds).unwrap_or_default());
        let done = |event: &Event| match event {
            Event::ModesSwitched(switched) => match switched.status.get() {
                Some(SwitchStatus::Done) => Some(Ok(())),
                Some(SwitchStatus::Cancel) => Some(Err("the switch was called off".to_owned())),
                _ => None,
            },
            _ => None,
        };
        wait_for(events, "the mode switch".into(), limit, done).await
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

    /// Includes a Z-Wave device: put the device into inclusion now. Ends when all its items are there, with its id.
    pub async fn include(&self) -> Result<DeviceId, Error> {
        let mut added = None;
        self.zwave(START_INCLUDE, "the inclusion", |event| match event {
            Event::DeviceAdded(device) => {
                added = device.id().cloned();
                None
            }
            Event::Plugin(plugin) => match plugin.event.get()? {
                ZwaveEvent::IncludeFinished => Some(added.clone().ok_or_else(|| "no device was announced".to_owned())),
                event @ (ZwaveEvent::IncludeFinishedError
                | ZwaveEvent::IncludeFinishedTimeout
                | ZwaveEvent::ActionBusy) => Some(Err(event.to_string())),
                _ => None,
            },
            _ => None,
        })
        .await
    }

    /// Excludes a Z-Wave device: put the device into exclusion now. Ends when it is gone, with the id that went, if the hub
    /// told one.
    pub async fn exclude(&self) -> Result<Option<DeviceId>, Error> {
        let mut removed = None;
        self.zwave(START_EXCLUDE, "the exclusion", |event| match event {
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
        })
        .await
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
                Some(RelayEvent::Closed(reason)) => {
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
