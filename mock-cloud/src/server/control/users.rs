//! What people do with their accounts, without a client.

use ezlo_protocol::secret::Password;
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use crate::server::Shared;
use crate::server::control::{refusal, wish};
use crate::server::http::{Reply, Request};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewPassword {
    password: Password,
}

/// Longest password, in characters, as when an account is made.
const LONGEST: usize = 128;

pub(crate) fn password(shared: &Shared, name: &str, request: &Request) -> Reply {
    let wish: NewPassword = match wish(&request.body, "") {
        Ok(wish) => wish,
        // What serde says may show what it read.
        Err(_) => return refusal(StatusCode::BAD_REQUEST, "send {\"password\": \"new-password\"}"),
    };
    if !(1..=LONGEST).contains(&wish.password.expose().chars().count()) {
        return refusal(StatusCode::BAD_REQUEST, "a password has 1 to 128 characters");
    }
    let Ok(name) = percent_encoding::percent_decode_str(name).decode_utf8() else {
        return refusal(StatusCode::BAD_REQUEST, "the name is not UTF-8");
    };
    if shared.world.accounts().set_password(&name, &wish.password) {
        Reply::json(&json!({"changed": name}))
    } else {
        refusal(StatusCode::NOT_FOUND, "no user has that name; GET /endpoints lists those of the world file")
    }
}
