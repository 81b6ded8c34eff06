//! Tests of persisted states: round trip, damage, invalid documents.

use std::path::Path;

use ezlo_protocol::password::sha1_password;
use proptest::prelude::*;

use crate::config::{Assumptions, Profile};
use crate::core::clock::Clock;
use crate::core::rng::Random;
use crate::mock_cloud::state_files;
use crate::persistence::error::StateError;
use crate::persistence::redb_store::StateFile;
use crate::tls::PersistedAuthority;
use crate::world::accounts::NewAccount;
use crate::world::persisted_state::{PersistedState, StateHeader};
use crate::world::sessions::Session;
use crate::world::state_document;
use crate::world::tokens::Caller;
use crate::world::{World, WorldConfig};
use ezlo_hub_sim::world_file::WorldFile;

fn state(seed: u64) -> PersistedState {
    let file = WorldFile::bundled("demo").unwrap();
    let about = StateHeader::new("demo", &file.digest, seed, 0, false);
    let authority = PersistedAuthority { certificate: "c".into(), key: "k".into() };
    let world = World::new(WorldConfig {
        clock: Clock::frozen(1_700_000_000),
        signing_key: crate::config::SigningKey::Seed,
        seed,
        assumptions: Assumptions::default(),
        profile: Profile::Calm,
        file: file.into(),
        journal: true,
        keeper: None,
        authority: None,
        asleep: false,
    });
    world.persisted_state(about, authority)
}

fn flip(path: &Path, at: usize, with: u8) {
    let mut bytes = std::fs::read(path).unwrap();
    let at = at % bytes.len();
    bytes[at] ^= with;
    std::fs::write(path, bytes).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn an_exported_document_round_trips(
        seed in any::<u64>(),
        names in prop::collection::vec("[a-zA-Z./ \u{e4}\u{1f511}]{1,12}", 0..8),
        sessions in prop::collection::vec(("[a-z.]{1,12}", any::<u64>(), any::<i64>()), 0..8),
        now_ms in 0..=Clock::END_MS,
    ) {
        let mut kept = state(seed);
        kept.time.now_ms = now_ms;
        let random = Random::new(seed);
        for (number, name) in names.iter().enumerate() {
            let email = format!("{number}@example.com");
            let account = NewAccount { username: name, email: &email, password: &"secret-1".into(), oem: 1 };
            // A repeated name is refused.
            let _ = kept.snapshot.accounts.create(&account, &random);
        }
        for (host, user, expires) in sessions {
            let caller = Caller { user, account: user, expires, seq: 1, oem: 1 };
            kept.snapshot.sessions.issue(Session { caller, host }, &random);
        }
        let text = state_document::write(&kept);
        let back = state_document::read(&text).unwrap();
        prop_assert!(text == state_document::write(&back));
        for name in names {
            let hash = sha1_password(&name, &"secret-1".into());
            let user = |state: &PersistedState| state.snapshot.accounts.log_in(&name, hash.expose(), None).map(|user| user.id);
            prop_assert_eq!(user(&kept), user(&back));
        }
        prop_assert_eq!(kept.snapshot.random.hex(40), back.snapshot.random.hex(40), "the random generator differs");
    }

    #[test]
    fn a_damaged_file_never_loses_rows(at in any::<usize>(), with in 1..=255_u8, cut in any::<Option<prop::sample::Index>>()) {
        let folder = tempfile::tempdir().unwrap();
        let kept = state(1);
        let written = StateFile::create(folder.path(), &kept.rows()).unwrap();
        let path = written.path().to_owned();
        drop(written);
        flip(&path, at, with);
        if let Some(cut) = cut {
            let length = std::fs::metadata(&path).unwrap().len();
            let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
            file.set_len(cut.index(usize::try_from(length).unwrap()) as u64).unwrap();
        }
        match StateFile::open(folder.path()).and_then(|file| state_files::read_file(&file)) {
            Ok(back) => prop_assert!(state_document::write(&kept) == state_document::write(&back)),
            Err(StateError::Damaged { .. } | StateError::Io { .. }) => {}
            Err(other) => prop_assert!(false, "{}", other),
        }
    }
}

#[test]
fn an_invalid_document_is_refused_with_the_row() {
    let good: serde_json::Value = serde_json::from_str(&state_document::write(&state(1))).unwrap();
    let changed = |change: fn(&mut serde_json::Value)| {
        let mut document = good.clone();
        change(&mut document);
        state_document::read(&document.to_string()).err().unwrap_or_default()
    };
    type Change = fn(&mut serde_json::Value);
    let cases: [(&str, Change); 6] = [
        ("format 1, but this program reads format 2", |document| document["about"]["format"] = 1.into()),
        ("row \"clock\" is missing", |document| drop(document.as_object_mut().unwrap().shift_remove("clock"))),
        ("row \"hubs/90000001\": missing field", |document| document["hubs"]["90000001"] = serde_json::json!({})),
        ("row \"hubs/1\" contains hub 90000001", |document| {
            document["hubs"]["1"] = document["hubs"]["90000001"].clone();
        }),
        ("unknown row \"nonsense\"", |document| document["nonsense"] = 1.into()),
        ("rows \"owners\": \"x\" is not a serial", |document| {
            document["owners"]["x"] = document["owners"]["90000001"].clone();
        }),
    ];
    for (expected, change) in cases {
        let error = changed(change);
        assert!(error.contains(expected), "expected {expected:?}, got {error:?}");
    }
    assert!(state_document::read("hello").is_err() && state_document::read("[]").is_err());
}

#[test]
fn a_state_is_opened_once_and_replaced_only_on_request() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(state_files::summary(folder.path()), Err(StateError::Missing { .. })));
    let text = state_document::write(&state(1));
    assert_eq!(state_files::import(folder.path(), &text, false).unwrap().hubs, 4);
    assert!(matches!(state_files::import(folder.path(), &text, false), Err(StateError::Exists { .. })));
    let other = state_document::write(&state(2));
    state_files::import(folder.path(), &other, true).unwrap();
    assert_eq!(state_files::export(folder.path()).unwrap(), other);
    let _open = StateFile::open(folder.path()).unwrap();
    assert!(matches!(state_files::export(folder.path()), Err(StateError::InUse { .. })));
}
