//! The JSON-RPC envelope of hubs and relay. Not JSON-RPC 2.0: no `jsonrpc` member is needed, answers name their method,
//! and pushes carry an `id`.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::error::{KnownError, RetryClass, known};
use crate::secret::masked;
use crate::wire::{DecodeError, Field, Opaque};

/// The `id` of every broadcast of a Linux hub. Over the relay it may be missing or different.
pub const BROADCAST_ID: &str = "ui_broadcast";

/// The method name in the relay's answer to `register`.
pub const REGISTERED: &str = "registered";

wire! {
    /// A call.
    Request {
        /// Any JSON; echoed unchanged, with its type.
        id: Field<Value> = "id",
        /// Which method.
        method: String = "method",
        /// `"1.0"` when absent; `"2.0"` selects newer forms of a few methods.
        api: Field<String> = "api",
        /// An object; some hubs choke on anything else. A login's holds tokens.
        params: Field<Opaque> = "params",
        /// Tolerated, means nothing.
        jsonrpc: Field<String> = "jsonrpc",
        /// Added by the relay on the way to the hub; the hub copies it into its answer.
        sender: Field<Value> = "sender",
    }
}

wire! {
    /// An answer. `error` is null, not absent, on success.
    Reply {
        /// The request's, unchanged.
        id: Field<Value> = "id",
        /// The request's, except that `register` is answered by `registered`.
        method: Field<String> = "method",
        /// Null on success; must be there.
        error: Field<RpcError> = "error",
        /// An object or array, never null; `{}` beside an error on EzloPi.
        result: Field<Value> = "result",
        /// On relayed answers of Linux hubs.
        api: Field<String> = "api",
        /// `{conn_id, type}` on relayed answers.
        sender: Field<Value> = "sender",
        /// EzloPi's message counter.
        msg_id: Field<Value> = "msg_id",
    }
}

wire! {
    /// A push, from hub or relay.
    Broadcast {
        /// [`BROADCAST_ID`], but do not count on it over the relay.
        id: Field<Value> = "id",
        /// 24 hexadecimal digits on Linux hubs, a counter on EzloPi, absent in the vendor's guide.
        msg_id: Field<Value> = "msg_id",
        /// What it is about.
        msg_subclass: String = "msg_subclass",
        /// Its content.
        result: Field<Value> = "result",
        /// Who caused it, on some.
        initiator: Field<Initiator> = "initiator",
        /// The method that changed a scene, in documents; absent in the capture.
        changed_by: Field<String> = "changed_by",
    }
}

wire! {
    /// Who caused a broadcast.
    Initiator {
        /// Empty when a plugin script did.
        api_name: Field<String> = "api_name",
        /// `UI` or `HUB`.
        connection_type: Field<String> = "connection_type",
        /// Such as `23/3`.
        peer_unique_id: Field<String> = "peer_unique_id",
    }
}

wire! {
    /// Why a call failed. The text goes under `message`, in some sources under `description`, and `reason` adds what the
    /// layer below said.
    RpcError {
        /// Group; see [`crate::error::code`].
        code: Field<i64> = "code",
        /// Machine string; what clients switch on.
        data: Field<Value> = "data",
        /// English.
        message: Field<String> = "message",
        /// English, in other sources.
        description: Field<String> = "description",
        /// What the layer below said.
        reason: Field<String> = "reason",
    }
}

impl RpcError {
    /// An error of this code, machine string and text.
    pub fn new(code: i64, data: &str, message: &str) -> Self {
        Self { code: code.into(), data: Value::from(data).into(), message: message.into(), ..Self::default() }
    }

    /// An error of the registry.
    pub fn known(data: &str) -> Self {
        known(data).map_or_else(
            || Self::new(crate::error::code::APPLICATION, data, ""),
            |entry| Self::new(entry.code, data, entry.message),
        )
    }

    /// The machine string; empty when there is none.
    pub fn data(&self) -> &str {
        self.data.get().and_then(Value::as_str).unwrap_or_default()
    }

    /// The English text from wherever the source put it; empty when there is none.
    pub fn text(&self) -> &str {
        let texts = [&self.message, &self.description, &self.reason];
        texts.into_iter().find_map(|text| text.as_deref().filter(|text| !text.is_empty())).unwrap_or_default()
    }

    /// What the registry knows of it.
    pub fn entry(&self) -> Option<&'static KnownError> {
        known(self.data())
    }

    /// What to do about it; errors that nobody has described are permanent.
    pub fn class(&self) -> RetryClass {
        self.entry().map_or(RetryClass::Permanent, |entry| entry.class)
    }
}

impl std::fmt::Display for RpcError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let code = self.code.get().copied().unwrap_or_default();
        // Whoever wrote them may have put in what was asked for.
        let (data, text) = (masked(self.data()), masked(self.text()));
        match (data.as_str(), text.as_str()) {
            ("", text) => write!(f, "{text} ({code})"),
            (data, "") => write!(f, "{data} ({code})"),
            (data, text) => write!(f, "{text} ({data}, {code})"),
        }
    }
}

