//! Scenes: conditions and the actions that they start.

mod build;
mod document;
mod expression;
mod function;
mod read;
mod terms;
mod time;
mod validate;
mod view;
mod vocabulary;

pub use build::{
    SceneBuilder, all, any, button, daily_at, dictionary_changed, every, group_is, http_get, item_changed,
    item_compares, item_is, item_is_while, lock_operated, mode_changed_from, mode_changed_to, not, on_dates, over_time,
    reset_latch, run_scene, scene_is, set_device_armed, set_item, sun, switch_mode, toggle_item, weekly_at,
};
pub use document::{
    Block, BlockField, BlockList, BlockMethod, BlockOptions, BlockQuery, BlockSwitch, Delay, GlobalScene,
    GlobalSceneList, GlobalSceneProgress, RunStatus, Scene, SceneEdit, SceneList, SceneModes, SceneName, ScenePart,
    SceneProgress, SceneRef, SceneRoom, SceneRun, SceneSwitch, SceneUser,
};
pub use expression::{
    BlockDataQuery, BlockMeta, BlockReset, Expression, ExpressionList, ExpressionQuery, ExpressionRef, SceneClone,
    SceneMeta, Script, ScriptRef, TimeScenes, TriggerDevices,
};
pub use function::Function;
pub use read::MAX_DEPTH;
pub use terms::{
    BlockValue, Comparator, Compared, Operand, SceneState, StringOperation, SunEvent, SunRange, SunTiming, Test,
};
pub use time::{DateKind, DateLimit, DateRule, HmsInterval, Interval, TimeError, TimeOfDay};
pub use validate::{MAX_NAME, Problem};
pub use view::{Action, Condition};
pub use vocabulary::{Argument, ArgumentKind, BLOCKS, BlockSpec, Place, block_spec};
