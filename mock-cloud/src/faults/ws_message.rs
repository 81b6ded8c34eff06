//! Faults of WebSocket messages, as a conversion of a message to frames without I/O.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use crate::faults::kinds::MessageFault;

/// Maximum number of frames of a fragmented message.
const FRAGMENTS: usize = 3;

/// The effect of a fault on a message.
#[derive(Debug)]
pub(crate) enum MessageEffect {
    /// The connection is closed with this code.
    Close(u16),
    /// The connection ends without a close frame.
    Abort,
    /// The message is sent after the next one.
    Hold(Utf8Bytes),
    /// These frames are sent after the delay.
    Send(Duration, Vec<Message>),
}

/// Returns the effect of a fault on a message. `stale` is an outdated broadcast about the same item.
pub(crate) fn effect(fault: Option<&MessageFault>, text: Utf8Bytes, stale: Option<Utf8Bytes>) -> MessageEffect {
    let own = |text: &Utf8Bytes| Message::Text(text.clone());
    let before = |other: Utf8Bytes, text: Utf8Bytes| vec![Message::Text(other), Message::Text(text)];
    let constant = Utf8Bytes::from_static;
    let messages = match fault {
        None => vec![own(&text)],
        Some(MessageFault::Close { code }) => return MessageEffect::Close(*code),
        Some(MessageFault::Abort) => return MessageEffect::Abort,
        Some(MessageFault::ReorderMessage) => return MessageEffect::Hold(text),
        Some(MessageFault::LateMessage { millis }) => {
            return MessageEffect::Send(Duration::from_millis(*millis), vec![own(&text)]);
        }
        Some(MessageFault::StaleBroadcast) => match stale {
            Some(stale) => before(stale, text),
            None => vec![own(&text)],
        },
        Some(MessageFault::DropMessage) => Vec::new(),
        Some(MessageFault::DuplicateMessage) => vec![own(&text), own(&text)],
        Some(MessageFault::BinaryMessage) => vec![Message::Binary(text.into())],
        Some(MessageFault::UnsolicitedReply) => {
            before(constant(r#"{"id":"unknown-call","error":null,"result":{}}"#), text)
        }
        Some(MessageFault::GarbageMessage) => before(constant("{\"id\": "), text),
        Some(MessageFault::UnknownBroadcast) => before(
            constant(r#"{"id":"ui_broadcast","msg_subclass":"hub.unknown.event","msg_id":"0","result":{"new":[1]}}"#),
            text,
        ),
        Some(MessageFault::Fragments) => fragments(&text),
        Some(MessageFault::InvalidUtf8) => {
            let bytes = Bytes::from_static(b"{\"id\":\"\xff\xfe\"}");
            vec![Message::Frame(Frame::message(bytes, OpCode::Data(Data::Text), true))]
        }
        Some(MessageFault::PingFlood { count }) => {
            let pings = (0..*count).map(|_| Message::Ping(Bytes::from_static(b"flood")));
            pings.chain([own(&text)]).collect()
        }
        Some(MessageFault::BroadcastStorm { count }) => (0..=*count).map(|_| own(&text)).collect(),
        Some(MessageFault::Oversize { bytes }) => vec![Message::Text(padded(&text, *bytes))],
        Some(MessageFault::UnknownMember) => vec![Message::Text(changed(&text, with_member))],
        Some(MessageFault::UnknownToken) => vec![Message::Text(changed(&text, with_unknown_tokens))],
        Some(MessageFault::WrongSerial) => vec![Message::Text(changed(&text, with_wrong_serial))],
        Some(MessageFault::NullLists) => vec![Message::Text(changed(&text, without_lists))],
    };
    MessageEffect::Send(Duration::ZERO, messages)
}

/// Returns `true` if the fault changes this message.
pub(crate) fn can_change(fault: &MessageFault, text: &Utf8Bytes) -> bool {
    let change: fn(&mut Value) = match fault {
        MessageFault::UnknownMember => with_member,
        MessageFault::UnknownToken => with_unknown_tokens,
        MessageFault::WrongSerial => with_wrong_serial,
        MessageFault::NullLists => without_lists,
        // The content of the message does not matter.
        MessageFault::Close { .. }
        | MessageFault::Abort
        | MessageFault::DropMessage
        | MessageFault::DuplicateMessage
        | MessageFault::ReorderMessage
        | MessageFault::BinaryMessage
        | MessageFault::UnsolicitedReply
        | MessageFault::GarbageMessage
        | MessageFault::UnknownBroadcast
        | MessageFault::Fragments
        | MessageFault::InvalidUtf8
        | MessageFault::PingFlood { .. }
        | MessageFault::BroadcastStorm { .. }
        | MessageFault::Oversize { .. }
        | MessageFault::StaleBroadcast
        | MessageFault::LateMessage { .. } => return true,
    };
    let before = serde_json::from_str::<Value>(text).unwrap_or_default();
    let mut after = before.get("result").cloned().unwrap_or_default();
    change(&mut after);
    before.get("result").is_some_and(|before| *before != after)
}

fn fragments(text: &Utf8Bytes) -> Vec<Message> {
    let bytes = Bytes::copy_from_slice(text.as_bytes());
    let length = bytes.len().div_ceil(FRAGMENTS).max(1);
    let pieces: Vec<Bytes> =
        (0..bytes.len()).step_by(length).map(|at| bytes.slice(at..(at + length).min(bytes.len()))).collect();
    let last = pieces.len().saturating_sub(1);
    let frame = |(at, piece): (usize, Bytes)| {
        let code = if at == 0 { Data::Text } else { Data::Continue };
        Message::Frame(Frame::message(piece, OpCode::Data(code), at == last))
    };
    pieces.into_iter().enumerate().map(frame).collect()
}

/// Returns the message padded with trailing blanks to a length of `bytes`.
fn padded(text: &str, bytes: usize) -> Utf8Bytes {
    let mut long = text.to_owned();
    long.extend(std::iter::repeat_n(' ', bytes.saturating_sub(text.len())));
    long.into()
}

fn changed(text: &Utf8Bytes, change: fn(&mut Value)) -> Utf8Bytes {
    match serde_json::from_str::<Value>(text) {
        Ok(mut message) => {
            if let Some(result) = message.get_mut("result") {
                change(result);
            }
            message.to_string().into()
        }
        Err(_) => text.clone(),
    }
}

/// Adds an unknown member to the result and to each object of its lists.
fn with_member(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.values_mut().filter(|member| member.is_array()).for_each(with_member);
            members.insert("unknownMember".into(), json!({"new": [1, null]}));
        }
        Value::Array(items) => items.iter_mut().for_each(with_member),
        _ => {}
    }
}

/// Members whose values are enumerated.
const TOKENS: &[&str] = &[
    "category",
    "subcategory",
    "deviceCategory",
    "deviceSubcategory",
    "valueType",
    "scale",
    "status",
    "type",
    "state",
    "phase",
];

fn with_unknown_tokens(value: &mut Value) {
    each_member(value, &|name, member| {
        if member.is_string() && TOKENS.contains(&name) {
            *member = json!("unknown_token");
        }
    });
}

fn with_wrong_serial(value: &mut Value) {
    each_member(value, &|name, member| match member {
        Value::String(serial) if name == "serial" => *serial = "99999999".into(),
        Value::Number(serial) if name == "serial" => *serial = 99_999_999.into(),
        _ => {}
    });
}

/// Calls `change` for every member of every object, at any depth.
fn each_member(value: &mut Value, change: &impl Fn(&str, &mut Value)) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                change(name, member);
                each_member(member, change);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| each_member(item, change)),
        _ => {}
    }
}

