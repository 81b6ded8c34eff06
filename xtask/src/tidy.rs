//! `cargo xtask tidy`: what compilers cannot check.

use std::fs;
use std::path::{Path, PathBuf};

use crate::say::say;
use crate::{Outcome, root};

/// Longest source file outside tests, in lines; its own tests at the end do not count.
const MAX_FILE: usize = 500;
/// Longest function outside tests, in lines.
const MAX_FUNCTION: usize = 80;

/// Who may depend on whom: for each package, the only packages of this workspace it may name.
const MAY_USE: &[(&str, &[&str])] = &[
    ("crates/ezlo-protocol", &[]),
    ("crates/ezlo-mms", &["ezlo-protocol"]),
    ("crates/ezlo-relay", &["ezlo-protocol"]),
    ("crates/ezlo-onboarding", &["ezlo-protocol"]),
    ("crates/ezlo", &["ezlo-mms", "ezlo-relay", "ezlo-onboarding", "ezlo-protocol"]),
    ("crates/ezlo-testkit", &["ezlo-protocol"]),
    ("mock-cloud", &["ezlo-protocol"]),
];

/// What the protocol crate must not depend on: runtimes, sockets, clocks.
const NOT_IN_PROTOCOL: &[&str] = &["tokio", "hyper", "reqwest", "futures", "jiff", "chrono", "rustls"];

/// Serials that are made up (the ready line's, the captures' and the guide's); any other 8 or 9 digits after a known prefix
/// in a fixture are suspicious.
const INVENTED_SERIAL_ENDINGS: &[&str] = &["000001", "000002", "000003", "0000001"];

pub(crate) fn run() -> Outcome {
    let mut faults = Vec::new();
    dependencies(&mut faults);
    let mut sources = Vec::new();
    for folder in ["crates", "mock-cloud/src", "tests", "xtask/src"] {
        collect(&root().join(folder), "rs", &mut sources);
    }
    for file in &sources {
        source(file, &mut faults);
    }
    fixtures(&mut faults);
    for fault in &faults {
        say!("tidy: {fault}");
    }
    if faults.is_empty() {
        say!("tidy: {} source files are in order", sources.len());
        Ok(())
    } else {
        Err(format!("{} things are not in order", faults.len()).into())
    }
}

fn collect(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
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

fn dependencies(faults: &mut Vec<String>) {
    for (folder, allowed) in MAY_USE {
        let path = root().join(folder).join("Cargo.toml");
        let manifest = fs::read_to_string(&path).unwrap_or_default().parse::<toml::Table>().unwrap_or_default();
        if manifest.is_empty() {
            faults.push(format!("{folder}/Cargo.toml cannot be read"));
        }
        let section =
            |section: &str| manifest.get(section).and_then(toml::Value::as_table).cloned().unwrap_or_default();
        for dependency in section("dependencies").keys().chain(section("dev-dependencies").keys()) {
            let sibling = dependency == "ezlo" || dependency.starts_with("ezlo-");
            if sibling && !allowed.contains(&dependency.as_str()) {
                faults.push(format!("{folder} must not depend on {dependency}"));
            }
            if *folder == "crates/ezlo-protocol" && NOT_IN_PROTOCOL.iter().any(|banned| dependency.starts_with(banned))
            {
                faults.push(format!("{folder} must stay without I/O, clock and runtime, but has {dependency}"));
            }
        }
        // `workspace = true` brings the workspace's version along, and then a release waits for its own tests' release.
        let versioned = |spec: &toml::Value| spec.get("version").is_some() || spec.get("workspace").is_some();
        let local = |name: &str| name == "ezlo" || name.starts_with("ezlo-");
        let dev = section("dev-dependencies");
        let faulty = dev.iter().filter(|(name, spec)| local(name) && versioned(spec));
        faults.extend(faulty.map(|(name, _)| format!("{folder}: path dev-dependency {name} has a version")));
    }
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
    // Spelled in two halves, so that this line does not find itself.
    let sleeps = [concat!("slee", "p("), concat!("#[ign", "ore")];
    for found in sleeps.iter().filter(|sleep| test_code.contains(**sleep)) {
        // The clock under test is asked to sleep; that takes no time.
        if !name(path).ends_with("clock.rs") {
            faults.push(format!("{}: {found} in a test; wait for a fact, not for time", name(path)));
        }
    }
    if !is_test_file {
        functions(path, code, faults);
    }
}

/// Functions by indentation, which the formatter guarantees: from `fn` to the closing brace below it.
fn functions(path: &Path, code: &str, faults: &mut Vec<String>) {
    let lines: Vec<&str> = code.lines().collect();
    for (at, line) in lines.iter().enumerate() {
        let body = line.trim_start();
        let indent = line.len() - body.len();
        let is_function = body.split_once("fn ").is_some_and(|(before, _)| {
            let modifiers = ["pub", "pub(crate)", "pub(super)", "const", "async", "unsafe"];
            before.split_whitespace().all(|word| modifiers.contains(&word))
        });
        if !is_function {
            continue;
        }
        let closing = format!("{}}}", " ".repeat(indent));
        let length = lines[at..].iter().position(|line| *line == closing).map_or(0, |end| end + 1);
        if length > MAX_FUNCTION {
            faults.push(format!("{}:{}: a function of {length} lines, at most {MAX_FUNCTION}", name(path), at + 1));
        }
    }
}

/// Fixtures carry no secrets and no serials of real hubs.
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
                faults.push(format!("{}: holds a token", name(&path)));
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
