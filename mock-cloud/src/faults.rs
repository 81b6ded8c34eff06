//! Fault injection: what can be injected, when, and how it is done to bytes.

pub(crate) mod http_raw;
pub(crate) mod injector;
pub(crate) mod kinds;
pub(crate) mod point;
pub(crate) mod profile;
pub(crate) mod spec;
pub(crate) mod tcp;
pub(crate) mod ws_message;

pub use injector::ActiveFault;
pub use kinds::{CATALOGUE, CatalogueEntry, FaultKind, FaultParameter};
pub use point::InjectionPoint;
pub use spec::{Fault, FaultError, Match, Trigger};
