//! The registry of known errors of relay and hubs, and the recommended reaction of a client to each.

/// Returns the text of an error and of its causes, separated by colons.
///
/// The `Display` of an error of these crates describes its own layer only.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| {
        let cause = cause.to_string();
        // `#[error(transparent)]` repeats the text of its source.
        if text.ends_with(&cause) { text } else { format!("{text}: {cause}") }
    })
}

/// The recommended reaction to a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RetryClass {
    /// The same request will fail again.
    Permanent,
    /// User name, password or token is wrong. Never retry with the same credentials.
    BadCredentials,
    /// The token has expired or is no longer accepted. Log in again, then retry once.
    LogInAgain,
    /// The failure is temporary. Retry later.
    Transient,
    /// The requested state already holds. Treat it as a success.
    AlreadySo,
}

/// JSON-RPC error codes of hubs and relay.
pub mod code {
    /// Transport error. The vendor lists it, and no source uses it.
    pub const TRANSPORT: i64 = -32300;
    /// System error. The vendor lists it, and no source uses it.
    pub const SYSTEM: i64 = -32400;
    /// Application error.
    pub const APPLICATION: i64 = -32500;
    /// Invalid request.
    pub const INVALID_REQUEST: i64 = -32600;
    /// Unknown method. EzloPi sends [`INVALID_PARAMS`] with the same data instead.
    pub const METHOD_NOT_FOUND: i64 = -32601;
    /// Invalid parameters.
    pub const INVALID_PARAMS: i64 = -32602;
    /// Internal error.
    pub const INTERNAL: i64 = -32603;
    /// The request is not JSON.
    pub const PARSE: i64 = -32700;
}

/// A known error of relay or hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownError {
    /// The machine-readable string in `data`, which clients compare. An entry that ends in `.` is a prefix.
    pub data: &'static str,
    /// The JSON-RPC code; see [`code`].
    pub code: i64,
    /// The English text; empty if no source has one.
    pub message: &'static str,
    /// The recommended reaction.
    pub class: RetryClass,
}

/// Looks up a known error by its machine-readable string.
///
/// An exact entry has precedence over a prefix entry, which ends in `.`. Returns `None` for an unknown string.
///
/// ```
/// use ezlo_protocol::error::{RetryClass, known};
/// assert_eq!(known("user.login.alreadylogged").unwrap().class, RetryClass::AlreadySo);
/// assert_eq!(known("rpc.params.notfound.name").unwrap().code, -32600);
/// assert!(known("something.new").is_none());
/// ```
pub fn known(data: &str) -> Option<&'static KnownError> {
    let exact = KNOWN_ERRORS.iter().find(|error| error.data == data);
    exact.or_else(|| KNOWN_ERRORS.iter().find(|error| error.data.ends_with('.') && data.starts_with(error.data)))
}

macro_rules! errors {
    ($( $code:ident, $class:ident: $( $data:literal => $message:literal ),+ ; )*) => {
        /// All errors that a source names, grouped by code and class. Entries that end in `.` are prefixes.
        pub const KNOWN_ERRORS: &[KnownError] = &[
            $( $( KnownError { data: $data, code: code::$code, message: $message, class: RetryClass::$class }, )+ )*
        ];
    };
}

