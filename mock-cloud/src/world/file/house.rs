//! What is in a house: devices, their items, scenes, behaviours.

use ezlo_protocol::hub::DeviceId;
use ezlo_protocol::hub::item::Item;
use ezlo_protocol::hub::scene::{
    Block, BlockValue, Comparator, HmsInterval, SunEvent, SunTiming, button, daily_at, every, http_get, item_changed,
    item_compares, item_is, mode_changed_to, not, set_device_armed, set_item, sun, switch_mode, weekly_at,
};
use ezlo_protocol::hub::value::ValueType;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A device: of a template, or described by itself.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeviceFile {
    /// Name of a template; absent for a device that is described here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) template: Option<String>,
    pub(crate) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) room: Option<String>,
    /// Name of the device it is a part of; that one comes first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) parent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) category: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) subcategory: Option<String>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) device_type_id: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) battery_powered: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) armed: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reachable: Option<bool>,
    /// Items beside the template's, or other values for those it has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) items: Vec<ItemFile>,
}

/// An item. Only the name is needed where the template has it.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ItemFile {
    pub(crate) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) value_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) value: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) scale: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) has_getter: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) has_setter: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) show: Option<bool>,
    #[serde(rename = "enum", skip_serializing_if = "Option::is_none")]
    pub(crate) tokens: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) element_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) min_value: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_value: Option<Value>,
}

/// A scene.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SceneFile {
    pub(crate) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) enabled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) room: Option<String>,
    /// Ids of house modes in which it runs; all when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) modes: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) when: Vec<ConditionFile>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) then: Vec<ActionFile>,
}

/// A condition, told by its members.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, untagged)]
pub(crate) enum ConditionFile {
    /// A number compares.
    Compares { device: String, item: String, comparator: String, value: f64 },
    /// An item has a value.
    Is { device: String, item: String, value: Value },
    /// A button did something.
    Button { device: String, button: String },
    /// An item changed.
    Changed { device: String, item: String },
    /// Each day, or on these days of the week (1 = Monday), at that time.
    At {
        at: String,
        #[serde(default)]
        weekdays: Vec<u8>,
    },
    /// Again and again.
    Every { every: String },
    /// At `sunrise` or `sunset`, or so many seconds after it, or before it where negative.
    Sun {
        sun: String,
        #[serde(default)]
        offset: i64,
    },
    /// The house came into a mode.
    Mode { mode: String },
    /// All of these hold.
    All { all: Vec<Self> },
    /// One of these holds.
    Any { any: Vec<Self> },
    /// It does not hold.
    Not { not: Box<Self> },
    /// A block as a hub has it; `@device/item` stands for the id of an item.
    Raw { block: Value },
}

/// An action, told by its members.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, untagged)]
pub(crate) enum ActionFile {
    /// Sets an item.
    Set {
        device: String,
        item: String,
        value: Value,
        #[serde(default)]
        delay_seconds: u64,
    },
    /// Arms a device or not.
    Arm {
        device: String,
        armed: bool,
        #[serde(default)]
        delay_seconds: u64,
    },
    /// Switches the house mode.
    Mode {
        mode: String,
        #[serde(default)]
        delay_seconds: u64,
    },
    /// Calls a web server with GET.
    Get {
        http_get: String,
        #[serde(default)]
        delay_seconds: u64,
    },
    /// A block as a hub has it; `@device/item` stands for the id of an item.
    Raw { block: Value },
}