fn without_lists(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.values_mut().filter(|member| member.is_array()).for_each(|list| *list = Value::Null)
        }
        Value::Array(_) => *value = Value::Null,
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(fault: MessageFault, text: &'static str) -> Vec<Message> {
        match effect(Some(&fault), Utf8Bytes::from_static(text), None) {
            MessageEffect::Send(_, messages) => messages,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn fragments_join_to_the_message() {
        for text in ["{}", "x", r#"{"id":"é","result":{"name":"Küche"}}"#] {
            let pieces = sent(MessageFault::Fragments, text);
            let bytes: Vec<u8> = pieces.iter().flat_map(|piece| piece.clone().into_data().to_vec()).collect();
            assert_eq!(bytes, text.as_bytes());
            assert!(pieces.len() <= FRAGMENTS && !pieces.is_empty());
        }
    }

    #[test]
    fn faults_change_only_the_result_of_a_message() {
        let list = r#"{"id":1,"error":null,"result":{"devices":[{"_id":"a"}],"n":1}}"#;
        let text = |fault| sent(fault, list)[0].to_text().unwrap().to_owned();
        assert_eq!(text(MessageFault::NullLists), r#"{"id":1,"error":null,"result":{"devices":null,"n":1}}"#);
        let more: Value = serde_json::from_str(&text(MessageFault::UnknownMember)).unwrap();
        assert_eq!(
            (&more["result"]["unknownMember"]["new"][0], &more["result"]["devices"][0]["_id"]),
            (&json!(1), &json!("a"))
        );
        assert!(more["result"]["devices"][0]["unknownMember"].is_object());
        for (fault, can) in
            [(MessageFault::NullLists, true), (MessageFault::WrongSerial, false), (MessageFault::Abort, true)]
        {
            assert_eq!(can_change(&fault, &Utf8Bytes::from_static(list)), can, "{fault:?}");
        }
        assert!(!can_change(&MessageFault::UnknownMember, &Utf8Bytes::from_static("no message")));
        let long = text(MessageFault::Oversize { bytes: 5000 });
        assert!(long.len() == 5000 && serde_json::from_str::<Value>(&long).is_ok());
        assert_eq!(sent(MessageFault::BroadcastStorm { count: 9 }, list).len(), 10);
        assert_eq!(sent(MessageFault::PingFlood { count: 9 }, list).len(), 10);
        assert!(String::from_utf8(sent(MessageFault::InvalidUtf8, list)[0].clone().into_data().to_vec()).is_err());
    }
}
