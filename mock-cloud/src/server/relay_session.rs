//! The protocol of the NMA relay, without sockets.
//!
//! A connection must log in as a user or register as a controller. A user then selects a hub with `register` and sends calls to
//! it. A controller sends and answers for its hub.

use crate::evidence::error_table;
use crate::evidence::policy;
use crate::evidence::policy::LOGIN_CONTROLLER;
use crate::journal::usage_report;
use std::pin::Pin;
use std::sync::Arc;

use ezlo_protocol::cloud::controller::{ACCESS_KEYS_CONTROLLER_SYNC, FIRMWARE_INFO_GET};
use ezlo_protocol::error::code;
use ezlo_protocol::hub::login::{LoginUserMios, Register};
use ezlo_protocol::hub::method::{Method as _, RelayLogin, RelayRegister};
use ezlo_protocol::mac::MacAddress;
use ezlo_protocol::rpc::{Envelope, FrameKind, REGISTERED, RpcError};
use ezlo_protocol::serial::Serial;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::cluster::RemoteHub;
use crate::config::Profile;
use crate::server::vendor::controller;
use crate::wire;
use crate::wire::ReplyRoute;
use crate::world::World;
use crate::world::backplane::{Backplane, OpenTunnel};
use crate::world::hub_actor::HubActor;
use crate::world::outbox::Link;
use crate::world::tokens::{AuthError, Caller, ShownPair};
use ezlo_hub_sim::decode;
use ezlo_hub_sim::json::RawJson;
use ezlo_hub_sim::world_file::HubKind;

/// Minimum number of digits of a serial.
const SHORTEST_SERIAL: usize = 8;

/// A future that completes when the next message can be forwarded.
pub(crate) type Room = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A connection to the relay.
#[derive(Debug)]
pub(crate) struct RelaySession {
    link: Link,
    /// Host name that the client used for the relay.
    host: Box<str>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Neither logged in nor registered.
    Unknown,
    /// A user, and the selected hub of this process.
    User { caller: Caller, hub: Option<Arc<HubActor>> },
    /// A user in a cluster, whose hub can run in any process.
    RemoteClient { caller: Caller, remote: RemoteHub },
    /// A hub that is a process of its own, with the firmware version and the UUID that it registered with.
    Controller { hub: Arc<HubActor>, firmware: Box<str>, uuid: Option<String> },
}

impl RelaySession {
    pub(crate) fn new(link: Link, host: &str) -> Self {
        Self { link, host: host.into(), state: State::Unknown }
    }

    /// Returns the expiry of the user's Identity, in Unix seconds.
    pub(crate) const fn expires(&self) -> Option<i64> {
        match &self.state {
            State::User { caller, .. } | State::RemoteClient { caller, .. } => Some(caller.expires),
            State::Unknown | State::Controller { .. } => None,
        }
    }

    /// Returns the number of the user who has logged in.
    pub(crate) const fn user(&self) -> Option<u64> {
        match &self.state {
            State::User { caller, .. } | State::RemoteClient { caller, .. } => Some(caller.user),
            State::Unknown | State::Controller { .. } => None,
        }
    }

    /// Returns the connection's UUID.
    pub(crate) fn connection(&self) -> &str {
        &self.link.conn_id
    }

    /// Returns the hub that the user selected or that the controller sends for, if it runs in this process.
    pub(crate) const fn hub(&self) -> Option<&Arc<HubActor>> {
        match &self.state {
            State::User { hub: Some(hub), .. } | State::Controller { hub, .. } => Some(hub),
            State::User { hub: None, .. } | State::RemoteClient { .. } | State::Unknown => None,
        }
    }

    /// Returns the serial of the hub, also if it runs in another process.
    pub(crate) fn serial(&self) -> Option<&Serial> {
        match &self.state {
            State::RemoteClient { remote, .. } => Some(remote.serial()),
            _ => self.hub().map(|hub| &hub.serial),
        }
    }

    /// Returns a future that waits until the next message can be forwarded, or `None` if it can be forwarded now.
    pub(crate) fn room(&self) -> Option<Room> {
        match &self.state {
            State::RemoteClient { remote, .. } if !remote.has_room() => Some(Box::pin(remote.room())),
            _ => None,
        }
    }

    pub(crate) const fn link(&self) -> &Link {
        &self.link
    }

    /// Journals and handles a text message of the client.
    pub(crate) fn on_text(&mut self, world: &Arc<World>, text: &str) {
        let received = world.journal.received(&self.link.conn_id, text);
        received.as_cause(|| self.on_message(world, text));
    }

