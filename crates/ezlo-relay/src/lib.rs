#![doc = include_str!("../README.md")]

mod backoff;
mod config;
mod connect;
mod desk;
#[cfg(feature = "discovery")]
mod discovery;
mod engine;
mod error;
mod ledger;
#[cfg(feature = "legacy-tls")]
mod legacy_tls;
mod link;
#[cfg(test)]
mod properties;
mod route;
mod session;
mod status;
mod supervisor;
#[cfg(test)]
mod testing;
mod tls;
mod transport;
mod trust;

pub use backoff::BackoffPolicy;
pub use config::{KeepAlive, SessionConfig};
pub use connect::{Endpoint, Login, Stream};
#[cfg(feature = "discovery")]
pub use discovery::{DiscoveryError, FoundHub, discover, find};
pub use error::{CallError, CloseReason, ConnectError};
pub use ezlo_protocol as protocol;
#[cfg(feature = "legacy-tls")]
pub use legacy_tls::LegacyTls;
pub use route::{Arrival, Attempt, FixedRoute, Route, Socket};
pub use session::{Events, RelayEvent, Session, WeakSession};
pub use status::{Counters, Phase, Status};
pub use tls::{ModernTls, Secured, Securing, TlsConnector};
pub use transport::{Incoming, Transport};
pub use trust::Trust;
