//! Typed views of blocks.
//!
//! A [`Block`] preserves all members of the wire form. A [`Condition`] or [`Action`] is its interpretation.

use serde_json::Value;

use crate::hub::catalogue::Scale;
use crate::hub::scene::document::{Block, BlockField};
use crate::hub::scene::time::{DateKind, DateLimit, DateRule, HmsInterval, Interval, TimeOfDay};
use crate::hub::{DeviceId, ItemId, ModeId, SceneId};

/// Maximum nesting of conditions. Deeper conditions are read as [`Condition::Unknown`].
pub const MAX_DEPTH: usize = 16;

open_enum! {
    /// The operator of `compareNumbers`.
    Comparator {
        /// Equal.
        Equal = "==",
        /// Not equal.
        NotEqual = "!=",
        /// Greater.
        Greater = ">",
        /// Greater or equal.
        GreaterOrEqual = ">=",
        /// Less.
        Less = "<",
        /// Less or equal.
        LessOrEqual = "<=",
    }
}

impl Comparator {
    /// Evaluates the comparison. An unknown operator is never true.
    #[expect(clippy::float_cmp, reason = "the operator compares readings exactly as sent")]
    pub fn holds(&self, left: f64, right: f64) -> bool {
        match self {
            Self::Equal => left == right,
            Self::NotEqual => left != right,
            Self::Greater => left > right,
            Self::GreaterOrEqual => left >= right,
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
            Self::Unknown(_) => false,
        }
    }
}

open_enum! {
    /// A sun event. On the wire it is the *name* of a field.
    SunEvent {
        /// Sunrise.
        Sunrise = "sunrise",
        /// Sunset.
        Sunset = "sunset",
    }
}

open_enum! {
    /// The time of a condition relative to a sun event.
    SunTiming {
        /// At the event.
        At = "intime",
        /// Before the event, by the offset.
        Before = "before",
        /// After the event, by the offset.
        After = "after",
    }
}

open_enum! {
    /// The time of day during which a sun condition holds.
    SunRange {
        /// At the moment only (default).
        At = "at",
        /// From the moment to midnight.
        After = "after",
        /// From midnight to the moment.
        Before = "before",
    }
}

open_enum! {
    /// The state of a scene in `isSceneState`.
    ///
    /// The tokens are those of the vendor's firmware (pi). A sample of the guide has others; see [`SceneState::of`].
    SceneState {
        /// All actions have run.
        Finished = "finished",
        /// A part of the actions has run.
        PartiallyFinished = "partially_finished",
        /// The run has failed.
        Failed = "failed",
        /// The run was stopped.
        Stopped = "stopped",
        /// The run has ended in any way.
        AnyResult = "any_result",
        /// The scene was enabled.
        Enabled = "scene_enabled",
        /// The scene was disabled.
        Disabled = "scene_disabled",
    }
}

impl SceneState {
    /// Reads a token in either spelling: the firmware's, or the one of the guide's sample.
    pub fn of(token: &str) -> Self {
        match token {
            "successful" => Self::Finished,
            "changed" => Self::AnyResult,
            "on" => Self::Enabled,
            "off" => Self::Disabled,
            token => token.into(),
        }
    }
}

/// A value in a block, with its type and unit.
#[derive(Debug, Clone, PartialEq)]
pub struct BlockValue {
    /// Item value type or scene value type.
    pub kind: String,
    /// Value.
    pub value: Value,
    /// Unit of the value.
    pub scale: Option<Scale>,
}

impl BlockValue {
    /// Creates a value of a type, without a unit.
    pub fn new(kind: &str, value: impl Into<Value>) -> Self {
        Self { kind: kind.to_owned(), value: value.into(), scale: None }
    }

    /// Creates a value of the type `token`.
    pub fn token(token: &str) -> Self {
        Self::new("token", token)
    }

    /// Creates a number with a unit, such as a `temperature` in [`Scale::Celsius`].
    pub fn measure(kind: &str, number: f64, scale: Scale) -> Self {
        Self { scale: Some(scale), ..Self::new(kind, number) }
    }

