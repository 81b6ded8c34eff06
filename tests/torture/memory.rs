//! Messages that filled the memory of earlier versions.

use std::net::TcpListener;
use std::time::Instant;

use serde_json::{Value, json};

use super::Run;
use super::client::{PATIENCE, Ws};
use super::program::Program;

const HUB: &str = "90000001";
/// Number of controllers that register, above the limit.
const REGISTRATIONS: u32 = 12_000;
/// Number of large scenes.
const SCENES: usize = 100;
/// Number of conditions of a large scene, which has about 0.95 MB.
const CONDITIONS: usize = 3_800;
/// Number of listeners that do not read, and of large broadcasts.
const LISTENERS: usize = 100;
const BROADCASTS: usize = 25;
/// Length of a text in a large broadcast, in bytes.
const LONG_TEXT: usize = 900_000;
/// Number of runs of a scene with requests to a silent port.
const RUNS: usize = 60;

fn finish(run: &mut Run, mut program: Program, attack: &'static str) -> Result<(), String> {
    let mib = program.memory_mib();
    run.report.memory_mib.push((attack, mib));
    program.check(run, attack)
}

/// Registers many controllers with unknown serials.
pub(super) fn registrations(run: &mut Run, _: Instant) -> Result<(), String> {
    let program = Program::start(run, &[])?;
    let mut socket = Ws::open(program.address("/http"), PATIENCE).ok_or("the relay refuses connections")?;
    for number in 0..REGISTRATIONS {
        let params = json!({"serial": format!("7{number:08}"), "hubType": "h2.1", "mac_address": "AA:BB:CC:00:00:01"});
        socket.call("register", &params).ok_or("no reply to a registration")?;
    }
    finish(run, program, "registrations of controllers")
}

fn condition() -> Value {
    json!({"blockType": "when", "blockOptions": {"method": {"name": "isItemState", "args": {"item": "item", "value": "value"}}},
        "fields": [{"name": "item", "type": "item", "value": "00000000000000000000000a"}, {"name": "value", "type": "bool", "value": true}]})
}

/// Creates many scenes of nearly the longest message. Most must be refused.
pub(super) fn scenes(run: &mut Run, _: Instant) -> Result<(), String> {
    let program = Program::start(run, &[])?;
    let mut socket = Ws::of_demo_user(program.address("/http"), HUB).ok_or("the relay refuses the user")?;
    let items = socket.call("hub.items.list", &json!({})).ok_or("no list of items")?;
    let item = items["result"]["items"][0]["_id"].clone();
    let mut one = condition();
    one["fields"][0]["value"] = item;
    let conditions = vec![one; CONDITIONS];
    for number in 0..SCENES {
        let scene = json!({"name": format!("large {number}"), "enabled": true, "when": [{"blockType": "when",
            "blockOptions": {"method": {"name": "or", "args": {"blocks": "blocks"}}},
            "fields": [{"name": "blocks", "type": "blocks", "value": conditions}]}], "then": []});
        if socket.call("hub.scenes.create", &scene).is_none() {
            break;
        }
    }
    finish(run, program, "large scenes")
}

/// Creates a scene and returns its id.
fn create(socket: &mut Ws, scene: &Value) -> Result<Value, String> {
    let created = socket.call("hub.scenes.create", scene).ok_or("no reply")?;
    let scenes = socket.call("hub.scenes.list", &json!({})).ok_or("no reply")?;
    let scenes = scenes["result"]["scenes"].as_array().ok_or("no list of scenes")?;
    let found = scenes.iter().find(|known| known["name"] == scene["name"]);
    found.map(|found| found["_id"].clone()).ok_or_else(|| format!("the scene was refused: {}", created["error"]))
}

/// Sends large broadcasts to listeners that do not read.
pub(super) fn listeners(run: &mut Run, _: Instant) -> Result<(), String> {
    let program = Program::start(run, &[])?;
    let relay = program.address("/http");
    let silent: Vec<_> = (0..LISTENERS).filter_map(|_| Ws::of_demo_user(relay, HUB)).collect();
    run.report.connections += silent.len() as u64;
    let mut socket = Ws::of_demo_user(relay, HUB).ok_or("the relay refuses the user")?;
    let id = create(&mut socket, &json!({"name": "s", "enabled": false, "when": [], "then": []}))?;
    let mut large = 0;
    for number in 0..BROADCASTS {
        let meta = json!({"number": number, "text": "x".repeat(LONG_TEXT)});
        let scene =
            json!({"_id": id, "eo": {"_id": id, "name": "s", "enabled": false, "when": [], "then": [], "meta": meta}});
        match socket.call("hub.scenes.edit", &scene) {
            Some(reply) => large += usize::from(reply["error"].is_null()),
            None => break,
        }
    }
    if large == 0 {
        run.report.violation("listeners that do not read: no large broadcast was sent".to_owned());
    }
    finish(run, program, "listeners that do not read")
}

/// Runs a scene with many requests to a port that accepts and never answers.
pub(super) fn scene_requests(run: &mut Run, _: Instant) -> Result<(), String> {
    let silent = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    let address = silent.local_addr().map_err(|error| error.to_string())?;
    let program = Program::start(run, &[])?;
    let mut socket = Ws::of_demo_user(program.address("/http"), HUB).ok_or("the relay refuses the user")?;
    let request = json!({"blockType": "then", "blockOptions": {"method": {"name": "sendHttpRequest",
        "args": {"url": "url", "request": "request"}}}, "fields": [{"name": "url", "type": "string", "value": format!("http://{address}/")},
        {"name": "request", "type": "string", "value": "GET"}]});
    let scene = json!({"name": "requests", "enabled": true, "when": [], "then": vec![request; 100]});
    let id = create(&mut socket, &scene)?;
    for _ in 0..RUNS {
        if socket.call("hub.scenes.run", &json!({"sceneId": id})).is_none() {
            break;
        }
    }
    finish(run, program, "requests of scenes")
}
