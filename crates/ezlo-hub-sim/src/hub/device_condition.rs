//! The condition of devices: broken ones and their repair, sleeping ones, locks with restrictions.

use ezlo_protocol::hub::DeviceId;
use ezlo_protocol::hub::device::DeviceUpdate;
use ezlo_protocol::hub::setting::DeviceSetting;

use crate::context::{Context, Timer};
use crate::error::HubError;
use crate::hub::Hub;
use crate::state::device_traits::DeviceCondition;

impl Hub {
    /// Sets the condition of a device. `device` is an id or a name.
    ///
    /// No network traffic. Leaves `hub.device.updated` in the context if `broken` is given. A device that wakes up receives the
    /// pending settings and codes, with their broadcasts.
    ///
    /// # Errors
    ///
    /// - [`HubError::Unplugged`] if the hub has no power.
    /// - [`HubError::NoDevice`] if no device has this id or name.
    /// - [`HubError::NoItem`] if the condition concerns lock codes and the device has no item `user_codes`.
    pub fn set_condition(
        &mut self,
        device: &str,
        condition: &DeviceCondition,
        context: &mut Context<'_>,
    ) -> Result<(), HubError> {
        self.is_powered()?;
        let id = self.find_device(device).ok_or_else(|| HubError::NoDevice(device.to_owned()))?;
        let concerns_codes = condition.masks_codes.is_some() || condition.rejects_codes.is_some();
        if concerns_codes && self.item_named(&id, "user_codes").is_none() {
            return Err(HubError::NoItem { device: device.to_owned(), item: "user_codes".into() });
        }
        if let Some(rejects) = condition.rejects_codes {
            self.traits.entry(id.clone()).or_default().rejects_codes = rejects;
        }
        if let Some(masks) = condition.masks_codes {
            self.mask_codes(&id, masks, context);
        }
        if let Some(is_broken) = condition.broken {
            self.set_status(&id, if is_broken { "broken" } else { "idle" }, context);
            self.deliver_codes(&id, context);
        }
        if let Some(is_asleep) = condition.asleep {
            self.traits.entry(id.clone()).or_default().asleep = is_asleep;
            if !is_asleep {
                self.wake(&id, context);
            }
        }
        self.settle(context);
        Ok(())
    }

    /// Delivers the pending settings and codes to a device that is awake.
    pub(crate) fn wake(&mut self, device: &DeviceId, context: &mut Context<'_>) {
        let of_device = |setting: &&DeviceSetting| setting.device_id.get() == Some(device);
        let settings = self.device_settings.values().filter(of_device).filter_map(|setting| setting.id.get().cloned());
        for setting in settings.collect::<Vec<_>>() {
            self.setting_synced(&setting, context);
        }
        self.deliver_codes(device, context);
    }

    /// Returns whether the hub can communicate with a device: it is reachable and not broken.
    pub(crate) fn answers(&self, device: &DeviceId) -> bool {
        let device = self.devices.get(device);
        device
            .is_some_and(|device| device.reachable.get() != Some(&false) && device.status.as_deref() != Some("broken"))
    }

    /// Starts the rediscovery of a device, which repairs a broken one.
    pub(crate) fn rediscover(&mut self, device: &DeviceId, context: &mut Context<'_>) {
        self.set_status(device, "rediscovering", context);
        context.later(context.assumptions.zwave_step_ms, Timer::Rediscovered(device.clone()));
    }

    /// Ends the rediscovery of a device. A device that the hub cannot reach remains broken.
    pub(crate) fn rediscovered(&mut self, device: &DeviceId, context: &mut Context<'_>) {
        let Some(found) = self.devices.get(device) else { return };
        if found.status.as_deref() == Some("rediscovering") {
            let is_reachable = found.reachable.get() != Some(&false);
            self.set_status(device, if is_reachable { "idle" } else { "broken" }, context);
            self.deliver_codes(device, context);
        }
    }

    fn set_status(&mut self, device: &DeviceId, status: &str, context: &mut Context<'_>) {
        self.change_device(device, DeviceUpdate { status: status.into(), ..DeviceUpdate::default() }, context);
    }
}
