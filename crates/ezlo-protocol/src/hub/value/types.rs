//! Shapes, text forms and parsing of values.

use crate::hub::catalogue::{Scale, ValueType};
use crate::wire::Field;
use serde_json::Value;

/// Why an item does not take a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// The item has no setter.
    #[error("the item cannot be set")]
    NoSetter,
    /// The JSON is of another type.
    #[error("the value has the wrong type")]
    WrongType,
    /// The token is not in the item's list.
    #[error("the token is not one of the item's")]
    UnknownToken,
    /// Below the least or above the greatest value.
    #[error("the value is out of range")]
    OutOfRange,
    /// The text does not match the item's pattern.
    #[error("the text does not match the item's pattern")]
    Pattern,
    /// More elements than the item takes.
    #[error("there are too many elements")]
    TooMany,
    /// Too near to the value of another item.
    #[error("the value is too near to that of another item")]
    Indent,
    /// The value's unit cannot be turned into the item's.
    #[error("the item does not have this scale")]
    Scale,
}

/// What shape the JSON of a value type has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// `true` or `false`.
    Bool,
    /// Text.
    Text,
    /// An object.
    Object,
    /// An array.
    Array,
    /// Not described anywhere.
    Unknown,
}

impl ValueType {
    /// What shape its JSON has. Types with units are bare numbers; the unit stands beside the value.
    pub const fn shape(&self) -> Shape {
        match self {
            Self::Int | Self::Int64 => Shape::Integer,
            Self::Bool => Shape::Bool,
            Self::String | Self::Token => Shape::Text,
            Self::Dictionary
            | Self::Rgb
            | Self::UserCode
            | Self::WeeklyInterval
            | Self::DailyInterval
            | Self::ButtonState
            | Self::UserLockOperation
            | Self::SoundInfo
            | Self::CameraStream => Shape::Object,
            Self::Array | Self::IntArray | Self::DailyIntervalArray | Self::WeeklyIntervalArray => Shape::Array,
            Self::UserCodeAction | Self::FingerprintAction | Self::Action | Self::Unknown(_) => Shape::Unknown,
            _ => Shape::Number,
        }
    }

    /// The text form that hubs send as `valueFormatted`: whole numbers as digits, other numbers with two decimals, no unit.
    pub fn format(&self, value: &Value) -> String {
        match (self.shape(), value) {
            (_, Value::String(text)) => text.clone(),
            (_, Value::Bool(flag)) => flag.to_string(),
            (Shape::Number, Value::Number(number)) => format!("{:.2}", number.as_f64().unwrap_or_default()),
            (_, Value::Number(number)) => number.to_string(),
            _ => String::new(),
        }
    }
}

wire! {
    /// A value with its type and unit beside it: how the vendor's guide prints values, and elements of dictionaries.
    TypedValue {
        /// Type of the value.
        value_type: Field<ValueType> = "valueType",
        /// Type of the value, under the name that four of the guide's samples have.
        kind: Field<ValueType> = "type",
        /// Type of the elements of a dictionary or array.
        element_type: Field<String> = "elementType",
        /// The value.
        value: Field<Value> = "value",
        /// The unit.
        scale: Field<Scale> = "scale",
        /// Allowed tokens.
        tokens: Field<Vec<String>> = "enum",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::item::Item;
    use crate::wire;
    use serde_json::json;

    fn item(json: Value) -> Item {
        wire::from_value(&json).unwrap()
    }

    #[test]
    fn text_forms_follow_the_captures() {
        assert_eq!(ValueType::Bool.format(&json!(true)), "true");
        assert_eq!(ValueType::Int.format(&json!(0)), "0");
        assert_eq!(ValueType::Float.format(&json!(0)), "0.00");
        assert_eq!(ValueType::Temperature.format(&json!(21.456)), "21.46");
        assert_eq!(ValueType::Token.format(&json!("secured")), "secured");
        assert_eq!(ValueType::Dictionary.format(&json!({})), "");
    }

    #[test]
    fn writes_are_checked_by_type_token_and_range() {
        let dimmer = item(json!({"_id":"a","valueType":"int","hasSetter":true,"minValue":0,"valueMax":{"value":100}}));
        assert_eq!(dimmer.check(&json!(50)), Ok(()));
        assert_eq!(dimmer.check(&json!(101)), Err(ValueError::OutOfRange));
        assert_eq!(dimmer.check(&json!(-1)), Err(ValueError::OutOfRange));
        assert_eq!(dimmer.check(&json!(1.5)), Err(ValueError::WrongType));
        assert_eq!(dimmer.check(&json!("50")), Err(ValueError::WrongType));
        let lock = item(json!({"_id":"b","valueType":"token","enum":["secured","unsecured"]}));
        assert_eq!(lock.check(&json!("secured")), Ok(()));
        assert_eq!(lock.check(&json!("open")), Err(ValueError::UnknownToken));
        let sensor = item(json!({"_id":"c","valueType":"bool","hasSetter":false}));
        assert_eq!(sensor.check(&json!(true)), Err(ValueError::NoSetter));
    }

    #[test]
    fn unknown_types_and_units_survive() {
        let text = r#"{"_id":"a","valueType":"new_type","value":{"x":1},"scale":"new_scale"}"#;
        let item: Item = wire::from_slice(text.as_bytes()).unwrap();
        assert_eq!(wire::to_value(&item).to_string(), text);
        assert_eq!(item.check(&json!({"y": 2})), Ok(()));
    }
}
