//! Prints the house modes, or switches to one and waits until the house is in it: `modes Night`.

#![allow(clippy::print_stdout, reason = "examples print their results")]

mod support;

#[tokio::main]
async fn main() -> support::Outcome {
    let hub = support::hub().await?;
    if let Some(name) = std::env::args().nth(1) {
        let switch = hub.switch_mode(&name).await?;
        println!("{name} in {} s", switch.delay_seconds());
        switch.reached().await?;
    }
    let modes = hub.modes().await?;
    for mode in modes.modes.iter() {
        let marker = if mode.id == modes.current { "* " } else { "  " };
        println!("{marker}{}", mode.name.as_deref().unwrap_or("?"));
    }
    hub.close().await;
    Ok(())
}
