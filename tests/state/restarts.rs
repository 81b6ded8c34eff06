//! State that a restart restores, and leftovers that it ignores.

use ezlo_testkit::{Control, http as ask};
use serde_json::{Value, json};

use super::*;
use crate::support::{Folder, mock_cloud};

fn control(program: &Program) -> Control {
    Control::at(program.ready["control"].as_str().unwrap())
}

#[tokio::test]
async fn a_program_killed_right_after_start_keeps_seed_and_authority() {
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
fn leftover_files_of_a_killed_start_do_not_prevent_a_start() {
    let folder = Folder::new("half");
    std::fs::create_dir_all(&folder.0).unwrap();
    for half in ["state.redb.new", "ca.pem.new"] {
        std::fs::write(folder.0.join(half), [0x5a; 5000]).unwrap();
    }
    start(&folder.0).stop("-KILL");
    start(&folder.0).stop("-TERM");
    assert!(!folder.0.join("state.redb.new").exists());
}

/// The clock resumes at its persisted time, frozen or with its persisted speed.
#[tokio::test]
async fn time_and_speed_of_the_clock_survive_a_restart() {
    let folder = Folder::new("clock");
    let before = start(&folder.0);
    within(control(&before).set_speed(0.0)).await.unwrap();
    let advanced = within(control(&before).advance(86_400.0)).await.unwrap();
    before.stop("-KILL");
    let frozen = start(&folder.0);
    let clock = within(control(&frozen).clock()).await.unwrap();
    assert_eq!((&clock["frozen"], &clock["unix"]), (&json!(true), &advanced["unix"]));
    within(control(&frozen).set_speed(60.0)).await.unwrap();
    frozen.stop("-KILL");
    let running = start(&folder.0);
    let clock = within(control(&running).clock()).await.unwrap();
    assert_eq!((&clock["frozen"], &clock["speed"]), (&json!(false), &json!(60.0)), "{clock}");
    running.stop("-KILL");
    // The option overrides the persisted clock, but never sets the time back.
    let overridden = Program::start(&["--state-dir", folder.text(), "--frozen-at", "1700000000"]);
    let clock = within(control(&overridden).clock()).await.unwrap();
    assert_eq!(clock["frozen"], true);
    assert!(clock["unix"].as_i64() >= advanced["unix"].as_i64(), "{clock} after {advanced}");
    overridden.stop("-TERM");
}

/// A hub without changes is generated from the seed, so the seed has to be persisted.
#[tokio::test]
async fn hubs_without_changes_are_the_same_after_a_restart() {
    let folder = Folder::new("seed");
    let items = async |program: &Program| result(&mut connected(program).await, "hub.items.list").await;
    let before = Program::start(&["--state-dir", folder.text(), "--seed", "7"]);
    before.stop("-KILL");
    let after = start(&folder.0);
    assert_eq!(after.ready["seed"], 7);
    let restarted = items(&after).await;
    after.stop("-TERM");
    let (code, _, refused) = mock_cloud(&["serve", "--state-dir", folder.text(), "--seed", "8"]);
    assert!(code == Some(1) && refused.contains("was created with the seed 7, not 8"), "{code:?} {refused}");
    let fresh = Program::start(&["--seed", "7"]);
    assert_eq!(items(&fresh).await, restarted);
    fresh.stop("-TERM");
}

/// The ready line and `GET /endpoints` contain the password of a user only while it is valid.
#[tokio::test]
async fn a_changed_password_is_not_published() {
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

/// A change that cannot be found after the end of the program is not acknowledged.
#[tokio::test]
async fn removed_state_directory_ends_the_program() {
    let folder = Folder::new("removed");
    let running = start(&folder.0);
    let mut socket = connected(&running).await;
    std::fs::remove_dir_all(&folder.0).unwrap();
    socket.text(r#"{"id":"room","method":"hub.room.create","params":{"name":"Attic"}}"#).await;
    let end = within(socket.next()).await;
    assert!(!matches!(end, Came::Json(_)), "the change was acknowledged: {end:?}");
    assert_eq!(running.wait(), Some(1));
}
