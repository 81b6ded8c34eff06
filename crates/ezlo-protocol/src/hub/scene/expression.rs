//! Expressions, variables, scripts and further documents of scenes (d22, pi).

use serde_json::Value;

use crate::hub::scene::document::Scene;
use crate::hub::{DeviceId, SceneId};
use crate::wire::Field;

wire! {
    /// An expression or a variable: the parameters of `hub.scenes.expressions.set`, and an entry of the list.
    Expression {
        /// Id, in EzloPi firmware.
        id: Field<String> = "_id",
        /// Name, which identifies it.
        name: Field<String> = "name",
        /// Code in Lua; empty for a variable.
        code: Field<String> = "code",
        /// Items and devices that the code uses, `{items, device_item_names}`.
        params: Field<Value> = "params",
        /// Type of the value.
        value_type: Field<String> = "valueType",
        /// Further data of clients.
        metadata: Field<Value> = "metadata",
        /// `true` for a variable.
        variable: Field<bool> = "variable",
        /// Value; `{value, scale}` for types with a unit. Old samples have it as text.
        value: Field<Value> = "value",
        /// Texts of the errors of the evaluation, in place of a value.
        error: Field<Value> = "error",
    }
}

wire! {
    /// Parameters of `hub.scenes.expressions.list`.
    ExpressionQuery {
        /// `true` to return the code (default: false).
        show_code: Field<bool> = "showCode",
        /// `true` to return the code, in older sources.
        with_code: Field<bool> = "withCode",
        /// `false` to omit the values (default: true).
        show_value: Field<bool> = "showValue",
        /// Type of the values to return.
        filter_type: Field<String> = "filterType",
        /// Types of the values to return.
        filter_types: Field<Vec<String>> = "filterTypes",
        /// `true` for variables only, `false` for expressions only.
        variable: Field<bool> = "variable",
        /// Names to return.
        names: Field<Vec<String>> = "names",
    }
}

wire! {
    /// Result of `hub.scenes.expressions.list`.
    ExpressionList {
        /// Expressions and variables.
        expressions: Vec<Expression> = "expressions",
    }
}

wire! {
    /// Parameters of `hub.scenes.expressions.delete`, and content of `hub.expression.deleted`.
    ExpressionRef {
        /// Name.
        name: String = "name",
    }
}

wire! {
    /// A script: the parameters of `hub.scenes.scripts.add` and `.set`, and the result of `.get`.
    Script {
        /// Id; absent in `add`.
        id: Field<String> = "_id",
        /// Name.
        name: Field<String> = "name",
        /// Code in Lua.
        code: Field<String> = "code",
    }
}

wire! {
    /// A reference to a script.
    ScriptRef {
        /// Id of the script.
        id: String = "_id",
    }
}

wire! {
    /// Parameters of `hub.scenes.clone`.
    SceneClone {
        /// Id of the scene.
        id: SceneId = "_id",
        /// Name of the copy (default: the old one with `_cloned(N)`).
        name: Field<String> = "name",
    }
}

wire! {
    /// Parameters of `hub.scenes.meta.set`.
    SceneMeta {
        /// Id of the scene.
        scene_id: SceneId = "sceneId",
        /// Data of clients.
        meta: Field<Value> = "meta",
    }
}

wire! {
    /// Parameters of `hub.scenes.block.meta.set`.
    BlockMeta {
        /// Id of the scene.
        scene_id: SceneId = "sceneId",
        /// Id of the block.
        block_id: String = "blockId",
        /// Data of clients.
        meta: Field<Value> = "meta",
    }
}

wire! {
    /// Parameters of `hub.scenes.block.status.reset`.
    BlockReset {
        /// Id of the scene.
        scene_id: SceneId = "sceneId",
        /// Id of the block (default: all latches of the scene).
        block_id: Field<String> = "blockId",
    }
}

wire! {
    /// Result of `hub.scenes.time.list`.
    TimeScenes {
        /// Scenes with a time condition.
        scenes: Vec<Scene> = "timeScenes",
    }
}

wire! {
    /// Result of `hub.scenes.trigger.devices.list`.
    TriggerDevices {
        /// Devices that a condition of a scene mentions.
        devices: Vec<DeviceId> = "devices",
    }
}

wire! {
    /// Parameters of `hub.scenes.block.data.list`: the members of the result that are wanted.
    BlockDataQuery {
        /// All value types.
        value_types: Field<bool> = "valueTypes",
        /// Value types with a unit.
        scalable_value_types: Field<bool> = "scalableValueTypes",
        /// Units of each value type.
        value_scales: Field<bool> = "valueScales",
        /// Types of the fields of blocks.
        scenes_value_types: Field<bool> = "scenesValueTypes",
        /// Families of value types.
        value_type_families: Field<bool> = "valueTypeFamilies",
        /// Operators of each family.
        comparison_operators: Field<bool> = "comparisonOperators",
        /// Methods of conditions.
        comparison_methods: Field<bool> = "comparisonMethods",
        /// Methods of actions.
        action_methods: Field<bool> = "actionMethods",
        /// Version of the scene engine.
        advanced_scenes_version: Field<bool> = "advancedScenesVersion",
    }
}
