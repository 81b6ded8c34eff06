//! Methods that store, change and describe scenes.

use ezlo_protocol::hub::item::Item;
use ezlo_protocol::hub::scene::{
    Action, Block, BlockList, BlockQuery, BlockSwitch, BlockValue, Condition, Scene, SceneEdit, SceneList, SceneModes,
    SceneName, SceneRef, SceneRoom, SceneState, SceneSwitch, SceneUser,
};
use ezlo_protocol::hub::value::{Shape, ValueType};
use ezlo_protocol::hub::{Empty, ModeId, RoomId, SceneId};
use ezlo_protocol::rpc::RpcError;
use ezlo_protocol::wire::Field;
use indexmap::IndexSet;
use serde_json::{Value, json};

use crate::answer::{Answer, done, missing, not_found};
use crate::context::Context;
use crate::hub::{Hub, MAX_SCENE_BYTES, MAX_SCENES};
use crate::state::scene_events::Event;
use crate::state::watched_scene::cost;
use ezlo_protocol::wire::encoded_len;

/// Maximum cost of all conditions of a hub, in simple conditions, because one event can concern all of them.
const MAX_CONDITIONS: usize = 50_000;
/// Maximum number of users that one scene notifies.
const MAX_USERS: usize = 1_000;
/// Maximum length of the id of a user, in bytes (inferred: known ids are UUIDs and numbers).
const MAX_USER_ID: usize = 128;

impl Hub {
    pub(crate) fn scenes_list(&self, _: Empty, _: &Context<'_>) -> Answer<SceneList> {
        let own = self.scenes.iter().filter(|(id, _)| !self.newer.global_scenes.contains_key(*id));
        Ok(SceneList { scenes: own.map(|(_, scene)| scene.clone()).collect(), ..SceneList::default() })
    }

    pub(crate) fn scene_get(&self, request: SceneRef, _: &Context<'_>) -> Answer<Scene> {
        match self.scenes.get(&scene_id(request.id, request.scene_id)?) {
            Some(scene) => Ok(scene.clone()),
            None if self.family.never_refuses_values => Ok(Scene::default()),
            None => Err(not_found("ezlo.scenes.not.exist")),
        }
    }

    /// Creates a scene. The result is empty; only the broadcast contains the new id (guide20:p41).
    pub(crate) fn scene_create(&mut self, request: Scene, context: &mut Context<'_>) -> Answer<Empty> {
        // The cheap checks come first: a large scene has thousands of conditions.
        if self.scenes.len() >= MAX_SCENES {
            return Err(RpcError::known("rpc.params.invalid"));
        }
        self.check_scene_bytes(None, encoded_len(&request), context)?;
        self.check_scene(&request, None, context)?;
        let id = SceneId::from(self.new_id());
        let mut scene = request;
        scene.id = id.clone().into();
        fill(&mut scene);
        context.broadcast("hub.scene.added", &Scene { sync_notification: true.into(), ..scene.clone() });
        self.store_scene(&id, scene, context);
        done()
    }

    /// Refuses a global scene, which only its own methods change (inferred).
    fn check_own(&self, id: &SceneId) -> Answer<()> {
        if self.newer.global_scenes.contains_key(id) { Err(not_found("ezlo.scenes.not.exist")) } else { Ok(()) }
    }

    /// Refuses a scene that is malformed, refers to missing objects, or whose conditions cost too much.
    pub(crate) fn check_scene(&self, scene: &Scene, id: Option<&SceneId>, context: &mut Context<'_>) -> Answer<()> {
        check(scene)?;
        self.check_references(scene, id, context)?;
        check_engine(scene, context)?;
        self.check_conditions(id, scene)
    }

    /// Stores a checked scene and watches its conditions.
    pub(crate) fn store_scene(&mut self, id: &SceneId, mut scene: Scene, context: &mut Context<'_>) {
        fill(&mut scene);
        self.scenes.insert(id.clone(), scene);
        self.watch_scene(id, context);
    }

