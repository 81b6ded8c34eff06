//! Calls any method of a hub by name, also one that the SDK has no type for: `call hub.info.get '{}'`.

#![allow(clippy::print_stdout, reason = "examples print their results")]

mod support;

#[tokio::main]
async fn main() -> support::Outcome {
    let method = support::argument(1, "the method")?;
    let params = std::env::args().nth(2).map_or(Ok(serde_json::json!({})), |text| serde_json::from_str(&text))?;
    let hub = support::hub().await?;
    println!("{:#}", hub.session().call_raw(&method, params).await?);
    hub.close().await;
    Ok(())
}
