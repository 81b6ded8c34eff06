//! Logs in and prints the account, its users and its hubs: `account`.

#![allow(clippy::print_stdout, reason = "examples print their results")]

mod support;

#[tokio::main]
async fn main() -> support::Outcome {
    let account = support::account().await?;
    println!("account {}", account.session().await?.account());
    for user in account.users().await? {
        println!("user {}", user.username.as_deref().unwrap_or("?"));
    }
    for hub in account.hubs().await? {
        let serial = hub.serial.get();
        let online = account.hub_record(serial).await?.is_online();
        println!("hub {serial} {}", if online == Some(true) { "online" } else { "not online" });
    }
    Ok(())
}
