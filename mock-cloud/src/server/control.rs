//! The control API: where everything is, what time it is, and what there is to play with. On a port of its own, for tests,
//! never for the clients under test.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Shared;
use super::http::{Reply, Request};
use crate::clock::Clock;
use crate::journal::{Entry, Filter};

mod hubs;

pub(super) async fn answer(shared: &Shared, request: &Request) -> Reply {
    if !is_local(request) {
        // A page in a browser must not reach this by a name that it made point here.
        return refusal(StatusCode::FORBIDDEN, "the control API answers to localhost and addresses only");
    }
    match (request.path.trim_end_matches('/'), &request.method) {
        ("/healthz", &Method::GET) => Reply::json(&json!({"ok": true})),
        ("/endpoints", &Method::GET) => match shared.ready.get() {
            Some(ready) => Reply::json(ready),
            None => refusal(StatusCode::SERVICE_UNAVAILABLE, "still starting"),
        },
        ("/clock", &Method::GET) => Reply::json(&clock(shared)),
        ("/clock", &Method::POST) => set_clock(shared, &request.body),
        ("/clock/advance", &Method::POST) => advance(shared, &request.body).await,
        ("/faults/catalogue", &Method::GET) => Reply::json(&crate::faults::CATALOGUE),
        ("/faults", &Method::GET) => Reply::json(&shared.world.faults.list()),
        ("/faults", &Method::POST) => add_fault(shared, &request.body),
        ("/faults", &Method::DELETE) => Reply::json(&json!({"removed": shared.world.faults.remove(None)})),
        ("/faults", _) => Reply::method_not_allowed(&[Method::GET, Method::POST, Method::DELETE]),
        ("/journal", &Method::GET) => entries(shared, request),
        ("/expectations", &Method::POST) => expect(shared, &request.body).await,
        ("/journal", _) => Reply::method_not_allowed(&[Method::GET]),
        ("/expectations", _) => Reply::method_not_allowed(&[Method::POST]),
        ("/evidence", &Method::GET) => Reply::json(&crate::evidence::ledger()),
        ("/hubs", &Method::GET) => {
            Reply::json(&shared.world.hubs().iter().map(|cell| hubs::brief(cell)).collect::<Vec<_>>())
        }
        ("/healthz" | "/endpoints" | "/hubs" | "/evidence" | "/faults/catalogue", _) => {
            Reply::method_not_allowed(&[Method::GET])
        }
        ("/clock", _) => Reply::method_not_allowed(&[Method::GET, Method::POST]),
        ("/clock/advance", _) => Reply::method_not_allowed(&[Method::POST]),
        (path, method) if path.starts_with("/faults/") => remove_fault(shared, path, method),
        (path, _) => match path.strip_prefix("/hubs/") {
            Some(rest) => hubs::answer(shared, request, rest),
            None => refusal(
                StatusCode::NOT_FOUND,
                "no such control call; there are /healthz, /endpoints, /clock, /clock/advance, /evidence, /expectations, /faults, \
                 /faults/catalogue, /journal, /hubs, \
                 /hubs/{serial}",
            ),
        },
    }
}

fn is_local(request: &Request) -> bool {
    let name = request.host.name();
    name == "localhost" || name.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>().is_ok()
}

fn refusal(status: StatusCode, text: &str) -> Reply {
    Reply::new(status, "application/json", json!({"error": text}).to_string())
}

