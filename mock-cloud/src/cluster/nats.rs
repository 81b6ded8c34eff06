//! A cluster over NATS. JetStream key-value buckets hold the rows of the state and the leases of hubs; all other messages use
//! subjects.
//!
//! Only the process in which a hub is active writes the row of the hub. Each write replaces the revision of its previous write.
//! A process that lost a hub without notice fails this compare-and-swap: it acknowledges nothing and disconnects the clients.

use crate::cluster::nats::shared_rows::SharedRows;
use crate::world::backplane::RemoteCallHandler;
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

use crate::world::World;
use crate::world::backplane::{
    AccountLock, Backplane, Done, Home, Node, OpenTunnel, RemoteCall, Tunnel, Unreachable, Waiting,
};

pub(crate) mod account_lock;
pub(crate) mod beginning;
pub(crate) mod chunking;
pub(crate) mod hub_leases;
pub(crate) mod remote_control;
pub(crate) mod shared_rows;
pub(crate) mod tunnels;

/// Interval of heartbeats.
const BEAT: Duration = Duration::from_millis(500);
/// Time without a heartbeat after which a process counts as lost.
const SILENCE: Duration = Duration::from_secs(3);
/// Timeout of a reply from the server or another process.
const ANSWER_TIME: Duration = Duration::from_secs(5);
/// Time without its own heartbeat after which a process gives up its hubs. It is shorter than [`SILENCE`], so that no other process has
/// taken them over by then.
const OWN_SILENCE: Duration = Duration::from_millis(2500);
/// Prefix of the process number in the heartbeat that announces the end of the process.
const LEAVES: &[u8] = b"-";

/// Length from which rows are compressed, in bytes.
const SHORT: usize = 4096;
/// Maximum length of an uncompressed row, in bytes. Longer rows are neither written nor read.
const LONGEST: usize = 64 * 1024 * 1024;
/// Suffix of the process number of a compressed row.
const SHORTER: &str = "z";

fn unreachable(error: impl std::fmt::Display) -> Unreachable {
    Unreachable(error.to_string())
}

/// The membership of this process in a cluster.
pub(crate) struct Nats {
    inner: Arc<Inner>,
    /// A runtime of its own, because the writer thread blocks on it.
    runtime: Option<Runtime>,
}

pub(crate) struct Inner {
    client: Client,
    node: Node,
    /// Prefix of subjects and buckets. One server can serve several clusters.
    name: String,
    nodes: kv::Store,
    rows: kv::Store,
    homes: kv::Store,
    world: OnceLock<Weak<World>>,
    /// Handler of control calls from other processes.
    run_call: OnceLock<RemoteCallHandler<World>>,
    /// Hubs that are active here.
    mine: Mutex<HashMap<Serial, Mine>>,
    /// Counter of the hubs that became active here.
    moments: AtomicU64,
    /// Locks of the search for the process of a hub, selected by a hash of the serial.
    claims: Vec<tokio::sync::Mutex<()>>,
    /// Last known revisions of the rows that the account lock guards.
    revisions: Mutex<HashMap<String, u64>>,
    /// Lock within this process that precedes the account lock of the cluster.
    turns: Arc<tokio::sync::Mutex<()>>,
    peers: Mutex<PeerActivity>,
    /// Time of the last heartbeat of this process that came back from the server.
    heard: Mutex<Instant>,
    line: Arc<Line>,
    /// Revision of the last row that was received here.
    seen: watch::Sender<u64>,
    passages: tunnels::Open,
    /// Counter of the events that can lose messages.
    breaks: watch::Sender<u64>,
}

/// The state of the connection to the server.
#[derive(Debug)]
struct Line {
    /// Time of the last connect. Heartbeats of other processes cannot be older.
    since: Mutex<Instant>,
    breaks: watch::Sender<u64>,
}

