//! The login that refreshes itself: before the Identity expires, and after the service has rejected it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ezlo_protocol::identity::IdentityPair;
use tokio::sync::{Mutex, watch};

use crate::client::MmsClient;
use crate::error::{ErrorKind, MmsError};
use crate::login_session::{Credentials, LoginSession};
use crate::store::{StoreError, TokenStore};

/// Remaining lifetime at which an Identity is refreshed, in seconds. Longer than any call, with room for clock drift.
const MARGIN_SECONDS: i64 = 300;
/// Divisor of the lifetime: an Identity that is valid for less than 20 minutes is refreshed when a quarter is left.
const MARGIN_PART: i64 = 4;
/// Wait after a failed refresh of an Identity that has not expired, in seconds.
const RENEW_AGAIN_SECONDS: i64 = 20;

/// A login that refreshes itself and is shared by all callers.
///
/// Cheap to clone; clones share the login. Use [`call`](Self::call) for calls with the session.
///
/// - At most one login is under way for an authenticator and its clones. Concurrent callers wait and share its outcome.
/// - The Identity is refreshed when 300 s of its lifetime are left, or a quarter of it if that is less.
/// - After a failed refresh, an Identity that has not expired is used, and the refresh is repeated after 20 s at the earliest.
/// - Bad credentials are sent once.
/// - Clock skew is compensated. The skew is the issue time of the Identity minus the local time at the last login, 0 s
///   before the first one.
/// - The token store is read once, before the first login, and written after each login. Its errors are logged as warnings.
///
/// ```no_run
/// use ezlo_mms::{Authenticator, Credentials, Environment, FileStore, MmsClient};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let client = MmsClient::new(Environment::vendor())?;
/// let store = FileStore::new("ezlo-tokens.json");
/// let authenticator = Authenticator::with_store(client, Credentials::new("user", "password"), store);
/// let hubs = authenticator.call(|client, session| async move { client.hubs(&session).await }).await?;
/// println!("{} hubs", hubs.len());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Authenticator(Arc<Inner>);

struct Inner {
    client: MmsClient,
    username: String,
    credentials: Option<Credentials>,
    store: Option<Arc<dyn TokenStore>>,
    /// Held during a login, so that concurrent callers wait for it instead of starting their own.
    state: Mutex<State>,
    generation: watch::Sender<u64>,
    /// Number of completed login attempts. Callers that waited during a failed attempt get its error and do not retry.
    attempts: AtomicU64,
}

#[derive(Default)]
struct State {
    /// Error of the last login attempt, if it failed.
    failed: Option<MmsError>,
    current: Option<Arc<LoginSession>>,
    /// Set when the credentials were refused; they are never sent again.
    refused: bool,
    /// Set by [`Authenticator::log_out`].
    logged_out: bool,
    store_was_read: bool,
    /// Service clock minus local clock at the last login, in seconds. Without it, a machine whose clock is far ahead would
    /// log in for every call.
    skew: i64,
    /// Earliest time (Unix s) for the next refresh attempt after a failed one.
    renew_after: i64,
}

impl std::fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authenticator").field("username", &self.0.username).finish_non_exhaustive()
    }
}

impl Authenticator {
    /// Creates an authenticator without a token store. No network traffic; the first use logs in.
    pub fn new(client: MmsClient, credentials: Credentials) -> Self {
        Self::build(client, credentials.username.clone(), Some(credentials), None, None)
    }

    /// Creates an authenticator with a token store. No network traffic, and the store is not read yet.
    ///
    /// The first use reads the store. A stored Identity is used if its remaining lifetime exceeds the refresh margin.
    pub fn with_store(client: MmsClient, credentials: Credentials, store: impl TokenStore) -> Self {
        Self::build(client, credentials.username.clone(), Some(credentials), Some(Arc::new(store)), None)
    }

    /// Creates an authenticator from an existing session. No network traffic.
    ///
    /// Without credentials it cannot refresh: calls fail as soon as the refresh margin of the Identity is reached.
    pub fn from_session(client: MmsClient, session: LoginSession, credentials: Option<Credentials>) -> Self {
        let username = session.identity().username.as_deref().unwrap_or_default().to_owned();
        Self::build(client, username, credentials, None, Some(Arc::new(session)))
    }

    fn build(
        client: MmsClient,
        username: String,
        credentials: Option<Credentials>,
        store: Option<Arc<dyn TokenStore>>,
        current: Option<Arc<LoginSession>>,
    ) -> Self {
        let state = Mutex::new(State { current, ..State::default() });
        let generation = watch::Sender::new(0);
        let attempts = AtomicU64::new(0);
        Self(Arc::new(Inner { client, username, credentials, store, state, generation, attempts }))
    }

    /// Returns the client that sends the calls.
    pub fn client(&self) -> &MmsClient {
        &self.0.client
    }

