//! Control calls for forks, snapshots and exports of worlds.

use std::sync::Arc;

use http::StatusCode;
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};

use crate::core::ready_line::Ready;
use crate::server::control::request::{parse_body, refusal};
use crate::server::http::message::{Reply, Request};
use crate::server::shared::Shared;

/// Most forks at a time. Each fork has listeners of its own.
const MOST_COPIES: usize = 64;
/// Most snapshots of a world and its forks.
const MOST_STATES: usize = 64;
/// Longest name of a snapshot, in bytes.
const LONGEST_NAME: usize = 64;

/// The name of a snapshot.
#[derive(Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct SnapshotName {
    /// Name of 1 to 64 bytes without `/`.
    name: String,
}

/// A world with its ready line.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct RunningWorld {
    /// Number of the world; forks count from 1.
    id: u64,
    /// Ready line of the world.
    ready: Ready,
}

/// The worlds and snapshots of a process.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Worlds {
    /// World 0 and its forks.
    worlds: Vec<RunningWorld>,
    /// Names of the snapshots.
    states: Vec<String>,
}

/// A stored snapshot.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct StoredSnapshot {
    /// Name of the snapshot.
    snapshot: String,
}

/// A restored snapshot.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct RestoredSnapshot {
    /// Name of the snapshot.
    restored: String,
}

/// A reset world.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ResetWorld {
    /// Always `true`.
    reset: bool,
    /// Number of the last journal entry before the reset.
    since: u64,
}

/// An ended fork.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct EndedWorld {
    /// Number of the fork.
    ended: u64,
}

/// A deleted snapshot.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct DeletedSnapshot<'a> {
    /// Name of the snapshot.
    deleted: &'a str,
}

/// Lists the world, its forks and the names of the snapshots.
pub(crate) fn list(shared: &Shared, _: &Request) -> Reply {
    let table = shared.forks.lock();
    let own = shared.ready.get().map(|ready| RunningWorld { id: 0, ready: shared.world.with_current_passwords(ready) });
    let forks = table
        .forks
        .iter()
        .map(|(id, fork)| RunningWorld { id: *id, ready: fork.shared().world.with_current_passwords(fork.ready()) });
    let worlds = own.into_iter().chain(forks).collect();
    Reply::json(&Worlds { worlds, states: table.snapshots.keys().cloned().collect() })
}

fn no_such_world(id: &str) -> Reply {
    refusal(StatusCode::NOT_FOUND, &format!("no world has the number {id:?}; GET /worlds lists the worlds"))
}

/// Parses the number of a world in its only spelling: `+1` and `01` are invalid.
fn number(id: &str) -> Option<u64> {
    id.parse().ok().filter(|number: &u64| number.to_string() == id)
}

/// Runs `act` with the world of a number; `None` if there is no such world.
fn on<R>(shared: &Shared, id: &str, act: impl FnOnce(&Shared) -> R) -> Option<R> {
    match number(id)? {
        0 => Some(act(shared)),
        id => shared.forks.lock().forks.get(&id).map(|fork| act(fork.shared())),
    }
}

/// Starts a fork and returns its number and its ready line.
pub(crate) async fn fork(shared: &Shared, id: &str) -> Reply {
    // The limit is checked before the state is copied.
    if shared.forks.lock().forks.len() >= MOST_COPIES {
        let text = format!("{MOST_COPIES} forks exist already, which is the limit; DELETE /worlds/{{id}} ends one");
        return refusal(StatusCode::CONFLICT, &text);
    }
    let Some(starting) = on(shared, id, |shared| (shared.services.fork)(shared)) else { return no_such_world(id) };
    match starting.await {
        Ok(fork) => {
            let mut table = shared.forks.lock();
            table.created += 1;
            let id = table.created;
            let reply = Reply::json(&RunningWorld { id, ready: fork.ready().clone() });
            table.forks.insert(id, fork);
            reply
        }
        Err(error) => refusal(StatusCode::INTERNAL_SERVER_ERROR, &error),
    }
}

