//! The JSON-RPC envelope of hubs and relay.
//!
//! It is not JSON-RPC 2.0: the member `jsonrpc` is optional, replies name their method, and broadcasts have an `id`.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::error::{KnownError, RetryClass, known};
use crate::secret::masked;
use crate::wire::{DecodeError, Field, Opaque};

/// The `id` of every broadcast of a Linux hub. Over the relay, it can be missing or different.
pub const BROADCAST_ID: &str = "ui_broadcast";

/// The method name in the relay's reply to `register`.
pub const REGISTERED: &str = "registered";

wire! {
    /// A request: one call of a method.
    Request {
        /// Id of the call: any JSON value. The reply repeats it unchanged, with its type.
        id: Field<Value> = "id",
        /// Name of the method.
        method: String = "method",
        /// API version (default: `"1.0"`). `"2.0"` selects newer forms of a few methods.
        api: Field<String> = "api",
        /// Parameters. Send an object, because some hubs fail on anything else. The parameters of a login hold tokens.
        params: Field<Opaque> = "params",
        /// JSON-RPC version; tolerated and ignored.
        jsonrpc: Field<String> = "jsonrpc",
        /// Return address. The relay adds it to a request for the hub, and the hub copies it into the reply.
        sender: Field<Value> = "sender",
    }
}

wire! {
    /// A reply to a request. On success, `error` is `null` and not absent.
    Reply {
        /// Id of the request, unchanged.
        id: Field<Value> = "id",
        /// Method of the request. The reply to `register` has [`REGISTERED`].
        method: Field<String> = "method",
        /// The error; `null` on success. It is always present.
        error: Field<RpcError> = "error",
        /// The result: an object or an array, never `null`. EzloPi sends `{}` together with an error.
        result: Field<Value> = "result",
        /// API version; in relayed replies of Linux hubs.
        api: Field<String> = "api",
        /// Return address `{conn_id, type}`; in relayed replies.
        sender: Field<Value> = "sender",
        /// Message counter of EzloPi.
        msg_id: Field<Value> = "msg_id",
    }
}

wire! {
    /// A message of a hub or the relay that no request caused.
    Broadcast {
        /// [`BROADCAST_ID`] on Linux hubs. It is not reliable over the relay.
        id: Field<Value> = "id",
        /// Message id: 24 hexadecimal digits on Linux hubs, a counter on EzloPi, absent in the vendor's guide.
        msg_id: Field<Value> = "msg_id",
        /// Name of the broadcast, such as `hub.item.updated`.
        msg_subclass: String = "msg_subclass",
        /// Content of the broadcast.
        result: Field<Value> = "result",
        /// Origin of the change; in some broadcasts.
        initiator: Field<Initiator> = "initiator",
        /// The method that changed a scene (vendor); absent in the captures.
        changed_by: Field<String> = "changed_by",
    }
}

wire! {
    /// The origin of the change that a broadcast reports.
    Initiator {
        /// Method that caused the change; empty for a plugin script.
        api_name: Field<String> = "api_name",
        /// Kind of the connection: `UI` or `HUB`.
        connection_type: Field<String> = "connection_type",
        /// Number of the peer, such as `23/3`.
        peer_unique_id: Field<String> = "peer_unique_id",
    }
}

wire! {
    masked
    /// The error of a reply.
    ///
    /// The text is in `message`, or in `description` in some sources. `reason` adds the text of a lower layer.
    /// `Display` and `Debug` mask tokens, because a peer can repeat parts of the request; see [`crate::secret::masked`].
    RpcError {
        /// JSON-RPC code; see [`crate::error::code`].
        code: Field<i64> = "code",
        /// Machine-readable string, which clients compare.
        data: Field<Value> = "data",
        /// English text.
        message: Field<String> = "message",
        /// English text in other sources.
        description: Field<String> = "description",
        /// Text of a lower layer.
        reason: Field<String> = "reason",
    }
}

impl RpcError {
    /// Creates an error from a code, a machine-readable string and an English text.
    pub fn new(code: i64, data: &str, message: &str) -> Self {
        Self { code: code.into(), data: Value::from(data).into(), message: message.into(), ..Self::default() }
    }