    /// Returns a receiver of the generation, which starts at 0 and increases with each new Identity and with each logout.
    ///
    /// Session tokens and relay sessions that were derived from an earlier generation are no longer valid.
    pub fn generation(&self) -> watch::Receiver<u64> {
        self.0.generation.subscribe()
    }

    /// Returns the current session and refreshes it first if necessary.
    ///
    /// No network traffic while the Identity is valid beyond the refresh margin. Otherwise sends one login.
    /// After a transient error of the login, a session that has not expired is returned.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::BadCredentials`] if a login was refused. This is permanent: the credentials are never sent again.
    /// - [`ErrorKind::IdentityExpired`] after [`log_out`](Self::log_out), or if a login is needed and credentials are missing.
    /// - Otherwise the error of [`MmsClient::log_in`].
    ///
    /// # Panics
    ///
    /// Propagates a panic of the token store.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, a login under way is abandoned, and the next caller starts again.
    pub async fn session(&self) -> Result<Arc<LoginSession>, MmsError> {
        Ok(self.session_and_generation().await?.0)
    }

    /// Returns the current session and its [generation](Self::generation). Otherwise the same as [`session`](Self::session).
    ///
    /// # Errors
    ///
    /// The errors of [`session`](Self::session).
    ///
    /// # Panics
    ///
    /// Propagates a panic of the token store.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, a login under way is abandoned, and the next caller starts again.
    pub async fn session_and_generation(&self) -> Result<(Arc<LoginSession>, u64), MmsError> {
        let before = self.0.attempts.load(Ordering::Acquire);
        let mut state = self.0.state.lock().await;
        let session = self.valid_session(&mut state, before).await?;
        Ok((session, *self.0.generation.borrow()))
    }

    /// Returns a session that replaces `stale`, which the service has rejected.
    ///
    /// If another caller has replaced it already, the current session is returned without network traffic.
    /// Otherwise sends one login.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::BadCredentials`] if a login was refused. This is permanent: the credentials are never sent again.
    /// - [`ErrorKind::IdentityExpired`] after [`log_out`](Self::log_out), or if a login is needed and credentials are missing.
    /// - Otherwise the error of [`MmsClient::log_in`].
    ///
    /// # Panics
    ///
    /// Propagates a panic of the token store.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, a login under way is abandoned, and the next caller starts again.
    pub async fn refresh(&self, stale: &LoginSession) -> Result<Arc<LoginSession>, MmsError> {
        Ok(self.refresh_and_generation(stale).await?.0)
    }

    /// Returns a session that replaces `stale`, and its [generation](Self::generation). Otherwise the same as
    /// [`refresh`](Self::refresh).
    ///
    /// # Errors
    ///
    /// The errors of [`refresh`](Self::refresh).
    ///
    /// # Panics
    ///
    /// Propagates a panic of the token store.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, a login under way is abandoned, and the next caller starts again.
    pub async fn refresh_and_generation(&self, stale: &LoginSession) -> Result<(Arc<LoginSession>, u64), MmsError> {
        let before = self.0.attempts.load(Ordering::Acquire);
        let mut state = self.0.state.lock().await;
        let session = match &state.current {
            Some(session) if session.pair() != stale.pair() && self.time_left(session, &state) > margin(session) => {
                Arc::clone(session)
            }
            _ => self.log_in_unless_tried(&mut state, before).await?,
        };
        Ok((session, *self.0.generation.borrow()))
    }

    /// Runs `call` with the current session. If the service rejects the Identity, refreshes it and runs `call` once more.
    ///
    /// Sends a login if necessary, and what `call` sends.
    ///
    /// # Errors
    ///
    /// The errors of [`session`](Self::session), and the error of `call`. [`ErrorKind::IdentityExpired`] if the service also
    /// rejects the new Identity.
    ///
    /// # Panics
    ///
    /// Propagates a panic of the token store.
    ///
    /// # Cancel safety
    ///
    /// As cancel safe as `call`. A login under way is abandoned.
    pub async fn call<T, F>(&self, call: impl Fn(MmsClient, Arc<LoginSession>) -> F) -> Result<T, MmsError>
    where
        F: Future<Output = Result<T, MmsError>>,
    {
        let session = self.session().await?;
        match call(self.0.client.clone(), Arc::clone(&session)).await {
            Err(error) if matches!(error.kind(), ErrorKind::IdentityExpired) => {
                tracing::info!(call = error.call(), "the Identity was rejected; logging in again");
                let session = self.refresh(&session).await?;
                call(self.0.client.clone(), session).await
            }
            outcome => outcome,
        }
    }

