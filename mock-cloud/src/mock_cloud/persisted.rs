//! The start of a cloud with a state directory.

use crate::mock_cloud::error::StartError;
use crate::mock_cloud::origin::context;
use crate::mock_cloud::state_files::read_file;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::config::Config;
use crate::core::clock::Clock;
use crate::persistence::error::StateError;
use crate::persistence::redb_store::StateFile;
use crate::persistence::rows::RowKey;
use crate::persistence::writer::StateWriter;
use crate::server::context::CloudContext;
use crate::tls::Authority;
use crate::tls::names::TlsNames;
use crate::world::persisted_state::PersistedState;
use crate::world::{World, WorldConfig};
use ezlo_hub_sim::world_file::WorldFile;

/// A state directory that is being opened.
struct OpenedState {
    folder: PathBuf,
    /// The existing state and its open file; `None` for a new state.
    before: Option<(StateFile, PersistedState)>,
}

/// Opens a state directory and continues its state, or creates the initial state of the world in it.
pub(crate) fn open(
    folder: &Path,
    mut config: Config,
    file: WorldFile,
    clock: Option<Clock>,
) -> Result<(Arc<World>, Arc<CloudContext>), StartError> {
    let kept = OpenedState::open(folder, &file, &config)?;
    let clock = kept.clock(clock);
    let names = TlsNames::with_own_address(config.bind, &config.tls_names);
    let (authority, begun_ms) = match kept.state() {
        Some(before) => {
            // Hubs without a row are derived from the seed of the first start.
            config.seed = Some(before.about.seed);
            (Authority::restore(&before.authority, &clock, names)?, before.about.begun_ms)
        }
        None => (Authority::new(&clock, names)?, clock.now_ms()),
    };
    let origin = context(config, file, authority, begun_ms)?;
    let world = kept.resume(&origin, clock)?;
    Ok((world, origin))
}

/// Interval at which the time of a clock is persisted that differs from the machine's clock. A crash loses the time since then.
const TIME_KEPT_EVERY: Duration = Duration::from_secs(1);

impl OpenedState {
    fn open(folder: &Path, world: &WorldFile, config: &Config) -> Result<Self, StateError> {
        let folder = folder.to_owned();
        if !StateFile::is_in(&folder) {
            return Ok(Self { folder, before: None });
        }
        let file = StateFile::open(&folder)?;
        let state = read_file(&file)?;
        let path = file.path().to_owned();
        if state.about.digest != world.digest {
            return Err(StateError::OtherWorld { path, world: state.about.world });
        }
        if let Some(requested) = config.seed.filter(|seed| *seed != state.about.seed) {
            return Err(StateError::OtherSeed { path, persisted: state.about.seed, requested });
        }
        if state.about.living != config.assumptions.simulate_behaviours {
            return Err(StateError::Living { path, living: state.about.living });
        }
        Ok(Self { folder, before: Some((file, state)) })
    }

    /// Returns the existing state.
    fn state(&self) -> Option<&PersistedState> {
        self.before.as_ref().map(|(_, state)| state)
    }

    /// Returns the clock of the world, moved to the persisted time if that is later. A given clock keeps its own speed.
    fn clock(&self, given: Option<Clock>) -> Clock {
        let is_own = given.is_none();
        let clock = given.unwrap_or_else(Clock::real);
        if let Some(state) = self.state() {
            clock.advance_to(state.time.now_ms);
            if is_own {
                clock.set_speed(state.time.speed);
            }
        }
        clock
    }

    /// Continues the existing state, or creates and persists the initial one. Every later change is persisted.
    fn resume(self, origin: &CloudContext, clock: Clock) -> Result<Arc<World>, StateError> {
        let keeper = StateWriter::new();
        let world_config = WorldConfig { keeper: Some(Arc::clone(&keeper)), ..origin.world_config(clock) };
        let (world, file) = match self.before {
            Some((file, mut state)) => {
                // Only hubs that a request has addressed have rows. The others are derived from the world file.
                state.snapshot.add_copies(&origin.file, origin.begun_ms);
                (World::from_snapshot(state.snapshot, world_config), file)
            }
            None => {
                let world = World::new(world_config);
                let rows = world.persisted_state(origin.about(), origin.authority.to_persisted()).rows();
                (world, StateFile::create(&self.folder, &rows)?)
            }
        };
        let path = file.path().to_owned();
        keeper
            .begin(Box::new(file), Box::new(origin.row_source(&world)))
            .map_err(|source| StateError::Io { path, source })?;
        if origin.authority.is_replaced() {
            // The row of the authority is written only together with all other rows.
            drop(keeper.mark_all());
        }
        let clock = world.clock.clone();
        world.spawn(async move {
            loop {
                tokio::time::sleep(TIME_KEPT_EVERY).await;
                if clock.differs_from_machine() {
                    keeper.mark_row(RowKey::Clock);
                }
            }
        });
        Ok(world)
    }
}
