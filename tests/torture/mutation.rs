//! Mutated WebSocket frames and HTTP requests.

use std::time::{Duration, Instant};

use ezlo_testkit::frame;

use super::Run;
use super::client::{PATIENCE, Ws, http};
use super::program::Program;

const HUB: &str = "90000001";
/// Messages that are mutated.
const MESSAGES: &[&str] = &[
    r#"{"id":"1","method":"hub.info.get","params":{}}"#,
    r#"{"id":"2","method":"hub.item.value.set","params":{"_id":"a","value":true}}"#,
    r#"{"api":"1.0","id":"3","method":"hub.scenes.create","params":{"name":"s","enabled":true,"when":[],"then":[{"blockType":"then","blockOptions":{"method":{"name":"delay","args":{"seconds":"s"}}},"fields":[]}]}}"#,
    r#"{"id":"4","method":"hub.modes.switch","params":{"modeId":"2"}}"#,
    r#"{"id":"5","method":"register","params":{"serial":"90000001"}}"#,
    r#"{"id":"6","method":"loginUserMios","params":{"MMSAuth":"eyJFeHBpcmVzIjoxfQ==","MMSAuthSig":"c2ln"}}"#,
    r#"{"id":"7","method":"hub.offline.login.ui","params":{"user":"u","token":"t"}}"#,
    r#"{"id":"8","method":"hub.extensions.plugin.run","params":{"script":"HUB:zwave/scripts/start_include","scriptParams":{}}}"#,
    r#"{"id":"ui_broadcast","msg_subclass":"hub.item.updated","result":{"_id":"x","value":1.5e3}}"#,
];
/// Requests that are mutated.
const REQUESTS: &[&str] = &[
    "GET /autha/auth/username/demo.user?SHA1Password=0123456789abcdef0123456789abcdef01234567&PK_Oem=1 HTTP/1.1\r\nhost: localhost\r\n\r\n",
    "POST /v1/request HTTP/1.1\r\nhost: localhost\r\ncontent-length: 35\r\n\r\n{\"call\":\"controller_list\",\"params\":{}}",
    "PUT /account/account/account/1200001?json=%7B%22Address%22%3A%22x%22%7D HTTP/1.1\r\nhost: localhost\r\nMMSAuth: a\r\n\r\n",
    "POST /faults HTTP/1.1\r\nhost: localhost\r\ncontent-length: 27\r\n\r\n{\"fault\":\"status\",\"status\":503}",
    "POST /wifi/network/connect HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n1a\r\n{\"ssid\":\"a\",\"passkey\":\"b\"}\r\n0\r\n\r\n",
    "GET /provision-sync?token=a.b&version=1 HTTP/1.1\r\nhost: localhost\r\nconnection: keep-alive\r\n\r\n",
    "GET / HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
];
/// Listeners that receive mutated requests.
const LISTENERS: &[&str] =
    &["/http", "/https", "/control", "/hubs/0/ap", "/hubs/0/ap_root", "/hubs/0/lan", "/hubs/0/lan_http"];
/// Number of frames of one connection.
const FRAMES: usize = 20;
/// Time for the replies to mutated input, most of which gets none.
const SHORT: Duration = Duration::from_millis(5);
/// Number of connections between two checks.
const BATCH: usize = 25;

/// Returns a text with random changes.
fn mutated(run: &Run, text: &[u8]) -> Vec<u8> {
    let mut bytes = text.to_vec();
    for _ in 0..=run.below(4) {
        let at = run.below(bytes.len().max(1));
        match run.below(6) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << run.below(8),
            1 => bytes.insert(at.min(bytes.len()), u8::try_from(run.below(256)).unwrap_or_default()),
            2 if !bytes.is_empty() => drop(bytes.remove(at)),
            3 => bytes.truncate(at),
            4 => {
                let end = (at + run.below(40)).min(bytes.len());
                let part = bytes[at.min(end)..end].to_vec();
                bytes.splice(at..at, part);
            }
            _ => {
                let filler = [&b"\0"[..], b"[[[[[[[[[[", b"1e400", b"\xff\xfe", b"\\ud800", b"-9223372036854775809"];
                bytes.splice(at.min(bytes.len())..at.min(bytes.len()), filler[run.below(filler.len())].to_vec());
            }
        }
    }
    bytes
}

pub(super) fn frames(run: &mut Run, end: Instant) -> Result<(), String> {
    let mut program = Program::start(run, &[])?;
    let relay = program.address("/http");
    while Instant::now() < end {
        for _ in 0..BATCH {
            let is_user = run.random.chance(0.5);
            let socket = if is_user { Ws::of_demo_user(relay, HUB) } else { Ws::open(relay, PATIENCE) };
            let Some(mut socket) = socket else { return Err("the relay refuses connections".to_owned()) };
            for _ in 0..FRAMES {
                let text = mutated(run, MESSAGES[run.below(MESSAGES.len())].as_bytes());
                let code = if run.random.chance(0.9) { 0x81 } else { u8::try_from(run.below(256)).unwrap_or_default() };
                let bytes = frame(code, &text);
                let bytes = if run.random.chance(0.1) { mutated(run, &bytes) } else { bytes };
                run.report.frames += 1;
                if !socket.send_raw(&bytes) {
                    break;
                }
            }
        }
        program.check(run, "mutated frames")?;
    }
    if !program.stop() {
        run.report.violation("mutated frames: the program did not end on request".to_owned());
    }
    Ok(())
}

pub(super) fn requests(run: &mut Run, end: Instant) -> Result<(), String> {
    let mut program = Program::start(run, &[])?;
    while Instant::now() < end {
        for _ in 0..BATCH {
            let request = mutated(run, REQUESTS[run.below(REQUESTS.len())].as_bytes());
            run.report.requests += 1;
            http(program.address(LISTENERS[run.below(LISTENERS.len())]), &request, SHORT);
        }
        // A mutated request can still be valid and set a fault.
        super::client::ask(program.address("/control"), "DELETE /faults", "");
        program.check(run, "mutated requests")?;
    }
    if !program.stop() {
        run.report.violation("mutated requests: the program did not end on request".to_owned());
    }
    Ok(())
}