    /// Discards the Identity permanently, in memory and in the token store, and increases the [generation](Self::generation).
    ///
    /// Later uses fail with [`ErrorKind::IdentityExpired`]. No network traffic: the service is not informed.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the token store cannot be changed. The logout is effective in memory.
    ///
    /// # Panics
    ///
    /// Propagates a panic of the token store.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it has the lock, nothing has changed. Later the logout is effective, and the store is
    /// changed in the background.
    pub async fn log_out(&self) -> Result<(), StoreError> {
        let mut state = self.0.state.lock().await;
        state.current = None;
        state.logged_out = true;
        self.0.generation.send_modify(|generation| *generation += 1);
        let username = self.0.username.clone();
        self.stored(move |store| store.clear(&username)).await.unwrap_or(Ok(()))
    }

    /// Accesses the store on a blocking thread, because a keyring may prompt its user. `None` without a store.
    async fn stored<T: Send + 'static>(&self, ask: impl FnOnce(&dyn TokenStore) -> T + Send + 'static) -> Option<T> {
        let store = Arc::clone(self.0.store.as_ref()?);
        match tokio::task::spawn_blocking(move || ask(&*store)).await {
            Ok(said) => Some(said),
            Err(stopped) => match stopped.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => None,
            },
        }
    }

    /// Returns the remaining lifetime in seconds, by the clock of the service.
    fn time_left(&self, session: &LoginSession, state: &State) -> i64 {
        let now = self.0.client.clock().unix_seconds().saturating_add(state.skew);
        session.identity().expires.saturating_sub(now)
    }

    async fn valid_session(&self, state: &mut State, before: u64) -> Result<Arc<LoginSession>, MmsError> {
        let now = self.0.client.clock().unix_seconds();
        let usable = state.current.clone().filter(|session| self.time_left(session, state) > 0);
        if let Some(session) = &usable
            && (self.time_left(session, state) > margin(session) || now < state.renew_after)
        {
            return Ok(Arc::clone(session));
        }
        if let Some(session) = self.load_session(state).await {
            return Ok(self.adopt(state, session));
        }
        match (self.log_in_unless_tried(state, before).await, usable) {
            (Err(error), Some(session)) if error.is_transient() => {
                tracing::warn!(%error, "cannot refresh the Identity; using it until it expires");
                state.renew_after = now.saturating_add(RENEW_AGAIN_SECONDS);
                Ok(session)
            }
            (outcome, _) => outcome,
        }
    }

    /// Reads the store, once. An unreadable store is logged and does not prevent the login.
    async fn load_session(&self, state: &mut State) -> Option<LoginSession> {
        if state.logged_out || std::mem::replace(&mut state.store_was_read, true) {
            return None;
        }
        let username = self.0.username.clone();
        let kept: Option<IdentityPair> =
            self.stored(move |store| store.load(&username)).await?.unwrap_or_else(|error| {
                tracing::warn!(%error, "cannot read the token store");
                None
            });
        LoginSession::from_pair(kept?).ok().filter(|session| self.time_left(session, state) > margin(session))
    }

    fn adopt(&self, state: &mut State, session: LoginSession) -> Arc<LoginSession> {
        let session = Arc::new(session);
        state.current = Some(Arc::clone(&session));
        self.0.generation.send_modify(|generation| *generation += 1);
        session
    }

    /// Logs in, unless an attempt failed while this caller waited for the lock; then returns the error of that attempt.
    async fn log_in_unless_tried(&self, state: &mut State, before: u64) -> Result<Arc<LoginSession>, MmsError> {
        match &state.failed {
            Some(error) if self.0.attempts.load(Ordering::Acquire) != before => Err(error.clone()),
            _ => {
                let outcome = self.log_in(state).await;
                state.failed = outcome.as_ref().err().cloned();
                self.0.attempts.fetch_add(1, Ordering::AcqRel);
                outcome
            }
        }
    }

    async fn log_in(&self, state: &mut State) -> Result<Arc<LoginSession>, MmsError> {
        let again = |kind| MmsError::new("login", "", kind);
        let credentials = self.0.credentials.as_ref().filter(|_| !state.logged_out);
        let credentials = credentials.ok_or_else(|| again(ErrorKind::IdentityExpired))?;
        if state.refused {
            return Err(again(ErrorKind::BadCredentials));
        }
        let session = self.0.client.log_in(credentials).await.inspect_err(|error| {
            state.refused = matches!(error.kind(), ErrorKind::BadCredentials);
        })?;
        state.skew = session.identity().generated.saturating_sub(self.0.client.clock().unix_seconds());
        let (username, pair) = (self.0.username.clone(), session.pair().clone());
        if let Some(Err(error)) = self.stored(move |store| store.save(&username, &pair)).await {
            tracing::warn!(%error, "cannot write the token store");
        }
        Ok(self.adopt(state, session))
    }
}

/// Returns the remaining lifetime at which an Identity is refreshed, in seconds.
fn margin(session: &LoginSession) -> i64 {
    let identity = session.identity();
    MARGIN_SECONDS.min(identity.expires.saturating_sub(identity.generated) / MARGIN_PART)
}
