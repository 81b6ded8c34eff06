//! What every example needs: the environment says where and who.
//!
//! - `EZLO_CLOUD`: a base URL such as `http://127.0.0.1:8080`, for instance `mock-cloud`'s; the vendor's cloud when not set.
//! - `EZLO_USER`, `EZLO_PASSWORD`: the account.
//! - `EZLO_SERIAL`: the hub; the first one that is online when not set.
#![allow(dead_code, reason = "not every example uses everything")]

use ezlo::prelude::*;

pub(crate) type Outcome = Result<(), Box<dyn std::error::Error>>;

pub(crate) fn variable(name: &str) -> Result<String, String> {
    std::env::var(name).map_err(|_| format!("set {name}"))
}

/// An argument, with a word for the message when it is missing.
pub(crate) fn argument(at: usize, what: &str) -> Result<String, String> {
    std::env::args().nth(at).ok_or_else(|| format!("argument {at} is missing: {what}"))
}

pub(crate) fn environment() -> Result<Environment, Box<dyn std::error::Error>> {
    match std::env::var("EZLO_CLOUD") {
        Ok(base) => Ok(Environment::base(&base)?),
        Err(_) => Ok(Environment::vendor()),
    }
}

pub(crate) async fn account() -> Result<Account, Box<dyn std::error::Error>> {
    let credentials = Credentials::new(variable("EZLO_USER")?, variable("EZLO_PASSWORD")?);
    Ok(Account::log_in(environment()?, &credentials).await?)
}

pub(crate) async fn serial(account: &Account) -> Result<Serial, Box<dyn std::error::Error>> {
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

pub(crate) async fn hub() -> Result<Hub, Box<dyn std::error::Error>> {
    let account = account().await?;
    Ok(account.connect(&serial(&account).await?).await?)
}
