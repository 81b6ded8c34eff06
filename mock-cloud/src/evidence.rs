//! Evidence of every simulated answer.

pub(crate) mod error_table;
pub(crate) mod field_table;
pub(crate) mod ledger;
pub(crate) mod policy;

pub use ledger::{Entry, ledger};
