//! Devices: list, rename, move, arm, remove.

use ezlo_protocol::hub::device::{
    Device, DeviceArmed, DeviceList, DeviceName, DeviceRef, DeviceRemoved, DeviceRoom, DeviceUpdate,
};
use ezlo_protocol::hub::item::ItemRemoved;
use ezlo_protocol::hub::{DeviceId, Empty, ItemId};
use ezlo_protocol::rpc::RpcError;

use super::dispatch::{Answer, done, not_found};
use super::{Context, Hub};

/// Longest name of a device, in characters (inferred: no source gives one).
const DEVICE_NAME: usize = 128;

impl Hub {
    pub(super) fn devices_list(&self, _: Empty, _: &Context<'_>) -> Answer<DeviceList> {
        Ok(DeviceList { devices: self.devices.values().cloned().collect(), ..DeviceList::default() })
    }

    pub(super) fn device_name_set(&mut self, wish: DeviceName, context: &mut Context<'_>) -> Answer<Empty> {
        if wish.name.is_empty() {
            return Err(RpcError::known("rpc.params.empty.name"));
        }
        let name: String = wish.name.chars().take(DEVICE_NAME).collect();
        let device = self.device_mut(&wish.id)?;
        device.name = name.as_str().into();
        tell(&wish.id, DeviceUpdate { name: name.into(), ..DeviceUpdate::default() }, context);
        done()
    }

    pub(super) fn device_room_set(&mut self, wish: DeviceRoom, context: &mut Context<'_>) -> Answer<Empty> {
        if !wish.room_id.is_none() && !self.rooms.contains_key(&wish.room_id) {
            return Err(not_found("nma.room.notfound"));
        }
        self.device_mut(&wish.id)?.room_id = wish.room_id.clone().into();
        tell(&wish.id, DeviceUpdate { room_id: wish.room_id.into(), ..DeviceUpdate::default() }, context);
        done()
    }

    pub(super) fn device_armed_set(&mut self, wish: DeviceArmed, context: &mut Context<'_>) -> Answer<Empty> {
        self.device_mut(&wish.id)?.armed = wish.armed.into();
        tell(&wish.id, DeviceUpdate { armed: wish.armed.into(), ..DeviceUpdate::default() }, context);
        done()
    }

    pub(super) fn device_force_remove(&mut self, wish: DeviceRef, context: &mut Context<'_>) -> Answer<Empty> {
        let device = self.device_mut(&wish.id)?;
        if device.persistent.get() == Some(&true) {
            return Err(RpcError::known("user.permission.doesnothave"));
        }
        self.remove_device(&wish.id, context);
        done()
    }

    fn device_mut(&mut self, id: &DeviceId) -> Answer<&mut Device> {
        self.devices.get_mut(id).ok_or_else(|| not_found("ezlo.device.notfound"))
    }

    /// Items go before their device, as they come after it.
    pub(super) fn remove_device(&mut self, id: &DeviceId, context: &mut Context<'_>) {
        if self.devices.shift_remove(id).is_none() {
            return;
        }
        let gone: Vec<ItemId> = self.items_of(id).map(|item| item.id.clone()).collect();
        self.items.retain(|item, _| !gone.contains(item));
        for id in gone {
            context.broadcast("hub.item.removed", &ItemRemoved { id, ..ItemRemoved::default() });
        }
        let removed = DeviceRemoved { id: id.clone(), service_notification: false.into(), ..DeviceRemoved::default() };
        context.broadcast("hub.device.removed", &removed);
    }

    /// The device first, then its items: a public client drops updates of devices it has not seen.
    pub(super) fn announce_device(&self, id: &DeviceId, context: &mut Context<'_>) {
        let Some(device) = self.devices.get(id) else { return };
        let mut device = device.clone();
        device.sync_notification = true.into();
        context.broadcast("hub.device.added", &device);
        for item in self.items_of(id) {
            let mut item = item.clone();
            item.device_name = device.name.clone();
            context.broadcast("hub.item.added", &item);
        }
    }
}

fn tell(id: &DeviceId, change: DeviceUpdate, context: &mut Context<'_>) {
    let update =
        DeviceUpdate { id: id.clone(), service_notification: false.into(), sync_notification: false.into(), ..change };
    context.broadcast("hub.device.updated", &update);
}
