//! The account server: accounts, their users and hubs, and the claim of a hub.

use ezlo_protocol::cloud::account::{AccountRecord, ClaimAnswer, HubList, HubListEntry, UserList, UserRecord};
use ezlo_protocol::mac::MacAddress;
use ezlo_protocol::serial::Serial;
use ezlo_protocol::wire::{self, Loose};
use http::StatusCode;

use crate::server::credentials::authenticate;
use crate::server::http::message::{Host, Reply, Request};
use crate::server::vendor::oem;
use crate::world::World;
use crate::world::accounts::owners::Ownership;
use crate::world::accounts::{Account, Claim, ClaimError};
use crate::world::hub_registry::HubSummary;
use crate::world::tokens::Caller;
use ezlo_hub_sim::json::is_too_deep;
use ezlo_hub_sim::world_file::HubKind;

/// Authenticates the caller and requires that the account in the path is the caller's.
fn own_account(world: &World, request: &Request, account: &str) -> Result<Caller, Reply> {
    let caller = authenticate(world, request)?;
    match account.parse::<u64>() {
        Err(_) => Err(Reply::error(StatusCode::BAD_REQUEST, "Invalid account")),
        Ok(account) if account != caller.account => Err(Reply::error(StatusCode::FORBIDDEN, "Not your account")),
        Ok(_) => Ok(caller),
    }
}

/// Returns the account record.
pub(crate) fn read(world: &World, request: &Request, parts: &[&str]) -> Reply {
    match own_account(world, request, parts[0]) {
        Ok(caller) => {
            // The server names depend on the brand of the login and on the host.
            let seen_from = format!("{} {}", caller.oem, request.host.authority);
            let write = |account: &_| ezlo_protocol::wire::to_bytes(&with_servers(account, &request.host, caller.oem));
            match world.accounts().account_text(caller.account, &seen_from, write) {
                Some(text) => Reply::json_text(text),
                None => Reply::not_found(),
            }
        }
        Err(reply) => reply,
    }
}

/// Fills in the server names that were not changed. They follow the host of the request.
fn with_servers(account: &Account, host: &Host, oem: i64) -> AccountRecord {
    let mut record = account.record.clone();
    let servers = [
        (&mut record.server_event, "event11"),
        (&mut record.server_event_alt, "event12"),
        (&mut record.server_account, "account11"),
        (&mut record.server_account_alt, "account12"),
    ];
    for (member, role) in servers {
        if member.is_absent() {
            *member = oem::server(host, oem, role).into_owned().into();
        }
    }
    record
}

/// Changes the account record. The change is JSON in the query; the reply is the changed record (inferred).
pub(crate) fn change(world: &World, request: &Request, parts: &[&str]) -> Reply {
    let caller = match own_account(world, request, parts[0]) {
        Ok(caller) => caller,
        Err(reply) => return reply,
    };
    let Some(json) = request.param("json") else {
        return Reply::error(StatusCode::BAD_REQUEST, "json is required");
    };
    if is_too_deep(json) {
        return Reply::error(StatusCode::BAD_REQUEST, "json is nested too deeply");
    }
    let change: AccountRecord = match wire::from_slice(json.as_bytes()) {
        Ok(change) => change,
        Err(error) => return Reply::error(StatusCode::BAD_REQUEST, &format!("Invalid json: {error}")),
    };
    if !world.accounts().update(caller.account, &change) {
        return Reply::error(StatusCode::PAYLOAD_TOO_LARGE, "Account record too long");
    }
    read(world, request, parts)
}

/// Lists the users of the account.
pub(crate) fn users(world: &World, request: &Request, parts: &[&str]) -> Reply {
    let caller = match own_account(world, request, parts[0]) {
        Ok(caller) => caller,
        Err(reply) => return reply,
    };
    let accounts = world.accounts();
    let users = accounts.users_of(caller.account).map(|user| UserRecord {
        user: Loose::number(user.id),
        username: user.username.as_str().into(),
        permission_role: Loose::number(user.role).into(),
        email: user.email.as_str().into(),
        ..UserRecord::default()
    });
    Reply::json(&UserList { users: users.collect(), ..UserList::default() })
}

