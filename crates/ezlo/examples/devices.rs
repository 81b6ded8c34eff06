//! Prints every device of a hub with its room and the values of its items: `devices`.

#![allow(clippy::print_stdout, reason = "examples print their results")]

mod support;

#[tokio::main]
async fn main() -> support::Outcome {
    let hub = support::hub().await?;
    let rooms = hub.rooms().await?;
    for device in hub.devices().await? {
        let room = rooms.iter().find(|room| Some(&room.id) == device.record.room());
        let room = room.and_then(|room| room.name.as_deref()).unwrap_or("no room");
        println!("{} ({room})", device.name());
        for item in &device.items {
            let value = item.value.get().map(ToString::to_string).unwrap_or_default();
            println!("    {} = {value}", item.name.as_deref().unwrap_or("?"));
        }
    }
    hub.close().await;
    Ok(())
}
