//! What can go wrong.

use serde::{Deserialize, Serialize};

use super::Place;

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum FaultKind {
    /// The connection is taken and reset at once.
    ResetOnAccept,
    /// The connection is taken and nothing ever comes: no TLS, no answer, no close.
    HalfOpen,
    /// The connection is reset once that many bytes went to the client.
    ResetAfter {
        /// Bytes.
        bytes: u64,
    },
    /// Bytes go to the client in pieces of that size, each by itself.
    Slices {
        /// Bytes in a piece, 1 at least.
        bytes: usize,
    },
    /// Each piece that goes to the client takes that much longer, by the machine's time.
    Latency {
        /// Milliseconds, a minute at most.
        millis: u64,
    },
    /// No more than so many bytes a second go to the client.
    Bandwidth {
        /// Bytes.
        bytes_per_second: u64,
    },
    /// The answer is this status, in the vendor's dialect.
    Status {
        /// HTTP status, 400 to 599.
        status: u16,
        /// `Retry-After`, in seconds.
        retry_after: Option<u32>,
    },
    /// The body ends in the middle, and the connection with it.
    TruncatedBody,
    /// A web page with status 200, as a hotel's network sends it.
    HtmlPage,
    /// A redirect to a login page, as a hotel's network sends it.
    CaptivePortal,
    /// Status 200 and nothing else.
    EmptyAnswer,
    /// The answer comes that much later, by the machine's time.
    SlowAnswer {
        /// Milliseconds, a minute at most.
        millis: u64,
    },
    /// A WebSocket is refused with this status.
    UpgradeRefused {
        /// HTTP status, 200 or 400 to 599.
        status: u16,
    },
    /// The connection is closed with this code in place of the message.
    Close {
        /// Close code, 1000 to 4999.
        code: u16,
    },
    /// The connection ends without a word in place of the message.
    Abort,
    /// The message is not sent.
    DropMessage,
    /// The message is sent twice.
    DuplicateMessage,
    /// The message is sent after the next one.
    ReorderMessage,
    /// The message comes in a binary frame.
    BinaryMessage,
    /// An answer to a question that nobody asked comes before the message.
    ForeignAnswer,
    /// Something that is no message comes before it.
    GarbageMessage,
    /// A broadcast that nobody knows comes before it.
    UnknownBroadcast,
    /// The message comes in several frames.
    Fragments,
    /// A text that is no UTF-8 comes in its place.
    InvalidUtf8,
    /// So many pings come before it.
    PingFlood {
        /// How many, 10 000 at most.
        count: u32,
    },
    /// It comes so many times more, as in a storm of broadcasts.
    Storm {
        /// How many, 10 000 at most.
        count: u32,
    },
    /// It comes that long, by blanks behind it.
    Oversize {
        /// Bytes, 64 MiB at most.
        bytes: usize,
    },
    /// Members that nobody knows are in it.
    UnknownMember,
    /// Lists in it are null, as the service sends empty ones at times.
    NullLists,
    /// It comes that much later, by the machine's time, and all that follows it.
    LateMessage {
        /// Milliseconds, a minute at most.
        millis: u64,
    },
    /// The call is refused with this error, and nothing is done.
    RpcError {
        /// Code of the error.
        code: i64,
        /// Its machine string.
        data: String,
    },
    /// The call is done and its answer never comes.
    NoAnswer,
}

impl FaultKind {
    /// Its name in the catalogue.
    pub(crate) fn name(&self) -> String {
        let shown = serde_json::to_value(self).unwrap_or_default();
        shown["fault"].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) const fn place(&self) -> Place {
        match self {
            Self::ResetOnAccept
            | Self::HalfOpen
            | Self::ResetAfter { .. }
            | Self::Slices { .. }
            | Self::Latency { .. }
            | Self::Bandwidth { .. } => Place::Connection,
            Self::Status { .. }
            | Self::TruncatedBody
            | Self::HtmlPage
            | Self::CaptivePortal
            | Self::EmptyAnswer
            | Self::SlowAnswer { .. } => Place::Request,
            Self::UpgradeRefused { .. } => Place::Upgrade,
            Self::RpcError { .. } | Self::NoAnswer => Place::Call,
            _ => Place::Message,
        }
    }
}
