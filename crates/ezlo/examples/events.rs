//! Prints the events of a hub: `events 10` ends after ten events.

#![allow(clippy::print_stdout, reason = "examples print their results")]

mod support;

use ezlo::prelude::*;

#[tokio::main]
async fn main() -> support::Outcome {
    let most = std::env::args().nth(1).map_or(Ok(usize::MAX), |text| text.parse())?;
    let hub = support::hub().await?;
    // Without this, the first read reports the whole house as changes.
    hub.synced().await?;
    let mut events = hub.events();
    println!("listening");
    let mut shown = 0;
    while let Some(event) = events.next().await {
        match event {
            HubEvent::Changed(change) => println!("{change:?}"),
            // A button press is reported by its broadcast only, never derived from a resync.
            HubEvent::Momentary(event) => println!("{event:?}"),
            HubEvent::Disconnected(reason) => println!("disconnected: {reason}"),
            HubEvent::Resynced { changes } => println!("in sync, {changes} changes"),
            HubEvent::ResyncStarted => println!("events may be missing; reading the model again"),
            HubEvent::Lagged(lost) => println!("too slow: {lost} events lost; the model is not affected"),
            _ => break,
        }
        shown += 1;
        if shown == most {
            break;
        }
    }
    Ok(())
}
