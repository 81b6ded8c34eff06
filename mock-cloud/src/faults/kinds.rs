//! The catalogue of faults as one table. A new fault needs a row here and an injector.

use serde::{Deserialize, Serialize};

use crate::faults::point::InjectionPoint;

/// A parameter of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct FaultParameter {
    /// Name of the member.
    pub name: &'static str,
    /// JSON type: `integer` or `string`.
    #[serde(rename = "type")]
    pub json_type: &'static str,
    /// The member may be absent. The description states the default.
    pub optional: bool,
    /// The member may be null, which means absent.
    #[serde(skip)]
    pub(crate) is_nullable: bool,
    /// Smallest value, or length of a string in bytes.
    pub minimum: i64,
    /// Largest value, or length of a string in bytes.
    pub maximum: i64,
    /// Meaning and unit.
    pub description: &'static str,
}

/// A row of the catalogue of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CatalogueEntry {
    /// Name of the fault, the member `fault`.
    pub fault: &'static str,
    /// Injection point of the fault.
    pub injection_point: InjectionPoint,
    /// Parameters besides `when` and `match`.
    pub parameters: &'static [FaultParameter],
    /// Effect of the fault.
    pub description: &'static str,
}

/// Types of parameters.
trait Parameter {
    const JSON_TYPE: &'static str;
    const OPTIONAL: bool = false;

    /// Returns the value, or the length of a string in bytes; `None` if it is absent.
    fn bounded(&self) -> Option<i64>;
}

macro_rules! integers {
    ($($type:ty),*) => {$(
        impl Parameter for $type {
            const JSON_TYPE: &'static str = "integer";

            fn bounded(&self) -> Option<i64> {
                Some(i64::try_from(*self).unwrap_or(i64::MAX))
            }
        }
    )*};
}

integers!(u16, u32, u64, usize, i64);

impl Parameter for String {
    const JSON_TYPE: &'static str = "string";

    fn bounded(&self) -> Option<i64> {
        Some(i64::try_from(self.len()).unwrap_or(i64::MAX))
    }
}

impl<T: Parameter> Parameter for Option<T> {
    const JSON_TYPE: &'static str = T::JSON_TYPE;
    const OPTIONAL: bool = true;

    fn bounded(&self) -> Option<i64> {
        self.as_ref().and_then(Parameter::bounded)
    }
}

/// The faults of one injection point.
pub(crate) trait PointFault: Sized {
    /// Returns the fault, or `None` if it acts at another injection point.
    fn of(kind: &FaultKind) -> Option<Self>;
}

/// Derives everything about faults from one table.
///
/// The faults of an injection point are also a type of their own, so that the code there has an arm for each of them.
macro_rules! faults {
    ($($table:tt)*) => {
        fault_kinds! { $($table)* }
        point_faults! { $($table)* }
    };
}

