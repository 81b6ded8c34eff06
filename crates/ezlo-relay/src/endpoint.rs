//! Endpoints and credentials, and the steps that open a connection: TCP, TLS for `wss://`, WebSocket handshake.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::stream::boxed;
use ezlo_protocol::cloud::keys::LocalCredentials;
use ezlo_protocol::identity::IdentityPair;
use ezlo_protocol::serial::Serial;
use tokio::net::TcpStream;
use tokio_tungstenite::client_async_with_config;

use crate::error::ConnectError;
use crate::tls::{ModernTls, TlsConnector, TlsStream};
use crate::transport::{WebSocket, config};
use crate::trust::Trust;

/// Time limit of DNS, TCP and TLS together.
const DIAL_TIME: Duration = Duration::from_secs(10);
/// Time limit of the WebSocket handshake.
const UPGRADE_TIME: Duration = Duration::from_secs(10);

/// The address of a relay or a hub, with the TLS settings for it.
#[derive(Debug, Clone)]
pub struct Endpoint {
    url: String,
    trust: Trust,
    address: Option<SocketAddr>,
    tls: Arc<dyn TlsConnector>,
}

impl Endpoint {
    /// Creates an endpoint from a WebSocket URL: `wss://host:port`, or `ws://host:port` without encryption.
    ///
    /// The default port is 443 for `wss` and 80 for `ws`. The default trust is [`Trust::PublicRoots`], the default TLS
    /// implementation [`ModernTls`]. The URL is checked when the connection is opened.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), trust: Trust::default(), address: None, tls: Arc::new(ModernTls) }
    }

    /// Sets the certificates that are accepted (default: [`Trust::PublicRoots`]).
    #[must_use]
    pub fn trust(mut self, trust: Trust) -> Self {
        self.trust = trust;
        self
    }

    /// Sets the pin of [`Trust::Hub`] unless there is one already.
    pub(crate) const fn pin(&mut self, seen: [u8; 32]) {
        if let Trust::Hub { pin: pin @ None, .. } = &mut self.trust {
            *pin = Some(seen);
        }
    }

    pub(crate) const fn trusts_a_hub(&self) -> bool {
        matches!(self.trust, Trust::Hub { .. })
    }

    /// Sets the TLS implementation (default: [`ModernTls`]).
    #[must_use]
    pub fn tls(mut self, connector: Arc<dyn TlsConnector>) -> Self {
        self.tls = connector;
        self
    }

    /// Sets the address to connect to, instead of the resolved host of the URL.
    ///
    /// The host of the URL is still sent in the handshakes and verified against the certificate.
    #[must_use]
    pub const fn address(mut self, address: SocketAddr) -> Self {
        self.address = Some(address);
        self
    }
}

/// The credentials for a login at a relay or a hub.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum HubCredentials {
    /// For the relay: the Identity, and the hub to register for.
    Relay {
        /// The Identity and its signature, from the login at the account cloud.
        pair: IdentityPair,
        /// The serial of the hub.
        serial: Serial,
    },
    /// For the local port of a hub: user and token of the hub's access keys.
    Local(LocalCredentials),
    /// No login, for a local port that does not require one.
    Anonymous,
}

pub(crate) struct Dialed {
    pub(crate) socket: WebSocket,
    pub(crate) pin: Option<[u8; 32]>,
}

pub(crate) async fn dial(endpoint: &Endpoint) -> Result<Dialed, ConnectError> {
    let bad_url = || ConnectError::Url(endpoint.url.clone());
    let uri: http::Uri = endpoint.url.parse().map_err(|_| bad_url())?;
    let (tls, usual_port) = match uri.scheme_str() {
        Some("wss") => (true, 443),
        Some("ws") => (false, 80),
        _ => return Err(bad_url()),
    };
    let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(bad_url)?;
    let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = uri.port_u16().unwrap_or(usual_port);
    let address = endpoint.address.map_or_else(|| format!("{host}:{port}"), |address| address.to_string());
    let failed = |source| ConnectError::Dial { address: address.clone(), source };
    let streams = async {
        let stream = match endpoint.address {
            Some(address) => TcpStream::connect(address).await,
            None => TcpStream::connect((bare.as_str(), port)).await,
        };
        let stream = stream.map_err(failed)?;
        // Small frames must not be delayed by Nagle's algorithm.
        stream.set_nodelay(true).map_err(failed)?;
        if tls {
            endpoint.tls.connect(stream, &bare, &endpoint.trust).await.map_err(failed)
        } else {
            Ok(TlsStream { stream: boxed(stream), certificate: None })
        }
    };
    let streams = tokio::time::timeout(DIAL_TIME, streams).await;
    let TlsStream { stream, certificate: pin } = streams.map_err(|_| ConnectError::TimedOut { phase: "dialing" })??;
    let upgrade = client_async_with_config(endpoint.url.as_str(), stream, Some(config()));
    let upgraded = tokio::time::timeout(UPGRADE_TIME, upgrade).await;
    let upgraded = upgraded.map_err(|_| ConnectError::TimedOut { phase: "the WebSocket handshake" })?;
    let (socket, _) = upgraded.map_err(|error| ConnectError::Upgrade { address, text: error.to_string() })?;
    Ok(Dialed { socket: WebSocket::new(socket), pin })
}
