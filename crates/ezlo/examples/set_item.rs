//! Sets an item and waits until the hub reports the new value: `set_item "Kitchen light" switch true`.

#![allow(clippy::print_stdout, reason = "examples print their results")]

mod support;

use ezlo::prelude::*;

#[tokio::main]
async fn main() -> support::Outcome {
    let (device, item) = (support::argument(1, "the device")?, support::argument(2, "the item")?);
    let value: serde_json::Value = serde_json::from_str(&support::argument(3, "the value, as JSON")?)?;
    let hub = support::hub().await?;
    match hub.device(&device).await?.item(&item)?.set(value).send_and_confirm().await {
        Ok(item) => println!("{device}: {}", item.value.get().map(ToString::to_string).unwrap_or_default()),
        // The connection was lost or the call timed out. The text says if a retry is safe.
        Err(error @ (Error::NotApplied { .. } | Error::OutcomeUnknown { .. })) => println!("{error}"),
        Err(error) => return Err(error.into()),
    }
    hub.close().await;
    Ok(())
}
