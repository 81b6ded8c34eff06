//! Project tasks: what CI runs is what you run.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that talks to its user")]

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod api;
mod ci;
mod codegen;
mod coverage;
mod demo;
mod fixtures;
mod reference;
mod roundtrip;
mod say;
mod soak;
mod tidy;

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "Project tasks: what CI runs is what you run.")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Walk the vendor's whole note against a simulated cloud: onboarding, account, relay, devices, Z-Wave, LAN.
    Demo(demo::Arguments),
    /// Run every test: doctests, then all the rest (with nextest where it is installed).
    Test(ci::TestArguments),
    /// Everything CI checks: tests, format, clippy, docs, licences, tidy.
    Ci,
    /// Check what compilers cannot: dependency rules, lengths, sleeps in tests, fixtures without secrets.
    Tidy,
    /// Take every message file of a folder through its type and back.
    Roundtrip(roundtrip::Arguments),
    /// List the public interface of every library into fixtures/api.
    Api(api::Arguments),
    /// Generate the catalogue of the hub's words from fixtures/catalogue.
    Codegen(codegen::Arguments),
    /// Measure us beside something else in the same run; arguments go to the benchmark (`bench -- --help`).
    Bench {
        /// NAME, --quick, --full, --json.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<String>,
    },
    /// Print the reference of the hub's methods, broadcasts and scene blocks, from the tables that everything else uses.
    Reference(reference::Arguments),
    /// Run the SDK against a simulated cloud through a network that misbehaves, and check what must hold.
    Soak(soak::Arguments),
    /// Tell how much of what is known of the hub is covered, and what is missing why.
    Coverage(coverage::Arguments),
    /// List the fixtures and what is known of each.
    Fixtures(fixtures::Arguments),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().task {
        Task::Demo(arguments) => demo::run(&arguments),
        Task::Test(arguments) => ci::test(&arguments),
        Task::Ci => ci::run(),
        Task::Tidy => tidy::run(),
        Task::Roundtrip(arguments) => roundtrip::run(&arguments),
        Task::Api(arguments) => api::run(&arguments),
        Task::Codegen(arguments) => codegen::run(&arguments),
        Task::Bench { rest } => ci::bench(&rest),
        Task::Reference(arguments) => reference::run(&arguments),
        Task::Soak(arguments) => soak::run(&arguments),
        Task::Coverage(arguments) => coverage::run(&arguments),
        Task::Fixtures(arguments) => fixtures::run(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure(text)) => {
            if !text.is_empty() {
                eprintln!("xtask: {text}");
            }
            ExitCode::FAILURE
        }
    }
}

/// A task failed; the text says what and what to do, and is empty when the task has already said it.
#[derive(Debug)]
struct Failure(String);

impl<T: Into<String>> From<T> for Failure {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

type Outcome = Result<(), Failure>;

/// The folder with the workspace's `Cargo.toml`.
fn root() -> std::path::PathBuf {
    let package = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).to_owned()
}
