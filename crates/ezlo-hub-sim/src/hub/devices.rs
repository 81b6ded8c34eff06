//! Methods that list, rename, move, arm and remove devices.

use ezlo_protocol::hub::device::{
    Device, DeviceArmed, DeviceCheck, DeviceList, DeviceName, DeviceRef, DeviceRemoved, DeviceRoom, DeviceUpdate,
};
use ezlo_protocol::hub::item::ItemRemoved;
use ezlo_protocol::hub::{DeviceId, Empty};
use ezlo_protocol::rpc::RpcError;

use crate::answer::{Answer, done, not_found};
use crate::context::Context;
use crate::hub::Hub;
use crate::state::scene_events::Event;

/// Maximum length of a device name, in characters (inferred: no source gives a limit).
const DEVICE_NAME: usize = 128;

impl Hub {
    pub(crate) fn devices_list(&self, _: Empty, context: &Context<'_>) -> Answer<DeviceList> {
        let sent = |device| self.as_sent(device, context.assumptions.rtos_device_id);
        Ok(DeviceList { devices: self.devices.values().map(sent).collect(), ..DeviceList::default() })
    }

    pub(crate) fn device_name_set(&mut self, request: DeviceName, context: &mut Context<'_>) -> Answer<Empty> {
        if request.name.is_empty() {
            return Err(RpcError::known("rpc.params.empty.name"));
        }
        let name: String = request.name.chars().take(DEVICE_NAME).collect();
        self.set_device(&request.id, DeviceUpdate { name: name.into(), ..DeviceUpdate::default() }, context)
    }

    pub(crate) fn device_room_set(&mut self, request: DeviceRoom, context: &mut Context<'_>) -> Answer<Empty> {
        if !request.room_id.is_none() && !self.rooms.contains_key(&request.room_id) {
            return Err(not_found("nma.room.notfound"));
        }
        let change = DeviceUpdate { room_id: request.room_id.clone().into(), ..DeviceUpdate::default() };
        self.set_device(&request.id, change.clone(), context)?;
        let follows = |device: &&Device| {
            device.parent_device_id.get() == Some(&request.id) && device.parent_room.get() == Some(&true)
        };
        let parts: Vec<DeviceId> =
            self.devices.values().filter(follows).filter_map(|part| part.id().cloned()).collect();
        for part in parts {
            self.change_device(&part, change.clone(), context);
        }
        done()
    }

    pub(crate) fn device_armed_set(&mut self, request: DeviceArmed, context: &mut Context<'_>) -> Answer<Empty> {
        self.set_device(&request.id, DeviceUpdate { armed: request.armed.into(), ..DeviceUpdate::default() }, context)
    }

    /// Checks that a device is reachable. A real plugin queries the device. The simulated values are always current, so nothing
    /// is broadcast.
    pub(crate) fn device_check(&mut self, request: DeviceCheck, _: &mut Context<'_>) -> Answer<Empty> {
        if !self.devices.contains_key(&request.id) {
            return Err(not_found("ezlo.device.notfound"));
        }
        if self.answers(&request.id) { done() } else { Err(RpcError::known("ezlo.gateway.send.error")) }
    }

    fn set_device(&mut self, id: &DeviceId, change: DeviceUpdate, context: &mut Context<'_>) -> Answer<Empty> {
        if self.change_device(id, change, context) { done() } else { Err(not_found("ezlo.device.notfound")) }
    }

    /// Changes the members of a device that the update contains and broadcasts it. Returns false if no device has this id.
    pub(crate) fn change_device(&mut self, id: &DeviceId, change: DeviceUpdate, context: &mut Context<'_>) -> bool {
        let Some(device) = self.devices.get_mut(id) else { return false };
        let event = Event::Device {
            device: id.clone(),
            armed: device.armed.get().copied(),
            reachable: device.reachable.get().copied(),
        };
        let flags = [
            (&mut device.armed, &change.armed),
            (&mut device.reachable, &change.reachable),
            (&mut device.ready, &change.ready),
        ];
        for (stored, wanted) in flags {
            if !wanted.is_absent() {
                *stored = *wanted;
            }
        }
        if let Some(name) = change.name.get() {
            device.name = name.as_str().into();
        }
        if let Some(room) = change.room_id.get() {
            device.room_id = room.clone().into();
        }
        if let Some(status) = change.status.get() {
            device.status = status.as_str().into();
        }
        let update = DeviceUpdate {
            id: id.clone(),
            service_notification: false.into(),
            sync_notification: false.into(),
            ..change
        };
        context.broadcast("hub.device.updated", &update);
        self.events.push_back(event);
        true
    }

    pub(crate) fn device_force_remove(&mut self, request: DeviceRef, context: &mut Context<'_>) -> Answer<Empty> {
        let device = self.devices.get(&request.id).ok_or_else(|| not_found("ezlo.device.notfound"))?;
        if device.persistent.get() == Some(&true) {
            return Err(RpcError::known("user.permission.doesnothave"));
        }
        self.remove_device(&request.id, context);
        done()
    }

    /// Removes a device, after its items and its child devices: the reverse of the order of inclusion.
    pub(crate) fn remove_device(&mut self, id: &DeviceId, context: &mut Context<'_>) {
        let is_part = |device: &&Device| device.parent_device_id.get() == Some(id) && device.id() != Some(id);
        let parts: Vec<DeviceId> =
            self.devices.values().filter(is_part).filter_map(|part| part.id().cloned()).collect();
        for part in parts {
            self.remove_device(&part, context);
        }
        if self.devices.shift_remove(id).is_none() {
            return;
        }
        let items = self.by_device.remove(id).unwrap_or_default();
        let item_ids = items.iter().map(ToString::to_string).collect();
        self.forget_favorites([vec![id.to_string()], item_ids, Vec::new()], context);
        for item in items {
            self.items.shift_remove(&item);
            context.broadcast("hub.item.removed", &ItemRemoved { id: item, ..ItemRemoved::default() });
        }
        self.forget_in_modes(id, context);
        self.forget_settings(id);
        self.newer.swingers.remove(id);
        self.traits.remove(id);
        let removed = DeviceRemoved { id: id.clone(), service_notification: false.into(), ..DeviceRemoved::default() };
        context.broadcast("hub.device.removed", &removed);
    }

    /// Broadcasts a device before its items, and its child devices last: a public client drops updates of unknown devices.
    pub(crate) fn announce_device(&self, id: &DeviceId, context: &mut Context<'_>) {
        let Some(device) = self.devices.get(id) else { return };
        let mut device = device.clone();
        device.sync_notification = true.into();
        context.broadcast("hub.device.added", &device);
        for item in self.items_of(id) {
            let mut item = item.clone();
            item.device_name = device.name.clone();
            context.broadcast("hub.item.added", &item);
        }
        let is_part = |part: &&Device| part.parent_device_id.get() == Some(id);
        for part in self.devices.values().filter(is_part).filter_map(Device::id) {
            self.announce_device(part, context);
        }
    }
}
