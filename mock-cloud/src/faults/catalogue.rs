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
    "reset_on_accept" ("") "the connection is taken and reset at once";
    "half_open" ("") "the connection is taken and nothing ever comes";
    "reset_after" ("bytes") "the connection is reset once that many bytes went to the client";
    "slices" ("bytes") "bytes go to the client in pieces of that size";
    "latency" ("millis") "each piece that goes to the client takes that much longer";
    "bandwidth" ("bytes_per_second") "no more than so many bytes a second go to the client";
    "status" ("status, retry_after") "the answer is this status, in the vendor's dialect";
    "truncated_body" ("") "the body ends in the middle, and the connection with it";
    "html_page" ("") "a web page with status 200";
    "captive_portal" ("") "a redirect to a login page";
    "empty_answer" ("") "status 200 and nothing else";
    "slow_answer" ("millis") "the answer comes that much later";
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
    "null_lists" ("") "lists in a message are null";
    "late_message" ("millis") "a message comes that much later, and all that follows it";
    "rpc_error" ("code, data") "a call to a hub is refused with this error, and nothing is done";
    "no_answer" ("") "a call to a hub is done and its answer never comes";
}
