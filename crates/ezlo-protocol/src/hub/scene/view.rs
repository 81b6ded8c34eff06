//! Blocks as Rust knows them. A [`Block`] keeps everything it came with; a [`Condition`] or [`Action`] is how to read one.

use serde_json::Value;

use crate::hub::catalogue::Scale;
use crate::hub::scene::document::{Block, BlockField};
use crate::hub::scene::time::{HmsInterval, Interval, TimeOfDay};
use crate::hub::{DeviceId, ItemId, ModeId, SceneId};

/// How deep conditions may nest; deeper ones are read as unknown.
pub const MAX_DEPTH: usize = 16;

open_enum! {
    /// How `compareNumbers` compares.
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
    /// Whether the comparison holds; never for one that nobody knows.
    #[expect(clippy::float_cmp, reason = "users ask for equality; readings are compared as they were sent")]
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
    /// Which event of the sun; the *name* of the field on the wire.
    SunEvent {
        /// Sunrise.
        Sunrise = "sunrise",
        /// Sunset.
        Sunset = "sunset",
    }
}

open_enum! {
    /// When, seen from the event.
    SunTiming {
        /// At the event.
        At = "intime",
        /// Before it, by the offset.
        Before = "before",
        /// After it, by the offset.
        After = "after",
    }
}

/// A value in a block, with its type and unit.
#[derive(Debug, Clone, PartialEq)]
pub struct BlockValue {
    /// An item value type or a scene value type.
    pub kind: String,
    /// The value.
    pub value: Value,
    /// The unit.
    pub scale: Option<Scale>,
}

impl BlockValue {
    /// A value of that type.
    pub fn new(kind: &str, value: impl Into<Value>) -> Self {
        Self { kind: kind.to_owned(), value: value.into(), scale: None }
    }

    /// A token.
    pub fn token(token: &str) -> Self {
        Self::new("token", token)
    }

    /// A number with a unit, such as `temperature` in celsius.
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

/// Tokens are what texts of items mostly are.
impl From<&str> for BlockValue {
    fn from(token: &str) -> Self {
        Self::token(token)
    }
}

/// A condition.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Condition {
    /// An item has a value; with `armed`, only while its device is armed or not (`isItemState`).
    ItemIs {
        /// The item.
        item: ItemId,
        /// The value.
        value: BlockValue,
        /// Whether the device is armed.
        armed: Option<bool>,
    },
    /// A dictionary item has that token (`isDictonaryValueState`).
    DictionaryHas {
        /// The item.
        item: ItemId,
        /// The token.
        token: String,
    },
    /// A number compares; true once each time it begins to hold (`compareNumbers`).
    Compares {
        /// The item.
        item: ItemId,
        /// How.
        comparator: Comparator,
        /// The value.
        value: BlockValue,
    },
    /// An item changed, from and to any value where none is given (`isItemStateChanged`).
    ItemChanged {
        /// The item.
        item: ItemId,
        /// Its value before.
        from: Option<BlockValue>,
        /// Its value after.
        to: Option<BlockValue>,
    },
    /// A button did something (`isButtonState`).
    Button {
        /// The item.
        item: ItemId,
        /// Which button.
        number: Option<i64>,
        /// What it did.
        state: String,
    },
    /// A device answers or is armed, or not (`isDeviceState`).
    DeviceIs {
        /// The device.
        device: DeviceId,
        /// Whether it answers.
        reachable: Option<bool>,
        /// Whether the device is armed.
        armed: Option<bool>,
    },
    /// Again and again (`isInterval`).
    Every(Interval),
    /// At a time of day, on these days of the week (1 = Monday) or on all (`isDate`).
    At {
        /// When.
        time: TimeOfDay,
        /// On which days; empty for all.
        weekdays: Vec<u8>,
    },
    /// By the sun (`isSunState`).
    Sun {
        /// Which event.
        event: SunEvent,
        /// When, seen from it.
        timing: SunTiming,
        /// How long before or after.
        offset: HmsInterval,
    },
    /// The house came into a mode (`isHouseModeChangedTo`).
    ModeChangedTo(ModeId),
    /// The house left a mode (`isHouseModeChangedFrom`).
    ModeChangedFrom(ModeId),
    /// All hold (`and`).
    All(Vec<Self>),
    /// At least one holds (`or`).
    Any(Vec<Self>),
    /// Exactly one holds (`xor`).
    OneOf(Vec<Self>),
    /// It does not hold (`not`).
    Not(Box<Self>),
    /// One that this version cannot read: its name.
    Unknown(String),
}

/// An action.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Action {
    /// Sets an item (`setItemValue`).
    Set {
        /// The item.
        item: ItemId,
        /// The value.
        value: BlockValue,
    },
    /// Turns a bool item round (`toggleValue`).
    Toggle(ItemId),
    /// Dims a step down (`decreaseDimmer`).
    DecreaseDimmer(ItemId),
    /// Arms a device or not (`setDeviceArmed`).
    SetArmed {
        /// The device.
        device: DeviceId,
        /// Whether the device is armed.
        armed: bool,
    },
    /// Switches the house mode (`switchHouseMode`).
    SwitchMode(ModeId),
    /// Runs a scene (`runScene`).
    RunScene(SceneId),
    /// Lets a scene run by itself or not (`setSceneState`).
    SetSceneEnabled {
        /// The scene.
        scene: SceneId,
        /// Whether it runs by itself.
        enabled: bool,
    },
    /// Calls a web server (`sendHttpRequest`).
    HttpRequest {
        /// Such as `GET`.
        method: String,
        /// Whom.
        url: String,
        /// Type of the body.
        content_type: Option<String>,
        /// The body.
        content: Option<String>,
    },
    /// Restarts the hub (`rebootHub`).
    Reboot,
    /// One that this version cannot read: its name.
    Unknown(String),
}

impl Condition {
    /// Whether a part of it is not known.
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

    /// The block as a condition.
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
                // A day that is none makes the whole block unknown: no days would mean all of them.
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

    /// The block as an action.
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

/// Monday is 1.
fn weekday(day: &Value) -> Option<u8> {
    let day = day.as_u64().or_else(|| day.as_str()?.parse().ok())?;
    u8::try_from(day).ok().filter(|day| (1..=7).contains(day))
}

/// A block inside a field.
pub(super) fn block(value: &Value) -> Option<Block> {
    if value.is_object() { crate::wire::from_value(value).ok() } else { None }
}
