//! A cloud that goes on from a state folder, and is kept in it.

use std::path::Path;
use std::sync::Arc;

use super::Origin;
use crate::clock::Clock;
use crate::state::{Keeper, KeptState, StateError, StateFile};
use crate::world::{Beginnings, World, WorldFile};

/// A state folder that is being opened.
pub(super) struct Kept {
    file: StateFile,
    pub(super) state: Option<KeptState>,
}

impl Kept {
    pub(super) fn open(folder: &Path, world: &WorldFile) -> Result<Self, StateError> {
        let file = StateFile::open(folder)?;
        let state = file.read()?;
        if let Some(other) = state.as_ref().filter(|state| state.about.digest != world.digest) {
            return Err(StateError::OtherWorld { path: file.path().to_owned(), world: other.about.world.clone() });
        }
        Ok(Self { file, state })
    }

    /// The world as it was, or as it begins, kept from now on.
    pub(super) fn go_on(self, origin: &Origin, clock: Clock) -> Result<Arc<World>, StateError> {
        let Self { file, state } = self;
        if let Some(state) = &state {
            clock.not_before(state.now_ms);
        }
        let keeper = Keeper::new(origin.about(), origin.authority.to_keep());
        let beginnings = Beginnings { keeper: Some(Arc::clone(&keeper)), ..origin.beginnings(clock) };
        let world = match state {
            Some(mut state) => {
                // Hubs that nobody had touched are in the world file still.
                state.snapshot.add_copies(&beginnings);
                World::from_snapshot(state.snapshot, beginnings)
            }
            None => World::new(beginnings),
        };
        keeper.note_all();
        let path = file.path().to_owned();
        keeper.begin(file, Arc::downgrade(&world)).map_err(|source| StateError::Io { path, source })?;
        Ok(world)
    }
}
