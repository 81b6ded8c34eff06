//! Checks that the files named in ARCHITECTURE.md exist, and that its layer table equals the table in `layers`.

use std::fs;

use super::layers::LAYERS;
use crate::root;

const PAGE: &str = "ARCHITECTURE.md";

/// Folders in which a file name of the page is looked up.
const ROOTS: &[&str] = &["", "mock-cloud/src", "crates"];

pub(crate) fn check(faults: &mut Vec<String>) {
    let text = fs::read_to_string(root().join(PAGE)).unwrap_or_default();
    let codes = text.split('`').skip(1).step_by(2);
    for code in codes {
        let is_file = [".rs", ".toml", ".md", ".txt", ".json"].iter().any(|end| code.ends_with(end));
        let exists = |prefix: &&str| root().join(prefix).join(code).exists();
        if is_file && !code.contains(['*', ' ', '<']) && !ROOTS.iter().any(exists) {
            faults.push(format!("{PAGE}: the file {code} does not exist"));
        }
    }
    for (number, layer) in LAYERS.iter().enumerate() {
        let names: Vec<String> = layer.iter().map(|name| format!("`{name}`")).collect();
        let row = format!("| {} | {} |", number + 1, names.join(", "));
        if !text.contains(&row) {
            faults.push(format!("{PAGE}: the layer table has no row that begins with {row}"));
        }
    }
}
