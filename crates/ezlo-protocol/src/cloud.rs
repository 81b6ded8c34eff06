//! Documents and HTTP calls of the cloud: accounts, hub records, the locator, the cloud API and the access point of a hub.

pub mod access_point;
pub mod account;
pub mod api;
pub mod call;
pub mod controller;
pub mod hub_record;
pub mod keys;