    fn read(field: &BlockField) -> Option<Self> {
        Some(Self {
            kind: field.kind.as_deref().unwrap_or_default().to_owned(),
            value: field.value.get()?.clone(),
            scale: field.scale.as_deref().map(Scale::from),
        })
    }

    pub(super) fn field(&self, name: &str) -> BlockField {
        BlockField {
            name: name.into(),
            kind: self.kind.as_str().into(),
            value: self.value.clone().into(),
            scale: self.scale.as_ref().map(|scale| scale.as_str().to_owned()).into(),
            ..BlockField::default()
        }
    }
}

impl From<bool> for BlockValue {
    fn from(flag: bool) -> Self {
        Self::new("bool", flag)
    }
}

impl From<i64> for BlockValue {
    fn from(number: i64) -> Self {
        Self::new("int", number)
    }
}

impl From<f64> for BlockValue {
    fn from(number: f64) -> Self {
        Self::new("float", number)
    }
}

/// Creates a token, because most text values of items are tokens.
impl From<&str> for BlockValue {
    fn from(token: &str) -> Self {
        Self::token(token)
    }
}

open_enum! {
    /// The operation of `stringOperation`.
    StringOperation {
        /// Begins with the text.
        Begin = "begin",
        /// Ends with the text.
        End = "end",
        /// Contains the text.
        Contain = "contain",
        /// Has the length.
        Length = "length",
        /// Does not begin with the text.
        NotBegin = "not_begin",
        /// Does not end with the text.
        NotEnd = "not_end",
        /// Does not contain the text.
        NotContain = "not_contain",
        /// Has another length.
        NotLength = "not_length",
    }
}

/// The left side of a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operand {
    /// An item.
    Item(ItemId),
    /// An expression or a variable, by name.
    Expression(String),
}

/// The right side of a comparison.
#[derive(Debug, Clone, PartialEq)]
pub enum Compared {
    /// A value.
    Value(BlockValue),
    /// The value of an item, an expression or a variable.
    Operand(Operand),
}

/// A comparison of a value.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Test {
    /// Compares numbers (`compareNumbers`).
    Number(Comparator, Compared),
    /// Is in a range with both ends, or outside of it (`compareNumberRange`).
    Range {
        /// Start of the range.
        start: BlockValue,
        /// End of the range.
        end: BlockValue,
        /// `false` for the numbers outside of the range.
        inside: bool,
    },
    /// Compares texts by their order (`compareStrings`).
    Text(Comparator, Compared),
    /// Examines a text (`stringOperation`).
    TextOperation(StringOperation, Compared),
    /// Is one of the values, or none of them (`inArray`).
    In {
        /// Values.
        values: Vec<Value>,
        /// `false` for none of the values.
        inside: bool,
    },
    /// Compares values of any type (`compareValues`). Only numbers and texts have an order.
    Value(Comparator, Compared),
}

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
    /// A firmware update is in this state: `started`, `updating` or `done` (`isFirmwareUpdateState`).
    FirmwareIs(String),
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
    /// Runs a scene (`runScene`).
    RunScene(SceneId),
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
            Self::All(inner) | Self::Any(inner) | Self::OneOf(inner) => inner.iter().any(Self::has_unknown),
            Self::Not(inner) => inner.has_unknown(),
            _ => false,
        }
    }
}

impl Block {
    fn text(&self, name: &str) -> Option<&str> {
        self.argument(name)?.as_str()
    }

    fn flag(&self, name: &str) -> Option<bool> {
        self.argument(name)?.as_bool()
    }

    fn item(&self) -> Option<ItemId> {
        self.text("item").map(ItemId::from)
    }

    fn typed(&self, name: &str) -> Option<BlockValue> {
        BlockValue::read(self.argument_field(name)?)
    }

    /// Reads the left side of a comparison.
    fn operand(&self) -> Option<Operand> {
        let item = self.item().map(Operand::Item);
        item.or_else(|| self.text("expression").map(|name| Operand::Expression(name.to_owned())))
    }

