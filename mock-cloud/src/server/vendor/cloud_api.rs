//! The newer cloud API: token exchange, the RPC gateway and the v4 calls.

use std::sync::Arc;

use ezlo_protocol::cloud::api::{
    ApiAnswer, ApiCall, Controller, ControllerList, LegacyToken, NmaController, PasswordLogin, TokenAnswer,
};
use ezlo_protocol::cloud::keys::{AccessKey, AccessKeys, KeyMeta, KeyParty};
use ezlo_protocol::identity::IdentityPair;
use ezlo_protocol::password::sha1_password;
use ezlo_protocol::serial::Serial;
use ezlo_protocol::wire::{self, Field, Loose, Opaque};
use http::StatusCode;
use serde_json::{Value, json};

use crate::journal::usage_report;
use crate::server::credentials::{bearer, pair, unauthorized};
use crate::server::http::message::{Host, Reply, Request};
use crate::server::vendor::auth::{issue, login_number};
use crate::server::vendor::controller;
use crate::server::vendor::device::relay_url;
use crate::world::World;
use crate::world::accounts::User;
use crate::world::hub_actor::HubActor;
use crate::world::tokens::{AuthError, Caller};
use ezlo_hub_sim::world_file::HubKind;

/// Exchanges Identity and signature for a cloud token. A session token is refused.
pub(crate) fn exchange(world: &World, request: &Request, _: &[&str]) -> Reply {
    let now = world.clock.unix_seconds();
    let checked = pair(request).ok_or(AuthError::Missing).and_then(|pair| world.tokens.check_pair(pair, now));
    match checked.and_then(|caller| world.admit(caller, &request.host.name(), &request.path)) {
        Ok(caller) => Reply::json(&token_answer(world, &caller)),
        Err(error) => unauthorized(error),
    }
}

fn token_answer(world: &World, caller: &Caller) -> TokenAnswer {
    let now = world.clock.unix_seconds();
    let expires = now.saturating_add(world.assumptions.cloud_token_seconds);
    TokenAnswer { token: world.tokens.issue_cloud_token(caller, now, expires), ..TokenAnswer::default() }
}

/// The calls of the RPC gateway.
const CALLS: &[&str] = &[
    "access_keys_sync",
    "controller_list",
    "login_with_id_and_password",
    "self_provision_get",
    "self_provision_request",
];

/// Answers a call of the RPC gateway. The status is always 200; `status` in the envelope is 0 for a refusal.
pub(crate) fn gateway(world: &World, request: &Request, _: &[&str]) -> Reply {
    let answer = match wire::from_slice::<ApiCall>(&request.body) {
        Err(error) => Err(format!("invalid request: {error}")),
        Ok(call) => {
            let params = call.params.into_option().unwrap_or_else(|| json!({}).into());
            match call.call.as_str() {
                "access_keys_sync" => with_token(world, request, |caller| Ok(access_keys(world, caller))),
                "controller_list" => with_token(world, request, |caller| {
                    Ok(controller_list(world, caller, &request.host, wants_local_key(request, &params)))
                }),
                "self_provision_request" => {
                    with_token(world, request, |caller| controller::self_provision_request(world, caller))
                }
                "self_provision_get" => with_token(world, request, |caller| {
                    controller::self_provision_get(world, caller, &request.host, &params)
                }),
                "login_with_id_and_password" => gateway_login(world, request, &params),
                other => {
                    usage_report::record_unmatched(
                        &world.journal,
                        other,
                        other,
                        CALLS.iter().map(|known| (*known).to_owned()),
                    );
                    Err(format!("unknown call: {}", other.chars().take(64).collect::<String>()))
                }
            }
        }
    };
    let (status, data) = match answer {
        Ok(data) => (1, data),
        Err(text) => (0, json!({"error_text": text})),
    };
    Reply::json(&ApiAnswer {
        status: Loose::number(status),
        complete: Loose::number(1).into(),
        data: data.into(),
        ..ApiAnswer::default()
    })
}

