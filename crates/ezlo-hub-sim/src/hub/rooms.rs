//! Methods that list, create, rename, order and delete rooms.

use ezlo_protocol::error::code;
use ezlo_protocol::hub::room::{Room, RoomCreate, RoomCreated, RoomList, RoomOrder, RoomRef};
use ezlo_protocol::hub::{Empty, RoomId};
use ezlo_protocol::rpc::RpcError;

use crate::answer::{Answer, done, missing, not_found};
use crate::context::Context;
use crate::hub::{Hub, MAX_ROOMS, ROOM_NAME};

impl Hub {
    pub(crate) fn rooms_list(&self, _: Empty, _: &Context<'_>) -> Answer<RoomList> {
        if self.rooms.is_empty() && self.family.empty_rooms_as_object {
            return Ok(RoomList::EmptyObject);
        }
        Ok(RoomList::Rooms(self.rooms.values().cloned().collect()))
    }

    pub(crate) fn room_create(&mut self, request: RoomCreate, context: &mut Context<'_>) -> Answer<RoomCreated> {
        self.check_room_name(&request.name, None)?;
        if self.rooms.len() >= MAX_ROOMS {
            return Err(RpcError::new(code::INVALID_PARAMS, "rpc.params.invalid", "Too many rooms"));
        }
        let id = self.add_room(&request.name);
        if let Some(room) = self.rooms.get(&id) {
            context.broadcast("hub.room.created", room);
        }
        let mut answer = RoomCreated { id: id.into(), ..RoomCreated::default() };
        if self.family.echoes_new_room {
            answer.extra.insert("name", request.name.into());
        }
        Ok(answer)
    }

    pub(crate) fn room_name_set(&mut self, request: Room, context: &mut Context<'_>) -> Answer<Empty> {
        let name = request.name.into_option().ok_or_else(|| missing("name"))?;
        self.check_room_name(&name, Some(&request.id))?;
        let room = self.rooms.get_mut(&request.id).ok_or_else(|| not_found("nma.room.notfound"))?;
        room.name = name.chars().take(ROOM_NAME).collect::<String>().into();
        context.broadcast("hub.room.edited", room);
        done()
    }

    /// Refuses an empty name and the name of another room.
    fn check_room_name(&self, name: &str, own: Option<&RoomId>) -> Answer<()> {
        if name.is_empty() {
            return Err(RpcError::known("rpc.params.empty.name"));
        }
        let cut: String = name.chars().take(ROOM_NAME).collect();
        let taken = self.rooms.values().any(|room| Some(&room.id) != own && room.name.as_deref() == Some(&cut));
        if taken { Err(RpcError::known("hub.room.alreadyexist")) } else { Ok(()) }
    }

    /// Sets the order of the rooms. Every room must occur exactly once (inferred: no source describes other lists).
    pub(crate) fn room_order_set(&mut self, request: RoomOrder, context: &mut Context<'_>) -> Answer<Empty> {
        let order = request.rooms.get().ok_or_else(|| missing("roomsId"))?;
        let mut sorted: Vec<_> = order.iter().collect();
        sorted.sort();
        sorted.dedup();
        if sorted.len() != self.rooms.len() || order.len() != sorted.len() {
            return Err(RpcError::known("rpc.params.invalid"));
        }
        if order.iter().any(|room| !self.rooms.contains_key(room)) {
            return Err(not_found("nma.room.notfound"));
        }
        let place = |room: &RoomId| order.iter().position(|wanted| wanted == room);
        self.rooms.sort_by(|a, _, b, _| place(a).cmp(&place(b)));
        context.broadcast("hub.room.reordered", &RoomOrder { rooms: request.rooms, ..RoomOrder::default() });
        done()
    }

    pub(crate) fn room_get(&self, request: RoomRef, _: &Context<'_>) -> Answer<Room> {
        self.rooms.get(&request.id).cloned().ok_or_else(|| not_found("nma.room.notfound"))
    }

    /// Deletes all rooms, with one broadcast each (the broadcasts are inferred).
    pub(crate) fn room_all_delete(&mut self, _: Empty, context: &mut Context<'_>) -> Answer<Empty> {
        for id in self.rooms.keys().cloned().collect::<Vec<_>>() {
            self.room_delete(RoomRef { id, ..RoomRef::default() }, context)?;
        }
        done()
    }

    /// Deletes a room. Its devices stay and have no room (guide20:p18).
    pub(crate) fn room_delete(&mut self, request: RoomRef, context: &mut Context<'_>) -> Answer<Empty> {
        self.rooms.shift_remove(&request.id).ok_or_else(|| not_found("nma.room.notfound"))?;
        for device in self.devices.values_mut().filter(|device| device.room_id.get() == Some(&request.id)) {
            device.room_id = RoomId::default().into();
        }
        context.broadcast("hub.room.deleted", &RoomRef { id: request.id, ..RoomRef::default() });
        done()
    }
}
