//! A user's account: who is in it, which hubs it has, and the way to each.

use std::net::SocketAddr;
use std::sync::Arc;

use ezlo_mms::{Authenticator, Credentials, Environment, MmsClient, NewAccount, RetryPolicy, TokenStore};
use ezlo_protocol::cloud::account::{AccountRecord, HubListEntry, UserRecord};
use ezlo_protocol::cloud::hub_record::{HubRecord, Relay};
use ezlo_protocol::cloud::keys::LocalCredentials;
use ezlo_protocol::mac::MacAddress;
use ezlo_protocol::serial::Serial;
use ezlo_relay::{Endpoint, HubCredentials as HubLogin, SessionConfig, Trust};

use crate::account_connector::{self, AccountConnector, LocalOptions};
use crate::error::Error;
use crate::hub::Hub;

/// A user who stays logged in: the identity is replaced before it expires, and when the service says that it is dead. Cheap to
/// clone; clones share the login.
#[derive(Debug, Clone)]
pub struct Account {
    login: Authenticator,
}

/// Sets an account up.
#[derive(Debug)]
#[must_use = "call log_in()"]
pub struct AccountBuilder<S = NoStore> {
    environment: Environment,
    credentials: Credentials,
    retry: RetryPolicy,
    clock: Option<Box<dyn Clocked>>,
    store: S,
}

/// Keeps no login.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoStore;

/// A clock in a box, so that the builder has no type parameter for it.
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
    /// Where the cloud is; the vendor's when not said.
    pub fn environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    /// How calls are tried again.
    pub const fn retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// The clock that decides when an identity expires; the machine's when not said.
    pub fn clock(mut self, clock: impl ezlo_mms::Clock) -> Self {
        self.clock = Some(Box::new(ClockIn(clock)));
        self
    }

    /// Keeps the login there from run to run.
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
    pub async fn log_in(self) -> Result<Account, Error> {
        let client = Self::client(self.environment, self.retry, self.clock)?;
        Account::ready(Authenticator::new(client, self.credentials)).await
    }
}

impl<S: TokenStore> AccountBuilder<S> {
    /// Takes the login that was kept, or logs in and keeps it.
    pub async fn log_in_or_resume(self) -> Result<Account, Error> {
        let client = Self::client(self.environment, self.retry, self.clock)?;
        Account::ready(Authenticator::with_store(client, self.credentials, self.store)).await
    }
}

impl Account {
    /// Sets an account up; [`Account::log_in`] does with the defaults.
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

    /// Logs in.
    pub async fn log_in(environment: Environment, credentials: &Credentials) -> Result<Self, Error> {
        Self::builder(credentials.clone()).environment(environment).log_in().await
    }

    /// Makes an account and logs in.
    pub async fn create(environment: Environment, wish: &NewAccount) -> Result<Self, Error> {
        let mms = MmsClient::new(environment)?;
        let session = mms.create_account(wish).await?;
        Ok(Self { login: Authenticator::from_session(mms, session, Some(wish.credentials.clone())) })
    }

    /// The login underneath, for calls that have no method here.
    pub const fn login(&self) -> &Authenticator {
        &self.login
    }

    /// The session as it is now, with the user's Identity.
    pub async fn session(&self) -> Result<Arc<ezlo_mms::LoginSession>, Error> {
        Ok(self.login.session().await?)
    }

    /// Reads the account.
    pub async fn record(&self) -> Result<AccountRecord, Error> {
        Ok(self.login.call(|mms, session| async move { mms.account(&session).await }).await?)
    }

    /// Changes the account; only the members that are there change.
    pub async fn update_record(&self, change: &AccountRecord) -> Result<(), Error> {
        self.login.call(|mms, session| async move { mms.change_account(&session, change).await }).await?;
        Ok(())
    }

    /// Lists the users.
    pub async fn users(&self) -> Result<Vec<UserRecord>, Error> {
        Ok(self.login.call(|mms, session| async move { mms.users(&session).await }).await?)
    }

    /// Lists the hubs.
    pub async fn hubs(&self) -> Result<Vec<HubListEntry>, Error> {
        Ok(self.login.call(|mms, session| async move { mms.hubs(&session).await }).await?)
    }

    /// Claims a hub, with serial and MAC address from its label.
    pub async fn claim(&self, serial: &Serial, mac: MacAddress) -> Result<(), Error> {
        self.login.call(|mms, session| async move { mms.claim(&session, serial, mac).await }).await?;
        Ok(())
    }

    /// Reads what the cloud knows of a hub.
    pub async fn hub_record(&self, serial: &Serial) -> Result<HubRecord, Error> {
        Ok(self.login.call(|mms, session| async move { mms.hub(&session, serial).await }).await?)
    }

    /// Connects to a hub through the relay that the cloud names, and stays connected.
    pub async fn connect(&self, serial: &Serial) -> Result<Hub, Error> {
        self.connect_with(serial, None, SessionConfig::default()).await
    }

    /// The same with settings of one's own, over the local network while the hub is there: the relay takes over when it is not,
    /// and the local network again when it is back and no call is under way.
    pub async fn connect_with(
        &self,
        serial: &Serial,
        local: Option<LocalOptions>,
        config: SessionConfig,
    ) -> Result<Hub, Error> {
        let mut route = AccountConnector::new(self.login.clone(), serial.clone());
        if let Some(local) = local.clone() {
            route = route.prefer_local(local);
        } else if !matches!(self.hub_record(serial).await?.relay(), Some(Relay::Nma(_))) {
            return Err(Error::NoRelay(serial.to_string()));
        }
        let taken = route.taken();
        let session = ezlo_relay::RelaySession::connect_with(route, config).await?;
        tokio::spawn(account_connector::watch_identity_rotation(
            self.login.clone(),
            taken.clone(),
            session.downgrade(),
        ));
        if let Some(local) = local {
            tokio::spawn(account_connector::probe_local(serial.clone(), local, taken.clone(), session.downgrade()));
        }
        Ok(Hub::with_path(session, Some(serial.clone()), taken))
    }

    /// Fetches what a hub wants on its local network. Keep it: it changes only when the cloud rotates it.
    pub async fn local_credentials(&self, serial: &Serial) -> Result<LocalCredentials, Error> {
        let token = self.login.call(|mms, session| async move { mms.exchange(&session).await }).await?;
        let keys = self.login.client().access_keys(&token).await?;
        keys.local_credentials(serial).ok_or_else(|| Error::NoLocalKey(serial.to_string()))
    }

    /// Connects to a hub on the local network, at its WebSocket port (17000 on a real hub). The hub's self-signed
    /// certificate must carry its serial; with a pin it must be that very one.
    pub async fn connect_local(
        serial: &Serial,
        address: SocketAddr,
        credentials: LocalCredentials,
        pin: Option<[u8; 32]>,
    ) -> Result<Hub, Error> {
        let trust = Trust::Hub { serial: serial.clone(), pin };
        let endpoint = Endpoint::new(format!("wss://{address}")).trust(trust);
        let session = ezlo_relay::RelaySession::connect(&endpoint, &HubLogin::Local(credentials)).await?;
        Ok(Hub::with_path(session, None, account_connector::relay_only()))
    }
}
