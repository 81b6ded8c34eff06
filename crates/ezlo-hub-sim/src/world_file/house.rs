//! What is in a house: devices, their items, scenes, behaviours.

use ezlo_protocol::hub::item::Item;
use ezlo_protocol::hub::mode::MODES;
use ezlo_protocol::hub::scene::{
    Block, BlockValue, Comparator, HmsInterval, SunEvent, SunTiming, button, daily_at, every, http_get, item_changed,
    item_compares, item_is, mode_changed_to, not, set_device_armed, set_item, sun, switch_mode, weekly_at,
};
use ezlo_protocol::hub::value::ValueType;
use ezlo_protocol::hub::{DeviceId, SceneId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A device: of a template, or described by itself.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceFile {
    /// Name of a template; absent for a device that is described here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room: Option<String>,
    /// Name of the device it is a part of; that one comes first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subcategory: Option<String>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_type_id: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub battery_powered: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub armed: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reachable: Option<bool>,
    /// Items beside the template's, or other values for those it has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<ItemFile>,
}

/// An item. Only the name is needed where the template has it.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ItemFile {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub has_getter: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub has_setter: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub show: Option<bool>,
    #[serde(rename = "enum", skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub element_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub elements_max_number: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_code_restriction: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_value: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_value: Option<Value>,
}

/// A scene.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SceneFile {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room: Option<String>,
    /// Ids of house modes in which it runs; all when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub modes: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub when: Vec<ConditionFile>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub then: Vec<ActionFile>,
    #[serde(rename = "else", default, skip_serializing_if = "Vec::is_empty")]
    pub otherwise: Vec<ActionFile>,
}

