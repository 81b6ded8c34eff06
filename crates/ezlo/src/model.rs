//! The local model of a hub: updated by broadcasts and replaced after a gap. No I/O.

use std::collections::HashMap;

use ezlo_protocol::hub::broadcast::Event;
use ezlo_protocol::hub::device::{Device, DeviceUpdate};
use ezlo_protocol::hub::item::{Item, ItemUpdate};
use ezlo_protocol::hub::mode::SwitchStatus;
use ezlo_protocol::hub::room::Room;
use ezlo_protocol::hub::scene::Scene;
use ezlo_protocol::hub::value::ValueType;
use ezlo_protocol::hub::{DeviceId, ItemId, ModeId, RoomId, SceneId};
use ezlo_protocol::wire::encoded_len;
use indexmap::IndexMap;
use serde_json::Value;

/// The local model of a hub, as the hub has reported it. Returned by [`Hub::snapshot`](crate::Hub::snapshot).
///
/// Lists that a hub does not support, or does not show to this user, are empty.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct HubModel {
    /// Devices, in the hub's order.
    pub devices: IndexMap<DeviceId, Device>,
    /// Items, in the hub's order.
    pub items: IndexMap<ItemId, Item>,
    /// Rooms, in the hub's order.
    pub rooms: IndexMap<RoomId, Room>,
    /// Scenes, in the hub's order.
    pub scenes: IndexMap<SceneId, Scene>,
    /// The current house mode; empty if it is not known.
    pub mode: ModeId,
}

/// A difference between the model before and now.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Change {
    /// A device was added.
    DeviceAdded(DeviceId),
    /// A device changed, for example its name, room, armed or reachable state.
    DeviceChanged(DeviceId),
    /// A device was removed.
    DeviceRemoved(DeviceId),
    /// An item was added.
    ItemAdded(ItemId),
    /// An item changed: its value, formatted text, unit, limits or another member.
    ItemChanged {
        /// The id of the item.
        id: ItemId,
        /// The value before; null if it was not known.
        before: Value,
        /// The value now; null if it is not known. Equal to `before` if another member changed.
        after: Value,
    },
    /// An item was removed.
    ItemRemoved(ItemId),
    /// Rooms were added, removed, renamed or reordered.
    RoomsChanged,
    /// A scene was added or changed.
    SceneChanged(SceneId),
    /// A scene was removed.
    SceneRemoved(SceneId),
    /// The house mode changed.
    ModeChanged {
        /// The mode before; empty if it was not known.
        from: ModeId,
        /// The mode now.
        to: ModeId,
    },
}

/// A momentary event, such as a button press. Sent only for a broadcast of the hub, and never derived from a difference of the
/// model.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum MomentaryEvent {
    /// A button or a doorbell was used.
    Button {
        /// The device of the button.
        device: DeviceId,
        /// The number of the button, if the hub reports one.
        number: Option<i64>,
        /// The state token, such as `press_1_time`.
        state: String,
    },
    /// A lock was operated, or an operation on its user codes was reported.
    Lock {
        /// The lock.
        device: DeviceId,
        /// The value of the item `lock_operation`, `user_code_operation` or `user_lock_operation`.
        operation: Value,
    },
}

impl Change {
    /// Returns the bytes of the values as JSON.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::ItemChanged { before, after, .. } => encoded_len(before).saturating_add(encoded_len(after)),
            _ => 0,
        }
    }
}

impl MomentaryEvent {
    /// Returns the bytes of the values as JSON.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Button { state, .. } => state.len(),
            Self::Lock { operation, .. } => encoded_len(operation),
        }
    }
}

/// Returns true for items whose value describes an event, not a state.
fn is_edge(item: &Item) -> bool {
    matches!(item.value_type.get(), Some(ValueType::ButtonState | ValueType::UserLockOperation))
        || matches!(item.name.as_deref(), Some("lock_operation" | "user_code_operation"))
}

/// The effect of a broadcast on the model.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct ModelDelta {
    pub(crate) changes: Vec<Change>,
    pub(crate) momentary: Option<MomentaryEvent>,
    /// The broadcast names an unknown object, so the model differs from the hub.
    pub(crate) needs_resync: bool,
    /// The broadcast was dropped, because the model has reached its limits.
    pub(crate) limit_reached: bool,
}

