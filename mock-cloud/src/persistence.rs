//! Persistence of a world as rows, each with a key and a JSON value. A state directory and an export hold the same rows.
//!
//! Rows contain tokens, password digests and private keys.

pub(crate) mod error;
#[cfg(feature = "state")]
pub(crate) mod redb_store;
pub(crate) mod rows;
pub(crate) mod writer;
