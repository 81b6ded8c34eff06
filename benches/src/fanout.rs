//! One event of a hub to everybody who listens, beside relays that do only that.

use std::time::Duration;

use serde_json::json;

use crate::contest::Contestant;
use crate::drive::Driver;
use crate::drive::frame::masked;
use crate::drive::socket::{Role, Talker};
use crate::measure::{Goal, Measure, Scale, median};
use crate::mock::{FOREIGN, Mock, Wish};

fn event() -> String {
    let result = json!({"_id": "5f0c2a7d1234567890abcdef", "deviceId": "5f0c2a7d1234567890abcd00", "value": 1, "padding": "x".repeat(150)});
    json!({"id": "ui_broadcast", "msg_subclass": "hub.item.updated", "msg_id": "5f0c2a7d1234567890abcdef", "result": result})
        .to_string()
}

struct Lane {
    name: &'static str,
    _mock: Option<Mock>,
    _peer: Option<Contestant>,
    driver: Driver<Talker>,
    rates: Vec<f64>,
}

impl Lane {
    fn new(peer: Option<Contestant>, listeners: u64, at_once: u64) -> Result<Self, String> {
        let mut driver = Driver::new()?;
        let tell = || Role::Tell { frame: masked(&event()), listeners, at_once };
        let (name, mock) = match &peer {
            Some(peer) => {
                driver.connect(peer.address, Talker::new("/hub/0", Vec::new(), tell()))?;
                let all = (0..listeners).map(|_| Talker::new("/app/0", Vec::new(), Role::Listen));
                driver.connect_all(peer.address, all)?;
                (peer.name, None)
            }
            None => {
                let mock = Mock::start(Wish {
                    virtual_hubs: 0,
                    foreign_hubs: 1,
                    other_users: 0,
                    journal: true,
                    core: None,
                    own_framing: false,
                })?;
                let to = mock.contestant.address;
                driver.connect(to, Talker::new("/", mock.as_hub(FOREIGN), tell()))?;
                let all = (0..listeners).map(|_| Talker::new("/", mock.at_hub(FOREIGN), Role::Listen));
                driver.connect_all(to, all)?;
                ("mock-cloud", Some(mock))
            }
        };
        driver.begin()?;
        driver.run(Duration::from_millis(200))?;
        driver.tally.times.clear();
        Ok(Self { name, _mock: mock, _peer: peer, driver, rates: Vec::new() })
    }
}

/// Listeners, events under way, and what the ratio to the limit and to Node is to be.
const CASES: &[(u64, u64, Goal, Goal)] = &[
    (1_000, 1, Goal::AtLeast(0.75), Goal::AtLeast(1.1)),
    (1_000, 4, Goal::None, Goal::AtLeast(3.2)),
    (9_000, 1, Goal::AtLeast(0.75), Goal::AtLeast(1.1)),
    (9_000, 4, Goal::None, Goal::AtLeast(5.0)),
];

pub(crate) fn run(scale: Scale) -> Result<Vec<Measure>, String> {
    let mut measures = Vec::new();
    for (listeners, at_once, to_limit, to_node) in CASES.iter().copied() {
        let mut lanes = vec![
            Lane::new(None, listeners, at_once)?,
            Lane::new(Some(Contestant::peer("epoll alone", None, &["limit"])?), listeners, at_once)?,
        ];
        // Both ends of all of them at once would be more descriptors than a process may have.
        if listeners < 5_000 {
            let tuned = Contestant::peer("tungstenite, 4 KiB buffers", None, &["relay", "4096"])?;
            lanes.push(Lane::new(Some(tuned), listeners, at_once)?);
        }
        if let Some(node) = Contestant::node("Node ws", "relay.js", &[]).filter(|_| listeners < 5_000) {
            lanes.push(Lane::new(Some(node), listeners, at_once)?);
        }
        for _ in 0..scale.rounds() {
            for lane in &mut lanes {
                lane.rates.push(lane.driver.run(scale.round())?);
            }
        }
        let rate = median(lanes[0].rates.clone());
        let mut times = lanes[0].driver.tally.times.clone();
        times.sort_by(f64::total_cmp);
        let late = times.get(times.len() * 99 / 100).copied().unwrap_or(f64::NAN) * 1000.0;
        for lane in &lanes[1..] {
            let theirs = median(lane.rates.clone());
            let goal = match lane.name {
                "epoll alone" => to_limit,
                "Node ws" => to_node,
                _ => Goal::None,
            };
            measures.push(Measure {
                name: format!("to {listeners} listeners, {at_once} under way"),
                peer: lane.name.into(),
                ratio: rate / theirs,
                goal,
                detail: format!("{rate:.0} deliveries/s beside {theirs:.0}/s; the last after {late:.1} ms (p99)"),
            });
        }
    }
    Ok(measures)
}