errors! {
    APPLICATION, AlreadySo:
        "user.login.alreadylogged" => "User has logged";
    APPLICATION, BadCredentials:
        "user.login.badpassword" => "Bad password",
        "nma.user.badloginorpassword" => "",
        "nma.register.badpassword" => "";
    APPLICATION, LogInAgain:
        "cloud.error.mms_autha_token_expired" => "",
        "nma.user.notlogged" => "User is not logged in",
        "nma.token.expired" => "",
        "nma.token.notfound" => "",
        "nma.token.used" => "";
    APPLICATION, Transient:
        "nma.ezlo.notconnected" => "Hub is not connected",
        "nma.ezlo.unavailable" => "Failed to send to Hub",
        "nma.db.error" => "",
        "ezlo.adapter.busy.gateway" => "",
        "ezlo.adapter.busy.zwave" => "",
        "ezlo.gateway.send.error" => "",
        "ezlo.rpc.call.queue.overflow" => "",
        "network.wifi.scan.failed" => "Wifi scan failed";
    APPLICATION, Permanent:
        "user.permission.doesnothave" => "Permission denied",
        "user.permission.doesnothave." => "Permission denied",
        "user.permission.unknown" => "",
        "nma.user.notfound" => "",
        "nma.user.blocked" => "",
        "nma.user.deleted" => "",
        "nma.user.disabled" => "",
        "nma.user.notconfirmed.email" => "",
        "nma.token.hasno.user" => "",
        "nma.token.hasno.serial" => "",
        "nma.token.failed.generate" => "",
        "nma.ezlo.notfound" => "Hub not found",
        "nma.ezlo.notregistered" => "Hub not registered",
        "nma.ezlo.notlinked" => "Hub is not linked to this account",
        "nma.ezlo.deleted" => "",
        "nma.invalid.ezlo.serial" => "Invalid serial",
        "nma.register.alreadyregistered" => "",
        "nma.room.notfound" => "Room is not found",
        "cloud.error.login_controller_failed" => "",
        "ezlo.device.notfound" => "Device is not found",
        "ezlo.device.notunique.name" => "",
        "ezlo.scenes.block.not.exist" => "Scene block does not exist",
        "ezlo.scenes.not.exist" => "The scene with this id does not exist",
        "ezlo.scenes.block.when.wrong" => "Scene is ill formed. Can't parse when block",
        "ezlo.scenes.block.then.wrong" => "Scene is ill formed. Can't parse then block",
        "ezlo.scenes.method.unknown" => "Scene is failed. There is no such method",
        "ezlo.scenes.block.groups.not.exist" => "",
        "scenes.cycle.detected" => "",
        "scenes.when.recursive_execute" => "",
        "scenes.when.not_intersect_numbers" => "",
        "scenes.when.same_button_in_and" => "",
        "scenes.when.same_item_in_and" => "",
        "scenes.when.more_than_one_time" => "",
        "hub.room.alreadyexist" => "Room with this name already exists",
        "ezlo.house_mode.command.outdated" => "Command is outdated",
        "generic.object.not.found" => "Object is not found",
        "network.connection.failed" => "Could not connect to the network",
        "ezlo.update." => "",
        "ezlo.wifi." => "",
        "ezlo.restore." => "";
    INVALID_REQUEST, Permanent:
        "rpc.params.notfound" => "Bad params",
        "rpc.params.notfound." => "Bad request, the member does not exist",
        "rpc.params.empty" => "",
        "rpc.params.empty.name" => "Bad request, name is empty",
        "rpc.method.unexpected" => "";
    METHOD_NOT_FOUND, Permanent:
        "rpc.method.notfound" => "Unknown method";
    INVALID_PARAMS, Permanent:
        "rpc.params.invalid" => "Wrong params",
        "rpc.params.wrong_field" => "Wrong field of object",
        "rpc.params.range.invalid." => "Value is not in valid range",
        "rpc.params.scale.invalid" => "Wrong scale",
        "rpc.params.tooshort." => "",
        "rpc.params.empty." => "",
        "rpc.params.unknown.temperatureUnits" => "",
        "ezlo.house_mode.not.exist" => "The house mode with this id does not exist",
        "ezlo.house_mode.name.not.exist" => "The house mode with this name does not exist";
    INTERNAL, Transient:
        "internal.operation.error" => "",
        "internal.unhandled.error" => "",
        "lengthy.async.operation.error" => "";
    INTERNAL, Permanent:
        "ezlo.lua.script.error" => "Script error",
        "ezlo.lua.script.open" => "Script open error";
    PARSE, Permanent:
        "rpc.parse.error" => "Parse error";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_entry_is_unique_and_found_by_its_data_string() {
        let mut names = HashSet::new();
        for error in KNOWN_ERRORS {
            assert!(names.insert(error.data), "duplicate entry {}", error.data);
            assert_eq!(known(error.data), Some(error));
            assert!((-32700..=-32300).contains(&error.code), "{}", error.data);
        }
    }

    #[test]
    fn a_prefix_entry_matches_longer_strings() {
        assert_eq!(known("ezlo.update.bad.key").unwrap().data, "ezlo.update.");
        assert_eq!(known("rpc.params.notfound._id").unwrap().code, code::INVALID_REQUEST);
        assert_eq!(known("rpc.params.empty.name").unwrap().code, code::INVALID_REQUEST);
        assert_eq!(known("rpc.params.empty.token").unwrap().code, code::INVALID_PARAMS);
        assert_eq!(known("rpc.params.tooshort.serial").unwrap().code, code::INVALID_PARAMS);
    }
}
