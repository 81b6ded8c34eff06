//! Includes a Z-Wave device: says what to do, step by step. A device with S2 is let in without its key.

#![allow(clippy::print_stdout, reason = "an example shows something")]

mod support;

use ezlo::prelude::*;

#[tokio::main]
async fn main() -> support::Outcome {
    let hub = support::hub().await?;
    let mut inclusion = hub.start_inclusion().await?;
    while let Some(step) = inclusion.next().await? {
        match step {
            InclusionStep::PressButton => println!("put the device into inclusion now"),
            InclusionStep::DeviceFound => println!("a device answered"),
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
