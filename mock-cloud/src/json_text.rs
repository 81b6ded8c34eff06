//! JSON that is written already: what goes out is written once, straight from its type.

use std::borrow::Cow;

use serde::Serialize;

/// A JSON document as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JsonText(Cow<'static, str>);

impl JsonText {
    pub(crate) fn of(document: &impl Serialize) -> Self {
        // What goes out consists of types that are made to be JSON.
        Self(serde_json::to_string(document).map_or(Cow::Borrowed("null"), Cow::Owned))
    }

    /// An object without members.
    pub(crate) fn empty() -> Self {
        Self(Cow::Borrowed("{}"))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    #[cfg(test)]
    pub(crate) fn value(&self) -> serde_json::Value {
        serde_json::from_str(&self.0).unwrap_or_default()
    }
}

/// How deep what is kept may be nested: far deeper than anything real, and far less than readers of JSON stop at, so that what
/// was taken is read again from a kept state, where it is nested some levels deeper (inferred: real hubs' limits are not known).
const DEEPEST: usize = 64;

/// Whether objects and lists in this JSON are nested deeper than is taken.
pub(crate) fn is_too_deep(json: &str) -> bool {
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

/// Writes a text as a JSON string.
pub(crate) fn push_text(out: &mut String, text: &str) {
    let plain = |byte: u8| byte >= 0x20 && byte != b'"' && byte != b'\\';
    if text.bytes().all(plain) {
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else {
        out.push_str(JsonText::of(&text).as_str());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn depth_is_that_of_objects_and_lists() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(!is_too_deep(&nested(DEEPEST)) && is_too_deep(&nested(DEEPEST + 1)));
        assert!(!is_too_deep(&format!(r#"{{"a": "{}\"{}"}}"#, "[".repeat(100), "{".repeat(100))), "text is no list");
        assert!(!is_too_deep(&"[]".repeat(100)));
    }

    proptest! {
        #[test]
        fn texts_are_written_as_serde_does(text in any::<String>()) {
            let mut out = String::new();
            push_text(&mut out, &text);
            prop_assert_eq!(out, serde_json::to_string(&text).unwrap());
        }
    }
}