    /// Creates an error from its entry in the registry.
    ///
    /// An unknown string gets the code [`APPLICATION`](crate::error::code::APPLICATION) and an empty text.
    pub fn known(data: &str) -> Self {
        known(data).map_or_else(
            || Self::new(crate::error::code::APPLICATION, data, ""),
            |entry| Self::new(entry.code, data, entry.message),
        )
    }

    /// Returns the machine-readable string; empty if it is absent or not text.
    pub fn data(&self) -> &str {
        self.data.get().and_then(Value::as_str).unwrap_or_default()
    }

    /// Returns the first text of `message`, `description` and `reason` that is not empty, or an empty text.
    pub fn text(&self) -> &str {
        let texts = [&self.message, &self.description, &self.reason];
        texts.into_iter().find_map(|text| text.as_deref().filter(|text| !text.is_empty())).unwrap_or_default()
    }

    /// Returns the entry of the registry for the machine-readable string, or `None` for an unknown error.
    pub fn entry(&self) -> Option<&'static KnownError> {
        known(self.data())
    }

    /// Returns the recommended reaction. Unknown errors are [`RetryClass::Permanent`].
    pub fn class(&self) -> RetryClass {
        self.entry().map_or(RetryClass::Permanent, |entry| entry.class)
    }
}

impl std::fmt::Display for RpcError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let code = self.code.get().copied().unwrap_or_default();
        // A peer may repeat parts of the request, such as a token.
        let (data, text) = (masked(self.data()), masked(self.text()));
        match (data.as_str(), text.as_str()) {
            ("", text) => write!(f, "{text} ({code})"),
            (data, "") => write!(f, "{data} ({code})"),
            (data, text) => write!(f, "{text} ({data}, {code})"),
        }
    }
}

impl std::fmt::Debug for RpcError {
    /// Prints the same as `Display`, in which tokens are masked.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RpcError({self})")
    }
}

impl std::error::Error for RpcError {}

/// The envelope of a frame. The payload is not parsed and borrows from the text.
#[derive(Default, Deserialize)]
#[serde(from = "Members<'a>", bound(deserialize = "'de: 'a"))]
pub struct Envelope<'a> {
    /// Id, as received; `None` for `null`.
    pub id: Option<&'a RawValue>,
    /// Name of the method.
    pub method: Option<Cow<'a, str>>,
    /// API version.
    pub api: Option<Cow<'a, str>>,
    /// Parameters of a request.
    pub params: Option<&'a RawValue>,
    /// Result of a reply, or content of a broadcast.
    pub result: Option<&'a RawValue>,
    /// Error of a reply; `None` for `null`.
    pub error: Option<&'a RawValue>,
    /// Result and error are both present and `null`: a reply without content.
    pub is_null_reply: bool,
    /// Name of a broadcast.
    pub msg_subclass: Option<Cow<'a, str>>,
    /// Message id of a broadcast: unique text on Linux hubs, a counter on EzloPi.
    pub msg_id: Option<&'a RawValue>,
    /// Return address, added by the relay.
    pub sender: Option<&'a RawValue>,
}

/// The members of a frame. The outer `None` is an absent member, the inner one is `null`.
#[derive(Deserialize)]
struct Members<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow)]
    api: Option<Cow<'a, str>>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    result: Option<Option<&'a RawValue>>,
    #[serde(borrow, default, deserialize_with = "present")]
    error: Option<Option<&'a RawValue>>,
    #[serde(borrow)]
    msg_subclass: Option<Cow<'a, str>>,
    #[serde(borrow)]
    msg_id: Option<&'a RawValue>,
    #[serde(borrow)]
    sender: Option<&'a RawValue>,
}

/// Distinguishes a member that is `null` from an absent one.
#[expect(clippy::option_option, reason = "both distinctions are needed")]
fn present<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<&'a RawValue>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl<'a> From<Members<'a>> for Envelope<'a> {
    fn from(members: Members<'a>) -> Self {
        let Members { id, method, api, params, result, error, msg_subclass, msg_id, sender } = members;
        let is_null_reply = matches!((result, error), (Some(None), Some(None)));
        let (result, error) = (result.flatten(), error.flatten());
        Self { id, method, api, params, result, error, is_null_reply, msg_subclass, msg_id, sender }
    }
}

