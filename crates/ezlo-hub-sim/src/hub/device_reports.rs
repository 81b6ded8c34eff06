//! What devices report of themselves: the way in for scripts, the control API and tests.

use ezlo_protocol::hub::DeviceId;
use ezlo_protocol::hub::device::DeviceUpdate;
use serde_json::{Value, json};

use super::linked_items::tripped;
use crate::context::Context;
use crate::error::HubError;
use crate::hub::Hub;

impl Hub {
    /// A device by its id, or by its name.
    pub fn find_device(&self, wanted: &str) -> Option<DeviceId> {
        let by_id = self.devices.get_key_value(wanted).map(|(id, _)| id);
        by_id.or_else(|| self.device_called(wanted)).cloned()
    }

    /// A device reports a value of its item; getters only report, so setters do not matter.
    pub fn report(
        &mut self,
        device: &str,
        item: &str,
        value: Value,
        context: &mut Context<'_>,
    ) -> Result<(), HubError> {
        self.is_powered()?;
        let id = self.find_device(device).ok_or_else(|| HubError::NoDevice(device.to_owned()))?;
        let no_item = || HubError::NoItem { device: device.to_owned(), item: item.to_owned() };
        let found = self.item_named(&id, item).ok_or_else(no_item)?;
        let bad = |error: ezlo_protocol::hub::value::ValueError| HubError::BadValue {
            item: item.to_owned(),
            reason: error.to_string(),
        };
        found.holds(&value).map_err(bad)?;
        let item = found.id.clone();
        self.set_value(&item, value, context);
        self.settle(context);
        Ok(())
    }

    fn is_powered(&self) -> Result<(), HubError> {
        if self.is_unplugged() { Err(HubError::Unplugged) } else { Ok(()) }
    }

    /// A sensor is tripped, or quiet again: the first of its items that tells so does.
    pub fn trip(&mut self, device: &str, is_tripped: bool, context: &mut Context<'_>) -> Result<(), HubError> {
        let id = self.find_device(device).ok_or_else(|| HubError::NoDevice(device.to_owned()))?;
        let named = self.items_of(&id).filter_map(|item| item.name.as_deref());
        let found = named.filter_map(|name| Some((name.to_owned(), tripped(name, is_tripped)?))).next();
        let (item, value) = found.ok_or_else(|| HubError::NoSensor(device.to_owned()))?;
        self.report(device, &item, value, context)
    }

    /// Somebody presses the button of a device: one that is to go goes, a remote control tells of it, a switch is switched.
    pub fn press(&mut self, device: &str, context: &mut Context<'_>) -> Result<(), HubError> {
        self.is_powered()?;
        let id = self.find_device(device).ok_or_else(|| HubError::NoDevice(device.to_owned()))?;
        if self.press_exclude(&id, context) {
            self.settle(context);
            return Ok(());
        }
        if self.item_named(&id, "button_state").is_some() {
            let button = |state| json!({"button_number": 1, "button_state": state});
            self.report(device, "button_state", button("press_1_time"), context)?;
            return self.report(device, "button_state", button("released"), context);
        }
        let switch = self.item_named(&id, "switch").and_then(|item| item.value.get()).and_then(Value::as_bool);
        let is_on = switch.ok_or_else(|| HubError::NoButton(device.to_owned()))?;
        self.report(device, "switch", json!(!is_on), context)
    }

    pub fn reach(&mut self, device: &str, reachable: bool, context: &mut Context<'_>) -> Result<(), HubError> {
        self.is_powered()?;
        let id = self.find_device(device).ok_or_else(|| HubError::NoDevice(device.to_owned()))?;
        self.device_changed(&id, DeviceUpdate { reachable: reachable.into(), ..DeviceUpdate::default() }, context);
        Ok(())
    }

    fn device_changed(&mut self, id: &DeviceId, update: DeviceUpdate, context: &mut Context<'_>) {
        self.change_device(id, update, context);
        self.settle(context);
    }
}