    fn on_message(&mut self, world: &Arc<World>, text: &str) {
        let envelope = match Envelope::parse(text) {
            Ok(envelope) => envelope,
            Err(_) => {
                self.link.send(&wire::not_a_request(world.assumptions.min_evidence, text, ReplyRoute::Relay));
                return;
            }
        };
        match (&self.state, envelope.kind()) {
            (State::Controller { hub, .. }, FrameKind::Broadcast | FrameKind::Reply) => {
                hub.forward_to_clients(envelope.kind(), envelope.sender.map(RawValue::get), text);
            }
            (_, FrameKind::Request) => self.on_request(world, &envelope, text),
            _ => {
                self.link.send(&wire::not_a_request(world.assumptions.min_evidence, text, ReplyRoute::Relay));
            }
        }
    }

    fn on_request(&mut self, world: &Arc<World>, request: &Envelope<'_>, text: &str) {
        let method = request.method.as_deref().unwrap_or_default();
        if is_relay_method(method)
            && let Some(refused) = policy::refuse_method(world.assumptions.min_evidence, method)
        {
            self.reply(world, request, method, &Err(refused));
            return;
        }
        match method {
            RelayLogin::NAME => {
                let outcome = self.log_in(world, request);
                self.reply(world, request, method, &outcome);
            }
            RelayRegister::NAME if self.is_user() && world.backplane().is_some() => {
                if let Err(error) = self.open_tunnel(world, request, text) {
                    self.reply(world, request, method, &Err(error));
                }
            }
            RelayRegister::NAME | LOGIN_CONTROLLER => {
                let outcome = self.register(world, request);
                let method = if outcome.is_ok() && method == RelayRegister::NAME { REGISTERED } else { method };
                match (world.backplane(), &self.state) {
                    (Some(backplane), State::Controller { hub, uuid, .. }) if outcome.is_ok() => {
                        let answer = wire::reply(request, method, &outcome, ReplyRoute::Relay);
                        register_here(world, backplane, (hub, uuid.clone()), &self.link, answer);
                    }
                    _ => {
                        if let State::Controller { hub, uuid: Some(uuid), .. } = &self.state {
                            hub.take_uuid(uuid);
                        }
                        self.reply(world, request, method, &outcome);
                    }
                }
            }
            _ => match &self.state {
                State::User { hub: Some(hub), caller } => {
                    hub.relayed_call(request, text, &self.link, || world.user_name(caller.user));
                }
                State::RemoteClient { remote, .. } => {
                    if !remote.call(text) {
                        self.refuse(world, request, method, "nma.ezlo.unavailable");
                    }
                }
                State::User { hub: None, .. } => self.refuse(world, request, method, "nma.ezlo.notregistered"),
                State::Unknown => {
                    if ezlo_protocol::hub::method::spec(method).is_none() {
                        record_unknown(world, method);
                    }
                    self.refuse(world, request, method, "nma.user.notlogged");
                }
                State::Controller { hub, firmware, .. } => {
                    let outcome = controller_call(world, hub, firmware, method);
                    self.reply(world, request, method, &outcome);
                }
            },
        }
    }

    fn reply(&self, world: &World, request: &Envelope<'_>, method: &str, outcome: &Result<RawJson, RpcError>) {
        let error = outcome.as_ref().err();
        let other =
            error.and_then(|error| error_table::replacement_for(world.assumptions.min_evidence, error)).map(Err);
        self.link.send(&wire::reply(request, method, other.as_ref().unwrap_or(outcome), ReplyRoute::Relay));
    }

    fn refuse(&self, world: &World, request: &Envelope<'_>, method: &str, data: &str) {
        self.reply(world, request, method, &Err(RpcError::known(data)));
    }

    fn log_in(&mut self, world: &World, request: &Envelope<'_>) -> Result<RawJson, RpcError> {
        let login: LoginUserMios = params(request)?;
        match &self.state {
            State::User { .. } | State::RemoteClient { .. } => {
                return Err(RpcError::known("user.login.alreadylogged"));
            }
            State::Controller { .. } => return Err(RpcError::known("rpc.method.notfound")),
            State::Unknown => {}
        }
        let pair = ShownPair { identity: login.identity.expose(), signature: login.signature.expose() };
        let checked = world.tokens.check_pair(pair, world.clock.unix_seconds());
        match checked.and_then(|caller| world.admit(caller, &self.host, "/nma")) {
            Ok(caller) => {
                self.state = State::User { caller, hub: None };
                Ok(RawJson::empty())
            }
            Err(AuthError::Expired) => Err(RpcError::known("cloud.error.mms_autha_token_expired")),
            Err(AuthError::Bad | AuthError::Missing) => Err(RpcError::known("user.login.badpassword")),
        }
    }