fn clock(shared: &Shared) -> Value {
    let clock = &shared.world.clock;
    json!({
        "now": clock.timestamp().to_string(),
        "unix": clock.unix_seconds(),
        "frozen": clock.is_frozen(),
        "speed": clock.speed(),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Speed {
    speed: f64,
}

/// Lets the time stand still (0), run as the machine's (1), or faster.
fn set_clock(shared: &Shared, body: &[u8]) -> Reply {
    match serde_json::from_slice::<Speed>(body) {
        Ok(wish) if (0.0..=Clock::FASTEST).contains(&wish.speed) => {
            shared.world.clock.set_speed(wish.speed);
            Reply::json(&clock(shared))
        }
        Ok(_) => refusal(StatusCode::BAD_REQUEST, "speed is between 0 (standing still) and 86400 (a day in a second)"),
        Err(error) => refusal(StatusCode::BAD_REQUEST, &format!("send {{\"speed\": 60}}: {error}")),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    seconds: f64,
}

/// Entries of the journal that one answer holds when nobody says how many.
const USUAL_ENTRIES: usize = 1000;

/// One entry a line; with `follow=1` the new ones too as they come, as server-sent events.
fn entries(shared: &Shared, request: &Request) -> Reply {
    let mut filter = Map::new();
    let (mut most, mut follow) = (USUAL_ENTRIES, false);
    for (name, value) in &request.query {
        match (name.as_str(), value.parse::<u64>()) {
            ("limit", Ok(limit)) => most = usize::try_from(limit).unwrap_or(usize::MAX),
            ("follow", Ok(wish)) => follow = wish > 0,
            ("since" | "cause", Ok(number)) => drop(filter.insert(name.clone(), number.into())),
            _ => drop(filter.insert(name.clone(), value.as_str().into())),
        }
    }
    let filter: Filter = match serde_json::from_value(Value::Object(filter)) {
        Ok(filter) => filter,
        Err(error) => return refusal(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    let journal = Arc::clone(&shared.world.journal);
    if follow {
        return Reply::events(journal, filter);
    }
    let lines = journal.entries(&filter, most).iter().fold(String::new(), |lines, entry| lines + &line(entry) + "\n");
    Reply::new(StatusCode::OK, "application/x-ndjson", lines)
}

/// An entry as a line of JSON.
pub(super) fn line(entry: &Entry) -> String {
    serde_json::to_string(entry).unwrap_or_default()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expectation {
    #[serde(default, rename = "match")]
    filter: Filter,
    /// How long it may take, in seconds of the machine.
    #[serde(default)]
    within: f64,
}

/// Longest wait for an expectation, in seconds.
const LONGEST_EXPECTATION: f64 = 60.0;

/// Answers with the entry that was expected; 417 when it did not come in time, with what came instead.
async fn expect(shared: &Shared, body: &[u8]) -> Reply {
    let wish = match serde_json::from_slice::<Expectation>(body) {
        Ok(wish) if (0.0..=LONGEST_EXPECTATION).contains(&wish.within) => wish,
        Ok(_) => return refusal(StatusCode::BAD_REQUEST, "within is between 0 and 60 seconds"),
        Err(error) => {
            let text = format!("send {{\"match\": {{\"kind\": \"request\"}}, \"within\": 5}}: {error}");
            return refusal(StatusCode::BAD_REQUEST, &text);
        }
    };
    let journal = &shared.world.journal;
    match journal.wait_for(&wish.filter, Duration::from_secs_f64(wish.within)).await {
        Some(entry) => Reply::json(&entry),
        None => {
            let near = Filter { name: None, ..wish.filter };
            let came: Vec<String> = journal.entries(&near, USUAL_ENTRIES).into_iter().map(|entry| entry.name).collect();
            let text = json!({"error": "nothing like that came in time", "came_instead": came}).to_string();
            Reply::new(StatusCode::EXPECTATION_FAILED, "application/json", text)
        }
    }
}

fn add_fault(shared: &Shared, body: &[u8]) -> Reply {
    let fault = match serde_json::from_slice(body) {
        Ok(fault) => fault,
        Err(error) => {
            let text = format!("send {{\"fault\": \"status\", \"status\": 503, \"when\": {{\"first\": 2}}}}: {error}");
            return refusal(StatusCode::BAD_REQUEST, &text);
        }
    };
    match shared.world.faults.add(fault) {
        Ok(id) => Reply::json(&json!({"id": id})),
        Err(error) => refusal(StatusCode::BAD_REQUEST, &error.to_string()),
    }
}

fn remove_fault(shared: &Shared, path: &str, method: &Method) -> Reply {
    let id = path.strip_prefix("/faults/").and_then(|id| id.parse().ok());
    match (id, method) {
        (Some(_), method) if method != Method::DELETE => Reply::method_not_allowed(&[Method::DELETE]),
        (Some(id), _) if shared.world.faults.remove(Some(id)) > 0 => Reply::json(&json!({"removed": 1})),
        _ => refusal(StatusCode::NOT_FOUND, "no fault has that number; GET /faults lists them"),
    }
}

/// Longest step, in seconds: ten years, the life of the certificates.
const LONGEST_STEP: f64 = 315_360_000.0;

/// Moves the time on. The answer comes when everything that became due has happened, in order.
async fn advance(shared: &Shared, body: &[u8]) -> Reply {
    let step = match serde_json::from_slice::<Advance>(body) {
        Ok(step) if (0.0..=LONGEST_STEP).contains(&step.seconds) => std::time::Duration::from_secs_f64(step.seconds),
        Ok(_) => return refusal(StatusCode::BAD_REQUEST, "seconds is between 0 and ten years"),
        Err(error) => return refusal(StatusCode::BAD_REQUEST, &format!("send {{\"seconds\": 86400}}: {error}")),
    };
    // In a task of its own: a caller who goes away does not leave the time half moved.
    let moving = shared.world.clock.clone();
    let moved = tokio::spawn(async move { moving.advance(step).await });
    if moved.await.is_err() {
        return refusal(StatusCode::INTERNAL_SERVER_ERROR, "the time could not be moved");
    }
    Reply::json(&clock(shared))
}
