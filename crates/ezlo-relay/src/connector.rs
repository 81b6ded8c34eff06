//! Connectors open the connections of a session. A connector is called for every connection, so that credentials can be
//! refreshed and addresses can change.

use std::sync::Arc;

use crate::endpoint::{Dialed, Endpoint, HubCredentials, dial};
use crate::error::{CloseReason, ConnectError};
use crate::transport::{Transport, WebSocket};

/// The history of the session that a [`Connector`] can take into account.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ConnectContext {
    /// Consecutive failures before this attempt; 0 for the first attempt.
    ///
    /// A lost connection counts as one failure. A connection that lasted 5 s resets the count before that.
    pub failures: u32,
    /// True if the last credentials were refused as expired: obtain new ones.
    pub credentials_expired: bool,
    /// True if login, registration or verification failed on the last connection that was opened.
    pub previous_unverified: bool,
    /// True if the last attempt failed because its credentials were refused.
    pub previous_refused: bool,
    /// The reason for which the last connection ended or the last attempt failed; `None` for the first attempt.
    pub last_close: Option<Arc<CloseReason>>,
}

/// An open connection and the credentials to log in on it.
#[derive(Debug)]
pub struct Connection<T> {
    /// The transport that carries the frames.
    pub transport: T,
    /// The credentials for this connection.
    pub login: HubCredentials,
    /// SHA-256 of the hub's certificate; `None` if the certificate is not the hub's own, as at the relay.
    pub certificate: Option<[u8; 32]>,
    /// True if the connector has an alternative path, such as the relay beside the local network.
    ///
    /// If login, registration or verification fails on this connection, the next attempt starts without a wait, once in a row.
    /// A refusal then does not count as expired credentials.
    pub has_alternative: bool,
}

/// Opens the connections of a session.
///
/// The session calls the connector once per attempt. It logs in and verifies the connection itself.
///
/// # Examples
///
/// A connector that logs in again when the relay refuses its credentials as expired:
///
/// ```no_run
/// use ezlo_relay::protocol::identity::IdentityPair;
/// use ezlo_relay::protocol::serial::Serial;
/// use ezlo_relay::{
///     ConnectContext, ConnectError, Connection, Connector, Endpoint, HubCredentials, RelaySession, SessionConfig,
///     WebSocket,
/// };
///
/// # async fn log_in_again() -> Result<IdentityPair, std::io::Error> { unimplemented!() }
/// struct RelayConnector {
///     relay: Endpoint,
///     pair: IdentityPair,
///     serial: Serial,
/// }
///
/// impl Connector for RelayConnector {
///     type Transport = WebSocket;
///
///     async fn connect(&mut self, context: &ConnectContext) -> Result<Connection<WebSocket>, ConnectError> {
///         if context.credentials_expired {
///             let renewed = log_in_again().await;
///             self.pair = renewed
///                 .map_err(|error| ConnectError::Connector { text: error.to_string(), permanent: false })?;
///         }
///         let credentials = HubCredentials::Relay { pair: self.pair.clone(), serial: self.serial.clone() };
///         self.relay.connect(credentials).await
///     }
/// }
///
/// async fn connect(connector: RelayConnector) -> Result<RelaySession, ConnectError> {
///     RelaySession::connect_with(connector, SessionConfig::default()).await
/// }
/// ```
pub trait Connector: Send + 'static {
    /// The transport that carries the frames.
    type Transport: Transport;

    /// Opens a connection, without a login.
    ///
    /// The session sets no time limit for this call: limit it in the implementation.
    ///
    /// # Errors
    ///
    /// Any [`ConnectError`]. A permanent one (see [`ConnectError::is_permanent`]) closes the session; any other one leads to
    /// another attempt. Use [`ConnectError::Connector`] for failures of the connector itself.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped if the session closes meanwhile, and the connector with it.
    fn connect(
        &mut self,
        attempt: &ConnectContext,
    ) -> impl Future<Output = Result<Connection<Self::Transport>, ConnectError>> + Send;
}

/// A connector with a fixed endpoint and fixed credentials.
///
/// Credentials that are refused as expired end the session, because there are no others. With [`Trust::Hub`] without a pin,
/// the certificate of the first verified connection is pinned for the later ones.
///
/// [`Trust::Hub`]: crate::Trust::Hub
#[derive(Debug, Clone)]
pub struct StaticConnector {
    endpoint: Endpoint,
    login: HubCredentials,
    pinned: Option<[u8; 32]>,
}

impl StaticConnector {
    /// Creates a connector for this endpoint and these credentials. No network traffic.
    pub const fn new(endpoint: Endpoint, login: HubCredentials) -> Self {
        Self { endpoint, login, pinned: None }
    }
}

impl Endpoint {
    /// Opens a WebSocket connection for a [`Connector`], without a login.
    ///
    /// Resolves the host name, connects by TCP, and performs the TLS handshake for `wss://` (10 s together) and the WebSocket
    /// handshake (10 s).
    ///
    /// # Errors
    ///
    /// [`ConnectError::Url`] if the URL is not a `ws://` or `wss://` URL; [`ConnectError::Dial`] if TCP or TLS fails;
    /// [`ConnectError::Upgrade`] if the peer refuses the WebSocket handshake; [`ConnectError::TimedOut`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection; nothing else is affected.
    pub async fn connect(&self, login: HubCredentials) -> Result<Connection<WebSocket>, ConnectError> {
        let Dialed { socket, pin } = dial(self).await?;
        let certificate = pin.filter(|_| self.trusts_a_hub());
        Ok(Connection { transport: socket, login, certificate, has_alternative: false })
    }
}

impl Connector for StaticConnector {
    type Transport = WebSocket;

    async fn connect(&mut self, attempt: &ConnectContext) -> Result<Connection<WebSocket>, ConnectError> {
        if attempt.credentials_expired {
            return Err(ConnectError::CredentialsExhausted);
        }
        if !attempt.previous_unverified
            && let Some(seen) = self.pinned.take()
        {
            self.endpoint.pin(seen);
        }
        let connection = self.endpoint.connect(self.login.clone()).await?;
        self.pinned = connection.certificate;
        Ok(connection)
    }
}

/// A connector for one connection that is already open. A second attempt fails.
pub(crate) struct SingleUse<T>(pub(crate) Option<(T, HubCredentials)>);

impl<T: Transport> Connector for SingleUse<T> {
    type Transport = T;

    async fn connect(&mut self, attempt: &ConnectContext) -> Result<Connection<T>, ConnectError> {
        let (transport, login) = self.0.take().ok_or_else(|| match &attempt.last_close {
            _ if attempt.credentials_expired => ConnectError::CredentialsExhausted,
            last => ConnectError::NotReconnectable {
                reason: last.as_deref().cloned().unwrap_or(CloseReason::ClosedLocally),
            },
        })?;
        Ok(Connection { transport, login, certificate: None, has_alternative: false })
    }
}
