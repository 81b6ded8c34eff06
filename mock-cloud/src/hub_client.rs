//! A hub that is a process of its own: it registers at a relay by the controller side and answers what comes through it.

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

use crate::config::{Config, ConfigError};
use crate::core::clock::Clock;
use crate::wire::frame_writer;
use crate::wire::frame_writer::ReplyRoute;
use crate::world::hub_actor::HubActor;
use crate::world::outbox::{Link, LinkKind, Out, Outbox};
use crate::world::{World, WorldConfig};
use ezlo_hub_sim::json::RawJson;
use ezlo_hub_sim::world_file::HubKind;

/// Longest message taken, in bytes, as at the relay.
const MAX_MESSAGE: usize = 1024 * 1024;
/// How long connecting and registering may take.
const CONNECT_TIME: Duration = Duration::from_secs(15);
/// A relay pings every 20 s; one that says nothing for so long is gone.
const SILENCE: Duration = Duration::from_secs(70);
/// How long a message may take to go out.
const WRITE_TIME: Duration = Duration::from_secs(10);

/// A hub that brings itself.
#[derive(Debug, Clone)]
pub struct ControllerConfig {
    /// `ws://` or `wss://` address of the relay.
    pub relay: String,
    /// Its serial.
    pub serial: Serial,
    /// The address on its label; that of the world file when absent.
    pub mac: Option<MacAddress>,
    /// The authority that signed the relay's certificate, in PEM; needed for `wss://`.
    pub ca_pem: Option<String>,
    /// World, seed and assumptions, as for a whole cloud.
    pub config: Config,
}

/// A hub process cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControllerError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The relay's address is no WebSocket address.
    #[error("{0:?} is not a relay: give ws://HOST[:PORT] or wss://HOST[:PORT]")]
    Address(String),
    /// TLS needs to know whom to trust.
    #[error("wss:// needs the relay's authority; give --ca FILE, the ca_pem of its ready line")]
    NoAuthority,
    /// The authority's certificate cannot be used.
    #[error("the authority's certificate cannot be used: {0}")]
    Authority(String),
    /// The world has no hub to play.
    #[error("the world {0:?} has no hub that speaks to this relay")]
    NoHub(String),
    /// The relay cannot be reached.
    #[error("cannot reach the relay at {relay}: {reason}")]
    Unreachable {
        /// Its address.
        relay: String,
        /// Why.
        reason: String,
    },
    /// The relay does not want this hub.
    #[error("the relay refused hub {serial}: {text}; does the MAC address match the one it knows?")]
    Refused {
        /// Whose registration it was.
        serial: String,
        /// What it said.
        text: String,
    },
}

/// A hub at a relay.
#[derive(Debug)]
pub struct Controller {
    config: ControllerConfig,
    world: Arc<World>,
    cell: Arc<HubActor>,
}

