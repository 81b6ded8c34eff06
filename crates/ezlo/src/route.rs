//! The way to a hub of an account: the local network where it is preferred and there, else the relay that the cloud names.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ezlo_mms::{ErrorKind, Login as MmsLogin, Session as MmsSession};
use ezlo_protocol::cloud::hub_record::Relay;
use ezlo_protocol::cloud::keys::LocalCredentials;
use ezlo_protocol::serial::Serial;
use ezlo_relay::{Arrival, Attempt, ConnectError, Endpoint, Login, Route, Socket, Trust};

/// How long the local network may take before the relay is taken.
const LOCAL_TIME: Duration = Duration::from_secs(4);

/// A hub on the local network.
#[derive(Debug, Clone)]
pub struct LocalWay {
    /// Its WebSocket port (17000 on a real hub).
    pub address: SocketAddr,
    /// What it wants to hear.
    pub credentials: LocalCredentials,
    /// SHA-256 of its certificate, as seen before; the first one that carries its serial is taken when absent.
    pub pin: Option<[u8; 32]>,
}

/// The way to a hub of an account. Credentials are refreshed when the relay says that they are stale, and the relay is looked
/// up again after a failure, since it may have moved.
#[derive(Debug)]
pub struct AccountRoute {
    login: MmsLogin,
    serial: Serial,
    local: Option<LocalWay>,
    relay: Option<String>,
    used: Option<Arc<MmsSession>>,
}

impl AccountRoute {
    /// Over the relay.
    pub const fn new(login: MmsLogin, serial: Serial) -> Self {
        Self { login, serial, local: None, relay: None, used: None }
    }

    /// Over the local network while the hub is there, over the relay while it is not.
    #[must_use]
    pub fn prefer_local(mut self, local: LocalWay) -> Self {
        self.local = Some(local);
        self
    }

    async fn by_local(&mut self) -> Option<Arrival<Socket>> {
        let local = self.local.as_mut()?;
        let trust = Trust::Hub { serial: self.serial.clone(), pin: local.pin };
        let endpoint = Endpoint::new(format!("wss://{}", local.address)).trust(trust);
        let arriving = endpoint.arrive(Login::Local(local.credentials.clone()));
        match tokio::time::timeout(LOCAL_TIME, arriving).await {
            Ok(Ok(arrival)) => {
                // Pinned by first use: from now on it must be this very certificate.
                local.pin = local.pin.or(arrival.certificate);
                Some(arrival)
            }
            Ok(Err(error)) => {
                tracing::debug!(%error, "the hub is not on the local network");
                None
            }
            Err(_) => None,
        }
    }

    async fn session(&mut self, stale: bool) -> Result<Arc<MmsSession>, ConnectError> {
        let session = match self.used.as_ref().filter(|_| stale) {
            Some(used) => self.login.replace(used).await,
            None => self.login.session().await,
        };
        let session = session.map_err(|error| from_mms(&error))?;
        self.used = Some(Arc::clone(&session));
        Ok(session)
    }

    async fn relay(&mut self, again: bool) -> Result<String, ConnectError> {
        if let Some(relay) = self.relay.clone().filter(|_| !again) {
            return Ok(relay);
        }
        let serial = &self.serial;
        let record = self.login.with(|client, session| async move { client.hub(&session, serial).await }).await;
        let record = record.map_err(|error| from_mms(&error))?;
        match record.relay() {
            Some(Relay::Nma(url)) => {
                self.relay = Some(url.to_owned());
                Ok(url.to_owned())
            }
            _ => Err(ConnectError::Route { text: format!("hub {serial} has no relay of this kind"), permanent: true }),
        }
    }
}

/// What cannot pass ends the session.
fn from_mms(error: &ezlo_mms::Error) -> ConnectError {
    let permanent = matches!(error.kind(), ErrorKind::BadCredentials | ErrorKind::LogInAgain | ErrorKind::Refused(_));
    ConnectError::Route { text: error.to_string(), permanent }
}

impl Route for AccountRoute {
    type Transport = Socket;

    async fn connect(&mut self, attempt: &Attempt) -> Result<Arrival<Socket>, ConnectError> {
        if let Some(arrival) = self.by_local().await {
            return Ok(arrival);
        }
        let session = self.session(attempt.credentials_are_stale).await?;
        let url = self.relay(attempt.failures > 0).await?;
        let environment = self.login.client().environment();
        let mut endpoint = Endpoint::new(url).trust(Trust::PublicRootsAnd(environment.extra_roots().to_vec()));
        if let Some(address) = environment.mapped_address() {
            endpoint = endpoint.address(address);
        }
        endpoint.arrive(Login::Relay { pair: session.pair().clone(), serial: self.serial.clone() }).await
    }
}