/// Maximum number of devices of the model. A real Z-Wave controller has at most 232 nodes.
pub(crate) const MAX_DEVICES: usize = 10_000;
/// Maximum number of items of the model.
pub(crate) const MAX_ITEMS: usize = 100_000;
/// Maximum number of rooms of the model.
pub(crate) const MAX_ROOMS: usize = 10_000;
/// Maximum number of scenes of the model.
pub(crate) const MAX_SCENES: usize = 10_000;

/// Returns the bytes by which a broadcast can enlarge the model; 0 if it only replaces short values.
pub(crate) fn growth(event: &Event) -> usize {
    let of_value = |update: &ItemUpdate| match update.value.get() {
        Some(Value::String(_) | Value::Array(_) | Value::Object(_)) => encoded_len(&update.value),
        _ => 0,
    };
    match event {
        Event::DeviceAdded(device) => encoded_len(device),
        Event::ItemAdded(item) => encoded_len(item),
        Event::ItemUpdated(update) => of_value(update),
        Event::DictionaryUpdated(update) => encoded_len(update),
        Event::RoomCreated(room) | Event::RoomEdited(room) => encoded_len(room),
        Event::SceneAdded(scene) | Event::SceneChanged(scene) => encoded_len(scene),
        _ => 0,
    }
}

impl HubModel {
    /// Returns the items of a device, in the hub's order.
    pub fn items_of<'a>(&'a self, device: &'a DeviceId) -> impl Iterator<Item = &'a Item> {
        self.items.values().filter(move |item| item.device_id.get() == Some(device))
    }

    pub(crate) fn apply(&mut self, event: &Event) -> ModelDelta {
        let mut delta = ModelDelta::default();
        if self.has_no_room_for(event) {
            return ModelDelta { needs_resync: true, limit_reached: true, ..delta };
        }
        match event {
            Event::DeviceAdded(device) => self.add_device(device, &mut delta),
            Event::DeviceUpdated(update) => self.update_device(update, &mut delta),
            Event::DeviceRemoved(removed) => {
                if self.devices.shift_remove(&removed.id).is_some() {
                    delta.changes.push(Change::DeviceRemoved(removed.id.clone()));
                }
                let orphans: Vec<ItemId> = self.items_of(&removed.id).map(|item| item.id.clone()).collect();
                for id in orphans {
                    self.items.shift_remove(&id);
                    delta.changes.push(Change::ItemRemoved(id));
                }
            }
            Event::ItemAdded(item) => {
                let mut item = (**item).clone();
                item.device_name = ezlo_protocol::wire::Field::Absent;
                item.device_armed = ezlo_protocol::wire::Field::Absent;
                self.put_item(item, &mut delta);
            }
            Event::ItemUpdated(update) => self.update_item(update, &mut delta),
            Event::DictionaryUpdated(update) => self.update_dictionary(update, &mut delta),
            Event::ItemRemoved(removed) => self.remove_item(&removed.id, &mut delta),
            Event::RoomCreated(room) | Event::RoomEdited(room) => self.put_room(room, &mut delta),
            Event::RoomDeleted(room) => self.remove_room(&room.id, &mut delta),
            Event::RoomReordered(order) => {
                let wanted = order.rooms.get().map_or(&[][..], |rooms| rooms);
                let mut positions = HashMap::with_capacity(wanted.len().min(MAX_ROOMS));
                for (position, room) in wanted.iter().enumerate() {
                    positions.entry(room).or_insert(position);
                }
                self.rooms.sort_by_cached_key(|room, _| positions.get(room).copied().unwrap_or(usize::MAX));
                delta.changes.push(Change::RoomsChanged);
            }
            Event::SceneAdded(scene) | Event::SceneChanged(scene) => self.put_scene(scene, &mut delta),
            Event::SceneDeleted(gone) => {
                if let Some(id) = gone.id.get().filter(|id| self.scenes.shift_remove(*id).is_some()) {
                    delta.changes.push(Change::SceneRemoved(id.clone()));
                }
            }
            Event::ModesSwitched(switched) if switched.status.get() == Some(&SwitchStatus::Done) => {
                if let Some(to) = switched.to.get() {
                    self.set_mode(to.clone(), &mut delta);
                }
            }
            _ => {}
        }
        delta
    }

