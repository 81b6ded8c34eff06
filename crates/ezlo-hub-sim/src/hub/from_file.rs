//! Creation of a hub from its part of a world file.

use ezlo_protocol::hub::device::Device;
use ezlo_protocol::hub::item::Item;
use ezlo_protocol::hub::scene::Scene;
use ezlo_protocol::hub::{DeviceId, ItemId, RoomId, SceneId};
use ezlo_protocol::serial::Serial;
use ezlo_protocol::wire::Field;
use serde_json::Value;

use crate::assumptions::HubAssumptions;
use crate::hub::{Hub, scenes};
use crate::state::device_traits::DeviceTraits;
use crate::state::item_variants::ItemVariants;
use crate::state::wifi::Wifi;
use crate::templates::{self, Template};
use crate::world_file::{DeviceFile, Finders, HouseModesFile, HubFile, ItemFile, SceneFile, resolved_groups};

impl Hub {
    /// Creates a hub from its entry in a world file.
    ///
    /// `serial` is the hub's own serial, because an entry may describe a range of hubs. `now_ms` is the time of its start in
    /// Unix milliseconds. The same entry, serial and seed give the same object ids. Of the assumptions, only
    /// [`access_point_always_open`](HubAssumptions::access_point_always_open) is read.
    ///
    /// The world file must have been checked by [`WorldFile::parse`](crate::world_file::WorldFile::parse); names that do not
    /// resolve are ignored. No network traffic, and no timers: call [`Hub::start`] to start scenes and behaviours.
    pub fn from_file(file: &HubFile, serial: &Serial, seed: u64, assumptions: &HubAssumptions, now_ms: i64) -> Self {
        let mut hub = Self::bare(serial.as_str(), file.kind, &file.model, seed, now_ms);
        hub.wifi = Wifi::at_start(file.online, assumptions.access_point_always_open);
        hub.variants = ItemVariants::of(assumptions);
        hub.set_setup_fault(file.setup_fault);
        hub.insecure_access = file.insecure_access;
        hub.anonymous_access = file.anonymous_access;
        if let Some(place) = &file.location {
            hub.place_at(place.latitude, place.longitude, &place.timezone);
        }
        let rooms: Vec<_> = file.rooms.iter().map(|name| (name, hub.add_room(name))).collect();
        hub.add_gateways(&file.gateways);
        for device in &file.devices {
            let room = rooms.iter().find(|(name, _)| Some(*name) == device.room.as_ref()).map(|(_, id)| id.clone());
            hub.add_device_from_file(device, room.unwrap_or_default());
        }
        hub.add_scenes_from_file(&file.scenes);
        if let Some(modes) = &file.house_modes {
            hub.set_house_modes(modes);
        }
        if let Some(firmware) = &file.firmware {
            hub.firmware.version.clone_from(firmware);
        }
        if let Some(mode) = file.mode.as_deref() {
            hub.modes.current = crate::state::modes::position(&mode.into()).unwrap_or_default();
        }
        hub.add_behaviours(&file.behaviours);
        hub.zwave.queue_presses(&file.zwave);
        hub
    }

    fn add_device_from_file(&mut self, file: &DeviceFile, room: RoomId) {
        let parent = file.parent.as_ref().and_then(|name| self.device_called(name)).cloned();
        let template = file.template.as_deref().and_then(templates::find);
        let id = match template {
            Some(template) => self.add_device(template, &file.name, room),
            None => self.add_described(file, room),
        };
        let gateway = file.gateway.as_deref().map(|name| self.gateway_named(name));
        if let Some(device) = self.devices.get_mut(&id) {
            if let Some(parent) = parent {
                device.parent_device_id = parent.into();
            }
            if let Some(gateway) = gateway {
                device.gateway_id = gateway.into();
            }
            device.reachable = file.reachable.unwrap_or(true).into();
            if let Some(armed) = file.armed {
                device.armed = armed.into();
            }
            for (member, said) in [(&mut device.status, &file.status), (&mut device.security, &file.security)] {
                if let Some(said) = said {
                    *member = said.as_str().into();
                }
            }
            if let Some(persistent) = file.persistent {
                device.persistent = persistent.into();
            }
            if let Some(info) = file.info.as_ref().filter(|_| self.family.device_info) {
                device.info = info.clone().into();
            }
        }
        let traits = DeviceTraits {
            masks_codes: file.masks_codes,
            rejects_codes: file.rejects_codes,
            asleep: file.asleep,
            ..DeviceTraits::default()
        };
        if traits != DeviceTraits::default() {
            self.traits.insert(id.clone(), traits);
        }
        for item in &file.items {
            self.put_item(&id, item);
        }
    }

