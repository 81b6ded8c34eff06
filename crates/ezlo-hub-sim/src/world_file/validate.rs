//! Validation of world files. Each error text names the hub and the object in it.

use std::borrow::Cow;
use std::collections::BTreeSet;

use ezlo_protocol::hub::device::Category;
use ezlo_protocol::hub::item::Item;
use ezlo_protocol::hub::value::{ValueType, is_masked_code};
use ezlo_protocol::mac::MacAddress;
use ezlo_protocol::serial::Serial;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::house::{ActionFile, BehaviourFile, DeviceFile, ItemFile, SceneFile};
use super::resolve::{Finders, known_mode, resolved_groups};
use super::{HubFile, UserFile, WorldFile};
use crate::serial_range::SerialRange;
use crate::templates;

/// Maximum number of copies of one hub or user.
const MAX_COPIES: u32 = 1_000_000;
/// Maximum number of hubs, and of users, of a world file.
const MAX_HUBS: u64 = 1_000_000;

impl WorldFile {
    /// Expands the copies of users and checks the copies of hubs. Copies of hubs are created on first use.
    pub(super) fn with_copies(self) -> Result<Self, String> {
        let Self { digest, users, wifi, hubs } = self;
        // Checked before anything is copied, to bound the memory.
        for copies in [
            users.iter().map(|user| count(user.copies)).collect::<Result<Vec<_>, _>>()?,
            hubs.iter().map(|hub| count(hub.copies)).collect::<Result<Vec<_>, _>>()?,
        ] {
            let sum: u64 = copies.into_iter().map(u64::from).sum();
            if sum > MAX_HUBS {
                return Err(format!("a world has at most {MAX_HUBS} hubs and as many users, found {sum}"));
            }
        }
        let users = users.iter().map(UserFile::copied).collect::<Result<Vec<_>, _>>()?.concat();
        for hub in &hubs {
            hub.check_copies()?;
        }
        Ok(Self { digest, users, wifi, hubs })
    }

    /// Refuses references to objects that do not exist, and duplicate names and numbers.
    pub(super) fn check(&self) -> Result<(), String> {
        let (mut names, mut numbers) = (BTreeSet::new(), BTreeSet::new());
        for user in &self.users {
            if !names.insert(user.username.to_lowercase()) {
                return Err(format!("user {:?} is defined twice", user.username));
            }
            if !numbers.insert(user.user) {
                return Err(format!("user {:?}: user number {} is used twice", user.username, user.user));
            }
        }
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        for hub in &self.hubs {
            let first = hub.serial.as_str().parse::<u64>().unwrap_or_default();
            let last = first + u64::from(hub.count() - 1);
            if let Some((from, _)) = ranges.iter().find(|(from, to)| first <= *to && last >= *from) {
                return Err(format!("hub {} is defined twice", first.max(*from)));
            }
            ranges.push((first, last));
            let owners = if hub.has_one_owner() { 1 } else { hub.count() };
            for n in 0..owners {
                if let Some(owner) = hub.owner_of(n).filter(|owner| !names.contains(&owner.to_lowercase())) {
                    return Err(format!("hub {}: no user is called {owner:?}", hub.serial_of(n)));
                }
            }
            hub.check().map_err(|text| format!("hub {}: {text}", hub.serial))?;
        }
        Ok(())
    }
}

fn count(copies: Option<u32>) -> Result<u32, String> {
    match copies {
        Some(count @ 1..=MAX_COPIES) => Ok(count),
        Some(count) => Err(format!("copies = {count} is not between 1 and {MAX_COPIES}")),
        None => Ok(1),
    }
}

impl UserFile {
    fn copied(&self) -> Result<Vec<Self>, String> {
        let number = |n: u32| (n + 1).to_string();
        let count = count(self.copies)?;
        if self.account.checked_add(u64::from(count)).is_none() || self.user.checked_add(u64::from(count)).is_none() {
            return Err(format!("user {:?}: account or user number is too large", self.username));
        }
        let copy = |n: u32| Self {
            username: self.username.replace("{n}", &number(n)),
            email: self.email.replace("{n}", &number(n)),
            account: self.account + u64::from(n),
            user: self.user + u64::from(n),
            copies: None,
            ..self.clone()
        };
        Ok((0..count).map(copy).collect())
    }
}

