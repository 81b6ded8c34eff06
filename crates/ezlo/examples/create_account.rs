//! Creates an account: `create_account <mail address>`. `EZLO_USER` and `EZLO_PASSWORD` are the new credentials.

#![allow(clippy::print_stdout, reason = "examples print their results")]

mod support;

use ezlo::NewAccount;
use ezlo::prelude::*;

#[tokio::main]
async fn main() -> support::Outcome {
    let credentials = Credentials::new(support::variable("EZLO_USER")?, support::variable("EZLO_PASSWORD")?);
    let request = NewAccount { credentials, email: support::argument(1, "the mail address")? };
    let account = Account::create(support::environment()?, &request).await?;
    println!("account {} created, with {} hubs", account.session().await?.account(), account.hubs().await?.len());
    Ok(())
}
