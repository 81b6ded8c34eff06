//! Shared code of the examples. They are configured by environment variables.
//!
//! - `EZLO_CLOUD`: the base URL of the cloud, such as `http://127.0.0.1:8080` (default: the vendor's cloud).
//! - `EZLO_USER`, `EZLO_PASSWORD`: the credentials of the account.
//! - `EZLO_SERIAL`: the serial of the hub (default: the first hub that is online).
#![allow(dead_code, reason = "not every example uses everything")]

use ezlo::prelude::*;

/// The error of an example. `main` prints its error with `Debug`, so `Debug` is the plain text here.
pub(crate) struct Failure(String);

impl std::fmt::Debug for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl<E: std::fmt::Display> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

pub(crate) type Outcome = Result<(), Failure>;

pub(crate) fn variable(name: &str) -> Result<String, String> {
    std::env::var(name).map_err(|_| format!("set {name}"))
}

/// Returns the command-line argument at a position. `what` describes it in the error.
pub(crate) fn argument(at: usize, what: &str) -> Result<String, String> {
    std::env::args().nth(at).ok_or_else(|| format!("argument {at} is missing: {what}"))
}

pub(crate) fn environment() -> Result<Environment, Failure> {
    match std::env::var("EZLO_CLOUD") {
        Ok(base) => Ok(Environment::from_base_url(&base)?),
        Err(_) => Ok(Environment::vendor()),
    }
}

pub(crate) async fn account() -> Result<Account, Failure> {
    let credentials = Credentials::new(variable("EZLO_USER")?, variable("EZLO_PASSWORD")?);
    Ok(Account::log_in(environment()?, &credentials).await?)
}

pub(crate) async fn serial(account: &Account) -> Result<Serial, Failure> {
    if let Ok(serial) = std::env::var("EZLO_SERIAL") {
        return Ok(serial.parse()?);
    }
    for hub in account.hubs().await? {
        if account.hub_record(hub.serial.get()).await?.is_online() == Some(true) {
            return Ok(hub.serial.get().clone());
        }
    }
    Err("no hub of this account is online".into())
}

pub(crate) async fn hub() -> Result<Hub, Failure> {
    let account = account().await?;
    Ok(account.connect(&serial(&account).await?).await?)
}