    fn register(&mut self, world: &Arc<World>, request: &Envelope<'_>) -> Result<RawJson, RpcError> {
        match &self.state {
            State::User { caller, hub } => {
                let chosen = world.hub_for(caller.account, &requested_serial(request)?)?;
                let (caller, before) = (caller.clone(), hub.clone());
                self.subscribe(before.as_ref(), &chosen)?;
                self.state = State::User { caller, hub: Some(chosen) };
            }
            State::RemoteClient { .. } | State::Unknown | State::Controller { .. } => {
                let register: Register = params(request)?;
                if !register.is_controller() {
                    return Err(RpcError::known("nma.user.notlogged"));
                }
                self.register_controller(world, &register)?;
            }
        }
        Ok(RawJson::empty())
    }

    const fn is_user(&self) -> bool {
        matches!(self.state, State::User { .. } | State::RemoteClient { .. })
    }

    /// Selects a hub that can run in any process of the cluster. The `register` is answered when its process has replied.
    fn open_tunnel(&mut self, world: &Arc<World>, request: &Envelope<'_>, text: &str) -> Result<(), RpcError> {
        let serial = requested_serial(request)?;
        let (State::User { caller, .. } | State::RemoteClient { caller, .. }, Some(backplane)) =
            (&self.state, world.backplane())
        else {
            return Err(RpcError::known("nma.user.notlogged"));
        };
        if let State::RemoteClient { remote, .. } = &self.state
            && remote.is_at(&serial)
        {
            self.reply(world, request, REGISTERED, &Ok(RawJson::empty()));
            return Ok(());
        }
        let caller = caller.clone();
        // A new id for each tunnel, so that the end of the previous tunnel cannot end the new one.
        let conn_id = world.random.uuid();
        let tunnel = OpenTunnel { serial, account: caller.account, user: caller.user, conn_id };
        let remote = RemoteHub::open(world, backplane, &self.link, tunnel, text.into());
        self.state = State::RemoteClient { caller, remote };
        Ok(())
    }

    /// Subscribes the connection to the chosen hub. A second `register` changes the hub (inferred).
    fn subscribe(&self, before: Option<&Arc<HubActor>>, chosen: &Arc<HubActor>) -> Result<(), RpcError> {
        if before.is_some_and(|before| before.serial == chosen.serial) {
            return Ok(());
        }
        if !chosen.attach(self.link.clone()) {
            return Err(RpcError::known("nma.ezlo.unavailable"));
        }
        if let Some(before) = before {
            before.detach(&self.link.conn_id);
        }
        Ok(())
    }

    /// Registers a hub that is a process of its own.
    ///
    /// The vendor's relay authenticates hubs by client certificate. The simulator accepts an unknown serial, so that a real
    /// board can connect, except in the strict profile.
    fn register_controller(&mut self, world: &Arc<World>, register: &Register) -> Result<(), RpcError> {
        let serial = register.serial.get();
        let known = world.hub(serial);
        let claimed_mac = register.mac_address.as_deref().and_then(|mac| mac.parse::<MacAddress>().ok());
        let uuid = register.controller_uuid.as_deref().filter(|uuid| is_uuid(uuid)).map(str::to_owned);
        let board = |mac| {
            let model = register.hub_type.as_deref().unwrap_or_default();
            HubActor::foreign(&world.env, serial.clone(), mac, model, uuid.clone())
        };
        let hub = match known {
            // A self-provisioned board: the cloud knows its UUID, and learns its hardware address.
            Some(hub) if hub.mac == MacAddress::default() && uuid == Some(hub.read(|hub| hub.uuid.clone())) => {
                claimed_mac.map_or(hub, |mac| world.replace_hub(board(mac)))
            }
            // The hardware address on the label replaces the client certificate of real hubs.
            Some(hub) if claimed_mac != Some(hub.mac) || hub.kind == HubKind::Vera => return Err(refused_controller()),
            Some(hub) => hub,
            None if world.profile == Profile::Strict => return Err(refused_controller()),
            None => world.add_hub(board(claimed_mac.unwrap_or_default())).ok_or_else(refused_controller)?,
        };
        if let State::Controller { hub: before, .. } = &self.state {
            before.controller_disconnected(&self.link.conn_id);
        }
        if let Some(bytes) = register.max_frame_size.get() {
            self.link.limit_frames(usize::try_from(*bytes).unwrap_or_default());
        }
        hub.controller_registered(self.link.clone());
        let firmware = register.firmware.as_deref().unwrap_or_default().chars().take(MAX_VERSION).collect::<String>();
        self.state = State::Controller { hub, firmware: firmware.into(), uuid };
        Ok(())
    }
}

