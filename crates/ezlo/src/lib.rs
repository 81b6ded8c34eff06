#![doc = include_str!("../README.md")]

mod account;
mod error;
mod hub;
mod inclusion;
mod item;
mod live;
mod model;
mod onboarding;
pub mod prelude;
mod route;

pub use account::{Account, AccountBuilder, NoStore};
pub use error::Error;
pub use ezlo_mms::{
    Credentials, Environment, FileStore, Login as MmsLogin, MemoryStore, MmsClient, NewAccount, RetryPolicy, TokenStore,
};
pub use ezlo_onboarding::{AccessPoint, ClaimError, Cloud, OnboardingError, Plan, Progress, onboard};
pub use ezlo_protocol as protocol;
#[cfg(feature = "legacy-tls")]
pub use ezlo_relay::LegacyTls;
pub use ezlo_relay::{
    CallError, ConnectError, Endpoint, Events, Login, ModernTls, Phase, RelayEvent, Session, SessionConfig, Status,
    TlsConnector, Trust,
};
#[cfg(feature = "discovery")]
pub use ezlo_relay::{DiscoveryError, FoundHub, discover, find};
pub use hub::{Device, Hub, ModeSwitch};
pub use inclusion::{Inclusion, InclusionStep};
pub use item::{ItemHandle, ItemWatch, SetItem};
pub use live::{HubEvent, HubEvents};
pub use model::{Change, Edge, HubModel};
pub use route::{AccountRoute, LocalPlace, LocalWay, Way};
