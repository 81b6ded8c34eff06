//! The device server with the records of hubs, the locator, and the legacy relay.

use ezlo_protocol::cloud::hub_record::{HubRecord, LocatedHub, LocatorAnswer};
use ezlo_protocol::secret::SessionToken;
use ezlo_protocol::serial::Serial;
use ezlo_protocol::wire::{Entries, Field, Loose};
use http::StatusCode;

use crate::faults::kinds::RecordFault;
use crate::faults::point::InjectionContext;
use crate::server::credentials::{authenticate, unauthorized};
use crate::server::http::message::world_number;
use crate::server::http::message::{Host, Reply, Request};
use crate::server::vendor::oem;
use crate::world::World;
use crate::world::hub_actor::HubActor;
use crate::world::tokens::{AuthError, Caller};
use ezlo_hub_sim::world_file::HubKind;

/// Public address of the simulated house, from a block for documentation (RFC 5737).
const EXTERNAL_IP: &str = "203.0.113.10";
/// Local address of a simulated hub.
const INTERNAL_IP: &str = "192.168.1.50";

/// Returns the record of a hub: 404 for an unknown serial, 403 for a hub of another account (inferred).
pub(crate) fn info(world: &World, request: &Request, parts: &[&str]) -> Reply {
    let caller = match authenticate(world, request) {
        Ok(caller) => caller,
        Err(reply) => return reply,
    };
    let hub = parts[0].parse::<Serial>().ok().and_then(|serial| world.hub(&serial));
    let Some(hub) = hub else { return Reply::error(StatusCode::NOT_FOUND, "Unknown device") };
    let owner = world.accounts().ownership(&hub.serial).map(|ownership| ownership.account);
    if owner != Some(caller.account) {
        return Reply::error(StatusCode::FORBIDDEN, "Not your device");
    }
    Reply::json(&match hub.kind {
        HubKind::Vera => vera_record(&hub, world, &request.host, caller.oem),
        HubKind::Linux | HubKind::Rtos | HubKind::Ezlopi => ezlo_record(&hub, world, request, &caller),
    })
}

/// Number of relays. The serial of a hub selects one.
const RELAYS: u32 = 8;

fn relay_number(hub: &HubActor) -> u32 {
    hub.serial.as_str().bytes().map(u32::from).sum::<u32>() % RELAYS + 1
}

/// Returns the relay of a hub. Several names are in use, so that a client cannot rely on one.
///
/// A brand with a relay of its own has no other.
pub(crate) fn relay_url(hub: &HubActor, host: &Host, oem: i64) -> String {
    if host.is_vendors() {
        match oem::relay(oem) {
            Some(relay) => format!("wss://{relay}:443"),
            None => format!("wss://nma-server{}-ui-cloud.ezlo.com:443", relay_number(hub)),
        }
    } else {
        format!("{}://{}", if host.tls { "wss" } else { "ws" }, host.authority)
    }
}

/// Returns another relay than the one of the hub.
fn moved(hub: &HubActor, host: &Host) -> String {
    if host.is_vendors() {
        return format!("wss://nma-server{}-ui-cloud.ezlo.com:443", relay_number(hub) % RELAYS + 1);
    }
    // Another name of the same machine and of the same world.
    let (name, port) = match host.authority.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, format!(":{port}")),
        _ => (host.authority.as_str(), String::new()),
    };
    let other = match (world_number(&name.to_ascii_lowercase()), name) {
        (Some(number), _) => format!("w0{number}.localhost"),
        (None, "localhost") => "127.0.0.1".to_owned(),
        (None, _) => "localhost".to_owned(),
    };
    format!("{}://{other}{port}", if host.tls { "wss" } else { "ws" })
}

fn ezlo_record(hub: &HubActor, world: &World, request: &Request, caller: &Caller) -> HubRecord {
    let host = &request.host;
    let (name, user) = (host.name(), world.user_name(caller.user));
    let hub_of = hub.serial.as_str();
    let facts = InjectionContext {
        host: &name,
        path: &request.path,
        user: &user,
        hub: hub_of,
        listener: "cloud",
        ..InjectionContext::default()
    };
    let relay = match world.fault(&facts) {
        Some(RecordFault::RelayMoved) => moved(hub, host),
        None => relay_url(hub, host, caller.oem),
    };
    HubRecord {
        serial: Loose::text(hub.serial.clone()),
        mac: hub.mac.into(),
        server_relay: relay.into(),
        nma_controller_status: Loose::number(i64::from(hub.is_online())).into(),
        nma_uuid: hub.read(|hub| hub.uuid.clone()).into(),
        linux_firmware: Loose::number(1).into(),
        ui: Loose::text(4).into(),
        engine_status: Loose::text(0).into(),
        branding: Loose::text(1).into(),
        has_alarm_panel: Loose::text(0).into(),
        has_wifi: Loose::text(0).into(),
        public_key_android: "".into(),
        public_key_ios: "".into(),
        ..HubRecord::default()
    }
}

