//! The journal: the newest requests, replies, messages, changes and faults of a cloud, in order and with causes. Secrets are
//! masked.

use crate::journal::cause::because;
use crate::journal::cause::{NOW, Received, cause};
use crate::journal::shown::shown_path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ezlo_protocol::serial::Serial;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::core::clock::Clock;
use ezlo_hub_sim::ItemChange;

use crate::journal::bodies::ExchangeRecord;
pub use crate::journal::entry::{Entry, EntryKind};
pub use crate::journal::filter::Filter;
use crate::journal::ring::{Form, NewMessage, Ring, StoredMessage};
use crate::journal::shown::{query_names, shown};

pub(crate) mod bodies;
pub(crate) mod cause;
pub(crate) mod entry;
pub(crate) mod filter;
pub(crate) mod ring;
pub(crate) mod shown;
pub(crate) mod usage_report;

/// The header of a request. Path and query may contain tokens and passwords, which are masked when an entry is read.
pub(crate) struct RequestRecord<'a> {
    pub(crate) host: Option<&'a str>,
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
    pub(crate) listener: &'static str,
    pub(crate) hub: Option<&'a str>,
    /// Headers as text, from [`bodies::header_lines`].
    pub(crate) headers: &'a str,
}

impl<'a> RequestRecord<'a> {
    /// Returns the parts, separated by line breaks. Only the last one contains line breaks, and absent ones are empty.
    fn parts(&self) -> [&'a str; 11] {
        let (host, hub) = (self.host.unwrap_or_default(), self.hub.unwrap_or_default());
        [self.method, "\n", self.listener, "\n", host, "\n", hub, "\n", self.query, "\n", self.headers]
    }

    /// Returns the content of the entry from the parts.
    fn shown(parts: &str) -> Value {
        let mut parts = parts.splitn(6, '\n');
        let mut part = || parts.next().unwrap_or_default();
        let (method, listener, host, hub, query, headers) = (part(), part(), part(), part(), part(), part());
        let optional = |part: &str| if part.is_empty() { Value::Null } else { part.into() };
        json!({
            "host": optional(host), "method": method, "listener": listener,
            "query": query_names(query), "hub": optional(hub), "headers": bodies::shown_headers(headers),
        })
    }
}

/// Returns the content of the change of a hub from its lines: names of broadcasts, and changed values as JSON.
fn shown_change(lines: &str) -> Value {
    let (changes, broadcasts): (Vec<&str>, Vec<&str>) = lines.lines().partition(|line| line.starts_with('{'));
    let changes: Vec<Value> = changes.into_iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
    json!({"broadcasts": broadcasts, "changes": changes})
}

impl StoredMessage<'_> {
    fn entry(&self) -> Entry {
        let (name, content) = match self.head.form {
            Form::Message => (crate::wire::name_of(&self.rest), shown(&self.rest)),
            Form::Request => (shown_path(self.name), RequestRecord::shown(&self.rest)),
            Form::Answer => (shown_path(self.name), bodies::shown_exchange(&self.rest)),
            Form::Hub => (format!("hubs/{}", self.name), shown_change(&self.rest)),
            Form::Named => (self.name.to_owned(), serde_json::from_str(&self.rest).unwrap_or_default()),
        };
        let head = self.head;
        Entry {
            seq: head.seq,
            at_ms: head.at_ms,
            kind: head.kind,
            cause: head.cause,
            connection: self.connection.to_owned(),
            name,
            status: head.status,
            content,
        }
    }
}

/// Maximum number of changed values in one entry.
const MAX_CHANGES: usize = 100;

/// The journal of a cloud.
#[derive(Debug)]
pub(crate) struct Journal {
    clock: Clock,
    is_on: bool,
    ring: Ring,
    newest: watch::Sender<u64>,
    /// Number of the newest entry that was hidden by [`Journal::clear`].
    cleared: AtomicU64,
}

