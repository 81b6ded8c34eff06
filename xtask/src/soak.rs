//! `cargo xtask soak`: runs the SDK with network faults, one seed after another, for a given time.

use std::time::{Duration, Instant};

use ezlo_tests::soak::{Plan, Report, run as run_seed};
use serde_json::json;

use crate::say::say;
use crate::{Failure, Outcome};

/// Duration of the run of one seed.
const RUN: Duration = Duration::from_secs(10);

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Total duration in minutes; fractions are allowed.
    #[arg(long, default_value_t = 1.0)]
    minutes: f64,
    /// Seed of the first run. Each further run uses the next number.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print one JSON object instead of lines.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    if !(0.0..=100_000.0).contains(&arguments.minutes) {
        return Err("--minutes must be between 0 and 100000".into());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot start: {error}"))?;
    let end = Instant::now() + Duration::from_secs_f64(arguments.minutes * 60.0);
    let mut total = Report::default();
    let mut seed = arguments.seed;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let length = RUN.min(left.max(Duration::from_secs(1)));
        let report = runtime.block_on(run_seed(Plan { seed, length }));
        if !arguments.json {
            let Report { commands, faults, reconnects, unknown_outcomes, violations, .. } = &report;
            say!(
                "seed {seed}: {commands} commands, {faults} faults, {reconnects} reconnects, {unknown_outcomes} unknown \
                 outcomes, {} violations",
                violations.len()
            );
        }
        total.commands += report.commands;
        total.faults += report.faults;
        total.reconnects += report.reconnects;
        total.unknown_outcomes += report.unknown_outcomes;
        total.confirmed += report.confirmed;
        total.violations.extend(report.violations.into_iter().map(|text| format!("seed {seed}: {text}")));
        seed += 1;
        if !total.violations.is_empty() || Instant::now() >= end {
            break;
        }
    }
    finish(arguments, &total)
}

fn finish(arguments: &Arguments, total: &Report) -> Outcome {
    let Report { commands, faults, reconnects, unknown_outcomes, confirmed, violations } = total;
    if arguments.json {
        let line = json!({
            "commands": commands, "faults": faults, "reconnects": reconnects, "unknown_outcomes": unknown_outcomes,
            "confirmed": confirmed, "violations": violations.len(), "shown_by": violations,
        });
        say!("{line}");
    } else {
        violations.iter().for_each(|text| say!("VIOLATION  {text}"));
        say!(
            "{commands} commands ({confirmed} confirmed, {unknown_outcomes} unknown), {faults} faults, {reconnects} reconnects"
        );
    }
    if violations.is_empty() { Ok(()) } else { Err(Failure(format!("{} violations", violations.len()))) }
}
