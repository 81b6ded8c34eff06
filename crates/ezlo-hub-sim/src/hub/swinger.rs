//! Swinger shutdown: a device that raises too many alarms raises no more (pi). The effect of the limits is inferred: a device without
//! alarms for the length of its window starts anew, and a disabled device has no limit.

use ezlo_protocol::hub::mode::{SwingerDevice, SwingerLimits, SwingerList, SwingerSet};
use ezlo_protocol::hub::{DeviceId, Empty};
use ezlo_protocol::rpc::RpcError;
use ezlo_protocol::wire::Loose;
use serde_json::json;

use crate::answer::{Answer, done, not_found};
use crate::context::Context;
use crate::hub::Hub;
use crate::state::newer::{SWINGER_LIMITS, Swinger};

impl Hub {
    /// Counts an alarm of a device. Returns false if the device has reached its limit and raises no alarm.
    pub(crate) fn counts_for_swinger(&mut self, device: &DeviceId, context: &Context<'_>) -> bool {
        let now = context.now_ms.div_euclid(1000);
        let swinger = self.newer.swingers.entry(device.clone()).or_default();
        if swinger.is_disabled {
            return true;
        }
        if now.saturating_sub(swinger.updated) > swinger.inactivity_window {
            (swinger.hits, swinger.added) = (0, now);
        }
        swinger.hits = swinger.hits.saturating_add(1);
        swinger.updated = now;
        swinger.hits <= swinger.hits_limit
    }

    pub(crate) fn swinger_list(&self, _: Empty, _: &Context<'_>) -> Answer<SwingerList> {
        let device = |(id, swinger): (&DeviceId, &Swinger)| SwingerDevice {
            device_id: id.clone(),
            stat: json!({"hits": swinger.hits, "added": swinger.added, "updated": swinger.updated}).into(),
            limits: SwingerLimits {
                hits_limit: Loose::number(swinger.hits_limit).into(),
                inactivity_window: Loose::number(swinger.inactivity_window).into(),
                ..SwingerLimits::default()
            }
            .into(),
            ..SwingerDevice::default()
        };
        let disabled = self.newer.swingers.iter().filter(|(_, swinger)| swinger.is_disabled).map(|(id, _)| id.clone());
        Ok(SwingerList {
            version: json!(1).into(),
            devices: self.newer.swingers.iter().map(device).collect(),
            disabled: disabled.collect(),
            ..SwingerList::default()
        })
    }

    pub(crate) fn swinger_reset(&mut self, request: SwingerSet, context: &mut Context<'_>) -> Answer<Empty> {
        self.change_swinger(request, "hub.modes.swinger.shutdown.reset.done", context, |swinger, _| {
            (swinger.hits, swinger.added, swinger.updated) = (0, 0, 0);
            Ok(())
        })
    }

    pub(crate) fn swinger_disable(&mut self, request: SwingerSet, context: &mut Context<'_>) -> Answer<Empty> {
        self.change_swinger(request, "hub.modes.swinger.shutdown.disable.added", context, |swinger, _| {
            swinger.is_disabled = true;
            Ok(())
        })
    }

    pub(crate) fn swinger_enable(&mut self, request: SwingerSet, context: &mut Context<'_>) -> Answer<Empty> {
        self.change_swinger(request, "hub.modes.swinger.shutdown.disable.remved", context, |swinger, _| {
            swinger.is_disabled = false;
            Ok(())
        })
    }

    pub(crate) fn swinger_limit_set(&mut self, request: SwingerSet, context: &mut Context<'_>) -> Answer<Empty> {
        self.change_swinger(request, "hub.modes.swinger.shutdown.limits.changed", context, |swinger, request| {
            let number = |field: &ezlo_protocol::wire::Field<Loose<i64>>, member| {
                let number = *field.get().ok_or_else(|| crate::answer::missing(member))?.get();
                if number > 0 { Ok(number) } else { Err(RpcError::known("rpc.params.invalid")) }
            };
            let limits =
                (number(&request.hits_limit, "hitsLimit")?, number(&request.inactivity_window, "inactivityWindow")?);
            (swinger.hits_limit, swinger.inactivity_window) = limits;
            Ok(())
        })
    }

    pub(crate) fn swinger_limit_reset(&mut self, request: SwingerSet, context: &mut Context<'_>) -> Answer<Empty> {
        self.change_swinger(request, "hub.modes.swinger.shutdown.limits.changed", context, |swinger, _| {
            (swinger.hits_limit, swinger.inactivity_window) = SWINGER_LIMITS;
            Ok(())
        })
    }

    fn change_swinger(
        &mut self,
        request: SwingerSet,
        broadcast: &'static str,
        context: &mut Context<'_>,
        change: impl FnOnce(&mut Swinger, &SwingerSet) -> Answer<()>,
    ) -> Answer<Empty> {
        if !self.devices.contains_key(&request.device_id) {
            return Err(not_found("ezlo.device.notfound"));
        }
        let mut swinger = self.newer.swingers.get(&request.device_id).cloned().unwrap_or_default();
        change(&mut swinger, &request)?;
        self.newer.swingers.insert(request.device_id.clone(), swinger);
        context.broadcast(broadcast, &SwingerSet { device_id: request.device_id, ..SwingerSet::default() });
        done()
    }
}
