#![doc = include_str!("../README.md")]

mod authenticator;
#[cfg(feature = "blocking")]
pub mod blocking;
mod client;
mod clock;
mod environment;
mod error;
mod retry;
mod store;

pub use authenticator::Authenticator;
pub use clock::{Clock, SystemClock};
pub use retry::RetryPolicy;
#[cfg(feature = "keyring")]
pub use store::KeyringStore;
pub use store::{FileStore, MemoryStore, StoreError, TokenStore};

pub use client::{Credentials, LoginSession, MmsClient, NewAccount};
pub use environment::{Environment, EnvironmentError};
pub use error::{Error, ErrorKind};
pub use ezlo_protocol as protocol;