    /// Reads the right side of a comparison. The type of its field says whether the value is a reference.
    fn compared(&self, name: &str) -> Option<Compared> {
        let value = self.typed(name)?;
        Some(match (value.kind.as_str(), value.value.as_str()) {
            ("expression", Some(name)) => Compared::Operand(Operand::Expression(name.to_owned())),
            ("item", Some(id)) => Compared::Operand(Operand::Item(id.into())),
            _ => Compared::Value(value),
        })
    }

    /// Interprets the block as a condition.
    ///
    /// Returns [`Condition::Unknown`] for an unknown method, an invalid argument, or a nesting deeper than [`MAX_DEPTH`]. An
    /// unknown nested condition stays inside the outer one; see [`Condition::has_unknown`].
    pub fn condition(&self) -> Condition {
        self.condition_at(0)
    }

    fn condition_at(&self, depth: usize) -> Condition {
        let unknown = || Condition::Unknown(self.method().unwrap_or_default().to_owned());
        if depth > MAX_DEPTH { unknown() } else { self.known_condition(depth).unwrap_or_else(unknown) }
    }

    fn known_condition(&self, depth: usize) -> Option<Condition> {
        Some(match self.method()? {
            "isItemState" | "isItemValue" => {
                Condition::ItemIs { item: self.item()?, value: self.typed("value")?, armed: self.flag("armed") }
            }
            "isDictonaryValueState" => {
                Condition::DictionaryHas { item: self.item()?, token: self.text("value")?.to_owned() }
            }
            "compareNumbers" | "compareNumberRange" | "compareStrings" | "stringOperation" | "inArray"
            | "compareValues" => self.comparison()?,
            "isItemStateChanged" => {
                Condition::ItemChanged { item: self.item()?, from: self.typed("start"), to: self.typed("finish") }
            }
            "isButtonState" => Condition::Button {
                item: self.item()?,
                number: self.argument("button_number").and_then(Value::as_i64),
                state: self.text("value").or_else(|| self.text("button_state"))?.to_owned(),
            },
            "isDeviceState" => Condition::DeviceIs {
                device: self.text("device")?.into(),
                reachable: self.flag("reachable"),
                armed: self.flag("armed"),
            },
            "isInterval" => Condition::Every(self.text("interval")?.parse().ok()?),
            "isDate" => Condition::At(self.date_rule()?),
            "isOnce" => Condition::Once {
                time: self.text("time")?.parse().ok()?,
                day: self.small("day")?,
                month: self.small("month")?,
                year: self.small("year")?,
            },
            "isDateRange" => Condition::During { start: self.date_limit("start")?, end: self.date_limit("end")? },
            "isSunState" => {
                let field = self.argument_field("sunstate")?;
                Condition::Sun {
                    event: field.name.as_deref()?.into(),
                    timing: field.value.get()?.as_str()?.into(),
                    offset: self.text("time").map_or(Ok(HmsInterval::default()), str::parse).ok()?,
                    weekdays: self.numbers("weekdays", 1..=7)?,
                    days: self.numbers("days", 1..=31)?,
                    range: self.text("range").map_or(SunRange::At, SunRange::from),
                }
            }
            "isHouseModeChangedTo" => Condition::ModeChangedTo(self.modes()?),
            "isHouseModeChangedFrom" => Condition::ModeChangedFrom(self.modes()?),
            "isSceneState" => {
                Condition::SceneIs { scene: self.text("scene")?.into(), state: SceneState::of(self.text("state")?) }
            }
            "isCloudState" => match self.text("state")? {
                "connected" => Condition::CloudIs(true),
                "disconnected" => Condition::CloudIs(false),
                _ => return None,
            },
            "isFirmwareUpdateState" => Condition::FirmwareIs(self.text("state")?.to_owned()),
            "and" => Condition::All(self.inner(depth)?),
            "or" => Condition::Any(self.inner(depth)?),
            "xor" => Condition::OneOf(self.inner(depth)?),
            "not" => Condition::Not(Box::new(block(self.argument("block")?)?.condition_at(depth + 1))),
            _ => return None,
        })
    }

