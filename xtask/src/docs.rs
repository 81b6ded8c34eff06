//! `cargo xtask docs`: runs the examples of the pages, checks links, and generates the reference pages.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::say::say;
use crate::{Failure, Outcome, root};

mod examples;
mod generated;
mod limits;
mod links;
mod server;
mod world_files;

#[derive(Debug, Default, clap::Args)]
pub(crate) struct Arguments {
    /// Write the generated pages instead of checking that they are up to date.
    #[arg(long)]
    write: bool,
    /// Run the examples of these pages only, such as docs/faults.md.
    pages: Vec<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    build()?;
    generated::run(arguments.write)?;
    let pages = pages();
    links::check(&pages)?;
    let wanted =
        |page: &&PathBuf| arguments.pages.is_empty() || arguments.pages.iter().any(|path| page.ends_with(path));
    // The READMEs of crates show commands that build; their Rust examples are doctests.
    let has_examples =
        |page: &&PathBuf| page.parent().is_some_and(|parent| parent == root() || parent.ends_with("docs"));
    let mut blocks = 0;
    for page in pages.iter().filter(has_examples).filter(wanted) {
        blocks += examples::run(page)?;
    }
    say!("docs: {} pages: links are valid, {blocks} example blocks succeeded", pages.len());
    Ok(())
}

/// Builds `mock-cloud`, which the examples run.
fn build() -> Outcome {
    let arguments = ["build", "--package", "mock-cloud-cli", "--bin", "mock-cloud", "--locked", "--quiet"];
    let status = Command::new("cargo").args(arguments).current_dir(root()).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("cargo build of mock-cloud failed ({status})").into()),
        Err(error) => Err(format!("cannot run cargo: {error}").into()),
    }
}

/// Returns the folder of the built programs, which is the folder of this program.
pub(crate) fn programs() -> Result<PathBuf, Failure> {
    let own = std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
    Ok(own.parent().unwrap_or(&own).to_owned())
}

/// Returns all Markdown pages of the project.
fn pages() -> Vec<PathBuf> {
    let mut pages: Vec<PathBuf> = Vec::new();
    let top = fs::read_dir(root()).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    pages.extend(top.filter(|path| path.extension().is_some_and(|end| end == "md")));
    for folder in ["docs", "crates", "mock-cloud", "benches"] {
        crate::tidy::collect(&root().join(folder), "md", &mut pages);
    }
    pages.sort();
    pages
}
