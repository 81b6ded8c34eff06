//! A simulated hub in the hands of a test: what its devices' surroundings do to it.

use std::sync::Arc;

use serde_json::Value;

use crate::json_text::is_too_deep;
use crate::world::{HubCell, SetupFault, World, template};

/// A hub of a running cloud, to play the part of the people and things around it.
#[derive(Debug, Clone)]
pub struct HubHandle {
    pub(crate) world: Arc<World>,
    pub(crate) cell: Arc<HubCell>,
}

/// Something cannot be done to a hub.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// No kind of device has that name.
    #[error("no template is called {0:?}; `mock-cloud world templates` lists them")]
    NoTemplate(String),
    /// The radio does not wait for a button now.
    #[error(
        "the radio does not wait for a device now: it is {0}; begin with hub.extensions.plugin.run and the script \
         HUB:zwave/scripts/start_include or start_exclude"
    )]
    NotWaiting(String),
    /// No device has that id or name.
    #[error("no device has the id or name {0:?}")]
    NoDevice(String),
    /// The device has no such item.
    #[error("device {device:?} has no item {item:?}")]
    NoItem {
        /// As it was asked for.
        device: String,
        /// As it was asked for.
        item: String,
    },
    /// The item cannot have that value.
    #[error("item {item:?}: {reason}")]
    BadValue {
        /// Which.
        item: String,
        /// Why.
        reason: String,
    },
    /// The device has nothing that is tripped.
    #[error("{0:?} is no sensor: nothing of it is tripped")]
    NoSensor(String),
    /// The device has nothing that is pressed.
    #[error("{0:?} has no button, and no switch")]
    NoButton(String),
    /// The hub hears nothing without power.
    #[error("the hub has no power; plug it in")]
    Unplugged,
}

impl HubHandle {
    /// Puts a device of that kind into inclusion, as if somebody pressed its button.
    pub fn press_include(&self, kind: &str) -> Result<(), HubError> {
        let template = template::find(kind).ok_or_else(|| HubError::NoTemplate(kind.to_owned()))?;
        let pressed = self.cell.change(&self.world, |hub, context| hub.press_include(template, context), |_| ());
        if pressed { Ok(()) } else { Err(self.not_waiting()) }
    }

    /// Puts a device, by id or name, into exclusion.
    pub fn press_exclude(&self, device: &str) -> Result<(), HubError> {
        let id = self.cell.read(|hub| hub.find_device(device)).ok_or_else(|| HubError::NoDevice(device.to_owned()))?;
        let pressed = self.cell.change(&self.world, |hub, context| hub.press_exclude(&id, context), |_| ());
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
        let report = |hub: &mut crate::world::hub::Hub, context: &mut crate::world::hub::Context<'_>| {
            hub.report(device, item, value, context)
        };
        self.cell.change(&self.world, report, |_| ())
    }

    /// Something goes wrong while this hub is set up, until it is switched off with `None`.
    pub fn set_setup_fault(&self, fault: Option<SetupFault>) {
        self.cell.change(&self.world, |hub, _| hub.set_setup_fault(fault), |()| ());
    }

    /// The house loses the internet, or has it again: the relay tells its users. The local network stays. Nothing happens to
    /// a hub that is on no network.
    pub fn set_internet(&self, there: bool) {
        self.cell.change(&self.world, |hub, context| hub.set_internet(there, context), |()| ());
    }

    /// A sensor, by id or name, is tripped, or quiet again: a door opens, somebody moves, there is smoke.
    pub fn trip(&self, device: &str, tripped: bool) -> Result<(), HubError> {
        self.cell.change(&self.world, |hub, context| hub.trip(device, tripped, context), |_| ())
    }

    /// Somebody presses the button of a device, by id or name: it goes when the radio waits for one to go; else a remote
    /// control tells of it, and a switch is switched.
    pub fn press(&self, device: &str) -> Result<(), HubError> {
        self.cell.change(&self.world, |hub, context| hub.press(device, context), |_| ())
    }

    /// Somebody pulls the plug: everybody is dropped, and nothing happens until it is put in again.
    pub fn unplug(&self) {
        self.cell.change(&self.world, crate::world::hub::Hub::unplug, |()| ());
    }

    /// Somebody puts the plug in: the hub is back after its start, and does what became due meanwhile. Nothing happens to one
    /// that has power.
    pub fn plug_in(&self) {
        self.cell.change(&self.world, crate::world::hub::Hub::plug_in, |()| ());
    }

    /// Somebody pulls the plug and puts it in again: everybody is dropped, and the hub is back after its restart.
    pub fn restart(&self) {
        self.cell.change(&self.world, crate::world::hub::Hub::restart, |()| ());
    }

    /// A device, by id or name, can be reached or not.
    pub fn set_reachable(&self, device: &str, reachable: bool) -> Result<(), HubError> {
        self.cell.change(&self.world, |hub, context| hub.reach(device, reachable, context), |_| ())
    }
}
