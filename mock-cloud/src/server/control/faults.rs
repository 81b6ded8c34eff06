//! What goes wrong: listed, added, removed.

use http::StatusCode;
use serde_json::json;

use super::refusal;
use crate::faults::CATALOGUE;
use crate::server::Shared;
use crate::server::http::{Reply, Request};

pub(super) fn catalogue(_: &Shared, _: &Request) -> Reply {
    Reply::json(&CATALOGUE)
}

pub(super) fn list(shared: &Shared, _: &Request) -> Reply {
    Reply::json(&shared.world.faults.list())
}

pub(super) fn add(shared: &Shared, request: &Request) -> Reply {
    let fault = match serde_json::from_slice(&request.body) {
        Ok(fault) => fault,
        Err(error) => {
            let text = format!("send {{\"fault\": \"status\", \"status\": 503, \"when\": {{\"first\": 2}}}}: {error}");
            return refusal(StatusCode::BAD_REQUEST, &text);
        }
    };
    match shared.world.faults.add(fault) {
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
