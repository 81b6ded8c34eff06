//! Listeners and connections: bytes to requests and back. No state of the cloud lives here.

use crate::faults::tcp;
use crate::server::control::worlds::Kept;
use crate::server::ws::connection;
use std::cell::RefCell;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::faults::http_raw::{RawWriteControl, RawWriteStream};
use ::http::HeaderValue;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::core::fd_limit::most_connections;
use crate::core::ready_line::Ready;
use crate::faults::kinds::FaultKind;
use crate::faults::point::{InjectionContext, InjectionPoint};
use crate::faults::tcp::FaultyStream;
use crate::mock_cloud::CloudContext;
use crate::world::World;
use crate::world::hub_actor::HubActor;
use ezlo_hub_sim::Local;

pub(crate) mod control;
pub(crate) mod http;
pub(crate) mod hub_ports;
pub(crate) mod mdns;
pub(crate) mod relay_session;
pub(crate) mod vendor;
pub(crate) mod ws;

/// What every connection needs.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) world: Arc<World>,
    /// The ready line, for the control API.
    pub(crate) ready: std::sync::OnceLock<Ready>,
    /// What the world was made from.
    pub(crate) origin: Arc<CloudContext>,
    /// What the control API keeps: copies of the world and states of it.
    kept: Kept,
}

impl Shared {
    pub(crate) fn new(world: Arc<World>, origin: Arc<CloudContext>) -> Self {
        Self { world, ready: std::sync::OnceLock::new(), origin, kept: Kept::default() }
    }

    /// The time of the world as a `Date` has it.
    fn date(&self) -> Option<HeaderValue> {
        thread_local! {
            /// The second and how it is written: most answers have that of the one before.
            static DATE: RefCell<(i64, Option<HeaderValue>)> = const { RefCell::new((0, None)) };
        }
        let second = self.world.clock.unix_seconds();
        DATE.with_borrow_mut(|date| {
            if date.0 != second || date.1.is_none() {
                let text = jiff::Timestamp::from_second(second).ok()?.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
                *date = (second, HeaderValue::from_str(&text).ok());
            }
            date.1.clone()
        })
    }
}

/// What a listener is for.
#[derive(Debug, Clone)]
pub(crate) enum ListenerKind {
    /// Every vendor host name.
    Cloud { tls: Option<Arc<ServerConfig>> },
    /// The control API.
    Control,
    /// A hub's Wi-Fi API.
    AccessPoint(Arc<HubActor>),
    /// A hub's access-point root.
    AccessPointRoot(Arc<HubActor>),
    /// A hub's local ports.
    Lan { hub: Arc<HubActor> },
}

impl ListenerKind {
    /// Its name in matches of faults.
    const fn listener(&self) -> &'static str {
        match self {
            Self::Cloud { .. } => "cloud",
            Self::Control => "control",
            Self::AccessPoint(_) | Self::AccessPointRoot(_) => "access-point",
            Self::Lan { .. } => "lan",
        }
    }

    const fn hub(&self) -> Option<&Arc<HubActor>> {
        match self {
            Self::AccessPoint(hub) | Self::AccessPointRoot(hub) | Self::Lan { hub, .. } => Some(hub),
            Self::Cloud { .. } | Self::Control => None,
        }
    }

    /// Whoever switches faults off must get through.
    const fn has_faults(&self) -> bool {
        !matches!(self, Self::Control)
    }
}

/// How long a TLS handshake, or its first byte, may take.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// How long a request's head may take, and a kept connection may idle. Public clients keep connections for about a minute.
const HEAD_TIME: Duration = Duration::from_secs(90);
/// Longest request head, in bytes: two tokens of 3.5 kB each and an account change of a few kB fit many times.
const MAX_HEAD: usize = 64 * 1024;
/// How long to wait after the system refused a connection (no descriptors left) before asking again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;

/// Binds a listener. `port` 0 = any free one. On a port that is `shared` several processes listen, and the system says which of
/// them takes a connection.
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

/// Serves a listener until it is dropped, and its connections with it.
pub(crate) async fn serve(shared: Arc<Shared>, listener: TcpListener, surface: ListenerKind) {
    let Ok(address) = listener.local_addr() else { return };
    let is_shared = shared.is_port_shared(&surface);
    let (mut listener, mut refused) = (Some(listener), false);
    let mut changes = shared.world.faults.changes();
    let slots = Arc::new(Semaphore::new(most_connections()));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
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
                    drop(slot);
                });
            }
            Some(Err(error)) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Whether nobody is to listen here now. Each time that a listener goes counts once.
