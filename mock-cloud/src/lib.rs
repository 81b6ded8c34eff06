#![doc = include_str!("../README.md")]

pub mod clock;
pub mod config;
pub mod random;
pub mod ready;
pub mod worlds;

mod cloud;
mod cluster;
mod controller;
mod descriptors;
pub mod evidence;
pub mod faults;
mod frame;
mod glance;
mod http_call;
mod hub;
pub mod journal;
mod json_text;
mod mdns;
mod report;
mod server;
pub mod state;
mod tls;
mod world;

pub use clock::Clock;
pub use cloud::{Builder, MockCloud, Snapshot, StartError};
pub use config::{ClusterUrl, Config, ConfigError, Framing, Guesses, Profile};
pub use controller::{Controller, ControllerConfig, ControllerError};
pub use descriptors::raise_descriptor_limit;
pub use ezlo_protocol::evidence::Evidence;
pub use hub::{HubError, HubHandle};
pub use world::SetupFault;

/// Methods that simulated hubs and the relay answer, by name.
pub fn simulated_methods() -> Vec<&'static str> {
    use ezlo_protocol::hub::method::{LocalLogin, Method as _, RelayLogin, RelayRegister};
    let elsewhere = [RelayLogin::NAME, RelayRegister::NAME, LocalLogin::NAME];
    elsewhere.into_iter().chain(world::hub::SIMULATED.iter().copied()).collect()
}
