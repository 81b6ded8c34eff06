//! Scenes and their blocks as wire documents.

use std::collections::BTreeMap;

use crate::hub::{ModeId, RoomId, SceneId};
use crate::wire::{Extra, Field};
use serde_json::Value;

wire! {
    /// A scene. The `when` blocks are OR-ed, and the `then` blocks run in order (guide20:p37).
    Scene {
        /// Id of the scene; absent in `hub.scenes.create`.
        id: Field<SceneId> = "_id",
        /// `true` if the conditions start the scene.
        enabled: Field<bool> = "enabled",
        /// Group of the scene; null or empty for none.
        group_id: Field<String> = "group_id",
        /// `true` if the scene is a group.
        is_group: Field<bool> = "is_group",
        /// Name, at most 25 characters.
        name: Field<String> = "name",
        /// Room of the scene; `""` or `"0"` for none.
        parent_id: Field<RoomId> = "parent_id",
        /// Users to notify.
        user_notifications: Field<Vec<Value>> = "user_notifications",
        /// Modes in which the scene runs, AND-ed with `when`.
        house_modes: Field<Vec<ModeId>> = "house_modes",
        /// Conditions.
        when: Field<Vec<Block>> = "when",
        /// Actions.
        then: Field<Vec<Block>> = "then",
        /// Actions for the opposite case; newer firmware.
        otherwise: Field<Vec<Block>> = "else",
        /// Groups of actions by id, which `runScene` runs with `block` `thenGroups`; newer firmware.
        then_groups: Field<BTreeMap<String, Vec<Block>>> = "thenGroups",
        /// Groups of actions by id, which `runScene` runs with `block` `elseGroups`; newer firmware.
        else_groups: Field<BTreeMap<String, Vec<Block>>> = "elseGroups",
        /// Conditions during which the scene does not start; newer firmware.
        exceptions: Field<Vec<Block>> = "exceptions",
        /// Handling of failed actions: `check_result`, or another token that ignores them; newer firmware.
        exec_policy: Field<String> = "exec_policy",
        /// Name of an icon; newer firmware.
        icon: Field<String> = "icon",
        /// Data of apps, which the hub does not read; newer firmware.
        meta: Field<Value> = "meta",
        /// `syncNotification` of broadcasts.
        sync_notification: Field<bool> = "syncNotification",
    }
}

wire! {
    /// A global scene: the cloud assigns its id (d22).
    GlobalScene {
        /// Id of the scene.
        id: Field<SceneId> = "_id",
        /// `true` if the conditions start the scene.
        enabled: Field<bool> = "enabled",
        /// Tag of the cloud.
        tag: Field<String> = "tag",
        /// Name.
        name: Field<String> = "name",
        /// Conditions.
        when: Field<Vec<Block>> = "when",
        /// Actions.
        then: Field<Vec<Block>> = "then",
        /// Handling of failed actions.
        exec_policy: Field<String> = "execPolicy",
    }
}

wire! {
    /// Result of `hub.scenes.global.list` (inferred).
    GlobalSceneList {
        /// Global scenes.
        scenes: Vec<GlobalScene> = "scenes",
    }
}

wire! {
    /// Content of `hub.scene.global.run.progress`. The vendor's table spells the members with underscores, its sample as here.
    GlobalSceneProgress {
        /// Id of the scene.
        scene_id: Field<SceneId> = "sceneId",
        /// Name of the scene.
        scene_name: Field<String> = "sceneName",
        /// Progress of the run.
        status: Field<RunStatus> = "status",
        /// Error; null without one.
        error: Field<Value> = "error",
    }
}

/// The part of a scene that a run executes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScenePart {
    /// The actions under `then`.
    Then,
    /// The actions under `else`.
    Else,
    /// The actions of a group under `thenGroups`, by its id.
    ThenGroup(String),
    /// The actions of a group under `elseGroups`, by its id.
    ElseGroup(String),
}

impl Scene {
    /// Returns the actions of a part of the scene; `None` if the scene does not have the part.
    pub fn actions(&self, part: &ScenePart) -> Option<&[Block]> {
        let blocks = match part {
            ScenePart::Then => self.then.get(),
            ScenePart::Else => self.otherwise.get(),
            ScenePart::ThenGroup(id) => self.then_groups.get()?.get(id),
            ScenePart::ElseGroup(id) => self.else_groups.get()?.get(id),
        };
        blocks.map(Vec::as_slice)
    }

    /// Returns all actions, those of groups included.
    pub fn all_actions(&self) -> impl Iterator<Item = &Block> {
        let lists = [&self.then, &self.otherwise].into_iter().filter_map(Field::get);
        let groups = [&self.then_groups, &self.else_groups].into_iter().filter_map(Field::get);
        lists.chain(groups.flat_map(BTreeMap::values)).flatten()
    }

    /// Returns all conditions and actions. Conditions inside other conditions are not included.
    pub fn blocks(&self) -> impl Iterator<Item = &Block> {
        self.when.get().into_iter().flatten().chain(self.all_actions())
    }

