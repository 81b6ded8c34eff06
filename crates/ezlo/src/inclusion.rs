//! Inclusion and exclusion of Z-Wave devices.

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

/// Script that chooses the authentication modes of a device (guide).
const SET_MODES: &str = "HUB:zwave/scripts/set_authentication_mode";
/// Script that passes the first group of a device-specific key (guide).
const SET_KEY: &str = "HUB:zwave/scripts/set_device_specific_key";
/// Time allowed for an inclusion, including the walk to the device.
const INCLUSION_TIME: Duration = Duration::from_secs(180);

/// Time allowed for an exclusion, including the walk to the device.
const EXCLUSION_TIMEOUT: Duration = Duration::from_secs(180);

/// A step of an inclusion: a request to the user or a progress report.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum InclusionStep {
    /// The radio is in inclusion mode: press the button of the device now.
    PressButton,
    /// A device has answered.
    DeviceFound,
    /// The device offers these Security 2 modes. Reply with [`Inclusion::choose_modes`].
    ChooseAuthModes(Vec<String>),
    /// The hub requests the first five digits of the device-specific key. Reply with [`Inclusion::enter_key`].
    ///
    /// Contains the other groups of the key, to identify the device.
    EnterKey(Vec<String>),
    /// The user types these digits on the device.
    TypeOnDevice(String),
    /// The progress in percent.
    Progress(i64),
    /// The device was included with all its items. Contains its id. The last step.
    Done(DeviceId),
}

/// An inclusion in progress. Made by [`Hub::start_inclusion`].
///
/// It ends 180 s after its start. Dropping it leaves the hub in inclusion mode until the timeout of the hub;
/// [`Inclusion::stop`] ends the mode. The inclusion holds its [`Hub`] and keeps the session open.
///
/// ```no_run
/// use ezlo::prelude::*;
///
/// # async fn example(hub: &Hub) -> Result<(), Error> {
/// let mut inclusion = hub.start_inclusion().await?;
/// while let Some(step) = inclusion.next().await? {
///     match step {
///         InclusionStep::PressButton => println!("press the button of the device now"),
///         // Includes a device with Security 2 without its device-specific key.
///         InclusionStep::ChooseAuthModes(_) => inclusion.choose_modes(["unauthenticated"]).await?,
///         InclusionStep::Progress(percent) => println!("{percent} %"),
///         InclusionStep::Done(id) => println!("included {id:?}"),
///         _ => {}
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Inclusion {
    hub: Hub,
    events: RelayEvents,
    added: Option<DeviceId>,
    deadline: tokio::time::Instant,
    ended: bool,
}

impl Inclusion {
    pub(crate) async fn start(hub: Hub) -> Result<Self, Error> {
        let events = hub.session().events();
        let deadline = tokio::time::Instant::now() + INCLUSION_TIME;
        hub.session().call(PluginScriptRun, PluginRun::script(START_INCLUDE)).await?;
        Ok(Self { hub, events, added: None, deadline, ended: false })
    }

