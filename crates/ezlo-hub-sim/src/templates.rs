//! Device templates: category, items and settings of each kind of device. Item types and defaults are those of the catalogue
//! in the guide. The catalogue does not assign items to categories (hub reference, section 15); the sets are inferred from
//! real devices.

use ezlo_protocol::hub::catalogue;
use ezlo_protocol::hub::device::{Category, Device};
use ezlo_protocol::hub::item::Item;
use ezlo_protocol::hub::value::{Scale, ValueType};
use ezlo_protocol::hub::{DeviceId, GatewayId, ItemId, RoomId};
use serde_json::{Value, json};

mod table;

pub use table::TEMPLATES;

/// A kind of device.
#[derive(Debug)]
pub struct Template {
    /// Name in world files, such as `door_sensor`.
    pub name: &'static str,
    category: &'static str,
    subcategory: &'static str,
    kind: &'static str,
    type_id: &'static str,
    battery: bool,
    /// Items of the device, without those of its parts.
    pub items: &'static [ItemTemplate],
    /// Templates of the parts, such as the channels of a multi-channel node. Each part becomes a device of its own.
    pub parts: &'static [&'static str],
    /// Security 2 key agreement at inclusion; `None` for a device that is included without keys.
    pub secure: Option<Secure>,
    /// Configuration parameters.
    pub settings: &'static [SettingTemplate],
}

impl Template {
    /// Returns the member `type` of devices of this kind.
    pub const fn kind(&self) -> &'static str {
        self.kind
    }
}

/// Templates are equal if their names are equal.
impl PartialEq for Template {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

/// The Security 2 capabilities of a device, which determine the keys it can get at inclusion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Secure {
    /// Keys for lights and sensors.
    Authenticated,
    /// Keys for locks and garage doors.
    AccessControl,
    /// Keys for locks and garage doors. The device has a keypad on which the displayed digits are entered.
    WithKeypad,
}

impl Secure {
    /// Returns the authentication modes that the device can get, strongest first.
    pub const fn modes(self) -> &'static [&'static str] {
        match self {
            Self::Authenticated => &["authenticated", "unauthenticated"],
            Self::AccessControl | Self::WithKeypad => &["accessControl", "authenticated", "unauthenticated"],
        }
    }
}

/// An item of a kind of device. Empty fields have the value of the catalogue in the guide.
#[derive(Debug)]
pub struct ItemTemplate {
    /// Name of the item, such as `switch`.
    pub name: &'static str,
    value_type: &'static str,
    access: Option<Access>,
    /// Default value as JSON text.
    default: &'static str,
    scale: &'static str,
    tokens: &'static [&'static str],
    range: Option<(i64, i64)>,
    element_type: &'static str,
    /// Item of the same device from which the value must differ by at least two degrees.
    apart_from: &'static str,
}

/// A setting of a kind of device: a configuration parameter that is stored in the device.
#[derive(Debug)]
pub struct SettingTemplate {
    /// Label for users.
    pub label: &'static str,
    /// Number of the Z-Wave configuration parameter.
    pub parameter: u16,
    /// Size of the value in bytes.
    pub size: u8,
    /// Value type: `int`, `bool` or `token`.
    pub kind: &'static str,
    /// Default value as JSON text.
    pub default: &'static str,
    /// Least and greatest value; `None` without limits.
    pub range: Option<(i64, i64)>,
    /// Allowed tokens of a setting of type `token`; empty for other types.
    pub tokens: &'static [&'static str],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    Read,
    ReadWrite,
    Write,
}

/// Number of lock codes and their pattern (captured from a real lock).
const USER_CODES: i64 = 30;
const USER_CODE_PATTERN: &str = r"^\d{4,10}$";
/// Modes of lock codes (users, with the item of a real lock).
pub(crate) const USER_CODE_MODES: [&str; 2] = ["enabled", "disabled"];

/// Returns the member `info` of an item with lock codes (users, with the item of a real lock).
fn user_code_references() -> Value {
    json!({"zwave.references": [{"channel": 0, "class": 99, "managing_commands": ["USER_CODE_SET"]}]})
}