    /// Returns true if a broadcast adds an entry to a list that is full.
    fn has_no_room_for(&self, event: &Event) -> bool {
        match event {
            Event::DeviceAdded(device) => {
                self.devices.len() >= MAX_DEVICES && device.id().is_none_or(|id| !self.devices.contains_key(id))
            }
            Event::ItemAdded(item) => self.items.len() >= MAX_ITEMS && !self.items.contains_key(&item.id),
            Event::RoomCreated(room) | Event::RoomEdited(room) => {
                self.rooms.len() >= MAX_ROOMS && !self.rooms.contains_key(&room.id)
            }
            Event::SceneAdded(scene) | Event::SceneChanged(scene) => {
                let is_known = scene.id.get().is_some_and(|id| self.scenes.contains_key(id));
                self.scenes.len() >= MAX_SCENES && !is_known
            }
            _ => false,
        }
    }

    fn remove_item(&mut self, id: &ItemId, delta: &mut ModelDelta) {
        if self.items.shift_remove(id).is_some() {
            delta.changes.push(Change::ItemRemoved(id.clone()));
        }
    }

    fn put_room(&mut self, room: &Room, delta: &mut ModelDelta) {
        if self.rooms.insert(room.id.clone(), room.clone()).as_ref() != Some(room) {
            delta.changes.push(Change::RoomsChanged);
        }
    }

    fn set_mode(&mut self, to: ModeId, delta: &mut ModelDelta) {
        if self.mode != to {
            let from = std::mem::replace(&mut self.mode, to.clone());
            delta.changes.push(Change::ModeChanged { from, to });
        }
    }

    fn add_device(&mut self, device: &Device, delta: &mut ModelDelta) {
        let Some(id) = device.id().cloned() else { return };
        let mut device = device.clone();
        device.sync_notification = ezlo_protocol::wire::Field::Absent;
        device.fw_timestamp_ms = ezlo_protocol::wire::Field::Absent;
        match self.devices.insert(id.clone(), device.clone()) {
            None => delta.changes.push(Change::DeviceAdded(id)),
            Some(before) if before != device => delta.changes.push(Change::DeviceChanged(id)),
            Some(_) => {}
        }
    }

    fn update_device(&mut self, update: &DeviceUpdate, delta: &mut ModelDelta) {
        let Some(device) = self.devices.get_mut(&update.id) else {
            delta.needs_resync = true;
            return;
        };
        let before = device.clone();
        let armed = if update.armed.is_absent() { update.device_armed } else { update.armed };
        for (stored, reported) in
            [(&mut device.armed, armed), (&mut device.reachable, update.reachable), (&mut device.ready, update.ready)]
        {
            if !reported.is_absent() {
                *stored = reported;
            }
        }
        for (stored, reported) in [(&mut device.name, &update.name), (&mut device.status, &update.status)] {
            if !reported.is_absent() {
                stored.clone_from(reported);
            }
        }
        if !update.room_id.is_absent() {
            device.room_id.clone_from(&update.room_id);
        }
        if *device != before {
            delta.changes.push(Change::DeviceChanged(update.id.clone()));
        }
    }

    fn put_item(&mut self, item: Item, delta: &mut ModelDelta) {
        let id = item.id.clone();
        if item.device_id.get().is_none_or(|device| !self.devices.contains_key(device)) {
            delta.needs_resync = true;
        }
        let value = |item: &Item| item.value.get().cloned().unwrap_or(Value::Null);
        match self.items.insert(id.clone(), item.clone()) {
            None => delta.changes.push(Change::ItemAdded(id)),
            Some(old) if old != item => {
                delta.changes.push(Change::ItemChanged { id, before: value(&old), after: value(&item) });
            }
            Some(_) => {}
        }
    }

    fn update_item(&mut self, update: &ItemUpdate, delta: &mut ModelDelta) {
        let Some(item) = self.items.get_mut(&update.id) else {
            delta.needs_resync = true;
            return;
        };
        let old = item.clone();
        // A broadcast about another member has no value.
        if !update.value.is_absent() {
            item.value = update.value.clone();
            item.value_formatted = update.value_formatted.clone();
        }
        if !update.scale.is_absent() {
            item.scale = update.scale.clone();
        }
        if !update.show.is_absent() {
            item.show = update.show;
        }
        if is_edge(item) && !update.value.is_absent() {
            delta.momentary = edge(item);
        }
        if *item != old {
            let value = |item: &Item| item.value.get().cloned().unwrap_or(Value::Null);
            let (before, after) = (value(&old), value(item));
            delta.changes.push(Change::ItemChanged { id: update.id.clone(), before, after });
        }
    }