/// Lists the hubs of the account.
pub(crate) fn hubs(world: &World, request: &Request, parts: &[&str]) -> Reply {
    let caller = match own_account(world, request, parts[0]) {
        Ok(caller) => caller,
        Err(reply) => return reply,
    };
    let accounts = world.accounts();
    let Some(account) = accounts.account(caller.account) else { return Reply::not_found() };
    let hubs = accounts.hubs_of(caller.account).filter_map(|(serial, ownership)| {
        let hub = world.hub_summary(&serial)?;
        Some(entry(&serial, hub, ownership, account, (&request.host, caller.oem)))
    });
    Reply::json(&HubList { devices: hubs.collect(), ..HubList::default() })
}

/// Builds an entry of the list of hubs. Numbers are text, except `Blocked`. Only Vera firmware has `Name` and `Using_2G`.
fn entry(
    serial: &Serial,
    hub: HubSummary,
    ownership: Ownership,
    account: &Account,
    (host, oem): (&Host, i64),
) -> HubListEntry {
    let vera = hub.kind == HubKind::Vera;
    HubListEntry {
        serial: Loose::text(serial.clone()),
        device_type: Loose::text(if vera { 1 } else { 7 }).into(),
        device_sub_type: Loose::text(2).into(),
        mac: hub.mac.into(),
        server_device: oem::server(host, oem, "device11").into_owned().into(),
        server_device_alt: oem::server(host, oem, "device12").into_owned().into(),
        installation: Loose::text(account.installation).into(),
        name: vera.then(|| "Home".to_owned()).into(),
        using_2g: vera.then(|| Loose::text(0)).into(),
        device_assigned: ownership.since.strftime("%Y-%m-%d %H:%M:%S").to_string().into(),
        blocked: Loose::number(0).into(),
        ..HubListEntry::default()
    }
}

/// Claims a hub: 404 for an unknown serial, 403 for a wrong MAC or installation, 409 for an owned hub (inferred).
pub(crate) fn claim(world: &World, request: &Request, parts: &[&str]) -> Reply {
    let caller = match authenticate(world, request) {
        Ok(caller) => caller,
        Err(reply) => return reply,
    };
    let Ok(installation) = parts[0].parse() else {
        return Reply::error(StatusCode::BAD_REQUEST, "Invalid installation");
    };
    let Some(mac) = request.param("MacAddress") else {
        return Reply::error(StatusCode::BAD_REQUEST, "MacAddress is required");
    };
    let Ok(mac) = mac.parse::<MacAddress>() else {
        return Reply::error(StatusCode::BAD_REQUEST, "Invalid MacAddress");
    };
    let hub = parts[1].parse::<Serial>().ok().and_then(|serial| world.hub(&serial));
    let Some(hub) = hub else { return Reply::error(StatusCode::NOT_FOUND, "Unknown device") };
    let claim = Claim { account: caller.account, installation, serial: &hub.serial, mac, label: hub.mac };
    let claimed = world.accounts().claim(&claim, world.clock.timestamp());
    match claimed {
        Ok(installation) => {
            hub.announce_keys(&world.random.uuid());
            Reply::json(&ClaimAnswer {
                installation: Loose::text(installation).into(),
                serial: Loose::text(hub.serial.clone()).into(),
                ..ClaimAnswer::default()
            })
        }
        Err(ClaimError::Installation) => Reply::error(StatusCode::FORBIDDEN, "Not your installation"),
        Err(ClaimError::Mac) => Reply::error(StatusCode::FORBIDDEN, "MacAddress does not match"),
        Err(ClaimError::Owned) => Reply::error(StatusCode::CONFLICT, "Device belongs to another account"),
    }
}
