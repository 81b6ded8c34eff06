//! References of scenes to other objects. A hub refuses a scene that refers to what does not exist (errors: d22; which argument
//! has which error is inferred).

use ezlo_protocol::hub::scene::{ArgumentKind, Block, Place, Scene, block_spec};
use ezlo_protocol::hub::value::{Scale, ValueType};
use ezlo_protocol::hub::{ItemId, SceneId};
use ezlo_protocol::rpc::RpcError;
use serde_json::Value;

use crate::answer::Answer;
use crate::context::Context;
use crate::hub::Hub;

/// Maximum number of scenes that the search for a circle visits.
const MAX_VISITED: usize = 2_000;

impl Hub {
    /// Refuses a scene with a reference to a missing object, or with a value that an item cannot have.
    ///
    /// `id` is the id of the scene, if it has one already.
    pub(crate) fn check_references(&self, scene: &Scene, id: Option<&SceneId>, context: &Context<'_>) -> Answer<()> {
        // Firmware that accepts every value is not known to check references.
        if self.family.never_refuses_values {
            return Ok(());
        }
        for (name, blocks) in [("when", &scene.when), ("exceptions", &scene.exceptions)] {
            for (at, block) in blocks.get().into_iter().flatten().enumerate() {
                self.check_block(block, Place::When, &format!("{name}[{at}]"), id)?;
            }
        }
        for (at, block) in scene.all_actions().enumerate() {
            self.check_block(block, Place::Then, &format!("action {at}"), id)?;
        }
        if context.assumptions.refuse_scene_cycles
            && id.is_some_and(|id| self.runs_in_a_circle(scene, id, &mut Vec::new()))
        {
            return Err(RpcError::known("scenes.cycle.detected"));
        }
        Ok(())
    }

    fn check_block(&self, block: &Block, place: Place, at: &str, own: Option<&SceneId>) -> Answer<()> {
        let Some(spec) = block.method().and_then(block_spec) else { return Ok(()) };
        for argument in spec.arguments {
            let mut names = std::iter::once(argument.name).chain(argument.also.iter().copied());
            let Some((name, value)) = names.find_map(|name| Some((name, block.argument(name)?))) else { continue };
            let is_known = match (argument.kind, name) {
                (ArgumentKind::Block, _) => return self.check_inner(value, place, &format!("{at}.block"), own),
                (ArgumentKind::Blocks, _) => {
                    for (index, inner) in value.as_array().into_iter().flatten().enumerate() {
                        self.check_inner(inner, place, &format!("{at}.blocks[{index}]"), own)?;
                    }
                    true
                }
                (ArgumentKind::Item, _) | (ArgumentKind::Operand, "item") => self.has_item(value),
                (ArgumentKind::Device, "device") => {
                    value.as_str().is_some_and(|device| self.devices.contains_key(device))
                }
                (ArgumentKind::Scene, _) => value.as_str().is_some_and(|scene| {
                    self.scenes.contains_key(scene) || own.is_some_and(|own| own.as_str() == scene)
                }),
                (_, "deviceGroup" | "itemGroup") if !self.has_group(name, value) => {
                    return Err(reason("ezlo.scenes.block.groups.not.exist", at, name));
                }
                _ => true,
            };
            if !is_known {
                return Err(reason(wrong(place), at, name));
            }
        }
        let refers_to_itself =
            || own.is_some_and(|own| block.argument("scene").and_then(Value::as_str) == Some(own.as_str()));
        if block.method() == Some("isSceneState") && refers_to_itself() {
            return Err(reason("scenes.when.recursive_execute", at, "scene"));
        }
        if block.method() == Some("setItemValue") { self.check_set(block, at) } else { Ok(()) }
    }

    fn check_inner(&self, block: &Value, place: Place, at: &str, own: Option<&SceneId>) -> Answer<()> {
        match ezlo_protocol::wire::from_value::<Block>(block) {
            Ok(block) => self.check_block(&block, place, at, own),
            Err(_) => Ok(()),
        }
    }

    fn has_item(&self, id: &Value) -> bool {
        id.as_str().is_some_and(|id| self.items.contains_key(id))
    }

    fn has_group(&self, name: &str, id: &Value) -> bool {
        let Some(id) = id.as_str() else { return false };
        if name == "deviceGroup" {
            self.newer.device_groups.contains_key(id)
        } else {
            self.newer.item_groups.contains_key(id)
        }
    }

    /// Refuses an action that sets an item without a setter, or a value of another type.
    fn check_set(&self, block: &Block, at: &str) -> Answer<()> {
        let id = block.argument("item").and_then(Value::as_str).unwrap_or_default();
        let (Some(item), Some(field)) = (self.items.get(&ItemId::from(id)), block.argument_field("value")) else {
            return Ok(());
        };
        let (Some(value), Some(_)) = (field.value.get(), item.value_type.get().filter(|kind| is_checked(kind))) else {
            return Ok(());
        };
        let scale = field.scale.as_deref().map(Scale::from);
        // A dictionary is set by elements, and a value in another unit is converted when the scene runs.
        let is_converted = scale.is_some() && item.scale.get() != scale.as_ref();
        if is_converted || crate::hub::items::is_accepted(item, value) {
            return Ok(());
        }
        Err(reason(wrong(Place::Then), at, "value"))
    }

    /// Returns whether the actions of a scene run a scene that runs the first one again.
    fn runs_in_a_circle(&self, scene: &Scene, first: &SceneId, visited: &mut Vec<SceneId>) -> bool {
        let targets = scene.all_actions().filter(|block| block.method() == Some("runScene"));
        let targets = targets.filter_map(|block| block.argument("sceneId")?.as_str()).map(SceneId::from);
        for target in targets.collect::<Vec<_>>() {
            if target == *first {
                return true;
            }
            if visited.contains(&target) || visited.len() >= MAX_VISITED {
                continue;
            }
            visited.push(target.clone());
            if self.scenes.get(&target).is_some_and(|next| self.runs_in_a_circle(next, first, visited)) {
                return true;
            }
        }
        false
    }
}

/// Returns whether the shape of the type is known well enough to refuse a value.
fn is_checked(kind: &ValueType) -> bool {
    !matches!(kind, ValueType::Dictionary | ValueType::Array | ValueType::ButtonState)
}

const fn wrong(place: Place) -> &'static str {
    match place {
        Place::When => "ezlo.scenes.block.when.wrong",
        Place::Then => "ezlo.scenes.block.then.wrong",
    }
}

fn reason(data: &str, at: &str, argument: &str) -> RpcError {
    let reason = format!("{at}: argument {argument:?} does not exist or does not fit");
    RpcError { reason: reason.into(), ..RpcError::known(data) }
}
