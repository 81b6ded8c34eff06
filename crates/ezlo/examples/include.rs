//! Includes a Z-Wave device step by step: `include`. A device with Security 2 is included without its device-specific key.

#![allow(clippy::print_stdout, reason = "examples print their results")]

mod support;

use ezlo::prelude::*;

#[tokio::main]
async fn main() -> support::Outcome {
    let hub = support::hub().await?;
    let mut inclusion = hub.start_inclusion().await?;
    while let Some(step) = inclusion.next().await? {
        match step {
            InclusionStep::PressButton => println!("put the device into inclusion now"),
            InclusionStep::DeviceFound => println!("a device has answered"),
            InclusionStep::ChooseAuthModes(_) => inclusion.choose_modes(["unauthenticated"]).await?,
            InclusionStep::Progress(percent) => println!("{percent} %"),
            InclusionStep::Done(id) => {
                let device = hub.devices().await?.into_iter().find(|device| device.id == id);
                println!("included: {}", device.as_ref().map_or("?", |device| device.name()));
            }
            other => println!("{other:?}"),
        }
    }
    hub.close().await;
    Ok(())
}
