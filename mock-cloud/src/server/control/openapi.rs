//! The OpenAPI 3.1 description of the control API.

#[cfg(test)]
mod generate;

/// The document. `cargo xtask codegen` writes it from the table of calls and the types of their bodies.
pub(crate) const DOCUMENT: &str = include_str!("../../../openapi.json");