    /// Interprets the block as a comparison.
    fn comparison(&self) -> Option<Condition> {
        Some(match self.method()? {
            "compareNumbers" => {
                let comparator = self.text("comparator")?.into();
                match (self.operand()?, self.compared("value")?) {
                    (Operand::Item(item), Compared::Value(value)) => Condition::Compares { item, comparator, value },
                    (left, right) => Condition::Tests { left, test: Test::Number(comparator, right) },
                }
            }
            "compareNumberRange" => {
                let inside = self.text("comparator").unwrap_or("between") == "between";
                let (start, end) = (self.typed("startValue")?, self.typed("endValue")?);
                Condition::Tests { left: self.operand()?, test: Test::Range { start, end, inside } }
            }
            "compareStrings" => {
                let test = Test::Text(self.text("comparator")?.into(), self.compared("value")?);
                Condition::Tests { left: self.operand()?, test }
            }
            "stringOperation" => {
                let test = Test::TextOperation(self.text("operation")?.into(), self.compared("value")?);
                Condition::Tests { left: self.operand()?, test }
            }
            "inArray" => {
                let (values, inside) = (self.argument("value")?.as_array()?.clone(), self.text("operation")? == "in");
                Condition::Tests { left: self.operand()?, test: Test::In { values, inside } }
            }
            "compareValues" => {
                let test = Test::Value(self.text("comparator").unwrap_or("==").into(), self.compared("value")?);
                Condition::Tests { left: self.operand()?, test }
            }
            _ => return None,
        })
    }

    /// Reads `isDate`. Both forms of `time` are read: a list, and the single text of some clients.
    fn date_rule(&self) -> Option<DateRule> {
        let times = match self.argument("time") {
            None => Vec::new(),
            Some(Value::Array(times)) => times.iter().map(|time| time.as_str()?.parse().ok()).collect::<Option<_>>()?,
            Some(time) => vec![time.as_str()?.parse().ok()?],
        };
        // An invalid day makes the whole block unknown, because an empty list means all days.
        let weekdays = self.numbers("weekdays", 1..=7)?;
        let usual = if weekdays.is_empty() { DateKind::Daily } else { DateKind::Weekly };
        let kind = self.text("type").map_or(usual, DateKind::from);
        let all_day = kind == DateKind::Weekly && !weekdays.is_empty();
        let rule = DateRule {
            kind,
            times,
            weekdays,
            days: self.numbers("days", 1..=31)?,
            weeks: self.numbers("weeks", -1..=53)?,
        };
        (rule.kind.is_known() && (all_day || !rule.times.is_empty())).then_some(rule)
    }

    fn date_limit(&self, side: &str) -> Option<DateLimit> {
        let name = |part: &str| format!("{side}{part}");
        let time = match self.text(&name("Time")) {
            Some(text) => Some(text.parse().ok()?),
            None => None,
        };
        Some(DateLimit {
            time,
            day: self.optional(&name("Day"))?,
            month: self.optional(&name("Month"))?,
            year: self.optional(&name("Year"))?,
        })
    }

    fn small<T: TryFrom<i64>>(&self, name: &str) -> Option<T> {
        self.argument(name)?.as_i64()?.try_into().ok()
    }

    /// Reads an argument that may be absent. The outer `None` is an invalid value.
    #[expect(clippy::option_option, reason = "absent and invalid are different")]
    fn optional<T: TryFrom<i64>>(&self, name: &str) -> Option<Option<T>> {
        match self.argument(name) {
            None => Some(None),
            Some(_) => self.small(name).map(Some),
        }
    }

    /// Reads a list of numbers, which can be text; empty if the argument is absent.
    fn numbers(&self, name: &str, bounds: std::ops::RangeInclusive<i64>) -> Option<Vec<i64>> {
        let read = |day: &Value| day.as_i64().or_else(|| day.as_str()?.parse().ok()).filter(|day| bounds.contains(day));
        match self.argument(name) {
            None => Some(Vec::new()),
            Some(list) => list.as_array()?.iter().map(read).collect(),
        }
    }

