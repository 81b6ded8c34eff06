//! A login that keeps itself good: one at a time, before it expires, again when the service says that it is dead.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ezlo_protocol::identity::IdentityPair;
use tokio::sync::{Mutex, watch};

use crate::client::{Credentials, LoginSession, MmsClient};
use crate::error::{Error, ErrorKind};
use crate::store::{StoreError, TokenStore};

/// How long before its end an identity is replaced, in seconds: longer than any call takes, and a clock may be a little off.
const MARGIN_SECONDS: i64 = 300;
/// A short-lived one is replaced when that part of its life is left.
const MARGIN_PART: i64 = 4;
/// How long an identity that is still good is used on when it could not be replaced, in seconds.
const RENEW_AGAIN_SECONDS: i64 = 20;

/// A user who stays logged in. Cheap to clone; clones share the login.
#[derive(Clone)]
pub struct Authenticator(Arc<Inner>);

struct Inner {
    client: MmsClient,
    username: String,
    credentials: Option<Credentials>,
    store: Option<Arc<dyn TokenStore>>,
    /// Held while somebody logs in, so that everybody else waits for that login instead of making one.
    state: Mutex<State>,
    generation: watch::Sender<u64>,
    /// Counts attempts to log in that are over: who waited while one failed gets its error, and does not try in turn.
    attempts: AtomicU64,
}

#[derive(Default)]
struct State {
    /// How the last attempt failed, if it did.
    failed: Option<Error>,
    current: Option<Arc<LoginSession>>,
    /// Bad credentials end it: they are never sent again.
    refused: bool,
    /// [`Login::log_out`] ends it too.
    logged_out: bool,
    store_was_read: bool,
    /// The service's clock minus ours, as the last login showed it: a machine whose clock is wrong by hours must not log in
    /// for every call.
    skew: i64,
    /// Not before this is an identity replaced that is still good: the service could not be reached when it was to be.
    renew_after: i64,
}

impl std::fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").field("username", &self.0.username).finish_non_exhaustive()
    }
}

impl Authenticator {
    /// With user name and password; nothing is sent yet.
    pub fn new(client: MmsClient, credentials: Credentials) -> Self {
        Self::build(client, credentials.username.clone(), Some(credentials), None, None)
    }

    /// With user name and password, and a store that is asked first and told of every new identity.
    pub fn with_store(client: MmsClient, credentials: Credentials, store: impl TokenStore) -> Self {
        Self::build(client, credentials.username.clone(), Some(credentials), Some(Arc::new(store)), None)
    }

    /// From a session that is there already. Without credentials it ends with its identity.
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

    /// The client underneath.
    pub fn client(&self) -> &MmsClient {
        &self.0.client
    }

    /// Counts identities: everything that was derived from an older one (session tokens, relay sessions) is no longer good.
    pub fn generation(&self) -> watch::Receiver<u64> {
        self.0.generation.subscribe()
    }

    /// A session that is good for some minutes at least; logs in when there is none. At most one login is under way, whoever
    /// asks. While the service cannot be reached, an identity that has not expired is used to its end.
    pub async fn session(&self) -> Result<Arc<LoginSession>, Error> {
        Ok(self.session_and_generation().await?.0)
    }

    /// The same, with its number as [`Login::generation`] counts.
    pub async fn session_and_generation(&self) -> Result<(Arc<LoginSession>, u64), Error> {
        let before = self.0.attempts.load(Ordering::Acquire);
        let mut state = self.0.state.lock().await;
        let session = self.valid_session(&mut state, before).await?;
        Ok((session, *self.0.generation.borrow()))
    }

    /// A session in place of one that the service no longer takes. When somebody has replaced it already, that one.
    pub async fn refresh(&self, stale: &LoginSession) -> Result<Arc<LoginSession>, Error> {
        Ok(self.refresh_and_generation(stale).await?.0)
    }

    /// The same, with its number as [`Login::generation`] counts.
    pub async fn refresh_and_generation(&self, stale: &LoginSession) -> Result<(Arc<LoginSession>, u64), Error> {
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

    /// Does something with a good session; when the service says that the identity is dead, once more with a new one.
    pub async fn call<T, F>(&self, call: impl Fn(MmsClient, Arc<LoginSession>) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let session = self.session().await?;
        match call(self.0.client.clone(), Arc::clone(&session)).await {
            Err(error) if matches!(error.kind(), ErrorKind::IdentityExpired) => {
                tracing::info!(call = error.call(), "the identity is not accepted any more; logging in again");
                let session = self.refresh(&session).await?;
                call(self.0.client.clone(), session).await
            }
            outcome => outcome,
        }
    }

    /// Forgets the identity, here and in the store, for good: every call from now on ends with [`ErrorKind::LogInAgain`], and
    /// sessions with hubs over the relay end.
    pub async fn log_out(&self) -> Result<(), StoreError> {
        let mut state = self.0.state.lock().await;
        state.current = None;
        state.logged_out = true;
        self.0.generation.send_modify(|generation| *generation += 1);
        let username = self.0.username.clone();
        self.stored(move |store| store.clear(&username)).await.unwrap_or(Ok(()))
    }

    /// Asks the store where it may take its time: a keyring may ask its user. `None` without one.
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

    /// Seconds until it expires, by the service's clock.
    fn time_left(&self, session: &LoginSession, state: &State) -> i64 {
        let now = self.0.client.clock().unix_seconds().saturating_add(state.skew);
        session.identity().expires.saturating_sub(now)
    }

    async fn valid_session(&self, state: &mut State, before: u64) -> Result<Arc<LoginSession>, Error> {
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
                tracing::warn!(%error, "cannot replace the identity yet; it is good for a moment more");
                state.renew_after = now.saturating_add(RENEW_AGAIN_SECONDS);
                Ok(session)
            }
            (outcome, _) => outcome,
        }
    }

    /// What the store has, asked once. A store that cannot be read is told of, and does not keep anybody out.
    async fn load_session(&self, state: &mut State) -> Option<LoginSession> {
        if state.logged_out || std::mem::replace(&mut state.store_was_read, true) {
            return None;
        }
        let username = self.0.username.clone();
        let kept: Option<IdentityPair> =
            self.stored(move |store| store.load(&username)).await?.unwrap_or_else(|error| {
                tracing::warn!(%error, "cannot read the kept login");
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

    /// An attempt that failed while this caller waited for its turn was made for this caller too.
    async fn log_in_unless_tried(&self, state: &mut State, before: u64) -> Result<Arc<LoginSession>, Error> {
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

    async fn log_in(&self, state: &mut State) -> Result<Arc<LoginSession>, Error> {
        let again = |kind| Error::new("login", "", kind);
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
            tracing::warn!(%error, "cannot keep the login");
        }
        Ok(self.adopt(state, session))
    }
}

/// Seconds before its end at which this identity is replaced.
fn margin(session: &LoginSession) -> i64 {
    let identity = session.identity();
    MARGIN_SECONDS.min(identity.expires.saturating_sub(identity.generated) / MARGIN_PART)
}
