#![doc = include_str!("../README.md")]

pub mod clock;
pub mod config;
pub mod random;
pub mod ready;

mod cloud;
mod frame;
mod server;
mod tls;
mod world;

pub use clock::Clock;
pub use cloud::{Builder, MockCloud, StartError};
pub use config::{Config, ConfigError, Guesses, Profile};
