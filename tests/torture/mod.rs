//! Attacks on the program `mock-cloud`: kills, damaged state files, mutated frames and requests, slow clients, exhausted descriptors
//! and messages that fill memory. One seed gives one sequence of attacks.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use ezlo_mock_cloud::random::Random;

mod client;
mod damage;
mod floods;
mod kills;
mod memory;
mod mutation;
mod program;

/// Duration of one attack before the next one follows.
const SLICE: Duration = Duration::from_secs(5);

/// The parameters of a run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Seed of all random values.
    pub seed: u64,
    /// Duration of the run. Attacks that run once are not shortened.
    pub length: Duration,
    /// Path of the program.
    pub program: PathBuf,
}

/// The results of a run.
#[derive(Debug, Default)]
pub struct Report {
    /// Kills of a program that persists its state.
    pub kills: u64,
    /// Changes that were acknowledged before a kill.
    pub acknowledged: u64,
    /// Damaged state files.
    pub damaged_files: u64,
    /// Damaged state files that were refused. The others were read without a difference.
    pub refused_files: u64,
    /// Mutated WebSocket frames.
    pub frames: u64,
    /// Mutated HTTP requests.
    pub requests: u64,
    /// Connections of slow clients and of floods.
    pub connections: u64,
    /// Memory of the program after each attack on it, in MiB.
    pub memory_mib: Vec<(&'static str, u64)>,
    /// Violations, each with the attack that showed it.
    pub violations: Vec<String>,
}

impl Report {
    fn violation(&mut self, text: String) {
        // The first violations show the cause.
        if self.violations.len() < 20 {
            self.violations.push(text);
        }
    }
}

/// The state of a run.
struct Run {
    plan: Plan,
    random: Random,
    report: Report,
    /// Directory of the state files and logs of the run.
    folder: tempfile::TempDir,
}

impl Run {
    /// Returns a random number below `limit`, which must not be 0.
    fn below(&self, limit: usize) -> usize {
        let mut bytes = [0; 8];
        self.random.fill(&mut bytes);
        usize::try_from(u64::from_le_bytes(bytes) % limit as u64).unwrap_or_default()
    }
}

/// An attack. An error ends the run: the program did not start or stopped answering.
type Attack = fn(&mut Run, Instant) -> Result<(), String>;

/// Attacks that run once.
const ONCE: &[(&str, Attack)] = &[
    ("registrations of controllers", memory::registrations),
    ("large scenes", memory::scenes),
    ("listeners that do not read", memory::listeners),
    ("requests of scenes", memory::scene_requests),
    ("slow clients", floods::slow_clients),
    ("exhausted descriptors", floods::descriptors),
];

/// Attacks that take turns.
const REPEATED: &[(&str, Attack)] = &[
    ("kills", kills::kill_and_restart),
    ("damaged state files", damage::damage_state),
    ("mutated frames", mutation::frames),
    ("mutated requests", mutation::requests),
];

/// Runs all attacks. `progress` receives the name of each attack.
///
/// # Errors
///
/// Returns the reason if the program could not be started or stopped answering.
pub fn run(plan: Plan, mut progress: impl FnMut(&str)) -> Result<Report, String> {
    let folder = tempfile::Builder::new().prefix("ezlo-torture-").tempdir().map_err(|error| error.to_string())?;
    let end = Instant::now() + plan.length;
    let mut run = Run { random: Random::new(plan.seed), plan, report: Report::default(), folder };
    for (name, attack) in ONCE {
        progress(name);
        attack(&mut run, end).map_err(|error| format!("{name}: {error}"))?;
    }
    for (name, attack) in REPEATED.iter().cycle() {
        if Instant::now() >= end {
            break;
        }
        progress(name);
        attack(&mut run, end.min(Instant::now() + SLICE)).map_err(|error| format!("{name}: {error}"))?;
    }
    Ok(run.report)
}
