//! The JSON text of the relay: names of messages, replies and broadcasts.

use crate::evidence::error_table;
use std::borrow::Cow;
use std::fmt::Write as _;

use ezlo_protocol::error::code;
use ezlo_protocol::evidence::Evidence;
use ezlo_protocol::rpc::{Envelope, RpcError};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use ezlo_hub_sim::encoding::push_hex;
use ezlo_hub_sim::json::{RawJson, push_text};
use ezlo_hub_sim::{Family, HubBroadcast};

/// The route of a reply. It decides the members besides the result.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ReplyRoute<'a> {
    /// From the relay itself: no `api`, no `sender` (captured login reply).
    Relay,
    /// From a hub through the relay, to the connection with this id.
    Relayed(&'a str),
    /// From a hub process, with the unchanged `sender` of the request as JSON.
    Passed(Option<&'a str>),
    /// From a hub on the local network.
    Local,
    /// From a hub in the body of an HTTP response: only error, id and result (users, with the answers of real hubs).
    Http,
}

/// Methods whose relayed reply has no `api` (public client, with a pasted exchange).
const WITHOUT_API: &[&str] = &["hub.reboot"];

/// Writes a reply with the number of the message, if the hub counts its messages.
///
/// EzloPi hubs count their messages and always send `sender` (EzloPi).
pub(crate) fn counted_reply(
    request: &Envelope<'_>,
    method: &str,
    outcome: &Result<RawJson, RpcError>,
    way: ReplyRoute<'_>,
    family: &Family,
    number: u64,
) -> String {
    let mut text = written_reply(request, method, outcome, way, family.has_api_member);
    let msg_id = family.counted_messages.then_some(number);
    if let Some(number) = msg_id {
        text.pop();
        let _ = write!(text, r#","msg_id":{number}}}"#);
    }
    text
}

/// Writes the refusal of a board whose client has not logged in. It has no result (EzloPi firmware source).
pub(crate) fn refusal_before_login(request: &Envelope<'_>, error: &RpcError) -> String {
    let id = request.id.map_or("null", |id| id.get());
    let mut text = format!(r#"{{"id":{id},"method":"#);
    push_text(&mut text, request.method.as_deref().unwrap_or_default());
    text.push_str(r#","error":"#);
    text.push_str(RawJson::of(error).as_str());
    text.push('}');
    text
}

/// Writes a reply. The id of the request is copied with its type. On success `error` is null. `result` is never null.
pub(crate) fn reply(
    request: &Envelope<'_>,
    method: &str,
    outcome: &Result<RawJson, RpcError>,
    way: ReplyRoute<'_>,
) -> String {
    written_reply(request, method, outcome, way, true)
}

fn written_reply(
    request: &Envelope<'_>,
    method: &str,
    outcome: &Result<RawJson, RpcError>,
    way: ReplyRoute<'_>,
    has_api: bool,
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
        text.push('{');
        if has_api && !matches!(way, ReplyRoute::Http) && !WITHOUT_API.contains(&method) {
            text.push_str(r#""api":"#);
            push_text(&mut text, request.api.as_deref().unwrap_or("1.0"));
            text.push(',');
        }
        text.push_str(r#""error":"#);
        text.push_str(error);
        text.push_str(r#","id":"#);
        text.push_str(id);
        if !matches!(way, ReplyRoute::Http) {
            text.push_str(r#","method":"#);
            push_text(&mut text, method);
        }
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
        ReplyRoute::Relay | ReplyRoute::Local | ReplyRoute::Http | ReplyRoute::Passed(None) => {}
    }
    text.push('}');
    text
}

/// Writes a refusal, or its replacement if it has less evidence than required.
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

/// Estimated bytes of the member names and the sender of a message.
const ROOM: usize = 160;

fn push_sender(text: &mut String, conn_id: &str) {
    text.push_str(r#"{"conn_id":"#);
    push_text(text, conn_id);
    text.push_str(r#","type":"ui"}"#);
}

/// Returns the request with the `sender` that the hub copies into its reply. It replaces the `sender` of the client, if the
/// request `has` one.
pub(crate) fn with_sender(has: bool, text: &str, conn_id: &str) -> String {
    let end = text.trim_end().strip_suffix('}').filter(|_| !has);
    let Some(open) = end else { return with_replaced_sender(text, conn_id) };
    let mut out = String::with_capacity(text.len() + ROOM);
    out.push_str(open);
    // A request has a method, so the object is not empty.
    out.push_str(r#","sender":"#);
    push_sender(&mut out, conn_id);
    out.push('}');
    out
}

fn with_replaced_sender(text: &str, conn_id: &str) -> String {
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(mut members)) => {
            members.insert("sender".into(), json!({"conn_id": conn_id, "type": "ui"}));
            Value::Object(members).to_string()
        }
        _ => text.to_owned(),
    }
}

/// Writes the reply to text that is not a request. An object gets its id back, so that its client does not wait for a timeout.
/// The errors are in the vendor's lists (vendor); their use in this case is inferred.
pub(crate) fn not_a_request(wanted: Option<Evidence>, text: &str, way: ReplyRoute<'_>) -> String {
    #[derive(serde::Deserialize)]
    struct WithId<'a> {
        #[serde(borrow)]
        id: &'a RawValue,
    }
    // serde accepts an array for a struct.
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

/// Writes a broadcast. Room broadcasts of EzloPi hubs also have a `method`.
pub(crate) fn broadcast(msg_id: &MessageId, broadcast: &HubBroadcast, method: Option<&str>) -> String {
    let (name, content) = (broadcast.name, broadcast.content.as_str());
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
    if let Some(changed_by) = broadcast.changed_by {
        text.push_str(r#","changed_by":"#);
        push_text(&mut text, changed_by);
    }
    text.push_str(r#","result":"#);
    text.push_str(content);
    text.push('}');
    text
}

/// The `msg_id` of a broadcast.
#[derive(Debug, Clone, Copy)]
pub(crate) enum MessageId {
    /// A counter, as a number.
    Counter(u64),
    /// 24 hexadecimal digits: the Unix second and a counter.
    Digits(u32, u64),
}
/// Returns the name of a message: the `msg_subclass` of a broadcast, or the method of a call or reply. Empty without one.
pub(crate) fn name_of(text: &str) -> String {
    let envelope = Envelope::parse(text).unwrap_or_default();
    envelope.msg_subclass.or(envelope.method).map(Cow::into_owned).unwrap_or_default()
}
