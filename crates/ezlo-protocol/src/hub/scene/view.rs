//! Typed views of blocks.
//!
//! A [`Block`](super::Block) preserves all members of the wire form. A [`Condition`] or [`Action`] is its interpretation.

use serde_json::Value;

use crate::hub::scene::document::ScenePart;
use crate::hub::scene::function::Function;
use crate::hub::scene::terms::{BlockValue, Comparator, Operand, SceneState, SunEvent, SunRange, SunTiming, Test};
use crate::hub::scene::time::{DateLimit, DateRule, HmsInterval, Interval, TimeOfDay};
use crate::hub::{DeviceId, ItemId, ModeId, SceneId};

/// A condition.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Condition {
    /// An item has a value. With `armed`, the device must also be in that armed state (`isItemState`).
    ItemIs {
        /// Id of the item.
        item: ItemId,
        /// Expected value.
        value: BlockValue,
        /// Required armed state of the device; `None` for either.
        armed: Option<bool>,
    },
    /// A dictionary item contains a token (`isDictonaryValueState`).
    DictionaryHas {
        /// Id of the item.
        item: ItemId,
        /// Expected token.
        token: String,
    },
    /// A number compares to a value (`compareNumbers`).
    ///
    /// The condition is edge-triggered: it fires when the comparison becomes true (guide20:p25).
    Compares {
        /// Id of the item.
        item: ItemId,
        /// Operator.
        comparator: Comparator,
        /// Value on the right side of the operator.
        value: BlockValue,
    },
    /// A value passes a comparison of another kind, or one with an expression. It is edge-triggered, too.
    Tests {
        /// Left side.
        left: Operand,
        /// Comparison.
        test: Test,
    },
    /// An item has changed (`isItemStateChanged`).
    ItemChanged {
        /// Id of the item.
        item: ItemId,
        /// Value before the change; `None` for any.
        from: Option<BlockValue>,
        /// Value after the change; `None` for any.
        to: Option<BlockValue>,
    },
    /// A button was operated (`isButtonState`).
    Button {
        /// Id of the item.
        item: ItemId,
        /// Number of the button, which only firmware of 2020 has (inferred); `None` for any.
        number: Option<i64>,
        /// Action of the button, such as `press_1_time`.
        state: String,
    },
    /// A device is in a state (`isDeviceState`).
    DeviceIs {
        /// Id of the device.
        device: DeviceId,
        /// Required reachability; `None` for either.
        reachable: Option<bool>,
        /// Required armed state; `None` for either.
        armed: Option<bool>,
    },
    /// A device of a group has changed to a state (`isDeviceState` with `deviceGroup`). It holds at each such change.
    DeviceOfGroupIs {
        /// Id of the group of devices.
        group: String,
        /// Required reachability; `None` for either.
        reachable: Option<bool>,
        /// Required armed state; `None` for either.
        armed: Option<bool>,
    },
    /// Periodically (`isInterval`).
    Every(Interval),
    /// At times of day, on all days or on given ones (`isDate`).
    At(DateRule),
    /// Once, at a minute of a day (`isOnce`).
    Once {
        /// Time of day in the hub's time zone.
        time: TimeOfDay,
        /// Day of the month.
        day: i8,
        /// Month, 1 to 12.
        month: i8,
        /// Year.
        year: i16,
    },
    /// Between two limits (`isDateRange`). A start after the end means the time outside of the range.
    During {
        /// Start of the range.
        start: DateLimit,
        /// End of the range.
        end: DateLimit,
    },
    /// At a time relative to sunrise or sunset (`isSunState`).
    Sun {
        /// Sun event.
        event: SunEvent,
        /// Before, at or after the event.
        timing: SunTiming,
        /// Offset to the event.
        offset: HmsInterval,
        /// Days of the week, 1 = Monday; empty for all.
        weekdays: Vec<i64>,
        /// Days of the month; empty for all.
        days: Vec<i64>,
        /// The moment itself, or the rest of the day after or before it.
        range: SunRange,
    },
    /// The house has entered one of these modes (`isHouseModeChangedTo`).
    ModeChangedTo(Vec<ModeId>),
    /// The house has left one of these modes (`isHouseModeChangedFrom`).
    ModeChangedFrom(Vec<ModeId>),
    /// A scene has ended in a way, or was enabled or disabled (`isSceneState`).
    SceneIs {
        /// Id of the scene.
        scene: SceneId,
        /// State of the scene.
        state: SceneState,
    },
    /// The hub is connected to the cloud (`true`) or not (`isCloudState`).
    CloudIs(bool),
    /// The hub is on a network (`true`) or not (`isNetworkState`, arguments inferred).
    NetworkIs(bool),
    /// A firmware update is in this state: `started`, `updating` or `done` (`isFirmwareUpdateState`).
    FirmwareIs(String),
    /// A block of a scene has this result, or has changed it (`isGroupState`).
    GroupIs {
        /// Id of the scene.
        scene: SceneId,
        /// Id of a block under `when`.
        block: String,
        /// Result of the block; `None` for a change.
        state: Option<bool>,
    },
    /// An alarm is in this phase: `idle`, `bypass`, `entryDelay` or `main` (`isHouseModeAlarmPhaseRange`).
    AlarmPhaseIs(String),
    /// A switch of the house mode is pending (`isHouseModeSwitchToRange`).
    ModeSwitchPending,
    /// A user code has operated a lock (`isUserLockOperation`).
    LockOperated {
        /// Id of the item with the operations of the lock.
        item: ItemId,
        /// Operation, such as `lock`.
        state: String,
        /// Key of the user code.
        user: String,
    },
    /// An element of a dictionary was changed (`isDictionaryChanged`).
    DictionaryChanged {
        /// Id of the item.
        item: ItemId,
        /// Key of the element.
        key: String,
        /// Operation: `added`, `updated` or `removed`.
        operation: String,
    },
    /// At least one element of a dictionary has a value (`hasAtLeastOneDictionaryValue`).
    DictionaryHasValue {
        /// Id of the item.
        item: ItemId,
        /// Expected value.
        value: Value,
    },
    /// An item of a group of items on a device of a group has changed (`isDeviceItemGroup`).
    GroupItemChanged {
        /// Id of the group of devices.
        devices: String,
        /// Id of the group of items.
        items: String,
    },
    /// The result of conditions over time (`function`). All conditions inside must hold.
    Function {
        /// Settings.
        function: Function,
        /// Conditions inside.
        inner: Vec<Self>,
    },
    /// All conditions are true (`and`).
    All(Vec<Self>),
    /// At least one condition is true (`or`).
    Any(Vec<Self>),
    /// Exactly one condition is true (`xor`).
    OneOf(Vec<Self>),
    /// The condition is false (`not`).
    Not(Box<Self>),
    /// A condition that this version does not support, by the name of its method.
    Unknown(String),
}

