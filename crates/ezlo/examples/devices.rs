//! Shows every device of a hub by its room, with the values of its items.

#![allow(clippy::print_stdout, reason = "an example shows something")]

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