    pub(crate) fn scene_edit(&mut self, request: SceneEdit, context: &mut Context<'_>) -> Answer<Empty> {
        let mut scene = request.scene.into_option().ok_or_else(|| missing("eo"))?;
        // Older builds read the outer id, newer ones the inner.
        let id = scene.id.get().or_else(|| request.id.get()).cloned().ok_or_else(|| missing("_id"))?;
        self.check_own(&id)?;
        self.check_scene(&scene, Some(&id), context)?;
        scene.id = id.clone().into();
        fill(&mut scene);
        self.change_scene(&id, context, |stored| *stored = scene)
    }

    /// Refuses a scene of this size if all scenes together would exceed their limit in bytes.
    pub(crate) fn check_scene_bytes(
        &self,
        replaced: Option<&SceneId>,
        bytes: usize,
        context: &Context<'_>,
    ) -> Result<(), RpcError> {
        let others = self.scene_bytes() - replaced.map_or(0, |id| self.bytes_of_scene(id));
        let limit = context.max_scene_bytes.min(MAX_SCENE_BYTES);
        if others.saturating_add(bytes) <= limit {
            return Ok(());
        }
        let reason = format!("all scenes of the hub exceed {limit} bytes; delete one first");
        Err(RpcError { reason: reason.into(), ..RpcError::known("rpc.params.invalid") })
    }

    /// Refuses a scene if one event could then evaluate too many conditions.
    fn check_conditions(&self, replaced: Option<&SceneId>, scene: &Scene) -> Result<(), RpcError> {
        let others = self.conditions.iter().filter(|(id, _)| Some(*id) != replaced);
        let total = others.map(|(_, watched)| watched.size).sum::<usize>() + cost(scene);
        if total <= MAX_CONDITIONS {
            return Ok(());
        }
        let reason =
            format!("all conditions of the hub cost more than {MAX_CONDITIONS} evaluations; delete a scene first");
        Err(RpcError { reason: reason.into(), ..RpcError::known("rpc.params.invalid") })
    }

    /// Changes a scene, broadcasts it and decodes its conditions again. Refuses a change that makes the scenes too large.
    pub(crate) fn change_scene(
        &mut self,
        id: &SceneId,
        context: &mut Context<'_>,
        change: impl FnOnce(&mut Scene),
    ) -> Answer<Empty> {
        let stored = self.scenes.get(id).ok_or_else(|| not_found("ezlo.scenes.not.exist"))?;
        let mut changed = stored.clone();
        change(&mut changed);
        let bytes = encoded_len(&changed);
        if bytes > self.bytes_of_scene(id) {
            self.check_scene_bytes(Some(id), bytes, context)?;
        }
        // The cloud is synchronised only when the name has changed (d22).
        let broadcast = Scene { sync_notification: (stored.name != changed.name).into(), ..changed.clone() };
        let enabled = (stored.enabled != changed.enabled).then(|| changed.enabled.get() != Some(&false));
        self.scenes.insert(id.clone(), changed);
        context.broadcast_scene_change(&broadcast);
        if let Some(enabled) = enabled {
            let state = if enabled { SceneState::Enabled } else { SceneState::Disabled };
            self.events.push_back(Event::Scene { scene: id.clone(), state });
        }
        self.watch_scene(id, context);
        done()
    }

    pub(crate) fn scene_delete(&mut self, request: SceneRef, context: &mut Context<'_>) -> Answer<Empty> {
        let id = scene_id(request.id, request.scene_id)?;
        self.check_own(&id)?;
        self.scenes.shift_remove(&id).ok_or_else(|| not_found("ezlo.scenes.not.exist"))?;
        self.stop_runs(&id, context);
        self.watch_scene(&id, context);
        self.forget_favorites([Vec::new(), Vec::new(), vec![id.to_string()]], context);
        context.broadcast("hub.scene.deleted", &SceneRef { id: id.into(), ..SceneRef::default() });
        done()
    }

