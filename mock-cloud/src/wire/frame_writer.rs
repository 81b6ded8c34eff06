//! Frames that go out: answers and broadcasts as text.

use crate::evidence::error_table;
use std::fmt::Write as _;

use ezlo_protocol::error::code;
use ezlo_protocol::evidence::Evidence;
use ezlo_protocol::rpc::{Envelope, RpcError};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use ezlo_hub_sim::encoding::push_hex;
use ezlo_hub_sim::json::{RawJson, push_text};

/// Which way an answer goes, which decides the members beside its result.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ReplyRoute<'a> {
    /// From the relay itself: no `api`, no `sender` (the captured login answer).
    Relay,
    /// From a hub through the relay, to that connection.
    Relayed(&'a str),
    /// From a hub that is a process of its own, with the `sender` of the request as it came (JSON).
    Passed(Option<&'a str>),
    /// From a hub on its local network.
    Local,
}

/// An answer of a hub whose messages are counted.
///
/// EzloPi counts its messages and always tells who asked (its firmware's source).
pub(crate) fn counted_reply(
    request: &Envelope<'_>,
    method: &str,
    outcome: &Result<RawJson, RpcError>,
    way: ReplyRoute<'_>,
    msg_id: Option<u64>,
) -> String {
    let mut text = reply(request, method, outcome, way);
    if let Some(number) = msg_id {
        text.pop();
        let _ = write!(text, r#","msg_id":{number}}}"#);
    }
    text
}

/// An answer. The id comes back as it came, type and all; `error` is there and null on success; `result` is never null.
pub(crate) fn reply(
    request: &Envelope<'_>,
    method: &str,
    outcome: &Result<RawJson, RpcError>,
    way: ReplyRoute<'_>,
) -> String {
    let id = request.id.map_or("null", |id| id.get());
    let (error, result) = match outcome {
        Ok(result) => (None, result.as_str()),
        Err(error) => (Some(RawJson::of(error)), "{}"),
    };
    let error = error.as_ref().map_or("null", RawJson::as_str);
    let mut text = String::with_capacity(id.len() + method.len() + error.len() + result.len() + ROOM);
    if matches!(way, ReplyRoute::Relay) {
        text.push_str(r#"{"id":"#);
        text.push_str(id);
        text.push_str(r#","method":"#);
        push_text(&mut text, method);
        text.push_str(r#","error":"#);
        text.push_str(error);
    } else {
        text.push_str(r#"{"api":"#);
        push_text(&mut text, request.api.as_deref().unwrap_or("1.0"));
        text.push_str(r#","error":"#);
        text.push_str(error);
        text.push_str(r#","id":"#);
        text.push_str(id);
        text.push_str(r#","method":"#);
        push_text(&mut text, method);
    }
    text.push_str(r#","result":"#);
    text.push_str(result);
    match way {
        ReplyRoute::Passed(Some(sender)) => {
            text.push_str(r#","sender":"#);
            text.push_str(sender);
        }
        ReplyRoute::Relayed(conn_id) => {
            text.push_str(r#","sender":"#);
            push_sender(&mut text, conn_id);
        }
        ReplyRoute::Relay | ReplyRoute::Local | ReplyRoute::Passed(None) => {}
    }
    text.push('}');
    text
}

/// A refusal, or what is said in place of one that is known less well than was asked for.
pub(crate) fn refusal(
    wanted: Option<Evidence>,
    request: &Envelope<'_>,
    method: &str,
    error: RpcError,
    way: ReplyRoute<'_>,
) -> String {
    let error = error_table::replacement_for(wanted, &error).unwrap_or(error);
    reply(request, method, &Err(error), way)
}

/// What the members of an answer take beside their values, and the sender.
const ROOM: usize = 160;

fn push_sender(text: &mut String, conn_id: &str) {
    text.push_str(r#"{"conn_id":"#);
    push_text(text, conn_id);
    text.push_str(r#","type":"ui"}"#);
}

/// The request with the `sender` that the hub copies into its answer; in place of one that the client sent, if it `has` one.
pub(crate) fn with_sender(has: bool, text: &str, conn_id: &str) -> String {
    let end = text.trim_end().strip_suffix('}').filter(|_| !has);
    let Some(open) = end else { return with_another_sender(text, conn_id) };
    let mut out = String::with_capacity(text.len() + ROOM);
    out.push_str(open);
    // A request has a method, so there is a member before.
    out.push_str(r#","sender":"#);
    push_sender(&mut out, conn_id);
    out.push('}');
    out
}

fn with_another_sender(text: &str, conn_id: &str) -> String {
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(mut members)) => {
            members.insert("sender".into(), json!({"conn_id": conn_id, "type": "ui"}));
            Value::Object(members).to_string()
        }
        _ => text.to_owned(),
    }
}

/// The answer to text that is not a request. An object gets its id back, so that its caller need not wait; for the rest the
/// code is the vendor's, unused by any source, and the data is inferred.
pub(crate) fn not_a_request(wanted: Option<Evidence>, text: &str, way: ReplyRoute<'_>) -> String {
    #[derive(serde::Deserialize)]
    struct WithId<'a> {
        #[serde(borrow)]
        id: &'a RawValue,
    }
    // serde would read the elements of a list as members.
    let object = (!text.trim_start().starts_with('[')).then(|| serde_json::from_str::<WithId<'_>>(text));
    match object {
        Some(Ok(object)) => {
            let request = Envelope { id: Some(object.id), ..Envelope::default() };
            let error = RpcError::new(
                code::INVALID_REQUEST,
                "rpc.params.notfound.method",
                "Bad request, method does not exist",
            );
            refusal(wanted, &request, "", error, way)
        }
        _ => refusal(wanted, &Envelope::default(), "", RpcError::known("rpc.parse.error"), way),
    }
}

/// A broadcast. `method` beside it is a habit of EzloPi's room broadcasts.
pub(crate) fn broadcast(msg_id: &MessageId, name: &str, content: &str, method: Option<&str>) -> String {
    let mut text = String::with_capacity(content.len() + name.len() + ROOM);
    text.push_str(r#"{"id":"ui_broadcast""#);
    if let Some(method) = method {
        text.push_str(r#","method":"#);
        push_text(&mut text, method);
    }
    text.push_str(r#","msg_id":"#);
    match msg_id {
        MessageId::Counter(number) => text.push_str(&number.to_string()),
        MessageId::Digits(second, number) => {
            text.push('"');
            push_hex(&mut text, &second.to_be_bytes());
            push_hex(&mut text, &number.to_be_bytes());
            text.push('"');
        }
    }
    text.push_str(r#","msg_subclass":"#);
    push_text(&mut text, name);
    text.push_str(r#","result":"#);
    text.push_str(content);
    text.push('}');
    text
}

/// The number of a message.
#[derive(Debug, Clone, Copy)]
pub(crate) enum MessageId {
    /// A counter alone.
    Counter(u64),
    /// 24 hexadecimal digits: the second and a counter.
    Digits(u32, u64),
}
