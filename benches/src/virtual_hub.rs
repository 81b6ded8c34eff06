//! A simulated hub that answers `hub.item.value.set` and broadcasts the change, compared with echo servers.

use std::time::Duration;

use serde_json::{Value, json};

use crate::contest::Contestant;
use crate::drive::Driver;
use crate::drive::frame::masked;
use crate::drive::socket::{Role, Talker};
use crate::http::count;
use crate::measure::{Goal, Measure, Scale, median};
use crate::mock::{Mock, VIRTUAL, Wish};

const CLIENTS: u64 = 64;

/// Returns calls that switch the lamp of an item list on and off.
pub(crate) fn switches(list: &str) -> Vec<Vec<u8>> {
    let value: Value = serde_json::from_str(list).unwrap_or_default();
    let items = value["result"]["items"].as_array().cloned().unwrap_or_default();
    let lamp = items.iter().find(|item| item["name"] == "switch").map(|item| item["_id"].clone());
    let set = |on: bool| json!({"id": "b", "method": "hub.item.value.set", "params": {"_id": lamp, "value": on}});
    [true, false].map(|on| masked(&set(on).to_string())).into()
}

/// Returns a call of the same length for the echo servers.
fn echoed() -> Vec<Vec<u8>> {
    let params = json!({"_id": "5f0c2a7d1234567890abcdef", "value": true});
    vec![masked(&json!({"id": "b", "method": "hub.item.value.set", "params": params}).to_string())]
}

struct Lane {
    contestant: Contestant,
    _mock: Option<tempfile::TempDir>,
    driver: Driver<Talker>,
    rates: Vec<f64>,
    costs: Vec<f64>,
}

impl Lane {
    fn ours(at_once: usize) -> Result<Self, String> {
        let mock = Mock::start(Wish { virtual_hubs: CLIENTS, ..Wish::NOTHING })?;
        let mut driver = Driver::new()?;
        let list = json!({"id": "s", "method": "hub.items.list", "params": {}}).to_string();
        // One operation is a reply and a broadcast.
        let role = || Role::Ask { frames: Vec::new(), at_once, per_operation: 2, timed: false };
        let client = |n| {
            let setup = [mock.at_hub(VIRTUAL + n), vec![list.clone()]].concat();
            Talker::new("/", setup, role()).after(Box::new(switches))
        };
        driver.connect_all(mock.contestant.address, (0..CLIENTS).map(client))?;
        let (contestant, folder) = mock.into_parts();
        Self::begun(contestant, Some(folder), driver)
    }

    fn echo(contestant: Contestant, at_once: usize) -> Result<Self, String> {
        let mut driver = Driver::new()?;
        let role = || Role::Ask { frames: echoed(), at_once, per_operation: 1, timed: false };
        driver.connect_all(
            contestant.address,
            (0..CLIENTS).map(|n| Talker::new(format!("/echo/{n}"), Vec::new(), role())),
        )?;
        Self::begun(contestant, None, driver)
    }

    fn begun(
        contestant: Contestant,
        mock: Option<tempfile::TempDir>,
        mut driver: Driver<Talker>,
    ) -> Result<Self, String> {
        driver.begin()?;
        driver.run(Duration::from_millis(100))?;
        Ok(Self { contestant, _mock: mock, driver, rates: Vec::new(), costs: Vec::new() })
    }
}

pub(crate) fn run(scale: Scale) -> Result<Vec<Measure>, String> {
    let mut measures = Vec::new();
    for (at_once, name, (echo_goal, node_goal)) in
        [(1, "virtual hub, one at a time", (0.85, 2.0)), (16, "virtual hub, 16 at a time", (2.0, 14.0))]
    {
        let mut lanes = vec![Lane::ours(at_once)?];
        lanes.push(Lane::echo(Contestant::peer("hyper and tungstenite, echo", None, &["echo"])?, at_once)?);
        lanes.push(Lane::echo(Contestant::peer("tokio-websockets, echo", None, &["websockets-echo"])?, at_once)?);
        if let Some(node) = Contestant::node("Node ws", "relay.js", &[]) {
            lanes.push(Lane::echo(node, at_once)?);
        }
        for _ in 0..scale.rounds() {
            for lane in &mut lanes {
                let (cpu, done) = (lane.contestant.cpu(), lane.driver.tally.done);
                lane.rates.push(lane.driver.run(scale.round())?);
                lane.costs.push((lane.contestant.cpu() - cpu) / count(lane.driver.tally.done - done) * 1e6);
            }
        }
        let medians = |lane: &Lane| (median(lane.rates.clone()), median(lane.costs.clone()));
        let (ours, peers) = lanes.split_at(1);
        let (rate, cost) = medians(&ours[0]);
        for lane in peers {
            let (their_rate, their_cost) = medians(lane);
            let goal = match lane.contestant.name {
                "Node ws" => Goal::AtLeast(node_goal),
                "hyper and tungstenite, echo" => Goal::AtLeast(echo_goal),
                _ => Goal::None,
            };
            measures.push(Measure {
                name: name.into(),
                peer: lane.contestant.name.into(),
                ratio: rate / their_rate,
                goal,
                detail: format!("{rate:.0}/s {cost:.2} us against {their_rate:.0}/s {their_cost:.2} us"),
            });
        }
    }
    Ok(measures)
}