    /// Reads the modes of a condition: a list of ids, or the single id of some clients.
    fn modes(&self) -> Option<Vec<ModeId>> {
        match self.argument("houseMode")? {
            Value::Array(modes) if !modes.is_empty() => modes.iter().map(|mode| Some(mode.as_str()?.into())).collect(),
            mode => Some(vec![mode.as_str()?.into()]),
        }
    }

    fn inner(&self, depth: usize) -> Option<Vec<Condition>> {
        let blocks = self.argument("blocks")?.as_array()?;
        blocks.iter().map(|inner| Some(block(inner)?.condition_at(depth + 1))).collect()
    }

    /// Interprets the block as an action. Returns [`Action::Unknown`] for an unknown method or an invalid argument.
    pub fn action(&self) -> Action {
        self.known_action().unwrap_or_else(|| Action::Unknown(self.method().unwrap_or_default().to_owned()))
    }

    /// Reads the dictionary of further headers.
    fn headers(&self) -> Option<Vec<(String, String)>> {
        let header = |(name, value): (&String, &Value)| Some((name.clone(), value.as_str()?.to_owned()));
        match self.argument("headers") {
            None => Some(Vec::new()),
            Some(headers) => headers.as_object()?.iter().map(header).collect(),
        }
    }

    fn known_action(&self) -> Option<Action> {
        Some(match self.method()? {
            "setItemValue" => Action::Set { item: self.item()?, value: self.typed("value")? },
            "toggleValue" => match self.operand()? {
                Operand::Item(item) => Action::Toggle(item),
                Operand::Expression(name) => Action::ToggleVariable(name),
            },
            "setVariable" => Action::SetVariable {
                name: self.text("name")?.to_owned(),
                value: self.argument("value")?.clone(),
                value_type: self.text("valueType").map(str::to_owned),
            },
            "groupSetItemValue" => Action::GroupSet {
                devices: self.text("deviceGroup")?.to_owned(),
                items: self.text("itemGroup")?.to_owned(),
                value: self.typed("value")?,
            },
            "groupToggleValue" => Action::GroupToggle {
                devices: self.text("deviceGroup")?.to_owned(),
                items: self.text("itemGroup")?.to_owned(),
            },
            "groupSetDeviceArmed" => Action::GroupSetArmed {
                devices: self.text("deviceGroup")?.to_owned(),
                armed: self.flag("deviceFlag").or_else(|| self.flag("armed"))?,
            },
            "stopScene" => Action::StopScene(self.text("sceneId").or_else(|| self.text("scene"))?.into()),
            "resetHub" => Action::ResetHub(self.text("type")?.to_owned()),
            "decreaseDimmer" => Action::DecreaseDimmer(self.item()?),
            "setDeviceArmed" => Action::SetArmed {
                device: self.text("device")?.into(),
                armed: self.flag("deviceFlag").or_else(|| self.flag("armed"))?,
            },
            "switchHouseMode" => Action::SwitchMode(self.text("houseMode")?.into()),
            "runScene" => Action::RunScene(self.text("sceneId")?.into()),
            "setSceneState" => {
                Action::SetSceneEnabled { scene: self.text("sceneId")?.into(), enabled: self.flag("enabled")? }
            }
            "sendHttpRequest" => Action::HttpRequest {
                method: self.text("request").unwrap_or("GET").to_owned(),
                url: self.text("url")?.to_owned(),
                content_type: self.text("contentType").map(str::to_owned),
                content: self.text("content").map(str::to_owned),
                headers: self.headers()?,
                credential: match self.argument("credential") {
                    None => None,
                    Some(pair) => Some((pair["user"].as_str()?.to_owned(), pair["password"].as_str()?.into())),
                },
            },
            "rebootHub" => Action::Reboot,
            _ => return None,
        })
    }
}

/// Returns the block that a field contains.
pub(super) fn block(value: &Value) -> Option<Block> {
    if value.is_object() { crate::wire::from_value(value).ok() } else { None }
}