/// Answers a call whose `Authorization` header has a valid cloud token.
fn with_token(
    world: &World,
    request: &Request,
    answer: impl FnOnce(&Caller) -> Result<Value, String>,
) -> Result<Value, String> {
    let now = world.clock.unix_seconds();
    let checked = bearer(request).ok_or(AuthError::Missing);
    let checked = checked.and_then(|token| world.tokens.check_cloud_token(&token, now));
    match checked.and_then(|caller| world.admit(caller, &request.host.name(), &request.path)) {
        Ok(caller) => answer(&caller),
        Err(AuthError::Missing) => Err("authorization required".into()),
        Err(AuthError::Bad) => Err("invalid token".into()),
        Err(AuthError::Expired) => Err("token expired".into()),
    }
}

/// Lists the caller's hubs with `data: null` and the caller's local key for each. Both kinds are mixed (client source).
fn access_keys(world: &World, caller: &Caller) -> Value {
    let accounts = world.accounts();
    let user_uuid = accounts.user(caller.user).map(|user| user.uuid.clone()).unwrap_or_default();
    let mut keys = Vec::new();
    for (serial, _) in accounts.hubs_of(caller.account) {
        let Some(hub) = ezlo_hub(world, &serial) else { continue };
        let hub_party = party("controller", Some(serial.to_string()), &hub.read(|hub| hub.uuid.clone()));
        let cloud = party("cloud", None, &user_uuid);
        keys.push(key(Field::Null, hub_party.clone(), cloud));
        if let Some(token) = accounts.local_token(&world.tokens, &serial, caller.user) {
            let user = party("user", Some(caller.user.to_string()), &user_uuid);
            keys.push(key(json!({"type": "string", "string": token.expose()}).into(), user, hub_party));
        }
    }
    let named = keys.into_iter().enumerate().map(|(at, key)| (format!("k{}", at + 1), key));
    wire::to_value(&AccessKeys { keys: named.collect(), ..AccessKeys::default() })
}

/// Returns a hub, unless it has Vera firmware: such hubs are not part of the newer cloud.
fn ezlo_hub(world: &World, serial: &Serial) -> Option<Arc<HubActor>> {
    world.hub(serial).filter(|hub| hub.kind != HubKind::Vera)
}

fn party(kind: &str, id: Option<String>, uuid: &str) -> KeyParty {
    KeyParty { kind: kind.into(), id: id.map(Loose::text).into(), uuid: uuid.into(), ..KeyParty::default() }
}

fn key(data: Field<Opaque>, entity: KeyParty, target: KeyParty) -> AccessKey {
    let meta = KeyMeta { entity: entity.into(), target: target.into(), ..KeyMeta::default() };
    AccessKey { data, meta: meta.into(), ..AccessKey::default() }
}

/// Returns the relay address for hubs, with port, from the one for users. The vendor uses two names for one relay.
fn raw_host(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("wss", url));
    let host = rest.split('/').next().unwrap_or_default().replace("-ui-cloud.", "-cloud.");
    let port = if scheme == "ws" { 80 } else { 443 };
    if host.contains(':') { host } else { format!("{host}:{port}") }
}

/// Returns whether a request asks for the local keys, as a parameter of the query or of the call.
fn wants_local_key(request: &Request, params: &Opaque) -> bool {
    let value = params.get("local_key");
    request.param("local_key") == Some("1")
        || value.is_some_and(|value| *value == json!(1) || *value == json!("1") || *value == json!(true))
}

