//! A cluster whose processes share what they keep, and reach each other, through NATS: rows of the state and the homes of
//! hubs in JetStream key-value buckets, everything else by subjects.
//!
//! A hub's row is only ever written by the process it lives in, and each time in place of the revision that this process
//! wrote last. A process that another one took for dead finds that out by the revision: what it did since is not
//! acknowledged, and whoever listens to the hub there is cut off.

use crate::cluster::nats::shared_rows::SharedRows;
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use async_nats::jetstream::{self, kv, stream};
use async_nats::{Client, ConnectOptions, Event, Subscriber};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use ezlo_protocol::serial::Serial;
use futures_util::StreamExt as _;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::cluster::{AccountLock, Backplane, Done, Home, Node, OpenTunnel, RemoteCall, Tunnel, Unreachable, Waiting};
use crate::persistence::rows::Row;
use crate::world::World;

pub(crate) mod account_lock;
pub(crate) mod chunking;
pub(crate) mod hub_leases;
pub(crate) mod remote_control;
pub(crate) mod shared_rows;
pub(crate) mod tunnels;

/// How often a process says that it is there.
const BEAT: Duration = Duration::from_millis(500);
/// Silence after which a process counts as gone.
const SILENCE: Duration = Duration::from_secs(3);
/// How long the server, or another process, may take for an answer.
const ANSWER_TIME: Duration = Duration::from_secs(5);
/// How long the first process may take to write what the world begins with.
const BEGIN_TIME: Duration = Duration::from_secs(15);
/// What a process says before its number when it ends.
const LEAVES: &[u8] = b"-";
/// Names of entries beside those of hubs.
const BEGUN: &str = "_begun";
const READY: &str = "_ready";

/// Rows that are not made shorter, in bytes.
const SHORT: usize = 4096;
/// Longest row before it is made shorter, in bytes: what is longer is neither written nor read.
const LONGEST: usize = 64 * 1024 * 1024;
/// Stands behind the number where a row was made shorter.
const SHORTER: &str = "z";

fn unreachable(error: impl std::fmt::Display) -> Unreachable {
    Unreachable(error.to_string())
}

/// This process as one of a cluster.
pub(crate) struct Nats {
    inner: Arc<Inner>,
    /// The connection's own threads: what is kept is written while others wait.
    runtime: Option<Runtime>,
}

struct Inner {
    client: Client,
    node: Node,
    /// Subjects and buckets of one cluster begin so: one server serves many worlds.
    name: String,
    nodes: kv::Store,
    rows: kv::Store,
    homes: kv::Store,
    world: OnceLock<Weak<World>>,
    /// Hubs that live here.
    mine: Mutex<HashMap<Serial, Mine>>,
    /// Counts the hubs that came here.
    moments: AtomicU64,
    /// Held while it is found out where a hub lives, one for the hubs with one digest.
    claims: Vec<tokio::sync::Mutex<()>>,
    /// Revisions of the rows that are changed in turn, as they were seen last.
    revisions: Mutex<HashMap<String, u64>>,
    /// Held while it is this process's turn to change accounts.
    turns: Arc<tokio::sync::Mutex<()>>,
    heard: Mutex<WsMessage>,
    line: Arc<Line>,
    /// Revision of the last row that was seen here.
    seen: watch::Sender<u64>,
    passages: tunnels::Open,
    /// Counts the times that messages may have got lost.
    breaks: watch::Sender<u64>,
}

/// The connection to the server, as far as others can have been heard by it.
#[derive(Debug)]
struct Line {
    /// Since when it is there.
    since: Mutex<Instant>,
    breaks: watch::Sender<u64>,
}

impl Line {
    fn happens(&self, event: &Event) {
        match event {
            Event::Connected => *self.since.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now(),
            Event::Disconnected | Event::SlowConsumer(_) => self.breaks.send_modify(|breaks| *breaks += 1),
            _ => {}
        }
    }

