//! Broadcast of one hub event to all listeners, compared with relays that do nothing else.

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

/// The program that broadcasts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Teller {
    Ours,
    Epoll,
    Tungstenite,
    Websockets,
    Node,
}

/// A running program that broadcasts.
enum Running {
    Ours(Mock),
    Peer(Contestant),
}

impl Teller {
    fn start(self) -> Result<Option<Running>, String> {
        let peer = |name, arguments: &[&str]| Ok(Some(Running::Peer(Contestant::peer(name, None, arguments)?)));
        match self {
            Self::Ours => {
                let world = Wish { foreign_hubs: 1, ..Wish::NOTHING };
                Ok(Some(Running::Ours(Mock::start(world)?)))
            }
            Self::Epoll => peer("epoll alone", &["limit"]),
            Self::Tungstenite => peer("tungstenite, 4 KiB buffers", &["relay", "4096"]),
            Self::Websockets => peer("tokio-websockets", &["websockets-relay"]),
            Self::Node => Ok(Contestant::node("Node ws", "relay.js", &[]).map(Running::Peer)),
        }
    }
}

struct Lane {
    teller: Teller,
    name: &'static str,
    _running: Running,
    driver: Driver<Talker>,
    rates: Vec<f64>,
}

impl Lane {
    fn new(teller: Teller, listeners: u64, at_once: u64) -> Result<Option<Self>, String> {
        let Some(running) = teller.start()? else { return Ok(None) };
        let mut driver = Driver::new()?;
        let tell = || Role::Tell { frame: masked(&event()), listeners, at_once };
        let name = match &running {
            Running::Peer(peer) => {
                driver.connect(peer.address, Talker::new("/hub/0", Vec::new(), tell()))?;
                let all = (0..listeners).map(|_| Talker::new("/app/0", Vec::new(), Role::Listen));
                driver.connect_all(peer.address, all)?;
                peer.name
            }
            Running::Ours(mock) => {
                let to = mock.contestant.address;
                driver.connect(to, Talker::new("/", mock.as_hub(FOREIGN), tell()))?;
                let all = (0..listeners).map(|_| Talker::new("/", mock.at_hub(FOREIGN), Role::Listen));
                driver.connect_all(to, all)?;
                "mock-cloud"
            }
        };
        driver.begin()?;
        driver.run(Duration::from_millis(200))?;
        driver.tally.times.clear();
        Ok(Some(Self { teller, name, _running: running, driver, rates: Vec::new() }))
    }

    /// Returns the time from sending an event to its last delivery in seconds (99th percentile).
    fn late(&self) -> f64 {
        let mut times = self.driver.tally.times.clone();
        times.sort_by(f64::total_cmp);
        times.get(times.len() * 99 / 100).copied().unwrap_or(f64::NAN)
    }
}

/// A number of listeners and of events in flight, with the goals for the ratios to epoll and to Node.
struct Case {
    listeners: u64,
    at_once: u64,
    to_epoll: Goal,
    to_node: Goal,
    /// Programs that run at the same time. The limit of file descriptors of the driver bounds their number.
    groups: &'static [&'static [Teller]],
}

const FEW: &[&[Teller]] =
    &[&[Teller::Ours, Teller::Epoll, Teller::Tungstenite, Teller::Node], &[Teller::Ours, Teller::Websockets]];
const MANY: &[&[Teller]] = &[&[Teller::Ours, Teller::Epoll], &[Teller::Ours, Teller::Node]];

const CASES: &[Case] = &[
    Case { listeners: 1_000, at_once: 1, to_epoll: Goal::AtLeast(0.75), to_node: Goal::AtLeast(1.1), groups: FEW },
    Case { listeners: 1_000, at_once: 4, to_epoll: Goal::None, to_node: Goal::AtLeast(3.2), groups: FEW },
    Case { listeners: 9_000, at_once: 1, to_epoll: Goal::AtLeast(0.75), to_node: Goal::AtLeast(1.1), groups: MANY },
    Case { listeners: 9_000, at_once: 4, to_epoll: Goal::None, to_node: Goal::AtLeast(5.0), groups: MANY },
];

impl Case {
    fn group(&self, tellers: &[Teller], scale: Scale) -> Result<Vec<Measure>, String> {
        let mut lanes = Vec::new();
        for teller in tellers {
            lanes.extend(Lane::new(*teller, self.listeners, self.at_once)?);
        }
        for _ in 0..scale.rounds() {
            for lane in &mut lanes {
                lane.rates.push(lane.driver.run(scale.round())?);
            }
        }
        let (ours, peers): (Vec<_>, Vec<_>) = lanes.iter().partition(|lane| matches!(lane.teller, Teller::Ours));
        Ok(ours.iter().flat_map(|own| peers.iter().map(|peer| self.measure(own, peer))).collect())
    }

    fn measure(&self, own: &Lane, peer: &Lane) -> Measure {
        let (rate, theirs) = (median(own.rates.clone()), median(peer.rates.clone()));
        let goal = match peer.teller {
            Teller::Epoll => self.to_epoll,
            Teller::Node => self.to_node,
            Teller::Ours | Teller::Tungstenite | Teller::Websockets => Goal::None,
        };
        Measure {
            name: format!("to {} listeners, {} under way", self.listeners, self.at_once),
            peer: peer.name.into(),
            ratio: rate / theirs,
            goal,
            detail: format!(
                "{rate:.0} deliveries/s against {theirs:.0}/s; the last after {:.1} ms (p99)",
                own.late() * 1000.0
            ),
        }
    }
}

pub(crate) fn run(scale: Scale) -> Result<Vec<Measure>, String> {
    let mut measures = Vec::new();
    for case in CASES {
        for group in case.groups {
            measures.extend(case.group(group, scale)?);
        }
    }
    Ok(measures)
}
