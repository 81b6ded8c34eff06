//! Listeners, connections and TLS of the cloud, the hubs and the control API.
//!
//! This layer turns bytes into requests and replies into bytes. It holds no state of the cloud.

use crate::faults::tcp;
use crate::server::shared::ConnectionSlot;
use crate::server::shared::ListenerKind;
use crate::server::shared::Shared;
use crate::server::ws::connection;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use crate::faults::http_raw::RawWriteStream;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use rustls::server::Acceptor;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::LazyConfigAcceptor;

use crate::core::fd_limit::{most_connections, process_slots};
use crate::core::own_ports::OwnPort;
use crate::faults::kinds::{ConnectionFault, ListenerFault};
use crate::faults::point::InjectionContext;
use crate::faults::tcp::FaultyStream;
use crate::journal::Journal;
use crate::journal::entry::EntryKind;
use crate::world::hub_actor::HubActor;
use ezlo_hub_sim::Local;
#[cfg(feature = "legacy-tls")]
use ezlo_hub_sim::world_file::HubKind;

pub(crate) mod context;
pub(crate) mod control;
pub(crate) mod credentials;
pub(crate) mod http;
pub(crate) mod hub_ports;
#[cfg(feature = "mdns")]
pub(crate) mod mdns;
pub(crate) mod relay_session;
pub(crate) mod shared;
pub(crate) mod vendor;
pub(crate) mod ws;

/// Deadline for a TLS handshake, and for its first byte.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// Deadline for a request head, and the idle timeout of a keep-alive connection. Public clients reuse connections for about
/// one minute.
const HEAD_TIME: Duration = Duration::from_secs(90);
/// Maximum length of a request head, in bytes. Two tokens of 3.5 kB each and an account change of a few kB are far below it.
const MAX_HEAD: usize = 64 * 1024;
/// Delay before the next attempt after the system could not accept a connection or bind a port, for example without free file
/// descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Minimum time between two reports of failures of one listener.
const REPORT_PAUSE: Duration = Duration::from_secs(5);

/// Length of the queue of connections that are not accepted yet.
const BACKLOG: u32 = 1024;

/// Binds a listener and returns its address. Port 0 selects a free port.
///
/// Several processes can listen on a port that is `shared`. The system distributes the connections among them.
pub(crate) fn bind(address: SocketAddr, shared: bool) -> std::io::Result<(TcpListener, SocketAddr)> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    #[cfg(unix)]
    socket.set_reuseport(shared)?;
    socket.bind(address)?;
    let listener = socket.listen(BACKLOG)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Accepts and serves connections until the future is dropped. Dropping it also ends the connections.
///
/// The port is registered as one of this process before the future is polled.
pub(crate) fn serve(
    shared: Arc<Shared>,
    listener: TcpListener,
    address: SocketAddr,
    surface: ListenerKind,
) -> impl Future<Output = ()> + Send {
    let own_port = OwnPort::register(address.port());
    async move {
        accept_all(shared, listener, address, surface).await;
        drop(own_port);
    }
}

