//! The simulated cloud as a value: started, asked, moved in time, dropped.

use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{ClusterUrl, Config, ConfigError, Ports, Profile};
use crate::core::clock::Clock;
use crate::core::ready_line::Ready;
use crate::persistence::StateError;
use crate::persistence::rows::StateHeader;
use crate::server::mdns::Announcer;
use crate::server::{ListenerKind, Shared};
use crate::tls::names::TlsNames;
use crate::tls::{Authority, TlsError};
use crate::world::hub_handle::HubHandle;
use crate::world::{World, WorldConfig};
use ezlo_hub_sim::world_file::WorldFile;

use crate::mock_cloud::listeners::Listeners;
use crate::mock_cloud::persisted::Kept;

#[cfg(feature = "cluster")]
pub(crate) mod clustered;
pub(crate) mod listeners;
pub(crate) mod persisted;

/// A running simulated cloud. Dropping it stops it: listeners, connections and timers.
#[derive(Debug)]
pub struct MockCloud {
    shared: Arc<Shared>,
    ready: Ready,
    _stop: Stop,
    _announcer: Option<Announcer>,
}

/// What a cloud was made from; its copies share it.
#[derive(Debug)]
pub(crate) struct CloudContext {
    config: Config,
    file: Arc<WorldFile>,
    pub(crate) authority: Authority,
    /// Keeps the certificate's folder for as long as a cloud runs.
    _folder: Option<tempfile::TempDir>,
    ca_path: String,
    /// When the world began, Unix milliseconds.
    begun_ms: i64,
}

impl CloudContext {
    fn about(&self) -> StateHeader {
        let Config { world, seed, assumptions, .. } = &self.config;
        StateHeader::new(world, &self.file.digest, *seed, self.begun_ms, assumptions.simulate_behaviours)
    }

    fn world_config(&self, clock: Clock) -> WorldConfig {
        WorldConfig {
            clock,
            seed: self.config.seed,
            assumptions: self.config.effective_guesses(),
            profile: self.config.profile,
            framing: self.config.framing,
            file: Arc::clone(&self.file),
            journal: self.config.journal,
            keeper: None,
            asleep: false,
        }
    }
}

/// A state of a cloud, taken by [`MockCloud::snapshot`]. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Snapshot(Arc<crate::world::snapshot::Snapshot>);

/// Sets a simulated cloud up.
#[derive(Debug, Clone, Default)]
#[must_use = "call start() to run it"]
pub struct Builder {
    config: Config,
    clock: Option<Clock>,
}

