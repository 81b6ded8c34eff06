//! The types of a control call, the parser of its body and its refusals.

use std::pin::Pin;

use http::{Method, StatusCode};
use serde::Serialize;

use crate::server::http::message::{Reply, Request};
use crate::server::shared::Shared;
use crate::world::hub_handle::HubHandle;

/// A control call.
pub(crate) struct Call {
    pub(crate) method: Method,
    /// Path; `{}` stands for a serial, a number or a name.
    pub(crate) path: &'static str,
    /// Description for `/openapi.json`.
    #[cfg(test)]
    pub(crate) does: &'static str,
    /// Example of the body; empty for a call without one.
    pub(crate) body: &'static str,
    pub(crate) act: Action,
    /// Identifier of the operation in `/openapi.json`, from which generated clients make the name of a function.
    #[cfg(test)]
    pub(crate) id: &'static str,
    /// Schemas of the bodies of the request and of the reply.
    #[cfg(test)]
    pub(crate) bodies: (SchemaOf, SchemaOf),
}

/// Returns the schema of a type, or a reference to it.
#[cfg(test)]
pub(crate) type SchemaOf = fn(&mut schemars::SchemaGenerator) -> schemars::Schema;

/// The future of a reply.
pub(crate) type Waiting<'a> = Pin<Box<dyn Future<Output = Reply> + Send + 'a>>;

/// The handler of a call.
pub(crate) enum Action {
    /// Replies at once.
    Now(fn(&Shared, &Request) -> Reply),
    /// Replies later.
    Later(for<'a> fn(&'a Shared, &'a Request) -> Waiting<'a>),
    /// Receives the value of `{}`.
    With(fn(&Shared, &str) -> Reply),
    /// Receives the value of `{}` and the request.
    Of(fn(&Shared, &str, &Request) -> Reply),
    /// Receives the value of `{}` and replies later.
    LaterWith(for<'a> fn(&'a Shared, &'a str) -> Waiting<'a>),
    /// Receives the hub with the serial in place of `{}`, the body of the request and the example of a body.
    Hub(fn(&HubHandle, &[u8], &'static str) -> Reply),
}

/// The reply of a call without a result.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Success {
    /// Always `true`; an error has another status.
    ok: bool,
}

impl Success {
    pub(crate) fn reply() -> Reply {
        Reply::json(&Self { ok: true })
    }
}

/// An error.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ApiError<'a> {
    /// The reason and the accepted input.
    error: &'a str,
}

/// Parses a body, which must be a JSON object. A refusal shows the example.
pub(crate) fn parse_body<T: serde::de::DeserializeOwned>(body: &[u8], example: &str) -> Result<T, Reply> {
    let wrong = |text: &str| refusal(StatusCode::BAD_REQUEST, &format!("{text}; send {example}"));
    // serde would read a list as the members of a struct in their order.
    match body.trim_ascii_start().first() {
        None => Err(wrong("the body is empty")),
        Some(b'{') => serde_json::from_slice(body).map_err(|error| wrong(&error.to_string())),
        Some(_) => Err(wrong("the body is not a JSON object")),
    }
}

/// Returns an error reply: JSON with the member `error`.
pub(crate) fn refusal(status: StatusCode, text: &str) -> Reply {
    Reply::new(status, "application/json", ezlo_protocol::wire::to_text(&ApiError { error: text }))
}

/// A query parameter: name, JSON type and description.
pub(crate) type Query = (&'static str, &'static str, &'static str);
