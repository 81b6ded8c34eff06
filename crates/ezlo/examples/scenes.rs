//! Prints the scenes of a hub, or runs one and waits until it has finished: `scenes "Good night"`.

#![allow(clippy::print_stdout, reason = "examples print their results")]

mod support;

#[tokio::main]
async fn main() -> support::Outcome {
    let hub = support::hub().await?;
    if let Some(name) = std::env::args().nth(1) {
        hub.run_scene(&name).await?;
        println!("{name} has run");
    } else {
        for scene in hub.scenes().await? {
            let on = if scene.enabled.get() == Some(&false) { " (off)" } else { "" };
            println!("{}{on}", scene.name.as_deref().unwrap_or("?"));
        }
    }
    hub.close().await;
    Ok(())
}
