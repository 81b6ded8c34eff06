//! A fast scan of the header of a forwarded message: its kind, method and sender. Nested values are skipped, so the receiver
//! detects their errors. The profile `strict` parses each message.
//!
//! Messages that the scan cannot classify are parsed as [`Envelope`](ezlo_protocol::rpc::Envelope).

use ezlo_protocol::rpc::{BROADCAST_ID, FrameKind};
use memchr::memchr2;

use ezlo_hub_sim::json::swar_eq;

/// Maximum nesting of a skipped value, below the limit of `serde_json` (128).
const DEEPEST: usize = 120;

/// The header of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameHeader<'a> {
    pub(crate) kind: FrameKind,
    /// Method, empty without one.
    pub(crate) method: &'a str,
    /// Member `sender` as JSON.
    pub(crate) sender: Option<&'a str>,
}

/// Returns the header of a message; `None` if only a complete parse can determine it.
pub(crate) fn scan_header(text: &str) -> Option<FrameHeader<'_>> {
    let (mut is_broadcast, mut is_reply, mut method, mut sender) = (false, false, None, None);
    // Bits of the members that were found. A message with a duplicate member needs a complete parse.
    let mut seen = 0_u16;
    for member in Members::of(text)? {
        let Member { name, value, is_plain } = member?;
        let bit = match name {
            "id" => 1,
            "method" => 2,
            "msg_subclass" => 4,
            "result" => 8,
            "error" => 16,
            "sender" => 32,
            "api" => 64,
            "params" => 128,
            "msg_id" => 256,
            _ => continue,
        };
        if seen & bit != 0 {
            return None;
        }
        seen |= bit;
        if value == "null" {
            continue;
        }
        let text = is_plain.then(|| &value[1..value.len() - 1]);
        match name {
            "id" if value.starts_with('"') => is_broadcast |= text? == BROADCAST_ID,
            "method" => method = Some(text?),
            "msg_subclass" => is_broadcast = text.map(|_| true)?,
            "api" => drop(text?),
            "result" | "error" => is_reply = true,
            "sender" => sender = Some(value),
            _ => {}
        }
    }
    let kind = match (is_broadcast, is_reply, method) {
        (true, ..) => FrameKind::Broadcast,
        (_, true, _) => FrameKind::Reply,
        (_, _, Some(_)) => FrameKind::Request,
        _ => return None,
    };
    Some(FrameHeader { kind, method: method.unwrap_or_default(), sender })
}

/// Returns the connection that a reply is for, from its `sender`.
pub(crate) fn conn_id(sender: &str) -> Option<&str> {
    let mut members = Members::of(sender)?;
    let found = members.find(|member| member.is_none_or(|member| member.name == "conn_id"));
    let Member { value, is_plain, .. } = found.flatten()?;
    is_plain.then(|| &value[1..value.len() - 1])
}

/// Returns `true` if all members of an object are in `names`; `None` if the scan cannot determine it.
pub(crate) fn keys_subset_of(object: &str, names: &[&str]) -> Option<bool> {
    for member in Members::of(object)? {
        if !names.contains(&member?.name) {
            return Some(false);
        }
    }
    Some(true)
}

/// A member of an object.
#[derive(Debug, Clone, Copy)]
struct Member<'a> {
    name: &'a str,
    /// Value as JSON.
    value: &'a str,
    /// The value is a string without escapes.
    is_plain: bool,
}

/// An iterator over the members of a JSON object. It ends after a `None` item, for a member that cannot be scanned.
struct Members<'a> {
    text: &'a str,
    at: usize,
    is_done: bool,
}

impl<'a> Members<'a> {
    fn of(text: &'a str) -> Option<Self> {
        text.starts_with('{').then_some(Self { text, at: 1, is_done: false })
    }

