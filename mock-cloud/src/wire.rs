//! Relay frames: header scan and writing.

pub(crate) mod frame_scan;
pub(crate) mod frame_writer;