/// Declares an enumeration whose variants are told apart by one member, so that an error names the member that is wrong and
/// not "no variant fits".
macro_rules! told_by_member {
    ($(#[$meta:meta])* $name:ident { $( $(#[$doc:meta])* $variant:ident ($file:ident) by $member:literal; )* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Deserialize, Serialize)]
        #[serde(try_from = "Value", untagged)]
        pub enum $name { $( $(#[$doc])* $variant($file), )* }

        impl TryFrom<Value> for $name {
            type Error = String;

            fn try_from(value: Value) -> Result<Self, String> {
                $( if value.get($member).is_some() {
                    let read = serde_json::from_value(value).map(Self::$variant);
                    return read.map_err(|error| format!("with {:?}: {error}", $member));
                } )*
                Err(format!("one of these is needed: {}", [$($member),*].join(", ")))
            }
        }
    };
}

/// Declares the members of one variant.
macro_rules! members {
    ($( $(#[$meta:meta])* $name:ident { $( $(#[$field_meta:meta])* $field:ident : $type:ty, )* } )*) => { $(
        $(#[$meta])*
        #[derive(Debug, Clone, Deserialize, Serialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name { $( $(#[$field_meta])* pub $field: $type, )* }
    )* };
}

told_by_member! {
    /// A condition.
    ConditionFile {
        /// A number compares.
        Compares(ComparesFile) by "comparator";
        /// A button did something.
        Button(ButtonFile) by "button";
        /// Each day, or on these days of the week (1 = Monday), at that time.
        At(AtFile) by "at";
        /// Again and again.
        Every(EveryFile) by "every";
        /// At `sunrise` or `sunset`, or so many seconds after it, or before it where negative.
        Sun(SunFile) by "sun";
        /// The house came into a mode.
        Mode(ModeFile) by "mode";
        /// All of these hold.
        All(AllFile) by "all";
        /// One of these holds.
        Any(AnyFile) by "any";
        /// It does not hold.
        Not(NotFile) by "not";
        /// A block as a hub has it; `@device/item`, `@device` and `@scene name` stand for ids.
        Raw(RawFile) by "block";
        /// An item has a value.
        Is(IsFile) by "value";
        /// An item changed.
        Changed(ChangedFile) by "item";
    }
}

told_by_member! {
    /// An action.
    ActionFile {
        /// Arms a device or not.
        Arm(ArmFile) by "armed";
        /// Switches the house mode.
        Mode(SwitchFile) by "mode";
        /// Calls a web server with GET.
        Get(GetFile) by "http_get";
        /// A block as a hub has it; `@device/item`, `@device` and `@scene name` stand for ids.
        Raw(RawFile) by "block";
        /// Sets an item.
        Set(SetFile) by "item";
    }
}

members! {
    ComparesFile { device: String, item: String, comparator: String, value: f64, }
    ButtonFile { device: String, button: String, }
    AtFile { at: String, #[serde(default)] weekdays: Vec<u8>, }
    EveryFile { every: String, }
    SunFile { sun: String, #[serde(default)] offset: i64, }
    ModeFile { mode: String, }
    AllFile { all: Vec<ConditionFile>, }
    AnyFile { any: Vec<ConditionFile>, }
    NotFile { not: Box<ConditionFile>, }
    RawFile { block: Value, }
    IsFile { device: String, item: String, value: Value, }
    ChangedFile { device: String, item: String, }
    ArmFile { device: String, armed: bool, #[serde(default)] delay_seconds: u64, }
    SwitchFile { mode: String, #[serde(default)] delay_seconds: u64, }
    GetFile { http_get: String, #[serde(default)] delay_seconds: u64, }
    SetFile { device: String, item: String, value: Value, #[serde(default)] delay_seconds: u64, }
}

/// Something that lives.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, tag = "kind", rename_all = "snake_case")]
pub enum BehaviourFile {
    /// The temperature drifts to `outside`, in celsius, and up or down as the thermostat `heater` (or itself) says.
    Climate { device: String, outside: f64, heater: Option<String> },
    /// Somebody moves at these hours, so often an hour, for so long.
    Motion {
        device: String,
        #[serde(default)]
        hours: Vec<u8>,
        per_hour: f64,
        #[serde(default = "minute")]
        seconds: u32,
    },
    /// A door opens at these hours, so often an hour, for so long.
    Door {
        device: String,
        #[serde(default)]
        hours: Vec<u8>,
        per_hour: f64,
        #[serde(default = "minute")]
        seconds: u32,
    },
    /// A metered device draws that much when it is on.
    Power { device: String, watts: f64 },
    /// The battery loses so much a day.
    Battery { device: String, percent_per_day: f64 },
    /// The node is away, so often a day, for so long.
    Outage { device: String, per_day: f64, seconds: u32 },
    /// A button is pressed at these times.
    Button { device: String, times: Vec<String> },
}

const fn minute() -> u32 {
    60
}

impl BehaviourFile {
    pub fn device(&self) -> &str {
        match self {
            Self::Climate { device, .. }
            | Self::Motion { device, .. }
            | Self::Door { device, .. }
            | Self::Power { device, .. }
            | Self::Battery { device, .. }
            | Self::Outage { device, .. }
            | Self::Button { device, .. } => device,
        }
    }
}

/// Finds ids by names.
pub struct Finders<'a> {
    /// An item by the names of its device and itself.
    pub item: &'a dyn Fn(&str, &str) -> Option<Item>,
    pub device: &'a dyn Fn(&str) -> Option<DeviceId>,
    pub scene: &'a dyn Fn(&str) -> Option<SceneId>,
}

impl SceneFile {
    /// The conditions as blocks; those that name what is not there are left out.
    pub fn conditions(&self, find: &Finders<'_>) -> Vec<Block> {
        self.when.iter().filter_map(|condition| condition.block(find)).collect()
    }

    /// The actions as blocks; those that name what is not there are left out.
    pub fn actions(&self, find: &Finders<'_>) -> Vec<Block> {
        self.then.iter().filter_map(|action| action.block(find)).collect()
    }

    /// The actions otherwise.
    pub fn otherwise(&self, find: &Finders<'_>) -> Vec<Block> {
        let blocks = self.otherwise.iter().filter_map(|action| action.block(find));
        blocks.map(|block| Block { kind: "else".into(), ..block }).collect()
    }
}

fn typed(item: &Item, value: &Value) -> BlockValue {
    let kind = item.value_type.get().map_or("string", ValueType::as_str);
    BlockValue { scale: item.scale.get().cloned(), ..BlockValue::new(kind, value.clone()) }
}

impl ConditionFile {
    pub(super) fn block(&self, find: &Finders<'_>) -> Option<Block> {
        let group = |all: &[Self]| all.iter().map(|one| one.block(find)).collect::<Option<Vec<_>>>();
        Some(match self {
            Self::Compares(file) => {
                let item = (find.item)(&file.device, &file.item)?;
                let number = typed(&item, &serde_json::json!(file.value));
                item_compares(item.id, Comparator::from(file.comparator.as_str()), number)
            }
            Self::Is(file) => {
                let item = (find.item)(&file.device, &file.item)?;
                let value = typed(&item, &file.value);
                item_is(item.id, value)
            }
            Self::Button(file) => button((find.item)(&file.device, "button_state")?.id, &file.button),
            Self::Changed(file) => item_changed((find.item)(&file.device, &file.item)?.id),
            Self::At(file) if file.weekdays.is_empty() => daily_at(file.at.parse().ok()?),
            Self::At(file) => weekly_at(file.weekdays.iter().copied(), file.at.parse().ok()?),
            Self::Every(file) => every(file.every.parse().ok()?),
            Self::Sun(file) => {
                let timing = match file.offset {
                    0 => SunTiming::At,
                    1.. => SunTiming::After,
                    _ => SunTiming::Before,
                };
                let seconds = u32::try_from(file.offset.unsigned_abs()).ok()?;
                sun(SunEvent::from(file.sun.as_str()), timing, HmsInterval::from_seconds(seconds))
            }
            Self::Mode(file) => mode_changed_to(known_mode(&file.mode)?),
            Self::All(file) => ezlo_protocol::hub::scene::all(group(&file.all)?),
            Self::Any(file) => ezlo_protocol::hub::scene::any(group(&file.any)?),
            Self::Not(file) => not(file.not.block(find)?),
            Self::Raw(file) => raw(&file.block, find)?,
        })
    }
}

impl ActionFile {
    pub(super) fn block(&self, find: &Finders<'_>) -> Option<Block> {
        let (block, delay) = match self {
            Self::Set(file) => {
                let item = (find.item)(&file.device, &file.item)?;
                let value = typed(&item, &file.value);
                (set_item(item.id, value), file.delay_seconds)
            }
            Self::Arm(file) => (set_device_armed((find.device)(&file.device)?, file.armed), file.delay_seconds),
            Self::Mode(file) => (switch_mode(known_mode(&file.mode)?), file.delay_seconds),
            Self::Get(file) => (http_get(&file.http_get), file.delay_seconds),
            Self::Raw(file) => return raw(&file.block, find),
        };
        Some(block.after(std::time::Duration::from_secs(delay)))
    }
}

/// Ids of house modes are fixed.
pub(super) fn known_mode(mode: &str) -> Option<&str> {
    MODES.iter().find(|(id, _)| *id == mode).map(|(id, _)| *id)
}

/// A block with ids in place of names.
fn raw(block: &Value, find: &Finders<'_>) -> Option<Block> {
    let named = put_ids(block, find)?;
    ezlo_protocol::wire::from_value(&named).ok()
}

fn put_ids(value: &Value, find: &Finders<'_>) -> Option<Value> {
    Some(match value {
        Value::String(text) => match text.strip_prefix('@') {
            None => value.clone(),
            Some(path) => match (path.strip_prefix("scene "), path.rsplit_once('/')) {
                (Some(scene), _) => (find.scene)(scene)?.as_str().into(),
                (None, Some((device, item))) => (find.item)(device, item)?.id.as_str().into(),
                (None, None) => (find.device)(path)?.as_str().into(),
            },
        },
        Value::Array(all) => all.iter().map(|one| put_ids(one, find)).collect::<Option<Vec<_>>>()?.into(),
        Value::Object(all) => all
            .iter()
            .map(|(name, one)| Some((name.clone(), put_ids(one, find)?)))
            .collect::<Option<serde_json::Map<_, _>>>()?
            .into(),
        other => other.clone(),
    })
}