impl std::error::Error for RpcError {}

/// A frame with its envelope read and its payload still raw, borrowed from the text.
#[derive(Debug, Default, Deserialize)]
pub struct Envelope<'a> {
    /// As written; `null` reads as none.
    #[serde(borrow)]
    pub id: Option<&'a RawValue>,
    /// Which method.
    #[serde(borrow)]
    pub method: Option<Cow<'a, str>>,
    /// API version.
    #[serde(borrow)]
    pub api: Option<Cow<'a, str>>,
    /// Parameters of a request.
    #[serde(borrow)]
    pub params: Option<&'a RawValue>,
    /// Result of an answer, or content of a broadcast.
    #[serde(borrow)]
    pub result: Option<&'a RawValue>,
    /// Error of an answer; `null` reads as none.
    #[serde(borrow)]
    pub error: Option<&'a RawValue>,
    /// What a broadcast is about.
    #[serde(borrow)]
    pub msg_subclass: Option<Cow<'a, str>>,
    /// Number of a broadcast: unique text on Linux hubs, a counter on EzloPi.
    #[serde(borrow)]
    pub msg_id: Option<&'a RawValue>,
    /// Added by the relay.
    #[serde(borrow)]
    pub sender: Option<&'a RawValue>,
}

/// What a frame is, told by its content: a broadcast has an `id` too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameKind {
    /// A push.
    Broadcast,
    /// An answer to a call.
    Reply,
    /// A call.
    Request,
    /// None of these.
    Unknown,
}

impl<'a> Envelope<'a> {
    /// Reads a frame's envelope.
    ///
    /// A frame is an object; a list is none, though serde would read its elements as members.
    pub fn parse(text: &'a str) -> Result<Self, DecodeError> {
        if text.trim_start().starts_with('[') {
            let error = <serde_json::Error as serde::de::Error>::custom("a frame is an object, not a list");
            return Err(DecodeError::from_json(&error));
        }
        serde_json::from_str(text).map_err(|error| DecodeError::from_json(&error))
    }

    /// What the frame is.
    pub fn kind(&self) -> FrameKind {
        if self.msg_subclass.is_some() || self.id.is_some_and(|id| id.get() == "\"ui_broadcast\"") {
            FrameKind::Broadcast
        } else if self.result.is_some() || self.error.is_some() {
            FrameKind::Reply
        } else if self.method.is_some() {
            FrameKind::Request
        } else {
            FrameKind::Unknown
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire;
    use proptest::prelude::*;

    #[test]
    fn a_push_is_told_by_content_not_by_its_id() {
        let cases = [
            (r#"{"id":"ui_broadcast","msg_subclass":"hub.item.updated","result":{}}"#, FrameKind::Broadcast),
            (r#"{"msg_subclass":"EzloStateChanged","result":{}}"#, FrameKind::Broadcast),
            (
                r#"{"id":"7","msg_subclass":"hub.room.deleted","method":"hub.room.delete","result":{}}"#,
                FrameKind::Broadcast,
            ),
            (r#"{"id":"7","method":"registered","error":null,"result":{}}"#, FrameKind::Reply),
            (r#"{"id":7,"error":{"code":-32500}}"#, FrameKind::Reply),
            (r#"{"id":null,"method":"register","params":{}}"#, FrameKind::Request),
            (r#"{"hello":1}"#, FrameKind::Unknown),
        ];
        for (text, kind) in cases {
            assert_eq!(Envelope::parse(text).unwrap().kind(), kind, "{text}");
        }
    }

    #[test]
    fn ids_of_any_type_come_back_unchanged() {
        for id in ["\"_ID_\"", "7", "1.5", "null", "{\"a\":[1]}", "true"] {
            let text = format!(r#"{{"id":{id},"method":"m","params":{{}}}}"#);
            let request: Request = wire::from_slice(text.as_bytes()).unwrap();
            assert_eq!(wire::to_value(&request).to_string(), text);
        }
    }

    #[test]
    fn an_errors_text_is_found_wherever_it_is() {
        for text in [
            r#"{"code":-32500,"data":"x","message":"why"}"#,
            r#"{"code":-32500,"data":"x","description":"why"}"#,
            r#"{"code":-32500,"data":"x","message":"","reason":"why"}"#,
        ] {
            let error: RpcError = wire::from_slice(text.as_bytes()).unwrap();
            assert_eq!(error.to_string(), "why (x, -32500)");
        }
    }

    proptest! {
        #[test]
        fn garbage_never_panics(text in ".*") {
            let _ = Envelope::parse(&text).map(|envelope| envelope.kind());
        }

        #[test]
        fn cut_frames_never_panic(at in 0usize..90) {
            let text = r#"{"id":"ui_broadcast","msg_subclass":"hub.item.updated","result":{"_id":"a","value":1}}"#;
            prop_assert!(Envelope::parse(&text[..at.min(text.len() - 1)]).is_err());
        }
    }
}
