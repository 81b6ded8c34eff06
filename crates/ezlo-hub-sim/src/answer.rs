//! Results of method handlers, and refusals with the texts of real hubs.

use ezlo_protocol::error::code;
use ezlo_protocol::hub::Empty;
use ezlo_protocol::rpc::RpcError;
use ezlo_protocol::wire::{self, DecodeError};

/// The outcome of a handler: a result, or an error with the texts of a real hub.
pub(crate) type Answer<T> = Result<T, RpcError>;

/// Decodes the parameters of a call. Absent parameters count as an empty object.
///
/// # Errors
///
/// Returns the refusal of a real hub: `rpc.params.invalid` if the parameters are not an object or a member has the wrong type,
/// `rpc.params.notfound.<member>` if a required member is missing, `rpc.params.notfound` if all parameters are missing.
pub fn decode<T: serde::de::DeserializeOwned>(params: Option<&str>) -> Answer<T> {
    match params {
        None => wire::from_slice(b"{}").map_err(|_| RpcError::known("rpc.params.notfound")),
        Some(params) if params.trim_start().starts_with('{') => {
            wire::from_slice(params.as_bytes()).map_err(|error| refusal(&error))
        }
        Some(_) => Err(RpcError::known("rpc.params.invalid")),
    }
}

/// Returns the refusal for parameters that cannot be decoded. It names a missing member, but not a member of the wrong type.
fn refusal(error: &DecodeError) -> RpcError {
    match error.what().strip_prefix("missing field `").and_then(|rest| rest.split('`').next()) {
        Some(member) => missing(member),
        None => RpcError::known("rpc.params.invalid"),
    }
}

/// Returns the refusal for a missing required member.
pub(crate) fn missing(member: &str) -> RpcError {
    let data = format!("rpc.params.notfound.{member}");
    RpcError::new(code::INVALID_REQUEST, &data, &format!("Bad request, {member} does not exist"))
}

/// Returns the refusal for an object that does not exist.
pub(crate) fn not_found(data: &str) -> RpcError {
    RpcError::known(data)
}

/// Returns an empty result.
#[expect(clippy::unnecessary_wraps, reason = "all handlers end alike, also those that cannot fail")]
pub(crate) fn done() -> Answer<Empty> {
    Ok(Empty::default())
}
