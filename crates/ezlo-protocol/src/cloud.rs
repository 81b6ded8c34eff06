//! Documents and calls of the cloud: accounts, hub records, the locator, the cloud API and the hub's access point.

pub mod access_point;
pub mod account;
pub mod api;
pub mod call;
pub mod hub_record;
pub mod keys;
