#![doc = include_str!("../README.md")]
#![warn(clippy::missing_errors_doc)]

#[macro_use]
pub mod wire;

pub mod cloud;
pub mod error;
pub mod evidence;
pub mod hub;
pub mod identity;
pub mod jwt;
pub mod mac;
pub mod message;
pub mod password;
pub mod rpc;
pub mod secret;
pub mod serial;
