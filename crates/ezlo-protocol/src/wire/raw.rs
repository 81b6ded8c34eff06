use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::{DecodeError, Field, from_str};

/// JSON text that is parsed on request.
///
/// It is used for large members that few callers read. Two texts are equal if their parsed values are equal.
///
/// It can be deserialised from JSON only, and not inside serde's `flatten`, `untagged` or `tag`. White space between the tokens
/// is preserved.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Raw(Box<RawValue>);

impl Raw {
    /// Returns the text as received.
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// Parses the text. Each call parses it again.
    ///
    /// Returns `null` if the parser refuses the text: a nesting deeper than 128 levels, or a number out of range.
    pub fn value(&self) -> Value {
        // The syntax was checked on receipt, so only depth and number range can be refused.
        serde_json::from_str(self.as_str()).unwrap_or_default()
    }

    /// Deserialises the text into a type.
    ///
    /// # Errors
    ///
    /// The same as [`from_str`].
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, DecodeError> {
        from_str(self.as_str())
    }
}

impl PartialEq for Raw {
    fn eq(&self, other: &Self) -> bool {
        // A text that the parser refuses is equal to the identical text only.
        let value = |raw: &Self| serde_json::from_str::<Value>(raw.as_str());
        self.as_str() == other.as_str()
            || matches!((value(self), value(other)), (Ok(one), Ok(another)) if one == another)
    }
}

impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Raw").field(&self.as_str()).finish()
    }
}

impl From<Value> for Raw {
    fn from(value: Value) -> Self {
        // The text of a value is always valid JSON, so the fallback is never used.
        Self(RawValue::from_string(value.to_string()).unwrap_or_else(|_| RawValue::NULL.to_owned()))
    }
}

impl From<Value> for Field<Raw> {
    fn from(value: Value) -> Self {
        Self::Value(Raw::from(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn raw_json_round_trips_and_is_parsed_on_request() {
        let text = r#"{"b": [1.50, "\u00f6"], "a": null}"#;
        let raw: Raw = serde_json::from_str(text).unwrap();
        assert_eq!((raw.as_str(), serde_json::to_string(&raw).unwrap().as_str()), (text, text));
        assert_eq!(raw.value(), json!({"b": [1.5, "ö"], "a": null}));
        assert_eq!(raw, Raw::from(raw.value()), "equal although written differently");
        assert_ne!(raw, Raw::from(json!({})));
        assert_eq!(serde_json::from_value::<Raw>(raw.value()).unwrap(), raw);
        assert!(raw.decode::<Vec<u8>>().is_err());
        let deep =
            |depth: usize| serde_json::from_str::<Raw>(&format!("{}{}", "[".repeat(depth), "]".repeat(depth))).unwrap();
        assert_ne!(deep(200), deep(201));
        assert_eq!((deep(200), deep(200).value()), (deep(200), Value::Null));
    }
}
