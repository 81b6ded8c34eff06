//! The account of a user in the cloud: login, users, hubs, and connections to its hubs.

use std::net::SocketAddr;
use std::sync::Arc;

use ezlo_mms::{Authenticator, Credentials, Environment, MmsClient, NewAccount, RetryPolicy, TokenStore};
use ezlo_protocol::cloud::account::{AccountRecord, HubListEntry, UserRecord};
use ezlo_protocol::cloud::hub_record::{HubRecord, Relay};
use ezlo_protocol::cloud::keys::LocalCredentials;
use ezlo_protocol::mac::MacAddress;
use ezlo_protocol::serial::Serial;
use ezlo_relay::{Endpoint, HubCredentials as HubLogin, SessionConfig, Trust};

use crate::account_connector::{self, AccountConnector, LocalOptions, record_of};
use crate::error::Error;
use crate::hub::Hub;

/// A logged-in user of the account cloud. Cheap to clone; clones share the login.
///
/// The Identity is refreshed 300 s before it expires, or in the last quarter of its lifetime if that is shorter. It is also
/// refreshed once when the service refuses it. At most one login is under way at a time; concurrent callers share its result.
/// Wrong credentials are never sent again.
///
/// The methods that send cloud calls have these defaults: 30 s for each attempt (token exchange: 60 s), and 3 attempts in total
/// after transient errors ([`RetryPolicy`]). Results are not cached. They fail with [`Error::Cloud`], also if a login that they
/// need fails; [`ezlo_mms::MmsError::kind`] is the cause.
///
/// ```no_run
/// use ezlo::prelude::*;
///
/// # async fn example() -> Result<(), Error> {
/// let credentials = Credentials::new("user", "password");
/// let account = Account::log_in(Environment::vendor(), &credentials).await?;
/// for entry in account.hubs().await? {
///     let serial = entry.serial.get();
///     let online = account.hub_record(serial).await?.is_online();
///     println!("{serial}: online: {online:?}");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Account {
    login: Authenticator,
}

/// The options of a login. Made by [`Account::builder`].
///
/// ```no_run
/// use ezlo::FileStore;
/// use ezlo::prelude::*;
///
/// # async fn example() -> Result<(), Error> {
/// let account = Account::builder(Credentials::new("user", "password"))
///     .store(FileStore::new("/var/lib/my-app/ezlo-tokens.json"))
///     .log_in_or_resume()
///     .await?;
/// # drop(account);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "call log_in()"]
pub struct AccountBuilder<S = NoStore> {
    environment: Environment,
    credentials: Credentials,
    retry: RetryPolicy,
    clock: Option<Box<dyn Clocked>>,
    store: S,
}

/// No token store: the login is not persisted. The default of [`AccountBuilder`].
#[derive(Debug, Clone, Copy, Default)]
pub struct NoStore;

/// A clock behind a trait object, so that the builder needs no type parameter for it.
trait Clocked: std::fmt::Debug + Send {
    fn put(self: Box<Self>, client: MmsClient) -> MmsClient;
}

struct ClockIn<C>(C);

impl<C> std::fmt::Debug for ClockIn<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clock")
    }
}

impl<C: ezlo_mms::Clock> Clocked for ClockIn<C> {
    fn put(self: Box<Self>, client: MmsClient) -> MmsClient {
        client.with_clock(self.0)
    }
}

impl<S> AccountBuilder<S> {
    /// Sets the servers of the cloud (default: the vendor's).
    pub fn environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    /// Sets the retry policy of cloud calls (default: 3 attempts, 300 ms to 10 s apart).
    pub const fn retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// Sets the clock that decides when an Identity expires (default: the clock of the machine).
    pub fn clock(mut self, clock: impl ezlo_mms::Clock) -> Self {
        self.clock = Some(Box::new(ClockIn(clock)));
        self
    }

    /// Sets the store that persists the login between runs (default: none).
    ///
    /// Finish with [`AccountBuilder::log_in_or_resume`].
    pub fn store<T: TokenStore>(self, store: T) -> AccountBuilder<T> {
        let Self { environment, credentials, retry, clock, .. } = self;
        AccountBuilder { environment, credentials, retry, clock, store }
    }

    fn client(
        environment: Environment,
        retry: RetryPolicy,
        clock: Option<Box<dyn Clocked>>,
    ) -> Result<MmsClient, Error> {
        let client = MmsClient::new(environment)?.with_retry(retry);
        Ok(match clock {
            Some(clock) => clock.put(client),
            None => client,
        })
    }
}

impl AccountBuilder<NoStore> {
    /// Logs in.
    ///
    /// Sends one `login` call.
    ///
    /// # Errors
    ///
    /// - [`Error::Environment`] if the environment has an unusable proxy or certificate.
    /// - [`Error::Cloud`] if the credentials are wrong or the service cannot be reached.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the Identity of a login that is under way is discarded.
    pub async fn log_in(self) -> Result<Account, Error> {
        let client = Self::client(self.environment, self.retry, self.clock)?;
        Account::ready(Authenticator::new(client, self.credentials)).await
    }
}

