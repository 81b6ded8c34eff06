//! The way to the hub: asked anew for every connection, so that credentials can be refreshed and addresses can move.

use std::sync::Arc;

use crate::connect::{Dialed, Endpoint, Login, Stream, dial};
use crate::error::{CloseReason, ConnectError};
use crate::transport::Transport;
use tokio_tungstenite::WebSocketStream;

/// Why a connection is being made.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Attempt {
    /// Failures in a row before this one; 0 for the first attempt and after a link that was proven.
    pub failures: u32,
    /// The credentials of the last attempt were refused as stale: get new ones.
    pub credentials_are_stale: bool,
    /// The last connection that was made came to nothing: login, choice of hub or the first answer failed on it.
    pub unproven: bool,
    /// It came to nothing because its credentials were refused.
    pub refused: bool,
    /// Why the last connection ended.
    pub last: Option<Arc<CloseReason>>,
}

/// A connection and how to log in on it.
#[derive(Debug)]
pub struct Arrival<T> {
    /// What carries frames.
    pub transport: T,
    /// How to get in.
    pub login: Login,
    /// SHA-256 of the hub's certificate; none where the certificate is not the hub's own, as at the relay.
    pub certificate: Option<[u8; 32]>,
    /// Whether the route has another way, to be tried at once when this one does not let us in. What is refused here then says
    /// nothing of the credentials for the other way.
    pub other_way: bool,
}

/// Finds the way to a hub.
pub trait Route: Send + 'static {
    /// What carries frames.
    type Transport: Transport;
    /// Connects. An error that is permanent (see [`ConnectError::is_permanent`]) closes the session; any other leads to
    /// another attempt.
    fn connect(
        &mut self,
        attempt: &Attempt,
    ) -> impl Future<Output = Result<Arrival<Self::Transport>, ConnectError>> + Send;
}

/// Always the same address and login. A hub's certificate is pinned once a connection with it was proven.
#[derive(Debug, Clone)]
pub struct FixedRoute {
    endpoint: Endpoint,
    login: Login,
    seen: Option<[u8; 32]>,
}

impl FixedRoute {
    /// That address with that login.
    pub const fn new(endpoint: Endpoint, login: Login) -> Self {
        Self { endpoint, login, seen: None }
    }
}

/// A WebSocket over TCP, with TLS or without.
pub type Socket = WebSocketStream<Box<dyn Stream>>;

impl Endpoint {
    /// Connects and tells how to log in there.
    pub async fn arrive(&self, login: Login) -> Result<Arrival<Socket>, ConnectError> {
        let Dialed { socket, pin } = dial(self).await?;
        let certificate = pin.filter(|_| self.trusts_a_hub());
        Ok(Arrival { transport: socket, login, certificate, other_way: false })
    }
}

impl Route for FixedRoute {
    type Transport = Socket;

    async fn connect(&mut self, attempt: &Attempt) -> Result<Arrival<Socket>, ConnectError> {
        if attempt.credentials_are_stale {
            // There are no others.
            return Err(ConnectError::NoFreshCredentials);
        }
        if !attempt.unproven
            && let Some(seen) = self.seen.take()
        {
            self.endpoint.pin(seen);
        }
        let arrival = self.endpoint.arrive(self.login.clone()).await?;
        self.seen = arrival.certificate;
        Ok(arrival)
    }
}

/// One connection that is there already, and no other after it.
pub(crate) struct OnlyOnce<T>(pub(crate) Option<(T, Login)>);

impl<T: Transport> Route for OnlyOnce<T> {
    type Transport = T;

    async fn connect(&mut self, attempt: &Attempt) -> Result<Arrival<T>, ConnectError> {
        let (transport, login) = self.0.take().ok_or_else(|| match &attempt.last {
            _ if attempt.credentials_are_stale => ConnectError::NoFreshCredentials,
            last => ConnectError::NotAgain { reason: last.as_deref().cloned().unwrap_or(CloseReason::Local) },
        })?;
        Ok(Arrival { transport, login, certificate: None, other_way: false })
    }
}
