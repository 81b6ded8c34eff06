//! Frames that go out: answers and broadcasts as text.

use std::fmt::Write as _;

use ezlo_protocol::error::code;
use ezlo_protocol::rpc::{Envelope, RpcError};
use ezlo_protocol::wire;
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// Which way an answer goes, which decides the members beside its result.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Way<'a> {
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
    outcome: &Result<Value, RpcError>,
    way: Way<'_>,
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
pub(crate) fn reply(request: &Envelope<'_>, method: &str, outcome: &Result<Value, RpcError>, way: Way<'_>) -> String {
    let id = request.id.map_or("null", |id| id.get());
    let method = Value::from(method);
    let (error, result) = match outcome {
        Ok(result) => (Value::Null, result.to_string()),
        Err(error) => (wire::to_value(error), "{}".to_owned()),
    };
    let api = Value::from(request.api.as_deref().unwrap_or("1.0"));
    match way {
        Way::Relay => format!(r#"{{"id":{id},"method":{method},"error":{error},"result":{result}}}"#),
        Way::Passed(Some(sender)) => format!(
            r#"{{"api":{api},"error":{error},"id":{id},"method":{method},"result":{result},"sender":{sender}}}"#
        ),
        Way::Local | Way::Passed(None) => {
            format!(r#"{{"api":{api},"error":{error},"id":{id},"method":{method},"result":{result}}}"#)
        }
        Way::Relayed(conn_id) => {
            let sender = json!({"conn_id": conn_id, "type": "ui"});
            format!(
                r#"{{"api":{api},"error":{error},"id":{id},"method":{method},"result":{result},"sender":{sender}}}"#
            )
        }
    }
}

/// The answer to text that is not a request. An object gets its id back, so that its caller need not wait; for the rest the
/// code is the vendor's, unused by any source, and the data is inferred.
pub(crate) fn not_a_request(text: &str, way: Way<'_>) -> String {
    #[derive(serde::Deserialize)]
    struct WithId<'a> {
        #[serde(borrow)]
        id: &'a RawValue,
    }
    match serde_json::from_str::<WithId<'_>>(text) {
        Ok(object) => {
            let request = Envelope { id: Some(object.id), ..Envelope::default() };
            let error = RpcError::new(
                code::INVALID_REQUEST,
                "rpc.params.notfound.method",
                "Bad request, method does not exist",
            );
            reply(&request, "", &Err(error), way)
        }
        Err(_) => reply(&Envelope::default(), "", &Err(RpcError::known("rpc.parse.error")), way),
    }
}

/// A broadcast. `method` beside it is a habit of EzloPi's room broadcasts.
pub(crate) fn broadcast(msg_id: &Value, name: &str, content: &Value, method: Option<&str>) -> String {
    let name = Value::from(name);
    let method = method.map(|method| format!(r#","method":{}"#, Value::from(method))).unwrap_or_default();
    format!(r#"{{"id":"ui_broadcast"{method},"msg_id":{msg_id},"msg_subclass":{name},"result":{content}}}"#)
}
