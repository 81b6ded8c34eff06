//! The public handle that acts on one hub of a running cloud.

use ezlo_hub_sim::HubError;
use std::sync::Arc;

use serde_json::Value;

use crate::world::hub_actor::HubActor;
use ezlo_hub_sim::json::is_too_deep;
use ezlo_hub_sim::{Context, DeviceCondition, Hub, ItemChange, SetupFault, templates};

/// The immediate consequences of an action on a hub. Those of timers and of scenes with delays follow later.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Consequences {
    /// Changed values of items, in order.
    pub changes: Vec<ItemChange>,
    /// Names of the broadcasts to the connected clients, in order.
    pub broadcasts: Vec<&'static str>,
}

/// A handle to one hub of a running cloud, for physical actions on the hub and its devices.
///
/// The methods change the state of the hub and queue the resulting broadcasts for the connected clients before they return.
/// With a state directory, a change is persisted asynchronously; [`MockCloud::flush`](crate::MockCloud::flush) waits for it.
///
/// Call the methods within a Tokio runtime: a change can spawn a task for a timer, which panics outside of one.
#[derive(Debug, Clone)]
pub struct HubHandle {
    pub(crate) cell: Arc<HubActor>,
}

impl HubHandle {
    /// Includes a new device of a template, as if its button were pressed.
    ///
    /// The hub must be waiting for a device, after a client has started an inclusion. The device is added after the simulated
    /// steps of the inclusion, not when this returns.
    ///
    /// # Errors
    ///
    /// - [`HubError::NoTemplate`] if no template has the name `kind`.
    /// - [`HubError::NotWaiting`] if no inclusion waits for a device.
    pub fn press_include(&self, kind: &str) -> Result<(), HubError> {
        let template = templates::find(kind).ok_or_else(|| HubError::NoTemplate(kind.to_owned()))?;
        let pressed = self.cell.change(|hub, context| hub.press_include(template, context), |_| ());
        if pressed { Ok(()) } else { Err(self.not_waiting()) }
    }

    /// Excludes a device, as if its button were pressed. `device` is an id or a name.
    ///
    /// The hub must be waiting for a device, after a client has started an exclusion.
    ///
    /// # Errors
    ///
    /// - [`HubError::NoDevice`] if no device has this id or name.
    /// - [`HubError::NotWaiting`] if no exclusion waits for a device.
    pub fn press_exclude(&self, device: &str) -> Result<(), HubError> {
        let id = self.cell.read(|hub| hub.find_device(device)).ok_or_else(|| HubError::NoDevice(device.to_owned()))?;
        let pressed = self.cell.change(|hub, context| hub.press_exclude(&id, context), |_| ());
        if pressed { Ok(()) } else { Err(self.not_waiting()) }
    }

    fn not_waiting(&self) -> HubError {
        HubError::NotWaiting(self.radio_state().to_owned())
    }