impl HubFile {
    /// Returns the number of hubs that the entry stands for.
    pub fn count(&self) -> u32 {
        self.copies.unwrap_or(1)
    }

    /// Checks that the serials of all copies are valid and sort alike as numbers and as text.
    fn check_copies(&self) -> Result<(), String> {
        let first: u64 =
            self.serial.as_str().parse().map_err(|_| format!("hub {}: the serial is not a number", self.serial))?;
        if count(self.copies)? > 1 && self.serial.as_str().starts_with('0') {
            return Err(format!("hub {}: the serial of a hub with copies must not begin with 0", self.serial));
        }
        let last = (first + u64::from(count(self.copies)? - 1)).to_string();
        last.parse::<Serial>().map_err(|_| format!("hub {last}: the serial is too long"))?;
        // Hubs are sorted by the text of their serials, in which 10 precedes 9.
        if last.len() != self.serial.as_str().len() && count(self.copies)? > 1 {
            return Err(format!("hub {}: the last copy has the serial {last}, which has more digits", self.serial));
        }
        Ok(())
    }

    /// Returns the serial of copy `n`, counted from 0.
    pub fn serial_of(&self, n: u32) -> Serial {
        let counted = || (self.serial.as_str().parse::<u64>().ok()? + u64::from(n)).to_string().parse().ok();
        // The parser has checked that all serials are valid.
        if n == 0 { self.serial.clone() } else { counted().unwrap_or_default() }
    }

    /// Returns whether the hub or one of its copies has this serial.
    pub fn has(&self, serial: &Serial) -> bool {
        let copies = SerialRange::from(&self.serial, self.count());
        *serial == self.serial || copies.is_some_and(|serials| serials.number(serial).is_some())
    }

    /// Returns the hardware address of copy `n`, counted from 0.
    pub fn mac_of(&self, n: u32) -> MacAddress {
        counted(self.mac, n)
    }