    fn update_dictionary(&mut self, update: &ItemUpdate, delta: &mut ModelDelta) {
        let Some(item) = self.items.get_mut(&update.id) else {
            delta.needs_resync = true;
            return;
        };
        let before = item.value.get().cloned().unwrap_or(Value::Null);
        if item.value.get().is_none_or(|value| !value.is_object()) {
            item.value = serde_json::json!({}).into();
        }
        let removed = update.operation.as_deref() == Some("removed");
        let elements = item.value.get_mut().and_then(Value::as_object_mut);
        let changed = update.element.get().and_then(Value::as_object);
        if let (Some(elements), Some(changed)) = (elements, changed) {
            for (key, element) in changed {
                if removed {
                    elements.shift_remove(key);
                } else {
                    elements.insert(key.clone(), element["value"].clone());
                }
            }
        }
        let after = item.value.get().cloned().unwrap_or(Value::Null);
        if before != after {
            delta.changes.push(Change::ItemChanged { id: update.id.clone(), before, after });
        }
    }

    /// The devices of a removed room stay and have no room (guide20:p18).
    fn remove_room(&mut self, id: &RoomId, delta: &mut ModelDelta) {
        if self.rooms.shift_remove(id).is_none() {
            return;
        }
        delta.changes.push(Change::RoomsChanged);
        for (device_id, device) in &mut self.devices {
            if device.room_id.get() == Some(id) {
                device.room_id = RoomId::default().into();
                delta.changes.push(Change::DeviceChanged(device_id.clone()));
            }
        }
    }

    fn put_scene(&mut self, scene: &Scene, delta: &mut ModelDelta) {
        let Some(id) = scene.id.get().cloned() else { return };
        let mut scene = scene.clone();
        scene.sync_notification = ezlo_protocol::wire::Field::Absent;
        if self.scenes.insert(id.clone(), scene.clone()).as_ref() != Some(&scene) {
            delta.changes.push(Change::SceneChanged(id));
        }
    }

    /// Replaces the model and returns the differences. Changed values of momentary items are not reported.
    pub(crate) fn replace(&mut self, now: Self) -> Vec<Change> {
        let mut changes = Vec::new();
        let gone = |old: &IndexMap<DeviceId, Device>, new: &IndexMap<DeviceId, Device>| {
            old.keys().filter(|id| !new.contains_key(*id)).cloned().collect::<Vec<_>>()
        };
        changes.extend(gone(&self.devices, &now.devices).into_iter().map(Change::DeviceRemoved));
        for (id, device) in &now.devices {
            match self.devices.get(id) {
                None => changes.push(Change::DeviceAdded(id.clone())),
                Some(before) if before != device => changes.push(Change::DeviceChanged(id.clone())),
                Some(_) => {}
            }
        }
        let lost = self.items.keys().filter(|id| !now.items.contains_key(*id)).cloned();
        changes.extend(lost.map(Change::ItemRemoved));
        for (id, item) in &now.items {
            match self.items.get(id) {
                None => changes.push(Change::ItemAdded(id.clone())),
                Some(old) if old != item && !is_edge(item) => {
                    let value = |item: &Item| item.value.get().cloned().unwrap_or(Value::Null);
                    changes.push(Change::ItemChanged { id: id.clone(), before: value(old), after: value(item) });
                }
                Some(_) => {}
            }
        }
        // The equality of `IndexMap` ignores the order.
        if !self.rooms.iter().eq(now.rooms.iter()) {
            changes.push(Change::RoomsChanged);
        }
        let ended = self.scenes.keys().filter(|id| !now.scenes.contains_key(*id)).cloned();
        changes.extend(ended.map(Change::SceneRemoved));
        let changed = now.scenes.iter().filter(|(id, scene)| self.scenes.get(*id) != Some(*scene));
        changes.extend(changed.map(|(id, _)| Change::SceneChanged(id.clone())));
        if self.mode != now.mode {
            changes.push(Change::ModeChanged { from: self.mode.clone(), to: now.mode.clone() });
        }
        *self = now;
        changes
    }
}

