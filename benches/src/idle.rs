//! What a connection costs that has logged in, is at its hub, and says nothing.

use serde_json::json;

use crate::contest::Contestant;
use crate::drive::Driver;
use crate::drive::socket::{Role, Talker};
use crate::http::count;
use crate::measure::{Goal, Measure, Scale};
use crate::mock::{Mock, VIRTUAL, Wish};

const CONNECTIONS: u64 = 4_000;
const WITH_TLS: u64 = 2_000;

pub(crate) fn run(_: Scale) -> Result<Vec<Measure>, String> {
    let mock = Mock::start(Wish { virtual_hubs: 1, foreign_hubs: 0, other_users: 0, journal: true, core: None })?;
    // The journal is full, and the allocator has what it needs.
    let call = json!({"id": "s", "method": "hub.info.get", "params": {}}).to_string();
    let mut warm = Driver::new()?;
    let setup = || [mock.at_hub(VIRTUAL), vec![call.clone(); 200]].concat();
    warm.connect_all(mock.contestant.address, (0..100).map(|_| Talker::new("/", setup(), Role::Idle)))?;
    let before = mock.contestant.memory();
    let mut driver = Driver::new()?;
    let one = || Talker::new("/", mock.at_hub(VIRTUAL), Role::Idle);
    driver.connect_all(mock.contestant.address, (0..CONNECTIONS).map(|_| one()))?;
    let ours = (mock.contestant.memory() - before) / count(CONNECTIONS);
    let mut measures = vec![Measure {
        name: "idle connection with its session".into(),
        peer: "6 KiB".into(),
        ratio: ours / 6144.0,
        goal: Goal::AtMost(1.0),
        detail: format!("{ours:.0} bytes each, {CONNECTIONS} of them"),
    }];
    let before = mock.contestant.memory();
    let mut secret = Driver::with_tls()?;
    let address = mock.contestant.https.ok_or("no TLS")?;
    secret.connect_all(address, (0..WITH_TLS).map(|_| one()))?;
    let each = (mock.contestant.memory() - before) / count(WITH_TLS);
    measures.push(Measure {
        name: "idle connection with TLS".into(),
        peer: "24 KiB".into(),
        ratio: each / 24_576.0,
        goal: Goal::AtMost(1.0),
        detail: format!("{each:.0} bytes each, {WITH_TLS} of them"),
    });
    drop(secret);
    for (name, buffer) in [("tungstenite, 4 KiB buffers", "4096"), ("tungstenite, its defaults", "131072")] {
        let peer = Contestant::peer(name, None, &["relay", buffer])?;
        let before = peer.memory();
        let mut driver = Driver::new()?;
        let all = (0..CONNECTIONS).map(|n| Talker::new(format!("/app/{n}"), Vec::new(), Role::Idle));
        driver.connect_all(peer.address, all)?;
        let theirs = (peer.memory() - before) / count(CONNECTIONS);
        measures.push(Measure {
            name: "idle connection with its session".into(),
            peer: name.into(),
            ratio: ours / theirs,
            goal: Goal::None,
            detail: format!("{ours:.0} bytes beside {theirs:.0}"),
        });
    }
    Ok(measures)
}