impl Line {
    fn on_event(&self, event: &Event) {
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

/// The heartbeats of other processes.
#[derive(Debug, Default)]
struct PeerActivity {
    /// Time of the last heartbeat of each process.
    last: HashMap<Node, Instant>,
    /// Processes that announced their end. Process numbers are never reused.
    left: HashSet<Node>,
}

/// The lease of a hub that is active here.
#[derive(Debug, Clone, Copy)]
struct Mine {
    /// Revision of the lease.
    since: u64,
    /// Revision of the row that was written last.
    row: u64,
    /// Value of the counter when the hub became active here.
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
    /// Connects to the server and obtains a process number. Processes with another `name`, derived from the world file, form
    /// another cluster.
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

    /// Starts the membership: sends heartbeats, applies the changes of other processes and accepts their clients.
    pub(crate) async fn begin(
        &self,
        world: &Arc<World>,
        news: kv::Watch,
        run_call: RemoteCallHandler<World>,
    ) -> Result<(), Unreachable> {
        let _ = self.inner.world.set(Arc::downgrade(world));
        let _ = self.inner.run_call.set(run_call);
        let beats = self.inner.subscribe(format!("{}.beat", self.inner.name)).await?;
        let visits = self.inner.subscribe(format!("{}.node.{}.>", self.inner.name, self.inner.node)).await?;
        let homes = self.inner.homes.watch_all().await.map_err(unreachable)?;
        let Some(runtime) = &self.runtime else { return Ok(()) };
        *self.inner.heard.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        runtime.spawn(Arc::clone(&self.inner).beat());
        runtime.spawn(Arc::clone(&self.inner).guard_leases());
        runtime.spawn(Arc::clone(&self.inner).receive_beats(beats));
        runtime.spawn(Arc::clone(&self.inner).see(news));
        runtime.spawn(Arc::clone(&self.inner).watch_homes(homes));
        runtime.spawn(Arc::clone(&self.inner).accept_tunnels(visits));
        Ok(())
    }

    /// Returns the store for the rows of this world.
    pub(crate) fn shared_rows(&self) -> Option<SharedRows> {
        let runtime = self.runtime.as_ref()?.handle().clone();
        Some(SharedRows { inner: Arc::clone(&self.inner), runtime })
    }
}

impl Inner {
    async fn connect(url: &str, name: String) -> Result<Self, Unreachable> {
        let line = Arc::new(Line { since: Mutex::new(Instant::now()), breaks: watch::Sender::default() });
        let events = Arc::clone(&line);
        let options = ConnectOptions::new()
            .connection_timeout(ANSWER_TIME)
            .request_timeout(Some(ANSWER_TIME))
            .event_callback(move |event| {
                events.on_event(&event);
                std::future::ready(())
            });
        let (address, options) = beginning::with_credentials(url, options)?;
        let client = options.connect(address).await.map_err(unreachable)?;
        let context = jetstream::new(client.clone());
        let bucket = async |kind: &str| bucket(&context, &format!("{name}-{kind}")).await;
        // The revision of a put is unique, so it serves as the process number.
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
            run_call: OnceLock::new(),
            mine: Mutex::default(),
            moments: AtomicU64::new(0),
            claims: std::iter::repeat_with(tokio::sync::Mutex::default).take(hub_leases::CLAIMS).collect(),
            revisions: Mutex::default(),
            turns: Arc::default(),
            peers: Mutex::default(),
            heard: Mutex::new(Instant::now()),
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

    fn peers(&self) -> MutexGuard<'_, PeerActivity> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn subscribe(&self, subject: String) -> Result<Subscriber, Unreachable> {
        self.client.subscribe(subject).await.map_err(unreachable)
    }

    pub(crate) async fn send_beat(&self) {
        if let Err(error) = self.client.publish(format!("{}.beat", self.name), self.own_number()).await {
            tracing::warn!(%error, "cannot send a heartbeat");
        }
    }

    async fn beat(self: Arc<Self>) {
        while self.world().is_some() {
            self.send_beat().await;
            tokio::time::sleep(BEAT).await;
        }
    }

    /// Returns false if this process was paused or is cut off from the server, so that the others may count it as lost.
    fn is_heard(&self) -> bool {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).elapsed() < OWN_SILENCE
    }

    /// Gives up all hubs when the others may count this process as lost. Their timers stop and their clients are disconnected.
    async fn guard_leases(self: Arc<Self>) {
        while self.world().is_some() {
            tokio::time::sleep(BEAT / 5).await;
            if !self.is_heard() {
                self.lose_all();
            }
        }
    }

    async fn receive_beats(self: Arc<Self>, mut beats: Subscriber) {
        while let Some(beat) = beats.next().await {
            let mut peers = self.peers();
            if let Some(node) = beat.payload.strip_prefix(LEAVES).and_then(number) {
                peers.left.insert(node);
            } else if let Some(node) = number(&beat.payload) {
                let now = Instant::now();
                if node == self.node {
                    *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = now;
                }
                peers.last.retain(|_, last| now.duration_since(*last) < SILENCE);
                peers.last.insert(node, now);
            }
        }
    }

    /// Returns true if a process counts as alive.
    fn lives(&self, node: Node) -> bool {
        let peers = self.peers();
        // A process that was connected only recently cannot have received heartbeats earlier.
        let since = peers.last.get(&node).copied().into_iter().chain([self.line.since()]).max();
        !peers.left.contains(&node) && since.is_some_and(|since| since.elapsed() < SILENCE)
    }

    async fn leave(&self) -> Result<(), Unreachable> {
        let payload = [LEAVES, &self.own_number()].concat();
        self.client.publish(format!("{}.beat", self.name), payload.into()).await.map_err(unreachable)?;
        self.client.flush().await.map_err(unreachable)
    }
}

/// Returns a key-value bucket, created as its underlying stream: the client's own call needs a field that servers before 2.10
/// do not send.
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

