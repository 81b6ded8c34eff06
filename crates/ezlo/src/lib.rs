#![doc = include_str!("../README.md")]
#![warn(clippy::missing_errors_doc)]

mod account;
mod account_connector;
mod device;
mod error;
mod hub;
mod hub_event;
mod inclusion;
mod item;
mod mode_switch;
mod model;
mod onboarding;
pub mod prelude;
mod sync;
mod wait;

pub use account::{Account, AccountBuilder, NoStore};
pub use account_connector::{AccountConnector, ConnectionPath, LocalAddress, LocalOptions};
pub use device::Device;
pub use error::Error;
pub use ezlo_mms::{
    Authenticator, Credentials, Environment, FileStore, MemoryStore, MmsClient, NewAccount, RetryPolicy, TokenStore,
};
pub use ezlo_onboarding::{AccessPoint, ClaimError, Cloud, OnboardingError, Plan, Progress, onboard};
pub use ezlo_protocol as protocol;
#[cfg(feature = "legacy-tls")]
pub use ezlo_relay::LegacyTls;
pub use ezlo_relay::{
    CallError, ConnectError, Endpoint, HubCredentials, ModernTls, Phase, RelayEvent, RelayEvents, RelaySession,
    SessionConfig, Status, TlsConnector, Trust,
};
#[cfg(feature = "discovery")]
pub use ezlo_relay::{DiscoveryError, FoundHub, discover, find};
pub use hub::Hub;
pub use hub_event::{HubEvent, HubEvents};
pub use inclusion::{Inclusion, InclusionStep};
pub use item::{ItemHandle, ItemWatch, SetItem};
pub use mode_switch::ModeSwitch;
pub use model::{Change, HubModel, MomentaryEvent};
