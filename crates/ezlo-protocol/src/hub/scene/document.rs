//! Scenes and their blocks as documents.

use crate::hub::{ModeId, RoomId, SceneId};
use crate::wire::{Extra, Field};
use serde_json::Value;

wire! {
    /// A scene. `when` blocks are OR-ed, `then` blocks run in order.
    Scene {
        /// Its id; absent in `hub.scenes.create`.
        id: Field<SceneId> = "_id",
        /// Whether it runs by itself.
        enabled: Field<bool> = "enabled",
        /// Its group; null or empty for none.
        group_id: Field<String> = "group_id",
        /// Whether it is a group.
        is_group: Field<bool> = "is_group",
        /// Its name, at most 25 characters.
        name: Field<String> = "name",
        /// The room it is in; `""` or `"0"` for none.
        parent_id: Field<RoomId> = "parent_id",
        /// Users to be told.
        user_notifications: Field<Vec<Value>> = "user_notifications",
        /// Modes in which it runs; AND-ed with `when`.
        house_modes: Field<Vec<ModeId>> = "house_modes",
        /// Conditions.
        when: Field<Vec<Block>> = "when",
        /// Actions.
        then: Field<Vec<Block>> = "then",
        /// Actions otherwise; newer firmware.
        otherwise: Field<Vec<Block>> = "else",
        /// In broadcasts.
        sync_notification: Field<bool> = "syncNotification",
    }
}

wire! {
    /// A condition or an action.
    Block {
        /// Its id; newer firmware.
        id: Field<String> = "_id",
        /// What it does and which fields it takes for it.
        options: Field<BlockOptions> = "blockOptions",
        /// `when`, `then`, `else`.
        kind: Field<String> = "blockType",
        /// Its arguments.
        fields: Field<Vec<BlockField>> = "fields",
        /// How long to wait first; actions only.
        delay: Field<Delay> = "delay",
        /// `{lang_tag, text}`; in `hub.scenes.blocks.list`.
        label: Field<Value> = "label",
        /// Its id under another name; newer firmware.
        block_id: Field<String> = "blockId",
        /// Its name; newer firmware.
        name: Field<String> = "blockName",
        /// Whether it counts; newer firmware.
        enabled: Field<bool> = "block_enable",
    }
}

impl Block {
    /// Name of the condition or action, such as `isItemState`.
    pub fn method(&self) -> Option<&str> {
        self.options.get()?.method.get()?.name.as_deref()
    }

    /// The field of an argument: `args` maps it to the name of one.
    pub fn argument_field(&self, name: &str) -> Option<&BlockField> {
        let field = self.options.get()?.method.get()?.args.get()?.get(name)?.as_str()?;
        self.fields.get()?.iter().find(|candidate| candidate.name.as_deref() == Some(field))
    }

    /// The value of an argument.
    pub fn argument(&self, name: &str) -> Option<&Value> {
        self.argument_field(name)?.value.get()
    }
}

wire! {
    /// What a block does.
    BlockOptions {
        /// The condition or action.
        method: Field<BlockMethod> = "method",
    }
}

wire! {
    /// The condition or action of a block.
    BlockMethod {
        /// From argument name to name of a field.
        args: Field<Extra> = "args",
        /// Its name.
        name: Field<String> = "name",
    }
}

wire! {
    /// One argument's value.
    BlockField {
        /// Its name.
        name: Field<String> = "name",
        /// An item value type or a scene value type (`item`, `device`, `interval`, `hms_interval`, `24_hours_time`, `block`,
        /// `blocks`).
        kind: Field<String> = "type",
        /// Its value.
        value: Field<Value> = "value",
        /// The unit.
        scale: Field<String> = "scale",
        /// Choices; in `hub.scenes.blocks.list`.
        options: Field<Value> = "options",
    }
}

wire! {
    /// How long an action waits. All parts add up.
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
    /// The whole wait in seconds.
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
        /// The scenes.
        scenes: Vec<Scene> = "scenes",
    }
}

