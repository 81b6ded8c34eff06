#![doc = include_str!("../README.md")]
#![warn(clippy::missing_errors_doc)]

mod backoff;
mod byte_budget;
mod config;
mod connection;
mod connector;
#[cfg(feature = "discovery")]
mod discovery;
mod endpoint;
mod error;
mod event;
#[cfg(test)]
mod fakes;
#[cfg(feature = "legacy-tls")]
mod legacy_tls;
#[cfg(test)]
mod model_tests;
mod pending_calls;
mod session;
mod state;
mod status;
mod stream;
mod supervisor;
mod tls;
mod transport;
mod trust;

pub use backoff::BackoffPolicy;
pub use byte_budget::{ByteBudget, ReservedBytes};
pub use config::{KeepAlive, SessionConfig};
pub use connector::{ConnectContext, Connection, Connector, StaticConnector};
#[cfg(feature = "discovery")]
pub use discovery::{DiscoveryError, FoundHub, discover, find};
pub use endpoint::{Endpoint, HubCredentials};
pub use error::{CallError, CloseReason, ConnectError};
pub use event::{RelayEvent, RelayEvents};
pub use ezlo_protocol as protocol;
#[cfg(feature = "legacy-tls")]
pub use legacy_tls::LegacyTls;
pub use session::{RelaySession, WeakRelaySession};
pub use status::{Counters, Phase, Status};
pub use stream::Stream;
pub use tls::{ModernTls, TlsConnector, TlsFuture, TlsStream};
pub use transport::{Incoming, Transport, WebSocket};
pub use trust::Trust;
