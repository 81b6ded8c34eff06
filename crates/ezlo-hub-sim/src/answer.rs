//! Results of method handlers, and the refusals of real hubs.

use ezlo_protocol::error::code;
use ezlo_protocol::hub::Empty;
use ezlo_protocol::rpc::RpcError;
use ezlo_protocol::wire::{self, DecodeError};

/// What a handler gives back: a result, or an error in the hub's own words.
pub(crate) type Answer<T> = Result<T, RpcError>;

/// Parameters as their type. Absent ones are an empty object; anything but an object is refused.
pub fn decode<T: serde::de::DeserializeOwned>(params: Option<&str>) -> Answer<T> {
    match params {
        None => wire::from_slice(b"{}").map_err(|_| RpcError::known("rpc.params.notfound")),
        Some(params) if params.trim_start().starts_with('{') => {
            wire::from_slice(params.as_bytes()).map_err(|error| refusal(&error))
        }
        Some(_) => Err(RpcError::known("rpc.params.invalid")),
    }
}

/// The hub's words for parameters of the wrong shape: a missing member is named, a wrong type is not.
fn refusal(error: &DecodeError) -> RpcError {
    match error.what().strip_prefix("missing field `").and_then(|rest| rest.split('`').next()) {
        Some(member) => missing(member),
        None => RpcError::known("rpc.params.invalid"),
    }
}

/// A member that must be there is not.
pub(crate) fn missing(member: &str) -> RpcError {
    let data = format!("rpc.params.notfound.{member}");
    RpcError::new(code::INVALID_REQUEST, &data, &format!("Bad request, {member} does not exist"))
}

pub(crate) fn not_found(data: &str) -> RpcError {
    RpcError::known(data)
}

/// An empty result.
#[expect(clippy::unnecessary_wraps, reason = "handlers that cannot fail end like those that can")]
pub(crate) fn done() -> Answer<Empty> {
    Ok(Empty::default())
}
