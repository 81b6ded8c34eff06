//! Makes an account: `create_account <mail address>`, with name and password from the environment.

#![allow(clippy::print_stdout, reason = "an example shows something")]

mod support;

use ezlo::NewAccount;
use ezlo::prelude::*;

#[tokio::main]
async fn main() -> support::Outcome {
    let credentials = Credentials::new(support::variable("EZLO_USER")?, support::variable("EZLO_PASSWORD")?);
    let wish = NewAccount { credentials, email: support::argument(1, "the mail address")? };
    let account = Account::create(support::environment()?, &wish).await?;
    println!("account {} is there, with {} hubs", account.session().await?.account(), account.hubs().await?.len());
    Ok(())
}
