//! The time from the start of a process to its first response, and the memory of many unused hubs.

use std::time::Instant;

use crate::contest::Contestant;
use crate::http::count;
use crate::measure::{Goal, Measure, Scale, median};
use crate::mock::{self, Mock, Wish};

pub(crate) fn run(scale: Scale) -> Result<Vec<Measure>, String> {
    let mut measures = Vec::new();
    let world = |virtual_hubs| Wish { virtual_hubs, ..Wish::NOTHING };
    let (mut ours, mut idle, mut bare) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..scale.rounds() {
        // Ends with the response to a login.
        let began = Instant::now();
        let mock = Mock::start(world(10_000))?;
        ours.push(began.elapsed().as_secs_f64());
        drop(mock);
        let began = Instant::now();
        let peer = Contestant::peer("bare hyper", None, &["hyper", "100"])?;
        mock::once(peer.address, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")?;
        bare.push(began.elapsed().as_secs_f64());
        idle.push(Mock::start(world(1))?.contestant.memory());
    }
    let (ours, bare, idle) = (median(ours), median(bare), median(idle));
    measures.push(Measure {
        name: "start with 10,000 hubs to a login".into(),
        peer: "10 ms".into(),
        ratio: ours / 0.010,
        goal: Goal::AtMost(1.0),
        detail: format!("{:.1} ms; bare hyper {:.1} ms to its first response", ours * 1e3, bare * 1e3),
    });
    measures.extend(beside_wiremock(ours));
    measures.push(Measure {
        name: "idle process".into(),
        peer: "8 MiB".into(),
        ratio: idle / (8.0 * 1024.0 * 1024.0),
        goal: Goal::AtMost(1.0),
        detail: format!("{:.1} MiB", idle / 1024.0 / 1024.0),
    });
    let base = idle;
    for hubs in [1_000, 10_000, 50_000, 1_000_000] {
        let (mock, time) = started(world(hubs), if hubs == 50_000 { scale.rounds() } else { 1 })?;
        let each = (mock.contestant.memory() - base) / count(hubs);
        let goal = if hubs == 1_000_000 { Goal::AtMost(1.0) } else { Goal::None };
        if hubs == 50_000 {
            measures.extend(all_made(hubs, time, mock.contestant.memory()));
        }
        measures.push(Measure {
            name: format!("{hubs} untouched hubs, each"),
            peer: "512 bytes".into(),
            ratio: each / 512.0,
            goal,
            detail: format!(
                "{each:.0} bytes each, {:.1} MB in all, ready after {:.1} ms",
                mock.contestant.memory() / 1e6,
                time * 1e3
            ),
        });
    }
    Ok(measures)
}

/// Starts mock-cloud several times and returns the last process and the median time to a login in seconds.
fn started(world: Wish, times: usize) -> Result<(Mock, f64), String> {
    let mut took = Vec::new();
    loop {
        let began = Instant::now();
        let mock = Mock::start(world)?;
        took.push(began.elapsed().as_secs_f64());
        if took.len() >= times {
            return Ok((mock, median(took)));
        }
    }
}

/// Returns time and memory of a process with many hubs, including the start of the program.
fn all_made(hubs: u64, time: f64, memory: f64) -> [Measure; 2] {
    let measure = |name: &str, peer: &str, ratio: f64, detail: String| Measure {
        name: format!("{hubs} hubs made, {name}"),
        peer: peer.into(),
        ratio,
        goal: Goal::AtMost(1.0),
        detail,
    };
    [
        measure(
            "to a login",
            "50 ms",
            time / 0.050,
            format!("{:.1} ms, including the start of the program", time * 1e3),
        ),
        measure("memory of the process", "32 MB", memory / 32e6, format!("{:.1} MB", memory / 1e6)),
    ]
}

/// Compares the start with that of WireMock up to its first response.
fn beside_wiremock(ours: f64) -> Option<Measure> {
    let theirs: Option<Vec<f64>> = (0..3)
        .map(|_| {
            let began = Instant::now();
            let peer = Contestant::wiremock_jar(100)?;
            mock::once(peer.address, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").ok()?;
            Some(began.elapsed().as_secs_f64())
        })
        .collect();
    let theirs = median(theirs?);
    Some(Measure {
        name: "start with 10,000 hubs to a login".into(),
        peer: "WireMock to its first answer".into(),
        ratio: ours / theirs,
        goal: Goal::AtMost(0.01),
        detail: format!("{:.1} ms against {:.0} ms", ours * 1e3, theirs * 1e3),
    })
}
