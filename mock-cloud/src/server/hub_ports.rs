//! Handlers of the ports that a hub opens itself.

pub(crate) mod access_point;
pub(crate) mod lan;
