//! Uses a hub on the local network while it is there, and over the relay while it is not: `local 192.0.2.7:17000`, or without
//! an address where the hub announces itself.

#![allow(clippy::print_stdout, reason = "an example shows something")]

mod support;

use ezlo::{LocalAddress, LocalOptions, SessionConfig};

#[tokio::main]
async fn main() -> support::Outcome {
    let account = support::account().await?;
    let serial = support::serial(&account).await?;
    let place = match std::env::args().nth(1) {
        Some(address) => LocalAddress::Fixed(address.parse()?),
        None => LocalAddress::Discovered,
    };
    // These change only when the cloud rotates them: an application keeps them, and the pin of the certificate with them.
    let local = LocalOptions::new(place, account.local_credentials(&serial).await?);
    let hub = account.connect_with(&serial, Some(local), SessionConfig::default()).await?;
    println!("{:?}: {} devices", hub.connection_path(), hub.devices().await?.len());
    hub.close().await;
    Ok(())
}
