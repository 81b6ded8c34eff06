//! The `mock-cloud` program.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that talks to its user")]

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod cli;

#[derive(Debug, Parser)]
#[command(
    name = "mock-cloud",
    version,
    about = "Simulates the Ezlo and Vera cloud, relay, access points and hubs, offline. For tests only."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve until interrupted. Prints one line of JSON when ready, and nothing else on standard output.
    Serve(Box<cli::serve::Serve>),
    /// Be one hub, at a relay somewhere else. Prints one line of JSON each time the relay has taken it.
    Hub(Box<cli::hub::Hub>),
    /// Look at worlds: list, check, show, make one from a real hub's answers.
    World(cli::world::World),
    /// Look at a kept state, write it out as one readable file, read such a file in.
    State(cli::state::State),
    /// Say how each simulated answer is known, and where from.
    Evidence(cli::evidence::Arguments),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Evidence(arguments) => cli::evidence::run(&arguments),
        Command::World(world) => cli::world::run(&world),
        Command::State(state) => cli::state::run(&state),
        Command::Serve(serve) => in_runtime(cli::serve::run(&serve)),
        Command::Hub(hub) => in_runtime(cli::hub::run(&hub)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("mock-cloud: {text}");
            ExitCode::FAILURE
        }
    }
}

fn in_runtime(work: impl Future<Output = Result<(), String>>) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|error| format!("cannot start: {error}"))?.block_on(work)
}
