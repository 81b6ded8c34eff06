//! The calls for programs without async (feature `blocking`). They must not be used in an async context.

use ezlo_protocol::cloud::account::{AccountRecord, HubListEntry, UserRecord};
use ezlo_protocol::cloud::hub_record::{HubRecord, LocatedHub};
use ezlo_protocol::mac::MacAddress;
use ezlo_protocol::serial::Serial;
use tokio::runtime::{Builder, Runtime};

use crate::{Credentials, Environment, EnvironmentError, MmsError};

/// An [`Authenticator`](crate::Authenticator) for programs without async.
///
/// It owns a single-threaded Tokio runtime. Each method blocks the calling thread until the call has ended.
/// Limits and retries are those of [`MmsClient`](crate::MmsClient).
///
/// ```no_run
/// use ezlo_mms::{Credentials, Environment, blocking::BlockingAuthenticator};
///
/// let authenticator = BlockingAuthenticator::new(Environment::vendor(), Credentials::new("user", "password"))?;
/// for hub in authenticator.hubs()? {
///     println!("{}", hub.serial);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Panics
///
/// The methods panic in an async context, and so does dropping the value there.
#[derive(Debug)]
pub struct BlockingAuthenticator {
    runtime: Runtime,
    login: crate::Authenticator,
}

impl BlockingAuthenticator {
    /// Creates the authenticator. No network traffic; the first call logs in.
    ///
    /// # Errors
    ///
    /// - [`BlockingError::Runtime`] if the Tokio runtime cannot be started.
    /// - [`BlockingError::Environment`] if the environment is invalid.
    pub fn new(environment: Environment, credentials: Credentials) -> Result<Self, BlockingError> {
        let runtime = Builder::new_current_thread().enable_all().build().map_err(BlockingError::Runtime)?;
        let client = crate::MmsClient::new(environment)?;
        Ok(Self { runtime, login: crate::Authenticator::new(client, credentials) })
    }

    /// Fetches the account record.
    ///
    /// Blocking variant of [`MmsClient::account`](crate::MmsClient::account).
    ///
    /// # Errors
    ///
    /// The errors of [`Authenticator::call`](crate::Authenticator::call).
    ///
    /// # Panics
    ///
    /// Panics in an async context.
    pub fn account(&self) -> Result<AccountRecord, MmsError> {
        self.runtime.block_on(self.login.call(|client, session| async move { client.account(&session).await }))
    }

    /// Changes the account and returns the text of the response. Only members that are set in `change` are changed.
    ///
    /// Blocking variant of [`MmsClient::change_account`](crate::MmsClient::change_account).
    ///
    /// # Errors
    ///
    /// The errors of [`Authenticator::call`](crate::Authenticator::call).
    /// After a transient error the change may have been applied.
    ///
    /// # Panics
    ///
    /// Panics in an async context.
    pub fn change_account(&self, change: &AccountRecord) -> Result<String, MmsError> {
        self.runtime
            .block_on(self.login.call(|client, session| async move { client.change_account(&session, change).await }))
    }

    /// Fetches the users of the account.
    ///
    /// Blocking variant of [`MmsClient::users`](crate::MmsClient::users).
    ///
    /// # Errors
    ///
    /// The errors of [`Authenticator::call`](crate::Authenticator::call).
    ///
    /// # Panics
    ///
    /// Panics in an async context.
    pub fn users(&self) -> Result<Vec<UserRecord>, MmsError> {
        self.runtime.block_on(self.login.call(|client, session| async move { client.users(&session).await }))
    }

    /// Fetches the hubs of the account.
    ///
    /// Blocking variant of [`MmsClient::hubs`](crate::MmsClient::hubs).
    ///
    /// # Errors
    ///
    /// The errors of [`Authenticator::call`](crate::Authenticator::call).
    ///
    /// # Panics
    ///
    /// Panics in an async context.
    pub fn hubs(&self) -> Result<Vec<HubListEntry>, MmsError> {
        self.runtime.block_on(self.login.call(|client, session| async move { client.hubs(&session).await }))
    }

    /// Fetches the record of a hub from the account server.
    ///
    /// Blocking variant of [`MmsClient::hub`](crate::MmsClient::hub).
    ///
    /// # Errors
    ///
    /// The errors of [`Authenticator::call`](crate::Authenticator::call).
    ///
    /// # Panics
    ///
    /// Panics in an async context.
    pub fn hub(&self, serial: &Serial) -> Result<HubRecord, MmsError> {
        self.runtime.block_on(self.login.call(|client, session| async move { client.hub(&session, serial).await }))
    }

    /// Claims a hub for the account. Serial and MAC address are on the label of the hub.
    ///
    /// Blocking variant of [`MmsClient::claim`](crate::MmsClient::claim).
    ///
    /// # Errors
    ///
    /// The errors of [`Authenticator::call`](crate::Authenticator::call).
    /// After a transient error the hub may have been claimed.
    ///
    /// # Panics
    ///
    /// Panics in an async context.
    pub fn claim(&self, serial: &Serial, mac: MacAddress) -> Result<(), MmsError> {
        self.runtime
            .block_on(self.login.call(|client, session| async move { client.claim(&session, serial, mac).await }))?;
        Ok(())
    }

    /// Finds hubs behind the public IP address of the caller. Does not log in.
    ///
    /// Blocking variant of [`MmsClient::locate`](crate::MmsClient::locate).
    ///
    /// # Errors
    ///
    /// [Common errors](crate::MmsClient#errors).
    ///
    /// # Panics
    ///
    /// Panics in an async context.
    pub fn locate(&self) -> Result<Vec<LocatedHub>, MmsError> {
        self.runtime.block_on(self.login.client().locate())
    }
}

/// A [`BlockingAuthenticator`] cannot be created.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlockingError {
    /// The Tokio runtime cannot be started.
    #[error("cannot start a Tokio runtime")]
    Runtime(#[source] std::io::Error),
    /// The environment is invalid.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
}
