//! `cargo xtask tidy`: checks that the compiler does not make.

use std::fs;
use std::path::{Path, PathBuf};

use crate::say::say;
use crate::{Outcome, root};

mod architecture;
mod imports;
mod layers;
mod prose;

/// Longest source file outside tests, in lines. A test module at its end is not counted.
const MAX_FILE: usize = 500;
/// Longest function outside tests, in lines.
const MAX_FUNCTION: usize = 80;

/// Endings of invented serials (ready line, captures, guide). Any other number of 8 or 9 digits with a known prefix may be
/// the serial of a real hub.
const INVENTED_SERIAL_ENDINGS: &[&str] = &["000001", "000002", "000003", "0000001"];

pub(crate) fn run() -> Outcome {
    let mut faults = Vec::new();
    layers::check(&mut faults);
    architecture::check(&mut faults);
    let mut sources = Vec::new();
    for folder in ["crates", "mock-cloud/src", "tests", "benches", "xtask/src"] {
        collect(&root().join(folder), "rs", &mut sources);
    }
    for file in &sources {
        source(file, &mut faults);
    }
    prose::check(&sources, &mut faults);
    fixtures(&mut faults);
    for fault in &faults {
        say!("tidy: {fault}");
    }
    if faults.is_empty() {
        say!("tidy: {} source files were checked", sources.len());
        Ok(())
    } else {
        Err(format!("{} problems were found", faults.len()).into())
    }
}

pub(crate) fn collect(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() && path.file_name().is_none_or(|name| name != "target") {
            collect(&path, extension, found);
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
}

fn name(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

fn source(path: &Path, faults: &mut Vec<String>) {
    let Ok(text) = fs::read_to_string(path) else {
        faults.push(format!("{} cannot be read", name(path)));
        return;
    };
    if text.starts_with("// @generated") {
        return;
    }
    let is_test_file = name(path).starts_with("tests/") || name(path).contains("/tests/");
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let lines = code.lines().count();
    if !is_test_file && lines > MAX_FILE {
        faults.push(format!("{}: {lines} lines, at most {MAX_FILE}", name(path)));
    }
    let test_code = if is_test_file { text.as_str() } else { &text[code.len()..] };
    // Each name is split, so that the check does not report this line.
    let sleeps = [concat!("slee", "p("), concat!("#[ign", "ore")];
    for found in sleeps.iter().filter(|sleep| test_code.contains(**sleep)) {
        // `clock.rs` tests the sleep of the simulated clock, which takes no real time.
        if !name(path).ends_with("clock.rs") {
            faults.push(format!("{}: {found} in a test; wait for a condition, not for a time", name(path)));
        }
    }
    if !is_test_file {
        functions(path, code, faults);
    }
}

/// Checks the length of functions. The formatter guarantees that the closing brace has the indentation of `fn`.
fn functions(path: &Path, code: &str, faults: &mut Vec<String>) {
    let lines: Vec<&str> = code.lines().collect();
    for (at, line) in lines.iter().enumerate() {
        let body = line.trim_start();
        let indent = line.len() - body.len();
        let is_function = body.split_once("fn ").is_some_and(|(before, _)| {
            let modifiers = ["pub", "pub(crate)", "pub(super)", "const", "async", "unsafe"];
            before.split_whitespace().all(|word| modifiers.contains(&word))
        });
        // A declaration in a trait has no body.
        if !is_function || body.ends_with(';') {
            continue;
        }
        let closing = format!("{}}}", " ".repeat(indent));
        let length = lines[at..].iter().position(|line| *line == closing).map_or(0, |end| end + 1);
        if length > MAX_FUNCTION {
            faults.push(format!("{}:{}: a function of {length} lines, at most {MAX_FUNCTION}", name(path), at + 1));
        }
    }
}

/// Checks that fixtures contain no secrets and no serials of real hubs.
fn fixtures(faults: &mut Vec<String>) {
    let mut files = Vec::new();
    for extension in ["json", "curl", "toml"] {
        collect(&root().join("fixtures"), extension, &mut files);
    }
    for path in files {
        let text = fs::read_to_string(&path).unwrap_or_default();
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && !"+/=".contains(c));
        for word in words {
            // An Identity begins with base64 of `{"Exp`, a web token with base64 of `{"`, a signature has 344 characters.
            if word.len() > 100 && (word.starts_with("eyJ") || word.len() == 344) {
                faults.push(format!("{}: contains a token", name(&path)));
            }
            let digits = word.len() >= 8 && word.len() <= 9 && word.bytes().all(|digit| digit.is_ascii_digit());
            let like_serial = digits
                && ["40", "45", "50", "55", "70", "76", "90", "92", "105"]
                    .iter()
                    .any(|prefix| word.starts_with(prefix));
            if like_serial && !INVENTED_SERIAL_ENDINGS.iter().any(|ending| word.ends_with(ending)) {
                faults.push(format!("{}: {word} may be the serial of a real hub", name(&path)));
            }
        }
    }
}