wire! {
    /// A scene by `_id`; `hub.scenes.get` in some clients says `sceneId`.
    SceneRef {
        /// The scene.
        id: Field<SceneId> = "_id",
        /// The scene, in some clients.
        scene_id: Field<SceneId> = "sceneId",
    }
}

wire! {
    /// Parameters of `hub.scenes.edit`: the id outside, the whole scene inside.
    SceneEdit {
        /// The scene.
        id: Field<SceneId> = "_id",
        /// All of it, id repeated.
        scene: Field<Scene> = "eo",
    }
}

wire! {
    /// Parameters of `hub.scenes.run`.
    SceneRun {
        /// The scene.
        scene_id: SceneId = "sceneId",
    }
}

wire! {
    /// Parameters of `hub.scenes.enabled.set`; the id under either name.
    SceneSwitch {
        /// The scene.
        id: Field<SceneId> = "_id",
        /// The scene.
        scene_id: Field<SceneId> = "sceneId",
        /// Whether it runs by itself.
        enabled: bool = "enabled",
    }
}

wire! {
    /// Parameters of `hub.scenes.block.enabled.set`.
    BlockSwitch {
        /// The scene.
        scene_id: SceneId = "sceneId",
        /// The block, by its `_id` or `blockId`.
        block_id: String = "blockId",
        /// Whether it counts.
        enabled: bool = "enabled",
    }
}

wire! {
    /// Parameters of `hub.scenes.notification.add` and `….remove`.
    SceneUser {
        /// The scene.
        id: Field<SceneId> = "_id",
        /// The scene.
        scene_id: Field<SceneId> = "sceneId",
        /// The user.
        user_id: Field<String> = "userId",
    }
}

wire! {
    /// Parameters of `hub.scenes.room.set`.
    SceneRoom {
        /// The scene.
        id: Field<SceneId> = "_id",
        /// The scene.
        scene_id: Field<SceneId> = "sceneId",
        /// Its new room; empty for none.
        room_id: Field<RoomId> = "roomId",
    }
}

wire! {
    /// Parameters of `hub.scenes.name.set`.
    SceneName {
        /// The scene.
        id: Field<SceneId> = "_id",
        /// The scene.
        scene_id: Field<SceneId> = "sceneId",
        /// Its new name.
        name: Field<String> = "name",
    }
}

wire! {
    /// Parameters of `hub.scenes.house_modes.set`.
    SceneModes {
        /// The scene.
        id: Field<SceneId> = "_id",
        /// The scene.
        scene_id: Field<SceneId> = "sceneId",
        /// Modes in which it runs.
        house_modes: Field<Vec<ModeId>> = "houseModes",
    }
}

wire! {
    /// Parameters of `hub.scenes.blocks.list`.
    BlockQuery {
        /// `when` or `then`.
        kind: Field<String> = "blockType",
        /// For these devices.
        devices: Field<Vec<String>> = "devices",
    }
}

wire! {
    /// Result of `hub.scenes.blocks.list`: templates under the kind that was asked for.
    BlockList {
        /// Conditions.
        when: Field<Vec<Block>> = "when",
        /// Actions.
        then: Field<Vec<Block>> = "then",
    }
}

open_enum! {
    /// How far a scene has come.
    RunStatus {
        /// It runs.
        Started = "started",
        /// All of it ran.
        Finished = "finished",
        /// It failed.
        Failed = "failed",
        /// Some of it ran.
        PartiallyFinished = "partially_finished",
        /// It was stopped.
        Stopped = "stopped",
    }
}

wire! {
    /// Content of `hub.scene.run.progress`.
    SceneProgress {
        /// The scene.
        scene_id: Field<SceneId> = "scene_id",
        /// Its name.
        scene_name: Field<String> = "scene_name",
        /// How far it has come.
        status: Field<RunStatus> = "status",
        /// Users to be told: null = all.
        notifications: Field<Vec<Value>> = "notifications",
        /// True for anything but `started`.
        user_notification: Field<bool> = "userNotification",
        /// The room it is in.
        room_id: Field<RoomId> = "room_id",
        /// The room's name.
        room_name: Field<String> = "room_name",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire;

    #[test]
    fn arguments_are_found_through_their_field_names() {
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
