#![doc = include_str!("../README.md")]
#![warn(clippy::missing_errors_doc)]

mod access_point;
mod driver;
mod error;
mod procedure;

pub use access_point::{AccessPoint, AccessPointError};
pub use driver::{Cloud, onboard};
pub use error::{ClaimError, OnboardingError};
pub use ezlo_protocol as protocol;
pub use procedure::{Input, NextAction, Plan, Procedure, Progress};
