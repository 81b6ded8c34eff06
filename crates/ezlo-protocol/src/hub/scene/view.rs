//! Typed views of blocks.
//!
//! A [`Block`] preserves all members of the wire form. A [`Condition`] or [`Action`] is its interpretation.

use serde_json::Value;

use crate::hub::catalogue::Scale;
use crate::hub::scene::document::{Block, BlockField};
use crate::hub::scene::time::{HmsInterval, Interval, TimeOfDay};
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
        /// Number of the button; `None` for any.
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
    /// At a time of day, on all days or on given days of the week (`isDate`).
    At {
        /// Time of day in the hub's time zone.
        time: TimeOfDay,
        /// Days of the week, 1 = Monday; empty for all.
        weekdays: Vec<u8>,
    },
    /// At a time relative to sunrise or sunset (`isSunState`).
    Sun {
        /// Sun event.
        event: SunEvent,
        /// Before, at or after the event.
        timing: SunTiming,
        /// Offset to the event.
        offset: HmsInterval,
    },
    /// The house has entered a mode (`isHouseModeChangedTo`).
    ModeChangedTo(ModeId),
    /// The house has left a mode (`isHouseModeChangedFrom`).
    ModeChangedFrom(ModeId),
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
            "compareNumbers" => Condition::Compares {
                item: self.item()?,
                comparator: self.text("comparator")?.into(),
                value: self.typed("value")?,
            },
            "isItemStateChanged" => {
                Condition::ItemChanged { item: self.item()?, from: self.typed("start"), to: self.typed("finish") }
            }
            "isButtonState" => Condition::Button {
                item: self.item()?,
                number: self.argument("button_number").and_then(Value::as_i64),
                state: self.text("button_state")?.to_owned(),
            },
            "isDeviceState" => Condition::DeviceIs {
                device: self.text("device")?.into(),
                reachable: self.flag("reachable"),
                armed: self.flag("armed"),
            },
            "isInterval" => Condition::Every(self.text("interval")?.parse().ok()?),
            "isDate" => Condition::At {
                time: self.text("time")?.parse().ok()?,
                // An invalid day makes the whole block unknown, because an empty list means all days.
                weekdays: match self.argument("weekdays") {
                    None => Vec::new(),
                    Some(days) => days.as_array()?.iter().map(weekday).collect::<Option<_>>()?,
                },
            },
            "isSunState" => {
                let field = self.argument_field("sunstate")?;
                Condition::Sun {
                    event: field.name.as_deref()?.into(),
                    timing: field.value.get()?.as_str()?.into(),
                    offset: self.text("time").map_or(Ok(HmsInterval::default()), str::parse).ok()?,
                }
            }
            "isHouseModeChangedTo" => Condition::ModeChangedTo(self.text("houseMode")?.into()),
            "isHouseModeChangedFrom" => Condition::ModeChangedFrom(self.text("houseMode")?.into()),
            "and" => Condition::All(self.inner(depth)?),
            "or" => Condition::Any(self.inner(depth)?),
            "xor" => Condition::OneOf(self.inner(depth)?),
            "not" => Condition::Not(Box::new(block(self.argument("block")?)?.condition_at(depth + 1))),
            _ => return None,
        })
    }

    fn inner(&self, depth: usize) -> Option<Vec<Condition>> {
        let blocks = self.argument("blocks")?.as_array()?;
        blocks.iter().map(|inner| Some(block(inner)?.condition_at(depth + 1))).collect()
    }

    /// Interprets the block as an action. Returns [`Action::Unknown`] for an unknown method or an invalid argument.
    pub fn action(&self) -> Action {
        self.known_action().unwrap_or_else(|| Action::Unknown(self.method().unwrap_or_default().to_owned()))
    }

    fn known_action(&self) -> Option<Action> {
        Some(match self.method()? {
            "setItemValue" => Action::Set { item: self.item()?, value: self.typed("value")? },
            "toggleValue" => Action::Toggle(self.item()?),
            "decreaseDimmer" => Action::DecreaseDimmer(self.item()?),
            "setDeviceArmed" => Action::SetArmed { device: self.text("device")?.into(), armed: self.flag("armed")? },
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
            },
            "rebootHub" => Action::Reboot,
            _ => return None,
        })
    }
}

/// Returns the number of a weekday, given as number or text. Monday is 1.
fn weekday(day: &Value) -> Option<u8> {
    let day = day.as_u64().or_else(|| day.as_str()?.parse().ok())?;
    u8::try_from(day).ok().filter(|day| (1..=7).contains(day))
}

/// Returns the block that a field contains.
pub(super) fn block(value: &Value) -> Option<Block> {
    if value.is_object() { crate::wire::from_value(value).ok() } else { None }
}
