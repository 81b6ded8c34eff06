//! A login that keeps itself good: one at a time, before it expires, again when the service says that it is dead.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ezlo_protocol::identity::IdentityPair;
use tokio::sync::{Mutex, watch};

use crate::client::{Credentials, MmsClient, Session};
use crate::error::{Error, ErrorKind};
use crate::store::{StoreError, TokenStore};

/// How long before its end an identity is replaced, in seconds: longer than any call takes, and a clock may be a little off.
const MARGIN_SECONDS: i64 = 300;

/// A user who stays logged in. Cheap to clone; clones share the login.
#[derive(Clone)]
pub struct Login(Arc<Inner>);

struct Inner {
    client: MmsClient,
    username: String,
    credentials: Option<Credentials>,
    store: Option<Box<dyn TokenStore>>,
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
    current: Option<Arc<Session>>,
    /// Bad credentials end it: they are never sent again.
    refused: bool,
    store_was_read: bool,
    /// The service's clock minus ours, as the last login showed it: a machine whose clock is wrong by hours must not log in
    /// for every call.
    skew: i64,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").field("username", &self.0.username).finish_non_exhaustive()
    }
}

impl Login {
    /// With user name and password; nothing is sent yet.
    pub fn new(client: MmsClient, credentials: Credentials) -> Self {
        Self::build(client, credentials.username.clone(), Some(credentials), None, None)
    }

    /// With user name and password, and a store that is asked first and told of every new identity.
    pub fn with_store(client: MmsClient, credentials: Credentials, store: impl TokenStore) -> Self {
        Self::build(client, credentials.username.clone(), Some(credentials), Some(Box::new(store)), None)
    }

    /// From a session that is there already. Without credentials it ends with its identity.
    pub fn from_session(client: MmsClient, session: Session, credentials: Option<Credentials>) -> Self {
        let username = session.identity().username.as_deref().unwrap_or_default().to_owned();
        Self::build(client, username, credentials, None, Some(Arc::new(session)))
    }

    fn build(
        client: MmsClient,
        username: String,
        credentials: Option<Credentials>,
        store: Option<Box<dyn TokenStore>>,
        current: Option<Arc<Session>>,
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
    /// asks.
    pub async fn session(&self) -> Result<Arc<Session>, Error> {
        let before = self.0.attempts.load(Ordering::Acquire);
        let mut state = self.0.state.lock().await;
        if let Some(session) = state.current.as_ref().filter(|session| self.is_good(session, &state)) {
            return Ok(Arc::clone(session));
        }
        if let Some(session) = self.kept(&mut state) {
            return Ok(self.adopt(&mut state, session));
        }
        self.log_in_unless_tried(&mut state, before).await
    }

    /// A session in place of one that the service no longer takes. When somebody has replaced it already, that one.
    pub async fn replace(&self, stale: &Session) -> Result<Arc<Session>, Error> {
        let before = self.0.attempts.load(Ordering::Acquire);
        let mut state = self.0.state.lock().await;
        match &state.current {
            Some(session) if session.pair() != stale.pair() && self.is_good(session, &state) => Ok(Arc::clone(session)),
            _ => self.log_in_unless_tried(&mut state, before).await,
        }
    }

    /// Does something with a good session; when the service says that the identity is dead, once more with a new one.
    pub async fn with<T, F>(&self, call: impl Fn(MmsClient, Arc<Session>) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let session = self.session().await?;
        match call(self.0.client.clone(), Arc::clone(&session)).await {
            Err(error) if matches!(error.kind(), ErrorKind::LogInAgain) => {
                tracing::info!(call = error.call(), "the identity is not accepted any more; logging in again");
                let session = self.replace(&session).await?;
                call(self.0.client.clone(), session).await
            }
            outcome => outcome,
        }
    }

    /// Forgets the identity, here and in the store.
    pub async fn log_out(&self) -> Result<(), StoreError> {
        let mut state = self.0.state.lock().await;
        state.current = None;
        self.0.generation.send_modify(|generation| *generation += 1);
        self.0.store.as_ref().map_or(Ok(()), |store| store.clear(&self.0.username))
    }

    fn is_good(&self, session: &Session, state: &State) -> bool {
        let now = self.0.client.clock().unix_seconds().saturating_add(state.skew);
        session.identity().expires > now.saturating_add(MARGIN_SECONDS)
    }

    /// What the store has, asked once. A store that cannot be read is told of, and does not keep anybody out.
    fn kept(&self, state: &mut State) -> Option<Session> {
        if std::mem::replace(&mut state.store_was_read, true) {
            return None;
        }
        let store = self.0.store.as_ref()?;
        let kept: Option<IdentityPair> = store.load(&self.0.username).unwrap_or_else(|error| {
            tracing::warn!(%error, "cannot read the kept login");
            None
        });
        Session::from_pair(kept?).ok().filter(|session| self.is_good(session, state))
    }

    fn adopt(&self, state: &mut State, session: Session) -> Arc<Session> {
        let session = Arc::new(session);
        state.current = Some(Arc::clone(&session));
        self.0.generation.send_modify(|generation| *generation += 1);
        session
    }

    /// An attempt that failed while this caller waited for its turn was made for this caller too.
    async fn log_in_unless_tried(&self, state: &mut State, before: u64) -> Result<Arc<Session>, Error> {
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

    async fn log_in(&self, state: &mut State) -> Result<Arc<Session>, Error> {
        let again = |kind| Error::new("login", "", kind);
        let Some(credentials) = self.0.credentials.as_ref() else { return Err(again(ErrorKind::LogInAgain)) };
        if state.refused {
            return Err(again(ErrorKind::BadCredentials));
        }
        let session = self.0.client.log_in(credentials).await.inspect_err(|error| {
            state.refused = matches!(error.kind(), ErrorKind::BadCredentials);
        })?;
        state.skew = session.identity().generated.saturating_sub(self.0.client.clock().unix_seconds());
        if let Some(store) = &self.0.store
            && let Err(error) = store.save(&self.0.username, session.pair())
        {
            tracing::warn!(%error, "cannot keep the login");
        }
        Ok(self.adopt(state, session))
    }
}
