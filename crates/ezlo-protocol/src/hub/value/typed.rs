//! Typed item values and their conversion from and to JSON.

use serde::de::DeserializeOwned;
use serde_json::{Map, Number, Value};

use crate::hub::catalogue::{Scale, ValueType};
use crate::hub::value::types::{Shape, ValueError};
use crate::wire;
use crate::wire::Field;

/// A typed value of an item.
///
/// [`ItemValue::write`] returns JSON that is equal to the input of [`ItemValue::read`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ItemValue {
    /// Whole number, of the types `int` and `int64`.
    Int(i64),
    /// Number, of the type `float` and of all types with a unit. The unit is in the `scale` of the item.
    Number(Number),
    /// Boolean, of the type `bool`.
    Bool(bool),
    /// Text, of the type `string`.
    Text(String),
    /// Token of an enumeration, of the type `token`.
    Token(String),
    /// Number with its unit. Types with a unit have this form inside a dictionary or array.
    Measure(Measure),
    /// Colour, of the type `rgb`.
    Rgb(Rgb),
    /// Button action, of the type `button_state`.
    Button(ButtonPress),
    /// User code of a lock, of the type `userCode`.
    UserCode(UserCode),
    /// Operation of a lock, of the type `user_lock_operation`.
    LockOperation(UserLockOperation),
    /// Weekly interval, of the type `weekly_interval`.
    Weekly(WeeklyInterval),
    /// Interval between two dates, of the type `daily_interval`.
    Daily(DailyInterval),
    /// Sound of a siren, of the type `sound_info`.
    Sound(SoundInfo),
    /// Stream of a camera, of the type `cameraStream`.
    Camera(CameraStream),
    /// Elements by key in the order of the hub, of the type `dictionary`.
    Dictionary(Vec<(String, Self)>),
    /// Elements, of the type `array` and of the deprecated types `…_array`.
    Array(Vec<Self>),
    /// JSON of a type without a published shape, of an untyped element, or nested deeper than 8 levels.
    Raw(Value),
}

wire! {
    /// A number with its unit.
    Measure {
        /// Number.
        value: Field<Number> = "value",
        /// Unit of the number.
        scale: Field<Scale> = "scale",
    }
}

wire! {
    /// A colour. A device sends only the components that it has (guide20:p140).
    Rgb {
        /// Warm white component.
        warm_white: Field<i64> = "wwhite",
        /// Cold white component.
        cold_white: Field<i64> = "cwhite",
        /// Red component.
        red: Field<i64> = "red",
        /// Green component.
        green: Field<i64> = "green",
        /// Blue component.
        blue: Field<i64> = "blue",
        /// Amber component.
        amber: Field<i64> = "amber",
        /// Cyan component.
        cyan: Field<i64> = "cyan",
        /// Purple component.
        purple: Field<i64> = "purple",
        /// Index of a colour in the palette of the device.
        indexed: Field<i64> = "indexed",
    }
}

wire! {
    /// An action of a button (guide20:p142).
    ButtonPress {
        /// Number of the button.
        number: Field<i64> = "button_number",
        /// Action, such as `press_1_time`.
        state: Field<String> = "button_state",
    }
}

wire! {
    /// A user code of a lock (guide20:p141).
    UserCode {
        /// Digits of the code.
        code: String = "code",
        /// Name of the code.
        name: Field<String> = "name",
        /// Mode of the code: `enabled`, `disabled`, `messaging` or `passage`; newer firmware.
        mode: Field<String> = "mode",
    }
}

wire! {
    /// An operation of a lock and the user code that caused it (guide20:p143).
    UserLockOperation {
        /// Operation: `unknown`, `lock` or `unlock`.
        action: Field<String> = "action",
        /// Number of the user code; -1 for none.
        user_id: Field<i64> = "userId",
    }
}

wire! {
    /// A weekly time interval (guide20:p141). If it starts later than it stops, it ends on the next day.
    WeeklyInterval {
        /// Days of the week, such as `monday`.
        week_days: Field<Vec<String>> = "weekDays",
        /// Start time, `HH:MM:SS`.
        start: Field<String> = "startTime",
        /// Stop time, `HH:MM:SS`.
        stop: Field<String> = "stopTime",
    }
}

wire! {
    /// An interval between two dates, without a time zone (guide20:p142).
    DailyInterval {
        /// Start, `YYYY-MM-DDTHH:MM:SS`.
        start: Field<String> = "startDateTime",
        /// End, `YYYY-MM-DDTHH:MM:SS`.
        stop: Field<String> = "stopDateTime",
    }
}