    /// Adds a device that the file describes without a template.
    fn add_described(&mut self, file: &DeviceFile, room: RoomId) -> DeviceId {
        let id = DeviceId::from(self.new_id());
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let mut device = templates::blank(&id, &file.name, room, self.gateway.clone());
        device.category = Field::Value(text(&file.category).as_str().into());
        device.subcategory = text(&file.subcategory).into();
        device.kind = file.kind.clone().unwrap_or_else(|| "device".into()).into();
        device.device_type_id = text(&file.device_type_id).into();
        device.battery_powered = file.battery_powered.into();
        self.trim_device(&mut device);
        self.devices.insert(id.clone(), device);
        self.by_device.insert(id.clone(), Vec::new());
        self.add_device_settings(&id, None);
        id
    }

    /// Changes an item of the template, or adds an item that the template lacks.
    fn put_item(&mut self, device: &DeviceId, file: &ItemFile) {
        if let Some(id) = self.item_named(device, &file.name).map(|item| item.id.clone()) {
            if let Some(item) = self.items.get_mut(&id) {
                file.apply(item, self.family.formatted_values);
            }
            return;
        }
        let mut item = Item { id: self.new_id().into(), device_id: device.clone().into(), ..Item::default() };
        item.name = file.name.as_str().into();
        item.has_getter = true.into();
        item.has_setter = false.into();
        item.show = true.into();
        file.apply(&mut item, self.family.formatted_values);
        self.insert_item(item);
    }

    /// Inserts an item and adds it to the item list of its device.
    pub(crate) fn insert_item(&mut self, mut item: Item) {
        if self.family.item_status {
            item.status = "idle".into();
        }
        if let Some(device) = item.device_id.get() {
            self.by_device.entry(device.clone()).or_default().push(item.id.clone());
        }
        self.items.insert(item.id.clone(), item);
    }

    /// Adds a device of a template, with its child devices.
    pub(crate) fn add_device(&mut self, template: &'static Template, name: &str, room: RoomId) -> DeviceId {
        let id = DeviceId::from(self.new_id());
        let node = self.devices.len() as u64 + 2;
        let mut device = template.device(&id, name, room.clone(), self.gateway.clone(), node);
        self.trim_device(&mut device);
        self.devices.insert(id.clone(), device);
        self.by_device.insert(id.clone(), Vec::new());
        for spec in template.items {
            let mut item = spec.item(ItemId::from(self.new_id()), id.clone());
            self.variants.apply(&mut item);
            if !self.family.formatted_values {
                item.value_formatted = Field::Absent;
            }
            self.insert_item(item);
        }
        self.link_indents(&id);
        self.add_device_settings(&id, Some(template));
        for (number, part) in template.parts.iter().filter_map(|part| templates::find(part)).enumerate() {
            let child = self.add_device(part, &format!("{name} {}", number + 1), room.clone());
            if let Some(child) = self.devices.get_mut(&child) {
                child.parent_device_id = id.clone().into();
                child.parent_room = true.into();
            }
        }
        id
    }

    /// Replaces the item names in `valueIndent` of templates by the ids of the items.
    fn link_indents(&mut self, device: &DeviceId) {
        let named: Vec<(ItemId, String)> = self
            .items_of(device)
            .filter_map(|item| Some((item.id.clone(), item.value_indent.get()?["item"].as_str()?.to_owned())))
            .collect();
        for (id, name) in named {
            let other = self.item_named(device, &name).map(|item| item.id.to_string());
            if let (Some(other), Some(item)) = (other, self.items.get_mut(&id))
                && let Some(indent) = item.value_indent.get_mut()
            {
                indent["item"] = other.into();
            }
        }
    }

    fn trim_device(&self, device: &mut Device) {
        if !self.family.device_info {
            device.info = Field::Absent;
        }
        if self.family.is_board {
            device.device_type_id = "ezlopi".into();
            device.persistent = true.into();
            device.battery_powered = false.into();
            device.parent_room = device.parent_room.get().copied().unwrap_or(true).into();
            device.armed = device.armed.get().copied().unwrap_or(false).into();
        }
    }

    /// Returns a device as it is sent. RTOS firmware was seen once with `id` in place of `_id` (bridge).
    pub(crate) fn as_sent(&self, device: &Device, rtos_id: bool) -> Device {
        let mut device = device.clone();
        if rtos_id && self.family.may_say_id {
            device.rtos_id = std::mem::take(&mut device.object_id);
        }
        device
    }

    /// Returns the id of the first device with this name.
    pub(crate) fn device_called(&self, name: &str) -> Option<&DeviceId> {
        self.devices.values().find(|device| device.name.as_deref() == Some(name))?.id()
    }

    fn item_called(&self, device: &str, item: &str) -> Option<&Item> {
        self.item_named(self.device_called(device)?, item)
    }

    /// Adds the scenes of a file, whose names of devices, items and modes have been checked.
    fn add_scenes_from_file(&mut self, files: &[SceneFile]) {
        // Scenes may refer to each other, so all ids exist before the first scene is created.
        let ids: Vec<(&str, SceneId)> =
            files.iter().map(|file| (file.name.as_str(), SceneId::from(self.new_id()))).collect();
        let item = |device: &str, item: &str| self.item_called(device, item).cloned();
        let device = |name: &str| self.device_called(name).cloned();
        let scene = |name: &str| ids.iter().find(|(known, _)| *known == name).map(|(_, id)| id.clone());
        let find = Finders { item: &item, device: &device, scene: &scene };
        let made: Vec<Scene> = files.iter().zip(&ids).map(|(file, (_, id))| self.scene_of(file, id, &find)).collect();
        self.scenes.extend(ids.iter().map(|(_, id)| id.clone()).zip(made));
    }

