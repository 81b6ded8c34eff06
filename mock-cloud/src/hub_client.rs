//! A simulated hub that runs on its own, registers at a relay as a controller and answers the relayed calls.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ezlo_protocol::mac::MacAddress;
use ezlo_protocol::rpc::{Envelope, FrameKind, REGISTERED, RpcError};
use ezlo_protocol::serial::Serial;
use futures_util::{SinkExt, StreamExt};
use http::Uri;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use crate::config::Config;
use crate::config::error::ConfigError;
use crate::core::clock::Clock;
use crate::wire;
use crate::wire::ReplyRoute;
use crate::world::hub_actor::HubActor;
use crate::world::outbox::{Link, LinkKind, Out, Outbox};
use crate::world::{World, WorldConfig};
use ezlo_hub_sim::json::RawJson;
use ezlo_hub_sim::world_file::HubKind;

/// Maximum length of a received message, in bytes, as at the relay.
const MAX_MESSAGE: usize = 1024 * 1024;
/// Timeout of connecting, and of registering.
const CONNECT_TIME: Duration = Duration::from_secs(15);
/// Idle timeout: the relay sends a ping every 20 s.
const SILENCE: Duration = Duration::from_secs(70);
/// Timeout of sending one message.
const WRITE_TIME: Duration = Duration::from_secs(10);

/// The settings of a [`Controller`].
#[derive(Debug, Clone)]
pub struct ControllerConfig {
    /// Address of the relay, beginning with `ws://` or `wss://` (default port: 80 or 443).
    pub relay: String,
    /// Serial of the hub.
    pub serial: Serial,
    /// MAC address on the label of the hub (default: that of the hub in the world file).
    pub mac: Option<MacAddress>,
    /// Certificate of the CA that signed the relay's certificate, in PEM. Required for `wss://`.
    pub ca_pem: Option<String>,
    /// World, seed, profile and assumptions, as for a whole cloud.
    pub config: Config,
}

/// The errors of a [`Controller`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControllerError {
    /// The configuration is not valid, or its world cannot be loaded.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The address of the relay is not a WebSocket address.
    #[error("{0:?} is not the address of a relay; expected ws://HOST[:PORT] or wss://HOST[:PORT]")]
    Address(String),
    /// The address begins with `wss://`, and no CA certificate is configured.
    #[error("wss:// requires the relay's CA certificate; give --ca FILE, the ca_pem of its ready line")]
    NoAuthority,
    /// The CA certificate cannot be used. The text is the cause.
    #[error("the CA certificate cannot be used: {0}")]
    Authority(String),
    /// The world has no hub that can register at this relay. Vera hubs cannot.
    #[error("world {0:?} has no hub that can register at this relay; Vera hubs cannot")]
    NoHub(String),
    /// The connection to the relay could not be opened, or was lost.
    #[error("connection to the relay at {relay} failed: {reason}")]
    Unreachable {
        /// Address of the relay.
        relay: String,
        /// Cause of the failure.
        reason: String,
    },
    /// The relay refused the registration of the hub.
    #[error("the relay refused hub {serial}: {text}; check that the MAC address is the one that the relay expects")]
    Refused {
        /// Serial of the hub.
        serial: String,
        /// Error text of the relay.
        text: String,
    },
}

/// A simulated hub that registers at a relay, with a world of its own.
///
/// Dropping it stops the tasks of that world.
#[derive(Debug)]
pub struct Controller {
    config: ControllerConfig,
    world: Arc<World>,
    cell: Arc<HubActor>,
}

