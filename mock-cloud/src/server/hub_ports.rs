//! Handlers of a hub's own ports: its access point and its local ports.

pub(crate) mod access_point;
pub(crate) mod lan;
