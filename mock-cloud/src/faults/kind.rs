//! What can go wrong.

use serde::{Deserialize, Serialize};

use super::Place;

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum FaultKind {
    /// Nobody listens: connections are refused by the system, until the fault is removed.
    Refuse,
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
    /// Each piece that goes to the client takes that much longer, by the machine's time; how much more, or less, is drawn for
    /// each piece from the seed.
    Latency {
        /// Milliseconds, a minute at most.
        millis: u64,
        /// Up to so many milliseconds more, all as likely; a minute at most.
        #[serde(default, skip_serializing_if = "is_zero")]
        jitter: u64,
        /// Deviation of a normal distribution around it in milliseconds, cut off at 0 and at four of them; a minute at most.
        #[serde(default, skip_serializing_if = "is_zero")]
        deviation: u64,
    },
    /// Nothing more comes once that many bytes went to the client; the connection stays. With few bytes it is a TLS handshake
    /// that stalls.
    StallAfter {
        /// Bytes.
        bytes: u64,
    },
    /// The end of the connection comes that much later, by the machine's time.
    SlowClose {
        /// Milliseconds, a minute at most.
        millis: u64,
    },
    /// The certificate has expired.
    CertificateExpired,
    /// The certificate is for another host.
    CertificateWrongHost,
    /// The certificate is signed by an authority that nobody knows.
    CertificateUnknownAuthority,
    /// The TLS handshake ends with the alert of a server that knows none of the client's ciphers, as hubs with legacy ciphers
    /// only do to clients without them.
    NoCommonCipher,
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
    /// The head of the answer comes in pieces over that time, by the machine's time.
    SlowHead {
        /// Milliseconds, a minute at most.
        millis: u64,
    },
    /// More comes than the head promised.
    OverlongBody,
    /// The length in the head is no number.
    WrongLength,
    /// The body comes in chunks, and the second one has no length.
    BadChunk,
    /// The Identity that a login gives out lives that long only.
    EarlyExpiry {
        /// Seconds, a day at most.
        seconds: u32,
    },
    /// The clock of the server that gives out the Identity is off by that much.
    ClockSkew {
        /// Seconds; below 0 it is behind.
        seconds: i64,
    },
    /// The signature that a login gives out is not that of its Identity.
    BadSignature,
    /// The login ends what earlier logins of the user gave out.
    EvictOthers,
    /// A token that is good is refused, as after it was revoked.
    Revoked,
    /// The record of the hub names another relay; with `upgrade_refused` for the old host, the relay has moved.
    RelayMoved,
    /// A WebSocket whose pings nobody answers.
    NoPong,
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
    /// Values that nobody knows stand where it has categories, types and states.
    UnknownToken,
    /// It is about another hub: serials in it are another's.
    WrongSerial,
    /// A broadcast that was true once, the last but one about an item, comes before it.
    StaleBroadcast,
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

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl FaultKind {
    /// Its name in the catalogue.
    pub(crate) fn name(&self) -> String {
        let shown = serde_json::to_value(self).unwrap_or_default();
        shown["fault"].as_str().unwrap_or_default().to_owned()
    }

    /// Whether only a connection with TLS can have it.
    pub(crate) const fn is_of_tls(&self) -> bool {
        matches!(
            self,
            Self::CertificateExpired
                | Self::CertificateWrongHost
                | Self::CertificateUnknownAuthority
                | Self::NoCommonCipher
        )
    }

    pub(crate) const fn place(&self) -> Place {
        match self {
            Self::Refuse => Place::Listener,
            Self::ResetOnAccept
            | Self::HalfOpen
            | Self::ResetAfter { .. }
            | Self::Slices { .. }
            | Self::Latency { .. }
            | Self::StallAfter { .. }
            | Self::SlowClose { .. }
            | Self::CertificateExpired
            | Self::CertificateWrongHost
            | Self::CertificateUnknownAuthority
            | Self::NoCommonCipher
            | Self::Bandwidth { .. } => Place::Connection,
            Self::Status { .. }
            | Self::TruncatedBody
            | Self::HtmlPage
            | Self::CaptivePortal
            | Self::EmptyAnswer
            | Self::SlowHead { .. }
            | Self::OverlongBody
            | Self::WrongLength
            | Self::BadChunk
            | Self::SlowAnswer { .. } => Place::Request,
            Self::EarlyExpiry { .. } | Self::ClockSkew { .. } | Self::BadSignature | Self::EvictOthers => Place::Login,
            Self::Revoked => Place::Token,
            Self::RelayMoved => Place::Record,
            Self::UpgradeRefused { .. } | Self::NoPong => Place::Upgrade,
            Self::RpcError { .. } | Self::NoAnswer => Place::Call,
            _ => Place::Message,
        }
    }
}
