//! Instructions that the hot paths take, counted by valgrind: the same for the same program and the same work, whatever else the
//! machine does. A number says nothing by itself; what it was before stands in `benches/instructions.json`.

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

/// Operations of the short run; the long one has three times as many, and what both have beside them falls out.
const OPERATIONS: u64 = 2_000;
/// A program under valgrind is fifty times as slow.
const PATIENCE: Duration = Duration::from_secs(300);

/// Does so many operations, one at a time on one connection.
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

/// What a run of so many operations took, from start to end.
fn counted(path: Operation, times: u64, out: &Path) -> Result<u64, String> {
    let wish = Wish { virtual_hubs: 1, foreign_hubs: 1, ..Wish::NOTHING };
    let mock = Mock::start_counted(wish, out)?;
    path(&mock, times)?;
    mock.into_parts().0.end()?;
    let text = std::fs::read_to_string(out).map_err(|error| format!("{}: {error}", out.display()))?;
    let total = text.lines().find_map(|line| line.strip_prefix("summary: ").or(line.strip_prefix("totals: ")));
    total.and_then(|total| total.trim().parse().ok()).ok_or_else(|| "valgrind counted nothing".into())
}

fn before() -> (PathBuf, BTreeMap<String, f64>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("instructions.json");
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    (path, serde_json::from_str(&text).unwrap_or_default())
}

/// Whether this is the build of which the numbers before are: those of others are no comparison.
fn is_counted() -> bool {
    std::env::current_exe().is_ok_and(|path| path.parent().is_some_and(|folder| folder.ends_with("counted")))
}

pub(crate) fn run(scale: Scale) -> Result<Vec<Measure>, String> {
    if !is_counted() {
        eprintln!("bench: `cargo xtask bench instructions` counts instructions, in a build of their own");
        return Ok(Vec::new());
    }
    let there = Command::new("valgrind").arg("--version").stdout(Stdio::null()).status();
    if !there.is_ok_and(|status| status.success()) {
        eprintln!("bench: valgrind is not installed; no instructions were counted");
        return Ok(Vec::new());
    }
    let operations = if scale == Scale::Quick { OPERATIONS / 4 } else { OPERATIONS };
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let out = folder.path().join("counts");
    let (path, before) = before();
    let (mut measures, mut now) = (Vec::new(), BTreeMap::new());
    for (name, does) in PATHS {
        let (short, long) = (counted(*does, operations, &out)?, counted(*does, 3 * operations, &out)?);
        let each = count(long.saturating_sub(short)) / count(2 * operations);
        now.insert((*name).to_owned(), each.round());
        let known = before.get(*name);
        measures.push(Measure {
            name: format!("instructions: {name}"),
            peer: "the number before".into(),
            ratio: known.map_or(1.0, |known| each / known),
            goal: Goal::None,
            detail: format!("{each:.0}, before {}", known.map_or("unknown".into(), |known| format!("{known:.0}"))),
        });
    }
    eprintln!("bench: to be the numbers before, in {}: {}", path.display(), json!(now));
    Ok(measures)
}
