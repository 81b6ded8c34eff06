#![doc = include_str!("../README.md")]

#[cfg(feature = "blocking")]
pub mod blocking;
mod client;
mod clock;
mod environment;
mod error;
mod login;
mod retry;
mod store;

pub use clock::{Clock, SystemClock};
pub use login::Login;
pub use retry::RetryPolicy;
#[cfg(feature = "keyring")]
pub use store::KeyringStore;
pub use store::{FileStore, MemoryStore, StoreError, TokenStore};

pub use client::{Credentials, MmsClient, NewAccount, Session};
pub use environment::{Environment, EnvironmentError};
pub use error::{Error, ErrorKind};
pub use ezlo_protocol as protocol;
