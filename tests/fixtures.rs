//! Every captured and vendor-documented message is decoded into its type and encoded without a difference.

use std::fs;
use std::path::Path;

use ezlo_protocol::message::{Outcome, round_trip};

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