    pub(crate) fn scene_enabled_set(&mut self, request: SceneSwitch, context: &mut Context<'_>) -> Answer<Empty> {
        let id = scene_id(request.id, request.scene_id)?;
        self.change_scene(&id, context, |scene| scene.enabled = request.enabled.into())
    }

    /// Enables or disables a scene. Returns false if it does not exist.
    pub(crate) fn enable_scene(&mut self, id: &SceneId, enabled: bool, context: &mut Context<'_>) -> bool {
        self.change_scene(id, context, |scene| scene.enabled = enabled.into()).is_ok()
    }

    pub(crate) fn scene_user_add(&mut self, request: SceneUser, context: &mut Context<'_>) -> Answer<Empty> {
        let user = request.user_id.into_option().ok_or_else(|| missing("userId"))?;
        if user.len() > MAX_USER_ID {
            return Err(RpcError::known("rpc.params.invalid"));
        }
        let user = json!(user);
        let id = scene_id(request.id, request.scene_id.or(request.notifications))?;
        self.change_scene(&id, context, |scene| {
            if let Some(users) = scene.user_notifications.get_mut()
                && !users.contains(&user)
                && users.len() < MAX_USERS
            {
                users.push(user);
            }
        })
    }

    pub(crate) fn scene_user_remove(&mut self, request: SceneUser, context: &mut Context<'_>) -> Answer<Empty> {
        let user = json!(request.user_id.into_option().ok_or_else(|| missing("userId"))?);
        let id = scene_id(request.id, request.scene_id.or(request.notifications))?;
        self.change_scene(&id, context, |scene| {
            if let Some(users) = scene.user_notifications.get_mut() {
                users.retain(|known| *known != user);
            }
        })
    }

    pub(crate) fn scene_room_set(&mut self, request: SceneRoom, context: &mut Context<'_>) -> Answer<Empty> {
        let room = request.room_id.into_option().ok_or_else(|| missing("roomId"))?;
        if !room.is_none() && !self.rooms.contains_key(&room) {
            return Err(not_found("nma.room.notfound"));
        }
        let id = scene_id(request.id, request.scene_id)?;
        self.change_scene(&id, context, |scene| scene.parent_id = room.into())
    }

    pub(crate) fn scene_name_set(&mut self, request: SceneName, context: &mut Context<'_>) -> Answer<Empty> {
        let name = request.name.into_option();
        let renamed =
            Scene { name: name.clone().into(), when: Vec::new().into(), then: Vec::new().into(), ..Scene::default() };
        check(&renamed)?;
        let id = scene_id(request.id, request.scene_id)?;
        self.change_scene(&id, context, |scene| scene.name = name.into())
    }

    pub(crate) fn scene_modes_set(&mut self, request: SceneModes, context: &mut Context<'_>) -> Answer<Empty> {
        let modes = request.house_modes.or(request.house_mode).into_option().ok_or_else(|| missing("houseModes"))?;
        let modes: Vec<ModeId> = modes.into_iter().collect::<IndexSet<_>>().into_iter().collect();
        if modes.iter().any(|mode| crate::state::modes::position(mode).is_none()) {
            return Err(RpcError::known("ezlo.house_mode.not.exist"));
        }
        let id = scene_id(request.id, request.scene_id)?;
        self.change_scene(&id, context, |scene| scene.house_modes = modes.into())
    }

    pub(crate) fn scene_block_enabled_set(&mut self, request: BlockSwitch, context: &mut Context<'_>) -> Answer<Empty> {
        let BlockSwitch { scene_id, block_id, enabled, .. } = request;
        let scene = self.scenes.get(&scene_id).ok_or_else(|| not_found("ezlo.scenes.not.exist"))?;
        if !scene.blocks().any(|block| is_called(block, &block_id)) {
            return Err(not_found("ezlo.scenes.block.not.exist"));
        }
        let scene = self.scenes.get_mut(&scene_id).ok_or_else(|| not_found("ezlo.scenes.not.exist"))?;
        for block in scene.blocks_mut().filter(|block| is_called(block, &block_id)) {
            block.enabled = enabled.into();
        }
        // The vendor's page and firmware broadcast `added` for this change (d22, pi).
        context.broadcast("hub.scene.added", &Scene { sync_notification: false.into(), ..scene.clone() });
        self.watch_scene(&scene_id, context);
        done()
    }

