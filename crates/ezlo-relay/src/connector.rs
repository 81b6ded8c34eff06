//! The way to the hub: asked anew for every connection, so that credentials can be refreshed and addresses can move.

use std::sync::Arc;

use crate::endpoint::{Dialed, Endpoint, HubCredentials, dial};
use crate::error::{CloseReason, ConnectError};
use crate::transport::{Transport, WebSocket};

/// Why a connection is being made.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ConnectContext {
    /// Failures in a row before this one; 0 for the first attempt and after a link that was proven.
    pub failures: u32,
    /// The credentials of the last attempt were refused as stale: get new ones.
    pub credentials_expired: bool,
    /// The last connection that was made came to nothing: login, choice of hub or the first answer failed on it.
    pub previous_unverified: bool,
    /// It came to nothing because its credentials were refused.
    pub previous_refused: bool,
    /// Why the last connection ended.
    pub last_close: Option<Arc<CloseReason>>,
}

/// A connection and how to log in on it.
#[derive(Debug)]
pub struct Connection<T> {
    /// What carries frames.
    pub transport: T,
    /// How to get in.
    pub login: HubCredentials,
    /// SHA-256 of the hub's certificate; none where the certificate is not the hub's own, as at the relay.
    pub certificate: Option<[u8; 32]>,
    /// Whether the route has another way, to be tried at once when this one does not let us in. What is refused here then says
    /// nothing of the credentials for the other way.
    pub has_alternative: bool,
}

/// Finds the way to a hub.
pub trait Connector: Send + 'static {
    /// What carries frames.
    type Transport: Transport;
    /// Connects. An error that is permanent (see [`ConnectError::is_permanent`]) closes the session; any other leads to
    /// another attempt.
    fn connect(
        &mut self,
        attempt: &ConnectContext,
    ) -> impl Future<Output = Result<Connection<Self::Transport>, ConnectError>> + Send;
}

/// Always the same address and login. A hub's certificate is pinned once a connection with it was proven.
#[derive(Debug, Clone)]
pub struct StaticConnector {
    endpoint: Endpoint,
    login: HubCredentials,
    pinned: Option<[u8; 32]>,
}

impl StaticConnector {
    /// That address with that login.
    pub const fn new(endpoint: Endpoint, login: HubCredentials) -> Self {
        Self { endpoint, login, pinned: None }
    }
}

impl Endpoint {
    /// Connects and tells how to log in there.
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
            // There are no others.
            return Err(ConnectError::CredentialsExhausted);
        }
        if !attempt.previous_unverified
            && let Some(seen) = self.pinned.take()
        {
            self.endpoint.pin(seen);
        }
        let arrival = self.endpoint.connect(self.login.clone()).await?;
        self.pinned = arrival.certificate;
        Ok(arrival)
    }
}

/// One connection that is there already, and no other after it.
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
