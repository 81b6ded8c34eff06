//! Methods of scenes that editors use: copies, data of clients, lists, vocabulary (d22, pi).

use std::collections::BTreeSet;

use ezlo_protocol::hub::catalogue::{THEN_METHODS, VALUE_TYPES, WHEN_METHODS};
use ezlo_protocol::hub::scene::{
    BLOCKS, Block, BlockDataQuery, BlockMeta, BlockReset, Place, Scene, SceneClone, SceneMeta, SceneRef, TimeScenes,
    TriggerDevices,
};
use ezlo_protocol::hub::{DeviceId, Empty, ItemId};
use ezlo_protocol::rpc::RpcError;
use ezlo_protocol::wire::Field;
use serde_json::{Map, Value, json};

use crate::answer::{Answer, done, missing, not_found};
use crate::context::Context;
use crate::hub::Hub;
use crate::hub::scenes::is_called;
use crate::state::time_conditions::times;
use ezlo_protocol::wire::encoded_len;

/// Version of the scene engine (d22: advanced_scenes of early 2023).
const ADVANCED_SCENES: &str = "1.52";

/// Types of the fields of blocks (d22, pi).
const SCENES_VALUE_TYPES: &[&str] = &[
    "item",
    "device",
    "device_group",
    "item_group",
    "expression",
    "block",
    "blocks",
    "interval",
    "hms_interval",
    "24_hours_time",
    "24_hours_time_array",
    "int_array",
    "sceneId",
    "houseModeId",
    "houseModeId_array",
    "string",
    "bool",
    "int",
    "float",
    "token",
    "object",
    "credential",
    "dictionaryId",
    "enum",
];

impl Hub {
    /// Creates a copy of a scene. Its default name is that of the vendor's firmware (pi).
    pub(crate) fn scene_clone(&mut self, request: SceneClone, context: &mut Context<'_>) -> Answer<Empty> {
        let scene = self.scenes.get(&request.id).ok_or_else(|| not_found("ezlo.scenes.not.exist"))?;
        let old = scene.name.as_deref().unwrap_or_default();
        let is_taken = |name: &str| self.scenes.values().any(|scene| scene.name.as_deref() == Some(name));
        let free = || (1..).map(|at| shortened(old, &format!("_cloned({at})"))).find(|name| !is_taken(name));
        let name = request.name.into_option().or_else(free).unwrap_or_default();
        let copy = Scene { id: Field::Absent, name: name.into(), sync_notification: Field::Absent, ..scene.clone() };
        self.scene_create(copy, context)
    }

    pub(crate) fn scene_meta_set(&mut self, request: SceneMeta, context: &mut Context<'_>) -> Answer<Empty> {
        let meta = request.meta.into_option().ok_or_else(|| missing("meta"))?;
        self.change_scene(&request.scene_id, context, |scene| scene.meta = meta.into())
    }

    pub(crate) fn scene_block_meta_set(&mut self, request: BlockMeta, context: &mut Context<'_>) -> Answer<Empty> {
        let meta = request.meta.into_option().ok_or_else(|| missing("meta"))?;
        let scene = self.scenes.get(&request.scene_id).ok_or_else(|| not_found("ezlo.scenes.not.exist"))?;
        let called: Vec<&Block> = scene.blocks().filter(|block| is_called(block, &request.block_id)).collect();
        if called.is_empty() {
            return Err(not_found("ezlo.scenes.block.not.exist"));
        }
        // Every block with the id gets a copy, so the size is checked before the data is copied.
        let known: usize = called.iter().filter_map(|block| block.meta.get()).map(encoded_len).sum();
        let added = called.len().saturating_mul(encoded_len(&meta));
        let bytes = self.bytes_of_scene(&request.scene_id).saturating_add(added).saturating_sub(known);
        self.check_scene_bytes(Some(&request.scene_id), bytes, context)?;
        self.change_scene(&request.scene_id, context, |scene| {
            for block in scene.blocks_mut().filter(|block| is_called(block, &request.block_id)) {
                block.meta = meta.clone().into();
            }
        })
    }

