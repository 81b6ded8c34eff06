//! Kills a program that persists its state, and compares what it acknowledged with what it has after a restart.

use std::time::Instant;

use serde_json::{Value, json};

use super::Run;
use super::client::{Ws, ask};
use super::program::Program;

const HUB: &str = "90000001";
/// Maximum number of acknowledged changes before a kill.
const MAX_CHANGES: usize = 60;
/// Number of the newest accounts that are checked after a restart.
const CHECKED: usize = 5;

/// Changes that were requested, and those that were acknowledged.
#[derive(Default)]
struct Model {
    room: Value,
    /// Number in the room's name: the last request, and the last acknowledged one.
    requested: u64,
    acknowledged: u64,
    /// Acknowledged accounts.
    accounts: Vec<String>,
}

pub(super) fn kill_and_restart(run: &mut Run, end: Instant) -> Result<(), String> {
    let folder = run.folder.path().join(format!("kills-{}", run.report.kills));
    let arguments = ["--state-dir", folder.to_str().unwrap_or_default()];
    let mut model = Model::default();
    while Instant::now() < end {
        let mut program = Program::start(run, &arguments)?;
        let mut socket = Ws::of_demo_user(program.address("/http"), HUB).ok_or("the relay refuses the user")?;
        compare(run, &program, &mut socket, &mut model)?;
        program.check(run, "a kill")?;
        let changes = run.below(MAX_CHANGES) as u64;
        change_until_killed(run, program, socket, &mut model, changes);
        run.report.kills += 1;
    }
    let program = Program::start(run, &arguments)?;
    let mut socket = Ws::of_demo_user(program.address("/http"), HUB).ok_or("the relay refuses the user")?;
    compare(run, &program, &mut socket, &mut model)?;
    if !program.stop() {
        run.report.violation("kills: the program did not end on request".to_owned());
    }
    let _ = std::fs::remove_dir_all(&folder);
    Ok(())
}

/// Changes names and creates accounts until the program is killed, after a number of acknowledged names.
fn change_until_killed(run: &mut Run, program: Program, mut socket: Ws, model: &mut Model, changes: u64) {
    let (http, life) = (program.address("/http"), run.report.kills);
    let (reached, wait) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let creator = scope.spawn(move || {
            let mut created = Vec::new();
            for number in 0.. {
                let name = format!("user-{life}-{number}");
                let create = format!(
                    "POST /autha/auth/username?Username={name}&Email={name}@example.com&Password=secret-1&PK_Oem=1"
                );
                if ask(http, &create, "").0 != 200 {
                    break;
                }
                created.push(name);
            }
            created
        });
        // The kill meets the changes that follow, some of them in progress.
        scope.spawn(move || {
            let _ = wait.recv();
            program.kill();
        });
        let first = model.requested;
        loop {
            if model.requested - first == changes {
                let _ = reached.send(());
            }
            model.requested += 1;
            let params = json!({"_id": model.room, "name": format!("n{}", model.requested)});
            match socket.call("hub.room.name.set", &params) {
                Some(reply) if reply["error"].is_null() => {
                    model.acknowledged = model.requested;
                    run.report.acknowledged += 1;
                }
                _ => break,
            }
        }
        // The program is killed also if the connection has ended for another reason.
        drop(reached);
        model.accounts = creator.join().unwrap_or_default();
        run.report.acknowledged += model.accounts.len() as u64;
    });
}

/// Compares the state after a restart with the model.
fn compare(run: &mut Run, program: &Program, socket: &mut Ws, model: &mut Model) -> Result<(), String> {
    if model.room.is_null() {
        let created = socket.call("hub.room.create", &json!({"name": "n0"})).ok_or("no reply")?;
        model.room = created["result"]["_id"].clone();
        return Ok(());
    }
    let rooms = socket.call("hub.room.list", &json!({})).ok_or("no reply")?;
    let room = rooms["result"].as_array().and_then(|rooms| rooms.iter().find(|room| room["_id"] == model.room));
    let name = room.and_then(|room| room["name"].as_str()?.strip_prefix('n')?.parse::<u64>().ok());
    let (acknowledged, requested) = (model.acknowledged, model.requested);
    if !name.is_some_and(|name| (acknowledged..=requested).contains(&name)) {
        run.report.violation(format!(
            "kills: the room has name {name:?}, acknowledged {acknowledged}, requested {requested}"
        ));
    }
    for name in model.accounts.iter().rev().take(CHECKED) {
        let hash = ezlo_protocol::password::sha1_password(name, &"secret-1".into());
        let login = format!("GET /autha/auth/username/{name}?SHA1Password={}&PK_Oem=1", hash.expose());
        let (status, _) = ask(program.address("/http"), &login, "");
        if status != 200 {
            run.report.violation(format!("kills: the acknowledged account {name} is gone (status {status})"));
        }
    }
    Ok(())
}