    /// Returns the state of the Z-Wave radio as text, such as `idle`. Reads the local state.
    pub fn radio_state(&self) -> &'static str {
        self.cell.read(|hub| hub.radio_state())
    }

    /// Returns the key on the label of the device that is being included: eight groups of five digits.
    ///
    /// The hub requests the first group from the client. `None` unless the hub and the device are agreeing on keys. Reads the
    /// local state.
    pub fn device_specific_key(&self) -> Option<String> {
        self.cell.read(|hub| hub.device_specific_key())
    }

    /// Reports a value of an item, as the device would. `device` is an id or a name, `item` the name of the item.
    ///
    /// Sends `hub.item.updated` to the connected clients, even if the value is unchanged, and triggers scenes.
    ///
    /// # Errors
    ///
    /// - [`HubError::BadValue`] if the item cannot have this value or the value is nested too deeply.
    /// - [`HubError::NoDevice`] if no device has this id or name.
    /// - [`HubError::NoItem`] if the device has no item with this name.
    /// - [`HubError::Unplugged`] if the hub has no power.
    pub fn report(&self, device: &str, item: &str, value: Value) -> Result<Consequences, HubError> {
        if is_too_deep(&value.to_string()) {
            return Err(HubError::BadValue { item: item.to_owned(), reason: "the value is nested too deeply".into() });
        }
        self.act(|hub, context| hub.report(device, item, value, context))
    }

    /// Runs an action and returns its consequences.
    fn act(
        &self,
        action: impl FnOnce(&mut Hub, &mut Context<'_>) -> Result<(), HubError>,
    ) -> Result<Consequences, HubError> {
        let with_consequences = |hub: &mut Hub, context: &mut Context<'_>| {
            action(hub, context).map(|()| Consequences {
                changes: context.effects.changes.clone(),
                broadcasts: context.effects.broadcasts.iter().map(|broadcast| broadcast.name).collect(),
            })
        };
        self.cell.change(with_consequences, |_| ())
    }

    /// Sets the fault of the first set-up of this hub, or removes it with `None`.
    ///
    /// A hub has one set-up fault at a time; it remains active until it is removed.
    pub fn set_setup_fault(&self, fault: Option<SetupFault>) {
        self.cell.change(|hub, _| hub.set_setup_fault(fault), |()| ());
    }

    /// Connects the house to the internet, or disconnects it with `false`. The local network is not affected.
    ///
    /// If the hub is on a network and its state at the relay changes, the relay informs its clients of the new state.
    pub fn set_internet(&self, connected: bool) {
        self.cell.change(|hub, context| hub.set_internet(connected, context), |()| ());
    }

    /// Trips a sensor, or resets it with `false`. `device` is an id or a name.
    ///
    /// Reports a value of the first sensor item of the device, as [`HubHandle::report`] does.
    ///
    /// # Errors
    ///
    /// - [`HubError::NoDevice`] if no device has this id or name.
    /// - [`HubError::NoSensor`] if the device has no sensor item.
    /// - [`HubError::BadValue`] if the world file limits the item to other values.
    /// - [`HubError::Unplugged`] if the hub has no power.
    pub fn trip(&self, device: &str, tripped: bool) -> Result<Consequences, HubError> {
        self.act(|hub, context| hub.trip(device, tripped, context))
    }

    /// Presses the button of a device. `device` is an id or a name.
    ///
    /// If an exclusion waits for a device, this one is excluded. Otherwise a remote control reports the press, and a switch is
    /// toggled.
    ///
    /// # Errors
    ///
    /// - [`HubError::NoDevice`] if no device has this id or name.
    /// - [`HubError::NoButton`] if the device has neither a button nor a switch.
    /// - [`HubError::BadValue`] if the world file limits the button item to other values.
    /// - [`HubError::Unplugged`] if the hub has no power.
    pub fn press(&self, device: &str) -> Result<Consequences, HubError> {
        self.act(|hub, context| hub.press(device, context))
    }

    /// Cuts the power of the hub until [`HubHandle::plug_in`].
    ///
    /// Closes all local connections; the relay reports the hub as disconnected. Timers that become due are deferred.
    pub fn unplug(&self) {
        self.cell.change(ezlo_hub_sim::Hub::unplug, |()| ());
    }

    /// Restores the power of the hub. Has no effect if it has power.
    ///
    /// The hub is on the network again after its start and then fires the deferred timers.
    pub fn plug_in(&self) {
        self.cell.change(ezlo_hub_sim::Hub::plug_in, |()| ());
    }

    /// Restarts the hub. Has no effect while it restarts or has no power.
    ///
    /// Closes all local connections; the relay reports the hub as disconnected until the restart has ended.
    pub fn restart(&self) {
        self.cell.change(ezlo_hub_sim::Hub::restart, |()| ());
    }

    /// Sets whether the hub can reach a device. `device` is an id or a name.
    ///
    /// Calls that set an item of an unreachable device are refused. Sends `hub.device.updated` to the connected clients.
    ///
    /// # Errors
    ///
    /// - [`HubError::NoDevice`] if no device has this id or name.
    /// - [`HubError::Unplugged`] if the hub has no power.
    pub fn set_reachable(&self, device: &str, reachable: bool) -> Result<Consequences, HubError> {
        self.act(|hub, context| hub.reach(device, reachable, context))
    }

    /// Sets the condition of a device: broken, asleep, or a lock with restrictions. `device` is an id or a name.
    ///
    /// Sends `hub.device.updated` to the connected clients if `broken` is given. A device that wakes up receives the pending
    /// settings and lock codes.
    ///
    /// # Errors
    ///
    /// - [`HubError::NoDevice`] if no device has this id or name.
    /// - [`HubError::NoItem`] if the condition concerns lock codes and the device has none.
    /// - [`HubError::Unplugged`] if the hub has no power.
    pub fn set_condition(&self, device: &str, condition: &DeviceCondition) -> Result<Consequences, HubError> {
        self.act(|hub, context| hub.set_condition(device, condition, context))
    }
}