fn listener_refuses(shared: &Shared, surface: &ListenerKind, refused: &mut bool) -> bool {
    let hub = surface.hub().map(|hub| hub.serial.to_string()).unwrap_or_default();
    let facts = InjectionContext { listener: surface.listener(), hub: &hub, ..InjectionContext::default() };
    let listener_refuses = surface.has_faults() && shared.world.faults.is_active(InjectionPoint::Listener, &facts);
    if listener_refuses && !std::mem::replace(refused, listener_refuses) {
        shared.world.fault(InjectionPoint::Listener, &facts);
    }
    *refused = listener_refuses;
    listener_refuses
}

/// Binds a port again that was let go.
async fn rebind(address: SocketAddr, is_shared: bool) -> TcpListener {
    loop {
        match bind(address, is_shared) {
            Ok((listener, _)) => return listener,
            Err(error) => {
                tracing::warn!(%error, %address, "cannot listen again");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Serves a connection to its end. What its requests need is gone once a WebSocket has taken it over: most of a connection's
/// life is that.
fn connection(shared: Arc<Shared>, stream: TcpStream, surface: ListenerKind) -> impl Future<Output = ()> + Send {
    let asks = Box::pin(serve_until_upgrade(shared, stream, surface));
    async move {
        if let Some(taken_over) = asks.await {
            taken_over.await;
        }
    }
}

/// Answers requests until the connection ends, or a WebSocket takes it over.
async fn serve_until_upgrade(shared: Arc<Shared>, stream: TcpStream, surface: ListenerKind) -> Option<TakenOver> {
    // Small frames must not wait for each other.
    let _ = stream.set_nodelay(true);
    let (stream, fault) = inject_connection_fault(&shared, stream, &surface).await?;
    let tls = match &surface {
        ListenerKind::Cloud { tls } => tls.clone(),
        ListenerKind::AccessPoint(hub) if !hub.read(|hub| hub.wifi.api_is_open()) => return None,
        ListenerKind::AccessPointRoot(hub) if !hub.read(|hub| hub.wifi.root_is_open()) => return None,
        ListenerKind::Lan { hub } => hub_tls(&shared, hub, stream.stream()).await?,
        ListenerKind::Control | ListenerKind::AccessPoint(_) | ListenerKind::AccessPointRoot(_) => None,
    };
    let accepted = match tls {
        None => Box::pin(serve_http(shared, stream, surface, false)).await,
        Some(config) => {
            // One that stalls on purpose stays.
            let stalls = matches!(fault, Some(FaultKind::StallAfter { .. }));
            let limit = if stalls { tcp::HALF_OPEN_TIME } else { HANDSHAKE_TIME };
            let config = match fault.map(|fault| shared.origin.authority.faulty(&fault)) {
                Some(Ok(Some(faulty))) => faulty,
                _ => config,
            };
            let handshake = Box::pin(TlsAcceptor::from(config).accept(stream));
            match tokio::time::timeout(limit, handshake).await {
                Ok(Ok(stream)) => Box::pin(serve_http(shared, stream, surface, true)).await,
                Ok(Err(error)) => {
                    tracing::debug!(%error, "TLS handshake failed");
                    None
                }
                Err(_) => {
                    tracing::debug!("TLS handshake took too long");
                    None
                }
            }
        }
    };
    accepted.map(connection::run)
}

/// What goes wrong with a connection before a byte was read; `None` when it is over.
async fn inject_connection_fault(
    shared: &Shared,
    stream: TcpStream,
    surface: &ListenerKind,
) -> Option<(FaultyStream, Option<FaultKind>)> {
    let hub = surface.hub().map(|hub| hub.serial.to_string()).unwrap_or_default();
    let facts = InjectionContext { listener: surface.listener(), hub: &hub, ..InjectionContext::default() };
    let speaks_tls = match surface {
        ListenerKind::Cloud { tls } => tls.is_some(),
        ListenerKind::Lan { hub, .. } => hub.local != Local::PlainSocket,
        ListenerKind::Control | ListenerKind::AccessPoint(_) | ListenerKind::AccessPointRoot(_) => false,
    };
    let can = |fault: &FaultKind| speaks_tls || !fault.is_of_tls();
    let fault = surface.has_faults().then(|| shared.world.fault_if(InjectionPoint::Connection, &facts, can)).flatten();
    match fault {
        Some(FaultKind::ResetOnAccept) => {
            tcp::reset(&stream);
            None
        }
        Some(FaultKind::Unresponsive) => {
            tokio::time::sleep(tcp::HALF_OPEN_TIME).await;
            None
        }
        Some(FaultKind::NoCommonCipher) => {
            // Boxed, as all that is rare or over soon: every connection is as large as its largest part.
            Box::pin(no_common_cipher(stream)).await;
            None
        }
        fault => Some((FaultyStream::new(stream, fault.as_ref(), || shared.world.faults.seed_of_one()), fault)),
    }
}

/// Answers the first words of a TLS client as a server does that knows none of its ciphers.
async fn no_common_cipher(mut stream: TcpStream) {
    const HANDSHAKE_FAILURE: [u8; 7] = [0x15, 3, 3, 0, 2, 2, 40];
    let mut hello = [0; 4096];
    let talk = async {
        if stream.read(&mut hello).await? == 0 {
            return Ok(());
        }
        stream.write_all(&HANDSHAKE_FAILURE).await?;
        stream.shutdown().await?;
        // Until the client has read it: what it says after that is not wanted, and a reset would take the alert with it.
        while stream.read(&mut hello).await? > 0 {}
        std::io::Result::Ok(())
    };
    let _ = tokio::time::timeout(HANDSHAKE_TIME, talk).await;
}

/// A hub's local port takes TLS, and clear text while insecure access is on; the first byte tells which it is. `None` when
/// the hub is not there or does not take this one.
async fn hub_tls(shared: &Shared, hub: &HubActor, stream: &TcpStream) -> Option<Option<Arc<ServerConfig>>> {
    const TLS_HANDSHAKE: u8 = 0x16;
    if hub.local == Local::PlainSocket {
        return hub.read(|hub| hub.wifi.on_network()).then_some(None);
    }
    if !hub.read(|hub| hub.wifi.on_network()) {
        return None;
    }
    let mut first = [0];
    let peek = tokio::time::timeout(HANDSHAKE_TIME, stream.peek(&mut first));
    match peek.await {
        // The certificate is made for the first who asks: most hubs are never asked.
        Ok(Ok(1)) if first[0] == TLS_HANDSHAKE => match shared.origin.authority.hub(hub.serial.as_str()) {
            Ok(tls) => Some(Some(tls)),
            Err(error) => {
                tracing::warn!(%error, serial = %hub.serial, "a hub has no certificate");
                None
            }
        },
        Ok(Ok(1)) => hub.read(|hub| hub.insecure_access).then_some(None),
        _ => None,
    }
}

/// The rest of a connection.
type TakenOver = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A WebSocket that a request asked for; taken over once the answer is out.
type UpgradeSlot = Arc<Mutex<Option<connection::Accepted>>>;

/// What a request may leave for its connection.
#[derive(Clone, Default)]
struct ConnectionSlot {
    upgrade: UpgradeSlot,
    tamper: Arc<RawWriteControl>,
}

/// Answers requests, until the connection ends or a WebSocket takes it over.
async fn serve_http<S>(shared: Arc<Shared>, stream: S, surface: ListenerKind, tls: bool) -> Option<connection::Accepted>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let exchange = ConnectionSlot::default();
    let stream = RawWriteStream::new(stream, Arc::clone(&exchange.tamper));
    // One for the connection: what all connections count together is a place where they meet.
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
    let serving = Box::pin(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIME)
            .max_buf_size(MAX_HEAD)
            // A client that has said everything may close its side and still wants the answer. Not on a hub's own ports: there
            // an answer may have no end, and only a client that is seen to go gives its place free.
            .half_close(!matches!(surface, ListenerKind::Lan { .. }))
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades(),
    );
    // A hub that drops its local connections drops those too that speak HTTP or have not logged in.
    let dropped = async {
        match &mut drops {
            Some(drops) => drop(drops.changed().await),
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        served = serving => if let Err(error) = served {
            tracing::debug!(%error, "connection ended early");
        },
        () = dropped => return None,
    }
    exchange.upgrade.lock().unwrap_or_else(PoisonError::into_inner).take()
}