    /// Applies the settings of house modes. The names of devices have been checked.
    fn set_house_modes(&mut self, file: &HouseModesFile) {
        let entry = file.entry_delay.unwrap_or_default();
        let delays = [entry.normal, entry.extended, entry.long_extended, entry.instant];
        for (delay, said) in self.modes.entry_delay.iter_mut().zip(delays) {
            *delay = said.unwrap_or(*delay);
        }
        for file in &file.modes {
            let Some(at) = crate::state::modes::position(&file.id.as_str().into()) else { continue };
            let devices = |names: &[String]| -> Vec<DeviceId> {
                names.iter().filter_map(|name| self.device_called(name).cloned()).collect()
            };
            let lists = [&file.disarmed, &file.alarms_off, &file.cameras_off, &file.bypass].map(|names| devices(names));
            let mode = &mut self.modes.modes[at];
            [mode.disarmed, mode.alarms_off, mode.cameras_off, mode.bypass] = lists;
            mode.switch_delay = file.switch_delay_s.unwrap_or(mode.switch_delay);
            mode.alarm_delay = file.alarm_delay_s.or(mode.alarm_delay);
            mode.disarmed_default = file.disarmed_default.unwrap_or(mode.disarmed_default);
            mode.protect = file.protect.unwrap_or(mode.protect);
        }
    }

    fn scene_of(&self, file: &SceneFile, id: &SceneId, find: &Finders<'_>) -> Scene {
        let mut scene = Scene {
            id: id.clone().into(),
            name: file.name.as_str().into(),
            enabled: file.enabled.unwrap_or(true).into(),
            when: file.conditions(find).into(),
            then: file.actions(find).into(),
            ..Scene::default()
        };
        if !file.otherwise.is_empty() {
            scene.otherwise = file.otherwise(find).into();
        }
        if !file.exceptions.is_empty() {
            scene.exceptions = file.exceptions(find).into();
        }
        for (stored, groups) in
            [(&mut scene.then_groups, &file.then_groups), (&mut scene.else_groups, &file.else_groups)]
        {
            if !groups.is_empty() {
                *stored = resolved_groups(groups, find).into();
            }
        }
        if let Some(policy) = &file.exec_policy {
            scene.exec_policy = policy.as_str().into();
        }
        if !file.modes.is_empty() {
            scene.house_modes = file.modes.iter().map(|mode| mode.as_str().into()).collect::<Vec<_>>().into();
        }
        let room = file.room.as_ref().and_then(|name| {
            self.rooms.values().find(|room| room.name.as_deref() == Some(name)).map(|room| room.id.clone())
        });
        scene.parent_id = room.unwrap_or_default().into();
        scenes::fill(&mut scene);
        scene
    }
}

impl ItemFile {
    /// Overwrites the members of an item that the file sets. `formatted` also updates `valueFormatted`.
    pub(crate) fn apply(&self, item: &mut Item, formatted: bool) {
        if let Some(kind) = &self.value_type {
            item.value_type = Field::Value(kind.as_str().into());
        }
        if let Some(scale) = &self.scale {
            item.scale = Field::Value(scale.as_str().into());
        }
        if let Some(getter) = self.has_getter {
            item.has_getter = getter.into();
        }
        if let Some(setter) = self.has_setter {
            item.has_setter = setter.into();
        }
        if let Some(show) = self.show {
            item.show = show.into();
        }
        if let Some(tokens) = &self.tokens {
            item.tokens = tokens.clone().into();
        }
        if let Some(kind) = &self.element_type {
            item.element_type = kind.as_str().into();
        }
        if let Some(most) = self.elements_max_number {
            item.elements_max_number = most.into();
        }
        if let Some(pattern) = &self.user_code_restriction {
            item.user_code_restriction = pattern.as_str().into();
        }
        for (bound, said) in [(&mut item.min_value, &self.min_value), (&mut item.max_value, &self.max_value)] {
            if let Some(number) = said.as_ref().and_then(Value::as_number) {
                *bound = number.clone().into();
            }
        }
        if let Some(modes) = &self.user_code_modes {
            item.user_code_modes = modes.clone().into();
        }
        if let Some(info) = &self.info {
            item.info = info.clone().into();
        }
        if let Some(value) = &self.value {
            item.value = value.clone().into();
        }
        if self.null_value {
            item.value = Field::Null;
            if formatted {
                item.value_formatted = "".into();
            }
        }
        if let (true, Some(kind), Some(value)) = (formatted, item.value_type.get(), item.value.get()) {
            item.value_formatted = kind.format(value).into();
        }
    }
}