    /// Returns block templates for the items of the given devices (guide20:p50-55).
    pub(crate) fn scene_blocks_list(&self, request: BlockQuery, _: &Context<'_>) -> Answer<BlockList> {
        let kind = request.kind.into_option().ok_or_else(|| missing("blockType"))?;
        let devices = request.devices.into_option().ok_or_else(|| missing("devices"))?;
        let owned =
            |item: &&Item| item.device_id.get().is_some_and(|id| devices.iter().any(|wanted| wanted == id.as_str()));
        let items = self.items.values().filter(owned);
        match kind.as_str() {
            "when" => {
                Ok(BlockList { when: items.flat_map(conditions_on).collect::<Vec<_>>().into(), ..BlockList::default() })
            }
            "then" => {
                Ok(BlockList { then: items.flat_map(actions_on).collect::<Vec<_>>().into(), ..BlockList::default() })
            }
            _ => Err(RpcError::known("rpc.params.invalid")),
        }
    }
}

/// Returns whether a block has this id.
pub(crate) fn is_called(block: &Block, id: &str) -> bool {
    [&block.id, &block.block_id].iter().any(|known| known.as_deref() == Some(id))
}

/// Adds a label with this text to a block template.
fn labelled(mut block: Block, item: &Item, text: &str) -> Block {
    let name = item.name.as_deref().unwrap_or_default();
    block.label =
        json!({"lang_tag": format!("scenes_{}_{name}", block.method().unwrap_or_default()), "text": text}).into();
    block
}

/// Adds the possible values of an item of type bool or token to its block template.
fn with_options(mut block: Block, item: &Item) -> Block {
    let choices: Vec<Value> = match (item.value_type.get(), item.tokens.get()) {
        (Some(ValueType::Bool), _) => vec![json!(true), json!(false)],
        (Some(ValueType::Token), Some(tokens)) => tokens.iter().map(|token| json!(token)).collect(),
        _ => return block,
    };
    let option = |value: &Value| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        json!({"value": value, "label": {"lang_tag": format!("scenes_value_{text}"), "text": text}})
    };
    let field = block
        .fields
        .get_mut()
        .and_then(|fields| fields.iter_mut().find(|field| field.name.as_deref() == Some("value")));
    if let Some(field) = field {
        field.options = Value::Array(choices.iter().map(option).collect()).into();
    }
    block
}

/// Returns the current value of an item as the preset of a block template.
fn preset(item: &Item) -> BlockValue {
    let kind = item.value_type.get().map_or("string", ValueType::as_str);
    let value = item.value.get().cloned().unwrap_or(Value::Null);
    BlockValue { scale: item.scale.get().cloned(), ..BlockValue::new(kind, value) }
}

fn on_item(kind: &str, method: &str, item: &Item, value: Option<BlockValue>) -> Block {
    let id = BlockValue::new("item", item.id.as_str());
    let fields = [Some(("item", id)), value.map(|value| ("value", value))];
    Block::new(kind, method, fields.into_iter().flatten())
}

fn conditions_on(item: &Item) -> Vec<Block> {
    let mut blocks =
        vec![labelled(with_options(on_item("when", "isItemState", item, Some(preset(item))), item), item, "Is")];
    let shape = item.value_type.get().map_or(Shape::Unknown, ValueType::shape);
    if matches!(shape, Shape::Integer | Shape::Number) {
        let mut block = on_item("when", "compareNumbers", item, Some(preset(item)));
        let comparator = Block::new("when", "compareNumbers", [("comparator", BlockValue::new("string", "=="))]);
        if let (Some(fields), Some(more)) = (block.fields.get_mut(), comparator.fields.into_option()) {
            fields.splice(1..1, more);
        }
        let args = block
            .options
            .get_mut()
            .and_then(|options| options.method.get_mut())
            .and_then(|method| method.args.get_mut());
        if let Some(args) = args {
            args.insert("comparator", json!("comparator"));
        }
        blocks.push(labelled(block, item, "Compares"));
    }
    blocks
}

