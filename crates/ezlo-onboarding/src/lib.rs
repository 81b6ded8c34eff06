#![doc = include_str!("../README.md")]

mod access_point;
mod driver;
mod procedure;

pub use access_point::{AccessPoint, AccessPointError};
pub use driver::{Presence, onboard};
pub use ezlo_protocol as protocol;
pub use procedure::{Action, Input, OnboardingError, Plan, Procedure, Progress};
