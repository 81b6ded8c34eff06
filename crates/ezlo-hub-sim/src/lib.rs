#![doc = include_str!("../README.md")]
#![warn(clippy::missing_errors_doc)]

mod answer;
mod assumptions;
mod context;
pub mod describe;
pub mod encoding;
mod error;
pub mod evidence;
mod family;
mod from_dump;
mod hub;
mod item_codes;
pub mod json;
mod seeded_rng;
mod serial_range;
mod simulated_hub;
mod state;
mod sun;
pub mod templates;
mod timers;
pub mod world_file;

pub use answer::decode;
pub use assumptions::HubAssumptions;
pub use context::{Context, Effects, HttpCall, HubBroadcast, ItemChange, Timer};
pub use error::HubError;
pub use family::{Family, Local};
pub use from_dump::{Conversion, Difference, DumpError, Fate, from_dump};
pub use hub::Hub;
pub use hub::dispatch::SIMULATED_METHODS;
pub use hub::inventory::{DeviceSummary, ItemSummary};
pub use seeded_rng::SeededRng;
pub use serial_range::{SerialRange, plain_number};
pub use simulated_hub::{Broadcast, Reply, SimulatedHub};
pub use state::device_traits::DeviceCondition;
pub use state::setup_fault::SetupFault;
pub use state::wifi::{Wifi, WifiJoinError};
pub use timers::{Timers, Waiting};