    fn holds(&self, serial: &Serial) -> bool {
        self.inner.mine().contains_key(serial)
    }

    fn max_row_bytes(&self) -> usize {
        self.inner.client.max_payload()
    }

    fn row_fits(&self, row: &[u8]) -> bool {
        row.len() <= LONGEST && packed(self.inner.node, row).len() <= self.inner.client.max_payload()
    }

    fn call_remote(&self, node: Node, remote_call: RemoteCall) -> Waiting<'_, Result<Done, Unreachable>> {
        Box::pin(self.inner.call_remote(node, remote_call))
    }

    fn wait_synced(&self) -> Waiting<'_, Result<(), Unreachable>> {
        Box::pin(self.inner.wait_synced())
    }

    fn lock_accounts(&self) -> Waiting<'_, Result<AccountLock, Unreachable>> {
        Box::pin(async {
            let runtime = self.runtime.as_ref().ok_or_else(|| unreachable("it ended"))?.handle().clone();
            Inner::lock_accounts(Arc::clone(&self.inner), runtime).await
        })
    }

    fn leave(&self) {
        let Some(runtime) = &self.runtime else { return };
        let (inner, (done, finished)) = (Arc::clone(&self.inner), std::sync::mpsc::channel());
        runtime.spawn(async move {
            if let Err(error) = inner.leave().await {
                tracing::warn!(%error, "cannot announce the end of this process");
            }
            let _ = done.send(());
        });
        // The end of the program does not wait for an unreachable server.
        let _ = finished.recv_timeout(BEAT);
    }
}

/// Encodes a row: the number of the writing process, a line feed and the value. Long values are compressed.
fn packed(node: Node, value: &[u8]) -> Bytes {
    let (mark, value) = match value.len() {
        ..SHORT => ("", Cow::Borrowed(value)),
        _ => (SHORTER, lz4_flex::compress_prepend_size(value).into()),
    };
    let mut packed = format!("{node}{mark}\n").into_bytes();
    packed.extend_from_slice(&value);
    packed.into()
}

/// Decodes a row to the number of the writing process and the value.
fn unpacked(row: &[u8]) -> Option<(Node, Vec<u8>)> {
    let end = row.iter().position(|byte| *byte == b'\n')?;
    let (head, value) = (&row[..end], &row[end + 1..]);
    let Some(head) = head.strip_suffix(SHORTER.as_bytes()) else { return Some((number(head)?, value.to_vec())) };
    // The length comes from outside and is checked before memory is allocated.
    let length = u32::from_le_bytes(*value.first_chunk()?);
    if usize::try_from(length).is_ok_and(|length| length <= LONGEST) {
        return Some((number(head)?, lz4_flex::decompress_size_prepended(value).ok()?));
    }
    None
}

/// Encodes a text as a valid key of a bucket.
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
        fn rows_round_trip(node: Node, value in proptest::collection::vec(any::<u8>(), 0..3 * SHORT)) {
            prop_assert_eq!(unpacked(&packed(node, &value)), Some((node, value)));
        }

        #[test]
        fn invalid_rows_never_panic(row in proptest::collection::vec(any::<u8>(), 0..64), head in "[0-9z]{0,4}\n") {
            let _ = unpacked(&row);
            let _ = unpacked(&[head.as_bytes(), &row].concat());
        }
    }

    #[test]
    fn long_rows_are_compressed_and_a_claimed_length_is_checked() {
        let long = b"[\"a room\"],".repeat(10_000);
        assert!(packed(7, &long).len() < long.len() / 10);
        let mut claims = packed(7, &long).to_vec();
        claims[3..7].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(unpacked(&claims), None);
    }
}
