//! The bootstrap of a controller that is not simulated: coordinator, provisioning, and the calls that it sends to the relay.

use std::collections::BTreeMap;

use ezlo_protocol::cloud::controller::{
    ControllerCertificate, ControllerKeys, CoordinatorAnswer, FirmwareInfo, Provision, ProvisionAnswer, SelfProvision,
    SelfProvisionRequested, SelfProvisioned,
};
use ezlo_protocol::mac::MacAddress;
use ezlo_protocol::secret::{LocalToken, Passkey, ProvisionToken};
use ezlo_protocol::serial::Serial;
use ezlo_protocol::wire::{self, Loose, Opaque};
use http::StatusCode;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::config::Profile;
use crate::server::http::message::{Host, Reply, Request};
use crate::tls::issuer::{ControllerNames, ControllerPem};
use crate::world::World;
use crate::world::accounts::Claim;
use crate::world::hub_actor::HubActor;
use crate::world::tokens::Caller;
use ezlo_hub_sim::encoding::hex;

/// Version of the provisioning of every controller. The provisioning of a simulated controller never changes.
const PROVISION_VERSION: i64 = 2;
/// Error code of a token that the strict profile does not know (inferred; the firmware ignores every code).
const UNKNOWN_TOKEN: i64 = 404;
/// Type of the hardware of EzloPi boards (EzloPi).
const BOARD: &str = "32.1";
/// First digits of the serial of a self-provisioned board (client-source).
const BOARD_SERIALS: &str = "105";
/// Number of attempts to find a free serial.
const SERIAL_ATTEMPTS: usize = 100;

/// Names the relay that a controller connects to. The vendor requires a client certificate; the simulator requires none.
pub(crate) fn coordinator(_: &World, request: &Request, _: &[&str]) -> Reply {
    let host = &request.host;
    let uri = if host.is_vendors() {
        "wss://nma-server1-cloud.ezlo.com:443".to_owned()
    } else {
        format!("{}://{}", if host.tls { "wss" } else { "ws" }, host.authority)
    };
    Reply::json(&CoordinatorAnswer { uri, ..CoordinatorAnswer::default() })
}

/// Answers as [`coordinator`] at the root, which firmware with the short address of the coordinator asks.
pub(crate) fn coordinator_root(world: &World, request: &Request, parts: &[&str]) -> Reply {
    if request.param("json") == Some("true") { coordinator(world, request, parts) } else { Reply::not_found() }
}

/// Answers the provisioning check of a controller: 304 if it has nothing new.
///
/// A board from a shop has a token of the vendor, which is unknown here. It gets 304 as well, except in the strict profile.
pub(crate) fn provision_sync(world: &World, request: &Request, _: &[&str]) -> Reply {
    let token = ProvisionToken::new(request.param("token").unwrap_or_default());
    let version = request.param("version").and_then(|version| version.parse::<i64>().ok()).unwrap_or_default();
    let hub = world.tokens.provisioned(&token).and_then(|serial| world.hub(&serial));
    match hub {
        None if world.profile == Profile::Strict => {
            let error_code = Loose::number(UNKNOWN_TOKEN).into();
            Reply::json(&ProvisionAnswer { error_code, ..ProvisionAnswer::default() })
        }
        Some(hub) if version < PROVISION_VERSION => match provision(world, &hub, &request.host) {
            Ok(data) => Reply::json(&ProvisionAnswer { data: data.into(), ..ProvisionAnswer::default() }),
            Err(text) => Reply::error(StatusCode::INTERNAL_SERVER_ERROR, &text),
        },
        Some(_) | None => {
            let mut reply = Reply::text("");
            reply.status = StatusCode::NOT_MODIFIED;
            reply
        }
    }
}

/// Returns the URL of a server of controllers: the vendor's, or the address that the client used.
fn server_url(host: &Host, vendor: &str) -> String {
    if host.is_vendors() {
        return vendor.to_owned();
    }
    format!("{}://{}", if host.tls { "https" } else { "http" }, host.authority)
}

fn provision(world: &World, hub: &HubActor, host: &Host) -> Result<Provision, String> {
    let (pem, authority) = certificate(world, hub)?;
    Ok(Provision {
        id: Loose::text(hub.serial.clone()),
        uuid: hub.read(|hub| hub.uuid.clone()).into(),
        cloud_uuid: world.tokens.cloud_uuid().into(),
        version: PROVISION_VERSION,
        coordinator_url: format!("{}/getserver", server_url(host, "https://cloud.ezlo.com:7000")).into(),
        provision_token: world.tokens.provision(&hub.serial),
        ssl_private_key: pem.private_key.into(),
        ssl_public_key: pem.public_key.into(),
        ssl_shared_key: pem.certificate.into(),
        signing_ca_certificate: authority.into(),
        ..Provision::default()
    })
}

