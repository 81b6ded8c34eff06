//! Connections to a hub of an account: over the local network if that is preferred and possible, otherwise over the relay.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ezlo_mms::{Authenticator, ErrorKind, LoginSession, MmsClient, MmsError};
use ezlo_protocol::cloud::call::AnswerError;
use ezlo_protocol::cloud::hub_record::{HubRecord, Relay};
use ezlo_protocol::cloud::keys::LocalCredentials;
use ezlo_protocol::serial::Serial;
use ezlo_relay::{
    ConnectContext, ConnectError, Connection, Connector, Endpoint, HubCredentials, ModernTls, Phase, TlsConnector,
    Trust, WeakRelaySession, WebSocket,
};
use tokio::sync::watch;

/// Time allowed for a connection over the local network before the relay is used.
const LOCAL_TIME: Duration = Duration::from_secs(4);

/// Default interval of the probes for a hub on the local network while the relay is used.
const LOOK_TIME: Duration = Duration::from_secs(60);

/// The network path of a connection to a hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ConnectionPath {
    /// Through the vendor's relay.
    #[default]
    Relay,
    /// Directly, over the local network.
    Local,
}

/// The address of a hub on the local network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LocalAddress {
    /// A fixed address: the WebSocket port of the hub (17000 on a real hub).
    Fixed(SocketAddr),
    /// The address that the hub announces by mDNS, looked up for each attempt. Feature `discovery`.
    #[cfg(feature = "discovery")]
    Discovered,
}

/// The options of a connection over the local network, for [`AccountConnector::prefer_local`] and
/// [`Account::connect_with`](crate::Account::connect_with).
#[derive(Debug, Clone)]
pub struct LocalOptions {
    /// The address of the hub.
    pub address: LocalAddress,
    /// The local credentials, from [`Account::local_credentials`](crate::Account::local_credentials).
    pub credentials: LocalCredentials,
    /// The SHA-256 of the certificate of the hub. If `None`, the first certificate with its serial that logs in is pinned.
    pub pin: Option<[u8; 32]>,
    /// The interval of the probes while the relay is used (default: 60 s). Failed logins double it, up to a factor of 64.
    pub probe_interval: Duration,
    /// The TLS implementation (default: [`ModernTls`]). `LegacyTls` (feature `legacy-tls`) is for hubs with old firmware.
    pub tls: Arc<dyn TlsConnector>,
}

impl LocalOptions {
    /// Returns options with the defaults: no pin, a probe every 60 s while the relay is used, and [`ModernTls`].
    pub fn new(address: LocalAddress, credentials: LocalCredentials) -> Self {
        Self { address, credentials, pin: None, probe_interval: LOOK_TIME, tls: Arc::new(ModernTls) }
    }

    #[cfg_attr(
        not(feature = "discovery"),
        expect(unused_variables, clippy::unused_async, reason = "only discovery needs both")
    )]
    async fn address(&self, serial: &Serial) -> Option<SocketAddr> {
        match self.address {
            LocalAddress::Fixed(address) => Some(address),
            #[cfg(feature = "discovery")]
            LocalAddress::Discovered => match ezlo_relay::find(serial, LOCAL_TIME).await {
                Ok(found) => Some(found.address),
                Err(error) => {
                    tracing::debug!(%error, %serial, "discovery did not find the hub");
                    None
                }
            },
        }
    }

    /// Connects and verifies the certificate, within [`LOCAL_TIME`]. Sends no credentials.
    async fn connect(&self, serial: &Serial) -> Option<Connection<WebSocket>> {
        let connecting = async {
            let address = self.address(serial).await?;
            let trust = Trust::Hub { serial: serial.clone(), pin: self.pin };
            let endpoint = Endpoint::new(format!("wss://{address}")).trust(trust).tls(Arc::clone(&self.tls));
            match endpoint.connect(HubCredentials::Local(self.credentials.clone())).await {
                Ok(connection) => Some(Connection { has_alternative: true, ..connection }),
                Err(error) => {
                    tracing::debug!(%error, %serial, "no connection to the hub over the local network");
                    None
                }
            }
        };
        tokio::time::timeout(LOCAL_TIME, connecting).await.ok().flatten()
    }
}

/// Limit of the doublings of [`LocalOptions::probe_interval`] for a hub that accepts connections but not the login.
const MOST_DOUBLINGS: u32 = 6;