    fn since(&self) -> Instant {
        *self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which processes are there.
#[derive(Debug, Default)]
struct WsMessage {
    /// When each was heard last.
    last: HashMap<Node, Instant>,
    /// Those that said that they go. No other ever has their number.
    left: HashSet<Node>,
}

/// What is known of a hub that lives here.
#[derive(Debug, Clone, Copy)]
struct Mine {
    /// Revision with which it came here.
    since: u64,
    /// Revision of its row that was written here last.
    row: u64,
    /// Which of the hubs that came here it was.
    moment: u64,
}

impl std::fmt::Debug for Nats {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Nats").field("node", &self.inner.node).field("name", &self.inner.name).finish_non_exhaustive()
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Nats {
    /// Connects and gets a number. `name` is that of the world: processes of another one are another cluster.
    pub(crate) async fn connect(url: &str, name: &str) -> Result<Self, Unreachable> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("cluster")
            .enable_all()
            .build()
            .map_err(unreachable)?;
        let (url, name) = (url.to_owned(), format!("ezlo-{name}"));
        let connecting = runtime.spawn(async move { Inner::connect(&url, name).await });
        match connecting.await {
            Ok(Ok(inner)) => Ok(Self { inner: Arc::new(inner), runtime: Some(runtime) }),
            Ok(Err(error)) => {
                runtime.shutdown_background();
                Err(error)
            }
            Err(error) => {
                runtime.shutdown_background();
                Err(unreachable(error))
            }
        }
    }

    pub(crate) fn node(&self) -> Node {
        self.inner.node
    }

    /// Whether this process is the first: it writes what the world begins with, and then says so.
    pub(crate) async fn is_first(&self) -> Result<bool, Unreachable> {
        match self.inner.homes.create(BEGUN, self.inner.own_number()).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == kv::CreateErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(unreachable(error)),
        }
    }

    /// Writes what the world begins with.
    pub(crate) async fn begins_with(&self, rows: Vec<Row>) -> Result<(), Unreachable> {
        for row in rows {
            if let Some(value) = row.value {
                self.inner.put(&shared_rows::name(&row.key), &value).await?;
            }
        }
        self.inner.homes.put(READY, self.inner.own_number()).await.map_err(unreachable).map(drop)
    }

    /// Everything that is kept, once the first process has written what the world begins with; and what comes after it.
    pub(crate) async fn rows(&self) -> Result<(Vec<Row>, kv::Watch), Unreachable> {
        let until = Instant::now() + BEGIN_TIME;
        while self.inner.homes.get(READY).await.map_err(unreachable)?.is_none() {
            if Instant::now() > until {
                let name = &self.inner.name;
                return Err(Unreachable(format!(
                    "the process that began the world was gone before it had; remove the buckets {name}-*"
                )));
            }
            tokio::time::sleep(BEAT / 5).await;
        }
        self.inner.all_rows().await
    }

    /// Takes part from now on: says so, sees what others write and lets their users in.
    pub(crate) async fn begin(&self, world: &Arc<World>, news: kv::Watch) -> Result<(), Unreachable> {
        let _ = self.inner.world.set(Arc::downgrade(world));
        let beats = self.inner.subscribe(format!("{}.beat", self.inner.name)).await?;
        let visits = self.inner.subscribe(format!("{}.node.{}.>", self.inner.name, self.inner.node)).await?;
        let homes = self.inner.homes.watch_all().await.map_err(unreachable)?;
        let Some(runtime) = &self.runtime else { return Ok(()) };
        runtime.spawn(Arc::clone(&self.inner).beat());
        runtime.spawn(Arc::clone(&self.inner).hear(beats));
        runtime.spawn(Arc::clone(&self.inner).see(news));
        runtime.spawn(Arc::clone(&self.inner).watch_homes(homes));
        runtime.spawn(Arc::clone(&self.inner).accept_tunnels(visits));
        Ok(())
    }

    /// Where rows of this world are written to.
    pub(crate) fn shared_rows(&self) -> Option<SharedRows> {
        let runtime = self.runtime.as_ref()?.handle().clone();
        Some(SharedRows { inner: Arc::clone(&self.inner), runtime })
    }
}

impl Inner {
    async fn connect(url: &str, name: String) -> Result<Self, Unreachable> {
        let line = Arc::new(Line { since: Mutex::new(Instant::now()), breaks: watch::Sender::default() });
        let told = Arc::clone(&line);
        let options = ConnectOptions::new()
            .connection_timeout(ANSWER_TIME)
            .request_timeout(Some(ANSWER_TIME))
            .event_callback(move |event| {
                told.happens(&event);
                std::future::ready(())
            });
        let client = options.connect(url).await.map_err(unreachable)?;
        let context = jetstream::new(client.clone());
        let bucket = async |kind: &str| bucket(&context, &format!("{name}-{kind}")).await;
        // Each put has a revision of its own, so nobody else gets this number, ever.
        let nodes = bucket("nodes").await?;
        let node = nodes.put("last", Bytes::new()).await.map_err(unreachable)?;
        let (rows, homes) = (bucket("rows").await?, bucket("homes").await?);
        Ok(Self {
            client,
            node,
            name,
            nodes,
            rows,
            homes,
            world: OnceLock::new(),
            mine: Mutex::default(),
            moments: AtomicU64::new(0),
            claims: std::iter::repeat_with(tokio::sync::Mutex::default).take(hub_leases::CLAIMS).collect(),
            revisions: Mutex::default(),
            turns: Arc::default(),
            heard: Mutex::default(),
            breaks: line.breaks.clone(),
            line,
            seen: watch::Sender::default(),
            passages: tunnels::Open::default(),
        })
    }

