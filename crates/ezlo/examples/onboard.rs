//! Puts a hub on Wi-Fi and claims it: `onboard <serial> <MAC> <network> <key> [access point] [its root]`. Run it on a machine
//! that has joined the hub's own network and can reach the cloud.

#![allow(clippy::print_stdout, reason = "an example shows something")]

mod support;

use ezlo::prelude::*;
use ezlo::{AccessPoint, Plan, Presence, onboard};

/// The hub is there once the cloud knows it and its relay answers.
struct AtRelay<'a> {
    account: &'a Account,
    serial: &'a Serial,
}

impl Presence for AtRelay<'_> {
    async fn is_online(&mut self) -> bool {
        self.account.connect(self.serial).await.is_ok()
    }
}

#[tokio::main]
async fn main() -> support::Outcome {
    let serial: Serial = support::argument(1, "the serial")?.parse()?;
    let mac = support::argument(2, "the MAC address")?.parse()?;
    let plan = Plan::new(support::argument(3, "the network")?, Some(support::argument(4, "its key")?.into()));
    let access_point = match (std::env::args().nth(5), std::env::args().nth(6)) {
        (Some(api), Some(root)) => AccessPoint::at(&api, &root)?,
        _ => AccessPoint::usual()?,
    };
    let account = support::account().await?;
    account.claim(&serial, mac).await?;
    println!("claimed");
    let mut presence = AtRelay { account: &account, serial: &serial };
    onboard(&access_point, plan, &mut presence, |progress| println!("{progress:?}")).await?;
    Ok(())
}