fn controller_list(world: &World, caller: &Caller, host: &Host, with_local_key: bool) -> Value {
    let accounts = world.accounts();
    let controllers = accounts.hubs_of(caller.account).filter_map(|(serial, _)| {
        let hub = ezlo_hub(world, &serial)?;
        let url = relay_url(&hub, host, caller.oem);
        let raw = raw_host(&url);
        let url = NmaController { url: url.into(), ..NmaController::default() };
        Some(Controller {
            serial: Loose::text(serial.to_string()).into(),
            uuid: hub.read(|hub| hub.uuid.clone()).into(),
            name: format!("Hub {serial}").into(),
            local_key: if with_local_key {
                accounts.local_token(&world.tokens, &serial, caller.user).into()
            } else {
                Field::Absent
            },
            nma_host: raw.into(),
            nma_controllers: vec![url].into(),
            ..Controller::default()
        })
    });
    let list = ControllerList {
        controllers: controllers.collect(),
        pagination: json!({}).into(),
        ..ControllerList::default()
    };
    wire::to_value(&list)
}

/// Returns the user with this name and clear-text password.
fn log_in(world: &World, login: &PasswordLogin) -> Option<User> {
    let hash = sha1_password(&login.user_id, &login.password);
    world.accounts().log_in(&login.user_id, hash.expose(), None)
}

/// Issues the cloud token of a login.
fn token_for(world: &World, user: &User, seq: i64) -> TokenAnswer {
    token_answer(world, &Caller { user: user.id, account: user.account, expires: 0, seq, oem: user.oem })
}

fn legacy(pair: IdentityPair) -> LegacyToken {
    LegacyToken { auth: pair.identity, sig: pair.signature, ..LegacyToken::default() }
}

/// Answers `login_with_id_and_password` with a cloud token, Identity and signature.
fn gateway_login(world: &World, request: &Request, params: &Value) -> Result<Value, String> {
    let login: PasswordLogin = wire::from_value(params).map_err(|error| format!("invalid params: {error}"))?;
    let user = log_in(world, &login).ok_or("wrong user or password")?;
    let (pair, seq) = issue(world, &user, request, 1, user.oem, 0);
    let mut answer = token_for(world, &user, seq);
    let expires = world.clock.unix_seconds().saturating_add(world.assumptions.cloud_token_seconds);
    answer.expires = Loose::number(expires).into();
    answer.legacy_token = legacy(pair).into();
    Ok(wire::to_value(&answer))
}

/// Answers a v4 login. Version 1 returns the cloud token with Identity and signature, version 3 the token only. A wrong name
/// or password is refused with 401.
pub(crate) fn login_v4(world: &World, request: &Request, parts: &[&str]) -> Reply {
    let with_pair = match parts[0] {
        "1" => true,
        "3" => false,
        _ => return Reply::not_found(),
    };
    let login: PasswordLogin = match wire::from_slice(&request.body) {
        Ok(login) => login,
        Err(error) => return Reply::error(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    let Some(user) = log_in(world, &login) else {
        return Reply::error(StatusCode::UNAUTHORIZED, "Wrong user or password");
    };
    let (pair, seq) = if with_pair {
        let (pair, seq) = issue(world, &user, request, 1, user.oem, 0);
        (Some(pair), seq)
    } else {
        (None, login_number(world, &user, request))
    };
    let mut answer = token_for(world, &user, seq);
    answer.legacy_token = pair.map(legacy).into();
    Reply::json(&answer)
}

/// Lists the controllers of the caller, whose cloud token is in the header `x-access-token`.
pub(crate) fn controllers(world: &World, request: &Request, _: &[&str]) -> Reply {
    let now = world.clock.unix_seconds();
    let token = request.header("x-access-token").map(|token| token.trim().into()).ok_or(AuthError::Missing);
    let checked = token.and_then(|token| world.tokens.check_cloud_token(&token, now));
    match checked.and_then(|caller| world.admit(caller, &request.host.name(), &request.path)) {
        Ok(caller) => {
            let with_local_key = request.param("local_key") == Some("1");
            Reply::json(&controller_list(world, &caller, &request.host, with_local_key))
        }
        Err(error) => unauthorized(error),
    }
}
