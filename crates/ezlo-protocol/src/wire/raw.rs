use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::{DecodeError, Field, from_str};

/// JSON as it was written, read when somebody asks: for members that few look at, where reading them for everybody would be
/// most of the work. Two are the same when they say the same, however it is written.
///
/// It is read and written as JSON only, and not through serde's `flatten`, `untagged` or `tag`. Line breaks between its tokens
/// stay.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Raw(Box<RawValue>);

impl Raw {
    /// The text, as it was written.
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// What it says.
    pub fn value(&self) -> Value {
        // It is JSON; what is nested too deeply for the reader says nothing.
        serde_json::from_str(self.as_str()).unwrap_or_default()
    }

    /// What it says, as a type; the error names the member it stumbled over and never quotes a value.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, DecodeError> {
        from_str(self.as_str())
    }
}

impl PartialEq for Raw {
    fn eq(&self, other: &Self) -> bool {
        // What is too deep to be read is only the same as itself.
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
        // The text of a value is JSON.
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
    fn it_goes_back_as_it_came_and_says_what_it_says() {
        let text = r#"{"b": [1.50, "\u00f6"], "a": null}"#;
        let raw: Raw = serde_json::from_str(text).unwrap();
        assert_eq!((raw.as_str(), serde_json::to_string(&raw).unwrap().as_str()), (text, text));
        assert_eq!(raw.value(), json!({"b": [1.5, "ö"], "a": null}));
        assert_eq!(raw, Raw::from(raw.value()), "written otherwise");
        assert_ne!(raw, Raw::from(json!({})));
        assert_eq!(serde_json::from_value::<Raw>(raw.value()).unwrap(), raw);
        assert!(raw.decode::<Vec<u8>>().is_err());
        let deep =
            |depth: usize| serde_json::from_str::<Raw>(&format!("{}{}", "[".repeat(depth), "]".repeat(depth))).unwrap();
        assert_ne!(deep(200), deep(201));
        assert_eq!((deep(200), deep(200).value()), (deep(200), Value::Null));
    }
}