/// Returns a new certificate for a controller, and the certificate of the authority in PEM.
fn certificate(world: &World, hub: &HubActor) -> Result<(ControllerPem, String), String> {
    let authority = world.authority.as_ref().ok_or("this process has no certificate authority")?;
    let (uuid, model) = hub.read(|hub| (hub.uuid.clone(), hub.model.clone()));
    let names = ControllerNames { hardware: &model, uuid: &uuid, serial: hub.serial.as_str() };
    let pem = authority.controller(names).map_err(|error| format!("cannot sign a certificate: {error}"))?;
    Ok((pem, authority.pem().to_owned()))
}

/// Creates a board for the caller's account. It can register once it has its provisioning (the ownership is inferred).
pub(crate) fn self_provision_request(world: &World, caller: &Caller) -> Result<Value, String> {
    let serial = free_serial(world).ok_or("no free serial")?;
    // The address is unknown until the board registers.
    let (mac, uuid) = (MacAddress::default(), world.random.uuid());
    let board = HubActor::foreign(&world.env, serial, mac, BOARD, Some(uuid.clone()));
    let hub = world.add_hub(board).ok_or("too many controllers")?;
    let claim = Claim { account: caller.account, installation: 0, serial: &hub.serial, mac, label: mac };
    world.accounts().claim(&claim, world.clock.timestamp()).map_err(|_| "the account cannot own another controller")?;
    Ok(wire::to_value(&SelfProvisionRequested { uuid, ..SelfProvisionRequested::default() }))
}

fn free_serial(world: &World) -> Option<Serial> {
    let serial = || {
        let mut bytes = [0; 4];
        world.random.fill(&mut bytes);
        format!("{BOARD_SERIALS}{:06}", u32::from_be_bytes(bytes) % 1_000_000).parse::<Serial>().ok()
    };
    (0..SERIAL_ATTEMPTS).filter_map(|_| serial()).find(|serial| world.hub_summary(serial).is_none())
}

/// Returns the data that the desktop tool writes to the board of a [`self_provision_request`].
pub(crate) fn self_provision_get(
    world: &World,
    caller: &Caller,
    host: &Host,
    params: &Opaque,
) -> Result<Value, String> {
    let uuid = params.get("uuid").and_then(Value::as_str).ok_or("params.uuid is required")?;
    let serials: Vec<Serial> = world.accounts().hubs_of(caller.account).map(|(serial, _)| serial).collect();
    let own = serials.iter().filter_map(|serial| world.hub(serial)).find(|hub| hub.read(|hub| hub.uuid == uuid));
    let hub = own.ok_or("no self-provisioning request has this uuid")?;
    let (pem, authority) = certificate(world, &hub)?;
    let data = SelfProvision {
        id: Loose::number(hub.serial.clone()),
        provision_server: server_url(host, "https://ezlopiesp32.up.mios.com").into(),
        provision_token: world.tokens.provision(&hub.serial),
        cloud_server: format!("{}/getserver", server_url(host, "https://cloud.ezlo.com:7000")).into(),
        default_wifi_ssid: "".into(),
        default_wifi_password: Passkey::default().into(),
        signing_ca_certificate: authority.into(),
        ssl_private_key: pem.private_key.into(),
        ssl_shared_key: pem.certificate.into(),
        ..SelfProvision::default()
    };
    let (controller_uuid, provision_data) = (uuid.to_owned(), wire::to_text(&data));
    Ok(wire::to_value(&SelfProvisioned { controller_uuid, provision_data, ..SelfProvisioned::default() }))
}

/// Returns the keys that open a controller locally, as digests. No simulated controller connects to another one.
pub(crate) fn keys(world: &World, hub: &HubActor) -> Result<Value, String> {
    let clients = {
        let accounts = world.accounts();
        let account = accounts.ownership(&hub.serial).map(|ownership| ownership.account);
        let users = account.into_iter().flat_map(|account| accounts.users_of(account));
        let key = |token: LocalToken| vec![hex(&Sha256::digest(token.expose()))];
        let users = users.filter_map(|user| {
            let token = accounts.local_token(&world.tokens, &hub.serial, user.id)?;
            Some((user.uuid.clone(), key(token)))
        });
        users.collect()
    };
    let (pem, authority) = certificate(world, hub)?;
    let current = ControllerCertificate {
        certificate: pem.certificate,
        private: pem.private_key.into(),
        public_parent: authority.into(),
        ..ControllerCertificate::default()
    };
    let (peers, current) = (BTreeMap::new().into(), vec![current].into());
    Ok(wire::to_value(&ControllerKeys { clients, peers, current, ..ControllerKeys::default() }))
}

/// Names the version that the controller registered with as the newest one, so that it does not update.
pub(crate) fn firmware(version: &str) -> Value {
    if version.is_empty() {
        return json!({});
    }
    wire::to_value(&FirmwareInfo { version: version.into(), ..FirmwareInfo::default() })
}
