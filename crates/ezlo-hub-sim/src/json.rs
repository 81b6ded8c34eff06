//! JSON that is written already: what goes out is written once, straight from its type.

use std::borrow::Cow;

use bytes::Bytes;
use ezlo_protocol::wire::Field;
use serde::Serialize;
use serde_json::Value;

/// A JSON document as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawJson(Cow<'static, str>);

impl RawJson {
    pub fn of(document: &impl Serialize) -> Self {
        // What goes out consists of types that are made to be JSON.
        Self(serde_json::to_string(document).map_or(Cow::Borrowed("null"), Cow::Owned))
    }

    /// An object without members.
    pub fn empty() -> Self {
        Self(Cow::Borrowed("{}"))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn into_bytes(self) -> Bytes {
        match self.0 {
            Cow::Borrowed(text) => Bytes::from_static(text.as_bytes()),
            Cow::Owned(text) => Bytes::from(text),
        }
    }

    #[cfg(test)]
    pub fn value(&self) -> serde_json::Value {
        serde_json::from_str(&self.0).unwrap_or_default()
    }
}

/// How deep what is kept may be nested: far deeper than anything real, and far less than readers of JSON stop at, so that what
/// was taken is read again from a kept state, where it is nested some levels deeper (inferred: real hubs' limits are not known).
const DEEPEST: usize = 64;

/// Whether objects and lists in this JSON are nested deeper than is taken.
pub fn is_too_deep(json: &str) -> bool {
    // What opens has to close.
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

/// Writes an object member by member, where what serde does for every one of them would be much of the work.
#[derive(Debug)]
pub struct JsonObjectWriter(String);

impl JsonObjectWriter {
    /// An object of about so many bytes.
    pub fn with_room(bytes: usize) -> Self {
        Self(String::with_capacity(bytes))
    }

    /// The name has nothing that would have to be escaped.
    fn name(&mut self, name: &'static str) {
        self.0.push(if self.0.is_empty() { '{' } else { ',' });
        self.0.push('"');
        self.0.push_str(name);
        self.0.push_str("\":");
    }

    pub fn text(&mut self, name: &'static str, text: &str) {
        self.name(name);
        push_text(&mut self.0, text);
    }

    pub fn flag(&mut self, name: &'static str, flag: bool) {
        self.name(name);
        self.0.push_str(if flag { "true" } else { "false" });
    }

    pub fn json(&mut self, name: &'static str, json: &str) {
        self.name(name);
        self.0.push_str(json);
    }

    pub fn value(&mut self, name: &'static str, value: &Value) {
        match value {
            Value::Null => self.json(name, "null"),
            Value::Bool(flag) => self.flag(name, *flag),
            Value::String(text) => self.text(name, text),
            Value::Number(_) | Value::Array(_) | Value::Object(_) => self.json(name, RawJson::of(value).as_str()),
        }
    }

    /// A member with what that writes; null stays null, and nothing is written of one that is absent.
    pub fn field<T>(&mut self, name: &'static str, field: &Field<T>, write: fn(&mut Self, &'static str, &T)) {
        match field {
            Field::Absent => {}
            Field::Null => self.json(name, "null"),
            Field::Value(value) => write(self, name, value),
        }
    }

    pub fn end(mut self) -> RawJson {
        self.0.push_str(if self.0.is_empty() { "{}" } else { "}" });
        RawJson(Cow::Owned(self.0))
    }
}

/// Eight bytes of ones.
const ONES: u64 = u64::MAX / 0xff;

/// The high bits of those of eight bytes that are below a number; maybe also of bytes after one, and never of one from 0x80 on.
const fn below(word: u64, number: u64) -> u64 {
    word.wrapping_sub(ONES * number) & !word & (ONES << 7)
}

/// The high bits of those of eight bytes that are this one; maybe also of bytes after one.
pub const fn swar_eq(word: u64, byte: u8) -> u64 {
    below(word ^ (ONES * byte as u64), 1)
}

/// Whether a JSON string may have it as it is; eight bytes at a time.
fn is_plain(text: &str) -> bool {
    let (words, rest) = text.as_bytes().as_chunks::<8>();
    let special = |word: u64| below(word, 0x20) | swar_eq(word, b'"') | swar_eq(word, b'\\') != 0;
    !words.iter().any(|word| special(u64::from_le_bytes(*word)))
        && rest.iter().all(|byte| *byte >= 0x20 && *byte != b'"' && *byte != b'\\')
}

/// Writes a text as a JSON string.
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
    fn depth_is_that_of_objects_and_lists() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(!is_too_deep(&nested(DEEPEST)) && is_too_deep(&nested(DEEPEST + 1)));
        assert!(!is_too_deep(&format!(r#"{{"a": "{}\"{}"}}"#, "[".repeat(100), "{".repeat(100))), "text is no list");
        assert!(!is_too_deep(&"[]".repeat(100)));
    }

    #[test]
    fn members_are_written_as_serde_does() {
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
        fn texts_are_written_as_serde_does(text in any::<String>()) {
            let mut out = String::new();
            push_text(&mut out, &text);
            prop_assert_eq!(out, serde_json::to_string(&text).unwrap());
        }

        #[test]
        fn plain_bytes_are_known_wherever_they_stand(text in "[ -~\u{0}-\u{30}\u{7f}\u{80}\u{ff}]{0,20}") {
            let plain = text.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\');
            prop_assert_eq!(is_plain(&text), plain);
        }
    }
}
