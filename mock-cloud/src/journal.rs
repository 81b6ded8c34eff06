//! What came, what went, and what caused it: the newest entries, in order. Nothing secret is in what is shown.

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ezlo_protocol::serial::Serial;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::clock::Clock;

/// Entries that are kept, and bytes of messages in them; the oldest go first.
const MOST_ENTRIES: usize = 16_384;
const MOST_BYTES: usize = 4 * 1024 * 1024;

mod filter;
mod shown;

pub use filter::Filter;
use shown::{query_names, shown, weight};
pub(crate) use shown::{shown_name, shown_path};

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
    /// Members of parameters, or of a query, that made no difference: the simulated side does not know them.
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

/// An entry as it is kept: messages are looked into only when somebody asks.
#[derive(Debug, Clone)]
struct Kept {
    seq: u64,
    at_ms: i64,
    kind: EntryKind,
    cause: Option<u64>,
    connection: Option<Arc<str>>,
    what: What,
}

#[derive(Debug, Clone)]
enum What {
    Message(Utf8Bytes),
    Request(Arc<Asked>),
    Answer(Arc<Asked>, u16),
    Named(Arc<Named>),
    /// A hub, and what it tells.
    Hub(Serial, Box<[&'static str]>),
}

#[derive(Debug)]
struct Named {
    name: String,
    status: Option<u16>,
    content: Value,
}

/// The head of a request. What it may show of itself is made out when somebody looks.
pub(crate) struct Asked {
    pub(crate) host: Option<String>,
    pub(crate) method: http::Method,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) listener: &'static str,
    pub(crate) hub: Option<Serial>,
}

impl std::fmt::Debug for Asked {
    /// Without path and query: they may hold tokens and passwords.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Asked").field("method", &self.method).field("listener", &self.listener).finish_non_exhaustive()
    }
}

impl Asked {
    fn bytes(&self) -> usize {
        self.path.len() + self.query.len() + self.host.as_ref().map_or(0, String::len) + 128
    }

    fn shown(&self) -> Value {
        json!({
            "host": self.host, "method": self.method.as_str(), "listener": self.listener,
            "query": query_names(&self.query), "hub": self.hub,
        })
    }
}

impl What {
    fn bytes(&self) -> usize {
        match self {
            Self::Message(text) => text.len(),
            Self::Request(asked) => asked.bytes(),
            Self::Answer(..) => 16,
            Self::Hub(_, told) => 64 + 16 * told.len(),
            Self::Named(named) => named.name.len() + weight(&named.content) + 128,
        }
    }
}

impl Kept {
    fn entry(&self) -> Entry {
        let (name, status, content) = match &self.what {
            What::Message(text) => (crate::faults::name_of(text), None, shown(text)),
            What::Request(asked) => (shown_path(&asked.path), None, asked.shown()),
            What::Answer(asked, status) => (shown_path(&asked.path), Some(*status), Value::Null),
            What::Hub(serial, told) => (format!("hubs/{serial}"), None, json!({"tells": told})),
            What::Named(named) => (named.name.clone(), named.status, named.content.clone()),
        };
        let Self { seq, at_ms, kind, cause, connection, .. } = self;
        Entry {
            seq: *seq,
            at_ms: *at_ms,
            kind: *kind,
            cause: *cause,
            connection: connection.as_deref().unwrap_or_default().to_owned(),
            name,
            status,
            content,
        }
    }
}

/// The journal of a cloud.
#[derive(Debug)]
pub(crate) struct Journal {
    clock: Clock,
    is_on: bool,
    state: Mutex<State>,
    newest: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    bytes: usize,
    kept: VecDeque<Kept>,
    /// How many there were of each kind, the forgotten ones too.
    counts: [u64; EntryKind::ALL.len()],
}

thread_local! {
    /// The time of that, in Unix milliseconds: handling it takes none.
    static NOW: Cell<Option<i64>> = const { Cell::new(None) };
    /// What is being handled on this thread right now. Handlers do not wait, so it holds for all that they lead to.
    static CAUSE: Cell<Option<u64>> = const { Cell::new(None) };
}

/// What is being handled right now.
pub(crate) fn cause() -> Option<u64> {
    CAUSE.get()
}

