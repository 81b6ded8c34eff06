//! Control calls that list, add and remove faults.

use ezlo_protocol::hub::{broadcast, method};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::config::Profile;
use crate::faults::kinds::CATALOGUE;
use crate::faults::point::InjectionPoint;
use crate::faults::spec::FaultSpec;
use crate::journal::usage_report;
use crate::server::control::request::{parse_body, refusal};
use crate::server::http::message::{Reply, Request};
use crate::server::shared::Shared;
use ezlo_hub_sim::SetupFault;

/// A body that adds all faults of a profile.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Set {
    profile: Profile,
}

/// Returns all faults. Set-up faults of a hub are included with the call that sets them.
pub(crate) fn catalogue(_: &Shared, _: &Request) -> Reply {
    let setup = SetupFault::ALL.iter().map(|(fault, description)| {
        json!({
            "fault": fault, "injection_point": "setup", "parameters": [], "description": description,
            "call": "POST /hubs/{serial}/setup-fault",
        })
    });
    let all: Vec<Value> = CATALOGUE.iter().map(ezlo_protocol::wire::to_value).chain(setup).collect();
    Reply::json(&all)
}

/// Returns the active faults.
pub(crate) fn list(shared: &Shared, _: &Request) -> Reply {
    Reply::json(&shared.world.faults.list())
}

/// Adds a fault, or all faults of a profile.
pub(crate) fn add(shared: &Shared, request: &Request) -> Reply {
    if let Ok(Set { profile }) = serde_json::from_slice(&request.body) {
        return match shared.world.faults.add_profile(profile) {
            Ok(ids) => Reply::json(&json!({"ids": ids})),
            Err(error) => refusal(StatusCode::BAD_REQUEST, &error.to_string()),
        };
    }
    let fault = match parse_body(&request.body, r#"{"fault": "status", "status": 503, "when": {"first": 2}}"#) {
        Ok(fault) => fault,
        Err(refused) => return refused,
    };
    let fault: FaultSpec = fault;
    let warning = unknown_method(&fault);
    match shared.world.add_fault(fault) {
        Ok(id) => match warning {
            Some(warning) => Reply::json(&json!({"id": id, "warning": warning})),
            None => Reply::json(&json!({"id": id})),
        },
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
        Ok(id) if shared.world.faults.remove(Some(id)) > 0 => Reply::json(&json!({"removed": 1})),
        _ => {
            refusal(StatusCode::NOT_FOUND, &format!("no fault has the id {id:?}; GET /faults lists the active faults"))
        }
    }
}

/// Removes all faults.
pub(crate) fn remove_all(shared: &Shared, _: &Request) -> Reply {
    Reply::json(&json!({"removed": shared.world.faults.remove(None)}))
}