impl Journal {
    pub(crate) fn new(clock: Clock, is_on: bool) -> Self {
        Self { clock, is_on, ring: Ring::default(), newest: watch::Sender::new(0), cleared: AtomicU64::new(0) }
    }

    /// Records a message; returns the number of the entry.
    pub(crate) fn message(&self, kind: EntryKind, connection: &str, text: &str) -> u64 {
        self.keep(kind, Form::Message, (connection, ""), None, &[text])
    }

    /// Returns the time of the handled event, or the present time. Handling an event takes no simulated time.
    fn now_ms(&self) -> i64 {
        NOW.get().unwrap_or_else(|| self.clock.now_ms())
    }

    /// Records a message that was received on a connection.
    pub(crate) fn received(&self, connection: &str, text: &str) -> Received {
        if !self.is_on {
            return Received { seq: None, at_ms: NOW.get() };
        }
        let at_ms = Some(self.now_ms());
        let seq = because(None, at_ms, || self.message(EntryKind::MessageIn, connection, text));
        Received { seq: Some(seq), at_ms }
    }

    /// Records the header of a request; returns the number of the entry.
    pub(crate) fn request(&self, head: &RequestRecord<'_>) -> u64 {
        self.keep(EntryKind::Request, Form::Request, ("", head.path), None, &head.parts())
    }

    /// Records the response to a request, with the body of the request, which was not known when its head was recorded.
    pub(crate) fn answer(&self, path: &str, status: u16, exchange: &ExchangeRecord<'_>) {
        if self.is_on {
            let length = exchange.request_body.len().to_string();
            self.keep(EntryKind::Answer, Form::Answer, ("", path), Some(status), &exchange.parts(&length));
        }
    }

    /// Records a change of a hub with the names of its broadcasts and the changed values.
    pub(crate) fn hub_changed(
        &self,
        serial: &Serial,
        broadcasts: impl Iterator<Item = &'static str>,
        changes: &[ItemChange],
    ) {
        if self.is_on {
            let changes: Vec<String> = changes.iter().take(MAX_CHANGES).map(ezlo_protocol::wire::to_text).collect();
            let mut lines: Vec<&str> = broadcasts.flat_map(|name| [name, "\n"]).collect();
            lines.extend(changes.iter().flat_map(|line| [line.as_str(), "\n"]));
            self.keep(EntryKind::Change, Form::Hub, ("", serial.as_str()), None, &lines);
        }
    }

    /// Records an entry with a name and content; returns its number.
    pub(crate) fn named(
        &self,
        kind: EntryKind,
        connection: &str,
        name: &str,
        status: Option<u16>,
        content: &Value,
    ) -> u64 {
        if !self.is_on {
            return 0;
        }
        let content = if content.is_null() { String::new() } else { content.to_string() };
        self.keep(kind, Form::Named, (connection, name), status, &[&content])
    }

    fn keep(
        &self,
        kind: EntryKind,
        form: Form,
        (connection, name): (&str, &str),
        status: Option<u16>,
        rest: &[&str],
    ) -> u64 {
        if !self.is_on {
            return 0;
        }
        let at_ms = self.now_ms();
        let seq = self.ring.keep(&NewMessage { at_ms, cause: cause(), kind, form, status, connection, name, rest });
        // Later readers find the entry, so only present waiters need a notification.
        if self.newest.receiver_count() > 0 {
            // Another thread may have published a later number already.
            self.newest.send_if_modified(|newest| {
                let is_news = seq > *newest;
                *newest = seq.max(*newest);
                is_news
            });
        }
        seq
    }

    /// Returns the matching entries, oldest first, at most `most`.
    pub(crate) fn entries(&self, filter: &Filter, most: usize) -> Vec<Entry> {
        let cut = self.ring.since(filter.since.max(self.cleared.load(Ordering::Acquire)));
        let kept = cut.stored().into_iter().filter(|kept| filter.kind.is_none_or(|kind| kind == kept.head.kind));
        kept.map(|kept| kept.entry()).filter(|entry| filter.holds(entry)).take(most).collect()
    }

