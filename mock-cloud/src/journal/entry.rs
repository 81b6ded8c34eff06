//! Entries of the journal.

use serde::Serialize;
use serde_json::Value;

use crate::core::renamed;

/// The kind of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum EntryKind {
    /// The header of an HTTP request or WebSocket upgrade was received. `name` is its path.
    Request,
    /// An HTTP response was sent. `name` is the path of the request.
    Answer,
    /// A WebSocket message from a client or a hub process was received.
    MessageIn,
    /// A WebSocket message to a client or a hub process was queued.
    MessageOut,
    /// The simulator closed a WebSocket. `status` is the close code.
    Close,
    /// The peer closed a WebSocket with a close frame. `status` is its close code, 1005 without one.
    PeerClosed,
    /// A hub, user, account or owner changed. `name` identifies it; for hubs, `content` lists the broadcasts of the change.
    Change,
    /// A call of the control API changed something.
    Control,
    /// A fault fired.
    Fault,
    /// The `chance` trigger of a fault did not fire.
    FaultSkipped,
    /// No route or method matches the request. `content` lists similar names.
    Unmatched,
    /// A client refused the TLS handshake. `name` is the host name that it asked for; `content` has the cause and the remedy.
    TlsFailed,
    /// Members of call parameters, of a body or of a query had no effect, because the simulator does not support them.
    UnknownFields,
}

impl<'de> serde::Deserialize<'de> for EntryKind {
    // Written out, so that a former name is refused with the present one.
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        let name = std::borrow::Cow::<str>::deserialize(deserializer)?;
        if let Some(kind) = Self::ALL.iter().find(|kind| kind.as_str() == name) {
            return Ok(*kind);
        }
        if let Some(new) = renamed::present(renamed::JOURNAL_KINDS, &name) {
            return Err(D::Error::custom(format!("kind `{name}` is now {new}")));
        }
        let names: Vec<&str> = Self::ALL.iter().map(|kind| kind.as_str()).collect();
        Err(D::Error::custom(format!("unknown kind `{name}`, expected one of {}", names.join(", "))))
    }
}

impl EntryKind {
    /// All kinds, in the order of declaration.
    pub const ALL: &[Self] = &[
        Self::Request,
        Self::Answer,
        Self::MessageIn,
        Self::MessageOut,
        Self::Close,
        Self::PeerClosed,
        Self::Change,
        Self::Control,
        Self::Fault,
        Self::FaultSkipped,
        Self::Unmatched,
        Self::TlsFailed,
        Self::UnknownFields,
    ];

    /// Returns the name of the kind, such as `message-in`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Answer => "answer",
            Self::MessageIn => "message-in",
            Self::MessageOut => "message-out",
            Self::Close => "close",
            Self::PeerClosed => "peer-closed",
            Self::Change => "change",
            Self::Control => "control",
            Self::Fault => "fault",
            Self::FaultSkipped => "fault-skipped",
            Self::Unmatched => "unmatched",
            Self::TlsFailed => "tls-failed",
            Self::UnknownFields => "unknown-fields",
        }
    }
}

/// An entry of the journal.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "JournalEntry"))]
#[non_exhaustive]
pub struct Entry {
    /// Number of the entry, from 1, never reused.
    pub seq: u64,
    /// Time of the world's clock, in Unix milliseconds.
    pub at_ms: i64,
    /// Kind of the entry.
    pub kind: EntryKind,
    /// Number of the entry that led to this one: the request of a response, or the call of a later broadcast.
    pub cause: Option<u64>,
    /// UUID of the WebSocket connection; empty without one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub connection: String,
    /// Path of a request or control call, method of a call or reply, name of a broadcast, or name of a fault.
    pub name: String,
    /// HTTP status of a response, or close code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Further content by kind: the message, the host and method of a request, or the parameters of a fault.
    pub content: Value,
}

impl Entry {
    /// Returns `true` if the name or the content of the entry names the hub.
    pub(crate) fn is_about(&self, hub: &str) -> bool {
        self.content["hub"] == *hub || self.name.split('/').any(|part| part == hub)
    }
}
