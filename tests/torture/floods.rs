//! Clients that hold connections open.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;

use super::Run;
use super::client::{Ws, ask, connect};
use super::program::Program;

const HUB: &str = "90000001";
/// Number of slow clients of each kind.
const SLOW: usize = 100;
/// Limit of file descriptors of the flooded program, and the number of connections that flood it.
const DESCRIPTORS: u32 = 128;
const FLOOD: usize = 300;
/// Time limit of the parts of a flood.
const SHORT: Duration = Duration::from_secs(1);

/// Holds connections with incomplete input. Other clients must be served meanwhile.
pub(super) fn slow_clients(run: &mut Run, _: Instant) -> Result<(), String> {
    let mut program = Program::start(run, &[])?;
    let http = program.address("/http");
    let parts: [&[u8]; 4] = [
        b"",
        b"GET /autha HTTP/1.1\r\nhost: lo",
        b"POST /v1/request HTTP/1.1\r\nhost: a\r\ncontent-length: 99\r\n\r\n{",
        b"\x16\x03\x01",
    ];
    let mut held: Vec<TcpStream> = Vec::new();
    let mut sockets = Vec::new();
    for _ in 0..SLOW {
        for part in parts {
            let mut stream = connect(http, SHORT).ok_or("a connection was refused")?;
            let _ = stream.write_all(part);
            held.push(stream);
        }
        let mut socket = Ws::open(http, SHORT).ok_or("a WebSocket was refused")?;
        // Half a frame.
        socket.send_raw(&[0x81, 0xfe, 0x10]);
        sockets.push(socket);
    }
    run.report.connections += (held.len() + sockets.len()) as u64;
    let mut app = Ws::of_demo_user(http, HUB).ok_or("slow clients block the relay")?;
    app.call("hub.info.get", &json!({})).ok_or("slow clients block calls")?;
    program.check(run, "slow clients")
}

/// Uses up the file descriptors. The control API has some of its own, and everything recovers afterwards.
pub(super) fn descriptors(run: &mut Run, _: Instant) -> Result<(), String> {
    if cfg!(not(unix)) {
        return Ok(());
    }
    let mut program = Program::start_limited(run, DESCRIPTORS)?;
    let held: Vec<_> = (0..FLOOD)
        .filter_map(|at| connect(program.address(["/http", "/https", "/hubs/0/lan"][at % 3]), SHORT))
        .collect();
    run.report.connections += held.len() as u64;
    program.check(run, "exhausted descriptors")?;
    drop(held);
    let (status, _) = ask(program.address("/http"), "GET /locator/locator/locator", "");
    if status != 200 {
        run.report.violation(format!("exhausted descriptors: the cloud answers {status} after the flood"));
    }
    program.check(run, "a flood")
}
