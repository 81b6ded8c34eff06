//! What came, what went, and what caused it: the newest entries, in order. Nothing secret is in what is shown.

use crate::journal::shown::shown_path;
use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use ezlo_protocol::serial::Serial;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::core::clock::Clock;

pub use crate::journal::filter::Filter;
use crate::journal::ring::{Form, Kept, News, Ring};
use crate::journal::shown::{query_names, shown};

pub(crate) mod filter;
pub(crate) mod ring;
pub(crate) mod shown;
pub(crate) mod usage_report;

/// What an entry is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum EntryKind {
    /// An HTTP request.
    Request,
    /// The answer to one.
    Answer,
    /// A message from a client or a controller.
    MessageIn,
    /// A message to one: an answer or a broadcast.
    MessageOut,
    /// A connection with messages was closed from here.
    Close,
    /// The other side closed a connection with messages in form; the status is its close code.
    Closed,
    /// What is kept of a hub or of accounts became another: the name says what of, the content what a hub tells of it, whether
    /// somebody listens or not.
    Change,
    /// Somebody did something by the control API.
    Control,
    /// Something went wrong, as wished.
    Fault,
    /// Something might have gone wrong by chance, and did not.
    Spared,
    /// Nobody answers what was asked for; the content says what comes near.
    Unanswered,
    /// JsonObjectWriter of parameters, or of a query, that made no difference: the simulated side does not know them.
    Ignored,
}

impl EntryKind {
    /// Every kind.
    pub const ALL: &[Self] = &[
        Self::Request,
        Self::Answer,
        Self::MessageIn,
        Self::MessageOut,
        Self::Close,
        Self::Closed,
        Self::Change,
        Self::Control,
        Self::Fault,
        Self::Spared,
        Self::Unanswered,
        Self::Ignored,
    ];

    /// The word used in listings.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Answer => "answer",
            Self::MessageIn => "message-in",
            Self::MessageOut => "message-out",
            Self::Close => "close",
            Self::Closed => "closed",
            Self::Change => "change",
            Self::Control => "control",
            Self::Fault => "fault",
            Self::Spared => "spared",
            Self::Unanswered => "unanswered",
            Self::Ignored => "ignored",
        }
    }
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Entry {
    /// Counts from 1; never used twice.
    pub seq: u64,
    /// By the world's clock, Unix milliseconds.
    pub at_ms: i64,
    /// What it is.
    pub kind: EntryKind,
    /// Number of what led to it: of the request for its answer, of a call for its broadcasts, also of those that come later.
    pub cause: Option<u64>,
    /// Uuid of the connection, for messages.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub connection: String,
    /// Path of a request, method of a call or answer, name of a broadcast, name of a fault.
    pub name: String,
    /// HTTP status of an answer, or close code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The rest: the message, the host and method of a request, the fault.
    pub content: Value,
}

impl Entry {
    /// Whether it names that hub: in what it is about, or in its content.
    fn is_about(&self, hub: &str) -> bool {
        self.content["hub"] == *hub || self.name.split('/').any(|part| part == hub)
    }
}

/// The head of a request. What it may show of itself is made out when somebody looks: path and query may hold tokens and
/// passwords.
pub(crate) struct RequestRecord<'a> {
    pub(crate) host: Option<&'a str>,
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
    pub(crate) listener: &'static str,
    pub(crate) hub: Option<&'a str>,
}

impl<'a> RequestRecord<'a> {
    /// Its parts, of which none has a line break; what is not there is empty.
    fn parts(&self) -> [&'a str; 9] {
        let (host, hub) = (self.host.unwrap_or_default(), self.hub.unwrap_or_default());
        [self.method, "\n", self.listener, "\n", host, "\n", hub, "\n", self.query]
    }

    /// What is shown of those parts.
    fn shown(parts: &str) -> Value {
        let mut parts = parts.splitn(5, '\n');
        let mut part = || parts.next().unwrap_or_default();
        let (method, listener, host, hub, query) = (part(), part(), part(), part(), part());
        let there = |part: &str| if part.is_empty() { Value::Null } else { part.into() };
        json!({
            "host": there(host), "method": method, "listener": listener,
            "query": query_names(query), "hub": there(hub),
        })
    }
}

