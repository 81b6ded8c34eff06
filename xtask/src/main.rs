//! `cargo xtask`: build, test, documentation and maintenance tasks of this workspace. CI runs the same tasks.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line program prints its results")]

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod api;
mod build_cost;
mod ci;
mod codegen;
mod coverage;
mod demo;
mod docs;
mod fixtures;
mod reference;
mod roundtrip;
mod say;
mod soak;
mod tidy;
mod torture;

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "Runs the tasks of this workspace. CI runs `ci`.")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Run the flows of the vendor's note against a simulated cloud: onboarding, account, relay, devices, Z-Wave, LAN.
    Demo(demo::Arguments),
    /// Run the doctests, then all other tests. Uses cargo-nextest if it is installed.
    Test(ci::TestArguments),
    /// Run all checks of CI: tests, format, clippy, docs, licences, features, generated files, tidy.
    Ci,
    /// Check rules that the compiler does not: dependencies, lengths, sleeps in tests, language, secrets in fixtures.
    Tidy,
    /// Decode each message file of a folder into its type, encode it again and compare.
    Roundtrip(roundtrip::Arguments),
    /// Write the public interface of each library to fixtures/api.
    Api(api::Arguments),
    /// Generate the catalogue of hub tokens in ezlo-protocol from fixtures/catalogue.
    Codegen(codegen::Arguments),
    /// Run a benchmark against other programs in the same run. See `bench -- --help` for the arguments.
    ///
    /// `bench build-cost` measures the processor time that each library adds to a clean debug build of its user.
    Bench {
        /// Arguments of the benchmark: NAME, --quick, --full, --json.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<String>,
    },
    /// Print the reference of hub methods, broadcasts and scene blocks from the tables of ezlo-protocol.
    Reference(reference::Arguments),
    /// Run the examples of README and docs, check links, and check or write the generated pages.
    Docs(docs::Arguments),
    /// Run the SDK against a simulated cloud with continuous network faults, and check its guarantees.
    Soak(soak::Arguments),
    /// Attack the program: kills, damaged state files, mutated input, slow clients, floods, and messages that fill memory.
    Torture(torture::Arguments),
    /// Count the known parts of the hub protocol that are covered, and list each missing part with the reason.
    Coverage(coverage::Arguments),
    /// List the message fixtures with their types.
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
        Task::Bench { rest } if rest == ["build-cost"] => build_cost::run(),
        Task::Bench { rest } => ci::bench(&rest),
        Task::Reference(arguments) => reference::run(&arguments),
        Task::Docs(arguments) => docs::run(&arguments),
        Task::Soak(arguments) => soak::run(&arguments),
        Task::Torture(arguments) => torture::run(&arguments),
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

/// The failure of a task, with its cause and the next step. The text is empty if the task has already printed it.
#[derive(Debug)]
struct Failure(String);

impl<T: Into<String>> From<T> for Failure {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

type Outcome = Result<(), Failure>;

/// Returns the folder of the workspace's `Cargo.toml`.
fn root() -> std::path::PathBuf {
    let package = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).to_owned()
}