fn actions_on(item: &Item) -> Vec<Block> {
    if item.has_setter.get() != Some(&true) {
        return Vec::new();
    }
    let mut blocks =
        vec![labelled(with_options(on_item("then", "setItemValue", item, Some(preset(item))), item), item, "Set")];
    if item.value_type.get() == Some(&ValueType::Bool) {
        blocks.push(labelled(on_item("then", "toggleValue", item, None), item, "Toggle"));
    }
    blocks
}

fn scene_id(id: Field<SceneId>, other: Field<SceneId>) -> Answer<SceneId> {
    id.into_option().or_else(|| other.into_option()).ok_or_else(|| missing("_id"))
}

/// Refuses a scene with the error of its first problem, as create and edit do (guide20:p38-39).
fn check(scene: &Scene) -> Answer<()> {
    match scene.problems().first() {
        Some(problem) => Err(problem.error()),
        None => Ok(()),
    }
}

/// Reports the conditions and actions that this simulator stores but does not execute, or refuses the scene because of them.
fn check_engine(scene: &Scene, context: &mut Context<'_>) -> Answer<()> {
    let mut unsupported = Vec::new();
    for block in [&scene.when, &scene.exceptions].into_iter().filter_map(Field::get).flatten() {
        unsupported_conditions(&block.condition(), &mut unsupported);
    }
    for block in scene.all_actions() {
        match block.action() {
            Action::Unknown(name) => unsupported.push(format!("then {name}")),
            // There is no Lua.
            Action::RunScript(_) => unsupported.push("then runCustomScript".into()),
            Action::SetExpression { .. } => {
                unsupported.push("then setExpression (code is stored, not evaluated)".into())
            }
            _ => {}
        }
    }
    if context.assumptions.refuse_unsupported_scenes
        && let Some(name) = unsupported.first()
    {
        let reason = format!("{name}: the simulator does not execute it");
        return Err(RpcError { reason: reason.into(), ..RpcError::known("ezlo.scenes.method.unknown") });
    }
    context.effects.unsupported.extend(unsupported);
    Ok(())
}

fn unsupported_conditions(condition: &Condition, found: &mut Vec<String>) {
    match condition {
        Condition::Unknown(name) => found.push(format!("when {name}")),
        Condition::All(inner) | Condition::Any(inner) | Condition::OneOf(inner) | Condition::Function { inner, .. } => {
            inner.iter().for_each(|condition| unsupported_conditions(condition, found));
        }
        Condition::Not(inner) => unsupported_conditions(inner, found),
        _ => {}
    }
}

/// Adds the members that every stored scene has, where they are absent.
pub(crate) fn fill(scene: &mut Scene) {
    let absent = |field: &Field<_>| matches!(field, Field::Absent);
    if absent(&scene.enabled) {
        scene.enabled = true.into();
    }
    if absent(&scene.is_group) {
        scene.is_group = false.into();
    }
    if scene.parent_id.is_absent() {
        scene.parent_id = RoomId::default().into();
    }
    if scene.group_id.is_absent() {
        scene.group_id = Field::Null;
    }
    for blocks in [&mut scene.when, &mut scene.then] {
        if blocks.get().is_none() {
            *blocks = Vec::new().into();
        }
    }
    if scene.user_notifications.get().is_none() {
        scene.user_notifications = Vec::new().into();
    }
    if scene.house_modes.is_absent() {
        scene.house_modes = ["1", "2", "3", "4"].map(Into::into).to_vec().into();
    }
}
