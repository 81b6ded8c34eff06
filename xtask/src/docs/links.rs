//! Checks that relative links lead to files, and their fragments to headings.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::say::say;
use crate::{Outcome, root};

/// Checks all links of the pages. External links are not followed.
pub(super) fn check(pages: &[PathBuf]) -> Outcome {
    let mut broken = 0;
    for page in pages {
        let text = fs::read_to_string(page).unwrap_or_default();
        for (line, target) in links(&text) {
            if let Some(problem) = problem(page, &text, &target) {
                say!("{}:{line}: link {target}: {problem}", page.strip_prefix(root()).unwrap_or(page).display());
                broken += 1;
            }
        }
    }
    if broken == 0 { Ok(()) } else { Err(format!("{broken} links are broken").into()) }
}

fn problem(page: &Path, text: &str, target: &str) -> Option<&'static str> {
    if ["http://", "https://", "mailto:"].iter().any(|scheme| target.starts_with(scheme)) {
        return None;
    }
    let (file, fragment) = target.split_once('#').map_or((target, None), |(file, fragment)| (file, Some(fragment)));
    let path = if file.is_empty() { page.to_owned() } else { page.parent().unwrap_or(page).join(file) };
    if !path.exists() {
        return Some("the file does not exist");
    }
    let fragment = fragment?;
    let other = if file.is_empty() { text.to_owned() } else { fs::read_to_string(&path).unwrap_or_default() };
    (!anchors(&other).contains(fragment)).then_some("the page has no such heading")
}

/// Returns the targets of inline links outside of code, each with its line.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, line) in prose(text) {
        let without_code: String = line.split('`').step_by(2).collect::<Vec<_>>().join("code");
        let targets = without_code.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
        found.extend(targets.map(|(target, _)| (at, target.to_owned())));
    }
    found
}

/// Returns the lines outside of code fences, numbered from 1.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut in_fence = false;
    text.lines().enumerate().filter_map(move |(at, line)| {
        if line.trim_start().starts_with("```") {
            in_fence = !in_fence;
            return None;
        }
        (!in_fence).then_some((at + 1, line))
    })
}

/// Returns the fragments of the headings, as GitHub derives them.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings =
        prose(text).filter_map(|(_, line)| line.strip_prefix('#').map(|line| line.trim_start_matches('#').trim()));
    let slug = |heading: &str| {
        let kept = heading.to_lowercase();
        kept.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).collect::<String>().replace(' ', "-")
    };
    headings.map(slug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_and_anchors_are_found() {
        let text = "# First heading: `a`, b\n[x](other.md#there) and `[y](z)`\n```sh\n[n](n)\n```\n";
        assert_eq!(links(text), [(2, "other.md#there".to_owned())]);
        assert!(anchors(text).contains("first-heading-a-b"));
    }
}
