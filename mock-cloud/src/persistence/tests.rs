//! Kept states: written and read back, damaged, of other worlds.

use std::path::Path;

use ezlo_protocol::password::sha1_password;
use proptest::prelude::*;

use crate::config::{Assumptions, Framing, Profile};
use crate::core::clock::Clock;
use crate::core::rng::Random;
use crate::persistence::redb_store::StateFile;
use crate::persistence::rows::{PersistedAuthority, PersistedState, StateHeader};
use crate::persistence::{StateError, export};
use crate::world::accounts::NewAccount;
use crate::world::sessions::Session;
use crate::world::tokens::Caller;
use crate::world::{World, WorldConfig};
use ezlo_hub_sim::world_file::WorldFile;

fn state(seed: u64) -> PersistedState {
    let file = WorldFile::bundled("demo").unwrap();
    let about = StateHeader::new("demo", &file.digest, seed, 0, false);
    let authority = PersistedAuthority { certificate: "c".into(), key: "k".into() };
    let world = World::new(WorldConfig {
        clock: Clock::frozen(1_700_000_000),
        seed,
        assumptions: Assumptions::default(),
        profile: Profile::Calm,
        framing: Framing::default(),
        file: file.into(),
        journal: true,
        keeper: None,
        asleep: false,
    });
    world.kept(about, authority)
}

fn flip(path: &Path, at: usize, with: u8) {
    let mut bytes = std::fs::read(path).unwrap();
    let at = at % bytes.len();
    bytes[at] ^= with;
    std::fs::write(path, bytes).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    /// Whoever made accounts, logged in and claimed hubs: nothing of it is lost on the way to a document and back.
    #[test]
    fn a_document_loses_nothing(
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
            let wish = NewAccount { username: name, email: &email, password: &"secret-1".into() };
            // The same name twice is refused, as it should be.
            let _ = kept.snapshot.accounts.create(&wish, &random);
        }
        for (host, user, expires) in sessions {
            let caller = Caller { user, account: user, expires, seq: 1 };
            kept.snapshot.sessions.issue(Session { caller, host }, &random);
        }
        let text = export::write(&kept);
        let back = export::read(&text).unwrap();
        prop_assert!(text == export::write(&back));
        for name in names {
            let hash = sha1_password(&name, &"secret-1".into());
            let user = |state: &PersistedState| state.snapshot.accounts.log_in(&name, hash.expose(), None).map(|user| user.id);
            prop_assert_eq!(user(&kept), user(&back));
        }
        prop_assert_eq!(kept.snapshot.random.hex(40), back.snapshot.random.hex(40), "chance goes on alike");
    }

    /// A file with a wrong byte is the state that was written or no state at all, and never a panic.
    #[test]
    fn a_damaged_file_is_refused_or_whole(at in any::<usize>(), with in 1..=255_u8, cut in any::<Option<prop::sample::Index>>()) {
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
        match StateFile::open(folder.path()).and_then(|file| file.read()) {
            Ok(back) => prop_assert!(export::write(&kept) == export::write(&back)),
            Err(StateError::Damaged { .. } | StateError::Io { .. }) => {}
            Err(other) => prop_assert!(false, "{}", other),
        }
    }
}

#[test]
fn a_document_that_is_not_one_is_refused_and_says_where() {
    let good: serde_json::Value = serde_json::from_str(&export::write(&state(1))).unwrap();
    let changed = |change: fn(&mut serde_json::Value)| {
        let mut document = good.clone();
        change(&mut document);
        export::read(&document.to_string()).err().unwrap_or_default()
    };
    type Change = fn(&mut serde_json::Value);
    let cases: [(&str, Change); 6] = [
        ("format 1, and this program reads format 2", |document| document["about"]["format"] = 1.into()),
        ("it has no row \"clock\"", |document| drop(document.as_object_mut().unwrap().shift_remove("clock"))),
        ("row \"hubs/90000001\": missing field", |document| document["hubs"]["90000001"] = serde_json::json!({})),
        ("row \"hubs/1\" is hub 90000001", |document| document["hubs"]["1"] = document["hubs"]["90000001"].clone()),
        ("nobody knows row \"nonsense\"", |document| document["nonsense"] = 1.into()),
        ("\"x\" in the rows \"owners\" is no serial", |document| {
            document["owners"]["x"] = document["owners"]["90000001"].clone();
        }),
    ];
    for (expected, change) in cases {
        let said = changed(change);
        assert!(said.contains(expected), "expected {expected:?}, got {said:?}");
    }
    assert!(export::read("hello").is_err() && export::read("[]").is_err());
}

#[test]
fn a_file_is_opened_once_and_what_is_there_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(crate::persistence::summary(folder.path()), Err(StateError::Missing { .. })));
    let text = export::write(&state(1));
    assert_eq!(crate::persistence::import(folder.path(), &text, false).unwrap().hubs, 4);
    assert!(matches!(crate::persistence::import(folder.path(), &text, false), Err(StateError::Exists { .. })));
    let other = export::write(&state(2));
    crate::persistence::import(folder.path(), &other, true).unwrap();
    assert_eq!(crate::persistence::export(folder.path()).unwrap(), other);
    let _open = StateFile::open(folder.path()).unwrap();
    assert!(matches!(crate::persistence::export(folder.path()), Err(StateError::InUse { .. })));
}
