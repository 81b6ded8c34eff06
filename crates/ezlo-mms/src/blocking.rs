//! The same calls for programs without async. Must not be used inside a runtime: it would block it.

use ezlo_protocol::cloud::account::{AccountRecord, HubListEntry, UserRecord};
use ezlo_protocol::cloud::hub_record::{HubRecord, LocatedHub};
use ezlo_protocol::mac::MacAddress;
use ezlo_protocol::serial::Serial;
use tokio::runtime::{Builder, Runtime};

use crate::{Credentials, Environment, EnvironmentError, Error};

/// A user who is logged in, for programs without async.
///
/// ```no_run
/// use ezlo_mms::{Credentials, Environment, blocking::Login};
/// let login = Login::new(Environment::vendor(), Credentials::new("user", "password"))?;
/// for hub in login.hubs()? {
///     println!("{}", hub.serial);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct BlockingAuthenticator {
    runtime: Runtime,
    login: crate::Authenticator,
}

impl BlockingAuthenticator {
    /// With user name and password; nothing is sent yet.
    pub fn new(environment: Environment, credentials: Credentials) -> Result<Self, BlockingError> {
        let runtime = Builder::new_current_thread().enable_all().build().map_err(BlockingError::Runtime)?;
        let client = crate::MmsClient::new(environment)?;
        Ok(Self { runtime, login: crate::Authenticator::new(client, credentials) })
    }

    /// Reads the account.
    pub fn account(&self) -> Result<AccountRecord, Error> {
        self.runtime.block_on(self.login.call(|client, session| async move { client.account(&session).await }))
    }

    /// Changes the account; only the members that are there change.
    pub fn change_account(&self, change: &AccountRecord) -> Result<String, Error> {
        self.runtime
            .block_on(self.login.call(|client, session| async move { client.change_account(&session, change).await }))
    }

    /// Lists the users of the account.
    pub fn users(&self) -> Result<Vec<UserRecord>, Error> {
        self.runtime.block_on(self.login.call(|client, session| async move { client.users(&session).await }))
    }

    /// Lists the hubs of the account.
    pub fn hubs(&self) -> Result<Vec<HubListEntry>, Error> {
        self.runtime.block_on(self.login.call(|client, session| async move { client.hubs(&session).await }))
    }

    /// Reads what the service knows of a hub.
    pub fn hub(&self, serial: &Serial) -> Result<HubRecord, Error> {
        self.runtime.block_on(self.login.call(|client, session| async move { client.hub(&session, serial).await }))
    }

    /// Claims a hub, with serial and MAC address from its label.
    pub fn claim(&self, serial: &Serial, mac: MacAddress) -> Result<(), Error> {
        self.runtime
            .block_on(self.login.call(|client, session| async move { client.claim(&session, serial, mac).await }))?;
        Ok(())
    }

    /// Finds hubs behind the caller's public address.
    pub fn locate(&self) -> Result<Vec<LocatedHub>, Error> {
        self.runtime.block_on(self.login.client().locate())
    }
}

/// A blocking login cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlockingError {
    /// No runtime.
    #[error("cannot start a runtime: {0}")]
    Runtime(std::io::Error),
    /// The environment cannot be used.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
}
