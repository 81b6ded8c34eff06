//! Physical actions on devices: reported values, tripped sensors, pressed buttons and reachability.

use ezlo_protocol::hub::DeviceId;
use ezlo_protocol::hub::device::DeviceUpdate;
use serde_json::{Value, json};

use super::linked_items::tripped;
use crate::context::Context;
use crate::error::HubError;
use crate::hub::Hub;

impl Hub {
    /// Returns the id of the device with this id or, if there is none, of the first device with this name.
    ///
    /// Reads the local state; leaves nothing in a context.
    pub fn find_device(&self, wanted: &str) -> Option<DeviceId> {
        let by_id = self.devices.get_key_value(wanted).map(|(id, _)| id);
        by_id.or_else(|| self.device_called(wanted)).cloned()
    }

    /// Reports a value of an item, as the device would. `device` is an id or a name, `item` the name of the item.
    ///
    /// The value must have the item's type and be within its limits; the item needs no setter. It is set and broadcast even if
    /// it equals the current one, and even if the device is unreachable.
    ///
    /// No network traffic. Leaves `hub.item.updated` in the context, and the broadcasts and timers of linked items, alarms and
    /// scenes.
    ///
    /// # Errors
    ///
    /// - [`HubError::Unplugged`] if the hub has no power.
    /// - [`HubError::NoDevice`] if no device has this id or name.
    /// - [`HubError::NoItem`] if the device has no item with this name.
    /// - [`HubError::BadValue`] if the item cannot have this value.
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

    pub(crate) fn is_powered(&self) -> Result<(), HubError> {
        if self.is_unplugged() { Err(HubError::Unplugged) } else { Ok(()) }
    }

    /// Trips a sensor, or resets it with `false`. `device` is an id or a name.
    ///
    /// Reports a value of the first sensor item of the device, such as `motion`, `dw_state` or `smoke_alarm`.
    ///
    /// No network traffic. Leaves the broadcasts and timers of [`Hub::report`] in the context.
    ///
    /// # Errors
    ///
    /// - [`HubError::NoDevice`] if no device has this id or name.
    /// - [`HubError::NoSensor`] if the device has no sensor item.
    /// - [`HubError::Unplugged`] if the hub has no power.
    /// - [`HubError::BadValue`] if the sensor item cannot have the value, because a world file limits its tokens.
    pub fn trip(&mut self, device: &str, is_tripped: bool, context: &mut Context<'_>) -> Result<(), HubError> {
        let id = self.find_device(device).ok_or_else(|| HubError::NoDevice(device.to_owned()))?;
        let named = self.items_of(&id).filter_map(|item| item.name.as_deref());
        let found = named.filter_map(|name| Some((name.to_owned(), tripped(name, is_tripped)?))).next();
        let (item, value) = found.ok_or_else(|| HubError::NoSensor(device.to_owned()))?;
        self.report(device, &item, value, context)
    }

    /// Presses the button of a device. `device` is an id or a name.
    ///
    /// If an exclusion is waiting for a device, this one is excluded. Otherwise a device with an item `button_state` reports
    /// `press_1_time` and `released` of button 1, and a device with an item `switch` toggles it.
    ///
    /// No network traffic. Leaves the broadcasts and timers of [`Hub::press_exclude`] or [`Hub::report`] in the context.
    ///
    /// # Errors
    ///
    /// - [`HubError::Unplugged`] if the hub has no power.
    /// - [`HubError::NoDevice`] if no device has this id or name.
    /// - [`HubError::NoButton`] if the device has neither a button nor a switch.
    /// - [`HubError::BadValue`] if the button item cannot have the value, because a world file limits it.
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

    /// Sets whether the hub can reach a device. `device` is an id or a name.
    ///
    /// Calls that set an item of an unreachable device are refused with `ezlo.gateway.send.error`.
    ///
    /// No network traffic. Leaves one `hub.device.updated` in the context, even if nothing changes, and the broadcasts and
    /// timers of scenes.
    ///
    /// # Errors
    ///
    /// - [`HubError::Unplugged`] if the hub has no power.
    /// - [`HubError::NoDevice`] if no device has this id or name.
    pub fn reach(&mut self, device: &str, reachable: bool, context: &mut Context<'_>) -> Result<(), HubError> {
        self.is_powered()?;
        let id = self.find_device(device).ok_or_else(|| HubError::NoDevice(device.to_owned()))?;
        self.change_device(&id, DeviceUpdate { reachable: reachable.into(), ..DeviceUpdate::default() }, context);
        self.deliver_codes(&id, context);
        self.settle(context);
        Ok(())
    }
}
