#![doc = include_str!("../README.md")]

mod account;
mod error;
mod hub;

pub use account::Account;
pub use error::Error;
pub use ezlo_mms::{Credentials, Environment, MmsClient, NewAccount};
pub use ezlo_onboarding::{AccessPoint, OnboardingError, Plan, Presence, Progress, onboard};
pub use ezlo_protocol as protocol;
pub use ezlo_relay::{CallError, ConnectError, Endpoint, Events, Login, RelayEvent, Session, Trust};
pub use hub::{Device, Hub};
