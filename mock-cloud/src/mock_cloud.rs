//! The running simulated cloud. [`MockCloud`] owns its listeners, connections and timers, and stops them when it is dropped.

use crate::server::context::CloudContext;
use crate::server::shared::Fork;
use crate::server::shared::Services;
use std::sync::Arc;
use std::time::Duration;

use crate::config::Ports;
use crate::core::clock::Clock;
use crate::core::ready_line::Ready;
use crate::server::shared::Shared;
use crate::world::World;
use crate::world::hub_handle::HubHandle;

use crate::mock_cloud::builder::Builder;
use crate::mock_cloud::error::StartError;
use crate::mock_cloud::listeners::{Announce, Listeners};

pub(crate) mod builder;
#[cfg(feature = "cluster")]
pub(crate) mod clustered;
pub(crate) mod error;
pub(crate) mod listeners;
pub(crate) mod origin;
#[cfg(feature = "state")]
pub(crate) mod persisted;
#[cfg(feature = "state")]
pub(crate) mod state_files;
#[cfg(test)]
#[cfg(feature = "state")]
mod state_tests;

/// A running simulated cloud with its listeners, connections and timers.
///
/// All methods act in the process; only clients cause network traffic. Dropping the value stops everything and persists
/// outstanding changes.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use ezlo_mock_cloud::MockCloud;
/// use ezlo_mock_cloud::faults::{FaultKind, FaultSpec, Trigger};
/// use ezlo_mock_cloud::journal::{EntryKind, Filter};
/// use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let cloud = MockCloud::start().await?;
/// println!("log in at {} as {}", cloud.ready().https, cloud.ready().users[0].username);
///
/// // The first request below this path is refused.
/// let fault = FaultKind::Status { status: 503, retry_after: None };
/// cloud.add_fault(FaultSpec::new(fault).path("/autha").when(Trigger::First(1)))?;
///
/// // The client under test sends a request.
/// let mut client = tokio::net::TcpStream::connect(cloud.ready().http.trim_start_matches("http://")).await?;
/// client.write_all(b"GET /autha/auth/username/x HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await?;
/// let mut response = String::new();
/// client.read_to_string(&mut response).await?;
/// assert!(response.starts_with("HTTP/1.1 503"));
///
/// // The journal names the fault that hit it.
/// assert_eq!(cloud.journal(&Filter::kind(EntryKind::Fault))[0].name, "status");
///
/// // A day passes, and every token expires.
/// cloud.advance(Duration::from_secs(86_400)).await;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct MockCloud {
    shared: Arc<Shared>,
    ready: Ready,
    _stop: Stop,
    _announcer: Option<Box<dyn Announce>>,
}

/// The state of a cloud at one moment, without the time, the faults and the journal.
///
/// [`MockCloud::snapshot`] takes it and [`MockCloud::restore`] applies it. A clone shares the data.
#[derive(Debug, Clone)]
pub struct Snapshot(Arc<crate::world::snapshot::Snapshot>);

impl MockCloud {
    /// Binds the listeners of a world and starts its clock.
    #[expect(clippy::unused_async, reason = "the listeners must be bound inside the runtime")]
    async fn run(world: Arc<World>, is_fork: bool, origin: Arc<CloudContext>) -> Result<Self, StartError> {
        // Stops the world on an early return.
        let stop = Stop(Arc::clone(&world));
        let shared = Arc::new(Shared::new(Arc::clone(&world), Arc::clone(&origin), services()));
        let announcer = origin.config.mdns.then(listeners::announcer).transpose()?;
        // A fork has free ports, because the configured ones are those of the original world.
        let ports = if is_fork { Ports::default() } else { origin.config.ports };
        let hub_addresses = origin.config.hub_addresses && !is_fork;
        let announce = announcer.as_deref();
        let listeners = Listeners { shared: &shared, origin: &origin, ports, announce, hub_addresses };
        let ready = world.with_current_passwords(&listeners.start()?);
        let clock = world.clock.clone();
        world.spawn(async move { clock.drive().await });
        // Nothing else sets it, so it is empty here.
        let _ = shared.ready.set(ready.clone());
        Ok(Self { shared, ready, _stop: stop, _announcer: announcer })
    }

