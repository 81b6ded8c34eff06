//! Checks the language of documentation: first words of doc comments, and a list of rejected words.

use std::fs;
use std::path::Path;

use crate::root;

/// First words that make a doc comment a question or a clause without a subject.
const OPENERS: &[&str] =
    &["What", "Who", "Whom", "Whose", "Whether", "How", "Which", "Where", "When", "Whoever", "Whatever", "Why"];

/// Limit for doc comments that begin with one of these words, per thousand.
const MAX_OPENERS: usize = 9;

/// File of rejected words, one `word: reason` per line.
const WORDS: &str = "xtask/src/tidy/words.txt";

/// The number of doc comments, and a message for each with a rejected first word.
#[derive(Default)]
struct Openers {
    docs: usize,
    found: Vec<String>,
}

pub(crate) fn check(sources: &[std::path::PathBuf], faults: &mut Vec<String>) {
    let list = fs::read_to_string(root().join(WORDS)).unwrap_or_default();
    let words: Vec<(&str, &str)> =
        list.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(": ")).collect();
    if words.is_empty() {
        faults.push(format!("{WORDS} cannot be read or is empty"));
    }
    let mut openers = Openers::default();
    for path in sources {
        let text = fs::read_to_string(path).unwrap_or_default();
        if text.starts_with("// @generated") {
            continue;
        }
        openers.read(path, &text);
        let comments = text.lines().enumerate().filter_map(|(at, line)| Some((at, line.split_once("//")?.1)));
        find(path, comments, &words, faults);
    }
    if openers.found.len() * 1000 > openers.docs * MAX_OPENERS {
        faults.push(format!("{} of {} doc comments begin with a question word", openers.found.len(), openers.docs));
        faults.append(&mut openers.found);
    }
    let mut pages = Vec::new();
    for folder in ["docs", "crates", "mock-cloud", "benches"] {
        super::collect(&root().join(folder), "md", &mut pages);
    }
    pages.extend(["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md"].map(|page| root().join(page)));
    for page in pages {
        let text = fs::read_to_string(&page).unwrap_or_default();
        find(&page, text.lines().enumerate(), &words, faults);
    }
}

impl Openers {
    fn read(&mut self, path: &Path, text: &str) {
        let mut was_doc = false;
        for (at, line) in text.lines().enumerate() {
            let doc = line.trim_start().strip_prefix("///").or_else(|| line.trim_start().strip_prefix("//!"));
            if let Some(doc) = doc.filter(|_| !was_doc) {
                self.docs += 1;
                let first = doc.split_whitespace().next().unwrap_or_default();
                if OPENERS.contains(&first) {
                    self.found.push(format!("{}:{}: a doc comment begins with {first}", super::name(path), at + 1));
                }
            }
            was_doc = doc.is_some();
        }
    }
}

fn find<'t>(
    path: &Path,
    lines: impl Iterator<Item = (usize, &'t str)>,
    words: &[(&str, &str)],
    faults: &mut Vec<String>,
) {
    for (at, line) in lines {
        let lower = line.to_lowercase();
        for (word, reason) in words {
            let mut places = lower.match_indices(word);
            let is_whole = |(start, _): (usize, &str)| {
                let letter = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
                !letter(lower[..start].chars().next_back()) && !letter(lower[start + word.len()..].chars().next())
            };
            if places.any(is_whole) {
                faults.push(format!("{}:{}: {word:?}: {reason}", super::name(path), at + 1));
            }
        }
    }
}
