//! What happened: read, followed, expected.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use http::header::{HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::journal::filter::Filter;
use crate::journal::{Entry, Journal};
use crate::server::Shared;
use crate::server::control::{refusal, wish};
use crate::server::http::{Reply, Request};

/// Entries of the journal that one answer holds when nobody says how many.
const USUAL_ENTRIES: usize = 1000;

/// There are later entries than these.
pub(crate) const MORE: HeaderName = HeaderName::from_static("x-more");

/// So many entries after that number are forgotten.
const LOST: HeaderName = HeaderName::from_static("x-lost");

/// One entry a line; with `follow=1` the new ones too as they come, as server-sent events.
pub(crate) fn entries(shared: &Shared, request: &Request) -> Reply {
    let mut filter = Map::new();
    let (mut most, mut follow) = (None, false);
    for (name, value) in &request.query {
        match (name.as_str(), value.parse::<u64>()) {
            ("limit", Ok(limit)) => most = Some(usize::try_from(limit).unwrap_or(usize::MAX)),
            ("follow", Ok(wish)) => follow = wish > 0,
            ("limit" | "follow" | "since" | "cause" | "status", Err(_)) => {
                let text = format!("{name} is a number, not {value:?}; follow=1 follows");
                return refusal(StatusCode::BAD_REQUEST, &text);
            }
            ("since" | "cause" | "status", Ok(number)) => drop(filter.insert(name.clone(), number.into())),
            _ => drop(filter.insert(name.clone(), value.as_str().into())),
        }
    }
    let filter: Filter = match serde_json::from_value(Value::Object(filter)) {
        Ok(filter) => filter,
        Err(error) => return refusal(StatusCode::BAD_REQUEST, &format!("{error}, `limit`, `follow`")),
    };
    let journal = Arc::clone(&shared.world.journal);
    if follow && most.is_some() {
        return refusal(StatusCode::BAD_REQUEST, "follow=1 has no end, so it takes no limit");
    }
    let most = most.unwrap_or(USUAL_ENTRIES);
    if follow {
        // A browser that comes back says what it has seen.
        let seen = request.header("last-event-id").and_then(|id| id.parse().ok()).unwrap_or_default();
        let filter = Filter { since: filter.since.max(seen), ..filter };
        return Reply::events(journal, filter, shared.world.stopped());
    }
    let mut entries = journal.entries(&filter, most.saturating_add(1));
    let is_more = entries.len() > most;
    entries.truncate(most);
    let lines = entries.iter().fold(String::new(), |lines, entry| lines + &line(entry) + "\n");
    let mut reply = Reply::new(StatusCode::OK, "application/x-ndjson", lines);
    // Whoever reads on from a number hears of what was forgotten since.
    let lost = journal.lost_since(filter.since);
    reply.headers.extend(lost.map(|lost| (LOST, HeaderValue::from(lost))));
    reply.headers.extend(is_more.then_some((MORE, HeaderValue::from_static("1"))));
    reply
}

/// What a client's developer should hear of.
pub(crate) fn report(shared: &Shared, _: &Request) -> Reply {
    let entries = shared.world.journal.entries(&Filter::default(), usize::MAX);
    Reply::json(&crate::journal::usage_report::summary(&entries))
}

/// An entry as a line of JSON.
pub(crate) fn line(entry: &Entry) -> String {
    serde_json::to_string(entry).unwrap_or_default()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expectation {
    #[serde(default, rename = "match")]
    filter: Filter,
    /// How often: exactly. Once or more when nothing is said.
    times: Option<usize>,
    /// How long it may take, in seconds of the machine; for what must not come more often, how long is looked.
    #[serde(default)]
    within: f64,
}

/// Longest wait for an expectation, in seconds.
const LONGEST_EXPECTATION: f64 = 60.0;

/// Answers with the entry that was expected; 417 when it did not come in time, with what came instead.
pub(crate) async fn expect(shared: &Shared, request: &Request) -> Reply {
    let wish = match wish::<Expectation>(&request.body, r#"{"match": {"kind": "request"}, "within": 5}"#) {
        Ok(wish) if (0.0..=LONGEST_EXPECTATION).contains(&wish.within) => wish,
        Ok(_) => return refusal(StatusCode::BAD_REQUEST, "within is between 0 and 60 seconds"),
        Err(refused) => return refused,
    };
    let (journal, limit) = (&shared.world.journal, Duration::from_secs_f64(wish.within));
    let Some(times) = wish.times else {
        return match journal.wait_for(&wish.filter, limit).await {
            Some(entry) => Reply::json(&entry),
            None => failed(journal, wish.filter, "nothing like that came in time"),
        };
    };
    // One more than that would be too many.
    let came = journal.wait_for_many(&wish.filter, times.saturating_add(1), limit).await;
    match came.len() {
        found if found == times => Reply::json(&json!({"times": times, "entries": came})),
        found if found > times => failed(journal, wish.filter, &format!("it came more often than {times} times")),
        found => failed(journal, wish.filter, &format!("it came {found} times in that time, not {times}")),
    }
}

fn failed(journal: &Journal, filter: Filter, what: &str) -> Reply {
    let near = Filter { name: None, path: None, ..filter };
    let came: Vec<String> = journal.entries(&near, USUAL_ENTRIES).into_iter().map(|entry| entry.name).collect();
    let text = json!({"error": what, "came_instead": came}).to_string();
    Reply::new(StatusCode::EXPECTATION_FAILED, "application/json", text)
}
