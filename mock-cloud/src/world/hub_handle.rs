//! A simulated hub in the hands of a test: what its devices' surroundings do to it.

use ezlo_hub_sim::HubError;
use std::sync::Arc;

use serde_json::Value;

use crate::world::hub_actor::HubActor;
use ezlo_hub_sim::json::is_too_deep;
use ezlo_hub_sim::{SetupFault, templates};

/// A hub of a running cloud, to play the part of the people and things around it.
#[derive(Debug, Clone)]
pub struct HubHandle {
    pub(crate) cell: Arc<HubActor>,
}

impl HubHandle {
    /// Puts a device of that kind into inclusion, as if somebody pressed its button.
    pub fn press_include(&self, kind: &str) -> Result<(), HubError> {
        let template = templates::find(kind).ok_or_else(|| HubError::NoTemplate(kind.to_owned()))?;
        let pressed = self.cell.change(|hub, context| hub.press_include(template, context), |_| ());
        if pressed { Ok(()) } else { Err(self.not_waiting()) }
    }

    /// Puts a device, by id or name, into exclusion.
    pub fn press_exclude(&self, device: &str) -> Result<(), HubError> {
        let id = self.cell.read(|hub| hub.find_device(device)).ok_or_else(|| HubError::NoDevice(device.to_owned()))?;
        let pressed = self.cell.change(|hub, context| hub.press_exclude(&id, context), |_| ());
        if pressed { Ok(()) } else { Err(self.not_waiting()) }
    }

    fn not_waiting(&self) -> HubError {
        HubError::NotWaiting(self.radio_state().to_owned())
    }

    /// What the radio does, in a few words.
    pub fn radio_state(&self) -> &'static str {
        self.cell.read(|hub| hub.radio_state())
    }

    /// The key on the label of the device that is being included: eight groups of five digits, the first of which the hub
    /// asks for. `None` unless it agrees on keys right now.
    pub fn device_specific_key(&self) -> Option<String> {
        self.cell.read(|hub| hub.device_specific_key())
    }

    /// A device, by id or name, reports a value: a door opens, a button is pressed. Everything that follows happens.
    pub fn report(&self, device: &str, item: &str, value: Value) -> Result<(), HubError> {
        if is_too_deep(&value.to_string()) {
            return Err(HubError::BadValue { item: item.to_owned(), reason: "it is nested too deeply".into() });
        }
        let report = |hub: &mut ezlo_hub_sim::Hub, context: &mut ezlo_hub_sim::Context<'_>| {
            hub.report(device, item, value, context)
        };
        self.cell.change(report, |_| ())
    }

    /// Something goes wrong while this hub is set up, until it is switched off with `None`.
    pub fn set_setup_fault(&self, fault: Option<SetupFault>) {
        self.cell.change(|hub, _| hub.set_setup_fault(fault), |()| ());
    }

    /// The house loses the internet, or has it again: the relay tells its users. The local network stays. Nothing happens to
    /// a hub that is on no network.
    pub fn set_internet(&self, there: bool) {
        self.cell.change(|hub, context| hub.set_internet(there, context), |()| ());
    }

    /// A sensor, by id or name, is tripped, or quiet again: a door opens, somebody moves, there is smoke.
    pub fn trip(&self, device: &str, tripped: bool) -> Result<(), HubError> {
        self.cell.change(|hub, context| hub.trip(device, tripped, context), |_| ())
    }

    /// Somebody presses the button of a device, by id or name: it goes when the radio waits for one to go; else a remote
    /// control tells of it, and a switch is switched.
    pub fn press(&self, device: &str) -> Result<(), HubError> {
        self.cell.change(|hub, context| hub.press(device, context), |_| ())
    }

    /// Somebody pulls the plug: everybody is dropped, and nothing happens until it is put in again.
    pub fn unplug(&self) {
        self.cell.change(ezlo_hub_sim::Hub::unplug, |()| ());
    }

    /// Somebody puts the plug in: the hub is back after its start, and does what became due meanwhile. Nothing happens to one
    /// that has power.
    pub fn plug_in(&self) {
        self.cell.change(ezlo_hub_sim::Hub::plug_in, |()| ());
    }

    /// Somebody pulls the plug and puts it in again: everybody is dropped, and the hub is back after its restart.
    pub fn restart(&self) {
        self.cell.change(ezlo_hub_sim::Hub::restart, |()| ());
    }

    /// A device, by id or name, can be reached or not.
    pub fn set_reachable(&self, device: &str, reachable: bool) -> Result<(), HubError> {
        self.cell.change(|hub, context| hub.reach(device, reachable, context), |_| ())
    }
}
