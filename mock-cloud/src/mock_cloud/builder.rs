//! The settings of a simulated cloud, and its start.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::{Assumptions, ClusterUrl, Config, Profile};
use crate::core::clock::Clock;
use crate::mock_cloud::MockCloud;
#[cfg(feature = "cluster")]
use crate::mock_cloud::clustered;
use crate::mock_cloud::error::StartError;
use crate::mock_cloud::origin::context;
#[cfg(feature = "state")]
use crate::mock_cloud::persisted;
use crate::server::context::CloudContext;
use crate::tls::Authority;
use crate::tls::names::TlsNames;
use crate::world::World;
use ezlo_hub_sim::world_file::WorldFile;

/// The settings of a cloud that is not started yet.
///
/// Defaults: world `demo`, seed 1, profile `calm`, free ports on 127.0.0.1, the machine's time, nothing persisted.
///
/// # Examples
///
/// ```
/// use ezlo_mock_cloud::{Clock, MockCloud, Profile};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let cloud = MockCloud::builder()
///     .seed(7)
///     .profile(Profile::Strict)
///     .clock(Clock::frozen(1_700_000_000))
///     .assumptions(|assumptions| assumptions.zwave_auto_press = false)
///     .start()
///     .await?;
/// assert_eq!(cloud.clock().unix_seconds(), 1_700_000_000);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Default)]
#[must_use = "call start() to run it"]
pub struct Builder {
    config: Config,
    clock: Option<Clock>,
}

impl Builder {
    /// Replaces all settings except the clock by this configuration.
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Sets the random seed (default: 1, or the seed of a persisted state). A persisted state with another seed is refused.
    pub const fn seed(mut self, seed: u64) -> Self {
        self.config.seed = Some(seed);
        self
    }

    /// Sets the behaviour profile (default: [`Profile::Calm`]).
    pub const fn profile(mut self, profile: Profile) -> Self {
        self.config.profile = profile;
        self
    }

    /// Sets the world: a bundled world by name, or a world file by path (default: `demo`).
    pub fn world(mut self, world: impl Into<String>) -> Self {
        self.config.world = world.into();
        self
    }

    /// Shares one cloud with all processes that use this NATS server with JetStream (default: one process).
    ///
    /// It requires the Cargo feature `cluster`. Such a cloud persists its state in JetStream. A state directory then holds
    /// only the CA certificate.
    pub fn cluster(mut self, url: impl Into<ClusterUrl>) -> Self {
        self.config.cluster = Some(url.into());
        self
    }

    /// Persists the state in this directory (default: not persisted).
    ///
    /// A start with an existing state continues it. Acknowledged changes survive a crash.
    pub fn state_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.config.state_dir = Some(folder.into());
        self
    }

    /// Sets the clock (default: [`Clock::real`]). A clock with an earlier time than a persisted state is moved to that time.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Changes the assumptions: values and behaviour that no source states.
    pub fn assumptions(mut self, change: impl FnOnce(&mut Assumptions)) -> Self {
        change(&mut self.config.assumptions);
        self
    }

    /// Starts the cloud: loads the world, binds all ports and starts the clock.
    ///
    /// It causes no network traffic, except mDNS announcements and the connection to NATS if they are set.
    ///
    /// # Errors
    ///
    /// - [`StartError::Config`] if a setting is out of bounds or the world cannot be loaded.
    /// - [`StartError::State`] if the state directory cannot be used, or belongs to another world.
    /// - [`StartError::Cluster`] if the NATS server cannot be used.
    /// - [`StartError::Tls`] if certificates cannot be created or written.
    /// - [`StartError::Bind`] or [`StartError::Mdns`] if a port cannot be bound or a hub cannot be announced.
    ///
    /// # Cancel safety
    ///
    /// A dropped future stops everything that was started. The first process of a cluster must not be cancelled: without its
    /// initial state the other processes do not start.
    pub async fn start(self) -> Result<MockCloud, StartError> {
        let Self { config, clock } = self;
        config.check()?;
        let file = crate::worlds::load(&config.world)?;
        if let Some(url) = config.cluster.clone() {
            return Self::start_joined(config, file, clock, &url).await;
        }
        let (world, origin) = match config.state_dir.clone() {
            Some(folder) => Self::open_state(&folder, config, file, clock)?,
            None => {
                let clock = clock.unwrap_or_else(Clock::real);
                let authority = Authority::new(&clock, TlsNames::with_own_address(config.bind, &config.tls_names))?;
                let begun_ms = clock.now_ms();
                let origin = context(config, file, authority, begun_ms)?;
                (World::new(origin.world_config(clock)), origin)
            }
        };
        MockCloud::run(world, false, origin).await
    }

    #[cfg(feature = "state")]
    fn open_state(
        folder: &Path,
        config: Config,
        file: WorldFile,
        clock: Option<Clock>,
    ) -> Result<(Arc<World>, Arc<CloudContext>), StartError> {
        persisted::open(folder, config, file, clock)
    }

    #[cfg(not(feature = "state"))]
    fn open_state(
        _: &Path,
        _: Config,
        _: WorldFile,
        _: Option<Clock>,
    ) -> Result<(Arc<World>, Arc<CloudContext>), StartError> {
        Err(crate::StateError::Unsupported.into())
    }

    #[cfg(feature = "cluster")]
    async fn start_joined(
        config: Config,
        file: WorldFile,
        clock: Option<Clock>,
        url: &ClusterUrl,
    ) -> Result<MockCloud, StartError> {
        let (world, origin) = clustered::join(config, file, clock, url).await?;
        MockCloud::run(world, false, origin).await
    }

    #[cfg(not(feature = "cluster"))]
    #[expect(clippy::unused_async, reason = "the variant with the feature awaits")]
    async fn start_joined(
        _: Config,
        _: WorldFile,
        _: Option<Clock>,
        url: &ClusterUrl,
    ) -> Result<MockCloud, StartError> {
        Err(StartError::Cluster(format!("{url}: this build has no NATS client; build it with --features cluster")))
    }
}