    /// Returns all conditions and actions, like [`blocks`](Self::blocks), for changes.
    pub fn blocks_mut(&mut self) -> impl Iterator<Item = &mut Block> {
        let lists = [&mut self.when, &mut self.then, &mut self.otherwise].into_iter().filter_map(Field::get_mut);
        let groups = [&mut self.then_groups, &mut self.else_groups].into_iter().filter_map(Field::get_mut);
        lists.chain(groups.flat_map(BTreeMap::values_mut)).flatten()
    }
}

wire! {
    /// A condition or an action.
    Block {
        /// Id of the block; newer firmware.
        id: Field<String> = "_id",
        /// Method of the block and the fields of its arguments.
        options: Field<BlockOptions> = "blockOptions",
        /// Type of the block: `when`, `then` or `else`.
        kind: Field<String> = "blockType",
        /// Fields, which hold the arguments.
        fields: Field<Vec<BlockField>> = "fields",
        /// Delay before the action; actions only.
        delay: Field<Delay> = "delay",
        /// Label `{lang_tag, text}`, in `hub.scenes.blocks.list`.
        label: Field<Value> = "label",
        /// Id of the block under another name; newer firmware.
        block_id: Field<String> = "blockId",
        /// Name of the block; newer firmware.
        name: Field<String> = "blockName",
        /// Handling of a failed action, which overrides that of the scene; newer firmware.
        exec_policy: Field<String> = "exec_policy",
        /// Data of apps, which the hub does not read; newer firmware.
        meta: Field<Value> = "blockMeta",
        /// `false` if the scene ignores the block; newer firmware.
        enabled: Field<bool> = "block_enable",
    }
}

impl Block {
    /// Returns the name of the condition or action, such as `isItemState`.
    pub fn method(&self) -> Option<&str> {
        self.options.get()?.method.get()?.name.as_deref()
    }

    /// Returns the field of an argument.
    ///
    /// The member `args` maps the name of an argument to the name of a field.
    pub fn argument_field(&self, name: &str) -> Option<&BlockField> {
        let field = self.options.get()?.method.get()?.args.get()?.get(name)?.as_str()?;
        self.fields.get()?.iter().find(|candidate| candidate.name.as_deref() == Some(field))
    }

    /// Returns the value of an argument.
    pub fn argument(&self, name: &str) -> Option<&Value> {
        self.argument_field(name)?.value.get()
    }
}

wire! {
    /// The member `blockOptions` of a block.
    BlockOptions {
        /// Condition or action.
        method: Field<BlockMethod> = "method",
        /// Settings of the method `function`, such as `{"latch":{"enabled":true}}`; newer firmware.
        function: Field<Value> = "function",
    }
}

wire! {
    /// The condition or action of a block.
    BlockMethod {
        /// Names of fields by name of argument.
        args: Field<Extra> = "args",
        /// Name of the condition or action.
        name: Field<String> = "name",
    }
}

wire! {
    /// A field of a block, which holds the value of an argument.
    BlockField {
        /// Name of the field.
        name: Field<String> = "name",
        /// Type: an item value type or a scene value type.
        ///
        /// Scene value types are `item`, `device`, `interval`, `hms_interval`, `24_hours_time`, `block` and `blocks`.
        kind: Field<String> = "type",
        /// Value.
        value: Field<Value> = "value",
        /// Unit of the value.
        scale: Field<String> = "scale",
        /// Allowed values, in `hub.scenes.blocks.list`.
        options: Field<Value> = "options",
    }
}

wire! {
    /// The delay of an action. The parts are added up.
    Delay {
        /// Seconds.
        seconds: Field<u64> = "seconds",
        /// Minutes.
        minutes: Field<u64> = "minutes",
        /// Hours.
        hours: Field<u64> = "hours",
        /// Days.
        days: Field<u64> = "days",
    }
}

impl Delay {
    /// Returns the total delay in seconds, limited to [`u64::MAX`].
    pub fn total_seconds(&self) -> u64 {
        let part = |field: &Field<u64>, unit: u64| field.get().copied().unwrap_or_default().saturating_mul(unit);
        let parts =
            [part(&self.seconds, 1), part(&self.minutes, 60), part(&self.hours, 3600), part(&self.days, 86_400)];
        parts.into_iter().fold(0, u64::saturating_add)
    }
}

wire! {
    /// Result of `hub.scenes.list`.
    SceneList {
        /// All scenes.
        scenes: Vec<Scene> = "scenes",
    }
}

wire! {
    /// A reference to a scene. Some clients send `sceneId` instead of `_id` in `hub.scenes.get`.
    SceneRef {
        /// Id of the scene.
        id: Field<SceneId> = "_id",
        /// Id of the scene, in some clients.
        scene_id: Field<SceneId> = "sceneId",
    }
}

wire! {
    /// Parameters of `hub.scenes.edit`: the id and the whole scene (guide20:p45).
    SceneEdit {
        /// Id of the scene.
        id: Field<SceneId> = "_id",
        /// Whole scene, with its id.
        scene: Field<Scene> = "eo",
    }
}