impl<S: TokenStore> AccountBuilder<S> {
    /// Resumes the stored login, or logs in and stores the new one.
    ///
    /// Sends one `login` call if the store has no usable Identity, otherwise none. A store that cannot be read or written is
    /// logged as a warning and does not prevent the login.
    ///
    /// # Errors
    ///
    /// - [`Error::Environment`] if the environment has an unusable proxy or certificate.
    /// - [`Error::Cloud`] if the credentials are wrong or the service cannot be reached.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the Identity of a login that is under way may be stored or discarded.
    pub async fn log_in_or_resume(self) -> Result<Account, Error> {
        let client = Self::client(self.environment, self.retry, self.clock)?;
        Account::ready(Authenticator::with_store(client, self.credentials, self.store)).await
    }
}

impl Account {
    /// Returns a builder with the default options. No network traffic.
    ///
    /// [`Account::log_in`] is the short form without a store.
    pub fn builder(credentials: Credentials) -> AccountBuilder {
        AccountBuilder {
            environment: Environment::default(),
            credentials,
            retry: RetryPolicy::default(),
            clock: None,
            store: NoStore,
        }
    }

    async fn ready(login: Authenticator) -> Result<Self, Error> {
        login.session().await?;
        Ok(Self { login })
    }

    /// Logs in with a user name and a password.
    ///
    /// Sends one `login` call.
    ///
    /// # Errors
    ///
    /// - [`Error::Environment`] if the environment has an unusable proxy or certificate.
    /// - [`Error::Cloud`] if the credentials are wrong or the service cannot be reached.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the Identity of a login that is under way is discarded.
    pub async fn log_in(environment: Environment, credentials: &Credentials) -> Result<Self, Error> {
        Self::builder(credentials.clone()).environment(environment).log_in().await
    }

    /// Creates an account with its first user, who is logged in by the same call.
    ///
    /// Sends one `create_account` call. It is repeated only if it cannot have reached the server. The password is sent as a
    /// query parameter of the URL (vendor).
    ///
    /// # Errors
    ///
    /// - [`Error::Environment`] if the environment has an unusable proxy or certificate.
    /// - [`Error::Cloud`] if the service refuses the account or cannot be reached.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: the account may be created even if the future is dropped.
    pub async fn create(environment: Environment, request: &NewAccount) -> Result<Self, Error> {
        let mms = MmsClient::new(environment)?;
        let session = mms.create_account(request).await?;
        Ok(Self { login: Authenticator::from_session(mms, session, Some(request.credentials.clone())) })
    }

    /// Returns the underlying login, for cloud calls that have no method on this type. No network traffic.
    pub const fn login(&self) -> &Authenticator {
        &self.login
    }

    /// Returns the current login session with the Identity of the user.
    ///
    /// Sends one `login` call if the Identity is about to expire, otherwise none.
    ///
    /// # Errors
    ///
    /// [`Error::Cloud`] if a needed login fails. A transient failure is ignored while the old Identity is still valid.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a login that is under way is abandoned.
    pub async fn session(&self) -> Result<Arc<ezlo_mms::LoginSession>, Error> {
        Ok(self.login.session().await?)
    }

    /// Reads the record of the account.
    ///
    /// Sends one `account` call. The shape of the response is inferred.
    ///
    /// # Errors
    ///
    /// [`Error::Cloud`] if the call fails.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the call only reads.
    pub async fn record(&self) -> Result<AccountRecord, Error> {
        Ok(self.login.call(|mms, session| async move { mms.account(&session).await }).await?)
    }

    /// Changes the record of the account. Only members that are present in `change` are changed.
    ///
    /// Sends one `change_account` call. It is idempotent and is repeated after a transient error.
    ///
    /// # Errors
    ///
    /// [`Error::Cloud`] if the service refuses the change or the call fails. After a timeout the change may be in effect.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: the change may be applied even if the future is dropped.
    pub async fn update_record(&self, change: &AccountRecord) -> Result<(), Error> {
        self.login.call(|mms, session| async move { mms.change_account(&session, change).await }).await?;
        Ok(())
    }

    /// Lists the users of the account.
    ///
    /// Sends one `users` call. Its path and the shape of the response are inferred.
    ///
    /// # Errors
    ///
    /// [`Error::Cloud`] if the call fails.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the call only reads.
    pub async fn users(&self) -> Result<Vec<UserRecord>, Error> {
        Ok(self.login.call(|mms, session| async move { mms.users(&session).await }).await?)
    }

    /// Lists the hubs of the account.
    ///
    /// Sends one `devices` call. [`Account::hub_record`] returns the state of one hub.
    ///
    /// # Errors
    ///
    /// [`Error::Cloud`] if the call fails.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the call only reads.
    pub async fn hubs(&self) -> Result<Vec<HubListEntry>, Error> {
        Ok(self.login.call(|mms, session| async move { mms.hubs(&session).await }).await?)
    }

