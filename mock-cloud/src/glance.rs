//! A look at a frame that is only passed on: what it is and whom it is for. What stands inside its members is not read, so
//! what is broken in there is the reader's to find; the strict profile reads everything.
//!
//! What it cannot tell at a glance it leaves to [`Envelope`](ezlo_protocol::rpc::Envelope).

use ezlo_protocol::rpc::{BROADCAST_ID, FrameKind};
use memchr::memchr2;

/// Levels of what is passed on; serde_json stops at 128.
const DEEPEST: usize = 120;

/// What a frame shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Glance<'a> {
    pub(crate) kind: FrameKind,
    /// Empty when there is none.
    pub(crate) method: &'a str,
    /// As JSON.
    pub(crate) sender: Option<&'a str>,
}

/// What a frame is, if that can be told at a glance.
pub(crate) fn glance(text: &str) -> Option<Glance<'_>> {
    let (mut is_broadcast, mut is_reply, mut method, mut sender) = (false, false, None, None);
    // Which members there were: a second one of a name is for somebody who knows better.
    let mut seen = 0_u16;
    for member in Members::of(text)? {
        let (name, value) = member?;
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
        let is_there = value != "null";
        match name {
            "id" => is_broadcast |= plain_text(value) == Some(BROADCAST_ID),
            "method" if is_there => method = Some(plain_text(value)?),
            "msg_subclass" if is_there => {
                plain_text(value)?;
                is_broadcast = true;
            }
            "api" if is_there => drop(plain_text(value)?),
            "result" | "error" => is_reply |= is_there,
            "sender" if is_there => sender = Some(value),
            _ => {}
        }
    }
    let kind = match (is_broadcast, is_reply, method) {
        (true, ..) => FrameKind::Broadcast,
        (_, true, _) => FrameKind::Reply,
        (_, _, Some(_)) => FrameKind::Request,
        _ => return None,
    };
    Some(Glance { kind, method: method.unwrap_or_default(), sender })
}

/// Whom an answer is for, by the `sender` in it.
pub(crate) fn conn_id(sender: &str) -> Option<&str> {
    let mut members = Members::of(sender)?;
    let found = members.find(|member| member.is_none_or(|(name, _)| name == "conn_id"));
    found.flatten().and_then(|(_, value)| plain_text(value))
}

/// A JSON string without anything that is escaped.
fn plain_text(value: &str) -> Option<&str> {
    let text = value.strip_prefix('"')?.strip_suffix('"')?;
    (memchr2(b'\\', b'"', text.as_bytes()).is_none()).then_some(text)
}

/// The members of an object, each as its name and its value; `None` where that cannot be told, and nothing after it.
struct Members<'a> {
    text: &'a str,
    at: usize,
    is_over: bool,
}

impl<'a> Members<'a> {
    fn of(text: &'a str) -> Option<Self> {
        text.starts_with('{').then_some(Self { text, at: 1, is_over: false })
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn skip(&mut self, wanted: u8) -> Option<()> {
        self.skip_blanks();
        (self.peek() == Some(wanted)).then(|| self.at += 1)
    }

    /// Goes behind the string that begins here.
    fn skip_text(&mut self) -> Option<()> {
        self.at += 1;
        loop {
            let rest = &self.text.as_bytes()[self.at..];
            let found = memchr2(b'"', b'\\', rest)?;
            self.at += found + 1;
            if rest[found] == b'"' {
                return Some(());
            }
            // Whatever is escaped.
            self.at += 1;
            if self.at > self.text.len() {
                return None;
            }
        }
    }

    /// Goes behind the object or list that begins here.
    fn skip_nested(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            match self.peek()? {
                b'"' => {
                    self.skip_text()?;
                    continue;
                }
                // As deep as whoever reads it whole goes.
                b'{' | b'[' if depth == DEEPEST => return None,
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return Some(());
            }
        }
    }

    /// Goes behind a number or word.
    fn skip_word(&mut self) -> Option<()> {
        let begin = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)) {
            self.at += 1;
        }
        // Seldom, and short.
        serde_json::from_str::<serde::de::IgnoredAny>(&self.text[begin..self.at]).ok().map(drop)
    }

    fn member(&mut self) -> Option<(&'a str, &'a str)> {
        self.skip_blanks();
        if self.peek()? != b'"' {
            return None;
        }
        let begin = self.at;
        self.skip_text()?;
        let name = plain_text(&self.text[begin..self.at])?;
        self.skip(b':')?;
        self.skip_blanks();
        let begin = self.at;
        match self.peek()? {
            b'"' => self.skip_text()?,
            b'{' | b'[' => self.skip_nested()?,
            _ => self.skip_word()?,
        }
        let value = &self.text[begin..self.at];
        if self.skip(b',').is_none() {
            self.skip(b'}')?;
            self.skip_blanks();
            self.is_over = true;
            if self.at < self.text.len() {
                return None;
            }
        }
        Some((name, value))
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = Option<(&'a str, &'a str)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let member = self.member();
        self.is_over |= member.is_none();
        Some(member)
    }
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

    /// Whatever it tells is what the whole reading tells.
    fn agrees(text: &str) -> Result<(), TestCaseError> {
        let (Some(glance), Ok(envelope)) = (glance(text), Envelope::parse(text)) else { return Ok(()) };
        prop_assert_eq!(glance.kind, envelope.kind(), "{}", text);
        prop_assert_eq!(glance.method, envelope.method.as_deref().unwrap_or_default());
        prop_assert_eq!(glance.sender, envelope.sender.map(|sender| sender.get()));
        let whole = glance.sender.and_then(|sender| serde_json::from_str::<Sender>(sender).ok());
        if let (Some(seen), Some(whole)) = (glance.sender.and_then(conn_id), whole) {
            prop_assert_eq!(seen, whole.conn_id);
        }
        Ok(())
    }

    #[test]
    fn what_hubs_and_apps_say_is_told_at_a_glance() {
        let told = |text: &str| glance(text).map(|glance| (glance.kind, glance.method.to_owned()));
        let request = r#"{ "id" : "1", "method":"hub.x", "params":{"a":"}\"{","b":[{}]}}"#;
        assert_eq!(told(request), Some((FrameKind::Request, "hub.x".into())));
        let reply = r#"{"id":1,"error":null,"result":{},"sender":{"type":"ui","conn_id":"c"},"method":"hub.x"} "#;
        assert_eq!(told(reply), Some((FrameKind::Reply, "hub.x".into())));
        assert_eq!(conn_id(glance(reply).unwrap().sender.unwrap()), Some("c"));
        assert_eq!(told(r#"{"id":"ui_broadcast","result":{}}"#), Some((FrameKind::Broadcast, String::new())));
        assert_eq!(told(r#"{"msg_subclass":"x","id":2}"#), Some((FrameKind::Broadcast, String::new())));
        let deep = format!(r#"{{"method":"m","params":{}{}}}"#, "[".repeat(129), "]".repeat(129));
        assert_eq!(glance(&deep), None);
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
            assert_eq!(glance(unclear), None, "{unclear}");
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
        fn it_says_what_the_whole_reading_says(
            members in prop::collection::vec(("id|method|msg_subclass|result|error|sender|params|x", value()), 0..6),
        ) {
            let members: Vec<_> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
            agrees(&format!("{{{}}}", members.join(",")))?;
        }

        #[test]
        fn nothing_panics(text in "[{}\\[\\]\",:\\\\a-c0 ]{0,40}", any in any::<String>()) {
            agrees(&text)?;
            agrees(&any)?;
            conn_id(&text);
        }
    }
}
