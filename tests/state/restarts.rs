//! What a restart goes on with, and what it does not.

use ezlo_testkit::{Control, http as ask};
use serde_json::{Value, json};

use super::*;
use crate::support::Folder;

fn control(program: &Program) -> Control {
    Control::at(program.ready["control"].as_str().unwrap())
}

#[tokio::test]
async fn killed_at_once_it_is_the_same_cloud_all_the_same() {
    let folder = Folder::new("at-once");
    let before = start(&folder.0);
    let authority = std::fs::read(folder.0.join("ca.pem")).unwrap();
    let seed = before.ready["seed"].clone();
    before.stop("-KILL");
    let after = start(&folder.0);
    assert_eq!(std::fs::read(folder.0.join("ca.pem")).unwrap(), authority);
    assert_eq!(after.ready["seed"], seed);
    after.stop("-TERM");
}

#[test]
fn what_is_left_of_a_start_that_was_killed_is_in_nobodys_way() {
    let folder = Folder::new("half");
    std::fs::create_dir_all(&folder.0).unwrap();
    for half in ["state.redb.new", "ca.pem.new"] {
        std::fs::write(folder.0.join(half), [0x5a; 5000]).unwrap();
    }
    start(&folder.0).stop("-KILL");
    start(&folder.0).stop("-TERM");
    assert!(!folder.0.join("state.redb.new").exists());
}

/// The clock stands or runs as somebody wished it to, and goes on from where it was.
#[tokio::test]
async fn a_clocks_manners_are_kept() {
    let folder = Folder::new("clock");
    let before = start(&folder.0);
    within(control(&before).set_speed(0.0)).await.unwrap();
    let stood = within(control(&before).advance(86_400.0)).await.unwrap();
    before.stop("-KILL");
    let standing = start(&folder.0);
    let clock = within(control(&standing).clock()).await.unwrap();
    assert_eq!((&clock["frozen"], &clock["unix"]), (&json!(true), &stood["unix"]));
    within(control(&standing).set_speed(60.0)).await.unwrap();
    standing.stop("-KILL");
    let running = start(&folder.0);
    let clock = within(control(&running).clock()).await.unwrap();
    assert_eq!((&clock["frozen"], &clock["speed"]), (&json!(false), &json!(60.0)), "{clock}");
    running.stop("-KILL");
    // A wish of the command line goes before, but never back.
    let said = Program::start(&["--state-dir", folder.text(), "--frozen-at", "1700000000"]);
    let clock = within(control(&said).clock()).await.unwrap();
    assert_eq!(clock["frozen"], true);
    assert!(clock["unix"].as_i64() >= stood["unix"].as_i64(), "{clock} after {stood}");
    said.stop("-TERM");
}

/// A hub that nobody has touched is made from the seed: it must not become another one.
#[tokio::test]
async fn untouched_hubs_stay_who_they_are() {
    let folder = Folder::new("seed");
    let items = async |program: &Program| result(&mut connected(program).await, "hub.items.list").await;
    let before = Program::start(&["--state-dir", folder.text(), "--seed", "7"]);
    before.stop("-KILL");
    let after = start(&folder.0);
    assert_eq!(after.ready["seed"], 7);
    let there = items(&after).await;
    after.stop("-TERM");
    let fresh = Program::start(&["--seed", "7"]);
    assert_eq!(items(&fresh).await, there);
    fresh.stop("-TERM");
}

/// What scripts log in with is told as long as it is right.
#[tokio::test]
async fn a_changed_password_is_not_told() {
    let folder = Folder::new("password");
    let before = start(&folder.0);
    let demo = |ready: &Value| {
        let users = ready["users"].as_array().unwrap();
        users.iter().find(|user| user["username"] == "demo.user").unwrap()["password"].clone()
    };
    assert_eq!(demo(&before.ready), "demo-password");
    let to = address(before.ready["control"].as_str().unwrap());
    let changed = ask(to, "POST /users/demo.user/password", &[], br#"{"password": "another-one"}"#).await;
    assert_eq!(changed.status, 200);
    assert_eq!(demo(&within(control(&before).endpoints()).await.unwrap()), Value::Null);
    before.stop("-KILL");
    let after = start(&folder.0);
    assert_eq!(demo(&after.ready), Value::Null);
    logged_in(&after, "demo.user", "another-one").await;
    after.stop("-TERM");
}