    /// Returns the number of dropped entries after `since`. For 0 it is `None`, because 0 means the first stored entry.
    pub(crate) fn dropped_since(&self, since: u64) -> Option<u64> {
        let dropped = self.ring.forgotten().saturating_sub(since);
        (since > 0 && dropped > 0).then_some(dropped)
    }

    /// Returns the number of recorded entries of each kind, including dropped ones.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        EntryKind::ALL.iter().map(|kind| kind.as_str()).zip(self.ring.counts())
    }

    /// Hides all present entries and returns the number of the newest one. Their memory is reused as entries are added.
    pub(crate) fn clear(&self) -> u64 {
        let last = self.ring.last();
        self.cleared.fetch_max(last, Ordering::AcqRel);
        last
    }

    /// Returns the number of the newest entry.
    pub(crate) fn last(&self) -> u64 {
        self.ring.last()
    }

    /// Returns a receiver of the number of the newest entry. The number is updated only while receivers exist.
    pub(crate) fn newest(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// Waits for a matching entry, stored or new. Returns `None` after `limit` of machine time.
    pub(crate) async fn wait_for(&self, filter: &Filter, limit: Duration) -> Option<Entry> {
        self.wait_for_many(filter, 1, limit).await.pop()
    }

    /// Waits for `most` matching entries. Returns those that exist after `limit` of machine time.
    pub(crate) async fn wait_for_many(&self, filter: &Filter, most: usize, limit: Duration) -> Vec<Entry> {
        let (mut newest, mut filter, mut found) = (self.newest(), filter.clone(), Vec::new());
        let waiting = async {
            loop {
                let seen = *newest.borrow_and_update();
                found.extend(self.entries(&filter, most - found.len()));
                if found.len() == most || newest.changed().await.is_err() {
                    return;
                }
                let last = found.last().map_or(0, |last: &Entry| last.seq);
                filter.since = filter.since.max(seen).max(last);
            }
        };
        // The timeout polls the future first, so stored entries are found with a limit of zero too.
        let _ = tokio::time::timeout(limit, waiting).await;
        found
    }
}

/// An expectation of an exact number of matching entries, from its creation to its drop.
///
/// [`MockCloud::expect`](crate::MockCloud::expect) returns it. Reads the journal in memory; no network traffic.
///
/// # Panics
///
/// The drop panics if the number differs, unless the thread is panicking already.
#[derive(Debug)]
#[must_use = "the expectation is verified when it is dropped"]
pub struct Expectation {
    journal: Arc<Journal>,
    filter: Filter,
    times: usize,
}

impl Expectation {
    pub(crate) fn new(journal: &Arc<Journal>, mut filter: Filter, times: usize) -> Self {
        filter.since = filter.since.max(journal.last());
        Self { journal: Arc::clone(journal), filter, times }
    }

    /// Verifies the expectation now. The drop verifies it again.
    ///
    /// # Errors
    ///
    /// Returns the expected and the actual number of entries, the filter, and up to 50 names of entries that match all other
    /// conditions.
    pub fn verify(&self) -> Result<(), String> {
        let found = self.journal.entries(&self.filter, usize::MAX).len();
        if found == self.times {
            return Ok(());
        }
        let near = Filter { name: None, ..self.filter.clone() };
        let names: Vec<String> = self.journal.entries(&near, 50).into_iter().map(|entry| entry.name).collect();
        Err(format!(
            "expected {} matching entries, found {found}: {:?}; entries with other names: {}",
            self.times,
            self.filter,
            names.join(", ")
        ))
    }
}

