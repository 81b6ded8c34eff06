//! `cargo xtask bench`: compares mock-cloud and the SDK with other programs in interleaved rounds of one run. It reports
//! ratios of medians, and no result fails the build.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line program")]

use std::process::ExitCode;

use clap::Parser;

mod client;
#[cfg(feature = "cluster")]
mod cluster;
mod contest;
mod drive;
mod fanout;
mod growth;
mod http;
mod hub;
mod idle;
mod instructions;
mod listeners;
mod measure;
mod mock;
#[path = "../peers/mod.rs"]
mod peers;
mod relay;
mod sdk;
mod start;
mod virtual_hub;
mod world;

use measure::{Measure, Scale};

#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench", about = "Compares mock-cloud and the SDK with other programs in the same run.")]
struct Arguments {
    /// Run only the benchmarks whose name contains this text.
    name: Option<String>,
    /// Run few short rounds, for a rough estimate (3 rounds of 150 ms; default: 7 of 500 ms).
    #[arg(long)]
    quick: bool,
    /// Run many long rounds, for published tables (11 rounds of 1 s).
    #[arg(long, conflicts_with = "quick")]
    full: bool,
    /// Print one JSON object per measure.
    #[arg(long)]
    json: bool,
}

/// A benchmark: its name and its function.
type Benchmark = (&'static str, fn(Scale) -> Result<Vec<Measure>, String>);

const BENCHMARKS: &[Benchmark] = &[
    ("http", http::run),
    ("relay", relay::run),
    ("virtual-hub", virtual_hub::run),
    ("fan-out", fanout::run),
    ("idle", idle::run),
    ("listeners", listeners::run),
    ("start", start::run),
    ("sdk", sdk::run),
    ("growth", growth::run),
    ("hub", hub::run),
    ("world", world::run),
    ("instructions", instructions::run),
    #[cfg(feature = "cluster")]
    ("cluster", cluster::run),
];

/// The arguments of this program when it runs as a measured process.
#[derive(Debug, Parser)]
struct AsPeer {
    #[command(flatten)]
    peer: peers::Peer,
}

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("peer") {
        let peer = AsPeer::parse_from(std::env::args().skip(1)).peer;
        return match peers::run(&peer) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("bench: {error}");
                ExitCode::FAILURE
            }
        };
    }
    let arguments = Arguments::parse();
    let scale = match (arguments.quick, arguments.full) {
        (true, _) => Scale::Quick,
        (_, true) => Scale::Full,
        _ => Scale::Usual,
    };
    let wanted = |name: &str| arguments.name.as_ref().is_none_or(|part| name.contains(part.as_str()));
    let chosen: Vec<_> = BENCHMARKS.iter().filter(|(name, _)| wanted(name)).collect();
    if chosen.is_empty() {
        let names: Vec<_> = BENCHMARKS.iter().map(|(name, _)| *name).collect();
        eprintln!("bench: no benchmark has that name; the benchmarks are {}", names.join(", "));
        return ExitCode::FAILURE;
    }
    let mut failed = false;
    for (name, run) in chosen {
        eprintln!("bench: {name}");
        match run(scale) {
            Ok(measures) => measures.iter().for_each(|measure| measure.print(arguments.json)),
            Err(error) => {
                eprintln!("bench: {name}: {error}");
                failed = true;
            }
        }
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
