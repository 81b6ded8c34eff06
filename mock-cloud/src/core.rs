//! Building blocks that are independent of the protocol.

pub(crate) mod clock;
pub(crate) mod control_token;
pub(crate) mod fd_limit;
pub(crate) mod host_name;
pub(crate) mod os_random;
pub(crate) mod own_address;
pub(crate) mod own_ports;
pub(crate) mod process_limits;
pub(crate) mod ready_line;
pub(crate) mod renamed;
pub(crate) mod rng;
