//! Refused inputs, so that every persisted state can be read again.

use std::fmt::Write as _;

use ezlo_protocol::identity::IdentityPair;
use ezlo_testkit::http as ask;
use serde_json::json;

use super::*;
use crate::support::{Folder, mock_cloud};

fn nested(depth: usize) -> String {
    format!("{}1{}", "[".repeat(depth), "]".repeat(depth))
}

/// Changes an account and returns the HTTP status.
async fn change(program: &Program, pair: &IdentityPair, json: &str) -> u16 {
    let keys = [("mmsauth", pair.identity.expose()), ("mmsauthsig", pair.signature.expose())];
    let account = pair.decode().unwrap().account;
    let mut head = format!("PUT /account/account/account/{account}?json=");
    for byte in json.bytes() {
        let _ = write!(head, "%{byte:02X}");
    }
    ask(address(url(program)), &head, &keys, b"").await.status
}

/// Accepted values of every nesting depth can be read after a kill. Deeper values are refused.
#[tokio::test]
async fn too_deeply_nested_json_is_refused_before_it_is_persisted() {
    let folder = Folder::new("deep");
    let program = start(&folder.0);
    let pair = logged_in(&program, "demo.user", "demo-password").await.session().await.unwrap().pair().clone();
    let mut socket = connected(&program).await;
    let mut accepted = 0;
    for depth in [1, 30, 61, 62, 63, 64, 100, 127, 500, 5000] {
        let account = format!(r#"{{"Preferences": {{"Deep": {}}}}}"#, nested(depth));
        let scene = format!(
            r#"{{"id": "deep", "method": "hub.scenes.create", "params": {{"name": "Deep {depth}", "enabled": true,
               "group_id": null, "is_group": false, "parent_id": "", "user_notifications": [], "house_modes": [],
               "when": [], "then": [], "meta": {{"deep": {}}}}}}}"#,
            nested(depth)
        );
        let status = change(&program, &pair, &account).await;
        assert_eq!(status, if depth + 2 <= 64 { 200 } else { 400 }, "{depth}");
        socket.text(scene).await;
        let answer = loop {
            let frame = within(socket.json()).await;
            if frame["id"] == "deep" {
                break frame;
            }
        };
        let is_accepted = answer["error"].is_null();
        assert_eq!(is_accepted, depth + 2 <= 64, "{depth}: {answer}");
        accepted += usize::from(is_accepted);
    }
    assert!(accepted >= 2, "too few scenes were accepted: {accepted}");
    program.stop("-KILL");
    let again = start(&folder.0);
    let scenes = result(&mut connected(&again).await, "hub.scenes.list").await;
    let deep = scenes["scenes"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|scene| scene["name"].as_str().is_some_and(|name| name.starts_with("Deep ")));
    assert_eq!(deep.count(), accepted);
    again.stop("-TERM");
}

#[test]
fn damaged_files_and_conflicting_options_are_refused_with_advice() {
    let folder = Folder::new("refused");
    start(&folder.0).stop("-TERM");
    let (code, _, stderr) = mock_cloud(&["serve", "--state-dir", folder.text(), "--simulate-behaviours"]);
    assert!(code == Some(1) && stderr.contains("without --simulate-behaviours"), "{code:?}: {stderr}");
    let (code, _, stderr) = mock_cloud(&["serve", "--state-dir", folder.text(), "--world", "bare"]);
    assert!(code == Some(1) && stderr.contains("use another --state-dir"), "{code:?}: {stderr}");
    let running = start(&folder.0);
    let (code, _, stderr) = mock_cloud(&["serve", "--state-dir", folder.text()]);
    assert!(code == Some(1) && stderr.contains("in use by another mock-cloud"), "{code:?}: {stderr}");
    running.stop("-TERM");
    let intact = std::fs::read(folder.0.join("state.redb")).unwrap();
    for bytes in [&b""[..], b"hello", &intact[..intact.len() / 2]] {
        std::fs::write(folder.0.join("state.redb"), bytes).unwrap();
        for arguments in
            [&["serve", "--state-dir", folder.text()][..], &["state", "show", "--state-dir", folder.text()]]
        {
            let (code, stdout, stderr) = mock_cloud(arguments);
            assert!(
                code == Some(1) && stderr.contains("is damaged or not a state"),
                "{arguments:?} {code:?}: {stdout} {stderr}"
            );
        }
        assert_eq!(std::fs::read(folder.0.join("state.redb")).unwrap(), bytes, "the file is not modified");
    }
}