/// A simulated cloud could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A port could not be bound.
    #[error("cannot listen on {address} for {what}; choose another port, or 0 for any free one")]
    Bind {
        /// What the port is for.
        what: String,
        /// Where.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The hubs cannot be announced.
    #[error("cannot announce hubs by mDNS")]
    Mdns(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The state folder cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// The other processes cannot be joined.
    #[error("cannot join the cluster: {0}")]
    Cluster(String),
    /// Certificates could not be made or kept.
    #[error("cannot set up TLS")]
    Tls(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl StartError {
    fn mdns(error: mdns_sd::Error) -> Self {
        Self::Mdns(Box::new(error))
    }
}

impl From<TlsError> for StartError {
    fn from(error: TlsError) -> Self {
        Self::Tls(Box::new(error))
    }
}

impl Builder {
    /// Starts from this configuration.
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Where all chance comes from.
    pub const fn seed(mut self, seed: u64) -> Self {
        self.config.seed = seed;
        self
    }

    /// Set of manners.
    pub const fn profile(mut self, profile: Profile) -> Self {
        self.config.profile = profile;
        self
    }

    /// A shipped world by name, or a world file by path.
    pub fn world(mut self, world: impl Into<String>) -> Self {
        self.config.world = world.into();
        self
    }

    /// The NATS server at which the processes of one cloud meet; for builds with the feature `cluster`.
    pub fn cluster(mut self, url: impl Into<ClusterUrl>) -> Self {
        self.config.cluster = Some(url.into());
        self
    }

    /// A folder that the state is kept in, through any end of the program.
    pub fn state_dir(mut self, folder: impl Into<std::path::PathBuf>) -> Self {
        self.config.state_dir = Some(folder.into());
        self
    }

    /// The clock that everything waits and expires by; the machine's when not set.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Changes what the vendor never published.
    pub fn assumptions(mut self, change: impl FnOnce(&mut crate::config::Assumptions)) -> Self {
        change(&mut self.config.assumptions);
        self
    }

    /// Binds everything and runs.
    pub async fn start(self) -> Result<MockCloud, StartError> {
        let Self { mut config, clock } = self;
        config.check()?;
        let file = config.load_world()?;
        if let Some(url) = config.cluster.clone() {
            return Self::start_joined(config, file, clock, &url).await;
        }
        let kept = config.state_dir.as_deref().map(|folder| Kept::open(folder, &file, &config)).transpose()?;
        let clock = match &kept {
            Some(kept) => kept.clock(clock),
            None => clock.unwrap_or_else(Clock::real),
        };
        let names = TlsNames::new(config.bind, &config.tls_names);
        let (authority, begun_ms) = match kept.as_ref().and_then(Kept::state) {
            Some(before) => {
                // Its hubs are made by the seed that it was made with.
                config.seed = before.about.seed;
                (Authority::restore(&before.authority, &clock, names)?, before.about.begun_ms)
            }
            None => (Authority::new(&clock, names)?, clock.now_ms()),
        };
        let (folder, ca_path) = write_certificate(&config, authority.pem())?;
        let origin =
            Arc::new(CloudContext { config, file: Arc::new(file), authority, _folder: folder, ca_path, begun_ms });
        let world = match kept {
            Some(kept) => kept.resume(&origin, clock)?,
            None => World::new(origin.world_config(clock)),
        };
        MockCloud::run(world, origin.config.ports, origin).await
    }

    #[cfg(feature = "cluster")]
    async fn start_joined(
        config: Config,
        file: WorldFile,
        clock: Option<Clock>,
        url: &ClusterUrl,
    ) -> Result<MockCloud, StartError> {
        let (world, origin) = clustered::join(config, file, clock, url).await?;
        MockCloud::run(world, origin.config.ports, origin).await
    }

    #[cfg(not(feature = "cluster"))]
    #[expect(clippy::unused_async, reason = "it waits where it can join")]
    async fn start_joined(
        _: Config,
        _: WorldFile,
        _: Option<Clock>,
        url: &ClusterUrl,
    ) -> Result<MockCloud, StartError> {
        Err(StartError::Cluster(format!("{url}: this build knows no NATS; build it with --features cluster")))
    }
}

impl MockCloud {
    /// Binds what a world needs and lets its time go.
    #[expect(clippy::unused_async, reason = "it binds in the runtime that awaits it")]
    async fn run(world: Arc<World>, ports: Ports, origin: Arc<CloudContext>) -> Result<Self, StartError> {
        // From here on, leaving early stops what was started.
        let stop = Stop(Arc::clone(&world));
        let shared = Arc::new(Shared::new(Arc::clone(&world), Arc::clone(&origin)));
        let announcer = origin.config.mdns.then(Announcer::new).transpose().map_err(StartError::mdns)?;
        let listeners = Listeners { shared: &shared, origin: &origin, ports, announce: announcer.as_ref() };
        let ready = world.with_current_passwords(&listeners.start()?);
        let clock = world.clock.clone();
        world.spawn(async move { clock.drive().await });
        // Set once, here.
        let _ = shared.ready.set(ready.clone());
        Ok(Self { shared, ready, _stop: stop, _announcer: announcer })
    }

    /// Takes the state as it is now. Takes no time: hubs are shared with it until they change.
    pub fn snapshot(&self) -> Snapshot {
        self.shared.snapshot()
    }

    pub(crate) const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Puts a state back that was taken of this cloud, or of one that it was copied from. The time goes on: what was due in
    /// ten seconds is due in ten seconds. Connections that listen to a hub are closed, faults and journal stay.
    pub fn restore(&self, snapshot: &Snapshot) {
        self.shared.restore(snapshot);
    }

    /// Puts the state back that the world began with. The time stays what it is.
    pub fn reset(&self) {
        self.shared.reset();
    }

    /// A copy of this cloud as it is now, on ports of its own, with a clock that shows the same time and goes its own way.
    /// Neither knows of the other. What was given out by this one (identities, session tokens) is good there too.
    pub async fn fork(&self) -> Result<Self, StartError> {
        self.shared.forking().await
    }
}

/// A copy of a world that gets its listeners.
type Forking = Pin<Box<dyn Future<Output = Result<MockCloud, StartError>> + Send>>;

impl Shared {
    /// Whether other processes may listen on the same port: any process of a cluster serves the vendor's hosts.
    pub(crate) fn is_port_shared(&self, surface: &ListenerKind) -> bool {
        self.origin.config.cluster.is_some() && matches!(surface, ListenerKind::Cloud { .. })
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot(Arc::new(self.world.snapshot()))
    }

    pub(crate) fn export(&self) -> String {
        self.world.kept(self.origin.about(), self.origin.authority.to_persisted()).to_document()
    }

    pub(crate) fn restore(&self, snapshot: &Snapshot) {
        self.world.restore(&snapshot.0);
    }

    pub(crate) fn reset(&self) {
        let world_config = self.origin.world_config(self.world.clock.clone());
        self.world.restore(&crate::world::snapshot::Snapshot::beginning(&world_config));
    }

    /// Copies the world now; what is waited for are the listeners of the copy.
    pub(crate) fn forking(&self) -> Forking {
        let world_config = self.origin.world_config(self.world.clock.copy());
        let world = World::from_snapshot(self.world.snapshot(), world_config);
        Box::pin(MockCloud::run(world, Ports::default(), Arc::clone(&self.origin)))
    }
}

/// Ends everything that runs in a world when it goes.
#[derive(Debug)]
struct Stop(Arc<World>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// Writes the authority's certificate where programs find it.
fn write_certificate(config: &Config, pem: &str) -> Result<(Option<tempfile::TempDir>, String), StartError> {
    let at = |path: &Path| {
        let path = path.display().to_string();
        move |error: std::io::Error| StartError::Tls(format!("cannot write {path}: {error}").into())
    };
    let (folder, path) = match &config.state_dir {
        Some(dir) => {
            std::fs::create_dir_all(dir).map_err(at(dir))?;
            (None, dir.join("ca.pem"))
        }
        None => {
            let folder = tempfile::Builder::new().prefix("mock-cloud-").tempdir().map_err(at(&std::env::temp_dir()))?;
            let path = folder.path().join("ca.pem");
            (Some(folder), path)
        }
    };
    // There whole, or as it was before.
    let beside = path.with_extension("pem.new");
    std::fs::write(&beside, pem).and_then(|()| std::fs::rename(&beside, &path)).map_err(at(&path))?;
    Ok((folder, path.display().to_string()))
}

impl MockCloud {
    /// Starts a cloud with the default world on free ports.
    pub async fn start() -> Result<Self, StartError> {
        Self::builder().start().await
    }

    /// Sets a cloud up.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Where everything is; the same as the ready line.
    pub const fn ready(&self) -> &Ready {
        &self.ready
    }

    /// The certificate of the authority that signed every server certificate, in PEM.
    pub fn ca_pem(&self) -> &str {
        self.shared.origin.authority.pem()
    }

    /// What came, went and led to what, oldest first.
    pub fn journal(&self, filter: &crate::journal::filter::Filter) -> Vec<crate::journal::Entry> {
        self.shared.world.journal.entries(filter, usize::MAX)
    }

    /// What nobody answered, with what comes near, and what clients sent that made no difference, counted over the journal:
    /// `{"unanswered": [{name, times, last, nearest}], "ignored": [{name, member, times}]}`.
    pub fn report(&self) -> serde_json::Value {
        crate::journal::usage_report::summary(&self.journal(&crate::journal::filter::Filter::default()))
    }

    /// Waits for something to happen, or finds that it has; `None` when it does not in time.
    pub async fn expect_within(
        &self,
        filter: &crate::journal::filter::Filter,
        limit: std::time::Duration,
    ) -> Option<crate::journal::Entry> {
        self.shared.world.journal.wait_for(filter, limit).await
    }

    /// From now on this has to happen that often; looked for when what is returned is dropped.
    pub fn expect(&self, filter: crate::journal::filter::Filter, times: usize) -> crate::journal::Expectation {
        crate::journal::Expectation::new(&self.shared.world.journal, filter, times)
    }

    /// Lets something go wrong. Gives its number.
    pub fn add_fault(&self, fault: crate::faults::spec::Fault) -> Result<u64, crate::faults::spec::FaultError> {
        self.shared.world.add_fault(fault)
    }

    /// Ends a fault, or all with `None`; says how many went.
    pub fn remove_fault(&self, id: Option<u64>) -> usize {
        self.shared.world.faults.remove(id)
    }

    /// The faults that stand, with what each has done.
    pub fn faults(&self) -> Vec<crate::faults::injector::ActiveFault> {
        self.shared.world.faults.list()
    }

    /// A user takes another password; false when nobody has that name. Tokens that were given out stay good.
    pub fn set_password(&self, username: &str, password: &str) -> bool {
        self.shared.world.accounts().set_password(username, &password.into())
    }

    /// Everything that makes the state, as one readable text: a copy goes on from it with `mock-cloud state import`.
    pub fn export(&self) -> String {
        self.shared.export()
    }

    /// Waits until everything that was done so far outlives the program; at once without a state folder. What clients hear
    /// from their connections is kept already. False when it cannot be kept any more.
    pub async fn flush(&self) -> bool {
        self.shared.world.flush().await
    }

    /// Waits until the state cannot be kept any more (a full disk, say) and says why; forever without a state folder.
    pub async fn persistence_failed(&self) -> String {
        match &self.shared.world.keeper {
            Some(keeper) => keeper.wait_failure().await.to_string(),
            None => std::future::pending().await,
        }
    }

    /// The clock that everything here waits and expires by.
    pub fn clock(&self) -> &Clock {
        &self.shared.world.clock
    }

    /// A hub, to do to it what people and devices do; `None` when no hub has that serial.
    pub fn hub(&self, serial: &str) -> Option<HubHandle> {
        let cell = self.shared.world.hub(&serial.parse().ok()?)?;
        Some(HubHandle { cell })
    }

    /// Moves the time on; everything that becomes due happens on the way, in order.
    pub async fn advance(&self, duration: Duration) {
        self.clock().advance(duration).await;
        self.shared.world.mark_clock();
    }
}