/// Returns the template with this name.
pub fn find(name: &str) -> Option<&'static Template> {
    TEMPLATES.iter().find(|template| template.name == name)
}

/// Serialises a queue of templates as their names, for `#[serde(with = "...")]`.
pub mod by_name {
    use std::collections::VecDeque;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use super::Template;

    /// Serialises the names of the templates.
    ///
    /// # Errors
    ///
    /// Returns the error of the serialiser.
    pub fn serialize<S: Serializer>(templates: &VecDeque<&'static Template>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(templates.iter().map(|template| template.name))
    }

    /// Deserialises names and finds their templates.
    ///
    /// # Errors
    ///
    /// Returns an error if the input is not a list of names or a template does not exist.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<VecDeque<&'static Template>, D::Error> {
        let names = Vec::<String>::deserialize(deserializer)?;
        let found = |name: &String| super::find(name).ok_or_else(|| D::Error::custom(format!("no template {name:?}")));
        names.iter().map(found).collect()
    }
}

/// Returns the first template of this category, if possible of the subcategory too.
pub fn of_category(category: &str, subcategory: &str) -> Option<&'static Template> {
    let of_both = TEMPLATES.iter().find(|known| known.category == category && known.subcategory == subcategory);
    of_both.or_else(|| TEMPLATES.iter().find(|template| template.category == category))
}

/// Returns a device with default values in the members that every device has.
pub fn blank(id: &DeviceId, name: &str, room: RoomId, gateway: GatewayId) -> Device {
    Device {
        object_id: id.clone().into(),
        parent_device_id: DeviceId::default().into(),
        category: Category::UnknownToken.into(),
        subcategory: "".into(),
        device_type_id: "".into(),
        gateway_id: gateway.into(),
        name: name.into(),
        kind: "device".into(),
        battery_powered: false.into(),
        reachable: true.into(),
        room_id: room.into(),
        persistent: false.into(),
        service_notification: false.into(),
        security: "no".into(),
        ready: true.into(),
        status: "idle".into(),
        ..Device::default()
    }
}

impl Template {
    /// Returns a device of this kind, without items. `node` is its Z-Wave node number.
    pub fn device(&self, id: &DeviceId, name: &str, room: RoomId, gateway: GatewayId, node: u64) -> Device {
        let mut ids = self.type_id.split('_');
        let manufacturer = ids.next().unwrap_or_default();
        let blank = blank(id, name, room, gateway);
        // The members have the order of the captures.
        Device {
            category: Category::from(self.category).into(),
            subcategory: self.subcategory.into(),
            device_type_id: self.type_id.into(),
            kind: self.kind.into(),
            battery_powered: self.battery.into(),
            armed: if self.category == "security_sensor" { false.into() } else { None.into() },
            info: json!({
                "firmware.stack": "3.42",
                "hardware": "1",
                "manufacturer": manufacturer,
                "model": self.name,
                "protocol": "zwave",
                "zwave.node": node.to_string(),
                "zwave.smartstart": "no",
            })
            .into(),
            ..blank
        }
    }

    /// Returns the category and, after a slash, the subcategory.
    pub fn full_category(&self) -> String {
        let Self { category, subcategory, .. } = self;
        if subcategory.is_empty() { (*category).to_owned() } else { format!("{category}/{subcategory}") }
    }

    /// Returns the number of devices and of items that a device of this kind consists of, parts included.
    pub fn size(&self) -> (usize, usize) {
        let parts = self.parts.iter().filter_map(|part| find(part)).map(Self::size);
        parts.fold((1, self.items.len()), |(devices, items), part| (devices + part.0, items + part.1))
    }

    /// Returns the item with this name, without ids. Items of parts are included.
    pub fn item(&self, name: &str) -> Option<Item> {
        let parts = self.parts.iter().filter_map(|part| find(part)).flat_map(|part| part.items);
        let spec = self.items.iter().chain(parts).find(|item| item.name == name)?;
        Some(spec.item(ItemId::default(), DeviceId::default()))
    }
}

