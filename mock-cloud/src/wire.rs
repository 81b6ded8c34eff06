//! Messages of the relay: the scan of headers, and the writing of replies and broadcasts.

pub(crate) mod frame_scan;
pub(crate) mod frame_writer;
