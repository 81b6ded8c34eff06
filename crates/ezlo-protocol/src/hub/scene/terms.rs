//! Tokens and values in blocks of scenes.

use serde_json::Value;

use crate::hub::ItemId;
use crate::hub::catalogue::Scale;
use crate::hub::scene::document::BlockField;

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

    pub(super) fn read(field: &BlockField) -> Option<Self> {
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
    /// The items of a group of items on the devices of a group. The comparison holds at each change that passes it.
    Group {
        /// Id of the group of devices.
        devices: String,
        /// Id of the group of items.
        items: String,
    },
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
        /// List of values, or a reference to one.
        values: Compared,
        /// `false` for none of the values.
        inside: bool,
    },
    /// Compares values of any type (`compareValues`). Only numbers and texts have an order.
    Value(Comparator, Compared),
}