/// Derives the type of each injection point.
macro_rules! point_faults {
    ($( $point:ident $group:ident { $(
        $name:literal $variant:ident $({ $(
            $(#[$attribute:meta])* $parameter:ident : $type:ty [$least:expr, $most:expr] $meaning:literal,
        )+ })? : $description:literal;
    )* } )*) => {
        $(
            #[doc = concat!("The faults of [`InjectionPoint::", stringify!($point), "`].")]
            #[derive(Debug, Clone, PartialEq)]
            pub(crate) enum $group {
                $( #[doc = $description] $variant $({ $( #[doc = $meaning] $parameter: $type, )+ })?, )*
            }

            impl PointFault for $group {
                fn of(kind: &FaultKind) -> Option<Self> {
                    match kind {
                        $( FaultKind::$variant $({ $( $parameter ),+ })? => {
                            Some(Self::$variant $({ $( $parameter: $parameter.clone() ),+ })?)
                        } )*
                        _ => None,
                    }
                }
            }
        )*
    };
}

/// Derives the type of all faults and the catalogue.
macro_rules! fault_kinds {
    ($( $point:ident $group:ident { $(
        $name:literal $variant:ident $({ $(
            $(#[$attribute:meta])* $parameter:ident : $type:ty [$least:expr, $most:expr] $meaning:literal,
        )+ })? : $description:literal;
    )* } )*) => {
        /// A kind of fault with its parameters.
        ///
        /// As JSON it is an object with the name of the fault in the member `fault` and the parameters as further members.
        /// Delays are in machine time.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "fault", deny_unknown_fields)]
        #[non_exhaustive]
        pub enum FaultKind {
            $($(
                #[doc = $description]
                #[serde(rename = $name)]
                $variant $({ $( #[doc = $meaning] $(#[$attribute])* $parameter: $type, )+ })?,
            )*)*
        }

        /// The catalogue of all faults. `GET /faults/catalogue` of the control API returns it.
        pub const CATALOGUE: &[CatalogueEntry] = &[$($(
            CatalogueEntry {
                fault: $name,
                injection_point: InjectionPoint::$point,
                parameters: &[$($(
                    FaultParameter {
                        name: stringify!($parameter),
                        json_type: <$type as Parameter>::JSON_TYPE,
                        is_nullable: <$type as Parameter>::OPTIONAL,
                        optional: <$type as Parameter>::OPTIONAL || is_optional(&[$(stringify!($attribute)),*]),
                        minimum: $least,
                        maximum: $most,
                        description: $meaning,
                    },
                )+)?],
                description: $description,
            },
        )*)*];

        impl FaultKind {
            /// Returns the row of the catalogue.
            pub(crate) const fn entry(&self) -> &'static CatalogueEntry {
                &CATALOGUE[self.row()]
            }

            /// Returns the number of the row, which is the number of the variant.
            const fn row(&self) -> usize {
                enum Row { $($( $variant ),*),* }
                match self {
                    $($( Self::$variant { .. } => Row::$variant as usize, )*)*
                }
            }

            /// Returns the values that have bounds, in the order of the catalogue.
            fn bounded(&self) -> Vec<Option<i64>> {
                match self {
                    $($( Self::$variant $({ $( $parameter ),+ })? => vec![$($( $parameter.bounded() ),+)?], )*)*
                }
            }
        }
    };
}

/// A parameter with a default is optional.
const fn is_optional(attributes: &[&str]) -> bool {
    !attributes.is_empty()
}

faults! {
    Listener ListenerFault {
        "connection_refused" ConnectionRefused: "Connections to the listener are refused by the system until the fault is removed.";
    }
    Connection ConnectionFault {
        "reset_on_accept" ResetOnAccept: "The connection is accepted and reset at once.";
        "unresponsive" Unresponsive: "The connection is accepted, and the server sends nothing: no TLS handshake, no response, no close.";
        "reset_after" ResetAfter {
            bytes: u64 [0, i64::MAX] "Bytes.",
        }: "The connection is reset after this number of bytes was sent to the client.";
        "fragment_writes" FragmentWrites {
            bytes: usize [1, 1_048_576] "Bytes of a piece.",
        }: "Bytes are sent to the client in pieces of this size, each in its own write.";
        "latency" Latency {
            millis: u64 [0, 60_000] "Delay in milliseconds.",
            #[serde(default, skip_serializing_if = "is_zero")] jitter: u64 [0, 60_000] "Additional delay of up to this many milliseconds, uniformly distributed (default: 0).",
            #[serde(default, skip_serializing_if = "is_zero")] deviation: u64 [0, 60_000] "Standard deviation of a normal distribution around the delay, in milliseconds, cut off at 0 and at four deviations (default: 0).",
        }: "Each piece that is sent to the client is delayed, in machine time. The variation of each piece is drawn from the seed.";
        "stall_after" StallAfter {
            bytes: u64 [0, i64::MAX] "Bytes.",
        }: "Nothing more is sent after this number of bytes; the connection stays open. A small number stalls the TLS handshake.";
        "slow_close" SlowClose {
            millis: u64 [1, 60_000] "Delay in milliseconds.",
        }: "The end of the TCP connection is delayed, in machine time. The TLS close notification is sent before.";
        "certificate_expired" CertificateExpired: "The server certificate has expired.";
        "certificate_wrong_host" CertificateWrongHost: "The server certificate is for another host.";
        "certificate_unknown_authority" CertificateUnknownAuthority: "The server certificate is signed by an unknown authority.";
        "no_common_cipher" NoCommonCipher: "The TLS handshake ends with the alert of a server that supports none of the client's ciphers, as hubs with legacy ciphers do.";
        "bandwidth" Bandwidth {
            bytes_per_second: u64 [1, 1_099_511_627_776] "Bytes per second.",
        }: "The rate of bytes to the client is limited.";
    }
    Request RequestFault {
        "status" Status {
            status: u16 [400, 599] "HTTP status.",
            retry_after: Option<u32> [0, 4_294_967_295] "Value of the header `Retry-After`, in seconds (default: no header).",
        }: "The response has this status, with an error body in the vendor's format.";
        "truncated_body" TruncatedBody: "The body ends in the middle, and the connection is closed.";
        "html_page" HtmlPage: "The response is a web page with status 200, as a captive network sends it.";
        "captive_portal" CaptivePortal: "The response is a redirect to a login page, as a captive network sends it.";
        "empty_answer" EmptyAnswer: "The response has status 200 and no body.";
        "slow_answer" SlowAnswer {
            millis: u64 [0, 60_000] "Delay in milliseconds.",
        }: "The response is delayed, in machine time.";
        "slow_headers" SlowHeaders {
            millis: u64 [1, 60_000] "Duration in milliseconds.",
        }: "The response headers are sent in pieces over this time, in machine time.";
        "overlong_body" OverlongBody: "The body is longer than the header `Content-Length` says.";
        "wrong_length" WrongLength: "The value of the header `Content-Length` is not a number.";
        "bad_chunk" BadChunk: "The body is chunked, and the second chunk has no length.";
    }
    Login LoginFault {
        "early_expiry" EarlyExpiry {
            seconds: u32 [0, 86_400] "Lifetime in seconds.",
        }: "The Identity that a login returns expires early.";
        "clock_skew" ClockSkew {
            seconds: i64 [-31_536_000, 31_536_000] "Difference in seconds; negative if the clock is slow; not 0.",
        }: "The clock of the server that issues the Identity is off.";
        "bad_signature" BadSignature: "The signature that a login returns does not match its Identity.";
        "evict_others" EvictOthers: "A login invalidates what earlier logins of the user returned.";
    }
    Token TokenFault {
        "revoked" Revoked: "A valid token is refused, as after a revocation.";
    }
    Record RecordFault {
        "relay_moved" RelayMoved: "The record of the hub names another relay. Together with `upgrade_refused` for the old host, the relay has moved.";
    }
    Upgrade UpgradeFault {
        "no_pong" NoPong: "Pings on the WebSocket are not answered.";
        "upgrade_refused" UpgradeRefused {
            status: u16 [200, 599] "HTTP status: 200, or 400 to 599.",
        }: "The WebSocket upgrade is refused with this status.";
    }
    Message MessageFault {
        "close" Close {
            code: u16 [1000, 4999] "Close code, except 1005, 1006 and 1015.",
        }: "The WebSocket is closed with this code instead of sending the message. Reserved codes are allowed, as a broken server sends them.";
        "abort" Abort: "The WebSocket connection ends without a close frame instead of sending the message.";
        "drop_message" DropMessage: "The message is not sent.";
        "duplicate_message" DuplicateMessage: "The message is sent twice.";
        "reorder_message" ReorderMessage: "The message is sent after the next one.";
        "binary_message" BinaryMessage: "The message is sent in a binary frame.";
        "unsolicited_reply" UnsolicitedReply: "A reply to a request that was never sent precedes the message.";
        "garbage_message" GarbageMessage: "A text that is not JSON precedes the message.";
        "unknown_broadcast" UnknownBroadcast: "A broadcast with an unknown name precedes the message.";
        "fragments" Fragments: "The message is sent in several frames.";
        "invalid_utf8" InvalidUtf8: "A text frame with invalid UTF-8 replaces the message.";
        "ping_flood" PingFlood {
            count: u32 [1, 10_000] "Number of pings.",
        }: "Pings precede the message.";
        "broadcast_storm" BroadcastStorm {
            count: u32 [1, 10_000] "Number of repetitions.",
        }: "The message is repeated.";
        "oversize" Oversize {
            bytes: usize [1, 67_108_864] "Bytes of the message.",
        }: "The message is padded with white space to this length.";
        "unknown_member" UnknownMember: "Unknown members are added to the message.";
        "unknown_token" UnknownToken: "Categories, types and states in the message are replaced by unknown values.";
        "wrong_serial" WrongSerial: "Serials in the message are replaced by those of another hub.";
        "stale_broadcast" StaleBroadcast: "An outdated broadcast about the same item precedes the message.";
        "null_lists" NullLists: "Lists in the message are null, as the service sometimes sends empty ones.";
        "late_message" LateMessage {
            millis: u64 [0, 60_000] "Delay in milliseconds.",
        }: "The message and all later ones are delayed, in machine time.";
    }
    Call CallFault {
        "rpc_error" RpcError {
            code: i64 [i64::MIN, i64::MAX] "Error code.",
            data: String [0, 256] "Error identifier; the bounds are its length in bytes.",
        }: "The call to a hub is refused with this error and has no effect.";
        "drop_reply" DropReply: "The call to a hub is executed, and its reply is not sent. Calls over HTTP are not affected.";
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl FaultKind {
    /// Returns the name in the catalogue.
    pub(crate) const fn name(&self) -> &'static str {
        self.entry().fault
    }

    /// Returns the injection point.
    pub(crate) const fn injection_point(&self) -> InjectionPoint {
        self.entry().injection_point
    }

    /// Returns the first parameter that is out of its bounds.
    pub(crate) fn out_of_bounds(&self) -> Option<&'static FaultParameter> {
        let within = |parameter: &FaultParameter, value: i64| (parameter.minimum..=parameter.maximum).contains(&value);
        let mut parameters = self.entry().parameters.iter().zip(self.bounded());
        parameters
            .find(|(parameter, value)| value.is_some_and(|value| !within(parameter, value)))
            .map(|(found, _)| found)
    }
}

impl ConnectionFault {
    /// Returns `true` if the fault is applicable only to connections with TLS.
    pub(crate) const fn is_of_tls(&self) -> bool {
        matches!(
            self,
            Self::CertificateExpired
                | Self::CertificateWrongHost
                | Self::CertificateUnknownAuthority
                | Self::NoCommonCipher
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_variant_has_its_catalogue_row() {
        let faults = [
            FaultKind::ConnectionRefused,
            FaultKind::Status { status: 503, retry_after: None },
            FaultKind::RpcError { code: -1, data: String::new() },
            FaultKind::DropReply,
        ];
        for fault in faults {
            let written = serde_json::to_value(&fault).unwrap();
            assert_eq!(written["fault"], fault.name());
            assert_eq!(fault.bounded().len(), fault.entry().parameters.len());
        }
        assert_eq!(FaultKind::DropReply.row() + 1, CATALOGUE.len());
    }

    #[test]
    fn parameters_are_checked_against_the_catalogue_bounds() {
        let latency = |millis, jitter| FaultKind::Latency { millis, jitter, deviation: 0 };
        assert_eq!(latency(60_000, 60_000).out_of_bounds(), None);
        assert_eq!(latency(1, 60_001).out_of_bounds().unwrap().name, "jitter");
        let status = |status| FaultKind::Status { status, retry_after: None };
        assert!(status(399).out_of_bounds().is_some() && status(400).out_of_bounds().is_none());
        let data = |length| FaultKind::RpcError { code: i64::MIN, data: "x".repeat(length) };
        assert!(data(256).out_of_bounds().is_none() && data(257).out_of_bounds().is_some());
    }
}
