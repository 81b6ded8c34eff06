//! The interface between a world and the other processes of its cluster.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use ezlo_protocol::rpc::RpcError;
use ezlo_protocol::serial::Serial;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Utf8Bytes;

/// A boxed future, as the trait [`Backplane`] must be object safe.
pub(crate) type Waiting<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Number of a process of the cluster. No number is assigned twice.
pub(crate) type Node = u64;

/// The process that a hub runs in.
#[cfg_attr(not(feature = "cluster"), expect(dead_code, reason = "constructed only with a cluster"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Home {
    /// This process. The number identifies the lease.
    Here(u64),
    /// No hub has this serial.
    Nowhere,
    /// Another process.
    There(Node),
}

/// The other processes of the cluster cannot be reached.
#[derive(Debug, thiserror::Error)]
#[error("the cluster cannot be reached: {0}")]
pub(crate) struct Unreachable(pub(crate) String);

/// A request to connect a user's connection to a hub of another process.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct OpenTunnel {
    pub(crate) serial: Serial,
    pub(crate) account: u64,
    pub(crate) user: u64,
    pub(crate) conn_id: String,
}

/// A call of the control API to a hub of another process.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RemoteCall {
    pub(crate) serial: Serial,
    /// `GET` or `POST`.
    pub(crate) method: String,
    /// Path, as in the table of control calls.
    pub(crate) path: String,
    pub(crate) body: String,
}

/// The result of a [`RemoteCall`].
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Done {
    /// HTTP status.
    pub(crate) status: u16,
    pub(crate) body: String,
}

#[cfg(feature = "cluster")]
impl Done {
    /// Returns the result for a hub that cannot be reached.
    pub(crate) fn unavailable(error: &dyn std::fmt::Display) -> Self {
        Self { status: 503, body: serde_json::json!({"error": error.to_string()}).to_string() }
    }
}

/// Runs a remote call at a hub of this process.
#[cfg(feature = "cluster")]
pub(crate) type RemoteCallHandler<W> = for<'a> fn(&'a Arc<W>, &'a RemoteCall, &'a LeaseGuard) -> Waiting<'a, Done>;

/// Both directions between a connection and its hub. Each direction ends when the other side is dropped.
#[derive(Debug)]
pub(crate) struct Tunnel {
    /// Calls of the client, unchanged.
    pub(crate) calls: mpsc::Sender<Utf8Bytes>,
    /// Replies and broadcasts, in order.
    pub(crate) frames: mpsc::Receiver<Utf8Bytes>,
}

/// The connection of a process to the others of its cluster. A cloud of one process has none.
pub(crate) trait Backplane: Send + Sync + std::fmt::Debug {
    /// Returns the process that a hub runs in.
    ///
    /// This process takes over a hub that runs in no process, or in one that has ended, with its last acknowledged state.
    fn home<'a>(&'a self, serial: &'a Serial) -> Waiting<'a, Result<Home, Unreachable>>;

    /// Returns the number of the lease if the hub runs in this process. Each takeover has a new number.
    fn lease(&self, serial: &Serial) -> Option<u64>;

    /// Returns whether the hub runs in this process, or is being taken over.
    fn holds(&self, serial: &Serial) -> bool;

    /// Returns the maximum length of a persisted hub as it is sent, in bytes.
    #[cfg(feature = "cluster")]
    fn max_row_bytes(&self) -> usize;

    /// Returns whether a persisted hub with this content can be sent.
    #[cfg(feature = "cluster")]
    fn row_fits(&self, row: &[u8]) -> bool;

    /// Moves a hub to this process, because its controller is connected here.
    fn register_here<'a>(&'a self, serial: &'a Serial) -> Waiting<'a, Result<(), Unreachable>>;

    /// Opens a tunnel to a hub of another process.
    fn open(&self, node: Node, visit: OpenTunnel) -> Waiting<'_, Result<Tunnel, RpcError>>;

    /// Runs a control call at a hub of another process.
    fn call_remote(&self, node: Node, remote_call: RemoteCall) -> Waiting<'_, Result<Done, Unreachable>>;

    /// Waits until this process has received everything that any process acknowledged before the call.
    fn wait_synced(&self) -> Waiting<'_, Result<(), Unreachable>>;

    /// Acquires the cluster-wide lock for changes of accounts. It keeps user names and hub ownership unique.
    fn lock_accounts(&self) -> Waiting<'_, Result<AccountLock, Unreachable>>;

    /// Informs the other processes that this one ends; they may take over its hubs. Call it after all changes are persisted.
    fn leave(&self);
}

/// The lease of a hub at the time of a change. A change is acknowledged only if the lease is still valid once it is persisted.
#[derive(Debug, Clone)]
pub(crate) struct LeaseGuard(Option<(Serial, u64)>);

impl LeaseGuard {
    /// Returns the guard of a hub with the given number of its lease.
    pub(crate) fn since(serial: &Serial, since: u64) -> Self {
        Self(Some((serial.clone(), since)))
    }

    /// Returns a guard without a hub, which is always valid.
    pub(crate) const fn everywhere() -> Self {
        Self(None)
    }

    /// Returns whether the lease is still valid.
    pub(crate) fn is_still(&self, backplane: Option<&Arc<dyn Backplane>>) -> bool {
        let is_still =
            |(serial, since): &(Serial, u64)| backplane.is_none_or(|backplane| backplane.lease(serial) == Some(*since));
        self.0.as_ref().is_none_or(is_still)
    }
}

/// The cluster-wide lock for changes of accounts. Dropping it releases the lock.
pub(crate) struct AccountLock(Option<Box<dyn FnOnce() + Send>>);

impl AccountLock {
    #[cfg(feature = "cluster")]
    pub(crate) fn new(release: impl FnOnce() + Send + 'static) -> Self {
        Self(Some(Box::new(release)))
    }
}

impl Drop for AccountLock {
    fn drop(&mut self) {
        if let Some(release) = self.0.take() {
            release();
        }
    }
}