impl Kept<'_> {
    fn entry(&self) -> Entry {
        let (name, content) = match self.head.form {
            Form::Message => (crate::faults::injector::name_of(&self.rest), shown(&self.rest)),
            Form::Request => (shown_path(self.name), RequestRecord::shown(&self.rest)),
            Form::Answer => (shown_path(self.name), Value::Null),
            Form::Hub => (format!("hubs/{}", self.name), json!({"tells": self.rest.lines().collect::<Vec<_>>()})),
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

/// The journal of a cloud.
#[derive(Debug)]
pub(crate) struct Journal {
    clock: Clock,
    is_on: bool,
    ring: Ring,
    newest: watch::Sender<u64>,
}

thread_local! {
    /// The time of what is being handled, in Unix milliseconds: handling it takes none.
    static NOW: Cell<Option<i64>> = const { Cell::new(None) };
    /// What is being handled on this thread right now. Handlers do not wait, so it holds for all that they lead to.
    static CAUSE: Cell<Option<u64>> = const { Cell::new(None) };
}

/// A message that came, and when: handling it takes no time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Received {
    seq: Option<u64>,
    at_ms: Option<i64>,
}

impl Received {
    /// Does something because of it.
    pub(crate) fn as_cause<R>(self, act: impl FnOnce() -> R) -> R {
        because(self.seq, self.at_ms, act)
    }
}

/// What is being handled right now.
pub(crate) fn cause() -> Option<u64> {
    CAUSE.get()
}

/// Does something at that time.
pub(crate) fn at<R>(now_ms: i64, act: impl FnOnce() -> R) -> R {
    because(cause(), Some(now_ms), act)
}

/// Does something because of that entry.
pub(crate) fn with_cause<R>(cause: Option<u64>, act: impl FnOnce() -> R) -> R {
    because(cause, None, act)
}

fn because<R>(cause: Option<u64>, now: Option<i64>, act: impl FnOnce() -> R) -> R {
    struct Restore(Option<u64>, Option<i64>);
    impl Drop for Restore {
        fn drop(&mut self) {
            CAUSE.set(self.0);
            NOW.set(self.1);
        }
    }
    let _restore = Restore(CAUSE.replace(cause), NOW.replace(now));
    act()
}

impl Journal {
    pub(crate) fn new(clock: Clock, is_on: bool) -> Self {
        Self { clock, is_on, ring: Ring::default(), newest: watch::Sender::new(0) }
    }

    pub(crate) fn message(&self, kind: EntryKind, connection: &str, text: &str) -> u64 {
        self.keep(kind, Form::Message, (connection, ""), None, &[text])
    }

    /// What is being handled takes no time.
    fn now_ms(&self) -> i64 {
        NOW.get().unwrap_or_else(|| self.clock.now_ms())
    }

    /// A message came on that connection.
    pub(crate) fn came(&self, connection: &str, text: &str) -> Received {
        if !self.is_on {
            return Received { seq: None, at_ms: NOW.get() };
        }
        let at_ms = Some(self.now_ms());
        let seq = because(None, at_ms, || self.message(EntryKind::MessageIn, connection, text));
        Received { seq: Some(seq), at_ms }
    }

    /// The head of a request came.
    pub(crate) fn request(&self, asked: &RequestRecord<'_>) -> u64 {
        self.keep(EntryKind::Request, Form::Request, ("", asked.path), None, &asked.parts())
    }

    /// The request to that path was answered.
    pub(crate) fn answer(&self, path: &str, status: u16) {
        self.keep(EntryKind::Answer, Form::Answer, ("", path), Some(status), &[]);
    }

    /// A hub became another.
    pub(crate) fn hub_changed(&self, serial: &Serial, told: impl Iterator<Item = &'static str>) {
        if self.is_on {
            let told: Vec<_> = told.flat_map(|name| [name, "\n"]).collect();
            self.keep(EntryKind::Change, Form::Hub, ("", serial.as_str()), None, &told);
        }
    }

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
        let seq = self.ring.keep(&News { at_ms, cause: cause(), kind, form, status, connection, name, rest });
        // Who looks from now on finds the entry; only those who wait already have to be told.
        if self.newest.receiver_count() > 0 {
            // Another thread may have told of a later one already.
            self.newest.send_if_modified(|newest| {
                let is_news = seq > *newest;
                *newest = seq.max(*newest);
                is_news
            });
        }
        seq
    }

    /// The entries that are meant, oldest first, that many at most.
    pub(crate) fn entries(&self, filter: &Filter, most: usize) -> Vec<Entry> {
        let cut = self.ring.since(filter.since);
        let kept = cut.kept().into_iter().filter(|kept| filter.kind.is_none_or(|kind| kind == kept.head.kind));
        kept.map(|kept| kept.entry()).filter(|entry| filter.holds(entry)).take(most).collect()
    }

    /// How many entries after that one are forgotten already; none after 0, which is the beginning of what is kept.
    pub(crate) fn lost_since(&self, since: u64) -> Option<u64> {
        let lost = self.ring.forgotten().saturating_sub(since);
        (since > 0 && lost > 0).then_some(lost)
    }

    /// How many there were of each kind.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        EntryKind::ALL.iter().map(|kind| kind.as_str()).zip(self.ring.counts())
    }

    /// Number of the newest entry.
    fn last(&self) -> u64 {
        self.ring.last()
    }

    /// Number of the newest entry, as it grows; while nobody has this, it stays.
    pub(crate) fn newest(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// Waits for an entry that is meant, there already or to come.
    pub(crate) async fn wait_for(&self, filter: &Filter, limit: Duration) -> Option<Entry> {
        self.wait_for_many(filter, 1, limit).await.pop()
    }

    /// Waits for so many; those that are there when the time is over.
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
        // What is there is found without any time, too.
        let _ = tokio::time::timeout(limit, waiting).await;
        found
    }
}