    /// Takes a snapshot of the present state.
    ///
    /// The snapshot shares each hub with the world until the hub changes, so it is cheap to take.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot(Arc::new(self.shared.world.snapshot()))
    }

    /// Restores a snapshot of this cloud, or of the cloud that it is a fork of.
    ///
    /// The time does not change: a timer that was due ten seconds after the snapshot is due in ten seconds. Relay and local
    /// connections to hubs are closed. Faults and the journal stay.
    pub fn restore(&self, snapshot: &Snapshot) {
        self.shared.world.restore(&snapshot.0);
    }

    /// Restores the initial state of the world file. The time, the faults and the journal stay.
    ///
    /// Connections to hubs are closed.
    pub fn reset(&self) {
        self.shared.reset();
    }

    /// Starts a fork: an independent copy of this cloud on free ports.
    ///
    /// The fork has the same state, certificate authority, time and speed at first. Identities and session tokens of this cloud
    /// are valid in it. Its journal is empty, its faults are those of the profile, and it is not persisted. It ends when the
    /// returned value is dropped.
    ///
    /// # Errors
    ///
    /// [`StartError::Bind`], [`StartError::Tls`] or [`StartError::Mdns`] if its listeners cannot start.
    ///
    /// # Cancel safety
    ///
    /// A dropped future leaves no fork behind.
    pub async fn fork(&self) -> Result<Self, StartError> {
        fork(&self.shared).await
    }
}

/// Starts a fork of a world, on ports of its own. The world is copied at once; its listeners start later.
fn fork(shared: &Shared) -> impl Future<Output = Result<MockCloud, StartError>> + Send + 'static {
    let world_config = shared.origin.world_config(shared.world.clock.copy());
    let world = World::from_snapshot(shared.world.snapshot(), world_config);
    let origin = Arc::clone(&shared.origin);
    MockCloud::run(world, true, origin)
}

/// Returns the operations of this layer that the control API calls. They are function pointers, because the server is a lower
/// layer.
fn services() -> Services {
    Services {
        fork: |shared| {
            let forking = fork(shared);
            Box::pin(async move {
                match forking.await {
                    Ok(cloud) => Ok(Box::new(cloud) as Box<dyn Fork>),
                    Err(error) => Err(error.to_string()),
                }
            })
        },
        ledger: crate::evidence::ledger::ledger,
    }
}

impl Fork for MockCloud {
    fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    fn ready(&self) -> &Ready {
        &self.ready
    }
}

/// A guard that stops a world when it is dropped.
#[derive(Debug)]
struct Stop(Arc<World>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.stop();
    }
}

impl MockCloud {
    /// Starts a cloud with the default settings: world `demo`, seed 1, free ports on loopback, nothing persisted.
    ///
    /// # Errors
    ///
    /// [`StartError::Bind`] or [`StartError::Tls`] if the listeners or the certificates cannot be set up.
    ///
    /// # Cancel safety
    ///
    /// A dropped future stops everything that was started.
    pub async fn start() -> Result<Self, StartError> {
        Self::builder().start().await
    }

    /// Returns a builder with the default settings.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Returns the content of the ready line: the addresses, users and hubs at the start.
    pub const fn ready(&self) -> &Ready {
        &self.ready
    }

    /// Returns the CA certificate in PEM. Clients must trust it for the vendor's host names.
    ///
    /// Never install it system-wide: the names that it may sign are real.
    pub fn ca_pem(&self) -> &str {
        self.shared.origin.authority.pem()
    }

    /// Returns the entries of the journal that match, oldest first.
    ///
    /// The journal holds about the last 16,000 entries. It is empty if [`Config::journal`](crate::Config::journal) is off.
    pub fn journal(&self, filter: &crate::journal::filter::Filter) -> Vec<crate::journal::entry::Entry> {
        self.shared.world.journal.entries(filter, usize::MAX)
    }

    /// Returns the report: requests that no handler matched, with similar names, members that had no effect, refused TLS handshakes,
    /// and active faults that never matched.
    ///
    /// It is counted over the present journal: `{"unmatched": [{name, times, last, nearest}], "unknown_fields": [{name, member,
    /// times}], "refused_handshakes": [{name, cause, times, last}], "unused_faults": [{id, fault}]}`.
    pub fn report(&self) -> serde_json::Value {
        let entries = self.journal(&crate::journal::filter::Filter::default());
        ezlo_protocol::wire::to_value(&crate::journal::usage_report::summary(&entries, &self.faults()))
    }