fn edge(item: &Item) -> Option<MomentaryEvent> {
    let device = item.device_id.get()?.clone();
    let value = item.value.get()?;
    Some(match item.value_type.get() {
        Some(ValueType::ButtonState) => MomentaryEvent::Button {
            device,
            number: value["button_number"].as_i64(),
            state: value["button_state"].as_str()?.to_owned(),
        },
        _ => MomentaryEvent::Lock { device, operation: value.clone() },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event(name: &str, content: Value) -> Event {
        Event::parse(name, &content).unwrap()
    }

    fn house() -> HubModel {
        let mut model = HubModel::default();
        model.apply(&event(
            "hub.device.added",
            json!({"_id": "d", "name": "Door", "category": "door_lock", "syncNotification": true}),
        ));
        for (id, name, kind, value) in [
            ("s", "switch", "bool", json!(false)),
            ("b", "button_state", "button_state", json!({"button_number": 1, "button_state": "released"})),
            ("c", "user_codes", "dictionary", json!({})),
        ] {
            model.apply(&event("hub.item.added", json!({"_id": id, "deviceId": "d", "name": name, "valueType": kind, "value": value, "deviceName": "Door"})));
        }
        model
    }

    #[test]
    fn rooms_are_ordered_as_reported_and_unknown_ones_stay_last() {
        let mut model = HubModel::default();
        for id in ["a", "b", "c", "d"] {
            model.apply(&event("hub.room.created", json!({"_id": id, "name": id})));
        }
        model.apply(&event("hub.room.reordered", json!({"roomsId": ["d", "x", "b", "d"]})));
        assert_eq!(model.rooms.keys().map(RoomId::as_str).collect::<Vec<_>>(), ["d", "b", "a", "c"]);
    }

    #[test]
    fn broadcast_changes_only_the_members_it_contains() {
        let mut model = house();
        let delta =
            model.apply(&event("hub.item.updated", json!({"_id": "s", "value": true, "valueFormatted": "true"})));
        let changed = Change::ItemChanged { id: "s".into(), before: json!(false), after: json!(true) };
        assert_eq!(delta, ModelDelta { changes: vec![changed], ..ModelDelta::default() });
        let again =
            model.apply(&event("hub.item.updated", json!({"_id": "s", "value": true, "valueFormatted": "true"})));
        assert_eq!(again, ModelDelta::default(), "a repeated broadcast is no change");
        let shown = model.apply(&event("hub.item.updated", json!({"_id": "s", "show": false})));
        assert_eq!((shown.changes.len(), model.items["s"].value.get()), (1, Some(&json!(true))), "value unchanged");
        let code = json!({"_id": "c", "operation": "added", "element": {"1": {"value": {"code": "4711"}}}});
        assert_eq!(model.apply(&event("hub.item.dictionary.updated", code)).changes.len(), 1);
        let gone = json!({"_id": "c", "operation": "removed", "element": {"1": {"value": {"code": "4711"}}}});
        model.apply(&event("hub.item.dictionary.updated", gone));
        assert_eq!(model.items["c"].value.get(), Some(&json!({})));
    }

    #[test]
    fn broadcast_about_an_unknown_object_requires_a_resync() {
        let mut model = house();
        for (name, content) in [
            ("hub.item.updated", json!({"_id": "?", "value": 1})),
            ("hub.device.updated", json!({"_id": "?", "reachable": false})),
            ("hub.item.added", json!({"_id": "x", "deviceId": "?"})),
        ] {
            assert!(model.apply(&event(name, content)).needs_resync, "{name}");
        }
    }

    #[test]
    fn button_presses_are_reported_but_never_derived_from_a_difference() {
        let mut model = house();
        let press = json!({"_id": "b", "value": {"button_number": 1, "button_state": "press_1_time"}});
        for _ in 0..2 {
            let delta = model.apply(&event("hub.item.updated", press.clone()));
            assert!(
                matches!(delta.momentary, Some(MomentaryEvent::Button { number: Some(1), state, .. }) if state == "press_1_time")
            );
        }
        let mut now = model.clone();
        now.apply(&event(
            "hub.item.updated",
            json!({"_id": "b", "value": {"button_number": 1, "button_state": "held_down"}}),
        ));
        now.apply(&event("hub.item.updated", json!({"_id": "s", "value": true})));
        let changes = model.replace(now.clone());
        assert_eq!(changes.len(), 1, "only the switch: {changes:?}");
        assert_eq!(model, now);
    }

    #[test]
    fn replacement_reports_every_difference() {
        let mut model = house();
        let mut now = HubModel::default();
        now.apply(&event("hub.device.added", json!({"_id": "e"})));
        now.apply(&event("hub.room.created", json!({"_id": "r", "name": "R"})));
        now.apply(&event("hub.scene.added", json!({"_id": "z", "name": "Z"})));
        now.mode = "2".into();
        let changes = model.replace(now);
        let count = |wanted: fn(&Change) -> bool| changes.iter().filter(|change| wanted(change)).count();
        assert_eq!(count(|change| matches!(change, Change::ItemRemoved(_))), 3);
        assert_eq!(changes.len(), 8, "{changes:?}");
        assert!(model.replace(model.clone()).is_empty());
    }
}
