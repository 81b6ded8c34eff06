#![doc = include_str!("../README.md")]

mod client;
mod environment;
mod error;

pub use client::{Credentials, MmsClient, NewAccount, Session};
pub use environment::{Environment, EnvironmentError};
pub use error::{Error, ErrorKind};
pub use ezlo_protocol as protocol;