    /// Waits for a matching entry of the journal, and returns the first one, which may be an earlier one.
    ///
    /// Returns `None` if there is none within `limit` of machine time.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it only reads the journal.
    pub async fn expect_within(
        &self,
        filter: &crate::journal::filter::Filter,
        limit: std::time::Duration,
    ) -> Option<crate::journal::entry::Entry> {
        self.shared.world.journal.wait_for(filter, limit).await
    }

    /// Expects exactly `times` matching entries from now on; 0 asserts their absence.
    ///
    /// [`Expectation::verify`](crate::journal::Expectation::verify) checks at once.
    ///
    /// # Panics
    ///
    /// The returned value panics when it is dropped with another count, unless the thread is panicking already.
    pub fn expect(&self, filter: crate::journal::filter::Filter, times: usize) -> crate::journal::Expectation {
        crate::journal::Expectation::new(&self.shared.world.journal, filter, times)
    }

    /// Adds a fault and returns its number.
    ///
    /// # Errors
    ///
    /// A [`FaultError`](crate::faults::FaultError) if a value is out of bounds, if the fault can never match, or if there are
    /// 256 faults already.
    pub fn add_fault(&self, fault: crate::faults::spec::FaultSpec) -> Result<u64, crate::faults::spec::FaultError> {
        self.shared.world.add_fault(fault)
    }

    /// Removes the fault with this number, or all faults with `None`. Returns the number of removed faults.
    pub fn remove_fault(&self, id: Option<u64>) -> usize {
        self.shared.world.faults.remove(id)
    }

    /// Returns the active faults with their counters.
    pub fn faults(&self) -> Vec<crate::faults::injector::ActiveFault> {
        self.shared.world.faults.list()
    }

    /// Sets the password of a user. Returns false if no user has this name.
    ///
    /// Identities and tokens that were issued before stay valid.
    pub fn set_password(&self, username: &str, password: &str) -> bool {
        self.shared.world.accounts().set_password(username, &password.into())
    }

    /// Removes a hub from the user's list of local keys, or restores it.
    ///
    /// Returns false if no user has this name, or if the hub does not belong to the user's account.
    /// Without the key, the hub refuses local logins of the user. A claim of the hub restores the key.
    pub fn set_local_key(&self, username: &str, serial: &ezlo_protocol::serial::Serial, present: bool) -> bool {
        let is_changed = self.shared.world.accounts().set_local_key(username, serial, present).is_ok();
        if is_changed {
            self.shared.world.announce_keys(serial);
        }
        is_changed
    }

    /// Exports the state as one JSON document for `state::import` (feature `state`) or `mock-cloud state import`.
    ///
    /// The document contains every token, password digest and private key of the world.
    pub fn export(&self) -> String {
        self.shared.export()
    }

    /// Waits until all changes so far are durable. Returns false if they can no longer be persisted.
    ///
    /// Returns true at once without a state directory. Changes that a client received a reply for are durable already.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it only waits.
    pub async fn flush(&self) -> bool {
        self.shared.world.flush().await
    }

    /// Waits until the state can no longer be persisted, for example because the disk is full, and returns the reason.
    ///
    /// The future never completes without a state directory.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it only waits.
    pub async fn persistence_failed(&self) -> String {
        match &self.shared.world.keeper {
            Some(keeper) => keeper.wait_failure().await.to_string(),
            None => std::future::pending().await,
        }
    }

    /// Returns the clock of this cloud. Its clones show the same time.
    pub fn clock(&self) -> &Clock {
        &self.shared.world.clock
    }

    /// Returns a handle for physical actions at a hub, such as pressing a button. `None` if no hub has this serial.
    pub fn hub(&self, serial: &str) -> Option<HubHandle> {
        let cell = self.shared.world.hub(&serial.parse().ok()?)?;
        Some(HubHandle { cell })
    }

    /// Moves the clock forward. Everything that becomes due fires at its own time, in order, before this returns.
    ///
    /// A call of [`Clock::set_speed`] meanwhile ends the step where it is. The clock ends with the year 9999.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: a dropped future leaves the clock between the start and the target.
    pub async fn advance(&self, duration: Duration) {
        self.clock().advance(duration).await;
        self.shared.world.mark_clock();
    }
}
