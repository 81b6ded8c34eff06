#![doc = include_str!("../README.md")]

pub mod config;
pub mod evidence;
pub mod faults;
pub mod journal;
pub mod worlds;

mod cluster;
mod core;
mod hub_client;
mod mock_cloud;
mod persistence;
mod server;
mod tls;
mod wire;
mod world;

pub use ezlo_hub_sim::{HubError, SetupFault};
pub use ezlo_protocol::evidence::Evidence;

pub use crate::config::{Assumptions, ClusterUrl, Config, ConfigError, Framing, Profile};
pub use crate::core::clock::Clock;
pub use crate::core::fd_limit::raise_descriptor_limit;
pub use crate::hub_client::{Controller, ControllerConfig, ControllerError};
pub use crate::mock_cloud::{Builder, MockCloud, Snapshot, StartError};
pub use crate::world::hub_handle::HubHandle;

/// The JSON start-up line.
pub mod ready {
    pub use crate::core::ready_line::{Ready, ReadyHub, ReadyUser, ReadyWifi};
}

/// Random numbers from one seed.
pub mod random {
    pub use crate::core::rng::Random;
}

/// Persisted state: inspection, export and import.
pub mod state {
    pub use crate::persistence::{StateError, Summary, export, import, summary};
}

/// Methods that simulated hubs and the relay answer, by name.
pub fn simulated_methods() -> Vec<&'static str> {
    use ezlo_protocol::hub::method::{LocalLogin, Method as _, RelayLogin, RelayRegister};
    let elsewhere = [RelayLogin::NAME, RelayRegister::NAME, LocalLogin::NAME];
    elsewhere.into_iter().chain(ezlo_hub_sim::SIMULATED_METHODS.iter().copied()).collect()
}