    /// Waits for the next step. Returns `None` after [`InclusionStep::Done`] and after an error.
    ///
    /// Waits for broadcasts until 180 s after the start; no call is sent. Before [`InclusionStep::Done`] it also waits
    /// until the model contains the device, for at most 5 s.
    ///
    /// # Errors
    ///
    /// - [`Error::Failed`] if the hub reports a failure, if the connection is lost, or if the session is closed.
    /// - [`Error::ConfirmationTimeout`] after 180 s.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe, except for the wait for the model: [`InclusionStep::Done`] is lost if the future is dropped then.
    pub async fn next(&mut self) -> Result<Option<InclusionStep>, Error> {
        let failed = |text: &str| Error::Failed { what: "the inclusion".into(), text: text.to_owned() };
        while !self.ended {
            let Ok(event) = tokio::time::timeout_at(self.deadline, self.events.next()).await else {
                self.ended = true;
                return Err(Error::ConfirmationTimeout { what: "the inclusion".into(), limit: INCLUSION_TIME });
            };
            let step = match event {
                Some(RelayEvent::Hub(event)) => self.on_event(&event),
                Some(RelayEvent::Disconnected(_) | RelayEvent::Lagged(_)) => {
                    Some(Err("the connection or an event was lost; check the devices before retrying".to_owned()))
                }
                Some(RelayEvent::Closed(_)) | None => Some(Err("the session is closed".to_owned())),
                Some(_) => None,
            };
            match step {
                Some(Ok(step)) => {
                    if let InclusionStep::Done(id) = &step {
                        self.ended = true;
                        self.hub.until(|model| model.devices.contains_key(id)).await;
                    }
                    return Ok(Some(step));
                }
                Some(Err(text)) => {
                    self.ended = true;
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
                // The channels of a device are added after it, as devices of their own.
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
                self.added.clone().map(InclusionStep::Done).ok_or_else(|| "the hub reported no new device".to_owned())
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

    /// Chooses among the modes of [`InclusionStep::ChooseAuthModes`]. An empty list includes the device
    /// without Security 2 (inferred).
    ///
    /// Sends one `hub.extensions.plugin.run` call (default timeout: 20 s).
    ///
    /// # Errors
    ///
    /// [`Error::Call`] if the hub refuses the modes, or if the call cannot be sent, times out or has an unknown outcome.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: the hub may receive the choice even if the future is dropped.
    pub async fn choose_modes<M: Into<String>>(&self, modes: impl IntoIterator<Item = M>) -> Result<(), Error> {
        let modes: Vec<String> = modes.into_iter().map(Into::into).collect();
        Ok(self.run(SET_MODES, json!({"modes": modes})).await?)
    }

    /// Passes the first five digits of the device-specific key, which is on the label of the device.
    ///
    /// Sends one `hub.extensions.plugin.run` call (default timeout: 20 s).
    ///
    /// # Errors
    ///
    /// [`Error::Call`] if the hub refuses the key, or if the call cannot be sent, times out or has an unknown outcome.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: the hub may receive the key even if the future is dropped.
    pub async fn enter_key(&self, first_group: u16) -> Result<(), Error> {
        Ok(self.run(SET_KEY, json!({"key": first_group})).await?)
    }

    /// Ends the inclusion mode of the hub.
    ///
    /// Sends one `hub.extensions.plugin.run` call (default timeout: 20 s).
    ///
    /// # Errors
    ///
    /// [`Error::Call`] if the call is refused, cannot be sent, times out or has an unknown outcome.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: the mode may or may not end if the future is dropped.
    pub async fn stop(self) -> Result<(), Error> {
        self.hub.session().call(PluginScriptRun, PluginRun::script(STOP_INCLUDE)).await?;
        Ok(())
    }
}

impl Hub {
    /// Starts the inclusion of a Z-Wave device. The returned [`Inclusion`] reports the steps.
    ///
    /// Sends one `hub.extensions.plugin.run` call (default timeout: 20 s). The inclusion ends 180 s later.
    ///
    /// # Errors
    ///
    /// [`Error::Call`] if the call is refused, cannot be sent, times out or has an unknown outcome.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: the hub may enter inclusion mode even if the future is dropped.
    pub async fn start_inclusion(&self) -> Result<Inclusion, Error> {
        Inclusion::start(self.clone()).await
    }

    /// Includes a Z-Wave device and returns its id once all its items were added. Press the button of the device after the
    /// call.
    ///
    /// A device with Security 2 is included in the mode `unauthenticated`, without its device-specific key.
    /// [`Hub::start_inclusion`] can pass the key.
    ///
    /// Sends `hub.extensions.plugin.run` calls (default timeout: 20 s each). Ends after 180 s at most.
    ///
    /// # Errors
    ///
    /// - [`Error::Call`] if a call is refused, cannot be sent, times out or has an unknown outcome.
    /// - [`Error::Failed`] if the hub reports a failure, if the connection is lost, or if the session is closed.
    /// - [`Error::ConfirmationTimeout`] after 180 s.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: the hub stays in inclusion mode, and a device may be included, even if the future is dropped.
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

    /// Excludes a Z-Wave device and returns its id, if the hub reported one. Press the button of the device after the call.
    ///
    /// If several devices are removed, such as a device with its channels, the id is the last one that the hub reported.
    ///
    /// Sends one `hub.extensions.plugin.run` call (default timeout: 20 s), then waits up to 180 s for the exclusion and up
    /// to 5 s until the model shows it.
    ///
    /// # Errors
    ///
    /// - [`Error::Call`] if the call fails, or with [`CallError::OutcomeUnknown`] if the connection is lost during the
    ///   exclusion.
    /// - [`Error::Failed`] if the hub reports a failure.
    /// - [`Error::ConfirmationTimeout`] after 180 s.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: the hub stays in exclusion mode, and a device may be excluded, even if the future is dropped.
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
