//! Several processes as one cloud, compared with one process: the cost of shared state and of a hop between processes.

use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::drive::Driver;
use crate::drive::frame::masked;
use crate::drive::socket::{Role, Talker};
use crate::measure::{Goal, Measure, Scale, median};
use crate::mock::{Mock, VIRTUAL, Wish};
use crate::virtual_hub::switches;

const CLIENTS: u64 = 60;
const WISH: Wish = Wish { virtual_hubs: CLIENTS, ..Wish::NOTHING };

/// A NATS server with JetStream, killed on drop.
struct Nats {
    child: Child,
    url: String,
    _folder: tempfile::TempDir,
}

impl Drop for Nats {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Nats {
    fn start() -> Result<Self, String> {
        let text = |error: std::io::Error| format!("nats-server: {error}");
        let folder = tempfile::tempdir().map_err(text)?;
        let path = folder.path().display().to_string();
        let arguments =
            ["--addr", "127.0.0.1", "--port", "-1", "--jetstream", "--store_dir", &path, "--ports_file_dir", &path];
        let child = Command::new("nats-server").args(arguments).stderr(Stdio::null()).spawn().map_err(text)?;
        let ports = folder.path().join(format!("nats-server_{}.ports", child.id()));
        let mut nats = Self { child, url: String::new(), _folder: folder };
        let until = Instant::now() + Duration::from_secs(10);
        while nats.url.is_empty() {
            let written: Value = serde_json::from_slice(&std::fs::read(&ports).unwrap_or_default()).unwrap_or_default();
            written["nats"][0].as_str().unwrap_or_default().clone_into(&mut nats.url);
            if Instant::now() > until {
                return Err("nats-server reported no port within 10 s".into());
            }
            std::thread::park_timeout(Duration::from_millis(10));
        }
        Ok(nats)
    }
}

/// The operation of the clients.
#[derive(Clone, Copy, PartialEq)]
enum Deed {
    Read,
    Set,
}

struct Lane {
    name: &'static str,
    mocks: Vec<Mock>,
    driver: Driver<Talker>,
    /// Idle connections that bind the hubs to their processes.
    _homes: Driver<Talker>,
    _nats: Option<Rc<Nats>>,
    rates: Vec<f64>,
}

impl Lane {
    /// Starts the processes (0: one process without a cluster) and connects each client `hops` processes away from its hub.
    fn new(name: &'static str, processes: usize, operation: Deed, at_once: usize, hops: usize) -> Result<Self, String> {
        let nats = (processes > 0).then(Nats::start).transpose()?.map(Rc::new);
        let url = nats.as_ref().map(|nats| nats.url.as_str());
        let mocks = (0..processes.max(1)).map(|_| Mock::start_in(WISH, url)).collect::<Result<Vec<_>, _>>()?;
        let (mut homes, mut driver) = (Driver::new()?, Driver::new()?);
        let list = json!({"id": "s", "method": "hub.items.list", "params": {}}).to_string();
        let current = masked(&json!({"id": "b", "method": "hub.modes.current.get", "params": {}}).to_string());
        for n in 0..CLIENTS {
            let home = usize::try_from(n).unwrap_or_default() % mocks.len();
            let (home, client) = (&mocks[home], &mocks[(home + hops) % mocks.len()]);
            if hops > 0 {
                let idle = Talker::new("/", home.at_hub(VIRTUAL + n), Role::Idle);
                homes.connect(home.contestant.address, idle)?;
            }
            let setup = [client.at_hub(VIRTUAL + n), vec![list.clone()]].concat();
            let frames = if operation == Deed::Read { vec![current.clone()] } else { Vec::new() };
            let per_operation = if operation == Deed::Read { 1 } else { 2 };
            let talker = Talker::new("/", setup, Role::Ask { frames, at_once, per_operation, timed: false });
            let talker = if operation == Deed::Set { talker.after(Box::new(switches)) } else { talker };
            driver.connect(client.contestant.address, talker)?;
        }
        driver.begin()?;
        driver.run(Duration::from_millis(100))?;
        Ok(Self { name, mocks, driver, _homes: homes, _nats: nats, rates: Vec::new() })
    }

    fn cost(&self) -> f64 {
        self.mocks.iter().map(|mock| mock.contestant.cpu()).sum()
    }
}

/// Measures all lanes and compares every other lane with the first.
fn compare(scale: Scale, name: &str, mut lanes: Vec<Lane>) -> Result<Vec<Measure>, String> {
    let mut costs = vec![Vec::new(); lanes.len()];
    for _ in 0..scale.rounds() {
        for (lane, costs) in lanes.iter_mut().zip(&mut costs) {
            let (cpu, done) = (lane.cost(), lane.driver.tally.done);
            lane.rates.push(lane.driver.run(scale.round())?);
            costs.push((lane.cost() - cpu) / crate::http::count(lane.driver.tally.done - done) * 1e6);
        }
    }
    let results: Vec<(f64, f64)> =
        lanes.iter().zip(costs).map(|(lane, costs)| (median(lane.rates.clone()), median(costs))).collect();
    let (rate, cost) = results[0];
    Ok(lanes[1..]
        .iter()
        .zip(&results[1..])
        .map(|(lane, (own_rate, own_cost))| Measure {
            name: format!("{name}, {}", lane.name),
            peer: lanes[0].name.into(),
            ratio: own_rate / rate,
            goal: Goal::None,
            detail: format!("{own_rate:.0}/s {own_cost:.2} us against {rate:.0}/s {cost:.2} us"),
        })
        .collect())
}

pub(crate) fn run(scale: Scale) -> Result<Vec<Measure>, String> {
    if Command::new("nats-server").arg("--version").stdout(Stdio::null()).status().is_err() {
        eprintln!("bench: nats-server is not installed; the cluster is not measured");
        return Ok(Vec::new());
    }
    let mut measures = Vec::new();
    for (name, operation, at_once) in [("reads", Deed::Read, 16), ("sets", Deed::Set, 16)] {
        let lanes = [("one alone", 0), ("1 process", 1), ("2 processes", 2), ("3 processes", 3)];
        let lanes = lanes.map(|(lane, processes)| Lane::new(lane, processes, operation, at_once, 0));
        measures.extend(compare(scale, name, lanes.into_iter().collect::<Result<_, _>>()?)?);
    }
    for (name, at_once) in [("reads, one at a time", 1), ("reads, 16 at a time", 16)] {
        let lanes =
            vec![Lane::new("at home", 2, Deed::Read, at_once, 0)?, Lane::new("a hop away", 2, Deed::Read, at_once, 1)?];
        measures.extend(compare(scale, name, lanes)?);
    }
    Ok(measures)
}