/// Does something because of that entry.
pub(crate) fn because_of<R>(cause: Option<u64>, act: impl FnOnce() -> R) -> R {
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
        Self { clock, is_on, state: Mutex::default(), newest: watch::Sender::new(0) }
    }

    pub(crate) fn message(&self, kind: EntryKind, connection: &Arc<str>, text: Utf8Bytes) -> u64 {
        self.keep(kind, Some(Arc::clone(connection)), What::Message(text))
    }

    /// A message came on that connection, and is handled because of it.
    pub(crate) fn came<R>(&self, connection: &Arc<str>, text: Utf8Bytes, act: impl FnOnce() -> R) -> R {
        if !self.is_on {
            return because_of(None, act);
        }
        let now = self.clock.now_ms();
        let seq = self.keep_at(now, EntryKind::MessageIn, Some(Arc::clone(connection)), What::Message(text));
        because(Some(seq), Some(now), act)
    }

    /// The head of a request came.
    pub(crate) fn request(&self, asked: &Arc<Asked>) -> u64 {
        self.keep(EntryKind::Request, None, What::Request(Arc::clone(asked)))
    }

    /// That request was answered.
    pub(crate) fn answer(&self, asked: Arc<Asked>, status: u16) {
        self.keep(EntryKind::Answer, None, What::Answer(asked, status));
    }

    /// A hub became another.
    pub(crate) fn hub_changed(&self, serial: &Serial, told: impl Iterator<Item = &'static str>) {
        if self.is_on {
            self.keep(EntryKind::Change, None, What::Hub(serial.clone(), told.collect()));
        }
    }

    pub(crate) fn named(
        &self,
        kind: EntryKind,
        connection: &str,
        name: &str,
        status: Option<u16>,
        content: Value,
    ) -> u64 {
        let connection = (!connection.is_empty()).then(|| Arc::from(connection));
        self.keep(kind, connection, What::Named(Arc::new(Named { name: name.to_owned(), status, content })))
    }

    fn keep(&self, kind: EntryKind, connection: Option<Arc<str>>, what: What) -> u64 {
        if !self.is_on {
            return 0;
        }
        self.keep_at(NOW.get().unwrap_or_else(|| self.clock.now_ms()), kind, connection, what)
    }

    fn keep_at(&self, at_ms: i64, kind: EntryKind, connection: Option<Arc<str>>, what: What) -> u64 {
        let cause = cause();
        let bytes = what.bytes();
        // What is forgotten is freed without the lock: everybody wants it.
        let (mut forgotten, mut more) = (None, Vec::new());
        let seq = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.next += 1;
            state.counts[kind as usize] += 1;
            state.bytes += bytes;
            let seq = state.next;
            state.kept.push_back(Kept { seq, at_ms, kind, cause, connection, what });
            while state.kept.len() > MOST_ENTRIES || state.bytes > MOST_BYTES {
                let Some(oldest) = state.kept.pop_front() else { break };
                state.bytes -= oldest.what.bytes();
                // One comes, one goes, most of the time.
                more.extend(forgotten.replace(oldest));
            }
            seq
        };
        drop((forgotten, more));
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
        let kept: Vec<Kept> = {
            let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let begin = state.kept.partition_point(|kept| kept.seq <= filter.since);
            state.kept.range(begin..).cloned().collect()
        };
        // Looked into without the lock: who reads does not keep the cloud from going on.
        let meant =
            kept.iter().filter(|kept| filter.kind.is_none_or(|kind| kind == kept.kind)).map(|kept| kept.entry());
        meant.filter(|entry| filter.holds(entry)).take(most).collect()
    }

    /// How many entries after that one are forgotten already; none after 0, which is the beginning of what is kept.
    pub(crate) fn lost_since(&self, since: u64) -> Option<u64> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = state.kept.front().map_or(state.next + 1, |kept| kept.seq);
        let lost = oldest.saturating_sub(since.saturating_add(1));
        (since > 0 && lost > 0).then_some(lost)
    }

    /// How many there were of each kind.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self.state.lock().unwrap_or_else(PoisonError::into_inner).counts;
        EntryKind::ALL.iter().map(|kind| kind.as_str()).zip(counts)
    }

    /// Number of the newest entry.
    fn last(&self) -> u64 {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).next
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
        journal.message(EntryKind::MessageIn, &"c".into(), text.to_string().into())
    }

    #[test]
    fn what_led_to_what_is_told_and_no_secret() {
        let journal = journal();
        let first = call(&journal, "a");
        because_of(Some(first), || {
            journal.message(EntryKind::MessageOut, &"c".into(), r#"{"msg_subclass":"b","result":{}}"#.into());
            because_of(None, || call(&journal, "not caused"));
            journal.named(EntryKind::Fault, "c", "abort", None, json!({}));
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

    #[test]
    fn the_oldest_go_first_by_number_and_by_size() {
        let journal = journal();
        for _ in 0..MOST_ENTRIES + 10 {
            journal.named(EntryKind::Close, "", "x", None, Value::Null);
        }
        let entries = journal.entries(&Filter::default(), usize::MAX);
        assert_eq!((entries.len(), entries[0].seq), (MOST_ENTRIES, 11));
        let wide: Value = (0..1000).map(|number| number.to_string().repeat(100)).collect();
        for _ in 0..100 {
            journal.named(EntryKind::Request, "", "x", None, wide.clone());
        }
        let kept = journal.entries(&Filter::kind(EntryKind::Request), usize::MAX).len();
        assert!((1..20).contains(&kept), "{kept} entries of 300 kB");
        let long: Utf8Bytes = format!("\"{}\"", "x".repeat(1024 * 1024)).into();
        for _ in 0..10 {
            journal.message(EntryKind::MessageIn, &"c".into(), long.clone());
        }
        let state = journal.state.lock().unwrap();
        assert!(state.bytes <= MOST_BYTES && state.kept.len() == 3, "{} bytes", state.bytes);
        assert_eq!(state.bytes, state.kept.iter().map(|kept| kept.what.bytes()).sum::<usize>());
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