/// Probes the local network while the relay is used. Once the hub is found, the session reconnects as soon as no call is under
/// way. Ends with the session.
pub(crate) async fn probe_local(
    serial: Serial,
    mut local: LocalOptions,
    path: watch::Receiver<PathState>,
    session: WeakRelaySession,
) {
    let mut status = session.watch_status();
    loop {
        let wait = local.probe_interval.saturating_mul(1 << path.borrow().failed_probes.min(MOST_DOUBLINGS));
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            _ = status.wait_for(|status| status.phase == Phase::Closed) => return,
        }
        let last = *path.borrow();
        if last.refused {
            return;
        }
        local.pin = local.pin.or(last.pin);
        let Some(session) = session.upgrade() else { return };
        // Without a connection, each attempt tries the local network anyway.
        if last.current == ConnectionPath::Relay && session.status().is_live() && local.connect(&serial).await.is_some()
        {
            tracing::info!(%serial, "the hub was found on the local network; reconnecting");
            session.reconnect().await;
        }
    }
}

/// Reconnects the session when the Identity of its relay connection was refreshed. Ends with the session.
pub(crate) async fn watch_identity_rotation(
    login: Authenticator,
    path: watch::Receiver<PathState>,
    session: WeakRelaySession,
) {
    let mut generation = login.generation();
    let mut status = session.watch_status();
    loop {
        let newest = *generation.borrow_and_update();
        let phase = status.borrow_and_update().phase;
        if phase == Phase::Closed {
            return;
        }
        let last = *path.borrow();
        // A connection that is being established is checked once it is live.
        if phase == Phase::Live && last.current == ConnectionPath::Relay && last.generation != newest {
            let Some(session) = session.upgrade() else { return };
            session.reconnect().await;
        }
        let more = tokio::select! {
            changed = generation.changed() => changed,
            changed = status.changed() => changed,
        };
        if more.is_err() {
            return;
        }
    }
}

/// The path of the current or last connection, and the results of the attempts on the local network.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct PathState {
    pub(crate) current: ConnectionPath,
    /// The pinned certificate of the hub.
    pin: Option<[u8; 32]>,
    /// The hub refused the local credentials. Another attempt would only interrupt a working relay connection.
    refused: bool,
    /// Consecutive local connections that failed before they were verified.
    failed_probes: u32,
    /// The generation of the Identity in use, as counted by the login.
    generation: u64,
}

/// Returns the constant state of a session that uses only the local network.
pub(crate) fn local_only() -> watch::Receiver<PathState> {
    watch::Sender::new(PathState { current: ConnectionPath::Local, ..PathState::default() }).subscribe()
}

/// A connector to a hub of an account, for [`RelaySession::connect_with`](ezlo_relay::RelaySession::connect_with).
///
/// Refreshes the Identity if the relay reports it as expired. Reads the address of the relay again after a failed attempt,
/// since it can change. [`Account::connect_with`](crate::Account::connect_with) uses it.
#[derive(Debug)]
pub struct AccountConnector {
    login: Authenticator,
    serial: Serial,
    local: Option<LocalOptions>,
    relay: Option<String>,
    used: Option<Arc<LoginSession>>,
    path: watch::Sender<PathState>,
    /// The certificate of the last connection over the local network.
    seen: Option<[u8; 32]>,
}

impl AccountConnector {
    /// Returns a connector that uses the relay only. No network traffic.
    pub fn new(login: Authenticator, serial: Serial) -> Self {
        Self { login, serial, local: None, relay: None, used: None, path: watch::Sender::default(), seen: None }
    }

    /// Prefers the local network and falls back to the relay.
    #[must_use]
    pub fn prefer_local(mut self, local: LocalOptions) -> Self {
        self.local = Some(local);
        self
    }

    pub(crate) fn taken(&self) -> watch::Receiver<PathState> {
        self.path.subscribe()
    }

    async fn connect_locally(&mut self) -> Option<Connection<WebSocket>> {
        let connection = self.local.as_mut()?.connect(&self.serial).await?;
        self.seen = connection.certificate;
        self.path.send_modify(|path| path.current = ConnectionPath::Local);
        Some(connection)
    }

    /// Records the result of the last connection over the local network.
    fn record_attempt(&mut self, attempt: &ConnectContext) {
        let seen = self.seen.take();
        if self.path.borrow().current != ConnectionPath::Local {
            return;
        }
        if !attempt.previous_unverified {
            // Trust on first use, proven by the login: later connections must present the same certificate.
            if let Some(local) = &mut self.local {
                local.pin = local.pin.or(seen);
                let pin = local.pin;
                self.path.send_modify(|path| {
                    path.pin = pin;
                    path.failed_probes = 0;
                });
            }
        } else if attempt.previous_refused {
            tracing::warn!(serial = %self.serial, "the hub refused the local credentials; fetch them again and reconnect");
            self.local = None;
            self.path.send_modify(|path| path.refused = true);
        } else {
            self.path.send_modify(|path| path.failed_probes = path.failed_probes.saturating_add(1));
        }
    }

