//! Every fault by name, for listings; a test holds it against what can be wished for.

use serde::Serialize;

/// A line of the catalogue.
#[derive(Debug, Clone, Copy, Serialize)]
#[non_exhaustive]
pub struct CatalogueEntry {
    /// Its name.
    pub fault: &'static str,
    /// What it takes.
    pub takes: &'static str,
    /// What it does.
    pub does: &'static str,
}

macro_rules! catalogue {
    ($( $fault:literal ($takes:literal) $does:literal; )*) => {
        /// Every fault there is.
        pub const CATALOGUE: &[CatalogueEntry] =
            &[$( CatalogueEntry { fault: $fault, takes: $takes, does: $does } ),*];
    };
}

catalogue! {
    "refuse" ("") "nobody listens, until it is removed; by hub and listener only";
    "reset_on_accept" ("") "the connection is taken and reset at once";
    "half_open" ("") "the connection is taken and nothing ever comes";
    "reset_after" ("bytes") "the connection is reset once that many bytes went to the client";
    "slices" ("bytes") "bytes go to the client in pieces of that size";
    "latency" ("millis, jitter, deviation") "each piece that goes to the client takes that much longer, and up to jitter more, or by a normal distribution";
    "stall_after" ("bytes") "nothing more comes once that many bytes went to the client; with few, a TLS handshake that stalls";
    "slow_close" ("millis") "the end of the TCP connection comes that much later; TLS has said goodbye before";
    "certificate_expired" ("") "the certificate has expired";
    "certificate_wrong_host" ("") "the certificate is for another host";
    "certificate_unknown_authority" ("") "the certificate is signed by an authority that nobody knows";
    "no_common_cipher" ("") "the TLS handshake ends with the alert of a server that has legacy ciphers only";
    "bandwidth" ("bytes_per_second") "no more than so many bytes a second go to the client";
    "status" ("status, retry_after") "the answer is this status, in the vendor's dialect";
    "truncated_body" ("") "the body ends in the middle, and the connection with it";
    "html_page" ("") "a web page with status 200";
    "captive_portal" ("") "a redirect to a login page";
    "empty_answer" ("") "status 200 and nothing else";
    "slow_answer" ("millis") "the answer comes that much later";
    "slow_head" ("millis") "the head of the answer comes in pieces over that time";
    "overlong_body" ("") "more comes than the head promised";
    "wrong_length" ("") "the length in the head is no number";
    "bad_chunk" ("") "the body comes in chunks, and the second one has no length";
    "early_expiry" ("seconds") "the Identity that a login gives out lives that long only";
    "clock_skew" ("seconds") "the clock of the server that gives out the Identity is off by that much";
    "bad_signature" ("") "the signature that a login gives out is not that of its Identity";
    "evict_others" ("") "a login ends what earlier logins of the user gave out";
    "revoked" ("") "a token that is good is refused";
    "relay_moved" ("") "the record of a hub names another relay; with upgrade_refused for the old host, it has moved";
    "no_pong" ("") "a WebSocket whose pings nobody answers";
    "upgrade_refused" ("status") "a WebSocket is refused with this status";
    "close" ("code") "the WebSocket is closed with this code in place of a message; with one that nobody may send, as a broken server does";
    "abort" ("") "the WebSocket ends without a word in place of a message";
    "drop_message" ("") "a message is not sent";
    "duplicate_message" ("") "a message is sent twice";
    "reorder_message" ("") "a message is sent after the next one";
    "binary_message" ("") "a message comes in a binary frame";
    "foreign_answer" ("") "an answer to a question that nobody asked comes before a message";
    "garbage_message" ("") "something that is no message comes before it";
    "unknown_broadcast" ("") "a broadcast that nobody knows comes before a message";
    "fragments" ("") "a message comes in several frames";
    "invalid_utf8" ("") "a text that is no UTF-8 comes in place of a message";
    "ping_flood" ("count") "so many pings come before a message";
    "storm" ("count") "a message comes so many times more";
    "oversize" ("bytes") "a message comes that long, by blanks behind it";
    "unknown_member" ("") "members that nobody knows are in a message";
    "unknown_token" ("") "values that nobody knows stand where a message has categories, types and states";
    "wrong_serial" ("") "serials in a message are those of another hub";
    "stale_broadcast" ("") "a broadcast that was true once, the last but one about an item, comes before a message";
    "null_lists" ("") "lists in a message are null";
    "late_message" ("millis") "a message comes that much later, and all that follows it";
    "rpc_error" ("code, data") "a call to a hub is refused with this error, and nothing is done";
    "no_answer" ("") "a call to a hub is done and its answer never comes; over HTTP it comes all the same";
}
