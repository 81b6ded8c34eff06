//! The cost of an operation with more hubs, more users, more connections or more earlier calls.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::drive::Driver;
use crate::drive::frame::masked;
use crate::drive::http::Asker;
use crate::drive::socket::{Role, Talker};
use crate::http::count;
use crate::measure::{Goal, Measure, Scale, median};
use crate::mock::{self, Mock, VIRTUAL, Wish};

/// Connections that send calls.
const CLIENTS: u64 = 16;
/// Time limit for a million calls.
const PATIENCE: Duration = Duration::from_secs(60);
/// Highest cost relative to the smallest world.
const FLAT: Goal = Goal::AtMost(1.25);

const SMALL: Wish = Wish { virtual_hubs: 100, ..Wish::NOTHING };

/// The operations of a lane.
enum Load {
    Calls(Driver<Talker>),
    Logins(Driver<Asker>),
}

struct Lane {
    name: String,
    mock: Mock,
    load: Load,
    /// Idle connections.
    _idle: Option<Driver<Talker>>,
    costs: Vec<f64>,
}

impl Lane {
    fn calls(name: String, world: Wish, idle: u64) -> Result<Self, String> {
        let mock = Mock::start(world)?;
        let to = mock.contestant.address;
        let mut waiting = Driver::new()?;
        waiting.connect_all(to, (0..idle).map(|_| Talker::new("/", mock.at_hub(VIRTUAL), Role::Idle)))?;
        let mut driver = Driver::new()?;
        let call = masked(&json!({"id": "b", "method": "hub.modes.current.get", "params": {}}).to_string());
        let role = || Role::Ask { frames: vec![call.clone()], at_once: 4, per_operation: 1, timed: false };
        // The calls are spread over all hubs.
        let step = world.virtual_hubs / CLIENTS;
        driver.connect_all(to, (0..CLIENTS).map(|n| Talker::new("/", mock.at_hub(VIRTUAL + n * step), role())))?;
        driver.begin()?;
        driver.run(Duration::from_millis(100))?;
        Ok(Self { name, mock, load: Load::Calls(driver), _idle: Some(waiting), costs: Vec::new() })
    }

    fn logins(name: String, world: Wish) -> Result<Self, String> {
        let mock = Mock::start(world)?;
        let requests = Arc::new(vec![mock::login_request(), mock::account_request(&mock.identity)]);
        let mut driver = Driver::new()?;
        driver.connect_all(mock.contestant.address, (0..CLIENTS).map(|_| Asker::new(Arc::clone(&requests))))?;
        driver.run(Duration::from_millis(100))?;
        Ok(Self { name, mock, load: Load::Logins(driver), _idle: None, costs: Vec::new() })
    }

    fn round(&mut self, time: Duration) -> Result<(), String> {
        let cpu = self.mock.contestant.cpu();
        let done = match &mut self.load {
            Load::Calls(driver) => passed(driver, time)?,
            Load::Logins(driver) => passed(driver, time)?,
        };
        self.costs.push((self.mock.contestant.cpu() - cpu) / count(done) * 1e6);
        Ok(())
    }
}

fn passed<S: crate::drive::Side>(driver: &mut Driver<S>, time: Duration) -> Result<u64, String> {
    let before = driver.tally.done;
    driver.run(time)?;
    Ok(driver.tally.done - before)
}

/// The name of a lane and its cost in each round.
type Costs = (String, Vec<f64>);

/// Measures all lanes in interleaved rounds and compares each with the first.
fn compare(scale: Scale, mut lanes: Vec<Lane>) -> Result<Vec<Measure>, String> {
    for _ in 0..scale.rounds() {
        for lane in &mut lanes {
            lane.round(scale.round() / 2)?;
        }
    }
    Ok(beside_first(&lanes.into_iter().map(|lane| (lane.name, lane.costs)).collect::<Vec<_>>()))
}

/// Measures calls of one process after 50,000 earlier calls, when its journal has just become full, and after many more. Each
/// round has a new process.
fn ages(scale: Scale) -> Result<Vec<Measure>, String> {
    let mut ages = [50_000_u64, 200_000, 1_000_000].map(|calls| (calls, Vec::new()));
    for _ in 0..scale.rounds() {
        let mut lane = Lane::calls(String::new(), SMALL, 0)?;
        for (calls, costs) in &mut ages {
            if let Load::Calls(driver) = &mut lane.load {
                driver.until(PATIENCE, |tally| tally.done >= *calls)?;
            }
            lane.round(scale.round() / 4)?;
            costs.extend(lane.costs.pop());
        }
    }
    Ok(beside_first(&ages.map(|(calls, costs)| (format!("call after {calls} calls"), costs))))
}

fn beside_first(lanes: &[Costs]) -> Vec<Measure> {
    let least = median(lanes[0].1.clone());
    let beside = |(name, costs): &Costs| {
        let cost = median(costs.clone());
        Measure {
            name: name.clone(),
            peer: lanes[0].0.clone(),
            ratio: cost / least,
            goal: FLAT,
            detail: format!("{cost:.2} us of processor time against {least:.2} us"),
        }
    };
    lanes[1..].iter().map(beside).collect()
}

pub(crate) fn run(scale: Scale) -> Result<Vec<Measure>, String> {
    let hubs = [1_000, 10_000, 100_000, 1_000_000];
    let calls = |hubs| Lane::calls(format!("call with {hubs} hubs"), Wish { virtual_hubs: hubs, ..SMALL }, 0);
    let mut measures = compare(scale, hubs.map(calls).into_iter().collect::<Result<_, _>>()?)?;
    let users = [10, 1_000, 100_000];
    let logins = |users| Lane::logins(format!("login with {users} users"), Wish { other_users: users, ..SMALL });
    measures.extend(compare(scale, users.map(logins).into_iter().collect::<Result<_, _>>()?)?);
    let idle = [0, 1_000, 8_000];
    let open = |idle| Lane::calls(format!("call beside {idle} connections"), SMALL, idle);
    measures.extend(compare(scale, idle.map(open).into_iter().collect::<Result<_, _>>()?)?);
    measures.extend(ages(scale)?);
    Ok(measures)
}