impl std::fmt::Debug for Envelope<'_> {
    /// Omits the payload, which can hold tokens and passwords.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Envelope")
            .field("method", &self.method)
            .field("msg_subclass", &self.msg_subclass)
            .finish_non_exhaustive()
    }
}

/// The kind of a frame. The `id` does not decide it, because broadcasts have one as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameKind {
    /// A broadcast.
    Broadcast,
    /// A reply to a request.
    Reply,
    /// A request.
    Request,
    /// A frame of no known kind.
    Unknown,
}

impl<'a> Envelope<'a> {
    /// Parses the envelope of a frame. The payload is not parsed.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] if the text is not a JSON object or a member has the wrong type. An array is refused explicitly,
    /// because serde would accept its elements as members.
    pub fn parse(text: &'a str) -> Result<Self, DecodeError> {
        if text.trim_start().starts_with('[') {
            let error = <serde_json::Error as serde::de::Error>::custom("expected a JSON object, found an array");
            return Err(DecodeError::from_json(&error));
        }
        serde_json::from_str(text).map_err(|error| DecodeError::from_json(&error))
    }

    /// Returns the kind of the frame, determined by its members.
    pub fn kind(&self) -> FrameKind {
        if self.msg_subclass.is_some() || self.id.is_some_and(|id| id.get() == "\"ui_broadcast\"") {
            FrameKind::Broadcast
        } else if self.result.is_some() || self.error.is_some() || self.is_null_reply {
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
    fn debug_output_holds_no_payload_and_no_token() {
        let login = r#"{"id":1,"method":"loginUserMios","params":{"MMSAuth":"secret-identity","MMSAuthSig":"s"}}"#;
        let shown = format!("{:?}", Envelope::parse(login).unwrap());
        assert!(shown.contains("loginUserMios") && !shown.contains("secret"), "{shown}");
        let token = "e".repeat(80);
        let error = RpcError::new(-32600, "rpc.params.invalid", &format!("bad token {token}"));
        let shown = format!("{error:?} {:?}", Some(&error));
        assert!(shown.contains("rpc.params.invalid") && !shown.contains(&token), "{shown}");
    }

    #[test]
    fn frame_kinds_are_determined_by_members_not_by_id() {
        let cases = [
            (r#"{"id":"ui_broadcast","msg_subclass":"hub.item.updated","result":{}}"#, FrameKind::Broadcast),
            (r#"{"msg_subclass":"EzloStateChanged","result":{}}"#, FrameKind::Broadcast),
            (
                r#"{"id":"7","msg_subclass":"hub.room.deleted","method":"hub.room.delete","result":{}}"#,
                FrameKind::Broadcast,
            ),
            (r#"{"id":"7","method":"registered","error":null,"result":{}}"#, FrameKind::Reply),
            (r#"{"id":7,"error":{"code":-32500}}"#, FrameKind::Reply),
            (r#"{"id":"7","method":"m","error":null,"result":null}"#, FrameKind::Reply),
            (r#"{"id":"7","method":"m","params":{},"error":null}"#, FrameKind::Request),
            (r#"{"id":null,"method":"register","params":{}}"#, FrameKind::Request),
            (r#"{"hello":1}"#, FrameKind::Unknown),
        ];
        for (text, kind) in cases {
            assert_eq!(Envelope::parse(text).unwrap().kind(), kind, "{text}");
        }
    }

    #[test]
    fn ids_of_any_type_round_trip() {
        for id in ["\"_ID_\"", "7", "1.5", "null", "{\"a\":[1]}", "true"] {
            let text = format!(r#"{{"id":{id},"method":"m","params":{{}}}}"#);
            let request: Request = wire::from_slice(text.as_bytes()).unwrap();
            assert_eq!(wire::to_value(&request).to_string(), text);
        }
    }

    #[test]
    fn error_text_is_read_from_message_description_or_reason() {
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
        fn arbitrary_text_does_not_panic(text in ".*") {
            let _ = Envelope::parse(&text).map(|envelope| envelope.kind());
        }

        #[test]
        fn truncated_frames_are_refused(at in 0usize..90) {
            let text = r#"{"id":"ui_broadcast","msg_subclass":"hub.item.updated","result":{"_id":"a","value":1}}"#;
            prop_assert!(Envelope::parse(&text[..at.min(text.len() - 1)]).is_err());
        }
    }
}
