//! Z-Wave inclusion as a conversation: what to do now, step by step.

use std::time::Duration;

use ezlo_protocol::hub::DeviceId;
use ezlo_protocol::hub::broadcast::Event;
use ezlo_protocol::hub::gateway::{PluginEvent, PluginRun, START_EXCLUDE, START_INCLUDE, STOP_INCLUDE, ZwaveEvent};
use ezlo_protocol::hub::method::PluginScriptRun;
use ezlo_protocol::wire::Field;
use ezlo_relay::{CallError, RelayEvent, RelayEvents};
use serde_json::{Value, json};

use crate::error::Error;
use crate::hub::Hub;
use crate::wait::wait_for;

/// Chooses among the authentication modes of a device (guide).
const SET_MODES: &str = "HUB:zwave/scripts/set_authentication_mode";
/// Gives the first group of a device's key (guide).
const SET_KEY: &str = "HUB:zwave/scripts/set_device_specific_key";
/// How long an inclusion may take, somebody walking to the device included.
const INCLUSION_TIME: Duration = Duration::from_secs(180);

/// How long an exclusion may take, including the walk to the device.
const EXCLUSION_TIMEOUT: Duration = Duration::from_secs(180);

/// What an inclusion wants or tells.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum InclusionStep {
    /// The radio listens: put the device into inclusion now.
    PressButton,
    /// A device answered.
    DeviceFound,
    /// Choose among these modes: [`Inclusion::choose_modes`].
    ChooseAuthModes(Vec<String>),
    /// The first five digits of the key on the device are wanted: [`Inclusion::enter_key`]. These are the other groups.
    EnterKey(Vec<String>),
    /// Type these digits on the device.
    TypeOnDevice(String),
    /// How far it is, in percent.
    Progress(i64),
    /// The device is in, with all its items.
    Done(DeviceId),
}

/// An inclusion that is under way. Dropping it leaves the hub waiting until its own time is over; [`Inclusion::stop`] ends it.
#[derive(Debug)]
pub struct Inclusion {
    hub: Hub,
    events: RelayEvents,
    added: Option<DeviceId>,
    deadline: tokio::time::Instant,
    over: bool,
}

impl Inclusion {
    pub(crate) async fn start(hub: Hub) -> Result<Self, Error> {
        let events = hub.session().events();
        let deadline = tokio::time::Instant::now() + INCLUSION_TIME;
        hub.session().call(PluginScriptRun, PluginRun::script(START_INCLUDE)).await?;
        Ok(Self { hub, events, added: None, deadline, over: false })
    }

    /// Waits for the next step; `None` after [`InclusionStep::Done`]. An error ends the inclusion.
    pub async fn next(&mut self) -> Result<Option<InclusionStep>, Error> {
        let failed = |text: &str| Error::Failed { what: "the inclusion".into(), text: text.to_owned() };
        while !self.over {
            let Ok(event) = tokio::time::timeout_at(self.deadline, self.events.next()).await else {
                self.over = true;
                return Err(Error::ConfirmationTimeout { what: "the inclusion".into(), limit: INCLUSION_TIME });
            };
            let step = match event {
                Some(RelayEvent::Hub(event)) => self.on_event(&event),
                Some(RelayEvent::Disconnected(_) | RelayEvent::Lagged(_)) => {
                    Some(Err("the link was lost; look at the devices before you try again".to_owned()))
                }
                Some(RelayEvent::Closed(_)) | None => Some(Err("the session is over".to_owned())),
                Some(_) => None,
            };
            match step {
                Some(Ok(step)) => {
                    if let InclusionStep::Done(id) = &step {
                        self.over = true;
                        self.hub.until(|model| model.devices.contains_key(id)).await;
                    }
                    return Ok(Some(step));
                }
                Some(Err(text)) => {
                    self.over = true;
                    return Err(failed(&text));
                }
                None => {}
            }
        }
        Ok(None)
    }

    fn on_event(&mut self, event: &Event) -> Option<Result<InclusionStep, String>> {
        match event {
            Event::DeviceAdded(device) => {
                // The channels of a device come after it and name it as their parent.
                self.added = self.added.take().or_else(|| device.id().cloned());
                None
            }
            Event::Plugin(plugin) => self.on_plugin(plugin),
            _ => None,
        }
    }

    fn on_plugin(&self, plugin: &PluginEvent) -> Option<Result<InclusionStep, String>> {
        let member = |name: &str| plugin.extra.get(name).cloned().unwrap_or(Value::Null);
        let texts = |value: Value| -> Vec<String> {
            value.as_array().into_iter().flatten().filter_map(|text| text.as_str().map(str::to_owned)).collect()
        };
        Some(match plugin.event.get()? {
            ZwaveEvent::IncludeInvoked => Ok(InclusionStep::PressButton),
            ZwaveEvent::IncludeStarted => Ok(InclusionStep::DeviceFound),
            ZwaveEvent::SelectAuthenticationModes => Ok(InclusionStep::ChooseAuthModes(texts(member("modes")))),
            ZwaveEvent::RequestDeviceSpecificKey => Ok(InclusionStep::EnterKey(texts(member("key")))),
            ZwaveEvent::ShowDeviceSideKey => {
                let key = member("key");
                Ok(InclusionStep::TypeOnDevice(key.as_str().map_or_else(|| key.to_string(), str::to_owned)))
            }
            ZwaveEvent::IncludeDeviceProgress => {
                Ok(InclusionStep::Progress(member("progress").as_i64().unwrap_or_default()))
            }
            ZwaveEvent::IncludeFinished => {
                self.added.clone().map(InclusionStep::Done).ok_or_else(|| "no device was announced".to_owned())
            }
            event
            @ (ZwaveEvent::IncludeFinishedError | ZwaveEvent::IncludeFinishedTimeout | ZwaveEvent::ActionBusy) => {
                Err(event.to_string())
            }
            _ => return None,
        })
    }

    async fn run(&self, script: &str, params: Value) -> Result<(), CallError> {
        let params = params.as_object().cloned().unwrap_or_default().into_iter().collect();
        let run = PluginRun { script_params: Field::Value(params), ..PluginRun::script(script) };
        self.hub.session().call(PluginScriptRun, run).await.map(drop)
    }

    /// Chooses among the modes that were offered; none lets the device in without a key.
    pub async fn choose_modes<M: Into<String>>(&self, modes: impl IntoIterator<Item = M>) -> Result<(), Error> {
        let modes: Vec<String> = modes.into_iter().map(Into::into).collect();
        Ok(self.run(SET_MODES, json!({"modes": modes})).await?)
    }

    /// Gives the first five digits of the key on the device.
    pub async fn enter_key(&self, first_group: u16) -> Result<(), Error> {
        Ok(self.run(SET_KEY, json!({"key": first_group})).await?)
    }

    /// Ends the inclusion.
    pub async fn stop(self) -> Result<(), Error> {
        self.hub.session().call(PluginScriptRun, PluginRun::script(STOP_INCLUDE)).await?;
        Ok(())
    }
}

impl Hub {
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
                InclusionStep::ChooseAuthModes(modes) => {
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
        let events = self.session().events();
        self.session().call(PluginScriptRun, PluginRun::script(script)).await?;
        wait_for(events, what.to_owned(), EXCLUSION_TIMEOUT, end).await
    }
}
