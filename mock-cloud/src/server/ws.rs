//! WebSocket connections of the relay and of the hubs' local ports.

pub(crate) mod codec;
pub(crate) mod connection;
pub(crate) mod session;
#[cfg(test)]
mod tests;
pub(crate) mod types;
pub(crate) mod upgrade;
pub(crate) mod write;
