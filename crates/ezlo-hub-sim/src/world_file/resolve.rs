//! Turns the conditions and actions of a world file into scene blocks, with names replaced by ids.

use std::collections::BTreeMap;

use ezlo_protocol::hub::item::Item;
use ezlo_protocol::hub::mode::MODES;
use ezlo_protocol::hub::scene::{
    Block, BlockValue, Comparator, HmsInterval, SunEvent, SunTiming, button, daily_at, every, http_get, item_changed,
    item_compares, item_is, mode_changed_to, not, set_device_armed, set_item, sun, switch_mode, weekly_at,
};
use ezlo_protocol::hub::value::ValueType;
use ezlo_protocol::hub::{DeviceId, SceneId};
use serde_json::Value;

use super::house::{ActionFile, ConditionFile, SceneFile};

/// Lookups of objects by the names in a world file.
pub struct Finders<'a> {
    /// Returns an item by the names of its device and of the item.
    pub item: &'a dyn Fn(&str, &str) -> Option<Item>,
    /// Returns the id of a device by its name.
    pub device: &'a dyn Fn(&str) -> Option<DeviceId>,
    /// Returns the id of a scene by its name.
    pub scene: &'a dyn Fn(&str) -> Option<SceneId>,
}

impl std::fmt::Debug for Finders<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Finders").finish_non_exhaustive()
    }
}

impl SceneFile {
    /// Returns the conditions as blocks. Conditions with unknown names or invalid values are omitted.
    pub fn conditions(&self, find: &Finders<'_>) -> Vec<Block> {
        self.when.iter().filter_map(|condition| condition.block(find)).collect()
    }

    /// Returns the exceptions as blocks. Conditions with unknown names or invalid values are omitted.
    pub fn exceptions(&self, find: &Finders<'_>) -> Vec<Block> {
        self.exceptions.iter().filter_map(|condition| condition.block(find)).collect()
    }

    /// Returns the actions as blocks. Actions with unknown names or invalid values are omitted.
    pub fn actions(&self, find: &Finders<'_>) -> Vec<Block> {
        self.then.iter().filter_map(|action| action.block(find)).collect()
    }

    /// Returns the `else` actions as blocks. Actions with unknown names or invalid values are omitted.
    pub fn otherwise(&self, find: &Finders<'_>) -> Vec<Block> {
        let blocks = self.otherwise.iter().filter_map(|action| action.block(find));
        blocks.map(|block| Block { kind: "else".into(), ..block }).collect()
    }
}

/// Returns groups of actions as blocks. Actions with unknown names or invalid values are omitted.
pub(crate) fn resolved_groups(
    groups: &BTreeMap<String, Vec<ActionFile>>,
    find: &Finders<'_>,
) -> BTreeMap<String, Vec<Block>> {
    let blocks = |actions: &Vec<ActionFile>| actions.iter().filter_map(|action| action.block(find)).collect();
    groups.iter().map(|(id, actions)| (id.clone(), blocks(actions))).collect()
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
            Self::Mode(file) => mode_changed_to([known_mode(&file.mode)?]),
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

/// Returns the id if a house mode has it. The ids of house modes are fixed.
pub(super) fn known_mode(mode: &str) -> Option<&str> {
    MODES.iter().find(|(id, _)| *id == mode).map(|(id, _)| *id)
}

/// Returns the block with references replaced by ids; `None` if a reference or the block is invalid.
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