    fn own_number(&self) -> Bytes {
        self.node.to_string().into()
    }

    fn world(&self) -> Option<Arc<World>> {
        self.world.get()?.upgrade()
    }

    fn mine(&self) -> MutexGuard<'_, HashMap<Serial, Mine>> {
        self.mine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn revisions(&self) -> MutexGuard<'_, HashMap<String, u64>> {
        self.revisions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn heard(&self) -> MutexGuard<'_, WsMessage> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn subscribe(&self, subject: String) -> Result<Subscriber, Unreachable> {
        self.client.subscribe(subject).await.map_err(unreachable)
    }

    /// Says again and again that this process is there. One that was away for too long was taken for dead.
    async fn beat(self: Arc<Self>) {
        let mut last = Instant::now();
        while self.world().is_some() {
            if last.elapsed() > SILENCE {
                self.lose_all();
            }
            last = Instant::now();
            if let Err(error) = self.client.publish(format!("{}.beat", self.name), self.own_number()).await {
                tracing::warn!(%error, "the cluster does not hear this process");
            }
            tokio::time::sleep(BEAT).await;
        }
    }

    async fn hear(self: Arc<Self>, mut beats: Subscriber) {
        while let Some(beat) = beats.next().await {
            let mut heard = self.heard();
            if let Some(node) = beat.payload.strip_prefix(LEAVES).and_then(number) {
                heard.left.insert(node);
            } else if let Some(node) = number(&beat.payload) {
                let now = Instant::now();
                heard.last.retain(|_, last| now.duration_since(*last) < SILENCE);
                heard.last.insert(node, now);
            }
        }
    }

    /// Whether that process is there, as far as anybody knows.
    fn lives(&self, node: Node) -> bool {
        let heard = self.heard();
        // Nobody can have been heard by a process that has just begun, or could not hear.
        let since = heard.last.get(&node).copied().into_iter().chain([self.line.since()]).max();
        !heard.left.contains(&node) && since.is_some_and(|since| since.elapsed() < SILENCE)
    }

    async fn leave(&self) -> Result<(), Unreachable> {
        let words = [LEAVES, &self.own_number()].concat();
        self.client.publish(format!("{}.beat", self.name), words.into()).await.map_err(unreachable)?;
        self.client.flush().await.map_err(unreachable)
    }
}

/// A key-value bucket. It is made as the stream that it is: the client's own way asks servers for what those before 2.10 do
/// not tell.
async fn bucket(context: &jetstream::Context, name: &str) -> Result<kv::Store, Unreachable> {
    let config = stream::Config {
        name: format!("KV_{name}"),
        subjects: vec![format!("$KV.{name}.>")],
        max_messages: -1,
        max_bytes: -1,
        max_messages_per_subject: 1,
        discard: stream::DiscardPolicy::New,
        allow_rollup: true,
        deny_delete: true,
        allow_direct: true,
        ..stream::Config::default()
    };
    context.get_or_create_stream(config).await.map_err(unreachable)?;
    context.get_key_value(name).await.map_err(unreachable)
}

