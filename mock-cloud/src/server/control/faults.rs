//! Control calls that list, add and remove faults.

use ezlo_protocol::hub::{broadcast, method};
use http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::config::Profile;
use crate::faults::kinds::{CATALOGUE, FaultParameter};
use crate::faults::point::InjectionPoint;
use crate::faults::spec::FaultSpec;
use crate::journal::usage_report;
use crate::server::control::request::{parse_body, refusal};
use crate::server::http::message::{Reply, Request};
use crate::server::shared::Shared;
use ezlo_hub_sim::SetupFault;

/// All faults of a profile.
#[derive(Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct FaultsOfProfile {
    /// Name of the profile.
    profile: Profile,
}

/// The body of a request that adds faults.
#[cfg(test)]
#[derive(schemars::JsonSchema)]
#[serde(untagged)]
pub(crate) enum NewFaults {
    #[expect(dead_code, reason = "only its schema is used")]
    One(Box<FaultSpec>),
    #[expect(dead_code, reason = "only its schema is used")]
    Profile(FaultsOfProfile),
}

/// A fault that can be injected.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ListedFault {
    /// Name of the fault.
    fault: String,
    /// Place in the simulator at which the fault acts; `setup` for faults of the onboarding.
    injection_point: String,
    /// Parameters besides `when` and `match`.
    parameters: &'static [FaultParameter],
    /// Effect of the fault.
    description: &'static str,
    /// Call that activates the fault, if it is not `POST /faults`.
    #[serde(skip_serializing_if = "Option::is_none")]
    call: Option<&'static str>,
}

/// The faults that were added.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(untagged)]
pub(crate) enum AddedFaults {
    /// One fault.
    One {
        /// Id of the fault.
        id: u64,
        /// A reason for which the fault may never match.
        #[serde(skip_serializing_if = "Option::is_none")]
        warning: Option<String>,
    },
    /// The faults of a profile.
    Profile {
        /// Ids of the faults.
        ids: Vec<u64>,
    },
}

/// The number of removed faults.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct RemovedFaults {
    /// Number of removed faults.
    removed: usize,
}

/// Returns all faults. Set-up faults of a hub are included with the call that sets them.
pub(crate) fn catalogue(_: &Shared, _: &Request) -> Reply {
    let setup = SetupFault::ALL.iter().map(|(fault, description)| ListedFault {
        fault: name_of(fault),
        injection_point: "setup".to_owned(),
        parameters: &[],
        description,
        call: Some("POST /hubs/{serial}/setup-fault"),
    });
    let injected = CATALOGUE.iter().map(|entry| ListedFault {
        fault: entry.fault.to_owned(),
        injection_point: name_of(&entry.injection_point),
        parameters: entry.parameters,
        description: entry.description,
        call: None,
    });
    Reply::json(&injected.chain(setup).collect::<Vec<_>>())
}

/// Returns the name of an enumeration's value in JSON.
fn name_of(value: &impl Serialize) -> String {
    ezlo_protocol::wire::to_value(value).as_str().unwrap_or_default().to_owned()
}

/// Returns the active faults.
pub(crate) fn list(shared: &Shared, _: &Request) -> Reply {
    Reply::json(&shared.world.faults.list())
}

/// Adds a fault, or all faults of a profile.
///
/// In a cluster, the hub of a fault becomes active here, unless another process has it.
pub(crate) async fn add(shared: &Shared, request: &Request) -> Reply {
    if let Ok(FaultsOfProfile { profile }) = serde_json::from_slice(&request.body) {
        return match shared.world.faults.add_profile(profile) {
            Ok(ids) => Reply::json(&AddedFaults::Profile { ids }),
            Err(error) => refusal(StatusCode::BAD_REQUEST, &error.to_string()),
        };
    }
    let fault = match parse_body(&request.body, r#"{"fault": "status", "status": 503, "when": {"first": 2}}"#) {
        Ok(fault) => fault,
        Err(refused) => return refused,
    };
    let fault: FaultSpec = fault;
    let warning = unknown_method(&fault);
    let serial = fault.matcher.hub.as_ref().and_then(|serial| serial.parse().ok());
    if let (Some(backplane), Some(serial)) = (shared.world.backplane(), serial)
        && let Err(error) = backplane.home(&serial).await
    {
        return refusal(StatusCode::SERVICE_UNAVAILABLE, &error.to_string());
    }
    match shared.world.add_fault(fault) {
        Ok(id) => Reply::json(&AddedFaults::One { id, warning }),
        Err(error) => refusal(StatusCode::BAD_REQUEST, &error.to_string()),
    }
}

/// Returns a warning for a fault that matches a method or broadcast that the simulator does not know.
fn unknown_method(fault: &FaultSpec) -> Option<String> {
    let is_of_hub = matches!(fault.kind.injection_point(), InjectionPoint::Call | InjectionPoint::Message);
    let name = fault.matcher.method.as_deref().filter(|_| is_of_hub)?;
    let known =
        || method::METHODS.iter().map(|spec| spec.name).chain(broadcast::BROADCASTS.iter().map(|spec| spec.name));
    if known().any(|known| known == name) {
        return None;
    }
    let similar = usage_report::nearest(name, known().map(str::to_owned));
    let hint = similar.first().map(|name| format!("; did you mean {name}?")).unwrap_or_default();
    Some(format!("no method or broadcast has the name {name:?}{hint}"))
}

/// Removes one fault.
pub(crate) fn remove(shared: &Shared, id: &str) -> Reply {
    match id.parse() {
        Ok(id) if shared.world.faults.remove(Some(id)) > 0 => Reply::json(&RemovedFaults { removed: 1 }),
        _ => {
            refusal(StatusCode::NOT_FOUND, &format!("no fault has the id {id:?}; GET /faults lists the active faults"))
        }
    }
}

/// Removes all faults.
pub(crate) fn remove_all(shared: &Shared, _: &Request) -> Reply {
    Reply::json(&RemovedFaults { removed: shared.world.faults.remove(None) })
}
