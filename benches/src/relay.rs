//! Calls from a client through the relay to an external hub and back, compared with bare relays.

use std::time::Duration;

use serde_json::json;

use crate::contest::Contestant;
use crate::drive::Driver;
use crate::drive::frame::masked;
use crate::drive::socket::{Role, Talker};
use crate::http::count;
use crate::measure::{Goal, Measure, Scale, median};
use crate::mock::{FOREIGN, Mock, Wish};

const PAIRS: u64 = 64;

/// Returns a call of about 300 bytes. Its reply has about the same size.
pub(crate) fn request() -> String {
    let params = json!({"_id": "5f0c2a7d1234567890abcdef", "value": 50, "padding": "x".repeat(170)});
    json!({"id": "b", "method": "hub.item.value.set", "api": "1.0", "params": params}).to_string()
}

pub(crate) fn answer() -> String {
    let result = json!({"padding": "x".repeat(120)}).to_string();
    format!(
        "{{\"id\":\"b\",\"method\":\"hub.item.value.set\",\"api\":\"1.0\",\"error\":null,\"result\":{result},\"sender\":{{sender}}}}"
    )
}

/// A server with its pairs of client and hub connections.
pub(crate) struct Lane {
    _mock: Option<Mock>,
    _peer: Option<Contestant>,
    name: &'static str,
    driver: Driver<Talker>,
    rates: Vec<f64>,
    costs: Vec<f64>,
}

impl Lane {
    fn new(server: Server, pairs: u64, at_once: usize, timed: bool) -> Result<Self, String> {
        let mut driver = Driver::new()?;
        let ask = || Role::Ask { frames: vec![masked(&request())], at_once, per_operation: 1, timed };
        let reply = || Role::Answer { text: answer() };
        let (mock, peer) = match server {
            Server::Mock { core } => {
                let world = Wish { foreign_hubs: pairs, core, ..Wish::NOTHING };
                let mock = Mock::start(world)?;
                let to = mock.contestant.address;
                let hubs = (0..pairs).map(|n| Talker::new("/", mock.as_hub(FOREIGN + n), reply()));
                driver.connect_all(to, hubs)?;
                let apps = (0..pairs).map(|n| Talker::new("/", mock.at_hub(FOREIGN + n), ask()));
                driver.connect_all(to, apps)?;
                (Some(mock), None)
            }
            Server::Peer(peer) => {
                let to = peer.address;
                driver.connect_all(to, (0..pairs).map(|n| Talker::new(format!("/hub/{n}"), Vec::new(), reply())))?;
                driver.connect_all(to, (0..pairs).map(|n| Talker::new(format!("/app/{n}"), Vec::new(), ask())))?;
                (None, Some(peer))
            }
        };
        let name = peer.as_ref().map_or("mock-cloud", |peer| peer.name);
        driver.begin()?;
        driver.run(Duration::from_millis(100))?;
        driver.tally.times.clear();
        Ok(Self { _mock: mock, _peer: peer, name, driver, rates: Vec::new(), costs: Vec::new() })
    }

    fn cpu(&self) -> f64 {
        let of = |contestant: &Contestant| contestant.cpu();
        self._peer.as_ref().map(of).or(self._mock.as_ref().map(|mock| of(&mock.contestant))).unwrap_or_default()
    }

    fn round(&mut self, time: Duration) -> Result<(), String> {
        let (cpu, done) = (self.cpu(), self.driver.tally.done);
        self.rates.push(self.driver.run(time)?);
        self.costs.push((self.cpu() - cpu) / count(self.driver.tally.done - done) * 1e6);
        Ok(())
    }
}

enum Server {
    Mock { core: Option<usize> },
    Peer(Contestant),
}

/// Starts the servers of one comparison. mock-cloud is the first.
fn servers(core: Option<usize>) -> Result<Vec<Server>, String> {
    let mut servers = vec![
        Server::Mock { core },
        Server::Peer(Contestant::peer("tungstenite, 4 KiB buffers", core, &["relay", "4096"])?),
        Server::Peer(Contestant::peer("tungstenite, its defaults", core, &["relay", "131072"])?),
        Server::Peer(Contestant::peer("tokio-websockets", core, &["websockets-relay"])?),
        Server::Peer(Contestant::peer("epoll alone", core, &["limit"])?),
    ];
    if core.is_none() {
        servers.extend(Contestant::node("Node ws", "relay.js", &[]).map(Server::Peer));
    }
    Ok(servers)
}

/// Goals for the ratio to each peer, with one and with sixteen calls in flight.
const GOALS: &[(&str, [Goal; 2])] = &[
    ("tungstenite, 4 KiB buffers", [Goal::AtLeast(0.95), Goal::AtLeast(1.0)]),
    ("tungstenite, its defaults", [Goal::AtLeast(1.3), Goal::None]),
    ("Node ws", [Goal::AtLeast(1.7), Goal::AtLeast(12.0)]),
];

pub(crate) fn run(scale: Scale) -> Result<Vec<Measure>, String> {
    let mut measures = Vec::new();
    for (at_once, name) in [(1, "relay, one at a time"), (16, "relay, 16 at a time")] {
        let lanes = servers(None)?.into_iter().map(|server| Lane::new(server, PAIRS, at_once, false));
        let mut lanes = lanes.collect::<Result<Vec<_>, _>>()?;
        for _ in 0..scale.rounds() {
            for lane in &mut lanes {
                lane.round(scale.round())?;
            }
        }
        let medians = |lane: &Lane| (median(lane.rates.clone()), median(lane.costs.clone()));
        let (ours, peers) = lanes.split_at(1);
        let (rate, cost) = medians(&ours[0]);
        for lane in peers {
            let (their_rate, their_cost) = medians(lane);
            let goals = GOALS.iter().find(|(peer, _)| *peer == lane.name);
            measures.push(Measure {
                name: name.into(),
                peer: lane.name.into(),
                ratio: rate / their_rate,
                goal: goals.map_or(Goal::None, |(_, goals)| goals[usize::from(at_once > 1)]),
                detail: format!("{rate:.0}/s {cost:.2} us against {their_rate:.0}/s {their_cost:.2} us"),
            });
        }
    }
    measures.extend(pinned(scale)?);
    Ok(measures)
}

/// Measures the latency of one connection with one call in flight, with all processes on one core.
fn pinned(scale: Scale) -> Result<Vec<Measure>, String> {
    crate::peers::pin(0)?;
    let lanes = servers(Some(0))?.into_iter().map(|server| Lane::new(server, 1, 1, true));
    let mut lanes = lanes.collect::<Result<Vec<_>, _>>()?;
    for _ in 0..scale.rounds() {
        for lane in &mut lanes {
            lane.round(scale.round() / 2)?;
        }
    }
    crate::peers::unpin()?;
    let middle = |lane: &Lane| median(lane.driver.tally.times.clone()) * 1e6;
    let (ours, peers) = lanes.split_at(1);
    let ours = middle(&ours[0]);
    let each = peers.iter().map(|lane| {
        let theirs = middle(lane);
        Measure {
            name: "relay, p50 on one core".into(),
            peer: lane.name.into(),
            ratio: ours / theirs,
            goal: if lane.name == "epoll alone" { Goal::AtMost(1.4) } else { Goal::None },
            detail: format!("{ours:.1} us against {theirs:.1} us"),
        }
    });
    Ok(each.collect())
}