    /// Resets the latch of a block, or all latches of the scene.
    pub(crate) fn scene_block_status_reset(&mut self, request: BlockReset, context: &mut Context<'_>) -> Answer<Empty> {
        let scene = self.scenes.get(&request.scene_id).ok_or_else(|| not_found("ezlo.scenes.not.exist"))?;
        if let Some(id) = request.block_id.get()
            && !self.has_block(&request.scene_id, id)
            && !scene.blocks().any(|block| is_called(block, id))
        {
            return Err(not_found("ezlo.scenes.block.not.exist"));
        }
        self.reset_latches(&request.scene_id, request.block_id.as_deref(), context);
        done()
    }

    /// Returns whether a block under `when` has this id, also inside of others.
    fn has_block(&self, scene: &ezlo_protocol::hub::SceneId, id: &str) -> bool {
        let sources = self.conditions.get(scene).into_iter().flat_map(|watched| &watched.signals);
        sources.into_iter().any(|source| source.block.as_deref() == Some(id))
    }

    pub(crate) fn scene_status_get(&self, request: SceneRef, context: &Context<'_>) -> Answer<Scene> {
        self.scene_get(request, context)
    }

    pub(crate) fn scene_time_list(&self, _: Empty, _: &Context<'_>) -> Answer<TimeScenes> {
        let has_time = |scene: &&Scene| {
            let conditions: Vec<_> = scene.when.get().into_iter().flatten().map(Block::condition).collect();
            !times(&conditions).is_empty()
        };
        Ok(TimeScenes { scenes: self.scenes.values().filter(has_time).cloned().collect(), ..TimeScenes::default() })
    }

    pub(crate) fn scene_trigger_devices_list(&self, _: Empty, _: &Context<'_>) -> Answer<TriggerDevices> {
        let mut found: BTreeSet<DeviceId> = BTreeSet::new();
        for block in self.scenes.values().flat_map(|scene| scene.when.get().into_iter().flatten()) {
            self.mentioned_devices(&ezlo_protocol::wire::to_value(block), &mut found);
        }
        Ok(TriggerDevices { devices: found.into_iter().collect(), ..TriggerDevices::default() })
    }

    /// Collects the devices that the fields of a block and of its inner blocks name.
    fn mentioned_devices(&self, value: &Value, found: &mut BTreeSet<DeviceId>) {
        match value {
            Value::Array(all) => all.iter().for_each(|value| self.mentioned_devices(value, found)),
            Value::Object(members) => {
                let id = members.get("value").and_then(Value::as_str);
                match (members.get("type").and_then(Value::as_str), id) {
                    (Some("item"), Some(id)) => {
                        found.extend(self.items.get(&ItemId::from(id)).and_then(|item| item.device_id.get().cloned()));
                    }
                    (Some("device"), Some(id)) => {
                        found.extend(self.devices.get_key_value(id).map(|(id, _)| id.clone()))
                    }
                    _ => {}
                }
                members.values().for_each(|value| self.mentioned_devices(value, found));
            }
            _ => {}
        }
    }