    async fn session(&mut self, stale: bool) -> Result<Arc<LoginSession>, ConnectError> {
        let session = match self.used.as_ref().filter(|_| stale) {
            Some(used) => self.login.refresh_and_generation(used).await,
            None => self.login.session_and_generation().await,
        };
        let (session, generation) = session.map_err(|error| from_mms(&error))?;
        self.path.send_modify(|path| path.generation = generation);
        self.used = Some(Arc::clone(&session));
        Ok(session)
    }

    /// Returns true if the relay URL is encrypted, or if the cloud itself is used in clear text.
    fn may_use(&self, url: &str) -> bool {
        url.starts_with("wss://") || self.login.client().environment().is_clear_text()
    }

    async fn relay(&mut self, again: bool) -> Result<String, ConnectError> {
        if let Some(relay) = self.relay.clone().filter(|_| !again) {
            return Ok(relay);
        }
        let serial = &self.serial;
        let record = self.login.call(|client, session| async move { record_of(&client, &session, serial).await }).await;
        let record = match (record, &self.relay) {
            (Ok(record), _) => record,
            // The known address can still be valid.
            (Err(error), Some(known)) if !is_final(&error) => return Ok(known.clone()),
            (Err(error), _) => return Err(from_mms(&error)),
        };
        match record.relay() {
            Some(Relay::Nma(url)) if self.may_use(&url) => {
                self.relay = Some(url.clone());
                Ok(url)
            }
            Some(Relay::Nma(url)) => Err(ConnectError::Connector {
                text: format!("the relay {url} would receive the Identity in clear text"),
                permanent: true,
            }),
            _ => Err(ConnectError::Connector { text: format!("hub {serial} has no WebSocket relay"), permanent: true }),
        }
    }
}

/// Reads the record of a hub from the account server. If that server refuses, the device servers of the hub are asked.
pub(crate) async fn record_of(
    client: &MmsClient,
    session: &LoginSession,
    serial: &Serial,
) -> Result<HubRecord, MmsError> {
    let refusal = match client.hub(session, serial).await {
        Err(error) if matches!(error.kind(), ErrorKind::Refused(_)) => error,
        outcome => return outcome,
    };
    let entry = client.hubs(session).await?.into_iter().find(|entry| entry.serial.get() == serial);
    // A hub that is not in the list is not of this account: the refusal of the account server says so.
    let Some(entry) = entry else { return Err(refusal) };
    client.hub_at(session, &entry).await
}

/// Returns true if the login is permanently refused. An Identity that another call refused is not final: it can have expired in
/// transit.
fn is_final(error: &MmsError) -> bool {
    match error.kind() {
        ErrorKind::BadCredentials => true,
        ErrorKind::IdentityExpired => error.call() == "login",
        _ => false,
    }
}

/// Converts a cloud error. Permanent errors close the session: a refused login, or a hub that is not of this user (403) or
/// does not exist (404). Other refusals are not known to be permanent.
fn from_mms(error: &MmsError) -> ConnectError {
    let is_not_ours = matches!(error.kind(), ErrorKind::Refused(AnswerError::Status { status: 403 | 404, .. }));
    ConnectError::Connector { text: error.to_string(), permanent: is_final(error) || is_not_ours }
}

impl Connector for AccountConnector {
    type Transport = WebSocket;

    async fn connect(&mut self, attempt: &ConnectContext) -> Result<Connection<WebSocket>, ConnectError> {
        let was_local = self.path.borrow().current == ConnectionPath::Local;
        self.record_attempt(attempt);
        // A hub that accepted the connection but not the login is not tried locally in this attempt.
        let try_local = !(was_local && attempt.previous_unverified);
        if try_local && let Some(connection) = self.connect_locally().await {
            return Ok(connection);
        }
        self.path.send_modify(|path| path.current = ConnectionPath::Relay);
        // Expired credentials of a working local connection are the local key, not the Identity.
        let is_stale = attempt.credentials_expired && (!was_local || attempt.previous_unverified);
        let session = self.session(is_stale).await?;
        let url = self.relay(attempt.failures > 0).await?;
        let environment = self.login.client().environment();
        let mut endpoint = Endpoint::new(url).trust(Trust::PublicRootsAnd(environment.extra_roots().to_vec()));
        if let Some(address) = environment.override_address() {
            endpoint = endpoint.address(address);
        }
        endpoint.connect(HubCredentials::Relay { pair: session.pair().clone(), serial: self.serial.clone() }).await
    }
}
