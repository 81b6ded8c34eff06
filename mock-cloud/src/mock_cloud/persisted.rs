//! A cloud that goes on from a state folder, and is kept in it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::config::Config;
use crate::core::clock::Clock;
use crate::mock_cloud::CloudContext;
use crate::persistence::StateError;
use crate::persistence::redb_store::StateFile;
use crate::persistence::rows::{PersistedState, RowKey};
use crate::persistence::writer::StateWriter;
use crate::world::{World, WorldConfig};
use ezlo_hub_sim::world_file::WorldFile;

/// A state folder that is being opened.
pub(crate) struct Kept {
    folder: PathBuf,
    /// What is there already, and its file.
    before: Option<(StateFile, PersistedState)>,
}

/// How often the time is kept of a clock that does not go with the machine's. What it had gone on since, when the program was
/// killed, is gone.
const TIME_KEPT_EVERY: Duration = Duration::from_secs(1);

impl Kept {
    pub(crate) fn open(folder: &Path, world: &WorldFile, config: &Config) -> Result<Self, StateError> {
        let folder = folder.to_owned();
        if !StateFile::is_in(&folder) {
            return Ok(Self { folder, before: None });
        }
        let file = StateFile::open(&folder)?;
        let state = file.read()?;
        let path = file.path().to_owned();
        if state.about.digest != world.digest {
            return Err(StateError::OtherWorld { path, world: state.about.world });
        }
        if state.about.living != config.assumptions.simulate_behaviours {
            return Err(StateError::Living { path, living: state.about.living });
        }
        Ok(Self { folder, before: Some((file, state)) })
    }

    /// The state that is there already.
    pub(crate) fn state(&self) -> Option<&PersistedState> {
        self.before.as_ref().map(|(_, state)| state)
    }

    /// The clock as it went on from there: one that was given keeps its manner, and shows no earlier time.
    pub(crate) fn clock(&self, given: Option<Clock>) -> Clock {
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

    /// The world as it was, or as it begins, kept from now on. When this returns, what it begins with is.
    pub(crate) fn resume(self, origin: &CloudContext, clock: Clock) -> Result<Arc<World>, StateError> {
        let keeper = StateWriter::new(origin.about(), origin.authority.to_persisted());
        let world_config = WorldConfig { keeper: Some(Arc::clone(&keeper)), ..origin.world_config(clock) };
        let (world, file) = match self.before {
            Some((file, mut state)) => {
                // Hubs that nobody had touched are in the world file still.
                state.snapshot.add_copies(&origin.file, origin.begun_ms);
                (World::from_snapshot(state.snapshot, world_config), file)
            }
            None => {
                let world = World::new(world_config);
                let rows = world.kept(keeper.about.clone(), keeper.authority.clone()).rows();
                (world, StateFile::create(&self.folder, &rows)?)
            }
        };
        let path = file.path().to_owned();
        keeper.begin(Box::new(file), Arc::downgrade(&world)).map_err(|source| StateError::Io { path, source })?;
        if origin.authority.is_replaced() {
            // The authority's row is written with all others only.
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