    fn member(&mut self) -> Option<Member<'a>> {
        let bytes = self.text.as_bytes();
        let begin = behind(bytes, skip_blanks(bytes, self.at), b'"')?;
        let (end, true) = skip_text(bytes, begin)? else { return None };
        let name = self.text.get(begin..end - 1)?;
        let begin = skip_blanks(bytes, behind(bytes, skip_blanks(bytes, end), b':')?);
        let (end, is_plain) = match bytes.get(begin)? {
            b'"' => skip_text(bytes, begin + 1)?,
            b'{' | b'[' => (skip_nested(bytes, begin)?, false),
            _ => (skip_word(self.text, begin)?, false),
        };
        let value = self.text.get(begin..end)?;
        let end = skip_blanks(bytes, end);
        if let Some(next) = behind(bytes, end, b',') {
            self.at = next;
        } else {
            self.is_done = true;
            if skip_blanks(bytes, behind(bytes, end, b'}')?) < bytes.len() {
                return None;
            }
        }
        Some(Member { name, value, is_plain })
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = Option<Member<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_done {
            return None;
        }
        let member = self.member();
        self.is_done |= member.is_none();
        Some(member)
    }
}

// Each of these functions starts at an offset and returns the offset after the skipped part.

#[inline]
fn skip_blanks(bytes: &[u8], mut at: usize) -> usize {
    while matches!(bytes.get(at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
        at += 1;
    }
    at
}

#[inline]
fn behind(bytes: &[u8], at: usize, wanted: u8) -> Option<usize> {
    (*bytes.get(at)? == wanted).then_some(at + 1)
}

/// Skips a string from the byte after its opening quote. The flag is `true` if it has no escapes.
#[inline]
fn skip_text(bytes: &[u8], mut at: usize) -> Option<(usize, bool)> {
    let mut is_plain = true;
    loop {
        at += end_of_text(bytes.get(at..)?)?;
        if bytes[at] == b'"' {
            return Some((at + 1, is_plain));
        }
        // The backslash and the escaped byte.
        at += 2;
        is_plain = false;
    }
}

/// Returns the offset of the first quote or backslash. Most strings are too short for `memchr2` to be faster.
#[inline]
fn end_of_text(bytes: &[u8]) -> Option<usize> {
    const SHORT: usize = 64;
    let (words, rest) = bytes[..bytes.len().min(SHORT)].as_chunks::<8>();
    for (n, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let found = swar_eq(word, b'"') | swar_eq(word, b'\\');
        if found != 0 {
            return Some(8 * n + found.trailing_zeros() as usize / 8);
        }
    }
    if bytes.len() > SHORT {
        return memchr2(b'"', b'\\', &bytes[SHORT..]).map(|found| SHORT + found);
    }
    let found = rest.iter().position(|byte| matches!(byte, b'"' | b'\\'));
    found.map(|found| 8 * words.len() + found)
}

/// Skips an object or an array.
fn skip_nested(bytes: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 0_usize;
    loop {
        match bytes.get(at)? {
            b'"' => {
                (at, _) = skip_text(bytes, at + 1)?;
                continue;
            }
            // A deeper value would also fail a complete parse.
            b'{' | b'[' if depth == DEEPEST => return None,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return Some(at);
        }
    }
}

/// Skips a number, `true`, `false` or `null`.
fn skip_word(text: &str, begin: usize) -> Option<usize> {
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
    let word = text.get(begin..)?;
    let word = &word[..word.bytes().take_while(|byte| is_word(byte)).count()];
    // Numbers are rare and short, so a complete parse is cheap.
    let is_good =
        matches!(word, "null" | "true" | "false") || serde_json::from_str::<serde::de::IgnoredAny>(word).is_ok();
    is_good.then_some(begin + word.len())
}

/// Returns the name of a message: the `msg_subclass` of a broadcast, or the method of a call or reply. Empty without one.
pub(crate) fn name_of(text: &str) -> String {
    let envelope = ezlo_protocol::rpc::Envelope::parse(text).unwrap_or_default();
    envelope.msg_subclass.or(envelope.method).map(std::borrow::Cow::into_owned).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ezlo_protocol::rpc::Envelope;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    #[derive(Debug, serde::Deserialize)]
    struct Sender {
        conn_id: String,
    }

    /// Checks that the scan and a complete parse agree.
    fn agrees(text: &str) -> Result<(), TestCaseError> {
        let (Some(scan_header), Ok(envelope)) = (scan_header(text), Envelope::parse(text)) else { return Ok(()) };
        prop_assert_eq!(scan_header.kind, envelope.kind(), "{}", text);
        prop_assert_eq!(scan_header.method, envelope.method.as_deref().unwrap_or_default());
        prop_assert_eq!(scan_header.sender, envelope.sender.map(|sender| sender.get()));
        let whole = scan_header.sender.and_then(|sender| serde_json::from_str::<Sender>(sender).ok());
        if let (Some(seen), Some(whole)) = (scan_header.sender.and_then(conn_id), whole) {
            prop_assert_eq!(seen, whole.conn_id);
        }
        Ok(())
    }

    #[test]
    fn common_messages_are_scanned_and_unclear_ones_are_not() {
        let scan = |text: &str| scan_header(text).map(|scan_header| (scan_header.kind, scan_header.method.to_owned()));
        let request = r#"{ "id" : "1", "method":"hub.x", "params":{"a":"}\"{","b":[{}]}}"#;
        assert_eq!(scan(request), Some((FrameKind::Request, "hub.x".into())));
        let reply = r#"{"id":1,"error":null,"result":{},"sender":{"type":"ui","conn_id":"c"},"method":"hub.x"} "#;
        assert_eq!(scan(reply), Some((FrameKind::Reply, "hub.x".into())));
        assert_eq!(conn_id(scan_header(reply).unwrap().sender.unwrap()), Some("c"));
        assert_eq!(scan(r#"{"id":"ui_broadcast","result":{}}"#), Some((FrameKind::Broadcast, String::new())));
        assert_eq!(scan(r#"{"msg_subclass":"x","id":2}"#), Some((FrameKind::Broadcast, String::new())));
        let deep = format!(r#"{{"method":"m","params":{}{}}}"#, "[".repeat(129), "]".repeat(129));
        assert_eq!(scan_header(&deep), None);
        for unclear in [
            "",
            "{",
            "[]",
            "{}",
            " {\"method\":\"m\"}",
            "{\"method\":\"m\"}}",
            "{\"method\":\"m\",}",
            "{\"method\":7}",
            "{\"method\":\"m\\u0061\"}",
            "{\"method\":\"a\",\"method\":\"b\"}",
            "{\"method\":\"m\" \"id\":1}",
            "{\"id\":null,\"result\":null}",
            "{\"method\":\"m\\",
            "{\"params\":{\"a\":1}",
            "{\"sender\":[}",
            r#"{"msg_subclass":"a\u002fb","result":{}}"#,
            r#"{"msg_subclass":7,"method":"m"}"#,
            r#"{"method":"m","api":7}"#,
            r#"{"method":"m","params":{},"params":{}}"#,
            r#"{"method":"m","id":nul}"#,
            r#"{"method":"m","id":01}"#,
        ] {
            assert_eq!(scan_header(unclear), None, "{unclear}");
        }
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
            Just(json!("ui_broadcast")),
        ];
        leaf.prop_recursive(3, 12, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-z\"\\\\]{0,4}|conn_id", inner, 0..4)
                    .prop_map(|members| members.into_iter().collect::<Value>()),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_scan_agrees_with_a_complete_parse(
            members in prop::collection::vec(("id|method|msg_subclass|result|error|sender|params|x", value()), 0..6),
        ) {
            let members: Vec<_> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
            agrees(&format!("{{{}}}", members.join(",")))?;
        }

        #[test]
        fn the_end_of_a_string_is_found_at_any_length(plain in "[a-z]{0,150}", end in "\"|\\\\\"x\"", at in 0_usize..9) {
            let text = format!("{}{plain}{end}", "ö".repeat(at));
            let expected = text.bytes().position(|byte| matches!(byte, b'"' | b'\\'));
            prop_assert_eq!(end_of_text(text.as_bytes()), expected);
            agrees(&format!("{{\"id\":1,\"method\":\"{text},\"params\":{{\"a\":\"{text}}}}}"))?;
        }

        #[test]
        fn arbitrary_text_does_not_panic(text in "[{}\\[\\]\",:\\\\a-c0 ]{0,40}", any in any::<String>()) {
            agrees(&text)?;
            agrees(&any)?;
            conn_id(&text);
        }
    }
}