/// Parses the name of a snapshot from the body.
fn named(request: &Request) -> Result<String, Reply> {
    let SnapshotName { name } = parse_body(&request.body, r#"{"name": "before"}"#)?;
    let is_name = (1..=LONGEST_NAME).contains(&name.len()) && !name.contains('/');
    if is_name {
        return Ok(name);
    }
    let text = format!("the snapshot name {name:?} is invalid; send 1 to {LONGEST_NAME} bytes without /");
    Err(refusal(StatusCode::BAD_REQUEST, &text))
}

/// Stores the state of a world as a snapshot.
pub(crate) fn snapshot(shared: &Shared, id: &str, request: &Request) -> Reply {
    let name = match named(request) {
        Ok(name) => name,
        Err(refused) => return refused,
    };
    let Some(state) = on(shared, id, |shared| Arc::new(shared.world.snapshot())) else { return no_such_world(id) };
    let states = &mut shared.forks.lock().snapshots;
    if states.len() >= MOST_STATES && !states.contains_key(&name) {
        let text =
            format!("{MOST_STATES} snapshots exist already, which is the limit; DELETE /states/{{name}} deletes one");
        return refusal(StatusCode::CONFLICT, &text);
    }
    states.insert(name.clone(), state);
    Reply::json(&StoredSnapshot { snapshot: name })
}

/// Refuses a restore or reset of a cluster: one process cannot replace the state of the others.
fn is_one_of_many(shared: &Shared, id: &str) -> Option<Reply> {
    let is = shared.world.backplane().is_some() && number(id) == Some(0);
    is.then(|| {
        let text =
            "world 0 runs as a cluster and cannot be restored or reset; use a fork, POST /worlds/0/fork starts one";
        refusal(StatusCode::CONFLICT, text)
    })
}

/// Replaces the state of a world by a snapshot.
pub(crate) fn restore(shared: &Shared, id: &str, request: &Request) -> Reply {
    if let Some(refused) = is_one_of_many(shared, id) {
        return refused;
    }
    let name = match named(request) {
        Ok(name) => name,
        Err(refused) => return refused,
    };
    let Some(state) = shared.forks.lock().snapshots.get(&name).cloned() else {
        return no_such_snapshot(&name);
    };
    match on(shared, id, |shared| shared.world.restore(&state)) {
        Some(()) => Reply::json(&RestoredSnapshot { restored: name }),
        None => no_such_world(id),
    }
}

/// Returns the whole state of a world as one document.
pub(crate) fn export(shared: &Shared, id: &str) -> Reply {
    match on(shared, id, Shared::export) {
        Some(document) => Reply::new(StatusCode::OK, "application/json", document),
        None => no_such_world(id),
    }
}

/// Restores the initial state of a world.
pub(crate) fn reset(shared: &Shared, id: &str) -> Reply {
    if let Some(refused) = is_one_of_many(shared, id) {
        return refused;
    }
    let reset = |shared: &Shared| {
        shared.reset();
        shared.world.journal.last()
    };
    match on(shared, id, reset) {
        // Entries after this number belong to the time after the reset.
        Some(since) => Reply::json(&ResetWorld { reset: true, since }),
        None => no_such_world(id),
    }
}

/// Ends a fork.
pub(crate) fn end(shared: &Shared, id: &str) -> Reply {
    match number(id) {
        Some(0) => refusal(StatusCode::CONFLICT, "world 0 cannot be ended; it ends with the process"),
        Some(number) => match shared.forks.lock().forks.remove(&number) {
            Some(fork) => {
                drop(fork);
                Reply::json(&EndedWorld { ended: number })
            }
            None => no_such_world(id),
        },
        None => no_such_world(id),
    }
}

/// Deletes a snapshot.
pub(crate) fn forget(shared: &Shared, name: &str) -> Reply {
    let name = percent_decode_str(name).decode_utf8_lossy();
    match shared.forks.lock().snapshots.remove(&*name) {
        Some(_) => Reply::json(&DeletedSnapshot { deleted: &name }),
        None => no_such_snapshot(&name),
    }
}

fn no_such_snapshot(name: &str) -> Reply {
    let text = format!("no snapshot has the name {name:?}; GET /worlds lists the snapshots as `states`");
    refusal(StatusCode::NOT_FOUND, &text)
}
