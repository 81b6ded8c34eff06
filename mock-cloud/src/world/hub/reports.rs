//! What devices report of themselves: the way in for scripts, the control API and tests.

use ezlo_protocol::hub::DeviceId;
use ezlo_protocol::hub::device::DeviceUpdate;
use serde_json::Value;

use super::{Context, Hub};
use crate::hub::HubError;

impl Hub {
    /// A device by its id, or by its name.
    pub(crate) fn find_device(&self, wanted: &str) -> Option<DeviceId> {
        let by_id = self.devices.get_key_value(wanted).map(|(id, _)| id);
        by_id.or_else(|| self.device_called(wanted)).cloned()
    }

    /// A device reports a value of its item; getters only report, so setters do not matter.
    pub(crate) fn report(
        &mut self,
        device: &str,
        item: &str,
        value: Value,
        context: &mut Context<'_>,
    ) -> Result<(), HubError> {
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

    pub(crate) fn device_changed(&mut self, id: &DeviceId, update: DeviceUpdate, context: &mut Context<'_>) {
        self.change_device(id, update, context);
        self.settle(context);
    }
}
