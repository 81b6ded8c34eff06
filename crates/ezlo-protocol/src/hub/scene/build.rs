//! A builder for scenes, and functions for their conditions and actions.

use serde_json::{Value, json};

use crate::hub::scene::document::{Block, BlockField, BlockMethod, BlockOptions, Delay, Scene};
use crate::hub::scene::function::Function;
use crate::hub::scene::terms::BlockValue;
use crate::hub::scene::terms::{Comparator, SceneState, SunEvent, SunTiming};
use crate::hub::scene::time::{DateRule, HmsInterval, Interval, TimeOfDay};
use crate::hub::scene::validate::{Problem, problems};
use crate::hub::{DeviceId, ItemId, ModeId, RoomId, SceneId};
use crate::wire;
use crate::wire::{Extra, Field};

/// A builder of a scene. Conditions are OR-ed; actions run in order.
///
/// ```
/// use std::time::Duration;
/// use ezlo_protocol::hub::scene::{SceneBuilder, all, item_compares, item_is, not, set_item};
/// use ezlo_protocol::hub::scene::Comparator::Greater;
///
/// let scene = SceneBuilder::new("Cool the attic")
///     .when(all([item_compares("5f0000000000000000000001", Greater, 26.5), not(item_is("5f0000000000000000000002", true))]))
///     .then(set_item("5f0000000000000000000003", true))
///     .then(set_item("5f0000000000000000000003", false).after(Duration::from_secs(1800)))
///     .in_modes(["1", "3"])
///     .build()
///     .unwrap();
/// assert_eq!(scene.then.get().unwrap()[1].delay.get().unwrap().total_seconds(), 1800);
/// ```
#[derive(Debug, Clone, Default)]
#[must_use = "build() makes the scene"]
pub struct SceneBuilder {
    scene: Scene,
    when: Vec<Block>,
    then: Vec<Block>,
    otherwise: Vec<Block>,
}

impl SceneBuilder {
    /// Creates a builder for an enabled scene without conditions and actions. A name has at most 25 characters.
    pub fn new(name: &str) -> Self {
        let scene = Scene {
            name: name.into(),
            enabled: true.into(),
            is_group: false.into(),
            group_id: Field::Null,
            parent_id: RoomId::default().into(),
            user_notifications: Vec::new().into(),
            ..Scene::default()
        };
        Self { scene, ..Self::default() }
    }

    /// Adds a condition. The scene runs when any of its conditions is true.
    pub fn when(mut self, condition: Block) -> Self {
        self.when.push(condition);
        self
    }

    /// Adds an action.
    pub fn then(mut self, action: Block) -> Self {
        self.then.push(action);
        self
    }

    /// Adds an action for the opposite case; newer firmware.
    pub fn otherwise(mut self, action: Block) -> Self {
        self.otherwise.push(Block { kind: "else".into(), ..action });
        self
    }

    /// Sets the house modes in which the scene runs (default: all).
    pub fn in_modes<M: Into<ModeId>>(mut self, modes: impl IntoIterator<Item = M>) -> Self {
        self.scene.house_modes = modes.into_iter().map(Into::into).collect::<Vec<_>>().into();
        self
    }

    /// Sets the room of the scene (default: none).
    pub fn in_room(mut self, room: impl Into<RoomId>) -> Self {
        self.scene.parent_id = room.into().into();
        self
    }

    /// Sets the users that are notified of a run (default: none).
    pub fn notify<U: Into<Value>>(mut self, users: impl IntoIterator<Item = U>) -> Self {
        self.scene.user_notifications = users.into_iter().map(Into::into).collect::<Vec<_>>().into();
        self
    }

    /// Disables the scene, so that it runs on request only.
    pub fn disabled(mut self) -> Self {
        self.scene.enabled = false.into();
        self
    }

    /// Validates and returns the scene.
    ///
    /// # Errors
    ///
    /// The first [`Problem`] of [`Scene::problems`] if a hub would refuse the scene.
    pub fn build(self) -> Result<Scene, Problem> {
        let mut scene = self.scene;
        scene.when = self.when.into();
        scene.then = self.then.into();
        if !self.otherwise.is_empty() {
            scene.otherwise = self.otherwise.into();
        }
        problems(&scene).into_iter().next().map_or(Ok(scene), Err)
    }
}

