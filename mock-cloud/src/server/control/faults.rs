//! What goes wrong: listed, added, removed.

use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{refusal, wish};
use crate::config::Profile;
use crate::faults::CATALOGUE;
use crate::server::Shared;
use crate::server::http::{Reply, Request};
use crate::world::SetupFault;

/// The faults of a profile, all of them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Set {
    profile: Profile,
}

/// What can go wrong, and what can while a hub is put on Wi-Fi, which is the hub's own and stands at another call.
pub(super) fn catalogue(_: &Shared, _: &Request) -> Reply {
    let setup = SetupFault::ALL.iter().map(
        |(fault, does)| json!({"fault": fault, "takes": "", "does": does, "at": "POST /hubs/{serial}/setup-fault"}),
    );
    let all: Vec<Value> =
        CATALOGUE.iter().map(|entry| serde_json::to_value(entry).unwrap_or_default()).chain(setup).collect();
    Reply::json(&all)
}

pub(super) fn list(shared: &Shared, _: &Request) -> Reply {
    Reply::json(&shared.world.faults.list())
}

pub(super) fn add(shared: &Shared, request: &Request) -> Reply {
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

pub(super) fn remove(shared: &Shared, id: &str) -> Reply {
    match id.parse() {
        Ok(id) if shared.world.faults.remove(Some(id)) > 0 => Reply::json(&json!({"removed": 1})),
        _ => refusal(StatusCode::NOT_FOUND, "no fault has that number; GET /faults lists them"),
    }
}

pub(super) fn remove_all(shared: &Shared, _: &Request) -> Reply {
    Reply::json(&json!({"removed": shared.world.faults.remove(None)}))
}
