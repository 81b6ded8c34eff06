//! Errors of the start of a cloud.

use std::net::SocketAddr;

use crate::config::error::ConfigError;
use crate::persistence::error::StateError;
use crate::tls::params::TlsError;

/// The reasons for which [`Builder::start`](crate::Builder::start) and [`MockCloud::fork`](crate::MockCloud::fork) fail.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A setting is out of bounds, or the world file cannot be read or is invalid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A port cannot be bound, for example because another program uses it.
    #[error("cannot listen on {address} for {what}; choose another port, or 0 for any free one")]
    Bind {
        /// The listener, such as `https` or `local port of hub 90000001`.
        what: String,
        /// The address and port.
        address: SocketAddr,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The mDNS service of this process cannot start or announce a hub.
    #[error("cannot announce hubs by mDNS")]
    Mdns(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The state directory cannot be read or written, is in use, or does not match the world.
    #[error(transparent)]
    State(#[from] StateError),
    /// The NATS server cannot be used, or this build lacks the Cargo feature `cluster`.
    #[error("cannot join the cluster: {0}")]
    Cluster(String),
    /// The directory of the CA certificate cannot be created, or the certificate cannot be written.
    #[error("cannot write {path}; check the free space and the permissions of the directory")]
    Directory {
        /// The file or directory.
        path: String,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// Certificates cannot be created.
    #[error("cannot set up TLS")]
    Tls(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<TlsError> for StartError {
    fn from(error: TlsError) -> Self {
        Self::Tls(Box::new(error))
    }
}
