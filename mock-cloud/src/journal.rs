//! What came, what went, and what caused it: the newest entries, in order. Nothing secret is in what is shown.

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ezlo_protocol::rpc::Envelope;
use serde::Serialize;
use serde_json::{Map, Value, json};
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::clock::Clock;

/// Entries that are kept, and bytes of messages in them; the oldest go first.
const MOST_ENTRIES: usize = 16_384;
const MOST_BYTES: usize = 4 * 1024 * 1024;
/// Longest text that is shown whole, in characters.
const SHOWN_TEXT: usize = 4096;

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
    /// Something went wrong, as wished.
    Fault,
}

impl EntryKind {
    /// Every kind.
    pub const ALL: &[Self] =
        &[Self::Request, Self::Answer, Self::MessageIn, Self::MessageOut, Self::Close, Self::Fault];

    /// The word used in listings.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Answer => "answer",
            Self::MessageIn => "message-in",
            Self::MessageOut => "message-out",
            Self::Close => "close",
            Self::Fault => "fault",
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

/// Which entries are meant; what is absent does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Filter {
    /// Only later ones than this number.
    pub since: u64,
    /// Only of that kind.
    pub kind: Option<EntryKind>,
    /// Only with that name.
    pub name: Option<String>,
    /// Only of that connection.
    pub connection: Option<String>,
    /// Only what that entry led to.
    pub cause: Option<u64>,
    /// Only with that HTTP status or close code.
    pub status: Option<u16>,
}

impl Filter {
    /// That kind.
    pub fn kind(kind: EntryKind) -> Self {
        Self { kind: Some(kind), ..Self::default() }
    }

    /// That name too.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    fn holds(&self, entry: &Entry) -> bool {
        entry.seq > self.since
            && self.kind.is_none_or(|kind| kind == entry.kind)
            && self.name.as_ref().is_none_or(|name| *name == entry.name)
            && self.connection.as_ref().is_none_or(|connection| *connection == entry.connection)
            && self.cause.is_none_or(|cause| Some(cause) == entry.cause)
            && self.status.is_none_or(|status| Some(status) == entry.status)
    }
}

/// An entry as it is kept: messages are looked into only when somebody asks.
#[derive(Debug)]
struct Kept {
    seq: u64,
    at_ms: i64,
    kind: EntryKind,
    cause: Option<u64>,
    connection: String,
    what: What,
}

#[derive(Debug)]
enum What {
    Message(Utf8Bytes),
    Named { name: String, status: Option<u16>, content: Value },
}

impl Kept {
    fn bytes(&self) -> usize {
        match &self.what {
            What::Message(text) => text.len(),
            What::Named { name, .. } => name.len() + 128,
        }
    }

    fn entry(&self) -> Entry {
        let (name, status, content) = match &self.what {
            What::Message(text) => (crate::faults::name_of(text), None, shown(text)),
            What::Named { name, status, content } => (name.clone(), *status, content.clone()),
        };
        let Self { seq, at_ms, kind, cause, connection, .. } = self;
        Entry {
            seq: *seq,
            at_ms: *at_ms,
            kind: *kind,
            cause: *cause,
            connection: connection.clone(),
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
    state: Mutex<State>,
    newest: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    bytes: usize,
    kept: VecDeque<Arc<Kept>>,
    /// How many there were of each kind, the forgotten ones too.
    counts: [u64; EntryKind::ALL.len()],
}

thread_local! {
    /// What is being handled on this thread right now. Handlers do not wait, so it holds for all that they lead to.
    static CAUSE: Cell<Option<u64>> = const { Cell::new(None) };
}

/// What is being handled right now.
pub(crate) fn cause() -> Option<u64> {
    CAUSE.get()
}

/// Does something because of that entry.
pub(crate) fn because_of<R>(cause: Option<u64>, act: impl FnOnce() -> R) -> R {
    struct Restore(Option<u64>);
    impl Drop for Restore {
        fn drop(&mut self) {
            CAUSE.set(self.0);
        }
    }
    let _restore = Restore(CAUSE.replace(cause));
    act()
}

impl Journal {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { clock, state: Mutex::default(), newest: watch::Sender::new(0) }
    }

    pub(crate) fn message(&self, kind: EntryKind, connection: &str, text: Utf8Bytes) -> u64 {
        self.keep(kind, connection, What::Message(text))
    }

    pub(crate) fn named(
        &self,
        kind: EntryKind,
        connection: &str,
        name: &str,
        status: Option<u16>,
        content: Value,
    ) -> u64 {
        self.keep(kind, connection, What::Named { name: name.to_owned(), status, content })
    }

    fn keep(&self, kind: EntryKind, connection: &str, what: What) -> u64 {
        let at_ms = self.clock.now_ms();
        let seq = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.next += 1;
            let kept = Kept { seq: state.next, at_ms, kind, cause: cause(), connection: connection.to_owned(), what };
            state.counts[kind as usize] += 1;
            state.bytes += kept.bytes();
            let seq = kept.seq;
            state.kept.push_back(Arc::new(kept));
            while state.kept.len() > MOST_ENTRIES || state.bytes > MOST_BYTES {
                let Some(oldest) = state.kept.pop_front() else { break };
                state.bytes -= oldest.bytes();
            }
            seq
        };
        self.newest.send_replace(seq);
        seq
    }