wire! {
    /// A sound of a siren (guide20:p144).
    SoundInfo {
        /// Name of the sound.
        name: Field<String> = "name",
        /// Duration in seconds.
        duration: Field<i64> = "duration",
    }
}

wire! {
    /// The stream of a camera.
    CameraStream {
        /// URL of the stream on the local network, `rtsp://…`.
        local_rtsp_url: Field<String> = "localRtspUrl",
    }
}

/// Maximum nesting of containers. It bounds the recursion on an element type such as `a.b.c…` of a hostile hub.
const MAX_DEPTH: usize = 8;

impl ItemValue {
    /// Reads a value of a type.
    ///
    /// `element_type` is the `elementType` of the item, for dictionaries and arrays. Values nested deeper than 8 levels are
    /// read as [`ItemValue::Raw`].
    ///
    /// # Errors
    ///
    /// [`ValueError::WrongType`] if the JSON does not have the shape of the type.
    pub fn read(kind: &ValueType, element_type: Option<&str>, value: &Value) -> Result<Self, ValueError> {
        read(kind, element_type, value, 0)
    }

    /// Reads an element of a dictionary or array.
    ///
    /// `element_type` is the `elementType` of the container: a type, or several types joined with `.` for nested containers.
    ///
    /// # Errors
    ///
    /// [`ValueError::WrongType`] if the JSON does not have the shape of the type.
    pub fn read_element(element_type: &str, value: &Value) -> Result<Self, ValueError> {
        element(element_type, value, 1)
    }

    /// Converts the value to JSON.
    pub fn write(&self) -> Value {
        match self {
            Self::Int(number) => (*number).into(),
            Self::Number(number) => Value::Number(number.clone()),
            Self::Bool(flag) => (*flag).into(),
            Self::Text(text) | Self::Token(text) => text.as_str().into(),
            Self::Measure(measure) => wire::to_value(measure),
            Self::Rgb(rgb) => wire::to_value(rgb),
            Self::Button(press) => wire::to_value(press),
            Self::UserCode(code) => wire::to_value(code),
            Self::LockOperation(operation) => wire::to_value(operation),
            Self::Weekly(interval) => wire::to_value(interval),
            Self::Daily(interval) => wire::to_value(interval),
            Self::Sound(sound) => wire::to_value(sound),
            Self::Camera(camera) => wire::to_value(camera),
            Self::Dictionary(elements) => {
                elements.iter().map(|(key, element)| (key.clone(), element.write())).collect::<Map<_, _>>().into()
            }
            Self::Array(elements) => elements.iter().map(Self::write).collect(),
            Self::Raw(value) => value.clone(),
        }
    }

    /// Returns the number of an integer, a float or a measure, and `None` for other values.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "readings are far below 2^53")]
            Self::Int(number) => Some(*number as f64),
            Self::Number(number) => number.as_f64(),
            Self::Measure(measure) => measure.value.get().and_then(Number::as_f64),
            _ => None,
        }
    }
}

fn read(kind: &ValueType, element_type: Option<&str>, value: &Value, depth: usize) -> Result<ItemValue, ValueError> {
    if depth > MAX_DEPTH {
        return Ok(ItemValue::Raw(value.clone()));
    }
    let text = || value.as_str().map(str::to_owned).ok_or(ValueError::WrongType);
    match kind {
        ValueType::Token => text().map(ItemValue::Token),
        ValueType::Rgb => structure(value).map(ItemValue::Rgb),
        ValueType::ButtonState => structure(value).map(ItemValue::Button),
        ValueType::UserCode => structure(value).map(ItemValue::UserCode),
        ValueType::UserLockOperation => structure(value).map(ItemValue::LockOperation),
        ValueType::WeeklyInterval => structure(value).map(ItemValue::Weekly),
        ValueType::DailyInterval => structure(value).map(ItemValue::Daily),
        ValueType::SoundInfo => structure(value).map(ItemValue::Sound),
        ValueType::CameraStream => structure(value).map(ItemValue::Camera),
        ValueType::Dictionary => dictionary(element_type, value, depth),
        ValueType::Array => array(element_type, value, depth),
        // The deprecated types contain the element type in their name.
        kind if kind.as_str().ends_with("_array") => array(kind.as_str().strip_suffix("_array"), value, depth),
        kind => match kind.shape() {
            Shape::Integer => value.as_i64().map(ItemValue::Int).ok_or(ValueError::WrongType),
            Shape::Number => value.as_number().cloned().map(ItemValue::Number).ok_or(ValueError::WrongType),
            Shape::Bool => value.as_bool().map(ItemValue::Bool).ok_or(ValueError::WrongType),
            Shape::Text => text().map(ItemValue::Text),
            Shape::Object | Shape::Array | Shape::Unknown => Ok(ItemValue::Raw(value.clone())),
        },
    }
}

