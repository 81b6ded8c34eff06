//! Every captured and vendor-documented message is decoded into its type and encoded without a difference.

use std::fs;
use std::path::{Path, PathBuf};

use ezlo_protocol::message::{Outcome, round_trip};
use serde_json::Value;

#[test]
fn every_fixture_round_trips_as_a_typed_message() {
    let mut count = 0;
    for folder in ["captures", "vendor-samples"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/wire").join(folder);
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "json") {
                let document = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
                let name = path.file_name().unwrap().to_string_lossy();
                let outcome = round_trip(&document, &name).unwrap_or_else(|error| panic!("{name}: {error}"));
                assert!(matches!(outcome, Outcome::Typed(_)), "{name}: {outcome:?}");
                count += 1;
            }
        }
    }
    assert!(count >= 140, "only {count} fixtures were found");
}

/// Messages of public reports: one is malformed as the hub sent it, two are calls of other products.
#[test]
fn messages_of_field_reports_round_trip() {
    let (mut typed, mut other, mut malformed) = (0, Vec::new(), Vec::new());
    for path in json_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/wire/field-cases")) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        match serde_json::from_slice::<Value>(&fs::read(&path).unwrap()) {
            Err(_) => malformed.push(name),
            Ok(document) => match round_trip(&document, &name).unwrap_or_else(|error| panic!("{name}: {error}")) {
                Outcome::Typed(_) => typed += 1,
                Outcome::Other(_) => other.push(name),
            },
        }
    }
    other.sort();
    assert_eq!(malformed, ["m18-reply-favorite-atom-malformed.json"]);
    assert_eq!(other, ["m19-request-controller-abstracts.json", "m25-request-nma-login-controller.json"]);
    assert!(typed >= 42, "only {typed} messages were found");
}

fn json_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let nested = |path: PathBuf| if path.is_dir() { json_files(&path) } else { vec![path] };
    entries.flat_map(nested).filter(|path| path.extension().is_some_and(|extension| extension == "json")).collect()
}
