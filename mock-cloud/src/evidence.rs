//! How each simulated answer is known: one list, made from the tables that the handlers are in.

use ezlo_protocol::evidence::Evidence;
use ezlo_protocol::hub::broadcast::BROADCASTS;
use ezlo_protocol::hub::method::spec;
use ezlo_protocol::rpc::RpcError;
use serde::Serialize;

use crate::server::relay::LOGIN_CONTROLLER;
use crate::server::{access_point, lan, route};
use crate::world::hub::SIMULATED;

pub(crate) mod errors;
mod fields;

/// What is known of one answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Entry {
    /// Who answers: `cloud`, `access-point`, `lan` (a hub's HTTP server), `hub` (the relay's own methods among them), or
    /// `broadcast`; `error` and `http-error` for refusals, `fields` for groups of members.
    pub surface: &'static str,
    /// The call, method, broadcast, refusal or group.
    pub name: &'static str,
    /// How the answer is known.
    pub evidence: Evidence,
    /// Where from.
    pub source: &'static str,
}

/// Everything that is simulated, with how it is known.
pub fn ledger() -> Vec<Entry> {
    let cloud = route::ROUTES.iter().map(|route| Entry {
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
    let methods = SIMULATED.iter().chain(RELAY).filter_map(|name| spec(name)).map(|method| Entry {
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
    answers.chain(errors::entries()).chain(fields::entries()).collect()
}

/// Methods that the relay and the local port answer themselves.
const RELAY: &[&str] = &["loginUserMios", "register", "hub.offline.login.ui"];

/// How the relay's answer to a controller's other login is known.
const CONTROLLERS: (Evidence, &str) = (
    Evidence::Inferred,
    "the vendor's documents name it as the other name of register; its answer is that of register",
);

/// The refusal of a method that is answered less well known than was asked for.
pub(crate) fn unproven(wanted: Option<Evidence>, method: &str) -> Option<RpcError> {
    wanted?;
    let evidence = if method == LOGIN_CONTROLLER { CONTROLLERS.0 } else { spec(method)?.evidence };
    let text = refusal(wanted, method, evidence)?;
    Some(RpcError::new(ezlo_protocol::error::code::APPLICATION, "mock.unproven", &text))
}

/// Why an answer is refused that is known less well than was asked for.
pub(crate) fn refusal(wanted: Option<Evidence>, name: &str, evidence: Evidence) -> Option<String> {
    let wanted = wanted.filter(|wanted| evidence > *wanted)?;
    let (known, wanted) = (evidence.as_str(), wanted.as_str());
    Some(format!("mock-cloud: the answer of {name} is {known} only, and --only-proven asks for {wanted} or better"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_simulated_has_an_entry() {
        let ledger = ledger();
        for name in SIMULATED {
            assert!(ledger.iter().any(|entry| entry.name == *name), "{name} is not in the method table");
        }
        for entry in &ledger {
            assert!(!entry.source.is_empty(), "{} does not say where from", entry.name);
        }
        let mut names: Vec<_> = ledger.iter().map(|entry| (entry.surface, entry.name)).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ledger.len(), "each once");
    }

    #[test]
    fn weaker_answers_are_refused_and_no_others() {
        assert!(refusal(None, "x", Evidence::Inferred).is_none());
        assert!(refusal(Some(Evidence::Vendor), "x", Evidence::Vendor).is_none());
        assert!(refusal(Some(Evidence::Vendor), "x", Evidence::Captured).is_none());
        let text = refusal(Some(Evidence::Vendor), "x", Evidence::Inferred).unwrap();
        assert!(text.contains("x is inferred only") && text.contains("vendor or better"), "{text}");
    }
}
