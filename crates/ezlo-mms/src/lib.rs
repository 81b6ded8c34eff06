#![doc = include_str!("../README.md")]
#![warn(clippy::missing_errors_doc)]

mod authenticator;
#[cfg(feature = "blocking")]
pub mod blocking;
mod client;
mod clock;
mod environment;
mod error;
mod login_session;
mod retry;
mod store;

pub use authenticator::Authenticator;
pub use clock::{Clock, SystemClock};
pub use retry::RetryPolicy;
#[cfg(feature = "keyring")]
pub use store::KeyringStore;
pub use store::{FileStore, MemoryStore, StoreError, TokenStore};

pub use client::MmsClient;
pub use environment::{Environment, EnvironmentError};
pub use error::{ErrorKind, MmsError};
pub use ezlo_protocol as protocol;
pub use login_session::{Credentials, LoginSession, NewAccount};
