//! The parts of a cloud that its forks share.

use std::sync::Arc;

use ezlo_hub_sim::world_file::WorldFile;

use crate::config::Config;
use crate::core::clock::Clock;
use crate::core::control_token::ControlToken;
use crate::tls::Authority;
use crate::world::persist::WorldRows;
use crate::world::persisted_state::StateHeader;
use crate::world::{World, WorldConfig};

/// The inputs that a cloud was created from. Its forks share them.
#[derive(Debug)]
pub(crate) struct CloudContext {
    pub(crate) config: Config,
    pub(crate) file: Arc<WorldFile>,
    pub(crate) authority: Arc<Authority>,
    /// Guard that deletes the temporary directory of the CA certificate when the cloud ends.
    pub(crate) _folder: Option<tempfile::TempDir>,
    /// Token that calls of the control API must present, if any.
    pub(crate) control_token: Option<ControlToken>,
    /// Path of the CA certificate.
    pub(crate) ca_path: String,
    /// Start time of the world, in Unix milliseconds.
    pub(crate) begun_ms: i64,
}

impl CloudContext {
    /// Returns the header of a persisted state.
    pub(crate) fn about(&self) -> StateHeader {
        let Config { world, assumptions, .. } = &self.config;
        StateHeader::new(
            world,
            &self.file.digest,
            self.config.effective_seed(),
            self.begun_ms,
            assumptions.simulate_behaviours,
        )
    }

    /// Creates the source of a world's rows for its state writer.
    pub(crate) fn row_source(&self, world: &Arc<World>) -> WorldRows {
        WorldRows { world: Arc::downgrade(world), header: self.about(), authority: self.authority.to_persisted() }
    }

    /// Creates the configuration of a world with the given clock, without a state writer.
    pub(crate) fn world_config(&self, clock: Clock) -> WorldConfig {
        WorldConfig {
            clock,
            seed: self.config.effective_seed(),
            signing_key: self.config.signing_key.unwrap_or_default(),
            assumptions: self.config.effective_assumptions(),
            profile: self.config.profile,
            file: Arc::clone(&self.file),
            journal: self.config.journal,
            keeper: None,
            authority: Some(Arc::clone(&self.authority)),
            asleep: false,
        }
    }
}
