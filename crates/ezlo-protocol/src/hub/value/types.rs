//! JSON shapes, text forms and errors of item values.

use crate::hub::catalogue::{Scale, ValueType};
use crate::wire::Field;
use serde_json::Value;

/// The reason that an item does not accept a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// The item has no setter.
    #[error("the item has no setter")]
    NoSetter,
    /// The JSON does not have the shape of the item's value type, or is null.
    #[error("the value does not match the item's value type")]
    WrongType,
    /// The token is not in the item's list of allowed tokens.
    #[error("the token is not in the item's list of allowed tokens")]
    UnknownToken,
    /// The value is below the minimum or above the maximum of the item.
    #[error("the value is outside the item's minimum and maximum")]
    OutOfRange,
    /// The text does not match the item's pattern.
    #[error("the text does not match the item's pattern")]
    Pattern,
    /// The value has more elements than the item allows.
    #[error("the value has more elements than the item allows")]
    TooMany,
    /// The distance to the value of the linked item is below the minimum.
    #[error("the distance to the value of the linked item is below the minimum")]
    Indent,
    /// The unit of the value cannot be converted to the unit of the item.
    #[error("the scale cannot be converted to the item's scale")]
    Scale,
}

/// The JSON shape of a value type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Whole number.
    Integer,
    /// Number.
    Number,
    /// `true` or `false`.
    Bool,
    /// Text.
    Text,
    /// Object.
    Object,
    /// Array.
    Array,
    /// No source describes the shape.
    Unknown,
}

impl ValueType {
    /// Returns the JSON shape of the type.
    ///
    /// Types with a unit are bare numbers. The unit is in the sibling member `scale`.
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

    /// Formats a value as hubs do in `valueFormatted`.
    ///
    /// Whole-number types have digits, other numeric types have two decimals, and no text contains a unit (captures, EzloPi).
    /// Returns an empty text for objects, arrays and null.
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
    /// A value with its type and unit: the form of values in the vendor's guide, and of elements of dictionaries.
    TypedValue {
        /// Type of the value.
        value_type: Field<ValueType> = "valueType",
        /// Type of the value, under the name in four samples of the guide.
        kind: Field<ValueType> = "type",
        /// Type of the elements of a dictionary or array.
        element_type: Field<String> = "elementType",
        /// Value.
        value: Field<Value> = "value",
        /// Unit of the value.
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
    fn text_forms_match_the_captures() {
        assert_eq!(ValueType::Bool.format(&json!(true)), "true");
        assert_eq!(ValueType::Int.format(&json!(0)), "0");
        assert_eq!(ValueType::Float.format(&json!(0)), "0.00");
        assert_eq!(ValueType::Temperature.format(&json!(21.456)), "21.46");
        assert_eq!(ValueType::Token.format(&json!("secured")), "secured");
        assert_eq!(ValueType::Dictionary.format(&json!({})), "");
    }

    #[test]
    fn writes_are_checked_for_type_token_and_range() {
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
    fn unknown_types_and_units_round_trip() {
        let text = r#"{"_id":"a","valueType":"new_type","value":{"x":1},"scale":"new_scale"}"#;
        let item: Item = wire::from_slice(text.as_bytes()).unwrap();
        assert_eq!(wire::to_value(&item).to_string(), text);
        assert_eq!(item.check(&json!({"y": 2})), Ok(()));
    }
}