fn number(text: &[u8]) -> Option<Node> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

impl Backplane for Nats {
    fn home<'a>(&'a self, serial: &'a Serial) -> Waiting<'a, Result<Home, Unreachable>> {
        Box::pin(self.inner.home(serial))
    }

    fn register_here<'a>(&'a self, serial: &'a Serial) -> Waiting<'a, Result<(), Unreachable>> {
        Box::pin(self.inner.register_here(serial))
    }

    fn open(&self, node: Node, visit: OpenTunnel) -> Waiting<'_, Result<Tunnel, ezlo_protocol::rpc::RpcError>> {
        Box::pin(Inner::open(Arc::clone(&self.inner), node, visit))
    }

    fn lease(&self, serial: &Serial) -> Option<u64> {
        self.inner.lease(serial)
    }

    fn errand(&self, node: Node, errand: RemoteCall) -> Waiting<'_, Result<Done, Unreachable>> {
        Box::pin(self.inner.errand(node, errand))
    }

    fn caught_up(&self) -> Waiting<'_, Result<(), Unreachable>> {
        Box::pin(self.inner.caught_up())
    }

    fn turn(&self) -> Waiting<'_, Result<AccountLock, Unreachable>> {
        Box::pin(async {
            let runtime = self.runtime.as_ref().ok_or_else(|| unreachable("it ended"))?.handle().clone();
            Inner::turn(Arc::clone(&self.inner), runtime).await
        })
    }

    fn leave(&self) {
        let Some(runtime) = &self.runtime else { return };
        let (inner, (told, heard)) = (Arc::clone(&self.inner), std::sync::mpsc::channel());
        runtime.spawn(async move {
            if let Err(error) = inner.leave().await {
                tracing::warn!(%error, "the others do not hear that this process ends");
            }
            let _ = told.send(());
        });
        // Whoever waits for the end of a program does not wait for a server that is away.
        let _ = heard.recv_timeout(BEAT);
    }
}

/// A row as it is written: the number of the process that wrote it, and long ones made shorter.
fn packed(node: Node, value: &[u8]) -> Bytes {
    let (mark, value) = match value.len() {
        ..SHORT => ("", Cow::Borrowed(value)),
        _ => (SHORTER, lz4_flex::compress_prepend_size(value).into()),
    };
    let mut packed = format!("{node}{mark}\n").into_bytes();
    packed.extend_from_slice(&value);
    packed.into()
}

/// Who wrote a row, and what.
fn unpacked(row: &[u8]) -> Option<(Node, Vec<u8>)> {
    let end = row.iter().position(|byte| *byte == b'\n')?;
    let (head, value) = (&row[..end], &row[end + 1..]);
    let Some(head) = head.strip_suffix(SHORTER.as_bytes()) else { return Some((number(head)?, value.to_vec())) };
    // What it says of its length is hostile until it is looked at.
    let length = u32::from_le_bytes(*value.first_chunk()?);
    if usize::try_from(length).is_ok_and(|length| length <= LONGEST) {
        return Some((number(head)?, lz4_flex::decompress_size_prepended(value).ok()?));
    }
    None
}

/// Text as a name that a bucket takes.
fn encoded(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

fn decoded(name: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(name).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn rows_are_read_as_they_were_written(node: Node, value in proptest::collection::vec(any::<u8>(), 0..3 * SHORT)) {
            prop_assert_eq!(unpacked(&packed(node, &value)), Some((node, value)));
        }

        #[test]
        fn rows_of_strangers_panic_nowhere(row in proptest::collection::vec(any::<u8>(), 0..64), head in "[0-9z]{0,4}\n") {
            let _ = unpacked(&row);
            let _ = unpacked(&[head.as_bytes(), &row].concat());
        }
    }

    #[test]
    fn long_rows_are_made_shorter_and_no_length_is_believed() {
        let long = b"[\"a room\"],".repeat(10_000);
        assert!(packed(7, &long).len() < long.len() / 10);
        let mut claims = packed(7, &long).to_vec();
        claims[3..7].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(unpacked(&claims), None);
    }
}
