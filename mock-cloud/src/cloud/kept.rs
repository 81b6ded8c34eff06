//! A cloud that goes on from a state folder, and is kept in it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::Origin;
use crate::clock::Clock;
use crate::config::Config;
use crate::state::{Keeper, KeptState, StateError, StateFile, Touch};
use crate::world::{Beginnings, World, WorldFile};

/// A state folder that is being opened.
pub(super) struct Kept {
    folder: PathBuf,
    /// What is there already, and its file.
    before: Option<(StateFile, KeptState)>,
}

/// How often the time is kept of a clock that does not go with the machine's. What it had gone on since, when the program was
/// killed, is gone.
const TIME_KEPT_EVERY: Duration = Duration::from_secs(1);

impl Kept {
    pub(super) fn open(folder: &Path, world: &WorldFile, config: &Config) -> Result<Self, StateError> {
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
        if state.about.living != config.guesses.living_houses {
            return Err(StateError::Living { path, living: state.about.living });
        }
        Ok(Self { folder, before: Some((file, state)) })
    }

    /// The state that is there already.
    pub(super) fn state(&self) -> Option<&KeptState> {
        self.before.as_ref().map(|(_, state)| state)
    }

    /// The clock as it went on from there: one that was given keeps its manner, and shows no earlier time.
    pub(super) fn clock(&self, given: Option<Clock>) -> Clock {
        let is_own = given.is_none();
        let clock = given.unwrap_or_else(Clock::real);
        if let Some(state) = self.state() {
            clock.not_before(state.time.now_ms);
            if is_own {
                clock.set_speed(state.time.speed);
            }
        }
        clock
    }

    /// The world as it was, or as it begins, kept from now on. When this returns, what it begins with is.
    pub(super) fn go_on(self, origin: &Origin, clock: Clock) -> Result<Arc<World>, StateError> {
        let keeper = Keeper::new(origin.about(), origin.authority.to_keep());
        let beginnings = Beginnings { keeper: Some(Arc::clone(&keeper)), ..origin.beginnings(clock) };
        let (world, file) = match self.before {
            Some((file, mut state)) => {
                // Hubs that nobody had touched are in the world file still.
                state.snapshot.add_copies(&origin.file, origin.begun_ms);
                (World::from_snapshot(state.snapshot, beginnings), file)
            }
            None => {
                let world = World::new(beginnings);
                let rows = world.kept(keeper.about.clone(), keeper.authority.clone()).rows();
                (world, StateFile::create(&self.folder, &rows)?)
            }
        };
        let path = file.path().to_owned();
        keeper.begin(Box::new(file), Arc::downgrade(&world)).map_err(|source| StateError::Io { path, source })?;
        if origin.authority.is_replaced() {
            // The authority's row is written with all others only.
            drop(keeper.note_all());
        }
        let clock = world.clock.clone();
        world.spawn(async move {
            loop {
                tokio::time::sleep(TIME_KEPT_EVERY).await;
                if clock.goes_its_own_way() {
                    keeper.note(Touch::Clock);
                }
            }
        });
        Ok(world)
    }
}