/// Ends everything that runs in the hub's world when it goes.
impl Drop for Controller {
    fn drop(&mut self) {
        self.world.stop();
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

type Socket = WebSocketStream<Box<dyn Stream>>;

impl Controller {
    /// Makes the hub: that of the world file with its serial, else the first one there, under this serial.
    pub fn new(config: ControllerConfig) -> Result<Self, ControllerError> {
        config.config.check()?;
        let mut file = config.config.load_world()?;
        let playable = |hub: &&ezlo_hub_sim::world_file::HubFile| hub.kind != HubKind::Vera;
        let known = file.hubs.iter().find(|hub| hub.has(&config.serial)).filter(playable);
        let mut hub = known
            .or_else(|| file.hubs.iter().find(playable))
            .cloned()
            .ok_or_else(|| ControllerError::NoHub(config.config.world.clone()))?;
        hub.serial = config.serial.clone();
        hub.mac = config.mac.unwrap_or(hub.mac);
        hub.owner = None;
        hub.copies = None;
        // A process that reaches a relay is on a network.
        hub.online = true;
        file.hubs = vec![hub];
        file.users.clear();
        let world = World::new(WorldConfig {
            clock: Clock::real(),
            seed: config.config.seed,
            assumptions: config.config.effective_guesses(),
            profile: config.config.profile,
            framing: config.config.framing,
            file: file.into(),
            journal: false,
            keeper: None,
            asleep: false,
        });
        let clock = world.clock.clone();
        world.spawn(async move { clock.drive().await });
        let cell = world.hub(&config.serial).ok_or_else(|| ControllerError::NoHub(config.config.world.clone()))?;
        Ok(Self { config, world, cell })
    }

    /// Waits until the hub is back from a restart; at once when it is there.
    pub async fn wait_until_up(&self) {
        let mut on_network = self.cell.on_network.subscribe();
        // The hub lives as long as this does.
        let _ = on_network.wait_for(|there| *there).await;
    }

    /// Whether the hub is away because it restarts.
    pub fn is_restarting(&self) -> bool {
        !*self.cell.on_network.borrow()
    }

    /// Connects, registers, and answers until the connection ends. `ready` runs once the relay has taken the hub. A hub that
    /// restarts lets go of its relay: that is a good end too; [`Controller::wait_until_up`], then serve again.
    pub async fn serve(&self, ready: impl FnOnce()) -> Result<(), ControllerError> {
        let unreachable = |reason: String| ControllerError::Unreachable { relay: self.config.relay.clone(), reason };
        let connect = tokio::time::timeout(CONNECT_TIME, self.connect()).await;
        let mut socket = connect.map_err(|_| unreachable("it took too long".into()))??;
        let (link, mut outbox) = Link::new(&self.world.journal, None, self.world.random.uuid(), LinkKind::Controller);
        let registered = tokio::time::timeout(CONNECT_TIME, self.register(&mut socket)).await;
        registered.map_err(|_| unreachable("it does not answer".into()))??;
        if !self.cell.attach(link.clone()) {
            return Err(unreachable("too many connections".into()));
        }
        ready();
        let ended = self.converse(&mut socket, &link, &mut outbox).await;
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
            let connector = TlsConnector::from(Arc::new(self.trust()?));
            Box::new(connector.connect(name, stream).await.map_err(|error| unreachable(&error))?)
        } else {
            Box::new(stream)
        };
        let limits = WebSocketConfig::default().max_message_size(Some(MAX_MESSAGE)).max_frame_size(Some(MAX_MESSAGE));
        let opened = tokio_tungstenite::client_async_with_config(relay.as_str(), stream, Some(limits)).await;
        opened.map(|(socket, _)| socket).map_err(|error| unreachable(&error))
    }

    fn trust(&self) -> Result<ClientConfig, ControllerError> {
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

    /// The members of a controller's registration are those of the EzloPi capture.
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
        let lost =
            |reason: &str| ControllerError::Unreachable { relay: self.config.relay.clone(), reason: reason.into() };
        socket.send(Message::text(request.to_string())).await.map_err(|error| lost(&error.to_string()))?;
        while let Some(message) = socket.next().await {
            let Message::Text(text) = message.map_err(|error| lost(&error.to_string()))? else { continue };
            let answer: Value = serde_json::from_str(&text).unwrap_or_default();
            if answer["method"] == REGISTERED && answer["error"].is_null() {
                return Ok(());
            }
            if !answer["error"].is_null() {
                let text = answer["error"]["data"].as_str().unwrap_or("without a reason").to_owned();
                return Err(ControllerError::Refused { serial: self.cell.serial.to_string(), text });
            }
        }
        Err(lost("it closed the connection"))
    }

    /// Answers until the connection ends; the reason, if it is one.
    async fn converse(&self, socket: &mut Socket, link: &Link, outbox: &mut Outbox) -> Result<(), String> {
        loop {
            tokio::select! {
                biased;
                out = outbox.recv() => match out {
                    Some(Out::Text(text, _)) => send(socket, Message::Text(text)).await?,
                    Some(Out::Close) => {
                        let _ = tokio::time::timeout(WRITE_TIME, socket.close(None)).await;
                        return Ok(());
                    }
                    None => return Err("the hub let go of the connection".into()),
                },
                message = tokio::time::timeout(SILENCE, socket.next()) => match message {
                    Err(_) => return Err("it has gone silent".into()),
                    Ok(None) => return Ok(()),
                    Ok(Some(Err(error))) => return Err(error.to_string()),
                    Ok(Some(Ok(Message::Close(_)))) => return Ok(()),
                    Ok(Some(Ok(Message::Text(text)))) => self.on_text(&text, link),
                    // The library answers pings when it is next written to.
                    Ok(Some(Ok(Message::Ping(_)))) => send(socket, Message::Pong(Bytes::new())).await?,
                    Ok(Some(Ok(_))) => {}
                },
            }
        }
    }

    fn on_text(&self, text: &str, link: &Link) {
        let envelope = match Envelope::parse(text) {
            Ok(envelope) if envelope.kind() == FrameKind::Request => envelope,
            // Answers to nothing we asked and broadcasts of others are no business of a hub.
            Ok(_) => return,
            Err(_) => {
                link.send(&frame_writer::not_a_request(None, text, ReplyRoute::Local));
                return;
            }
        };
        let sender = envelope.sender.map(serde_json::value::RawValue::get);
        let answer = |outcome: &Result<RawJson, RpcError>| {
            link.send(&self.cell.reply_text(&envelope, outcome, ReplyRoute::Passed(sender)));
        };
        // The outcome has gone out already.
        let _ = self.cell.call(&envelope, answer);
    }
}

async fn send(socket: &mut Socket, message: Message) -> Result<(), String> {
    match tokio::time::timeout(WRITE_TIME, socket.send(message)).await {
        Ok(sent) => sent.map_err(|error| error.to_string()),
        Err(_) => Err("it does not take what is sent".into()),
    }
}
