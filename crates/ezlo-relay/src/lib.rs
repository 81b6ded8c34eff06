#![doc = include_str!("../README.md")]

mod connect;
mod error;
mod ledger;
mod service;
mod session;
mod transport;
mod trust;

pub use connect::{Endpoint, Login};
pub use error::{CallError, CloseReason, ConnectError};
pub use ezlo_protocol as protocol;
pub use session::{Events, RelayEvent, Session};
pub use transport::{Incoming, Transport};
pub use trust::Trust;
