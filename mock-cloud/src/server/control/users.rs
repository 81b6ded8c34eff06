//! Control calls that change users.

use ezlo_protocol::secret::Password;
use ezlo_protocol::serial::Serial;
use http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::server::control::request::{parse_body, refusal};
use crate::server::http::message::{Reply, Request};
use crate::server::shared::Shared;
use crate::world::accounts::local_access::LocalKeyError;

/// The new password of a user.
#[derive(Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPassword {
    /// Password of 1 to 128 characters.
    #[cfg_attr(test, schemars(with = "String"))]
    password: Password,
}

/// The changed user.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ChangedUser<'a> {
    /// Name of the user.
    changed: &'a str,
}

/// The local key of a user for a hub.
#[derive(Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct LocalKey {
    /// Serial of a hub of the user's account.
    #[cfg_attr(test, schemars(with = "String"))]
    serial: Serial,
    /// `false` if the key list of the user lacks the hub.
    present: bool,
}

/// Longest password, in characters. The limit of new accounts is the same.
const LONGEST: usize = 128;

/// Changes the password of a user.
pub(crate) fn password(shared: &Shared, name: &str, request: &Request) -> Reply {
    let parsed: NewPassword = match parse_body(&request.body, "") {
        Ok(parsed) => parsed,
        // The text of serde's error can contain the password.
        Err(_) => {
            return refusal(StatusCode::BAD_REQUEST, "the body is invalid; send {\"password\": \"new-password\"}");
        }
    };
    let length = parsed.password.expose().chars().count();
    if !(1..=LONGEST).contains(&length) {
        let text = format!("the password has {length} characters; send 1 to 128 characters");
        return refusal(StatusCode::BAD_REQUEST, &text);
    }
    let Ok(name) = percent_encoding::percent_decode_str(name).decode_utf8() else { return not_utf8(name) };
    if shared.world.accounts().set_password(&name, &parsed.password) {
        Reply::json(&ChangedUser { changed: &name })
    } else {
        no_user(&name)
    }
}

/// Removes or restores the local key of a user for a hub.
pub(crate) fn local_key(shared: &Shared, name: &str, request: &Request) -> Reply {
    let parsed: LocalKey = match parse_body(&request.body, r#"{"serial": "90000001", "present": false}"#) {
        Ok(parsed) => parsed,
        Err(refused) => return refused,
    };
    let Ok(name) = percent_encoding::percent_decode_str(name).decode_utf8() else { return not_utf8(name) };
    match shared.world.accounts().set_local_key(&name, &parsed.serial, parsed.present) {
        Ok(()) => {
            shared.world.announce_keys(&parsed.serial);
            Reply::json(&ChangedUser { changed: &name })
        }
        Err(LocalKeyError::NoUser) => no_user(&name),
        Err(LocalKeyError::NotOwned) => {
            let serial = &parsed.serial;
            let text =
                format!("hub {serial} does not belong to the account of user {name:?}; GET /hubs lists the hubs");
            refusal(StatusCode::NOT_FOUND, &text)
        }
    }
}

fn not_utf8(name: &str) -> Reply {
    refusal(StatusCode::BAD_REQUEST, &format!("user name {name:?} is not UTF-8"))
}

fn no_user(name: &str) -> Reply {
    let text = format!("no user has the name {name:?}; GET /endpoints lists the users of the world file");
    refusal(StatusCode::NOT_FOUND, &text)
}
