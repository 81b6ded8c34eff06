//! Handlers of the vendor's cloud servers.

pub(crate) mod account;
pub(crate) mod auth;
pub(crate) mod cloud_api;
pub(crate) mod controller;
pub(crate) mod device;
pub(crate) mod oem;
pub(crate) mod routes;