/// Something that has to happen, so often and not more often, until this is dropped. Dropping it without it panics, in a test
/// that is not failing already.
#[derive(Debug)]
#[must_use = "what is expected is looked for when this is dropped"]
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

    /// Says now what dropping it would say.
    pub fn verify(&self) -> Result<(), String> {
        let found = self.journal.entries(&self.filter, usize::MAX).len();
        if found == self.times {
            return Ok(());
        }
        let near = Filter { name: None, ..self.filter.clone() };
        let came: Vec<String> = self.journal.entries(&near, 50).into_iter().map(|entry| entry.name).collect();
        Err(format!(
            "expected {} times, happened {found} times: {:?}; there were {}",
            self.times,
            self.filter,
            came.join(", ")
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

    fn journal() -> Journal {
        Journal::new(Clock::frozen(1_700_000_000), true)
    }

    fn call(journal: &Journal, method: &str) -> u64 {
        let text =
            json!({"id": 1, "method": method, "params": {"MMSAuth": "secret-1", "a": [{"passkey": "secret-2"}]}});
        journal.message(EntryKind::MessageIn, "c", &text.to_string())
    }

    #[test]
    fn what_led_to_what_is_told_and_no_secret() {
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
    fn secrets_are_hidden_wherever_they_stand() {
        let message = json!({
            "error": {"code": -32500, "data": "x"},
            "params": {
                "value": {"1": {"code": 1_234_567, "name": "Kim"}}, "psk": "s3", "local_key": "s4", "newPassword": "s5",
                "Authorization": "s6", "url": "http://me:s7@x.example/a/session/s8/b?key=s9", "text": "{\"password\":\"s10\"}",
                "broken": "{\"password\": \"01234567890123456789012345\"", "bypassDevices": ["d1"],
                "item": {"name": "master_code", "value": 4711},
            },
        });
        let text = shown(&message.to_string()).to_string();
        for secret in ["1234567", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "0123456789", "4711"] {
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
    async fn waiting_ends_with_the_entry_or_with_the_time() {
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
        assert_eq!(journal.wait_for(&filter, Duration::ZERO).await.unwrap().seq, wanted, "there already");
    }
}