fn vera_record(hub: &HubActor, world: &World, host: &Host, oem: i64) -> HubRecord {
    let now = world.clock.timestamp().strftime("%Y-%m-%d %H:%M:%S").to_string();
    HubRecord {
        serial: Loose::text(hub.serial.clone()),
        mac: hub.mac.into(),
        server_relay: oem::server(host, oem, "relay31").into_owned().into(),
        linux_firmware: Loose::number(0).into(),
        ui: Loose::text(7).into(),
        engine_status: Loose::text(1).into(),
        branding: Loose::text(1).into(),
        has_alarm_panel: Loose::text(0).into(),
        has_wifi: Loose::text(1).into(),
        external_ip: EXTERNAL_IP.into(),
        accessible_port: Loose::text(80).into(),
        internal_ip: INTERNAL_IP.into(),
        alive_date: now.into(),
        firmware_version: "1.7.5185".into(),
        prior_firmware_version: "1.7.4970".into(),
        upgrade_date: "2023-01-01 00:00:00".into(),
        uptime: "0".into(),
        server_device: oem::server(host, oem, "device11").into_owned().into(),
        server_event: oem::server(host, oem, "event11").into_owned().into(),
        server_support: oem::server(host, oem, "support11").into_owned().into(),
        server_storage: oem::server(host, oem, "storage11").into_owned().into(),
        wifi_ssid: "".into(),
        timezone: "Etc/UTC".into(),
        local_port: Loose::text(3480).into(),
        zwave_locale: "US".into(),
        zwave_version: "4.5".into(),
        platform: "Sercomm G450".into(),
        ui_language: "en".into(),
        ui_skin: "mios".into(),
        using_2g: Loose::number(0).into(),
        distribution_build: "7.0.31".into(),
        access_permissions: "".into(),
        ..HubRecord::default()
    }
}

/// Most hubs in a reply of the locator, far more than any real address has.
const MOST_LOCATED: usize = 1000;

/// Lists the hubs behind the caller's public address, without authentication. All callers share one address.
pub(crate) fn locator(world: &World, request: &Request, _: &[&str]) -> Reply {
    let (host, oem) = (&request.host, oem::OWN_BRAND);
    let now = world.clock.timestamp().strftime("%Y-%m-%d %H:%M:%S").to_string();
    let hubs = world.list_hubs(None, MOST_LOCATED);
    let accounts = world.accounts();
    let hubs = hubs.into_iter().filter(|hub| hub.read(|hub| hub.wifi.on_network())).map(|hub| LocatedHub {
        serial: Loose::number(hub.serial.clone()),
        mac: hub.mac.into(),
        device_type: Loose::number(if hub.kind == HubKind::Vera { 1 } else { 7 }).into(),
        device_sub_type: Loose::number(2).into(),
        firmware: if hub.kind == HubKind::Vera { "1.7.5185" } else { hub.family.firmware }.into(),
        server_device: oem::server(host, oem, "device11").into_owned().into(),
        server_event: oem::server(host, oem, "event11").into_owned().into(),
        server_account: oem::server(host, oem, "account11").into_owned().into(),
        account: match accounts.ownership(&hub.serial) {
            Some(ownership) => Loose::number(ownership.account).into(),
            None => Field::Null,
        },
        internal_ip: INTERNAL_IP.into(),
        last_alive_reported: now.as_str().into(),
        platform: if hub.kind == HubKind::Vera { "Sercomm G450" } else { "" }.into(),
        ..LocatedHub::default()
    });
    Reply::json(&LocatorAnswer { devices: hubs.collect::<Entries<_>>().into(), ..LocatorAnswer::default() })
}

/// Answers as [`legacy_relay`], with the session token in the path.
pub(crate) fn legacy_relay_by_path(world: &World, _: &Request, parts: &[&str]) -> Reply {
    let token = SessionToken::new(parts.get(1).copied().unwrap_or_default());
    let checked = world.sessions().check(&token, world.clock.unix_seconds()).map(drop);
    match checked {
        Ok(()) => Reply::error(StatusCode::INTERNAL_SERVER_ERROR, "Tunnel not found"),
        Err(error) => unauthorized(error),
    }
}

/// Answers for the legacy HTTP relay of Vera hubs, which requires a session token and has no tunnel.
///
/// A public client handles both refusals. Replies of a hub over this relay are not simulated.
pub(crate) fn legacy_relay(world: &World, request: &Request, _: &[&str]) -> Reply {
    if request.header("mmssession").is_none() {
        return unauthorized(AuthError::Missing);
    }
    match authenticate(world, request) {
        Ok(_) => Reply::error(StatusCode::INTERNAL_SERVER_ERROR, "Tunnel not found"),
        Err(reply) => reply,
    }
}