impl Drop for Expectation {
    fn drop(&mut self) {
        if let Err(text) = self.verify()
            && !std::thread::panicking()
        {
            panic!("{text}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::cause::with_cause;

    fn journal() -> Journal {
        Journal::new(Clock::frozen(1_700_000_000), true)
    }

    fn call(journal: &Journal, method: &str) -> u64 {
        let text =
            json!({"id": 1, "method": method, "params": {"MMSAuth": "secret-1", "a": [{"passkey": "secret-2"}]}});
        journal.message(EntryKind::MessageIn, "c", &text.to_string())
    }

    #[test]
    fn entries_have_causes_and_no_secrets() {
        let journal = journal();
        let first = call(&journal, "a");
        with_cause(Some(first), || {
            journal.message(EntryKind::MessageOut, "c", r#"{"msg_subclass":"b","result":{}}"#);
            with_cause(None, || call(&journal, "not caused"));
            journal.named(EntryKind::Fault, "c", "abort", None, &json!({}));
        });
        call(&journal, "later");
        let led_to = journal.entries(&Filter { cause: Some(first), ..Filter::default() }, 10);
        let names: Vec<_> = led_to.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(names, ["b", "abort"]);
        let text = serde_json::to_string(&journal.entries(&Filter::default(), 10)).unwrap();
        assert!(text.contains("***") && !text.contains("secret"), "{text}");
        let later = journal.entries(&Filter { since: first, ..Filter::kind(EntryKind::MessageIn).name("later") }, 10);
        assert_eq!((later.len(), later[0].seq, later[0].at_ms), (1, 5, 1_700_000_000_000));
    }

    #[test]
    fn secrets_are_masked_in_every_position() {
        let message = json!({
            "error": {"code": -32500, "data": "x"},
            "params": {
                "value": {"1": {"code": 1_234_567, "name": "Kim"}}, "psk": "s3", "local_key": "s4", "newPassword": "s5",
                "Authorization": "s6", "url": "http://me:s7@x.example/a/session/s8/b?key=s9", "text": "{\"password\":\"s10\"}",
                "broken": "{\"password\": \"01234567890123456789012345\"", "bypassDevices": ["d1"],
                "item": {"name": "master_code", "value": 4711},
                "fields": [
                    {"name": "h", "type": "dictionary", "value": {"X-Custom": "s11", "cookie": "s12"}},
                    {"name": "credential", "type": "credential", "value": {"user": "kim", "password": "s13"}},
                ],
                "X-Api-Key": "s14", "Set-Cookie": "s15",
            },
        });
        let text = shown(&message.to_string()).to_string();
        for secret in [
            "1234567",
            "s3",
            "s4",
            "s5",
            "s6",
            "s7",
            "s8",
            "s9",
            "s10",
            "s11",
            "s12",
            "s13",
            "s14",
            "s15",
            "0123456789",
            "4711",
        ] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
        for kept in ["-32500", "Kim", "http://***@x.example/a/session/***/b?***", "d1", "master_code"] {
            assert!(text.contains(kept), "{kept}: {text}");
        }
        assert_eq!(
            shown_path("/relay/relay/relay/device/50000001/session/0000AB/port_3480"),
            "/relay/relay/relay/device/50000001/session/***/port_3480"
        );
        assert_eq!(shown_path("/v1/method/hub.item.dictionary.value.add"), "/v1/method/hub.item.dictionary.value.add");
        assert_eq!((shown_path("/"), shown_path("")), ("/".to_owned(), String::new()));
    }

    #[tokio::test]
    async fn waiting_ends_with_the_entry_or_after_the_limit() {
        let journal = Arc::new(journal());
        let filter = Filter::kind(EntryKind::MessageIn).name("wanted");
        assert_eq!(journal.wait_for(&filter, Duration::from_millis(20)).await, None);
        let waiting = tokio::spawn({
            let (journal, filter) = (Arc::clone(&journal), filter.clone());
            async move { journal.wait_for(&filter, Duration::from_secs(20)).await }
        });
        tokio::task::yield_now().await;
        call(&journal, "another");
        let wanted = call(&journal, "wanted");
        assert_eq!(waiting.await.unwrap().unwrap().seq, wanted);
        assert_eq!(journal.wait_for(&filter, Duration::ZERO).await.unwrap().seq, wanted, "already stored");
    }
}
