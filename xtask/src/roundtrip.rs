//! `cargo xtask roundtrip DIR`: decodes each message file into its type, encodes it again and compares.

use std::fs;
use std::path::{Path, PathBuf};

use ezlo_protocol::message::{self, Outcome as Seen};
use serde_json::{Value, json};

use crate::say::say;
use crate::{Failure, Outcome};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Folders to search for .json files, including subfolders.
    #[arg(required = true)]
    dirs: Vec<PathBuf>,
    /// Print one JSON object instead of lines.
    #[arg(long)]
    json: bool,
}

/// The results for the message files of a folder.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) files: usize,
    pub(crate) typed: Vec<(PathBuf, String)>,
    pub(crate) other: Vec<(PathBuf, String)>,
    pub(crate) failed: Vec<(PathBuf, String)>,
}

/// Size limit of a file, in bytes. Recorded messages are far smaller.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let mut report = Report::default();
    for dir in &arguments.dirs {
        visit(dir, &mut report).map_err(|error| format!("cannot read {}: {error}", dir.display()))?;
    }
    if report.files == 0 {
        return Err("no .json file was found; name the folder of the messages".into());
    }
    if arguments.json {
        say!("{}", summary(&report));
    } else {
        print(&report);
    }
    if report.failed.is_empty() { Ok(()) } else { Err(Failure(String::new())) }
}

fn summary(report: &Report) -> Value {
    let list = |entries: &[(PathBuf, String)]| -> Vec<Value> {
        entries.iter().map(|(file, why)| json!({"file": file.display().to_string(), "why": why})).collect()
    };
    json!({
        "files": report.files,
        "typed": report.typed.len(),
        "other": report.other.len(),
        "failed": report.failed.len(),
        "others": list(&report.other),
        "failures": list(&report.failed),
    })
}

fn print(report: &Report) {
    for (mark, entries) in [("other ", &report.other), ("FAILED", &report.failed)] {
        for (file, why) in entries {
            say!("{mark}  {}: {why}", file.display());
        }
    }
    let Report { files, typed, other, failed } = report;
    say!("{files} files: {} typed, {} other, {} failed", typed.len(), other.len(), failed.len());
}

pub(crate) fn visit(path: &Path, report: &mut Report) -> std::io::Result<()> {
    if path.is_dir() {
        let mut entries: Vec<_> = fs::read_dir(path)?.collect::<Result<_, _>>()?;
        entries.sort_by_key(fs::DirEntry::path);
        return entries.iter().try_for_each(|entry| {
            // A symbolic link may lead to a parent folder and cause an endless recursion.
            if entry.file_type()?.is_symlink() { Ok(()) } else { visit(&entry.path(), report) }
        });
    }
    if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json")) {
        report.files += 1;
        check_file(path, report)?;
    }
    Ok(())
}

fn check_file(path: &Path, report: &mut Report) -> std::io::Result<()> {
    let file = path.to_owned();
    if fs::metadata(path)?.len() > MAX_BYTES {
        report.failed.push((file, format!("longer than {MAX_BYTES} bytes")));
        return Ok(());
    }
    let document: Value = match serde_json::from_slice(&fs::read(path)?) {
        Ok(document) => document,
        Err(error) => {
            report.failed.push((file, format!("not JSON: {error}")));
            return Ok(());
        }
    };
    let hint = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    match message::round_trip(&document, &hint) {
        Ok(Seen::Typed(what)) => report.typed.push((file, what)),
        Ok(Seen::Other(why)) => report.other.push((file, why)),
        Err(lossy) => report.failed.push((file, lossy.to_string())),
    }
    Ok(())
}
