//! JSON that is written already: what goes out is written once, straight from its type.

use serde::Serialize;

/// A JSON document as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JsonText(String);

impl JsonText {
    pub(crate) fn of(document: &impl Serialize) -> Self {
        // What goes out consists of types that are made to be JSON.
        Self(serde_json::to_string(document).unwrap_or_else(|_| "null".to_owned()))
    }

    /// An object without members.
    pub(crate) fn empty() -> Self {
        Self("{}".to_owned())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    #[cfg(test)]
    pub(crate) fn value(&self) -> serde_json::Value {
        serde_json::from_str(&self.0).unwrap_or_default()
    }
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

    proptest! {
        #[test]
        fn texts_are_written_as_serde_does(text in any::<String>()) {
            let mut out = String::new();
            push_text(&mut out, &text);
            prop_assert_eq!(out, serde_json::to_string(&text).unwrap());
        }
    }
}
