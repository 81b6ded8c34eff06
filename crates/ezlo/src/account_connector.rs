//! The way to a hub of an account: the local network where it is preferred and there, else the relay that the cloud names.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ezlo_mms::{Authenticator as MmsLogin, ErrorKind, LoginSession as MmsSession};
use ezlo_protocol::cloud::call::AnswerError;
use ezlo_protocol::cloud::hub_record::Relay;
use ezlo_protocol::cloud::keys::LocalCredentials;
use ezlo_protocol::serial::Serial;
use ezlo_relay::{
    ConnectContext, ConnectError, Connection, Connector, Endpoint, HubCredentials, ModernTls, Phase, TlsConnector,
    Trust, WeakRelaySession, WebSocket,
};
use tokio::sync::watch;

/// How long the local network may take before the relay is taken.
const LOCAL_TIME: Duration = Duration::from_secs(4);

/// How often a hub that is used over the relay is looked for on the local network.
const LOOK_TIME: Duration = Duration::from_secs(60);

/// Which way a link goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ConnectionPath {
    /// Through the vendor's relay.
    #[default]
    Relay,
    /// Straight, on the local network.
    Local,
}

/// Where a hub is on the local network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LocalAddress {
    /// At this address: its WebSocket port (17000 on a real hub).
    Fixed(SocketAddr),
    /// Where it announces itself, each time anew.
    #[cfg(feature = "discovery")]
    Discovered,
}

/// A hub on the local network.
#[derive(Debug, Clone)]
pub struct LocalOptions {
    /// Where it is.
    pub address: LocalAddress,
    /// What it wants to hear.
    pub credentials: LocalCredentials,
    /// SHA-256 of its certificate, as seen before; the first one that carries its serial is taken when absent.
    pub pin: Option<[u8; 32]>,
    /// How often it is looked for while the link goes over the relay.
    pub probe_interval: Duration,
    /// What speaks TLS with it: `LegacyTls` (feature `legacy-tls`) for hubs that accept nothing newer.
    pub tls: Arc<dyn TlsConnector>,
}

impl LocalOptions {
    /// There, with these credentials; looked for every minute while the link goes over the relay.
    pub fn new(address: LocalAddress, credentials: LocalCredentials) -> Self {
        Self { address, credentials, pin: None, probe_interval: LOOK_TIME, tls: Arc::new(ModernTls) }
    }

    #[cfg_attr(
        not(feature = "discovery"),
        expect(unused_variables, clippy::unused_async, reason = "only a search needs both")
    )]
    async fn address(&self, serial: &Serial) -> Option<SocketAddr> {
        match self.address {
            LocalAddress::Fixed(address) => Some(address),
            #[cfg(feature = "discovery")]
            LocalAddress::Discovered => match ezlo_relay::find(serial, LOCAL_TIME).await {
                Ok(found) => Some(found.address),
                Err(error) => {
                    tracing::debug!(%error, %serial, "the hub does not announce itself");
                    None
                }
            },
        }
    }

    /// Connects and checks the certificate; nothing of the credentials is said.
    async fn connect(&self, serial: &Serial) -> Option<Connection<WebSocket>> {
        let arriving = async {
            let address = self.address(serial).await?;
            let trust = Trust::Hub { serial: serial.clone(), pin: self.pin };
            let endpoint = Endpoint::new(format!("wss://{address}")).trust(trust).tls(Arc::clone(&self.tls));
            match endpoint.connect(HubCredentials::Local(self.credentials.clone())).await {
                Ok(arrival) => Some(Connection { has_alternative: true, ..arrival }),
                Err(error) => {
                    tracing::debug!(%error, %serial, "the hub is not on the local network");
                    None
                }
            }
        };
        tokio::time::timeout(LOCAL_TIME, arriving).await.ok().flatten()
    }
}

/// The most times that [`LocalWay::look_every`] is doubled for a hub that takes connections and lets nobody in.
const MOST_DOUBLINGS: u32 = 6;

/// Looks for the hub on the local network while the link goes over the relay, and has the session go there once it is found
/// and no call is under way. Ends with the session.
pub(crate) async fn probe_local(
    serial: Serial,
    mut local: LocalOptions,
    way: watch::Receiver<PathState>,
    session: WeakRelaySession,
) {
    let mut status = session.watch_status();
    loop {
        let wait = local.probe_interval.saturating_mul(1 << way.borrow().failed_probes.min(MOST_DOUBLINGS));
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            _ = status.wait_for(|status| status.phase == Phase::Closed) => return,
        }
        let taken = *way.borrow();
        if taken.refused {
            return;
        }
        local.pin = local.pin.or(taken.pin);
        let Some(session) = session.upgrade() else { return };
        // A session without a link looks for the hub anyway, at each attempt.
        if taken.way == ConnectionPath::Relay && session.status().is_live() && local.connect(&serial).await.is_some() {
            tracing::info!(%serial, "the hub is on the local network again");
            session.reconnect().await;
        }
    }
}