/// Something that lives.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, tag = "kind", rename_all = "snake_case")]
pub(crate) enum BehaviourFile {
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
    pub(crate) fn device(&self) -> &str {
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

/// Finds an item by the names of its device and itself.
pub(crate) type FindItem<'a> = &'a dyn Fn(&str, &str) -> Option<Item>;
/// Finds a device by its name.
pub(crate) type FindDevice<'a> = &'a dyn Fn(&str) -> Option<DeviceId>;

impl SceneFile {
    /// The conditions as blocks; those that name what is not there are left out.
    pub(crate) fn conditions(&self, item: FindItem<'_>, device: FindDevice<'_>) -> Vec<Block> {
        self.when.iter().filter_map(|condition| condition.block(item, device)).collect()
    }

    /// The actions as blocks; those that name what is not there are left out.
    pub(crate) fn actions(&self, item: FindItem<'_>, device: FindDevice<'_>) -> Vec<Block> {
        self.then.iter().filter_map(|action| action.block(item, device)).collect()
    }
}

fn typed(item: &Item, value: &Value) -> BlockValue {
    let kind = item.value_type.get().map_or("string", ValueType::as_str);
    BlockValue { scale: item.scale.get().cloned(), ..BlockValue::new(kind, value.clone()) }
}

impl ConditionFile {
    pub(super) fn block(&self, item: FindItem<'_>, device: FindDevice<'_>) -> Option<Block> {
        let group = |all: &[Self]| all.iter().map(|one| one.block(item, device)).collect::<Option<Vec<_>>>();
        Some(match self {
            Self::Compares { device, item: name, comparator, value } => {
                let found = item(device, name)?;
                let number = typed(&found, &serde_json::json!(value));
                item_compares(found.id, Comparator::from(comparator.as_str()), number)
            }
            Self::Is { device, item: name, value } => {
                let found = item(device, name)?;
                let value = typed(&found, value);
                item_is(found.id, value)
            }
            Self::Button { device, button: state } => button(item(device, "button_state")?.id, state),
            Self::Changed { device, item: name } => item_changed(item(device, name)?.id),
            Self::At { at, weekdays } if weekdays.is_empty() => daily_at(at.parse().ok()?),
            Self::At { at, weekdays } => weekly_at(weekdays.iter().copied(), at.parse().ok()?),
            Self::Every { every: interval } => every(interval.parse().ok()?),
            Self::Sun { sun: event, offset } => {
                let timing = match offset {
                    0 => SunTiming::At,
                    1.. => SunTiming::After,
                    _ => SunTiming::Before,
                };
                let seconds = u32::try_from(offset.unsigned_abs()).ok()?;
                sun(SunEvent::from(event.as_str()), timing, HmsInterval::from_seconds(seconds))
            }
            Self::Mode { mode } => mode_changed_to(mode.as_str()),
            Self::All { all } => ezlo_protocol::hub::scene::all(group(all)?),
            Self::Any { any } => ezlo_protocol::hub::scene::any(group(any)?),
            Self::Not { not: inner } => not(inner.block(item, device)?),
            Self::Raw { block } => raw(block, item, device)?,
        })
    }
}

impl ActionFile {
    pub(super) fn block(&self, item: FindItem<'_>, device: FindDevice<'_>) -> Option<Block> {
        let (block, delay) = match self {
            Self::Set { device, item: name, value, delay_seconds } => {
                let found = item(device, name)?;
                let value = typed(&found, value);
                (set_item(found.id, value), *delay_seconds)
            }
            Self::Arm { device: name, armed, delay_seconds } => {
                (set_device_armed(device(name)?, *armed), *delay_seconds)
            }
            Self::Mode { mode, delay_seconds } => (switch_mode(mode.as_str()), *delay_seconds),
            Self::Get { http_get: url, delay_seconds } => (http_get(url), *delay_seconds),
            Self::Raw { block } => return raw(block, item, device),
        };
        Some(block.after(std::time::Duration::from_secs(delay)))
    }
}

/// A block with ids in place of `@device/item` and `@device`.
fn raw(block: &Value, item: FindItem<'_>, device: FindDevice<'_>) -> Option<Block> {
    let named = put_ids(block, item, device)?;
    ezlo_protocol::wire::from_value(&named).ok()
}

fn put_ids(value: &Value, item: FindItem<'_>, device: FindDevice<'_>) -> Option<Value> {
    Some(match value {
        Value::String(text) => match text.strip_prefix('@').map(|path| path.rsplit_once('/').ok_or(path)) {
            Some(Ok((device, name))) => item(device, name)?.id.as_str().into(),
            Some(Err(name)) => device(name)?.as_str().into(),
            None => value.clone(),
        },
        Value::Array(all) => all.iter().map(|one| put_ids(one, item, device)).collect::<Option<Vec<_>>>()?.into(),
        Value::Object(all) => all
            .iter()
            .map(|(name, one)| Some((name.clone(), put_ids(one, item, device)?)))
            .collect::<Option<serde_json::Map<_, _>>>()?
            .into(),
        other => other.clone(),
    })
}
