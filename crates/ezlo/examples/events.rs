//! Shows what happens at a hub: `events 10` ends after ten events.

#![allow(clippy::print_stdout, reason = "an example shows something")]

mod support;

use ezlo::prelude::*;

#[tokio::main]
async fn main() -> support::Outcome {
    let most = std::env::args().nth(1).map_or(Ok(usize::MAX), |text| text.parse())?;
    let hub = support::hub().await?;
    // Listening before this would show everything that is there as new.
    hub.synced().await?;
    let mut events = hub.events();
    println!("listening");
    let mut shown = 0;
    while let Some(event) = events.next().await {
        match event {
            HubEvent::Changed(change) => println!("{change:?}"),
            // A press is told when it happens, and never made up from what a resync finds.
            HubEvent::Momentary(edge) => println!("{edge:?}"),
            HubEvent::Disconnected(reason) => println!("the link is lost: {reason}"),
            HubEvent::Resynced { changes } => println!("in step again; {changes} differences were told"),
            HubEvent::ResyncStarted => println!("events may be missing; reading the hub again"),
            HubEvent::Lagged(lost) => println!("too slow: {lost} events are lost; the model is whole"),
            _ => break,
        }
        shown += 1;
        if shown == most {
            break;
        }
    }
    Ok(())
}