    /// Returns the name of the owner of copy `n`, counted from 0; `None` for an unclaimed hub.
    pub fn owner_of(&self, n: u32) -> Option<Cow<'_, str>> {
        let owner = self.owner.as_deref()?;
        let is_one = self.has_one_owner();
        Some(if is_one { owner.into() } else { owner.replace("{n}", &(n + 1).to_string()).into() })
    }

    /// Returns whether all copies have the same owner, or none.
    pub fn has_one_owner(&self) -> bool {
        !self.owner.as_ref().is_some_and(|owner| owner.contains("{n}"))
    }

    /// Returns the number of devices and of items of the hub, parts included.
    pub(crate) fn size(&self) -> (usize, usize) {
        self.devices.iter().fold((0, 0), |(devices, items), device| {
            let template = device.template.as_deref().and_then(templates::find);
            let own = |item: &&ItemFile| {
                template.is_none_or(|template| template.items.iter().all(|known| known.name != item.name))
            };
            let size = template.map_or((1, 0), templates::Template::size);
            (devices + size.0, items + size.1 + device.items.iter().filter(own).count())
        })
    }

    fn check(&self) -> Result<(), String> {
        if let Some(mode) = self.mode.as_ref().filter(|mode| !matches!(mode.as_str(), "1" | "2" | "3" | "4")) {
            return Err(format!("mode {mode:?}: house modes are \"1\" to \"4\""));
        }
        if let Some(place) = &self.location {
            let inside = place.latitude.abs() <= 90.0 && place.longitude.abs() <= 180.0;
            if !inside {
                return Err("location: latitude must be from -90 to 90, longitude from -180 to 180".into());
            }
            TimeZone::get(&place.timezone).map_err(|error| format!("location: {error}"))?;
        }
        for (at, room) in self.rooms.iter().enumerate() {
            if self.rooms[..at].contains(room) {
                return Err(format!("room {room:?} is defined twice"));
            }
        }
        for (at, gateway) in self.gateways.iter().enumerate() {
            if gateway.name == "zwave" || self.gateways[..at].iter().any(|earlier| earlier.name == gateway.name) {
                return Err(format!("gateway {:?} is defined twice", gateway.name));
            }
        }
        for (at, device) in self.devices.iter().enumerate() {
            self.check_device(device, &self.devices[..at])
                .map_err(|text| format!("device {:?}: {text}", device.name))?;
        }
        for kind in &self.zwave {
            known_template(kind)?;
        }
        self.house_modes.as_ref().map_or(Ok(()), |modes| modes.check(self))?;
        self.check_scenes()?;
        for behaviour in &self.behaviours {
            self.check_behaviour(behaviour).map_err(|text| format!("behaviour of {:?}: {text}", behaviour.device()))?;
        }
        Ok(())
    }

    fn check_device(&self, device: &DeviceFile, earlier: &[DeviceFile]) -> Result<(), String> {
        let part_of = self.whole_of(&device.name).is_some_and(|whole| whole.name != device.name);
        if part_of || earlier.iter().any(|other| other.name == device.name) {
            return Err("another device or part of a device has this name".into());
        }
        if let Some(word) =
            device.category.as_ref().filter(|word| !self.unknown_words && !Category::from(word.as_str()).is_known())
        {
            return Err(format!("no category is called {word:?} (unknown_words = true allows it)"));
        }
        match (&device.template, &device.category) {
            (Some(template), _) => known_template(template)?,
            (None, Some(_)) => {}
            (None, None) => return Err("expected a template, or a category and items".into()),
        }
        if let Some(room) = device.room.as_ref().filter(|room| !self.rooms.contains(room)) {
            return Err(format!("no room {room:?}"));
        }
        let is_gateway = |name: &&String| *name == "zwave" || self.gateways.iter().any(|known| known.name == **name);
        if let Some(gateway) = device.gateway.as_ref().filter(|name| !is_gateway(name)) {
            return Err(format!("no gateway {gateway:?}; the gateways of the hub define it"));
        }
        if device.info.as_ref().is_some_and(|info| !info.is_object()) {
            return Err("info is not a table".into());
        }
        if let Some(parent) = device.parent.as_ref().filter(|parent| earlier.iter().all(|other| other.name != **parent))
        {
            return Err(format!("no device {parent:?} earlier in the file that can be its parent"));
        }
        for (at, item) in device.items.iter().enumerate() {
            if device.items[..at].iter().any(|earlier| earlier.name == item.name) {
                return Err(format!("item {:?} is defined twice", item.name));
            }
            self.check_item(device, item).map_err(|text| format!("item {:?}: {text}", item.name))?;
        }
        Ok(())
    }

    /// Returns whether the hub will have a device with this name. Parts of devices are included.
    pub(super) fn has_device(&self, name: &str) -> bool {
        self.devices.iter().any(|device| device.name == name) || self.whole_of(name).is_some()
    }

    /// Returns the item that a device with this name will have, with its type; `None` if it will have none.
    fn item(&self, device: &str, item: &str) -> Option<Item> {
        let device = self.devices.iter().find(|known| known.name == device).or_else(|| self.whole_of(device))?;
        let own = device.items.iter().find(|known| known.name == item);
        let spec = device.template.as_deref().and_then(templates::find).and_then(|template| template.item(item));
        match (spec, own) {
            (None, None) => None,
            (spec, own) => {
                let mut made = spec.unwrap_or_default();
                if let Some(own) = own {
                    own.apply(&mut made, false);
                }
                Some(made)
            }
        }
    }

    /// Returns the device that has a part with this name. Parts have the name of their device and a number.
    fn whole_of(&self, part: &str) -> Option<&DeviceFile> {
        let (whole, number) = part.rsplit_once(' ')?;
        let device = self.devices.iter().find(|device| device.name == whole)?;
        let parts = templates::find(device.template.as_deref()?)?.parts;
        number.parse::<usize>().ok().filter(|number| (1..=parts.len()).contains(number)).map(|_| device)
    }

    fn check_scenes(&self) -> Result<(), String> {
        for (at, scene) in self.scenes.iter().enumerate() {
            if self.scenes[..at].iter().any(|earlier| earlier.name == scene.name) {
                return Err(format!("scene {:?} is defined twice", scene.name));
            }
            self.check_scene(scene).map_err(|text| format!("scene {:?}: {text}", scene.name))?;
        }
        Ok(())
    }

    fn check_scene(&self, scene: &SceneFile) -> Result<(), String> {
        if let Some(mode) = scene.modes.iter().find(|mode| known_mode(mode).is_none()) {
            return Err(format!("mode {mode:?}: house modes are \"1\" to \"4\""));
        }
        if let Some(room) = scene.room.as_ref().filter(|room| !self.rooms.contains(room)) {
            return Err(format!("no room {room:?}"));
        }
        let item = |device: &str, item: &str| {
            // Ids are assigned later; validation only needs one that is not empty.
            self.item(device, item).map(|found| Item { id: "0".into(), ..found })
        };
        let device = |name: &str| self.has_device(name).then(|| name.into());
        let named = |name: &str| self.scenes.iter().any(|scene| scene.name == name).then(|| name.into());
        let find = Finders { item: &item, device: &device, scene: &named };
        let nowhere =
            |list: &str, at: usize| format!("{list}[{at}] has an unknown device, item or mode, or an invalid time");
        for (list, conditions) in [("when", &scene.when), ("exceptions", &scene.exceptions)] {
            if let Some(at) = conditions.iter().position(|condition| condition.block(&find).is_none()) {
                return Err(nowhere(list, at));
            }
        }
        let groups = [("then_groups", &scene.then_groups), ("else_groups", &scene.else_groups)];
        let groups = groups.into_iter().flat_map(|(list, groups)| groups.values().map(move |group| (list, group)));
        for (list, actions) in [("then", &scene.then), ("else", &scene.otherwise)].into_iter().chain(groups) {
            if let Some(at) = actions.iter().position(|action| action.block(&find).is_none()) {
                return Err(nowhere(list, at));
            }
            for (at, action) in actions.iter().enumerate() {
                if let ActionFile::Set(set) = action
                    && let Some(item) = self.item(&set.device, &set.item)
                {
                    item.check(&set.value).map_err(|error| format!("{list}[{at}]: item {:?}: {error}", set.item))?;
                }
            }
        }
        let made = ezlo_protocol::hub::scene::Scene {
            name: scene.name.as_str().into(),
            when: scene.conditions(&find).into(),
            then: scene.actions(&find).into(),
            otherwise: scene.otherwise(&find).into(),
            exceptions: scene.exceptions(&find).into(),
            then_groups: resolved_groups(&scene.then_groups, &find).into(),
            else_groups: resolved_groups(&scene.else_groups, &find).into(),
            ..Default::default()
        };
        made.problems().into_iter().next().map_or(Ok(()), |problem| Err(problem.to_string()))
    }

    fn check_item(&self, device: &DeviceFile, file: &ItemFile) -> Result<(), String> {
        let template =
            device.template.as_deref().and_then(templates::find).and_then(|template| template.item(&file.name));
        if template.is_none() && file.value_type.is_none() {
            return Err("value_type is required, because the template has no such item".into());
        }
        let kind = file.value_type.as_deref().map(ValueType::from);
        if let Some(kind) = kind.filter(|kind| !self.unknown_words && !kind.is_known()) {
            return Err(format!("no value type is called {:?} (unknown_words = true allows it)", kind.as_str()));
        }
        for (name, bound) in [("min_value", &file.min_value), ("max_value", &file.max_value)] {
            if bound.as_ref().is_some_and(|bound| !bound.is_number()) {
                return Err(format!("{name} is not a number"));
            }
        }
        let mut item = template.unwrap_or_default();
        file.apply(&mut item, false);
        if let (Some(least), Some(most)) = (item.minimum(), item.maximum())
            && least > most
        {
            return Err(format!("min_value {least} is greater than max_value {most}"));
        }
        match &file.value {
            Some(_) if file.null_value => Err("value and null_value exclude each other".into()),
            Some(value) => item.holds(&without_masks(value)).map_err(|error| error.to_string()),
            None => Ok(()),
        }
    }

    fn check_behaviour(&self, behaviour: &BehaviourFile) -> Result<(), String> {
        let device = behaviour.device();
        let has = |item: &str| match self.item(device, item) {
            Some(_) => Ok(()),
            None => Err(format!("no device of that name has the item {item:?}")),
        };
        let hours_fit = |hours: &[u8]| match hours.iter().find(|hour| **hour > 23) {
            Some(hour) => Err(format!("hour {hour} is not between 0 and 23")),
            None => Ok(()),
        };
        let sane = |number: f64, name: &str| {
            if number.is_finite() && number >= 0.0 {
                Ok(())
            } else {
                Err(format!("{name} = {number} is negative or not finite"))
            }
        };
        match behaviour {
            BehaviourFile::Climate { heater, outside, .. } => {
                has("temp")?;
                sane(outside.abs(), "outside")?;
                match heater.as_ref().filter(|name| self.item(name, "thermostat_operating_state").is_none()) {
                    Some(heater) => Err(format!("{heater:?} is not a thermostat")),
                    None => Ok(()),
                }
            }
            BehaviourFile::Motion { hours, per_hour, .. } => {
                has("motion").and(hours_fit(hours)).and(sane(*per_hour, "per_hour"))
            }
            BehaviourFile::Door { hours, per_hour, .. } => {
                has("dw_state").and(hours_fit(hours)).and(sane(*per_hour, "per_hour"))
            }
            BehaviourFile::Power { watts, .. } => {
                has("electric_meter_watt").and(has("electric_meter_kwh")).and(sane(*watts, "watts"))
            }
            BehaviourFile::Battery { percent_per_day, .. } => {
                has("battery").and(sane(*percent_per_day, "percent_per_day"))
            }
            BehaviourFile::Outage { per_day, .. } => {
                sane(*per_day, "per_day").and_then(|()| match self.devices.iter().any(|known| known.name == device) {
                    true => Ok(()),
                    false => Err("no device has that name".into()),
                })
            }
            BehaviourFile::Button { times, .. } => {
                has("button_state")?;
                match times.iter().find(|time| time.parse::<jiff::civil::Time>().is_err()) {
                    Some(time) => Err(format!("{time:?} is not a time such as \"07:30\"")),
                    None => Ok(()),
                }
            }
        }
    }
}

/// Returns a value without the lock codes that a hub masks, which need not match the pattern of the item.
fn without_masks(value: &Value) -> Value {
    let Value::Object(elements) = value else { return value.clone() };
    let is_masked = |element: &Value| element.get("code").is_some_and(is_masked_code);
    elements.iter().filter(|(_, element)| !is_masked(element)).map(|(key, one)| (key.clone(), one.clone())).collect()
}

fn known_template(name: &str) -> Result<(), String> {
    if templates::find(name).is_some() {
        return Ok(());
    }
    let known = templates::TEMPLATES.iter().map(|template| template.name).collect::<Vec<_>>().join(", ");
    Err(format!("no template {name:?}; known templates: {known}"))
}

/// Returns the address that is `n` after another.
fn counted(mac: MacAddress, n: u32) -> MacAddress {
    let mut bytes = [0; 8];
    bytes[2..].copy_from_slice(&mac.bytes());
    let next = u64::from_be_bytes(bytes).wrapping_add(u64::from(n)).to_be_bytes();
    let mut last = [0; 6];
    last.copy_from_slice(&next[2..]);
    MacAddress::new(last)
}