impl Drop for Controller {
    fn drop(&mut self) {
        self.world.stop();
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

type Socket = WebSocketStream<Box<dyn Stream>>;

impl Controller {
    /// Creates the hub from the world of the configuration. No network traffic.
    ///
    /// Uses the hub of the world with the configured serial or, if there is none, the first hub under this serial. Vera hubs
    /// are skipped.
    ///
    /// # Errors
    ///
    /// - [`ControllerError::Config`] if the configuration is not valid or the world cannot be loaded.
    /// - [`ControllerError::NoHub`] if the world has no hub except Vera hubs.
    ///
    /// # Panics
    ///
    /// Panics outside of a Tokio runtime.
    pub fn new(config: ControllerConfig) -> Result<Self, ControllerError> {
        config.config.check()?;
        let mut file = crate::worlds::load(&config.config.world)?;
        let can_register = |hub: &&ezlo_hub_sim::world_file::HubFile| hub.kind != HubKind::Vera;
        let known = file.hubs.iter().find(|hub| hub.has(&config.serial)).filter(can_register);
        let mut hub = known
            .or_else(|| file.hubs.iter().find(can_register))
            .cloned()
            .ok_or_else(|| ControllerError::NoHub(config.config.world.clone()))?;
        hub.serial = config.serial.clone();
        hub.mac = config.mac.unwrap_or(hub.mac);
        hub.owner = None;
        hub.copies = None;
        // A hub that reaches a relay is on a network.
        hub.online = true;
        file.hubs = vec![hub];
        file.users.clear();
        let world = World::new(WorldConfig {
            clock: Clock::real(),
            signing_key: crate::config::SigningKey::Seed,
            seed: config.config.effective_seed(),
            assumptions: config.config.effective_assumptions(),
            profile: config.config.profile,
            file: file.into(),
            journal: false,
            keeper: None,
            authority: None,
            asleep: false,
        });
        let clock = world.clock.clone();
        world.spawn(async move { clock.drive().await });
        let cell = world.hub(&config.serial).ok_or_else(|| ControllerError::NoHub(config.config.world.clone()))?;
        Ok(Self { config, world, cell })
    }

    /// Waits until the hub is on its network: until a restart has ended. Returns at once if it does not restart.
    ///
    /// Reads the local state; no network traffic.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropping the future has no effect.
    pub async fn wait_until_up(&self) {
        let mut on_network = self.cell.on_network.subscribe();
        // Fails only if the sender is dropped, and `self.cell` owns it.
        let _ = on_network.wait_for(|is_on_network| *is_on_network).await;
    }

    /// Returns whether the hub is off its network because it restarts. Reads the local state.
    pub fn is_restarting(&self) -> bool {
        !*self.cell.on_network.borrow()
    }

    /// Connects to the relay, registers the hub and answers calls until the connection ends.
    ///
    /// Opens one WebSocket connection and sends one `register` call. `ready` runs once when the relay has accepted the
    /// registration. Connecting and registering have a timeout of 15 s each; the connection ends after 70 s without traffic.
    ///
    /// Returns `Ok` if the relay closed the connection, or if the hub did because it restarts: then call
    /// [`Controller::wait_until_up`] and serve again. There is no reconnection.
    ///
    /// # Errors
    ///
    /// - [`ControllerError::Address`] if the address is not a WebSocket address.
    /// - [`ControllerError::NoAuthority`] or [`ControllerError::Authority`] if the CA certificate is missing or not usable.
    /// - [`ControllerError::Unreachable`] if the connection cannot be opened, times out or is lost.
    /// - [`ControllerError::Refused`] if the relay refuses the registration.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropping the future closes the connection; calls that were received may stay unanswered.
    pub async fn serve(&self, ready: impl FnOnce()) -> Result<(), ControllerError> {
        let unreachable = |reason: String| ControllerError::Unreachable { relay: self.config.relay.clone(), reason };
        let connect = tokio::time::timeout(CONNECT_TIME, self.connect()).await;
        let mut socket = connect.map_err(|_| unreachable("connecting timed out".into()))??;
        let (link, mut outbox) = Link::new(&self.world.journal, None, self.world.random.uuid(), LinkKind::Controller);
        let registered = tokio::time::timeout(CONNECT_TIME, self.register(&mut socket)).await;
        registered.map_err(|_| unreachable("the registration timed out".into()))??;
        if !self.cell.attach(link.clone()) {
            return Err(unreachable("the hub has too many connections".into()));
        }
        ready();
        let ended = self.run_connection(&mut socket, &link, &mut outbox).await;
        self.cell.detach(&link.conn_id);
        ended.map_err(unreachable)
    }

    async fn connect(&self) -> Result<Socket, ControllerError> {
        let relay = &self.config.relay;
        let wrong = || ControllerError::Address(relay.clone());
        let uri: Uri = relay.parse().map_err(|_| wrong())?;
        let host = uri.host().ok_or_else(wrong)?.trim_start_matches('[').trim_end_matches(']').to_owned();
        let tls = match uri.scheme_str() {
            Some("wss") => true,
            Some("ws") => false,
            _ => return Err(wrong()),
        };
        let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let unreachable = |error: &dyn std::fmt::Display| ControllerError::Unreachable {
            relay: relay.clone(),
            reason: error.to_string(),
        };
        let stream = TcpStream::connect((host.as_str(), port)).await.map_err(|error| unreachable(&error))?;
        let stream: Box<dyn Stream> = if tls {
            let name = ServerName::try_from(host).map_err(|_| wrong())?;
            let connector = TlsConnector::from(Arc::new(self.tls_config()?));
            Box::new(connector.connect(name, stream).await.map_err(|error| unreachable(&error))?)
        } else {
            Box::new(stream)
        };
        let limits = WebSocketConfig::default().max_message_size(Some(MAX_MESSAGE)).max_frame_size(Some(MAX_MESSAGE));
        let opened = tokio_tungstenite::client_async_with_config(relay.as_str(), stream, Some(limits)).await;
        opened.map(|(socket, _)| socket).map_err(|error| unreachable(&error))
    }

    fn tls_config(&self) -> Result<ClientConfig, ControllerError> {
        let wrong = |error: &dyn std::fmt::Display| ControllerError::Authority(error.to_string());
        let pem = self.config.ca_pem.as_ref().ok_or(ControllerError::NoAuthority)?;
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            roots.add(certificate.map_err(|error| wrong(&error))?).map_err(|error| wrong(&error))?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        Ok(versions.map_err(|error| wrong(&error))?.with_root_certificates(roots).with_no_client_auth())
    }

    /// Registers the hub. The members of the request are those of a captured registration of EzloPi (captures).
    async fn register(&self, socket: &mut Socket) -> Result<(), ControllerError> {
        let (uuid, model) = self.cell.read(|hub| (hub.uuid.clone(), hub.model.clone()));
        let request = json!({
            "id": self.world.random.uuid(),
            "method": "register",
            "params": {
                "serial": self.cell.serial.as_str(),
                "firmware": self.cell.family.firmware,
                "timeOffset": 0,
                "media": "radio",
                "hubType": model,
                "controller_uuid": uuid,
                "mac_address": self.cell.mac.to_string(),
                "maxFrameSize": MAX_MESSAGE,
            },
        });
        let failed =
            |reason: &str| ControllerError::Unreachable { relay: self.config.relay.clone(), reason: reason.into() };
        socket.send(Message::text(request.to_string())).await.map_err(|error| failed(&error.to_string()))?;
        while let Some(message) = socket.next().await {
            let Message::Text(text) = message.map_err(|error| failed(&error.to_string()))? else { continue };
            let answer: Value = serde_json::from_str(&text).unwrap_or_default();
            if answer["method"] == REGISTERED && answer["error"].is_null() {
                return Ok(());
            }
            if !answer["error"].is_null() {
                let text = answer["error"]["data"].as_str().unwrap_or("no reason given").to_owned();
                return Err(ControllerError::Refused { serial: self.cell.serial.to_string(), text });
            }
        }
        Err(failed("the relay closed the connection"))
    }

    /// Sends and answers messages until the connection ends. Returns an error text if it ended irregularly.
    async fn run_connection(&self, socket: &mut Socket, link: &Link, outbox: &mut Outbox) -> Result<(), String> {
        loop {
            tokio::select! {
                biased;
                out = outbox.recv() => match out {
                    Some(Out::Text(text, _)) => send(socket, Message::Text(text)).await?,
                    Some(Out::Close) => {
                        let _ = tokio::time::timeout(WRITE_TIME, socket.close(None)).await;
                        return Ok(());
                    }
                    None => return Err("the outgoing queue overflowed or was closed".into()),
                },
                message = tokio::time::timeout(SILENCE, socket.next()) => match message {
                    Err(_) => return Err("the relay sent no message within the idle timeout".into()),
                    Ok(None) => return Ok(()),
                    Ok(Some(Err(error))) => return Err(error.to_string()),
                    Ok(Some(Ok(Message::Close(_)))) => return Ok(()),
                    Ok(Some(Ok(Message::Text(text)))) => self.on_text(&text, link),
                    // The library sends its pong only with the next write, so a write is forced.
                    Ok(Some(Ok(Message::Ping(_)))) => send(socket, Message::Pong(Bytes::new())).await?,
                    Ok(Some(Ok(_))) => {}
                },
            }
        }
    }

    fn on_text(&self, text: &str, link: &Link) {
        let envelope = match Envelope::parse(text) {
            Ok(envelope) if envelope.kind() == FrameKind::Request => envelope,
            // A hub sends no requests of its own after the registration, and ignores broadcasts.
            Ok(_) => return,
            Err(_) => {
                link.send(&wire::not_a_request(None, text, ReplyRoute::Local));
                return;
            }
        };
        let sender = envelope.sender.map(serde_json::value::RawValue::get);
        let answer = |outcome: &Result<RawJson, RpcError>| {
            link.send(&self.cell.reply_text(&envelope, outcome, ReplyRoute::Passed(sender)));
        };
        // `answer` has sent the outcome.
        let _ = self.cell.call(&envelope, answer);
    }
}

async fn send(socket: &mut Socket, message: Message) -> Result<(), String> {
    match tokio::time::timeout(WRITE_TIME, socket.send(message)).await {
        Ok(sent) => sent.map_err(|error| error.to_string()),
        Err(_) => Err("sending a message timed out".into()),
    }
}
