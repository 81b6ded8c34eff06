//! The cost of a relayed call while many other clients are connected to the same hub.

use std::time::Duration;

use serde_json::json;

use crate::drive::Driver;
use crate::drive::frame::masked;
use crate::drive::socket::{Role, Talker};
use crate::http::count;
use crate::measure::{Goal, Measure, Scale, median};
use crate::mock::{FOREIGN, Mock, Wish};
use crate::relay::answer;

const LISTENERS: u64 = 8_000;

/// A server with one hub, one client that calls it, and idle clients.
struct Lane {
    mock: Mock,
    driver: Driver<Talker>,
    /// Processor time of the server per call, in microseconds.
    costs: Vec<f64>,
}

impl Lane {
    fn new(listeners: u64) -> Result<Self, String> {
        let mock = Mock::start(Wish { foreign_hubs: 1, ..Wish::NOTHING })?;
        let address = mock.contestant.address;
        let mut driver = Driver::new()?;
        driver.connect(address, Talker::new("/", mock.as_hub(FOREIGN), Role::Answer { text: answer() }))?;
        driver.connect_all(address, (0..listeners).map(|_| Talker::new("/", mock.at_hub(FOREIGN), Role::Idle)))?;
        let call = masked(&json!({"id": "b", "method": "hub.item.value.set", "params": {}}).to_string());
        let role = Role::Ask { frames: vec![call], at_once: 1, per_operation: 1, timed: false };
        driver.connect(address, Talker::new("/", mock.at_hub(FOREIGN), role))?;
        driver.begin()?;
        driver.run(Duration::from_millis(100))?;
        Ok(Self { mock, driver, costs: Vec::new() })
    }

    fn round(&mut self, time: Duration) -> Result<(), String> {
        let (cpu, done) = (self.mock.contestant.cpu(), self.driver.tally.done);
        self.driver.run(time)?;
        let calls = count(self.driver.tally.done - done);
        self.costs.push((self.mock.contestant.cpu() - cpu) / calls * 1e6);
        Ok(())
    }
}

pub(crate) fn run(scale: Scale) -> Result<Vec<Measure>, String> {
    let mut lanes = [Lane::new(LISTENERS)?, Lane::new(0)?];
    for _ in 0..scale.rounds() {
        for lane in &mut lanes {
            lane.round(scale.round())?;
        }
    }
    let [with, without] = lanes.map(|lane| median(lane.costs));
    Ok(vec![Measure {
        name: "call with 8,000 listeners on the same hub".into(),
        peer: "without".into(),
        ratio: with / without,
        goal: Goal::AtMost(1.25),
        detail: format!("{with:.1} us of server time per call against {without:.1} us"),
    }])
}