    /// Claims a hub for the account. `serial` and `mac` are on the label of the hub.
    ///
    /// Sends one `claim` call. It is idempotent and is repeated after a transient error.
    ///
    /// # Errors
    ///
    /// [`Error::Cloud`] if the service refuses the claim, for example because another account owns the hub, or if the call
    /// fails.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: the hub may be claimed even if the future is dropped.
    pub async fn claim(&self, serial: &Serial, mac: MacAddress) -> Result<(), Error> {
        self.login.call(|mms, session| async move { mms.claim(&session, serial, mac).await }).await?;
        Ok(())
    }

    /// Reads the record of a hub in the cloud: model, firmware, relay, online state and so on.
    ///
    /// Sends one `device_info` call.
    ///
    /// # Errors
    ///
    /// [`Error::Cloud`] if the hub does not belong to the account or the call fails.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the call only reads.
    pub async fn hub_record(&self, serial: &Serial) -> Result<HubRecord, Error> {
        Ok(self.login.call(|mms, session| async move { record_of(&mms, &session, serial).await }).await?)
    }

    /// Connects to a hub through the relay that its record names, with the default options.
    ///
    /// See [`Account::connect_with`].
    ///
    /// # Errors
    ///
    /// The errors of [`Account::connect_with`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: an unfinished connection is closed.
    pub async fn connect(&self, serial: &Serial) -> Result<Hub, Error> {
        self.connect_with(serial, None, SessionConfig::default()).await
    }

    /// Connects to a hub with explicit options.
    ///
    /// With `local`, the local network is preferred, for at most 4 s in each attempt; otherwise the relay is used. While
    /// the relay is used, the local network is probed (default: every 60 s). Once the hub is found there and no call is
    /// under way, the session reconnects locally.
    ///
    /// For the relay, sends `device_info` calls to find its address. Opens the connection, logs in and registers. Then
    /// reads the model in the background, and reconnects after each loss. Returns once the first connection is verified;
    /// each of its steps has a timeout of 20 s (`SessionConfig::handshake_timeout`). A refreshed Identity leads to a new
    /// relay connection.
    ///
    /// # Errors
    ///
    /// - [`Error::NoRelay`] if `local` is `None` and the record names no WebSocket relay.
    /// - [`Error::Cloud`] if `local` is `None` and the record of the hub cannot be read.
    /// - [`Error::Connect`] if no first connection can be established. An offline hub behind a working relay is no error.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: an unfinished connection is closed.
    pub async fn connect_with(
        &self,
        serial: &Serial,
        local: Option<LocalOptions>,
        config: SessionConfig,
    ) -> Result<Hub, Error> {
        let mut connector = AccountConnector::new(self.login.clone(), serial.clone());
        if let Some(local) = local.clone() {
            connector = connector.prefer_local(local);
        } else if !matches!(self.hub_record(serial).await?.relay(), Some(Relay::Nma(_))) {
            return Err(Error::NoRelay(serial.to_string()));
        }
        let path = connector.taken();
        let session = ezlo_relay::RelaySession::connect_with(connector, config).await?;
        tokio::spawn(account_connector::watch_identity_rotation(self.login.clone(), path.clone(), session.downgrade()));
        if let Some(local) = local {
            tokio::spawn(account_connector::probe_local(serial.clone(), local, path.clone(), session.downgrade()));
        }
        Ok(Hub::with_path(session, Some(serial.clone()), path))
    }

    /// Fetches the credentials for a hub on the local network.
    ///
    /// Sends one `exchange` call (timeout: 60 s) and one `access_keys_sync` call. The credentials are long-lived: store
    /// them, and fetch them again only if the hub refuses them.
    ///
    /// # Errors
    ///
    /// - [`Error::NoLocalKey`] if the account has no local key for the hub.
    /// - [`Error::Cloud`] if a call fails.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the calls change nothing on the account.
    pub async fn local_credentials(&self, serial: &Serial) -> Result<LocalCredentials, Error> {
        let token = self.login.call(|mms, session| async move { mms.exchange(&session).await }).await?;
        let keys = self.login.client().access_keys(&token).await?;
        keys.local_credentials(serial).ok_or_else(|| Error::NoLocalKey(serial.to_string()))
    }

    /// Connects to a hub on the local network only, at its WebSocket port (17000 on a real hub). Needs no account.
    ///
    /// The certificate of the hub must have the serial as its common name. With `pin`, its SHA-256 must match; without, the
    /// first certificate that logs in is pinned for the session.
    /// [`RelaySession::certificate_pin`](ezlo_relay::RelaySession::certificate_pin) returns it.
    ///
    /// Opens the connection and logs in; later connections go to the same address. No call is sent to the cloud.
    ///
    /// # Errors
    ///
    /// [`Error::Connect`] if the hub cannot be reached, its certificate does not match, or it refuses the credentials.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: an unfinished connection is closed.
    pub async fn connect_local(
        serial: &Serial,
        address: SocketAddr,
        credentials: LocalCredentials,
        pin: Option<[u8; 32]>,
    ) -> Result<Hub, Error> {
        let trust = Trust::Hub { serial: serial.clone(), pin };
        let endpoint = Endpoint::new(format!("wss://{address}")).trust(trust);
        let session = ezlo_relay::RelaySession::connect(&endpoint, &HubLogin::Local(credentials)).await?;
        Ok(Hub::with_path(session, None, account_connector::local_only()))
    }
}
