//! The `mock-cloud` program.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line program prints its results")]

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod cli;

#[derive(Debug, Parser)]
#[command(
    name = "mock-cloud",
    version,
    about = "Simulates the Ezlo and Vera cloud, relay, access points and hubs, offline. For tests only.",
    after_help = "Run `mock-cloud COMMAND --help` for the flags and examples of a command."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve a simulated cloud until Ctrl-C or SIGTERM.
    ///
    /// The program prints one line of JSON with all addresses, users and hubs when the cloud is ready. Nothing else is written
    /// to standard output. Flags take precedence over the configuration file.
    #[command(after_help = cli::serve::EXAMPLES)]
    Serve(Box<cli::serve::Serve>),
    /// Run one hub that connects to the relay of another process.
    ///
    /// The program prints one line of JSON each time the relay has registered the hub. It reconnects after 1 s, and after up to
    /// 30 s when attempts keep failing.
    #[command(after_help = cli::hub::EXAMPLES)]
    Hub(Box<cli::hub::Hub>),
    /// List, show and check worlds; create a world file from the answers of a real hub.
    #[command(after_help = cli::world::EXAMPLES)]
    World(cli::world::World),
    /// Show, export and import persisted state.
    ///
    /// The commands work on a state directory that no running process has open. `GET /worlds/0/export` of the control API
    /// exports a running world.
    #[command(after_help = cli::state::EXAMPLES)]
    State(cli::state::State),
    /// List the evidence level and the source of every simulated answer.
    ///
    /// Levels, from strongest to weakest: captured (a real message), vendor (vendor documents), client-source (source code of a
    /// working client or firmware), community (reports of users), inferred (no source).
    #[command(after_help = cli::evidence::EXAMPLES)]
    Evidence(cli::evidence::Arguments),
}

/// Former spellings of flags, and the text that replaces each.
const FORMER_FLAGS: &[(&str, &str)] = &[
    ("--living", "is now --simulate-behaviours"),
    ("--only-proven", "is now --min-evidence"),
    ("--framing", "was removed: tungstenite reads and writes all WebSocket frames"),
];

/// Returns the error for the first argument that is a former flag.
fn former_flag(arguments: impl Iterator<Item = String>) -> Option<String> {
    arguments.take_while(|argument| argument != "--").find_map(|argument| {
        let name = argument.split('=').next().unwrap_or_default();
        let (_, text) = FORMER_FLAGS.iter().find(|(former, _)| *former == name)?;
        Some(format!("{name} {text}"))
    })
}

fn main() -> ExitCode {
    let arguments = std::env::args_os().skip(1).filter_map(|argument| argument.into_string().ok());
    if let Some(text) = former_flag(arguments) {
        eprintln!("mock-cloud: {text}");
        // The exit code of clap for a wrong command line.
        return ExitCode::from(2);
    }
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
    runtime.map_err(|error| format!("cannot start the Tokio runtime: {error}"))?.block_on(work)
}

#[cfg(test)]
mod help_tests {
    use clap::{Arg, Command, CommandFactory as _};

    use super::Arguments;

    /// Calls `check` with the name of every command that runs, and the command.
    fn each_command(command: &Command, path: &str, check: &mut impl FnMut(&str, &Command)) {
        let path = format!("{path} {}", command.get_name());
        if command.has_subcommands() {
            command.get_subcommands().for_each(|command| each_command(command, &path, check));
        } else {
            check(path.trim(), command);
        }
    }

    #[test]
    fn every_command_has_two_examples_and_every_option_a_default() {
        let mut options = 0;
        each_command(&Arguments::command(), "", &mut |path, command| {
            let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let runs = |line: &&str| line.starts_with("    mock-cloud ");
            assert!(examples.lines().filter(runs).count() >= 2, "{path}: {examples}");
            let optional = |arg: &&Arg| !arg.is_required_set() && !arg.is_positional();
            for arg in command.get_arguments().filter(optional) {
                let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
                let has_default = help.contains("(default: ") || help.contains(", default: ");
                assert!(has_default || !arg.get_default_values().is_empty(), "{path} --{}: {help}", arg.get_id());
                options += 1;
            }
        });
        assert!(options > 30, "{options}");
    }
}
