#![doc = include_str!("../README.md")]
#![warn(clippy::missing_errors_doc)]
#![cfg_attr(
    not(feature = "state"),
    allow(dead_code, unreachable_pub, reason = "rows are read back only from a state directory or a cluster")
)]

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

pub use crate::config::error::ConfigError;
pub use crate::config::{Assumptions, ClusterUrl, Config, Profile, SigningKey};
pub use crate::core::clock::Clock;
pub use crate::core::control_token::ControlToken;
pub use crate::core::fd_limit::raise_descriptor_limit;
pub use crate::hub_client::{Controller, ControllerConfig, ControllerError};
pub use crate::mock_cloud::builder::Builder;
pub use crate::mock_cloud::error::StartError;
pub use crate::mock_cloud::{MockCloud, Snapshot};
pub use crate::persistence::error::StateError;
pub use crate::world::hub_handle::HubHandle;

/// The ready line: the addresses, users and hubs of a running cloud.
pub mod ready {
    pub use crate::core::ready_line::{Ready, ReadyHub, ReadyUser, ReadyWifi};
}

/// Reproducible random numbers from a seed.
pub mod random {
    pub use crate::core::rng::Random;
}

/// Inspection, export and import of a state directory. Requires the Cargo feature `state`.
#[cfg(feature = "state")]
pub mod state {
    pub use crate::mock_cloud::state_files::{export, import, summary};
    pub use crate::world::persisted_state::Summary;
}

/// Returns the names of all methods that simulated hubs and the relay answer.
///
/// The list is static; no network traffic.
pub fn simulated_methods() -> Vec<&'static str> {
    use ezlo_protocol::hub::method::{LocalLogin, Method as _, RelayLogin, RelayRegister};
    let elsewhere = [RelayLogin::NAME, RelayRegister::NAME, LocalLogin::NAME];
    elsewhere.into_iter().chain(ezlo_hub_sim::SIMULATED_METHODS.iter().copied()).collect()
}