    /// Returns the parts of the vocabulary that the request names.
    pub(crate) fn scene_block_data(&self, request: BlockDataQuery, _: &Context<'_>) -> Answer<Value> {
        type Part = (bool, &'static str, fn() -> Value);
        let on = |flag: &Field<bool>| flag.get() == Some(&true);
        let parts: [Part; 9] = [
            (
                on(&request.value_types),
                "valueTypes",
                || json!({"list": VALUE_TYPES.iter().map(|kind| kind.name).collect::<Vec<_>>()}),
            ),
            (
                on(&request.scalable_value_types),
                "scalableValueTypes",
                || json!({"list": scalable().collect::<Vec<_>>()}),
            ),
            (on(&request.value_scales), "valueScales", value_scales),
            (on(&request.scenes_value_types), "scenesValueTypes", || json!({"list": SCENES_VALUE_TYPES})),
            (on(&request.value_type_families), "valueTypeFamilies", families),
            (on(&request.comparison_operators), "comparisonOperators", operators),
            (on(&request.comparison_methods), "comparisonMethods", || methods(Place::When)),
            (on(&request.action_methods), "actionMethods", || methods(Place::Then)),
            (on(&request.advanced_scenes_version), "advancedScenesVersion", || json!({"version": ADVANCED_SCENES})),
        ];
        let wanted = parts.into_iter().filter(|(wanted, ..)| *wanted);
        let data: Map<String, Value> = wanted.map(|(_, name, make)| (name.to_owned(), make())).collect();
        if data.is_empty() { Err(RpcError::known("rpc.params.notfound")) } else { Ok(Value::Object(data)) }
    }
}

/// Joins a name and an end within the longest name of a scene.
fn shortened(name: &str, end: &str) -> String {
    let most = ezlo_protocol::hub::scene::MAX_NAME.saturating_sub(end.chars().count());
    name.chars().take(most).chain(end.chars()).collect()
}

fn scalable() -> impl Iterator<Item = &'static str> {
    VALUE_TYPES.iter().filter(|kind| !kind.scales.is_empty()).map(|kind| kind.name)
}

fn value_scales() -> Value {
    let scales = VALUE_TYPES.iter().filter(|kind| !kind.scales.is_empty());
    let entry = |kind: &ezlo_protocol::hub::catalogue::ValueTypeSpec| {
        let converter = kind.scales.len() > 1;
        (kind.name.to_owned(), json!({"scales": kind.scales, "converter": converter, "defaultScale": kind.scales[0]}))
    };
    Value::Object(scales.map(entry).collect())
}

fn families() -> Value {
    json!({
        "numeric": ["int", "float", "scalableValueTypes"],
        "strings": ["string"],
        "valuesWithLess": ["24_hours_time"],
        "valuesWithoutLess": ["bool", "token"],
    })
}

/// Returns the operators of each family (d22: a number that is not between two others is compared by `compareNumberRange`).
fn operators() -> Value {
    let compare = ["<", ">", "<=", ">=", "==", "!="];
    let methods = |operators: &[&str], method: &str| -> Vec<Value> {
        operators.iter().map(|op| json!({"op": op, "name": op, "method": method})).collect()
    };
    let numeric =
        [methods(&compare, "compareNumbers"), methods(&["between", "not_between"], "compareNumberRange")].concat();
    let operations = ["begin", "end", "contain", "length", "not_begin", "not_end", "not_contain", "not_length"];
    let strings = [
        methods(&compare, "compareStrings"),
        methods(&operations, "stringOperation"),
        methods(&["in", "not_in"], "inArray"),
    ]
    .concat();
    json!({"families": [
        {"family": "numeric", "methods": numeric},
        {"family": "strings", "methods": strings},
        {"family": "valuesWithLess", "methods": methods(&compare, "compareValues")},
        {"family": "valuesWithoutLess", "methods": methods(&["==", "!="], "compareValues")},
    ]})
}

/// Returns the methods of a place with the arguments that are known.
fn methods(place: Place) -> Value {
    let names = if place == Place::When { WHEN_METHODS } else { THEN_METHODS };
    let entry = |name: &&str| {
        let spec = BLOCKS.iter().find(|spec| spec.name == *name && spec.place == place);
        let arguments: Vec<&str> =
            spec.into_iter().flat_map(|spec| spec.arguments).map(|argument| argument.name).collect();
        ((*name).to_owned(), json!({"execution": ["sync"], "dataSource": arguments, "scope": ["local"]}))
    };
    Value::Object(names.iter().map(entry).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cloned_names_fit_the_longest_name() {
        assert_eq!(shortened("Lamp", "_cloned(1)"), "Lamp_cloned(1)");
        assert_eq!(shortened(&"x".repeat(25), "_cloned(12)").chars().count(), 25);
    }
}
