//! Fault injection: the catalogue, triggers and matchers of faults, and the code that applies them to bytes.

pub(crate) mod http_raw;
pub(crate) mod injector;
pub(crate) mod kinds;
pub(crate) mod point;
pub(crate) mod profile;
#[cfg(test)]
mod schema;
pub(crate) mod spec;
pub(crate) mod tcp;
pub(crate) mod ws_message;

pub use crate::faults::injector::ActiveFault;
pub use crate::faults::kinds::{CATALOGUE, CatalogueEntry, FaultKind, FaultParameter};
pub use crate::faults::point::InjectionPoint;
pub use crate::faults::spec::{FaultError, FaultSpec, Matcher, Trigger};
