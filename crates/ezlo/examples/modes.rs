//! Shows the house modes, or switches and waits until the house is in it: `modes Night`.

#![allow(clippy::print_stdout, reason = "an example shows something")]

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
        let here = if mode.id == modes.current { "* " } else { "  " };
        println!("{here}{}", mode.name.as_deref().unwrap_or("?"));
    }
    hub.close().await;
    Ok(())
}
