//! Building blocks of wire documents: optional members, open enumerations, raw and opaque JSON.
//!
//! Firmware and cloud change independently of this crate, so no received data is dropped. Unknown members are preserved in
//! `extra`, unknown enumeration tokens in `Unknown`, and [`Field`] distinguishes an absent member from `null`.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

mod entries;
mod field;
mod loose;
mod raw;
#[macro_use]
mod macros;

pub use entries::{Entries, Unreadable};
pub use field::Field;
pub(crate) use field::{AlwaysPresent, Probe, missing};
pub use loose::Loose;
pub use raw::Raw;

/// A JSON object whose type names the known members and preserves the others in its field `extra`.
pub trait Document {
    /// Names of the known members, as on the wire.
    const MEMBERS: &'static [&'static str];
}

/// Members of a document that its type does not name, in the order of the document.
#[derive(Clone, Default, PartialEq)]
pub struct Extra(Option<Box<Map<String, Value>>>);

impl Serialize for Extra {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Extra {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Map::deserialize(deserializer).map(|members| Self(Some(Box::new(members))))
    }
}

impl<N: Into<String>> FromIterator<(N, Value)> for Extra {
    fn from_iter<I: IntoIterator<Item = (N, Value)>>(members: I) -> Self {
        let mut all = Self::default();
        for (name, value) in members {
            all.insert(name, value);
        }
        all
    }
}

impl Extra {
    /// Adds a member. A repeated name replaces the earlier member, as in common JSON parsers.
    pub fn insert(&mut self, name: impl Into<String>, value: Value) {
        self.0.get_or_insert_default().insert(name.into(), value);
    }

    /// Returns the member of this name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.as_ref()?.get(name)
    }

    /// Returns `true` if there are no unknown members.
    pub fn is_empty(&self) -> bool {
        self.0.as_ref().is_none_or(|members| members.is_empty())
    }

    /// Iterates over the members in the order of the document.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.0.iter().flat_map(|members| members.iter())
    }
}

/// Prints the names only, because an unknown member may hold a secret.
impl fmt::Debug for Extra {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|(name, _)| name)).finish()
    }
}

/// A JSON value that may hold a secret. It is serialised unchanged, and its `Debug` output is masked.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Opaque(Value);

impl std::ops::Deref for Opaque {
    type Target = Value;
    fn deref(&self) -> &Value {
        &self.0
    }
}

impl fmt::Debug for Opaque {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Opaque(***)")
    }
}

impl From<Value> for Opaque {
    fn from(value: Value) -> Self {
        Self(value)
    }
}

impl From<Value> for Field<Opaque> {
    fn from(value: Value) -> Self {
        Self::Value(Opaque(value))
    }
}

/// The name of an object member, borrowed from the input where it has no escapes.
pub(crate) struct Key<'de>(pub(crate) Cow<'de, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a member name")
            }
            fn visit_borrowed_str<E: de::Error>(self, name: &'de str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Borrowed(name)))
            }
            fn visit_str<E: de::Error>(self, name: &str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Owned(name.to_owned())))
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}

/// Deserialises a document from JSON text in UTF-8.
///
/// # Errors
///
/// [`DecodeError`] if the input is not JSON or does not have the shape of `T`. It names the member and never quotes a value.
pub fn from_slice<T: de::DeserializeOwned>(json: &[u8]) -> Result<T, DecodeError> {
    // The plain parser is twice as fast as the parser that tracks the path, and valid input is the common case.
    serde_json::from_slice(json).map_err(|_| explained::<T>(json))
}

/// Deserialises a document from JSON text. Unlike [`from_slice`], it does not validate UTF-8 again.
///
/// # Errors
///
/// The same as [`from_slice`].
pub fn from_str<T: de::DeserializeOwned>(json: &str) -> Result<T, DecodeError> {
    serde_json::from_str(json).map_err(|_| explained::<T>(json.as_bytes()))
}

/// Parses the input again with the path-tracking parser to find the path and the reason of the failure.
fn explained<T: de::DeserializeOwned>(json: &[u8]) -> DecodeError {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    match serde_path_to_error::deserialize::<_, T>(&mut deserializer) {
        Err(error) => DecodeError::new(error.path().to_string(), error.inner()),
        // The value is valid, so the error is in the text after it.
        Ok(_) => DecodeError { at: ".".into(), what: "trailing characters".into() },
    }
}

/// Deserialises a document from a parsed JSON value.
///
/// # Errors
///
/// [`DecodeError`] if the value does not have the shape of `T`. It names the member and never quotes a value.
pub fn from_value<T: de::DeserializeOwned>(value: &Value) -> Result<T, DecodeError> {
    serde_path_to_error::deserialize(value).map_err(|error| DecodeError::new(error.path().to_string(), error.inner()))
}

/// Serialises a document to a JSON value. This never fails for the documents of this crate; other failures return `null`.
pub fn to_value<T: Serialize>(document: &T) -> Value {
    serde_json::to_value(document).unwrap_or(Value::Null)
}