    /// The entries that are meant, oldest first, that many at most.
    pub(crate) fn entries(&self, filter: &Filter, most: usize) -> Vec<Entry> {
        let kept: Vec<Arc<Kept>> = {
            let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let begin = state.kept.partition_point(|kept| kept.seq <= filter.since);
            state.kept.range(begin..).cloned().collect()
        };
        // Looked into without the lock: who reads does not keep the cloud from going on.
        let meant =
            kept.iter().filter(|kept| filter.kind.is_none_or(|kind| kind == kept.kind)).map(|kept| kept.entry());
        meant.filter(|entry| filter.holds(entry)).take(most).collect()
    }

    /// How many there were of each kind.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self.state.lock().unwrap_or_else(PoisonError::into_inner).counts;
        EntryKind::ALL.iter().map(|kind| kind.as_str()).zip(counts)
    }

    /// Number of the newest entry, as it grows.
    pub(crate) fn newest(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// Waits for an entry that is meant, there already or to come.
    pub(crate) async fn wait_for(&self, filter: &Filter, limit: Duration) -> Option<Entry> {
        let mut newest = self.newest();
        let waiting = async {
            let mut filter = filter.clone();
            loop {
                let seen = *newest.borrow_and_update();
                if let Some(entry) = self.entries(&filter, 1).pop() {
                    return Some(entry);
                }
                filter.since = filter.since.max(seen);
                if newest.changed().await.is_err() {
                    return None;
                }
            }
        };
        tokio::time::timeout(limit, waiting).await.ok().flatten()
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
        filter.since = filter.since.max(*journal.newest.borrow());
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

/// Members whose values nobody else needs to see.
const SECRET: &[&str] = &[
    "mmsauth",
    "mmsauthsig",
    "mmssession",
    "identity",
    "identitysignature",
    "token",
    "access_token",
    "password",
    "passkey",
    "signature",
    "key",
    "code",
    "pin",
    "server_hmac",
    "sha1password",
    "sha1passwordcs",
    "user_codes",
    "value_code",
];

/// A message as it is shown.
fn shown(text: &str) -> Value {
    if text.len() > SHOWN_TEXT * 16 {
        let envelope = Envelope::parse(text).unwrap_or_default();
        let id = envelope.id.and_then(|id| serde_json::from_str::<Value>(id.get()).ok());
        return json!({"id": id, "bytes": text.len()});
    }
    match serde_json::from_str::<Value>(text) {
        Ok(message) => hidden(message),
        // What is no message may be anything.
        Err(_) => json!({"unreadable": true, "bytes": text.len()}),
    }
}

fn hidden(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let hide = |(name, value): (String, Value)| {
                // The code of an error is a number and no secret.
                let is_number = name == "code" && value.is_number();
                let secret = SECRET.contains(&name.to_ascii_lowercase().as_str()) && !value.is_null() && !is_number;
                let value = if secret { Value::from("***") } else { hidden(value) };
                (name, value)
            };
            Value::Object(members.into_iter().map(hide).collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(hidden).collect()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal() -> Journal {
        Journal::new(Clock::frozen(1_700_000_000))
    }

    fn call(journal: &Journal, method: &str) -> u64 {
        let text =
            json!({"id": 1, "method": method, "params": {"MMSAuth": "secret-1", "a": [{"passkey": "secret-2"}]}});
        journal.message(EntryKind::MessageIn, "c", text.to_string().into())
    }

    #[test]
    fn what_led_to_what_is_told_and_no_secret() {
        let journal = journal();
        let first = call(&journal, "a");
        because_of(Some(first), || {
            journal.message(EntryKind::MessageOut, "c", r#"{"msg_subclass":"b","result":{}}"#.into());
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
    fn the_oldest_go_first_by_number_and_by_size() {
        let journal = journal();
        for _ in 0..MOST_ENTRIES + 10 {
            journal.named(EntryKind::Close, "", "x", None, Value::Null);
        }
        let entries = journal.entries(&Filter::default(), usize::MAX);
        assert_eq!((entries.len(), entries[0].seq), (MOST_ENTRIES, 11));
        let long: Utf8Bytes = format!("\"{}\"", "x".repeat(1024 * 1024)).into();
        for _ in 0..10 {
            journal.message(EntryKind::MessageIn, "c", long.clone());
        }
        let state = journal.state.lock().unwrap();
        assert!(state.bytes <= MOST_BYTES && state.kept.len() == 3, "{} bytes", state.bytes);
        assert_eq!(state.bytes, state.kept.iter().map(|kept| kept.bytes()).sum::<usize>());
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
