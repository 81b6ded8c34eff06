//! Prints the value of an item each time it changes: `watch_item "Kitchen light" switch 3` ends after three values.

#![allow(clippy::print_stdout, reason = "examples print their results")]

mod support;

#[tokio::main]
async fn main() -> support::Outcome {
    let (device, item) = (support::argument(1, "the device")?, support::argument(2, "the item")?);
    let most = std::env::args().nth(3).map_or(Ok(usize::MAX), |text| text.parse())?;
    let hub = support::hub().await?;
    hub.synced().await?;
    let mut watch = hub.device(&device).await?.item(&item)?.watch();
    for _ in 0..most {
        // The first value is the current one. A lost connection is restored by the session.
        let Some(value) = watch.changed().await else { break };
        println!("{value}");
    }
    Ok(())
}