/// An action.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Action {
    /// Sets an item (`setItemValue`).
    Set {
        /// Id of the item.
        item: ItemId,
        /// New value.
        value: BlockValue,
    },
    /// Inverts a bool item (`toggleValue`).
    Toggle(ItemId),
    /// Inverts a bool variable (`toggleValue` with `expression`).
    ToggleVariable(String),
    /// Sets a variable (`setVariable`).
    SetVariable {
        /// Name of the variable.
        name: String,
        /// New value.
        value: Value,
        /// Type of the value.
        value_type: Option<String>,
    },
    /// Sets the items of a group of items on the devices of a group (`groupSetItemValue`).
    GroupSet {
        /// Id of the group of devices.
        devices: String,
        /// Id of the group of items.
        items: String,
        /// New value.
        value: BlockValue,
    },
    /// Inverts the bool items of a group of items on the devices of a group (`groupToggleValue`).
    GroupToggle {
        /// Id of the group of devices.
        devices: String,
        /// Id of the group of items.
        items: String,
    },
    /// Arms or disarms the devices of a group (`groupSetDeviceArmed`).
    GroupSetArmed {
        /// Id of the group of devices.
        devices: String,
        /// `true` to arm, `false` to disarm.
        armed: bool,
    },
    /// Stops a scene (`stopScene`).
    StopScene(SceneId),
    /// Resets the hub (`resetHub`): `factory`, `soft` or `hard`.
    ResetHub(String),
    /// Dims by one step (`decreaseDimmer`).
    DecreaseDimmer(ItemId),
    /// Arms or disarms a device (`setDeviceArmed`).
    SetArmed {
        /// Id of the device.
        device: DeviceId,
        /// `true` to arm, `false` to disarm.
        armed: bool,
    },
    /// Switches the house mode (`switchHouseMode`).
    SwitchMode(ModeId),
    /// Runs a scene or a part of it (`runScene`).
    RunScene {
        /// Id of the scene.
        scene: SceneId,
        /// Actions to run.
        part: ScenePart,
    },
    /// Enables or disables a scene (`setSceneState`).
    SetSceneEnabled {
        /// Id of the scene.
        scene: SceneId,
        /// `true` if the conditions start the scene.
        enabled: bool,
    },
    /// Sends an HTTP request (`sendHttpRequest`).
    HttpRequest {
        /// HTTP method, such as `GET`.
        method: String,
        /// URL of the request.
        url: String,
        /// Content type of the body.
        content_type: Option<String>,
        /// Body.
        content: Option<String>,
        /// Further headers, by name.
        headers: Vec<(String, String)>,
        /// User name and password.
        credential: Option<(String, crate::secret::Password)>,
    },
    /// Sets an expression (`setExpression`).
    SetExpression {
        /// Name of the expression.
        name: String,
        /// Code.
        code: String,
        /// Type of the value.
        value_type: Option<String>,
        /// Data of apps.
        metadata: Option<Value>,
        /// Parameters of the code.
        params: Option<Value>,
    },
    /// Sends a command to an abstract device of the cloud (`sendCloudAbstractCommand`).
    ///
    /// The hub waits for the answer of the cloud for at most a minute.
    CloudCommand {
        /// Id of the abstract device.
        abstract_id: String,
        /// Capability.
        capability: String,
        /// Command.
        command: String,
    },
    /// Runs a script of the hub by its id (`runCustomScript`).
    RunScript(String),
    /// Runs a script of a plugin (`runPluginScript`, arguments inferred).
    RunPluginScript {
        /// Path of the script.
        script: String,
        /// Parameters.
        params: Option<Value>,
    },
    /// Resets a latch of a scene (`resetLatch`), or all its latches (`resetSceneLatches`).
    ResetLatches {
        /// Id of the scene.
        scene: SceneId,
        /// Id of the block; `None` for all latches of the scene.
        block: Option<String>,
    },
    /// Restarts the hub (`rebootHub`).
    Reboot,
    /// An action that this version does not support, by the name of its method.
    Unknown(String),
}

impl Condition {
    /// Returns `true` if the condition or a nested one is [`Condition::Unknown`].
    pub fn has_unknown(&self) -> bool {
        match self {
            Self::Unknown(_) => true,
            Self::All(inner) | Self::Any(inner) | Self::OneOf(inner) | Self::Function { inner, .. } => {
                inner.iter().any(Self::has_unknown)
            }
            Self::Not(inner) => inner.has_unknown(),
            _ => false,
        }
    }
}