/// Serialises a document as JSON text.
///
/// # Panics
///
/// If the type cannot be written as JSON, such as a map whose keys are not texts. That is a bug of the type: an empty document in its
/// place would hide it. All types of this crate can be written.
#[expect(clippy::expect_used, reason = "documented")]
pub fn to_text(document: &impl Serialize) -> String {
    serde_json::to_string(document).expect("the type can be written as JSON")
}

/// Returns the length of a value as JSON in bytes, without building the text. A value that cannot be written counts as `usize::MAX`.
pub fn encoded_len(value: &impl serde::Serialize) -> usize {
    struct Counter(usize);

    impl std::io::Write for Counter {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 = self.0.saturating_add(bytes.len());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    let mut counter = Counter(0);
    serde_json::to_writer(&mut counter, value).map_or(usize::MAX, |()| counter.0)
}

/// Serialises a document as JSON, as bytes.
///
/// # Panics
///
/// As [`to_text`].
#[expect(clippy::expect_used, reason = "documented")]
pub fn to_bytes(document: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(document).expect("the type can be written as JSON")
}

/// The error of deserialising a document. It names the member and the expected type, and never quotes a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} at `{at}`")]
pub struct DecodeError {
    at: String,
    what: String,
}

impl DecodeError {
    /// Converts an error of the plain parser, which does not track the path.
    pub(crate) fn from_json(error: &serde_json::Error) -> Self {
        Self::new(".".into(), error)
    }

    fn new(at: String, error: &serde_json::Error) -> Self {
        let text = error.to_string();
        // The parser quotes the offending value in front of the last "expected", and that value may be a password.
        let what = match text.rfind("expected ").or_else(|| text.find("missing field")) {
            Some(start) => text[start..].to_owned(),
            None if error.is_eof() => "the JSON text ends too early".into(),
            None if error.is_syntax() => format!("not JSON (line {}, column {})", error.line(), error.column()),
            None => "unexpected shape".into(),
        };
        Self { at, what }
    }

    /// Returns the path of the member, such as `Devices[0].PK_Device`, or `.` for the whole document.
    pub fn at(&self) -> &str {
        &self.at
    }

    /// Returns the reason, such as the expected type, without the offending value.
    pub fn what(&self) -> &str {
        &self.what
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    wire! {
        /// A sample document.
        Sample {
            /// A required member.
            id: String = "_id",
            /// An optional member.
            note: Field<String> = "note",
        }
    }

    #[test]
    fn unknown_members_and_absent_null_and_value_round_trip() {
        for text in [r#"{"_id":"a"}"#, r#"{"_id":"a","note":null,"new":[1,{"x":null}]}"#, r#"{"_id":"a","note":"n"}"#] {
            let sample: Sample = from_slice(text.as_bytes()).unwrap();
            assert_eq!(to_value(&sample), serde_json::from_str::<Value>(text).unwrap());
        }
    }

    #[test]
    fn decode_errors_hide_values_that_contain_words_of_the_parser() {
        #[derive(Debug, serde::Deserialize)]
        struct Expiry {
            #[serde(rename = "Expires")]
            _expires: i64,
        }
        for value in ["my expected hunter2secret", "missing field hunter2secret", "unknown variant hunter2secret"] {
            let error = from_str::<Expiry>(&format!(r#"{{"Expires":"{value}"}}"#)).unwrap_err().to_string();
            assert!(!error.contains("hunter2") && error.contains("i64"), "{error}");
        }
    }

    #[test]
    fn decode_errors_name_the_path_and_hide_the_value() {
        let error = from_slice::<Vec<Sample>>(br#"[{"_id":"a"},{"_id":{"hunter2":1}}]"#).unwrap_err();
        assert_eq!(error.to_string(), "expected a string at line 1 column 20 at `[1]._id`");
        let error = from_slice::<Sample>(b"{}").unwrap_err();
        assert_eq!(error.what(), "missing field `_id` at line 1 column 2");
        let error = from_slice::<Sample>(br#"{"_id":"a"} x"#).unwrap_err();
        assert_eq!(error.what(), "trailing characters");
        for broken in [r#"[{"_id":"a"},{"_id":{"hunter2":1}}]"#, r#"[] x"#] {
            assert_eq!(
                from_str::<Vec<Sample>>(broken),
                from_slice::<Vec<Sample>>(broken.as_bytes()),
                "both parsers report the same error"
            );
        }
        let text = from_slice::<Loose<u64>>(br#""hunter2""#).unwrap_err().to_string();
        assert!(!text.contains("hunter2"), "{text}");
    }

    #[test]
    fn debug_of_unknown_members_prints_names_only() {
        let sample: Sample = from_slice(br#"{"_id":"a","token":"hunter2"}"#).unwrap();
        let text = format!("{sample:?}");
        assert!(text.contains("token") && !text.contains("hunter2"), "{text}");
    }
}