wire! {
    /// Parameters of `hub.scenes.run` and `hub.scenes.stop`.
    SceneRun {
        /// Id of the scene.
        scene_id: SceneId = "sceneId",
    }
}

wire! {
    /// Parameters of `hub.scenes.enabled.set`. The id has either name.
    SceneSwitch {
        /// Id of the scene.
        id: Field<SceneId> = "_id",
        /// Id of the scene.
        scene_id: Field<SceneId> = "sceneId",
        /// `true` if the conditions start the scene.
        enabled: bool = "enabled",
    }
}

wire! {
    /// Parameters of `hub.scenes.block.enabled.set`.
    BlockSwitch {
        /// Id of the scene.
        scene_id: SceneId = "sceneId",
        /// `_id` or `blockId` of the block.
        block_id: String = "blockId",
        /// `false` if the scene ignores the block.
        enabled: bool = "enabled",
    }
}

wire! {
    /// Parameters of `hub.scenes.notification.add` and `hub.scenes.notification.remove`.
    SceneUser {
        /// Id of the scene.
        id: Field<SceneId> = "_id",
        /// Id of the scene.
        scene_id: Field<SceneId> = "sceneId",
        /// Id of the scene, in the vendor's firmware (pi).
        notifications: Field<SceneId> = "notifications",
        /// Id of the user.
        user_id: Field<String> = "userId",
    }
}

wire! {
    /// Parameters of `hub.scenes.room.set`.
    SceneRoom {
        /// Id of the scene.
        id: Field<SceneId> = "_id",
        /// Id of the scene.
        scene_id: Field<SceneId> = "sceneId",
        /// New room; empty for none.
        room_id: Field<RoomId> = "roomId",
    }
}

wire! {
    /// Parameters of `hub.scenes.name.set`.
    SceneName {
        /// Id of the scene.
        id: Field<SceneId> = "_id",
        /// Id of the scene.
        scene_id: Field<SceneId> = "sceneId",
        /// New name.
        name: Field<String> = "name",
    }
}

wire! {
    /// Parameters of `hub.scenes.house_modes.set`.
    SceneModes {
        /// Id of the scene.
        id: Field<SceneId> = "_id",
        /// Id of the scene.
        scene_id: Field<SceneId> = "sceneId",
        /// Modes in which the scene runs.
        house_modes: Field<Vec<ModeId>> = "houseModes",
        /// Modes in which the scene runs, in the vendor's firmware (pi): a list in spite of its name.
        house_mode: Field<Vec<ModeId>> = "houseMode",
    }
}

wire! {
    /// Parameters of `hub.scenes.blocks.list`.
    BlockQuery {
        /// Type of the blocks: `when` or `then`.
        kind: Field<String> = "blockType",
        /// Devices of the blocks.
        devices: Field<Vec<String>> = "devices",
    }
}

wire! {
    /// Result of `hub.scenes.blocks.list`: templates of blocks, in the member of the requested type.
    BlockList {
        /// Conditions.
        when: Field<Vec<Block>> = "when",
        /// Actions.
        then: Field<Vec<Block>> = "then",
    }
}

open_enum! {
    /// The progress of a scene run.
    RunStatus {
        /// The scene has started.
        Started = "started",
        /// All actions have run.
        Finished = "finished",
        /// The scene has failed.
        Failed = "failed",
        /// A part of the actions has run.
        PartiallyFinished = "partially_finished",
        /// The scene was stopped.
        Stopped = "stopped",
    }
}

wire! {
    /// Content of `hub.scene.run.progress`.
    SceneProgress {
        /// Id of the scene.
        scene_id: Field<SceneId> = "scene_id",
        /// Name of the scene.
        scene_name: Field<String> = "scene_name",
        /// Progress of the run.
        status: Field<RunStatus> = "status",
        /// Users to notify; null for all users.
        notifications: Field<Vec<Value>> = "notifications",
        /// `true` if the cloud sends a push message: for every status except `started`.
        user_notification: Field<bool> = "userNotification",
        /// Room of the scene.
        room_id: Field<RoomId> = "room_id",
        /// Name of the room.
        room_name: Field<String> = "room_name",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire;

    #[test]
    fn arguments_are_resolved_by_field_name() {
        let block: Block = wire::from_slice(
            br#"{"blockType":"then","blockOptions":{"method":{"name":"setItemValue","args":{"item":"x","value":"y"}}},
                "fields":[{"name":"x","type":"item","value":"id"},{"name":"y","type":"int","value":10}],
                "delay":{"minutes":2,"seconds":3}}"#,
        )
        .unwrap();
        assert_eq!(block.method(), Some("setItemValue"));
        assert_eq!(block.argument("item"), Some(&Value::from("id")));
        assert_eq!(block.argument("value"), Some(&Value::from(10)));
        assert_eq!(block.argument("armed"), None);
        assert_eq!(block.delay.get().unwrap().total_seconds(), 123);
    }
}
