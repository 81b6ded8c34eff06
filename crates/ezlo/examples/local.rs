//! Connects over the local network if possible, otherwise over the relay: `local 192.0.2.7:17000`, or `local` to find the
//! hub by mDNS.

#![allow(clippy::print_stdout, reason = "examples print their results")]

mod support;

use ezlo::{LocalAddress, LocalOptions, SessionConfig};

#[tokio::main]
async fn main() -> support::Outcome {
    let account = support::account().await?;
    let serial = support::serial(&account).await?;
    let address = match std::env::args().nth(1) {
        Some(address) => LocalAddress::Fixed(address.parse()?),
        None => LocalAddress::Discovered,
    };
    // The credentials are long-lived: an application stores them together with the pin of the certificate.
    let local = LocalOptions::new(address, account.local_credentials(&serial).await?);
    let hub = account.connect_with(&serial, Some(local), SessionConfig::default()).await?;
    println!("{:?}: {} devices", hub.connection_path(), hub.devices().await?.len());
    hub.close().await;
    Ok(())
}
