//! Instructions of the hot paths, counted by valgrind. The counts depend on the program only, not on the load of the machine.
//! They are compared with the previous counts in `benches/instructions.json`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::drive::Driver;
use crate::drive::http::Asker;
use crate::drive::socket::{Role, Talker};
use crate::http::count;
use crate::measure::{Goal, Measure, Scale};
use crate::mock::{self, FOREIGN, Mock, VIRTUAL, Wish};
use crate::{relay, virtual_hub};

/// Operations of the short run. The long run has three times as many, and the difference excludes the cost of the start.
const OPERATIONS: u64 = 2_000;
/// Time limit of a run. A program under valgrind is about fifty times slower.
const PATIENCE: Duration = Duration::from_secs(300);

/// A function that runs a number of operations, one at a time on one connection.
type Operation = fn(&Mock, u64) -> Result<(), String>;

const PATHS: &[(&str, Operation)] = &[
    ("login", |mock, times| asked(mock, times, mock::login_request())),
    ("account read", |mock, times| asked(mock, times, mock::account_request(&mock.identity))),
    ("relayed call and its answer", relayed),
    ("set at a virtual hub, with its broadcast", set),
];

fn asked(mock: &Mock, times: u64, request: Vec<u8>) -> Result<(), String> {
    let mut driver = Driver::new()?;
    driver.connect(mock.contestant.address, Asker::new(Arc::new(vec![request])))?;
    driver.until(PATIENCE, |tally| tally.done >= times)
}

fn relayed(mock: &Mock, times: u64) -> Result<(), String> {
    let mut driver = Driver::new()?;
    let to = mock.contestant.address;
    driver.connect(to, Talker::new("/", mock.as_hub(FOREIGN), Role::Answer { text: relay::answer() }))?;
    let frames = vec![crate::drive::frame::masked(&relay::request())];
    let ask = Role::Ask { frames, at_once: 1, per_operation: 1, timed: false };
    driver.connect(to, Talker::new("/", mock.at_hub(FOREIGN), ask))?;
    driver.begin()?;
    driver.until(PATIENCE, |tally| tally.done >= times)
}

fn set(mock: &Mock, times: u64) -> Result<(), String> {
    let mut driver = Driver::new()?;
    let list = json!({"id": "s", "method": "hub.items.list", "params": {}}).to_string();
    let ask = Role::Ask { frames: Vec::new(), at_once: 1, per_operation: 2, timed: false };
    let setup = [mock.at_hub(VIRTUAL), vec![list]].concat();
    let talker = Talker::new("/", setup, ask).after(Box::new(virtual_hub::switches));
    driver.connect(mock.contestant.address, talker)?;
    driver.begin()?;
    driver.until(PATIENCE, |tally| tally.done >= times)
}

/// Returns the instructions of a whole run with a number of operations.
fn counted(path: Operation, times: u64, out: &Path) -> Result<u64, String> {
    let world = Wish { virtual_hubs: 1, foreign_hubs: 1, ..Wish::NOTHING };
    let mock = Mock::start_counted(world, out)?;
    path(&mock, times)?;
    mock.into_parts().0.end()?;
    let text = std::fs::read_to_string(out).map_err(|error| format!("{}: {error}", out.display()))?;
    let total = text.lines().find_map(|line| line.strip_prefix("summary: ").or(line.strip_prefix("totals: ")));
    total.and_then(|total| total.trim().parse().ok()).ok_or_else(|| "valgrind reported no total".into())
}

fn before() -> (PathBuf, BTreeMap<String, f64>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("instructions.json");
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    (path, serde_json::from_str(&text).unwrap_or_default())
}

/// Returns true if this is the build profile `counted`. Counts of other profiles are not comparable.
fn is_counted() -> bool {
    std::env::current_exe().is_ok_and(|path| path.parent().is_some_and(|folder| folder.ends_with("counted")))
}

pub(crate) fn run(scale: Scale) -> Result<Vec<Measure>, String> {
    if !is_counted() {
        eprintln!(
            "bench: instructions are counted only by `cargo xtask bench instructions`, in the build profile `counted`"
        );
        return Ok(Vec::new());
    }
    let valgrind = Command::new("valgrind").arg("--version").stdout(Stdio::null()).status();
    if !valgrind.is_ok_and(|status| status.success()) {
        eprintln!("bench: valgrind is not installed; no instructions were counted");
        return Ok(Vec::new());
    }
    let operations = if scale == Scale::Quick { OPERATIONS / 4 } else { OPERATIONS };
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let out = folder.path().join("counts");
    let (path, before) = before();
    let (mut measures, mut now) = (Vec::new(), BTreeMap::new());
    for (name, operation) in PATHS {
        let (short, long) = (counted(*operation, operations, &out)?, counted(*operation, 3 * operations, &out)?);
        let each = count(long.saturating_sub(short)) / count(2 * operations);
        now.insert((*name).to_owned(), each.round());
        let previous = before.get(*name);
        measures.push(Measure {
            name: format!("instructions: {name}"),
            peer: "the number before".into(),
            ratio: previous.map_or(1.0, |previous| each / previous),
            goal: Goal::None,
            detail: format!(
                "{each:.0}, before {}",
                previous.map_or("unknown".into(), |previous| format!("{previous:.0}"))
            ),
        });
    }
    eprintln!("bench: new content of {}: {}", path.display(), json!(now));
    Ok(measures)
}
