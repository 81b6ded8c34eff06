//! Worlds at run time: copied, kept, put back.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::StatusCode;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::json;

use crate::mock_cloud::{MockCloud, Snapshot};
use crate::server::Shared;
use crate::server::control::{refusal, wish};
use crate::server::http::{Reply, Request};

/// Copies of a world that may run at once; each has listeners of its own.
const MOST_COPIES: usize = 64;
/// States that may be kept of a world and its copies.
const MOST_STATES: usize = 64;
/// Longest name of a state, in bytes.
const LONGEST_NAME: usize = 64;

/// Copies of the world and states of it.
#[derive(Debug, Default)]
pub(crate) struct Kept(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// Copies that were ever made.
    made: u64,
    copies: BTreeMap<u64, MockCloud>,
    states: BTreeMap<String, Snapshot>,
}

impl Kept {
    /// The copy of that number.
    pub(crate) fn copy(&self, id: u64) -> Option<Arc<Shared>> {
        self.lock().copies.get(&id).map(|copy| Arc::clone(copy.shared()))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    name: String,
}

pub(crate) fn list(shared: &Shared, _: &Request) -> Reply {
    let kept = shared.kept.lock();
    let own = shared.ready.get().map(|ready| json!({"id": 0, "ready": shared.world.with_current_passwords(ready)}));
    let copies = kept
        .copies
        .iter()
        .map(|(id, copy)| json!({"id": id, "ready": copy.shared().world.with_current_passwords(copy.ready())}));
    let worlds: Vec<_> = own.into_iter().chain(copies).collect();
    Reply::json(&json!({"worlds": worlds, "states": kept.states.keys().collect::<Vec<_>>()}))
}

fn nowhere() -> Reply {
    refusal(StatusCode::NOT_FOUND, "no world has that number; GET /worlds lists them")
}

/// A number as it is written everywhere: +1 and 01 are none.
fn number(id: &str) -> Option<u64> {
    id.parse().ok().filter(|number: &u64| number.to_string() == id)
}

/// What becomes of the world of that number.
fn on<R>(shared: &Shared, id: &str, act: impl FnOnce(&Shared) -> R) -> Option<R> {
    match number(id)? {
        0 => Some(act(shared)),
        id => shared.kept.lock().copies.get(&id).map(|copy| act(copy.shared())),
    }
}

pub(crate) async fn fork(shared: &Shared, id: &str) -> Reply {
    // Before anything is copied.
    if shared.kept.lock().copies.len() >= MOST_COPIES {
        let text = format!("there are {MOST_COPIES} copies already; DELETE /worlds/1 ends one");
        return refusal(StatusCode::CONFLICT, &text);
    }
    let Some(copying) = on(shared, id, Shared::forking) else { return nowhere() };
    match copying.await {
        Ok(copy) => {
            let mut kept = shared.kept.lock();
            kept.made += 1;
            let id = kept.made;
            let answer = Reply::json(&json!({"id": id, "ready": copy.ready()}));
            kept.copies.insert(id, copy);
            answer
        }
        Err(error) => refusal(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

fn named(request: &Request) -> Result<String, Reply> {
    let Named { name } = wish(&request.body, r#"{"name": "before"}"#)?;
    let is_name = (1..=LONGEST_NAME).contains(&name.len()) && !name.contains('/');
    if is_name { Ok(name) } else { Err(refusal(StatusCode::BAD_REQUEST, "a name is 1 to 64 bytes, without /")) }
}

pub(crate) fn snapshot(shared: &Shared, id: &str, request: &Request) -> Reply {
    let name = match named(request) {
        Ok(name) => name,
        Err(refused) => return refused,
    };
    let Some(state) = on(shared, id, Shared::snapshot) else { return nowhere() };
    let states = &mut shared.kept.lock().states;
    if states.len() >= MOST_STATES && !states.contains_key(&name) {
        let text = format!("there are {MOST_STATES} states already; DELETE /states/NAME forgets one");
        return refusal(StatusCode::CONFLICT, &text);
    }
    states.insert(name.clone(), state);
    Reply::json(&json!({"kept": name}))
}

/// A world that is several processes cannot be put back by one of them.
fn is_one_of_many(shared: &Shared, id: &str) -> Option<Reply> {
    let is = shared.world.backplane().is_some() && number(id) == Some(0);
    is.then(|| {
        refusal(StatusCode::CONFLICT, "this world is several processes; put a copy back, POST /worlds/0/fork makes one")
    })
}

pub(crate) fn restore(shared: &Shared, id: &str, request: &Request) -> Reply {
    if let Some(refused) = is_one_of_many(shared, id) {
        return refused;
    }
    let name = match named(request) {
        Ok(name) => name,
        Err(refused) => return refused,
    };
    let Some(state) = shared.kept.lock().states.get(&name).cloned() else {
        return refusal(StatusCode::NOT_FOUND, "no state of that name is kept; GET /worlds lists them");
    };
    match on(shared, id, |world| world.restore(&state)) {
        Some(()) => Reply::json(&json!({"restored": name})),
        None => nowhere(),
    }
}

pub(crate) fn export(shared: &Shared, id: &str) -> Reply {
    match on(shared, id, Shared::export) {
        Some(document) => Reply::new(StatusCode::OK, "application/json", document),
        None => nowhere(),
    }
}

pub(crate) fn reset(shared: &Shared, id: &str) -> Reply {
    if let Some(refused) = is_one_of_many(shared, id) {
        return refused;
    }
    match on(shared, id, Shared::reset) {
        Some(()) => Reply::json(&json!({"reset": true})),
        None => nowhere(),
    }
}

pub(crate) fn end(shared: &Shared, id: &str) -> Reply {
    match number(id) {
        Some(0) => refusal(StatusCode::CONFLICT, "this world ends with the program"),
        Some(id) => match shared.kept.lock().copies.remove(&id) {
            Some(copy) => {
                drop(copy);
                Reply::json(&json!({"ended": id}))
            }
            None => nowhere(),
        },
        None => nowhere(),
    }
}

pub(crate) fn forget(shared: &Shared, name: &str) -> Reply {
    let name = percent_decode_str(name).decode_utf8_lossy();
    match shared.kept.lock().states.remove(&*name) {
        Some(_) => Reply::json(&json!({"forgotten": name})),
        None => refusal(StatusCode::NOT_FOUND, "no state of that name is kept; GET /worlds lists them"),
    }
}
