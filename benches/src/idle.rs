//! The memory of an idle connection that has logged in and registered with a hub.

use serde_json::json;

use crate::contest::Contestant;
use crate::drive::Driver;
use crate::drive::socket::{Role, Talker};
use crate::http::count;
use crate::measure::{Goal, Measure, Scale};
use crate::mock::{Mock, VIRTUAL, Wish};

const CONNECTIONS: u64 = 4_000;
const WITH_TLS: u64 = 2_000;

/// Returns the bytes per connection, without and with TLS.
fn ours() -> Result<(f64, f64), String> {
    let world = Wish { virtual_hubs: 1, ..Wish::NOTHING };
    let mock = Mock::start(world)?;
    // Fills the journal and the pools of the allocator before the first memory reading.
    let call = json!({"id": "s", "method": "hub.info.get", "params": {}}).to_string();
    let mut warm = Driver::new()?;
    let setup = || [mock.at_hub(VIRTUAL), vec![call.clone(); 200]].concat();
    warm.connect_all(mock.contestant.address, (0..100).map(|_| Talker::new("/", setup(), Role::Idle)))?;
    let one = || Talker::new("/", mock.at_hub(VIRTUAL), Role::Idle);
    let before = mock.contestant.memory();
    let mut plain = Driver::new()?;
    plain.connect_all(mock.contestant.address, (0..CONNECTIONS).map(|_| one()))?;
    let each = (mock.contestant.memory() - before) / count(CONNECTIONS);
    let before = mock.contestant.memory();
    let mut secret = Driver::with_tls()?;
    secret.connect_all(mock.contestant.https.ok_or("no TLS")?, (0..WITH_TLS).map(|_| one()))?;
    Ok((each, (mock.contestant.memory() - before) / count(WITH_TLS)))
}

/// Highest number of bytes per connection, without and with TLS.
const GOALS: [(&str, f64); 2] = [("6 KiB", 6_144.0), ("24 KiB", 24_576.0)];

pub(crate) fn run(_: Scale) -> Result<Vec<Measure>, String> {
    let mut measures = Vec::new();
    let (plain, secret) = ours()?;
    let names = ["idle connection with its session", "idle connection with TLS"];
    for ((name, (peer, most)), each) in names.into_iter().zip(GOALS).zip([plain, secret]) {
        measures.push(Measure {
            name: name.into(),
            peer: peer.into(),
            ratio: each / most,
            goal: Goal::AtMost(1.0),
            detail: format!("{each:.0} bytes each"),
        });
    }
    let peers: [(&str, &[&str]); 3] = [
        ("tungstenite, 4 KiB buffers", &["relay", "4096"]),
        ("tungstenite, its defaults", &["relay", "131072"]),
        ("tokio-websockets", &["websockets-relay"]),
    ];
    for (name, arguments) in peers {
        let peer = Contestant::peer(name, None, arguments)?;
        let before = peer.memory();
        let mut driver = Driver::new()?;
        let all = (0..CONNECTIONS).map(|n| Talker::new(format!("/app/{n}"), Vec::new(), Role::Idle));
        driver.connect_all(peer.address, all)?;
        let theirs = (peer.memory() - before) / count(CONNECTIONS);
        measures.push(Measure {
            name: "idle connection with its session".into(),
            peer: name.into(),
            ratio: plain / theirs,
            goal: Goal::None,
            detail: format!("{plain:.0} bytes against {theirs:.0}"),
        });
    }
    Ok(measures)
}
