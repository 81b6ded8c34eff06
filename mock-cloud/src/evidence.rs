//! Evidence of every simulated answer.

pub(crate) mod entry;
pub(crate) mod error_table;
pub(crate) mod field_table;
pub(crate) mod ledger;
pub(crate) mod policy;

pub use crate::evidence::entry::Entry;
pub use crate::evidence::ledger::ledger;
