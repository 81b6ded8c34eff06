//! The evidence ledger: one list of all simulated replies, from the tables of the handlers.

use crate::evidence::entry::Entry;
use crate::evidence::error_table;
use crate::evidence::field_table;
use ezlo_protocol::hub::broadcast::BROADCASTS;
use ezlo_protocol::hub::method::spec;

use crate::evidence::policy::{CONTROLLERS, LOGIN_CONTROLLER};
use crate::server::hub_ports::{access_point, lan};
use crate::server::vendor::routes;
use ezlo_hub_sim::SIMULATED_METHODS;

/// Returns the evidence of everything that is simulated.
///
/// Each pair of surface and name occurs once. `mock-cloud evidence` prints the same list.
pub fn ledger() -> Vec<Entry> {
    let cloud = routes::ROUTES.iter().map(|route| Entry {
        surface: "cloud",
        name: route.name,
        evidence: route.evidence,
        source: route.source,
    });
    let access_point = access_point::calls().map(|name| Entry {
        surface: "access-point",
        name,
        evidence: access_point::EVIDENCE,
        source: access_point::SOURCE,
    });
    let lan = lan::CALLS.iter().map(|call| Entry {
        surface: "lan",
        name: call.path,
        evidence: call.evidence,
        source: call.source,
    });
    let controllers = std::iter::once(Entry {
        surface: "hub",
        name: LOGIN_CONTROLLER,
        evidence: CONTROLLERS.0,
        source: CONTROLLERS.1,
    });
    let methods = SIMULATED_METHODS.iter().chain(RELAY).filter_map(|name| spec(name)).map(|method| Entry {
        surface: "hub",
        name: method.name,
        evidence: method.evidence,
        source: method.source,
    });
    let broadcasts = BROADCASTS.iter().map(|broadcast| Entry {
        surface: "broadcast",
        name: broadcast.name,
        evidence: broadcast.evidence,
        source: broadcast.source,
    });
    let answers = cloud.chain(access_point).chain(lan).chain(controllers).chain(methods).chain(broadcasts);
    answers.chain(error_table::entries()).chain(field_table::entries()).collect()
}

/// Methods that the relay and the local port answer without the hub.
const RELAY: &[&str] = &["loginUserMios", "register", "hub.offline.login.ui"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_simulated_has_evidence() {
        let ledger = ledger();
        for name in SIMULATED_METHODS {
            assert!(ledger.iter().any(|entry| entry.name == *name), "{name} is not in the method table");
        }
        for entry in &ledger {
            assert!(!entry.source.is_empty(), "{} has no source", entry.name);
        }
        let mut names: Vec<_> = ledger.iter().map(|entry| (entry.surface, entry.name)).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ledger.len(), "every pair of surface and name is unique");
    }
}