/// `state import --replace` replaces a damaged state and renames the damaged file.
#[test]
fn an_export_replaces_a_damaged_state() {
    let folder = Folder::new("replaced");
    start(&folder.0).stop("-TERM");
    let exported = folder.0.join("world.json");
    let at = exported.to_str().unwrap();
    assert_eq!(mock_cloud(&["state", "export", "--state-dir", folder.text(), at]).0, Some(0));
    std::fs::write(folder.0.join("state.redb"), b"garbage").unwrap();
    let import = ["state", "import", "--state-dir", folder.text(), at];
    let (code, _, stderr) = mock_cloud(&import);
    assert!(code == Some(1) && stderr.contains("--replace"), "{code:?}: {stderr}");
    let (code, _, stderr) = mock_cloud(&[&import[..], &["--replace"]].concat());
    assert_eq!(code, Some(0), "{stderr}");
    assert_eq!(std::fs::read(folder.0.join("state.redb.damaged")).unwrap(), b"garbage");
    start(&folder.0).stop("-TERM");
}

/// Exported documents are untrusted input, because users exchange them.
#[test]
fn an_import_with_out_of_range_numbers_names_the_row() {
    let folder = Folder::new("numbers");
    start(&folder.0).stop("-TERM");
    let exported = folder.0.join("world.json");
    let (code, ..) = mock_cloud(&["state", "export", "--state-dir", folder.text(), exported.to_str().unwrap()]);
    assert_eq!(code, Some(0));
    let good: Value = serde_json::from_slice(&std::fs::read(&exported).unwrap()).unwrap();
    let fresh = Folder::new("numbers-in");
    for (pointer, value) in [
        ("/clock/now_ms", json!(i64::MAX)),
        ("/clock/now_ms", json!(i64::MIN)),
        ("/clock/speed", json!(-1.0)),
        ("/clock/speed", json!(1e300)),
        ("/counters/next", json!(u64::MAX)),
    ] {
        let mut document = good.clone();
        let Some(member) = document.pointer_mut(pointer) else { panic!("{pointer}: {good}") };
        *member = value;
        std::fs::write(&exported, document.to_string()).unwrap();
        let (code, _, stderr) =
            mock_cloud(&["state", "import", "--state-dir", fresh.text(), exported.to_str().unwrap()]);
        let row = pointer.split('/').nth(1).unwrap();
        assert!(code == Some(1) && stderr.contains(row), "{pointer}: {code:?} {stderr}");
    }
}

/// Tokens and keys of the state are secrets, and a file that others can change is no state.
#[cfg(unix)]
#[test]
fn a_state_that_other_users_can_change_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = Folder::new("exposed");
    start(&folder.0).stop("-TERM");
    let file = folder.0.join("state.redb");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o666)).unwrap();
    for arguments in
        [["serve", "--state-dir", folder.text()].to_vec(), vec!["state", "show", "--state-dir", folder.text()]]
    {
        let (code, _, stderr) = mock_cloud(&arguments);
        assert!(code == Some(1) && stderr.contains("chmod 600"), "{arguments:?} {code:?}: {stderr}");
    }
}

/// A link in a directory that others can write to must not lead a new state to another file.
#[cfg(unix)]
#[test]
fn a_new_state_follows_no_links() {
    let folder = Folder::new("link");
    std::fs::create_dir_all(&folder.0).unwrap();
    let other = folder.0.join("other");
    std::fs::write(&other, b"precious").unwrap();
    for link in ["state.redb.new", "ca.pem.new"] {
        std::os::unix::fs::symlink(&other, folder.0.join(link)).unwrap();
    }
    let (code, _, stderr) = mock_cloud(&["serve", "--state-dir", folder.text()]);
    assert!(code == Some(1) && stderr.contains("state.redb"), "{code:?}: {stderr}");
    assert_eq!(std::fs::read(&other).unwrap(), b"precious");
}

/// `state show` reads a copy, so it works on a read-only file system and never repairs the file.
#[test]
fn showing_a_state_does_not_change_the_file() {
    let folder = Folder::new("shown");
    start(&folder.0).stop("-KILL");
    let before = std::fs::read(folder.0.join("state.redb")).unwrap();
    let (code, stdout, stderr) = mock_cloud(&["state", "show", "--state-dir", folder.text()]);
    assert_eq!(code, Some(0), "{stdout} {stderr}");
    assert_eq!(std::fs::read(folder.0.join("state.redb")).unwrap(), before);
    let running = start(&folder.0);
    let (code, _, stderr) = mock_cloud(&["state", "show", "--state-dir", folder.text()]);
    assert!(code == Some(1) && stderr.contains("in use by another mock-cloud"), "{code:?}: {stderr}");
    running.stop("-TERM");
}

#[test]
fn a_directory_that_cannot_be_written_is_no_tls_problem() {
    let folder = Folder::new("file");
    std::fs::write(&folder.0, b"").unwrap();
    let (code, _, stderr) = mock_cloud(&["serve", "--state-dir", folder.text()]);
    std::fs::remove_file(&folder.0).unwrap();
    assert!(code == Some(1) && stderr.contains("cannot write") && !stderr.contains("TLS"), "{code:?}: {stderr}");
}