fn structure<T: DeserializeOwned>(value: &Value) -> Result<T, ValueError> {
    if !value.is_object() {
        return Err(ValueError::WrongType);
    }
    wire::from_value(value).map_err(|_| ValueError::WrongType)
}

fn dictionary(element_type: Option<&str>, value: &Value, depth: usize) -> Result<ItemValue, ValueError> {
    let members = value.as_object().ok_or(ValueError::WrongType)?;
    let one = |(key, value): (&String, &Value)| Ok((key.clone(), contained(element_type, value, depth)?));
    members.iter().map(one).collect::<Result<_, _>>().map(ItemValue::Dictionary)
}

fn array(element_type: Option<&str>, value: &Value, depth: usize) -> Result<ItemValue, ValueError> {
    let elements = value.as_array().ok_or(ValueError::WrongType)?;
    elements.iter().map(|value| contained(element_type, value, depth)).collect::<Result<_, _>>().map(ItemValue::Array)
}

fn contained(element_type: Option<&str>, value: &Value, depth: usize) -> Result<ItemValue, ValueError> {
    match element_type {
        Some(kind) => element(kind, value, depth + 1),
        None => Ok(ItemValue::Raw(value.clone())),
    }
}

fn element(path: &str, value: &Value, depth: usize) -> Result<ItemValue, ValueError> {
    let (kind, rest) = path.split_once('.').map_or((path, None), |(kind, rest)| (kind, Some(rest)));
    let kind = ValueType::from(kind);
    let has_unit = kind.shape() == Shape::Number && kind != ValueType::Float;
    if has_unit && value.is_object() {
        let measure: Measure = structure(value)?;
        return if measure.value.get().is_some() {
            Ok(ItemValue::Measure(measure))
        } else {
            Err(ValueError::WrongType)
        };
    }
    read(&kind, rest, value, depth)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::catalogue::VALUE_TYPES;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn container_elements_are_read_by_element_type() {
        let read = |kind: &str, element: Option<&str>, value: Value| {
            let typed = ItemValue::read(&kind.into(), element, &value).unwrap();
            assert_eq!(typed.write(), value);
            typed
        };
        let week = json!({"1": [{"weekDays": ["monday"], "startTime": "11:50:54", "stopTime": "17:59:59"}]});
        let typed = read("dictionary", Some("array.weekly_interval"), week.clone());
        assert!(
            matches!(&typed, ItemValue::Dictionary(all) if matches!(&all[0].1, ItemValue::Array(days) if matches!(days[0], ItemValue::Weekly(_))))
        );
        assert_eq!(read("dictionary", Some("weekly_interval_array"), week), typed);
        assert_eq!(
            read("int_array", None, json!([11, 232])),
            ItemValue::Array(vec![ItemValue::Int(11), ItemValue::Int(232)])
        );
        let warm = read("array", Some("temperature"), json!([{"value": 36, "scale": "celsius"}]));
        assert!(matches!(&warm, ItemValue::Array(all) if all[0].as_f64() == Some(36.0)));
        read("rgb", None, json!({"red": 255, "blue": 1, "new": 2}));
    }

    #[test]
    fn json_of_another_type_is_refused() {
        for (kind, value) in [
            ("int", json!("1")),
            ("bool", json!(1)),
            ("token", json!(true)),
            ("rgb", json!([])),
            ("userCode", json!({"code": 1234})),
            ("dictionary", json!([])),
            ("temperature", json!("warm")),
        ] {
            assert_eq!(ItemValue::read(&kind.into(), None, &value), Err(ValueError::WrongType), "{kind}");
        }
    }

    /// JSON that resembles typed values closely enough to be read as one in some cases.
    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-1e9..1e9_f64).prop_map(Value::from),
            "[a-z_:]{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            let key = prop::sample::select(vec!["red", "code", "name", "value", "scale", "1", "weekDays", "duration"]);
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(key, inner, 0..4)
                    .prop_map(|map| map.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn readable_values_round_trip(at in 0..VALUE_TYPES.len(), value in any_value()) {
            let kind = ValueType::from(VALUE_TYPES[at].name);
            for element in [None, Some("int"), Some("array.userCode"), Some("temperature")] {
                if let Ok(typed) = ItemValue::read(&kind, element, &value) {
                    prop_assert_eq!(typed.write(), value.clone());
                }
            }
        }
    }
}
