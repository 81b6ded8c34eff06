//! WebSocket connections.

pub(crate) mod codec;
pub(crate) mod connection;
pub(crate) mod frame_parser;
pub(crate) mod session;
#[cfg(test)]
mod tests;
pub(crate) mod upgrade;
pub(crate) mod write;
