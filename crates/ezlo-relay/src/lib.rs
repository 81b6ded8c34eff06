#![doc = include_str!("../README.md")]

mod backoff;
mod config;
mod connect;
mod desk;
#[cfg(feature = "discovery")]
mod discovery;
mod error;
mod ledger;
mod link;
#[cfg(test)]
mod properties;
mod route;
mod session;
mod status;
mod supervisor;
#[cfg(test)]
mod testing;
mod transport;
mod trust;

pub use backoff::BackoffPolicy;
pub use config::{KeepAlive, SessionConfig};
pub use connect::{Endpoint, Login, Stream};
#[cfg(feature = "discovery")]
pub use discovery::{DiscoveryError, FoundHub, discover, find};
pub use error::{CallError, CloseReason, ConnectError};
pub use ezlo_protocol as protocol;
pub use route::{Arrival, Attempt, FixedRoute, Route, Socket};
pub use session::{Events, RelayEvent, Session, WeakSession};
pub use status::{Counters, Phase, Status};
pub use transport::{Incoming, Transport};
pub use trust::Trust;
