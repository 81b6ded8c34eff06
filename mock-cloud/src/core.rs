//! Building blocks without knowledge of the protocol.

pub(crate) mod clock;
pub(crate) mod fd_limit;
pub(crate) mod ready_line;
pub(crate) mod rng;
