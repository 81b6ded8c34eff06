//! Handlers of the vendor's cloud servers.

pub(crate) mod account;
pub(crate) mod auth;
pub(crate) mod cloud_api;
pub(crate) mod device;
pub(crate) mod routes;
