//! Puts a hub on Wi-Fi and claims it: `onboard <serial> <MAC> <network> <key> [access point] [its root]`. The machine must have
//! joined the hub's own network, and it must reach the cloud afterwards.

#![allow(clippy::print_stdout, reason = "examples print their results")]

mod support;

use ezlo::prelude::*;
use ezlo::{AccessPoint, Plan};

#[tokio::main]
async fn main() -> support::Outcome {
    let serial: Serial = support::argument(1, "the serial")?.parse()?;
    let mac = support::argument(2, "the MAC address")?.parse()?;
    // An earlier run may have been interrupted: completed steps are recognised and skipped.
    let plan = Plan::new(support::argument(3, "the network")?, Some(support::argument(4, "its key")?.into())).resume();
    let access_point = match (std::env::args().nth(5), std::env::args().nth(6)) {
        (Some(api), Some(root)) => AccessPoint::at(&api, &root)?,
        _ => AccessPoint::usual()?,
    };
    let account = support::account().await?;
    let hub = account.onboard(&access_point, plan, &serial, mac, |progress| println!("{progress:?}")).await?;
    println!("{} devices", hub.devices().await?.len());
    hub.close().await;
    Ok(())
}
