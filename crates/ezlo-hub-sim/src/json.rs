//! Serialised JSON. Outgoing messages are serialised once, directly from their types.

use std::borrow::Cow;

use bytes::Bytes;
use ezlo_protocol::wire::Field;
use serde::Serialize;
use serde_json::Value;

/// A JSON document as serialised text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawJson(Cow<'static, str>);

impl RawJson {
    /// Serialises a document.
    ///
    /// # Panics
    ///
    /// If the type cannot be written as JSON, see [`ezlo_protocol::wire::to_text`]. No message of this workspace is such a type.
    pub fn of(document: &impl Serialize) -> Self {
        Self(Cow::Owned(ezlo_protocol::wire::to_text(document)))
    }

    /// Returns an object without members.
    pub fn empty() -> Self {
        Self(Cow::Borrowed("{}"))
    }

    /// Returns the JSON text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Converts the JSON text into bytes without copying it.
    pub fn into_bytes(self) -> Bytes {
        match self.0 {
            Cow::Borrowed(text) => Bytes::from_static(text.as_bytes()),
            Cow::Owned(text) => Bytes::from(text),
        }
    }

    /// Parses the document.
    #[cfg(test)]
    pub fn value(&self) -> serde_json::Value {
        serde_json::from_str(&self.0).unwrap_or_default()
    }
}

/// Deepest accepted nesting of JSON. The limits of real hubs are not known (inferred).
///
/// The limit is far above the nesting of real documents. It is far below the limit of JSON parsers, so that an accepted
/// document can be read back from a persisted state, where it is nested some levels deeper.
const DEEPEST: usize = 64;

/// Returns whether objects and arrays are nested more than 64 levels deep. A simulator refuses such calls.
///
/// The text must be valid JSON. Brackets in strings do not count.
pub fn is_too_deep(json: &str) -> bool {
    // Each level has an opening and a closing bracket.
    if json.len() <= 2 * DEEPEST {
        return false;
    }
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => {
                depth += 1;
                if depth > DEEPEST {
                    return true;
                }
            }
            b'}' | b']' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// A writer that builds a JSON object member by member, for hot paths in which the overhead of serde would dominate.
///
/// Member names are written without escaping.
#[derive(Debug)]
pub struct JsonObjectWriter(String);

impl JsonObjectWriter {
    /// Creates a writer for an object, with a capacity in bytes.
    pub fn with_room(bytes: usize) -> Self {
        Self(String::with_capacity(bytes))
    }

    /// Writes a member name, which must not contain characters that JSON escapes.
    fn name(&mut self, name: &'static str) {
        self.0.push(if self.0.is_empty() { '{' } else { ',' });
        self.0.push('"');
        self.0.push_str(name);
        self.0.push_str("\":");
    }

    /// Adds a string member. The text is escaped.
    pub fn text(&mut self, name: &'static str, text: &str) {
        self.name(name);
        push_text(&mut self.0, text);
    }

    /// Adds a Boolean member.
    pub fn flag(&mut self, name: &'static str, flag: bool) {
        self.name(name);
        self.0.push_str(if flag { "true" } else { "false" });
    }

    /// Adds a member from JSON text, which is not checked.
    pub fn json(&mut self, name: &'static str, json: &str) {
        self.name(name);
        self.0.push_str(json);
    }

    /// Adds a member from a JSON value.
    pub fn value(&mut self, name: &'static str, value: &Value) {
        match value {
            Value::Null => self.json(name, "null"),
            Value::Bool(flag) => self.flag(name, *flag),
            Value::String(text) => self.text(name, text),
            Value::Number(_) | Value::Array(_) | Value::Object(_) => self.json(name, RawJson::of(value).as_str()),
        }
    }

    /// Adds a member from a field of the protocol.
    ///
    /// `write` adds a value. A null field is written as `null`, and an absent field is omitted.
    pub fn field<T>(&mut self, name: &'static str, field: &Field<T>, write: fn(&mut Self, &'static str, &T)) {
        match field {
            Field::Absent => {}
            Field::Null => self.json(name, "null"),
            Field::Value(value) => write(self, name, value),
        }
    }

    /// Closes the object and returns it.
    pub fn end(mut self) -> RawJson {
        self.0.push_str(if self.0.is_empty() { "{}" } else { "}" });
        RawJson(Cow::Owned(self.0))
    }
}

/// The value 1 in each of eight bytes.
const ONES: u64 = u64::MAX / 0xff;

/// Returns a mask with the high bit of each byte that is less than `number`.
///
/// Bytes above the lowest match may be false positives. Bytes from 0x80 on never match.
const fn below(word: u64, number: u64) -> u64 {
    word.wrapping_sub(ONES * number) & !word & (ONES << 7)
}

/// Returns a mask with the high bit of each of the eight bytes of `word` that equals `byte`.
///
/// The mask is zero if no byte matches. The lowest match is exact; bytes above it may be false positives.
const fn swar_eq(word: u64, byte: u8) -> u64 {
    below(word ^ (ONES * byte as u64), 1)
}

/// Returns whether a JSON string can contain the text without escaping. Checks eight bytes at a time.
fn is_plain(text: &str) -> bool {
    let (words, rest) = text.as_bytes().as_chunks::<8>();
    let special = |word: u64| below(word, 0x20) | swar_eq(word, b'"') | swar_eq(word, b'\\') != 0;
    !words.iter().any(|word| special(u64::from_le_bytes(*word)))
        && rest.iter().all(|byte| *byte >= 0x20 && *byte != b'"' && *byte != b'\\')
}

/// Appends a text as a JSON string, with quotes and escapes.
pub fn push_text(out: &mut String, text: &str) {
    if is_plain(text) {
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else {
        out.push_str(RawJson::of(&text).as_str());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn nesting_deeper_than_the_limit_is_detected() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(!is_too_deep(&nested(DEEPEST)) && is_too_deep(&nested(DEEPEST + 1)));
        assert!(
            !is_too_deep(&format!(r#"{{"a": "{}\"{}"}}"#, "[".repeat(100), "{".repeat(100))),
            "brackets in a string"
        );
        assert!(!is_too_deep(&"[]".repeat(100)));
    }

    #[test]
    fn object_writer_output_equals_serde_output() {
        let values = [json!(null), json!(true), json!("a\"b"), json!(1.5), json!({"x": [1]})];
        for value in &values {
            let mut members = JsonObjectWriter::with_room(0);
            members.text("a", "x\ny");
            members.flag("b", false);
            members.field("absent", &Field::<String>::Absent, |_, _, _| ());
            members.field("null", &Field::<String>::Null, |_, _, _| ());
            members.field("field", &Field::from("f"), |members, name, text: &String| members.text(name, text));
            members.value("value", value);
            let expected = json!({"a": "x\ny", "b": false, "null": null, "field": "f", "value": value});
            assert_eq!(members.end().as_str(), expected.to_string());
        }
        assert_eq!(JsonObjectWriter::with_room(0).end().as_str(), "{}");
    }

    proptest! {
        #[test]
        fn string_output_equals_serde_output(text in any::<String>()) {
            let mut out = String::new();
            push_text(&mut out, &text);
            prop_assert_eq!(out, serde_json::to_string(&text).unwrap());
        }

        #[test]
        fn bytes_that_need_escaping_are_found_at_every_position(text in "[ -~\u{0}-\u{30}\u{7f}\u{80}\u{ff}]{0,20}") {
            let plain = text.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\');
            prop_assert_eq!(is_plain(&text), plain);
        }
    }
}