async fn accept_all(shared: Arc<Shared>, listener: TcpListener, address: SocketAddr, surface: ListenerKind) {
    let is_shared = shared.is_port_shared(&surface);
    let (mut listener, mut refused) = (Some(listener), false);
    let mut changes = shared.world.faults.changes();
    let is_control = matches!(surface, ListenerKind::Control);
    let most = most_connections();
    let slots = Arc::new(Semaphore::new(if is_control { most.control } else { most.listener }));
    let mut failures = AcceptFailures::default();
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        let process_slot = if is_control { None } else { process_slots().acquire_owned().await.ok() };
        changes.mark_unchanged();
        if listener_refuses(&shared, &surface, &mut refused) {
            listener = None;
            let _ = changes.changed().await;
            continue;
        }
        let open = match listener.take() {
            Some(open) => open,
            None => rebind(address, is_shared).await,
        };
        let accepted = tokio::select! {
            accepted = open.accept() => Some(accepted),
            _ = changes.changed() => None,
        };
        listener = Some(open);
        match accepted {
            None => {}
            Some(Ok((stream, _))) => {
                let (shared, surface) = (Arc::clone(&shared), surface.clone());
                connections.spawn(async move {
                    connection(shared, stream, surface).await;
                    drop((slot, process_slot));
                });
            }
            Some(Err(error)) => {
                failures.report(&error);
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Failures of accepting connections, reported at most once per [`REPORT_PAUSE`].
#[derive(Default)]
struct AcceptFailures {
    since: u64,
    reported: Option<Instant>,
}

impl AcceptFailures {
    fn report(&mut self, error: &std::io::Error) {
        self.since += 1;
        if self.reported.is_none_or(|reported| reported.elapsed() >= REPORT_PAUSE) {
            tracing::warn!(%error, failures = self.since, "accepting a connection failed; trying again");
            *self = Self { since: 0, reported: Some(Instant::now()) };
        }
    }
}

/// Returns whether a fault refuses connections at this listener. The fault is counted once per closing of the listener.
fn listener_refuses(shared: &Shared, surface: &ListenerKind, refused: &mut bool) -> bool {
    let hub = surface.hub().map(|hub| hub.serial.to_string()).unwrap_or_default();
    let facts = InjectionContext { listener: surface.listener(), hub: &hub, ..InjectionContext::default() };
    let listener_refuses = surface.has_faults() && shared.world.faults.is_active::<ListenerFault>(&facts);
    if listener_refuses && !std::mem::replace(refused, listener_refuses) {
        // Counts and records it; the listener stays closed while the fault is active.
        let _: Option<ListenerFault> = shared.world.fault(&facts);
    }
    *refused = listener_refuses;
    listener_refuses
}

/// Binds a released port again, with retries until it succeeds.
async fn rebind(address: SocketAddr, is_shared: bool) -> TcpListener {
    loop {
        match bind(address, is_shared) {
            Ok((listener, _)) => return listener,
            Err(error) => {
                tracing::warn!(%error, %address, "binding the port again failed; trying again");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Serves a connection until it ends.
///
/// The state of the HTTP phase is freed before a WebSocket starts. This keeps long-lived WebSocket connections small.
fn connection(shared: Arc<Shared>, stream: TcpStream, surface: ListenerKind) -> impl Future<Output = ()> + Send {
    let http_phase = Box::pin(serve_until_upgrade(shared, stream, surface));
    async move {
        if let Some(taken_over) = http_phase.await {
            taken_over.await;
        }
    }
}

/// Injects connection faults, does the TLS handshake and serves requests.
///
/// Returns `None` when the connection has ended, or the rest of the connection after an upgrade to a WebSocket.
async fn serve_until_upgrade(shared: Arc<Shared>, stream: TcpStream, surface: ListenerKind) -> Option<TakenOver> {
    // Small frames must not wait for each other (Nagle's algorithm).
    let _ = stream.set_nodelay(true);
    let (stream, fault) = inject_connection_fault(&shared, stream, &surface).await?;
    let tls = match &surface {
        ListenerKind::Cloud { tls } => tls.clone(),
        ListenerKind::AccessPoint(hub) if !hub.read(|hub| hub.wifi.api_is_open()) => return None,
        ListenerKind::AccessPointRoot(hub) if !hub.read(|hub| hub.wifi.root_is_open()) => return None,
        ListenerKind::Lan { hub } => hub_tls(&shared, hub, stream.stream()).await?,
        ListenerKind::Control | ListenerKind::AccessPoint(_) | ListenerKind::AccessPointRoot(_) => None,
    };
    #[cfg(feature = "legacy-tls")]
    if let ListenerKind::Lan { hub } = &surface
        && tls.is_some()
        && shared.origin.config.legacy_tls
        && hub.kind == HubKind::Linux
    {
        let stream = Box::pin(legacy_handshake(&shared, hub, stream)).await?;
        return Box::pin(serve_http(shared, stream, surface, true)).await.map(connection::run);
    }
    let accepted = match tls {
        None => Box::pin(serve_http(shared, stream, surface, false)).await,
        Some(config) => {
            // An injected stall must not end at the handshake timeout.
            let stalls = matches!(fault, Some(ConnectionFault::StallAfter { .. }));
            let limit = if stalls { tcp::UNRESPONSIVE_TIME } else { HANDSHAKE_TIME };
            let faulty = fault.and_then(|fault| shared.origin.authority.faulty(&fault).transpose());
            let config = match faulty {
                Some(Ok(faulty)) => faulty,
                Some(Err(error)) => {
                    tracing::error!(%error, "cannot create the certificate of a fault");
                    config
                }
                None => config,
            };
            match tokio::time::timeout(limit, Box::pin(handshake(stream, config))).await {
                Ok(Ok(stream)) => Box::pin(serve_http(shared, stream, surface, true)).await,
                Ok(Err(failure)) => {
                    failure.report(&shared.world.journal, surface.listener());
                    None
                }
                Err(_) => {
                    tracing::debug!("TLS handshake timed out");
                    None
                }
            }
        }
    };
    accepted.map(connection::run)
}

/// A TLS handshake that the client ended.
struct HandshakeFailure {
    /// The host name that the client asked for; `None` if it sent no ClientHello, or none in it.
    name: Option<String>,
    error: std::io::Error,
}

impl HandshakeFailure {
    /// Records the failure. A connection that ends before its ClientHello, such as that of a port scan, is only logged.
    fn report(&self, journal: &Journal, listener: &str) {
        let Some(name) = &self.name else {
            tracing::debug!(error = %self.error, "a connection ended before its TLS handshake");
            return;
        };
        let cause = self.error.to_string();
        let remedy =
            "the client must trust the file ca_pem of the ready line, and use a name of the certificate (--tls-name)";
        tracing::warn!(name, cause, remedy, "a client refused the TLS handshake");
        let content = serde_json::json!({"listener": listener, "cause": cause, "remedy": remedy});
        journal.named(EntryKind::TlsFailed, "", name, None, &content);
    }
}

/// Does the TLS handshake of a server.
async fn handshake(
    stream: FaultyStream,
    config: Arc<ServerConfig>,
) -> Result<tokio_rustls::server::TlsStream<FaultyStream>, HandshakeFailure> {
    let hello = LazyConfigAcceptor::new(Acceptor::default(), stream).await;
    let started = hello.map_err(|error| HandshakeFailure { name: None, error })?;
    // Clients that connect by address send no name.
    let name = started.client_hello().server_name().unwrap_or("no name").to_owned();
    started.into_stream(config).await.map_err(|error| HandshakeFailure { name: Some(name), error })
}

/// Does the TLS handshake of a hub with old firmware.
#[cfg(feature = "legacy-tls")]
async fn legacy_handshake(
    shared: &Shared,
    hub: &HubActor,
    stream: FaultyStream,
) -> Option<tokio_openssl::SslStream<FaultyStream>> {
    let tls = shared.origin.authority.legacy_hub(hub.serial.as_str());
    let tls = tls
        .inspect_err(|error| tracing::warn!(%error, serial = %hub.serial, "creating the hub's RSA certificate failed"));
    match tokio::time::timeout(HANDSHAKE_TIME, tls.ok()?.accept(stream)).await {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(error)) => {
            HandshakeFailure { name: Some(hub.serial.to_string()), error }.report(&shared.world.journal, "lan");
            None
        }
        Err(_) => None,
    }
}

/// Applies the fault of the injection point `connection`, before any byte is read.
///
/// Returns `None` if the fault has ended the connection.
async fn inject_connection_fault(
    shared: &Shared,
    stream: TcpStream,
    surface: &ListenerKind,
) -> Option<(FaultyStream, Option<ConnectionFault>)> {
    let hub = surface.hub().map(|hub| hub.serial.to_string()).unwrap_or_default();
    let facts = InjectionContext { listener: surface.listener(), hub: &hub, ..InjectionContext::default() };
    let uses_tls = match surface {
        ListenerKind::Cloud { tls } => tls.is_some(),
        ListenerKind::Lan { hub, .. } => hub.local != Local::PlainSocket,
        ListenerKind::Control | ListenerKind::AccessPoint(_) | ListenerKind::AccessPointRoot(_) => false,
    };
    let can = |fault: &ConnectionFault| uses_tls || !fault.is_of_tls();
    let fault = surface.has_faults().then(|| shared.world.fault_if(&facts, can)).flatten();
    match fault {
        Some(ConnectionFault::ResetOnAccept) => {
            tcp::reset(&stream);
            None
        }
        Some(ConnectionFault::Unresponsive) => {
            tokio::time::sleep(tcp::UNRESPONSIVE_TIME).await;
            None
        }
        Some(ConnectionFault::NoCommonCipher) => {
            // Boxed because it is rare: every connection's future is as large as its largest part.
            Box::pin(no_common_cipher(stream)).await;
            None
        }
        fault => Some((FaultyStream::new(stream, fault.as_ref(), || shared.world.faults.next_seed()), fault)),
    }
}

/// Answers a TLS ClientHello with the alert `handshake_failure`, as a server without a common cipher does.
async fn no_common_cipher(mut stream: TcpStream) {
    const HANDSHAKE_FAILURE: [u8; 7] = [0x15, 3, 3, 0, 2, 2, 40];
    let mut hello = [0; 4096];
    let talk = async {
        if stream.read(&mut hello).await? == 0 {
            return Ok(());
        }
        stream.write_all(&HANDSHAKE_FAILURE).await?;
        stream.shutdown().await?;
        // Unread input would cause a reset on close, which can discard the alert before the client reads it.
        while stream.read(&mut hello).await? > 0 {}
        std::io::Result::Ok(())
    };
    let _ = tokio::time::timeout(HANDSHAKE_TIME, talk).await;
}

/// Selects TLS or plain text for a connection to a hub's local port, from its first byte.
///
/// Plain text is accepted while insecure access is on, or if the hub's local port is a plain socket. Returns `None` if the hub
/// is not on its network or does not accept the connection.
async fn hub_tls(shared: &Shared, hub: &HubActor, stream: &TcpStream) -> Option<Option<Arc<ServerConfig>>> {
    const TLS_HANDSHAKE: u8 = 0x16;
    if hub.is_unplugged() {
        // A hub without power refuses nothing. The operating system has accepted the connection already, so it stays silent.
        let _ = tokio::time::timeout(tcp::UNRESPONSIVE_TIME, hub.wait_until_on_network()).await;
        return None;
    }
    if hub.local == Local::PlainSocket {
        return hub.read(|hub| hub.wifi.on_network()).then_some(None);
    }
    if !hub.read(|hub| hub.wifi.on_network()) {
        return None;
    }
    let mut first = [0];
    let peek = tokio::time::timeout(HANDSHAKE_TIME, stream.peek(&mut first));
    match peek.await {
        // The certificate is created at the first connection, because most hubs get none.
        Ok(Ok(1)) if first[0] == TLS_HANDSHAKE => match shared.origin.authority.hub(hub.serial.as_str()) {
            Ok(tls) => Some(Some(tls)),
            Err(error) => {
                tracing::warn!(%error, serial = %hub.serial, "creating the hub's certificate failed");
                None
            }
        },
        Ok(Ok(1)) => hub.read(|hub| hub.insecure_access).then_some(None),
        _ => None,
    }
}

/// The remainder of a connection after the upgrade to a WebSocket.
type TakenOver = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Serves HTTP requests until the connection ends. Returns the WebSocket if a request was upgraded.
async fn serve_http<S>(shared: Arc<Shared>, stream: S, surface: ListenerKind, tls: bool) -> Option<connection::Accepted>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let exchange = ConnectionSlot::default();
    let stream = RawWriteStream::new(stream, Arc::clone(&exchange.tamper));
    // One `Arc` per connection: a reference count shared by all connections would be a point of contention.
    let context = Arc::new((shared, surface.clone(), exchange.clone()));
    let service = service_fn(move |request| {
        let context = Arc::clone(&context);
        async move {
            let (shared, surface, exchange) = &*context;
            http::answer(shared, surface, tls, exchange, request).await
        }
    });
    let mut drops = match &surface {
        ListenerKind::Lan { hub, .. } => Some(hub.drops.subscribe()),
        _ => None,
    };
    let mut serving = Box::pin(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIME)
            .max_buf_size(MAX_HEAD)
            // A client may close its sending side and still wait for the response. Not on a hub's local port: a response can be
            // endless there, and the slot is only freed when the disconnect is detected.
            .half_close(!matches!(surface, ListenerKind::Lan { .. }))
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades(),
    );
    // A hub that drops its local connections also drops HTTP connections and those without a login.
    let dropped = async {
        match &mut drops {
            Some(drops) => drop(drops.changed().await),
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        served = &mut serving => if let Err(error) = served {
            tracing::debug!(%error, "connection ended with an error");
        },
        () = dropped => {
            // A hub without power closes nothing.
            if let ListenerKind::Lan { hub } = &surface && hub.is_unplugged() {
                hub.wait_until_on_network().await;
            }
            return None;
        }
    }
    exchange.upgrade.lock().unwrap_or_else(PoisonError::into_inner).take()
}
