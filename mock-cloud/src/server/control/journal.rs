//! Control calls that read the journal, follow it and wait for entries.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use http::header::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::journal::Journal;
use crate::journal::entry::Entry;
use crate::journal::filter::Filter;
use crate::server::control::request::{parse_body, refusal};
use crate::server::http::message::{Reply, Request};
use crate::server::shared::Shared;

/// Default of the parameter `limit`, in entries.
const USUAL_ENTRIES: usize = 1000;

/// Header of a reply that is not the last page.
pub(crate) const MORE: HeaderName = HeaderName::from_static("x-has-more");

/// Header with the number of entries after `since` that were dropped.
const LOST: HeaderName = HeaderName::from_static("x-dropped");

/// Returns entries, one JSON object per line; with `follow=1`, streams stored and new entries as server-sent events.
pub(crate) fn entries(shared: &Shared, request: &Request) -> Reply {
    let mut filter = Map::new();
    let (mut most, mut follow) = (None, false);
    for (name, value) in &request.query {
        match (name.as_str(), value.parse::<u64>()) {
            ("limit", Ok(limit)) => most = Some(usize::try_from(limit).unwrap_or(usize::MAX)),
            ("follow", Ok(number)) => follow = number > 0,
            ("limit" | "follow" | "since" | "cause" | "status", Err(_)) => {
                let text = format!("{name} is {value:?}; send a number, such as follow=1 or limit=100");
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
        return refusal(StatusCode::BAD_REQUEST, "follow=1 and limit exclude each other; send one of them");
    }
    let most = most.unwrap_or(USUAL_ENTRIES);
    if follow {
        // A browser sends the id of the last received event when it reconnects.
        let seen = request.header("last-event-id").and_then(|id| id.parse().ok()).unwrap_or_default();
        let filter = Filter { since: filter.since.max(seen), ..filter };
        return Reply::events(journal, filter, shared.world.stopped());
    }
    let mut entries = journal.entries(&filter, most.saturating_add(1));
    let is_more = entries.len() > most;
    entries.truncate(most);
    let lines = entries.iter().fold(String::new(), |lines, entry| lines + &line(entry) + "\n");
    let mut reply = Reply::new(StatusCode::OK, "application/x-ndjson", lines);
    // A client that continues at `since` is informed of the entries that were dropped since.
    let dropped = journal.dropped_since(filter.since);
    reply.headers.extend(dropped.map(|dropped| (LOST, HeaderValue::from(dropped))));
    reply.headers.extend(is_more.then_some((MORE, HeaderValue::from_static("1"))));
    reply
}

/// Returns what had no effect or no handler, counted over the stored entries.
pub(crate) fn report(shared: &Shared, _: &Request) -> Reply {
    let entries = shared.world.journal.entries(&Filter::default(), usize::MAX);
    Reply::json(&crate::journal::usage_report::summary(&entries, &shared.world.faults.list()))
}

/// Hides all present entries.
pub(crate) fn clear(shared: &Shared, _: &Request) -> Reply {
    Reply::json(&JournalPosition { since: shared.world.journal.clear() })
}

/// The last entry that is hidden.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct JournalPosition {
    /// Number of the entry.
    since: u64,
}

/// Writes an entry as one line of JSON, without a line feed.
pub(crate) fn line(entry: &Entry) -> String {
    ezlo_protocol::wire::to_text(entry)
}

/// An expectation on the journal.
#[derive(Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Expectation {
    /// Entries that count (default: all).
    #[serde(default, rename = "match")]
    filter: Filter,
    /// Exact number of matching entries; at least one if absent.
    times: Option<usize>,
    /// Timeout in seconds of machine time (default: 0). With `times`, the whole period is checked for surplus entries.
    #[serde(default)]
    within: f64,
}

/// The entries that have met an expectation.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(untagged)]
pub(crate) enum MetExpectation {
    /// The first entry, without `times`.
    First(Entry),
    /// All entries, with `times`.
    All {
        /// Number of entries.
        times: usize,
        /// Entries in the order of their numbers.
        entries: Vec<Entry>,
    },
}

/// Longest wait for an expectation, in seconds.
const LONGEST_EXPECTATION: f64 = 60.0;

/// Waits for the expected entries and returns them; 417 with the names of similar entries if the expectation fails.
pub(crate) async fn expect(shared: &Shared, request: &Request) -> Reply {
    let expectation = match parse_body::<Expectation>(&request.body, r#"{"match": {"kind": "request"}, "within": 5}"#) {
        Ok(parsed) if (0.0..=LONGEST_EXPECTATION).contains(&parsed.within) => parsed,
        Ok(parsed) => {
            let text = format!("within {} is out of range; send 0 to 60 seconds", parsed.within);
            return refusal(StatusCode::BAD_REQUEST, &text);
        }
        Err(refused) => return refused,
    };
    let Expectation { filter, times, within } = expectation;
    let (journal, limit) = (&shared.world.journal, Duration::from_secs_f64(within));
    let Some(times) = times else {
        return match journal.wait_for(&filter, limit).await {
            Some(entry) => Reply::json(&MetExpectation::First(entry)),
            None => failed(journal, filter, &format!("no entry matched within {within} s")),
        };
    };
    // One surplus entry fails the expectation.
    let entries = journal.wait_for_many(&filter, times.saturating_add(1), limit).await;
    match entries.len() {
        found if found == times => Reply::json(&MetExpectation::All { times, entries }),
        found if found > times => {
            failed(journal, filter, &format!("more than {times} entries matched; expected exactly {times}"))
        }
        found => {
            failed(journal, filter, &format!("{found} entries matched within {within} s; expected exactly {times}"))
        }
    }
}

/// Refuses an expectation, with the names of entries that match all filters except `name` and `path`.
fn failed(journal: &Journal, filter: Filter, reason: &str) -> Reply {
    let near = Filter { name: None, path: None, ..filter };
    let names: Vec<String> = journal.entries(&near, USUAL_ENTRIES).into_iter().map(|entry| entry.name).collect();
    let text = json!({"error": reason, "similar": names}).to_string();
    Reply::new(StatusCode::EXPECTATION_FAILED, "application/json", text)
}