/// Has the session make a new link when the identity that its link was made with was replaced. Ends with the session.
pub(crate) async fn watch_identity_rotation(
    login: MmsLogin,
    way: watch::Receiver<PathState>,
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
        let taken = *way.borrow();
        // A link that is being made is looked at once it is there.
        if phase == Phase::Live && taken.way == ConnectionPath::Relay && taken.generation != newest {
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

/// The way that was taken last, and the certificate that was seen on the local network.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct PathState {
    pub(crate) way: ConnectionPath,
    pin: Option<[u8; 32]>,
    /// The hub does not take the local credentials: asking again would only break a link that works.
    refused: bool,
    /// Connections on the local network in a row that came to nothing.
    failed_probes: u32,
    /// Which identity was used, by the login's count.
    generation: u64,
}

/// A link that only ever goes over the local network.
pub(crate) fn relay_only() -> watch::Receiver<PathState> {
    watch::Sender::new(PathState { way: ConnectionPath::Local, ..PathState::default() }).subscribe()
}

/// The way to a hub of an account. Credentials are refreshed when the relay says that they are stale, and the relay is looked
/// up again after a failure, since it may have moved.
#[derive(Debug)]
pub struct AccountConnector {
    login: MmsLogin,
    serial: Serial,
    local: Option<LocalOptions>,
    relay: Option<String>,
    used: Option<Arc<MmsSession>>,
    taken: watch::Sender<PathState>,
    /// The certificate of the last connection on the local network.
    seen: Option<[u8; 32]>,
}

impl AccountConnector {
    /// Over the relay.
    pub fn new(login: MmsLogin, serial: Serial) -> Self {
        Self { login, serial, local: None, relay: None, used: None, taken: watch::Sender::default(), seen: None }
    }

    /// Over the local network while the hub is there, over the relay while it is not.
    #[must_use]
    pub fn prefer_local(mut self, local: LocalOptions) -> Self {
        self.local = Some(local);
        self
    }

    pub(crate) fn taken(&self) -> watch::Receiver<PathState> {
        self.taken.subscribe()
    }

    async fn connect_locally(&mut self) -> Option<Connection<WebSocket>> {
        let arrival = self.local.as_mut()?.connect(&self.serial).await?;
        self.seen = arrival.certificate;
        self.taken.send_modify(|taken| taken.way = ConnectionPath::Local);
        Some(arrival)
    }

    /// What the last connection on the local network has taught.
    fn record_attempt(&mut self, attempt: &ConnectContext) {
        let seen = self.seen.take();
        if self.taken.borrow().way != ConnectionPath::Local {
            return;
        }
        if !attempt.previous_unverified {
            // Pinned by first use that was proven by a login: from now on it must be this very certificate.
            if let Some(local) = &mut self.local {
                local.pin = local.pin.or(seen);
                let pin = local.pin;
                self.taken.send_modify(|taken| {
                    taken.pin = pin;
                    taken.failed_probes = 0;
                });
            }
        } else if attempt.previous_refused {
            tracing::warn!(serial = %self.serial, "the hub does not take the local credentials; fetch them anew");
            self.local = None;
            self.taken.send_modify(|taken| taken.refused = true);
        } else {
            self.taken.send_modify(|taken| taken.failed_probes = taken.failed_probes.saturating_add(1));
        }
    }

    async fn session(&mut self, stale: bool) -> Result<Arc<MmsSession>, ConnectError> {
        let session = match self.used.as_ref().filter(|_| stale) {
            Some(used) => self.login.refresh_and_generation(used).await,
            None => self.login.session_and_generation().await,
        };
        let (session, generation) = session.map_err(|error| from_mms(&error))?;
        self.taken.send_modify(|taken| taken.generation = generation);
        self.used = Some(Arc::clone(&session));
        Ok(session)
    }

    /// Clear text is for a cloud that is spoken to in clear anyway.
    fn may_use(&self, url: &str) -> bool {
        url.starts_with("wss://") || self.login.client().environment().is_clear_text()
    }

    async fn relay(&mut self, again: bool) -> Result<String, ConnectError> {
        if let Some(relay) = self.relay.clone().filter(|_| !again) {
            return Ok(relay);
        }
        let serial = &self.serial;
        let record = self.login.call(|client, session| async move { client.hub(&session, serial).await }).await;
        let record = match (record, &self.relay) {
            (Ok(record), _) => record,
            // The relay may well be where it was.
            (Err(error), Some(known)) if !is_final(&error) => return Ok(known.clone()),
            (Err(error), _) => return Err(from_mms(&error)),
        };
        match record.relay() {
            Some(Relay::Nma(url)) if self.may_use(&url) => {
                self.relay = Some(url.clone());
                Ok(url)
            }
            Some(Relay::Nma(url)) => Err(ConnectError::Connector {
                text: format!("{url} would send the identity in clear"),
                permanent: true,
            }),
            _ => Err(ConnectError::Connector {
                text: format!("hub {serial} has no relay of this kind"),
                permanent: true,
            }),
        }
    }
}

/// Nobody gets in with this login any more. An identity that is refused while logins go through is not that: it may have
/// become too old on its way.
fn is_final(error: &ezlo_mms::Error) -> bool {
    match error.kind() {
        ErrorKind::BadCredentials => true,
        ErrorKind::IdentityExpired => error.call() == "login",
        _ => false,
    }
}

/// What cannot pass ends the session: no login, or a hub that is not this user's (403) or nobody's (404). Other refusals are
/// not known to last.
fn from_mms(error: &ezlo_mms::Error) -> ConnectError {
    let is_not_ours = matches!(error.kind(), ErrorKind::Refused(AnswerError::Status { status: 403 | 404, .. }));
    ConnectError::Connector { text: error.to_string(), permanent: is_final(error) || is_not_ours }
}

impl Connector for AccountConnector {
    type Transport = WebSocket;

    async fn connect(&mut self, attempt: &ConnectContext) -> Result<Connection<WebSocket>, ConnectError> {
        let was_local = self.taken.borrow().way == ConnectionPath::Local;
        self.record_attempt(attempt);
        // A hub that takes connections and nothing else is left alone for this time.
        let try_local = !(was_local && attempt.previous_unverified);
        if try_local && let Some(arrival) = self.connect_locally().await {
            return Ok(arrival);
        }
        self.taken.send_modify(|taken| taken.way = ConnectionPath::Relay);
        // What a local link that worked called stale says nothing of the identity.
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
