//! Logins and account reads over keep-alive connections with the journal on, compared with servers of a fixed response.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::contest::Contestant;
use crate::drive::Driver;
use crate::drive::http::Asker;
use crate::measure::{Goal, Measure, Scale, median};
use crate::mock::{self, Mock, Wish};

/// Keep-alive connections, each with one request in flight.
const CONNECTIONS: usize = 64;
/// Warm-up time of WireMock, in which its virtual machine compiles.
const WARM: Duration = Duration::from_secs(5);

struct Lane<'a> {
    contestant: &'a Contestant,
    driver: Driver<Asker>,
    rates: Vec<f64>,
    /// Processor time per request in microseconds.
    costs: Vec<f64>,
}

impl<'a> Lane<'a> {
    fn new(contestant: &'a Contestant, requests: Vec<Vec<u8>>) -> Result<Self, String> {
        Self::with(contestant, requests, Driver::new()?, contestant.address)
    }

    fn with(
        contestant: &'a Contestant,
        requests: Vec<Vec<u8>>,
        mut driver: Driver<Asker>,
        address: SocketAddr,
    ) -> Result<Self, String> {
        let requests = Arc::new(requests);
        driver.connect_all(address, (0..CONNECTIONS).map(|_| Asker::new(Arc::clone(&requests))))?;
        driver.run(Duration::from_millis(100))?;
        Ok(Self { contestant, driver, rates: Vec::new(), costs: Vec::new() })
    }

    fn round(&mut self, time: Duration) -> Result<(), String> {
        let (cpu, done) = (self.contestant.cpu(), self.driver.tally.done);
        self.rates.push(self.driver.run(time)?);
        let cost = (self.contestant.cpu() - cpu) / count(self.driver.tally.done - done);
        self.costs.push(cost * 1e6);
        Ok(())
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of a second fit")]
pub(crate) fn count(number: u64) -> f64 {
    number as f64
}

pub(crate) fn run(scale: Scale) -> Result<Vec<Measure>, String> {
    let world = Wish { virtual_hubs: 1, ..Wish::NOTHING };
    let ours = Mock::start(world)?;
    let requests = vec![mock::login_request(), mock::account_request(&ours.identity)];
    let lengths = requests.iter().map(|request| mock::once(ours.contestant.address, request).map(|body| body.len()));
    let length = lengths.sum::<Result<usize, _>>()? / requests.len();
    let bytes = length.to_string();
    let mut peers = vec![Contestant::peer("bare hyper", None, &["hyper", &bytes])?];
    peers.push(Contestant::peer("wiremock-rs", None, &["wiremock", &bytes])?);
    peers.extend(Contestant::node("Node http", "http.js", &[&bytes]));
    let mut lanes = vec![Lane::new(&ours.contestant, requests.clone())?];
    for peer in &peers {
        lanes.push(Lane::new(peer, requests.clone())?);
    }
    // Fills the journal and the pools of the allocator before the first memory reading.
    lanes[0].driver.run(scale.round() * 4)?;
    let (before, begun) = (ours.contestant.memory(), lanes[0].driver.tally.done);
    for _ in 0..scale.rounds() {
        for lane in &mut lanes {
            // Only one lane has load at a time: the connections of the others wait.
            lane.round(scale.round())?;
        }
    }
    let (growth, done) = (ours.contestant.memory() - before, count(lanes[0].driver.tally.done - begun));
    let medians = |lane: &Lane<'_>| (median(lane.rates.clone()), median(lane.costs.clone()));
    let (rate, cost) = medians(&lanes[0]);
    let mut measures = Vec::new();
    for lane in &lanes[1..] {
        let (their_rate, their_cost) = medians(lane);
        let least = match lane.contestant.name {
            "bare hyper" => 0.85,
            "wiremock-rs" => 3.0,
            _ => 1.8,
        };
        measures.push(Measure {
            name: "login and account read".into(),
            peer: format!("{}'s rate", lane.contestant.name),
            ratio: rate / their_rate,
            goal: Goal::AtLeast(least),
            detail: format!("{rate:.0}/s against {their_rate:.0}/s, {length} bytes"),
        });
        if lane.contestant.name == "bare hyper" {
            measures.push(Measure {
                name: "login and account read".into(),
                peer: "bare hyper's processor time".into(),
                ratio: cost / their_cost,
                goal: Goal::AtMost(1.25),
                detail: format!("{cost:.1} us against {their_cost:.1} us a request"),
            });
        }
    }
    let per_million = growth / done * 1e6;
    measures.push(Measure {
        name: "growth by a million requests".into(),
        peer: "4 MiB".into(),
        ratio: per_million.max(0.0) / (4.0 * 1024.0 * 1024.0),
        goal: Goal::AtMost(1.0),
        detail: format!("{growth:.0} bytes in {done:.0} requests, journal full"),
    });
    drop(lanes);
    drop(peers);
    measures.extend(beside_wiremock(&ours.contestant, &requests, length, scale)?);
    measures.push(with_tls(&ours.contestant, requests, scale)?);
    Ok(measures)
}

/// Compares the same requests with WireMock. WireMock runs alone, because its virtual machine works also without requests.
fn beside_wiremock(
    ours: &Contestant,
    requests: &[Vec<u8>],
    length: usize,
    scale: Scale,
) -> Result<Option<Measure>, String> {
    let Some(peer) = Contestant::wiremock_jar(length) else { return Ok(None) };
    let mut theirs = Lane::new(&peer, requests.to_vec())?;
    theirs.driver.run(WARM)?;
    for _ in 0..scale.rounds() {
        theirs.round(scale.round())?;
    }
    let their_rate = median(theirs.rates.clone());
    drop(theirs);
    drop(peer);
    let mut own = Lane::new(ours, requests.to_vec())?;
    for _ in 0..scale.rounds() {
        own.round(scale.round())?;
    }
    let rate = median(own.rates);
    Ok(Some(Measure {
        name: "login and account read".into(),
        peer: "WireMock's rate".into(),
        ratio: rate / their_rate,
        goal: Goal::AtLeast(5.0),
        detail: format!("{rate:.0}/s against {their_rate:.0}/s, one after the other"),
    }))
}

/// Compares keep-alive connections with TLS and without.
fn with_tls(ours: &Contestant, requests: Vec<Vec<u8>>, scale: Scale) -> Result<Measure, String> {
    let address = ours.https.ok_or("no TLS")?;
    let mut plain = Lane::new(ours, requests.clone())?;
    let mut tls = Lane::with(ours, requests, Driver::with_tls()?, address)?;
    for _ in 0..scale.rounds() {
        plain.round(scale.round())?;
        tls.round(scale.round())?;
    }
    let medians = |lane: &Lane<'_>| (median(lane.rates.clone()), median(lane.costs.clone()));
    let ((rate, cost), (their_rate, their_cost)) = (medians(&tls), medians(&plain));
    Ok(Measure {
        name: "login and account read, TLS".into(),
        peer: "our own without".into(),
        ratio: rate / their_rate,
        goal: Goal::AtLeast(0.7),
        detail: format!("{rate:.0}/s against {their_rate:.0}/s, {cost:.1} us against {their_cost:.1} us a request"),
    })
}