impl ItemTemplate {
    /// Returns an item with the default value.
    pub fn item(&self, id: ItemId, device: DeviceId) -> Item {
        let known = catalogue::item(self.name);
        let or = |own: &'static str, guide: Option<&'static str>| {
            if own.is_empty() { guide.unwrap_or_default() } else { own }
        };
        let value_type = ValueType::from(or(self.value_type, known.and_then(|known| known.value_type)));
        let tokens = match (self.tokens, known) {
            ([], Some(known)) => known.tokens(),
            (own, _) => own,
        };
        let access = self.access.unwrap_or(match known.map(|known| (known.getter, known.setter)) {
            Some((true, true)) => Access::ReadWrite,
            Some((false, true)) => Access::Write,
            _ => Access::Read,
        });
        let scale = or(self.scale, known.and_then(|known| known.scales.first().copied()));
        let element_type = or(self.element_type, known.and_then(|known| known.element_type));
        let default = or(self.default, known.map(|known| known.default));
        // The guide uses the first token as default where it lists none. Its default of `sound_playback` is not a token.
        let fits = |value: &Value| tokens.is_empty() || value.as_str().is_none_or(|token| tokens.contains(&token));
        let value =
            serde_json::from_str(default).ok().filter(fits).or_else(|| tokens.first().map(|first| json!(first)));
        let value: Value = value.unwrap_or(Value::Null);
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let codes = self.name == "user_codes";
        Item {
            id,
            device_id: device.into(),
            name: self.name.into(),
            has_getter: (access != Access::Write).into(),
            has_setter: (access != Access::Read || codes).into(),
            show: true.into(),
            value_formatted: value_type.format(&value).into(),
            value_type: value_type.into(),
            value: value.into(),
            scale: text(scale).map(|scale| Scale::from(scale.as_str())).into(),
            tokens: (!tokens.is_empty()).then(|| tokens.iter().map(|token| (*token).to_owned()).collect()).into(),
            min_value: self.range.map(|(low, _)| low.into()).into(),
            max_value: self.range.map(|(_, high)| high.into()).into(),
            element_type: text(element_type).into(),
            elements_max_number: codes.then_some(USER_CODES).into(),
            user_code_restriction: codes.then(|| USER_CODE_PATTERN.to_owned()).into(),
            user_code_modes: codes.then(|| USER_CODE_MODES.map(str::to_owned).to_vec()).into(),
            info: codes.then(user_code_references).into(),
            value_indent: text(self.apart_from).map(|other| json!({"item": other, "minIndent": 2})).into(),
            ..Item::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn templates_use_catalogue_names_and_valid_defaults() {
        for (at, template) in TEMPLATES.iter().enumerate() {
            assert!(TEMPLATES[..at].iter().all(|earlier| earlier.name != template.name), "{}", template.name);
            assert!(Category::from(template.category).is_known(), "{}", template.name);
            assert!(template.parts.iter().all(|part| find(part).is_some()), "{}", template.name);
            for spec in template.items {
                let item = spec.item("i".into(), "d".into());
                assert!(item.value_type.get().unwrap().is_known(), "{}", spec.name);
                assert!(item.scale.get().is_none_or(Scale::is_known), "{}", spec.name);
                let value = item.value.get().unwrap().clone();
                assert_eq!(item.holds(&value), Ok(()), "{} of {}", spec.name, template.name);
                assert!(catalogue::ItemName::from(spec.name).is_known(), "{} is not a known item name", spec.name);
            }
        }
    }

    #[test]
    fn every_catalogue_category_has_a_template() {
        let covered: BTreeSet<&str> = TEMPLATES.iter().map(|template| template.category).collect();
        for category in catalogue::CATEGORIES {
            assert!(covered.contains(category.name), "{}", category.name);
        }
        assert!(TEMPLATES.len() >= 25);
    }
}
