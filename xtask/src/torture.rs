//! `cargo xtask torture`: attacks the program and checks that it loses nothing, answers and stays small.

use std::time::Duration;

use ezlo_tests::torture::{Plan, Report, run as run_attacks};
use serde_json::json;

use crate::say::say;
use crate::{Failure, Outcome, docs};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Duration in minutes; fractions are allowed. Attacks that run once are not shortened.
    #[arg(long, default_value_t = 2.0)]
    minutes: f64,
    /// Seed of all random values.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print one JSON object instead of lines.
    #[arg(long)]
    json: bool,
}

impl Arguments {
    /// Returns the arguments of a run with the default seed.
    pub(crate) const fn minutes(minutes: f64) -> Self {
        Self { minutes, seed: 1, json: false }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    if !(0.0..=100_000.0).contains(&arguments.minutes) {
        return Err("--minutes must be between 0 and 100000".into());
    }
    let program = docs::programs()?.join(format!("mock-cloud{}", std::env::consts::EXE_SUFFIX));
    let length = Duration::from_secs_f64(arguments.minutes * 60.0);
    let plan = Plan { seed: arguments.seed, length, program };
    let begun = std::time::Instant::now();
    let progress = |name: &str| {
        if !arguments.json {
            say!("torture: {name} ({:.0} s)", begun.elapsed().as_secs_f64());
        }
    };
    let report = run_attacks(plan, progress).map_err(|error| format!("seed {}: {error}", arguments.seed))?;
    finish(arguments, &report)
}

fn finish(arguments: &Arguments, report: &Report) -> Outcome {
    let Report {
        kills,
        acknowledged,
        damaged_files,
        refused_files,
        frames,
        requests,
        connections,
        memory_mib,
        violations,
    } = report;
    if arguments.json {
        let line = json!({
            "kills": kills, "acknowledged": acknowledged, "damaged_files": damaged_files, "refused_files": refused_files,
            "frames": frames, "requests": requests, "connections": connections, "memory_mib": memory_mib,
            "violations": violations,
        });
        say!("{line}");
    } else {
        violations.iter().for_each(|text| say!("VIOLATION  {text}"));
        say!("{kills} kills, {acknowledged} acknowledged changes");
        say!("{damaged_files} damaged state files: {refused_files} refused, the others read without a difference");
        say!("{frames} mutated frames, {requests} mutated requests, {connections} slow connections");
        for (attack, mib) in memory_mib {
            say!("{mib} MiB after {attack}");
        }
    }
    if violations.is_empty() {
        return Ok(());
    }
    Err(Failure(format!("seed {}: {} violations", arguments.seed, violations.len())))
}