/// Maximum length of a firmware version, in characters.
const MAX_VERSION: usize = 64;

/// Returns whether a text has the form of a UUID.
fn is_uuid(text: &str) -> bool {
    let is_part = |(at, byte): (usize, u8)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    text.len() == 36 && text.bytes().enumerate().all(is_part)
}

/// Runs a call that a controller sends to the cloud.
fn controller_call(world: &World, hub: &HubActor, firmware: &str, method: &str) -> Result<RawJson, RpcError> {
    match method {
        ACCESS_KEYS_CONTROLLER_SYNC => controller::keys(world, hub)
            .map(|keys| RawJson::of(&keys))
            .map_err(|text| RpcError::new(code::INTERNAL, "rpc.internal.error", &text)),
        FIRMWARE_INFO_GET => Ok(RawJson::of(&controller::firmware(firmware))),
        _ => {
            record_unknown(world, method);
            Err(RpcError::known("rpc.method.notfound"))
        }
    }
}

/// Returns whether the relay itself answers the method.
fn is_relay_method(method: &str) -> bool {
    matches!(method, RelayLogin::NAME | RelayRegister::NAME | LOGIN_CONTROLLER)
}

/// Announces to the other processes that a hub runs here. Its controller gets the reply after the announcement.
fn register_here(
    world: &World,
    backplane: &Arc<dyn Backplane>,
    (hub, uuid): (&Arc<HubActor>, Option<String>),
    link: &Link,
    answer: String,
) {
    let (backplane, hub, link) = (Arc::clone(backplane), Arc::clone(hub), link.clone());
    world.spawn(async move {
        let serial = &hub.serial;
        match backplane.register_here(serial).await {
            Ok(()) => {
                // The row of a hub is written only by the process that the hub runs in.
                if let Some(uuid) = uuid {
                    hub.take_uuid(&uuid);
                }
                hub.mark_controller();
                link.send(&answer);
            }
            Err(error) => {
                tracing::warn!(%error, %serial, "announcing a controller to the other processes failed");
                link.close(1013, "try again");
            }
        }
    });
}

/// Returns the error of the vendor's sample of a refused controller.
fn refused_controller() -> RpcError {
    RpcError::new(1, "cloud.error.login_controller_failed", "Login controller failed")
}

impl Drop for RelaySession {
    fn drop(&mut self) {
        match &self.state {
            State::User { hub: Some(hub), .. } => hub.detach(&self.link.conn_id),
            State::Controller { hub, .. } => hub.controller_disconnected(&self.link.conn_id),
            State::User { hub: None, .. } | State::RemoteClient { .. } | State::Unknown => {}
        }
    }
}

fn raw_params(request: &Envelope<'_>) -> Result<Value, RpcError> {
    let params = request.params.and_then(|raw| serde_json::from_str(raw.get()).ok());
    params.ok_or_else(|| RpcError::known("rpc.params.notfound"))
}

/// Lists a method of the report that the relay does not answer, with similar names.
fn record_unknown(world: &World, method: &str) {
    let known =
        [RelayLogin::NAME, RelayRegister::NAME].into_iter().chain(ezlo_hub_sim::SIMULATED_METHODS.iter().copied());
    usage_report::record_unmatched(&world.journal, method, method, known.map(str::to_owned));
}

fn params<T: serde::de::DeserializeOwned>(request: &Envelope<'_>) -> Result<T, RpcError> {
    let params = request.params.ok_or_else(|| RpcError::known("rpc.params.notfound"))?;
    decode(Some(params.get()))
}

/// Returns the serial of the requested hub.
///
/// The errors are from a list of the vendor of 2018. The set that the service sends today is not known.
fn requested_serial(request: &Envelope<'_>) -> Result<Serial, RpcError> {
    let params = raw_params(request)?;
    let serial = match &params["serial"] {
        Value::String(serial) => serial,
        Value::Null => {
            return Err(RpcError::new(-32600, "rpc.params.notfound.serial", "Bad request, serial does not exist"));
        }
        // Public clients always send the serial as a string.
        _ => return Err(RpcError::known("rpc.params.invalid")),
    };
    if serial.len() < SHORTEST_SERIAL {
        return Err(RpcError::new(-32602, "rpc.params.tooshort.serial", "Serial is too short"));
    }
    serial.parse().map_err(|_| RpcError::known("nma.invalid.ezlo.serial"))
}
