//! What goes wrong: listed, added, removed.

use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::config::Profile;
use crate::faults::kinds::CATALOGUE;
use crate::server::Shared;
use crate::server::control::{refusal, wish};
use crate::server::http::{Reply, Request};
use ezlo_hub_sim::SetupFault;

/// The faults of a profile, all of them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Set {
    profile: Profile,
}

/// All faults, and those of a hub's set-up, which another call sets.
pub(crate) fn catalogue(_: &Shared, _: &Request) -> Reply {
    let setup = SetupFault::ALL.iter().map(|(fault, description)| {
        json!({
            "fault": fault, "injection_point": "setup", "parameters": [], "description": description,
            "call": "POST /hubs/{serial}/setup-fault",
        })
    });
    let all: Vec<Value> =
        CATALOGUE.iter().map(|entry| serde_json::to_value(entry).unwrap_or_default()).chain(setup).collect();
    Reply::json(&all)
}

pub(crate) fn list(shared: &Shared, _: &Request) -> Reply {
    Reply::json(&shared.world.faults.list())
}

pub(crate) fn add(shared: &Shared, request: &Request) -> Reply {
    if let Ok(Set { profile }) = serde_json::from_slice(&request.body) {
        return match shared.world.faults.add_profile(profile) {
            Ok(ids) => Reply::json(&json!({"ids": ids})),
            Err(error) => refusal(StatusCode::BAD_REQUEST, &error.to_string()),
        };
    }
    let fault = match wish(&request.body, r#"{"fault": "status", "status": 503, "when": {"first": 2}}"#) {
        Ok(fault) => fault,
        Err(refused) => return refused,
    };
    match shared.world.add_fault(fault) {
        Ok(id) => Reply::json(&json!({"id": id})),
        Err(error) => refusal(StatusCode::BAD_REQUEST, &error.to_string()),
    }
}

pub(crate) fn remove(shared: &Shared, id: &str) -> Reply {
    match id.parse() {
        Ok(id) if shared.world.faults.remove(Some(id)) > 0 => Reply::json(&json!({"removed": 1})),
        _ => refusal(StatusCode::NOT_FOUND, "no fault has that number; GET /faults lists them"),
    }
}

pub(crate) fn remove_all(shared: &Shared, _: &Request) -> Reply {
    Reply::json(&json!({"removed": shared.world.faults.remove(None)}))
}
