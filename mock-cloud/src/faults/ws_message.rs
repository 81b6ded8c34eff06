//! Faults of WebSocket messages, as a conversion of a message to frames without I/O.

use bytes::Bytes;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use crate::faults::kinds::FaultKind;

/// Maximum number of frames of a fragmented message.
const FRAGMENTS: usize = 3;

/// Returns the frames that are sent for a message. The writer handles faults that end the connection, delay or reorder.
pub(crate) fn frames(fault: Option<&FaultKind>, text: Utf8Bytes) -> Vec<Message> {
    let own = |text: &Utf8Bytes| Message::Text(text.clone());
    let before =
        |other: &'static str, text: Utf8Bytes| vec![Message::Text(Utf8Bytes::from_static(other)), Message::Text(text)];
    match fault {
        Some(FaultKind::DropMessage) => Vec::new(),
        Some(FaultKind::DuplicateMessage) => vec![own(&text), own(&text)],
        Some(FaultKind::BinaryMessage) => vec![Message::Binary(text.into())],
        Some(FaultKind::UnsolicitedReply) => before(r#"{"id":"unknown-call","error":null,"result":{}}"#, text),
        Some(FaultKind::GarbageMessage) => before("{\"id\": ", text),
        Some(FaultKind::UnknownBroadcast) => before(
            r#"{"id":"ui_broadcast","msg_subclass":"hub.unknown.event","msg_id":"0","result":{"new":[1]}}"#,
            text,
        ),
        Some(FaultKind::Fragments) => fragments(&text),
        Some(FaultKind::InvalidUtf8) => {
            vec![Message::Frame(Frame::message(
                Bytes::from_static(b"{\"id\":\"\xff\xfe\"}"),
                OpCode::Data(Data::Text),
                true,
            ))]
        }
        Some(FaultKind::PingFlood { count }) => {
            let pings = (0..*count).map(|_| Message::Ping(Bytes::from_static(b"flood")));
            pings.chain([own(&text)]).collect()
        }
        Some(FaultKind::BroadcastStorm { count }) => (0..=*count).map(|_| own(&text)).collect(),
        Some(FaultKind::Oversize { bytes }) => vec![Message::Text(padded(&text, *bytes))],
        Some(FaultKind::UnknownMember) => vec![Message::Text(changed(&text, with_member))],
        Some(FaultKind::UnknownToken) => vec![Message::Text(changed(&text, with_unknown_tokens))],
        Some(FaultKind::WrongSerial) => vec![Message::Text(changed(&text, with_wrong_serial))],
        Some(FaultKind::NullLists) => vec![Message::Text(changed(&text, without_lists))],
        _ => vec![own(&text)],
    }
}

/// Returns `true` if the fault changes this message.
pub(crate) fn can_change(fault: &FaultKind, text: &Utf8Bytes) -> bool {
    let change: fn(&mut Value) = match fault {
        FaultKind::UnknownMember => with_member,
        FaultKind::UnknownToken => with_unknown_tokens,
        FaultKind::WrongSerial => with_wrong_serial,
        FaultKind::NullLists => without_lists,
        _ => return true,
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

    fn sent(fault: FaultKind, text: &'static str) -> Vec<Message> {
        frames(Some(&fault), Utf8Bytes::from_static(text))
    }

    #[test]
    fn fragments_join_to_the_message() {
        for text in ["{}", "x", r#"{"id":"é","result":{"name":"Küche"}}"#] {
            let pieces = sent(FaultKind::Fragments, text);
            let bytes: Vec<u8> = pieces.iter().flat_map(|piece| piece.clone().into_data().to_vec()).collect();
            assert_eq!(bytes, text.as_bytes());
            assert!(pieces.len() <= FRAGMENTS && !pieces.is_empty());
        }
    }

    #[test]
    fn faults_change_only_the_result_of_a_message() {
        let list = r#"{"id":1,"error":null,"result":{"devices":[{"_id":"a"}],"n":1}}"#;
        let text = |fault| sent(fault, list)[0].to_text().unwrap().to_owned();
        assert_eq!(text(FaultKind::NullLists), r#"{"id":1,"error":null,"result":{"devices":null,"n":1}}"#);
        let more: Value = serde_json::from_str(&text(FaultKind::UnknownMember)).unwrap();
        assert_eq!(
            (&more["result"]["unknownMember"]["new"][0], &more["result"]["devices"][0]["_id"]),
            (&json!(1), &json!("a"))
        );
        assert!(more["result"]["devices"][0]["unknownMember"].is_object());
        for (fault, can) in [(FaultKind::NullLists, true), (FaultKind::WrongSerial, false), (FaultKind::Abort, true)] {
            assert_eq!(can_change(&fault, &Utf8Bytes::from_static(list)), can, "{fault:?}");
        }
        assert!(!can_change(&FaultKind::UnknownMember, &Utf8Bytes::from_static("no message")));
        let long = text(FaultKind::Oversize { bytes: 5000 });
        assert!(long.len() == 5000 && serde_json::from_str::<Value>(&long).is_ok());
        assert_eq!(sent(FaultKind::BroadcastStorm { count: 9 }, list).len(), 10);
        assert_eq!(sent(FaultKind::PingFlood { count: 9 }, list).len(), 10);
        assert!(String::from_utf8(sent(FaultKind::InvalidUtf8, list)[0].clone().into_data().to_vec()).is_err());
    }
}
