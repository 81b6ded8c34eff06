//! Dialing: TCP, TLS where the URL says so, WebSocket; then login and choice of hub.

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

/// How long TCP and TLS may take.
const DIAL_TIME: Duration = Duration::from_secs(10);
/// How long the WebSocket handshake may take.
const UPGRADE_TIME: Duration = Duration::from_secs(10);

/// Where to connect, and whom to trust there.
#[derive(Debug, Clone)]
pub struct Endpoint {
    url: String,
    trust: Trust,
    address: Option<SocketAddr>,
    tls: Arc<dyn TlsConnector>,
}

impl Endpoint {
    /// A relay or a hub, by WebSocket URL (`wss://host:port`, or `ws://` where the hub allows clear text).
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), trust: Trust::default(), address: None, tls: Arc::new(ModernTls) }
    }

    /// Whom to trust.
    #[must_use]
    pub fn trust(mut self, trust: Trust) -> Self {
        self.trust = trust;
        self
    }

    /// From now on a hub must show this very certificate, unless it is pinned already.
    pub(crate) const fn pin(&mut self, seen: [u8; 32]) {
        if let Trust::Hub { pin: pin @ None, .. } = &mut self.trust {
            *pin = Some(seen);
        }
    }

    pub(crate) const fn trusts_a_hub(&self) -> bool {
        matches!(self.trust, Trust::Hub { .. })
    }

    /// What speaks TLS; [`ModernTls`] when not said.
    #[must_use]
    pub fn tls(mut self, connector: Arc<dyn TlsConnector>) -> Self {
        self.tls = connector;
        self
    }

    /// Connects there in place of the URL's host, which is still asked for by name and checked.
    #[must_use]
    pub const fn address(mut self, address: SocketAddr) -> Self {
        self.address = Some(address);
        self
    }
}

/// How to get in.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum HubCredentials {
    /// At the relay: the MMS pair, then the hub.
    Relay {
        /// Who.
        pair: IdentityPair,
        /// Which hub.
        serial: Serial,
    },
    /// At the hub's local port.
    Local(LocalCredentials),
    /// At the hub's local port, where it asks for no login.
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
        // Small frames must not wait for each other.
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