impl Block {
    /// Creates a condition or an action. Its fields have the names of its arguments.
    ///
    /// `kind` is `when`, `then` or `else`, and `method` is the name of the condition or action.
    pub fn new(kind: &str, method: &str, fields: impl IntoIterator<Item = (&'static str, BlockValue)>) -> Self {
        let fields: Vec<BlockField> = fields.into_iter().map(|(name, value)| value.field(name)).collect();
        let named = |field: &BlockField| {
            let name = field.name.as_deref().unwrap_or_default().to_owned();
            (name.clone(), Value::from(name))
        };
        let args: Extra = fields.iter().map(named).collect();
        let method = BlockMethod { args: args.into(), name: method.into(), ..BlockMethod::default() };
        Self {
            options: BlockOptions { method: method.into(), ..BlockOptions::default() }.into(),
            kind: kind.into(),
            fields: fields.into(),
            ..Self::default()
        }
    }

    /// Sets the delay before an action, in whole seconds. Fractions of a second are discarded.
    pub fn after(mut self, wait: std::time::Duration) -> Self {
        let seconds = wait.as_secs();
        let part = |amount: u64| if amount == 0 { Field::Absent } else { amount.into() };
        self.delay = match seconds {
            0 => Field::Absent,
            seconds => Delay {
                seconds: part(seconds % 60),
                minutes: part(seconds / 60 % 60),
                hours: part(seconds / 3600 % 24),
                days: part(seconds / 86_400),
                ..Delay::default()
            }
            .into(),
        };
        self
    }
}

fn id_value(kind: &str, id: &str) -> BlockValue {
    BlockValue::new(kind, id)
}

fn when(method: &str, fields: impl IntoIterator<Item = (&'static str, BlockValue)>) -> Block {
    Block::new("when", method, fields)
}

fn then(method: &str, fields: impl IntoIterator<Item = (&'static str, BlockValue)>) -> Block {
    Block::new("then", method, fields)
}

fn item(id: impl Into<ItemId>) -> (&'static str, BlockValue) {
    ("item", id_value("item", id.into().as_str()))
}

/// Creates the condition that an item has a value.
pub fn item_is(id: impl Into<ItemId>, value: impl Into<BlockValue>) -> Block {
    when("isItemState", [item(id), ("value", value.into())])
}

/// Creates the condition that an item has a value and its device is armed (`true`) or disarmed (`false`).
pub fn item_is_while(id: impl Into<ItemId>, value: impl Into<BlockValue>, armed: bool) -> Block {
    when("isItemState", [item(id), ("value", value.into()), ("armed", armed.into())])
}

/// Creates the condition that an item has changed to any value.
pub fn item_changed(id: impl Into<ItemId>) -> Block {
    when("isItemStateChanged", [item(id)])
}

/// Creates the condition that a number compares to a value. It fires when the comparison becomes true (guide20:p25).
pub fn item_compares(id: impl Into<ItemId>, comparator: Comparator, value: impl Into<BlockValue>) -> Block {
    let comparator = BlockValue::new("string", comparator.as_str());
    when("compareNumbers", [item(id), ("comparator", comparator), ("value", value.into())])
}

/// Creates the condition that a button was operated, such as `press_1_time`.
pub fn button(id: impl Into<ItemId>, state: &str) -> Block {
    when("isButtonState", [item(id), ("value", BlockValue::token(state))])
}

/// Creates a periodic condition.
pub fn every(interval: Interval) -> Block {
    when("isInterval", [("interval", BlockValue::new("interval", interval.to_string()))])
}

/// Creates a condition for times and days, in the time zone of the hub.
///
/// All hubs since 2021 read lists; earlier ones may expect a single text in `time` (inferred).
pub fn on_dates(rule: &DateRule) -> Block {
    let times: Vec<Value> = rule.times.iter().map(|time| time.to_string().into()).collect();
    let mut fields = vec![
        ("type", BlockValue::new("string", rule.kind.as_str())),
        ("time", BlockValue::new("24_hours_time_array", times)),
    ];
    for (name, numbers) in [("weekdays", &rule.weekdays), ("days", &rule.days), ("weeks", &rule.weeks)] {
        if !numbers.is_empty() {
            fields.push((name, BlockValue::new("int_array", numbers.clone())));
        }
    }
    when("isDate", fields)
}

/// Creates a condition for a time of every day, in the time zone of the hub.
pub fn daily_at(time: TimeOfDay) -> Block {
    on_dates(&DateRule::daily([time]))
}

/// Creates a condition for a time on days of the week (1 = Monday), in the time zone of the hub.
pub fn weekly_at(weekdays: impl IntoIterator<Item = u8>, time: TimeOfDay) -> Block {
    on_dates(&DateRule::weekly(weekdays.into_iter().map(i64::from), [time]))
}

/// Creates a condition for a time relative to sunrise or sunset. The offset applies to `Before` and `After`.
pub fn sun(event: SunEvent, timing: SunTiming, offset: HmsInterval) -> Block {
    let mut block = when("isSunState", [("time", BlockValue::new("hms_interval", offset.to_string()))]);
    // The name of the field that the argument refers to is the event.
    let field = BlockValue::new("string", timing.as_str()).field(event.as_str());
    if let Some(fields) = block.fields.get_mut() {
        fields.insert(0, field);
    }
    let args = block.options.get_mut().and_then(|options| options.method.get_mut()).and_then(|m| m.args.get_mut());
    if let Some(args) = args {
        args.insert("sunstate", json!(event.as_str()));
    }
    block
}

fn mode_ids<M: Into<ModeId>>(modes: impl IntoIterator<Item = M>) -> BlockValue {
    let ids: Vec<Value> = modes.into_iter().map(|mode| mode.into().as_str().into()).collect();
    BlockValue::new("houseModeId_array", ids)
}

/// Creates the condition that the house has entered one of these modes.
pub fn mode_changed_to<M: Into<ModeId>>(modes: impl IntoIterator<Item = M>) -> Block {
    when("isHouseModeChangedTo", [("houseMode", mode_ids(modes))])
}

/// Creates the condition that the house has left one of these modes.
pub fn mode_changed_from<M: Into<ModeId>>(modes: impl IntoIterator<Item = M>) -> Block {
    when("isHouseModeChangedFrom", [("houseMode", mode_ids(modes))])
}

/// Creates the condition that a scene has ended in a way, or was enabled or disabled.
pub fn scene_is(scene: impl Into<SceneId>, state: &SceneState) -> Block {
    let state = BlockValue::token(state.as_str());
    when("isSceneState", [("scene", id_value("sceneId", scene.into().as_str())), ("state", state)])
}

fn group(method: &str, blocks: impl IntoIterator<Item = Block>) -> Block {
    let blocks: Vec<Value> = blocks.into_iter().map(|block| wire::to_value(&block)).collect();
    when(method, [("blocks", BlockValue::new("blocks", blocks))])
}

/// Creates the condition that all blocks are true.
pub fn all(blocks: impl IntoIterator<Item = Block>) -> Block {
    group("and", blocks)
}

/// Creates the condition that at least one block is true.
pub fn any(blocks: impl IntoIterator<Item = Block>) -> Block {
    group("or", blocks)
}

/// Creates the condition that a block is false.
pub fn not(block: Block) -> Block {
    when("not", [("block", BlockValue::new("block", wire::to_value(&block)))])
}

/// Creates a condition on the past of other conditions, such as a latch. All blocks inside must hold; a latch has one block.
///
/// ```
/// use ezlo_protocol::hub::scene::{Condition, Function, item_is, over_time};
///
/// let open = item_is("5f0000000000000000000001", "dw_is_opened");
/// let block = over_time(Function::HeldFor { seconds: 300 }, [open]);
/// assert!(matches!(block.condition(), Condition::Function { .. }));
/// ```
pub fn over_time(function: Function, blocks: impl IntoIterator<Item = Block>) -> Block {
    let mut block = group("function", blocks);
    if let Some(options) = block.options.get_mut() {
        options.function = function.settings().into();
    }
    block
}

/// Creates the condition that a block of a scene has a result, or has changed it (`None`). `block` is the id of the block.
pub fn group_is(scene: impl Into<SceneId>, block: &str, state: Option<bool>) -> Block {
    let state = match state {
        Some(true) => "true",
        Some(false) => "false",
        None => "changed",
    };
    let text = |text: &str| BlockValue::new("string", text);
    when(
        "isGroupState",
        [("scene", id_value("sceneId", scene.into().as_str())), ("group", text(block)), ("state", text(state))],
    )
}

/// Creates the condition that an element of a dictionary was `added`, `updated` or `removed`.
pub fn dictionary_changed(id: impl Into<ItemId>, key: &str, operation: &str) -> Block {
    when(
        "isDictionaryChanged",
        [item(id), ("key", BlockValue::token(key)), ("operation", BlockValue::token(operation))],
    )
}

/// Creates the condition that the user code with this key has operated a lock. `id` is the item with the operations.
pub fn lock_operated(id: impl Into<ItemId>, state: &str, user: &str) -> Block {
    let user = BlockValue::new("dictionaryId", user);
    when("isUserLockOperation", [item(id), ("state", BlockValue::token(state)), ("user", user)])
}

/// Creates the action that resets the latch of a block, or all latches of a scene (`None`).
pub fn reset_latch(scene: impl Into<SceneId>, block: Option<&str>) -> Block {
    let scene = ("sceneId", BlockValue::new("string", scene.into().as_str()));
    match block {
        Some(block) => then("resetLatch", [scene, ("blockId", BlockValue::new("string", block))]),
        None => then("resetSceneLatches", [scene]),
    }
}

/// Creates the action that sets an item.
pub fn set_item(id: impl Into<ItemId>, value: impl Into<BlockValue>) -> Block {
    then("setItemValue", [item(id), ("value", value.into())])
}

/// Creates the action that inverts a bool item.
pub fn toggle_item(id: impl Into<ItemId>) -> Block {
    then("toggleValue", [item(id)])
}

/// Creates the action that arms or disarms a device.
pub fn set_device_armed(id: impl Into<DeviceId>, armed: bool) -> Block {
    then("setDeviceArmed", [("device", id_value("device", id.into().as_str())), ("deviceFlag", armed.into())])
}

/// Creates the action that switches the house mode.
pub fn switch_mode(mode: impl Into<ModeId>) -> Block {
    then("switchHouseMode", [("houseMode", id_value("houseModeId", mode.into().as_str()))])
}

/// Creates the action that runs a scene.
pub fn run_scene(scene: impl Into<SceneId>) -> Block {
    then("runScene", [("sceneId", id_value("sceneId", scene.into().as_str()))])
}

/// Creates the action that sends an HTTP GET request.
pub fn http_get(url: &str) -> Block {
    then("sendHttpRequest", [("request", BlockValue::new("string", "GET")), ("url", BlockValue::new("string", url))])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::scene::view::{Action, Condition};

    #[test]
    fn built_blocks_are_read_as_the_same_conditions() {
        let timing = sun(SunEvent::Sunset, SunTiming::Before, HmsInterval::from_seconds(630));
        assert!(
            matches!(timing.condition(), Condition::Sun { event: SunEvent::Sunset, timing: SunTiming::Before, offset, .. }
            if offset.seconds() == 630)
        );
        let nested = any([all([item_is("a", true), not(item_changed("b"))]), every(Interval::from_seconds(10))]);
        let Condition::Any(inner) = nested.condition() else { panic!("{nested:?}") };
        assert!(
            matches!(&inner[0], Condition::All(both) if matches!(&both[1], Condition::Not(not) if matches!(**not, Condition::ItemChanged { .. })))
        );
        assert!(
            matches!(run_scene("s").action(), Action::RunScene { scene, part: crate::hub::scene::ScenePart::Then } if scene.as_str() == "s")
        );
        assert!(
            matches!(weekly_at([1, 7], "07:30".parse().unwrap()).condition(), Condition::At(rule) if rule.weekdays == [1, 7])
        );
    }

    #[test]
    fn built_blocks_match_the_samples_of_the_guide() {
        let block = wire::to_value(&item_is("5e0000000000000000000001", true));
        let printed = json!({
            "blockOptions": {"method": {"args": {"item": "item", "value": "value"}, "name": "isItemState"}},
            "blockType": "when",
            "fields": [
                {"name": "item", "type": "item", "value": "5e0000000000000000000001"},
                {"name": "value", "type": "bool", "value": true},
            ],
        });
        assert_eq!(block, printed);
        let printed = json!({
            "blockOptions": {"method": {"args": {"time": "time", "sunstate": "sunrise"}, "name": "isSunState"}},
            "blockType": "when",
            "fields": [
                {"name": "sunrise", "type": "string", "value": "before"},
                {"name": "time", "type": "hms_interval", "value": "00:10:30"},
            ],
        });
        assert_eq!(wire::to_value(&sun(SunEvent::Sunrise, SunTiming::Before, HmsInterval::from_seconds(630))), printed);
    }
}
