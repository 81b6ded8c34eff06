//! Starts the listeners of a world and builds its ready line.

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use ezlo_protocol::serial::Serial;

use crate::config::{Config, Ports};
use crate::core::own_address::reachable;
use crate::core::ready_line::{Ready, ReadyHub, ReadyUser, ReadyWifi};
use crate::mock_cloud::error::StartError;
use crate::server;
use crate::server::context::CloudContext;
use crate::server::shared::{ListenerKind, Shared};
use crate::world::hub_actor::HubActor;
use ezlo_hub_sim::Local;
use ezlo_hub_sim::world_file::HubKind;

/// Number of hubs with ports of their own. Each needs up to four listeners.
const HUBS_WITH_PORTS: usize = 16;

/// Local port of Linux hubs (hub-kit, users) and of EzloPi boards (EzloPi firmware source).
const LINUX_PORT: u16 = 17_000;
const BOARD_PORT: u16 = 17_001;

/// Number of hubs in the ready line, in the order of the world file. The control API shows every hub.
const MOST_READY: usize = 1000;

/// An announcer of hubs on the local network. Dropping it withdraws the announcements.
pub(crate) trait Announce: std::fmt::Debug + Send + Sync {
    /// Returns a future that announces a hub at the given address while the hub is on its network.
    fn announce(&self, hub: &HubActor, address: SocketAddr) -> Result<AnnounceTask, AnnounceError>;
}

/// The task that announces one hub.
pub(crate) type AnnounceTask = Pin<Box<dyn Future<Output = ()> + Send>>;
/// The reason for which hubs cannot be announced.
pub(crate) type AnnounceError = Box<dyn std::error::Error + Send + Sync>;

/// Starts the mDNS service of this process.
#[cfg(feature = "mdns")]
pub(crate) fn announcer() -> Result<Box<dyn Announce>, StartError> {
    match crate::server::mdns::Announcer::new() {
        Ok(announcer) => Ok(Box::new(announcer)),
        Err(error) => Err(StartError::Mdns(error.into())),
    }
}

/// Refuses to announce hubs.
#[cfg(not(feature = "mdns"))]
pub(crate) fn announcer() -> Result<Box<dyn Announce>, StartError> {
    Err(StartError::Mdns("this build has no mDNS; enable the Cargo feature `mdns` of ezlo-mock-cloud".into()))
}

#[cfg(feature = "mdns")]
impl Announce for crate::server::mdns::Announcer {
    fn announce(&self, hub: &HubActor, address: SocketAddr) -> Result<AnnounceTask, AnnounceError> {
        Ok(Box::pin(self.announce_hub(hub, address)?))
    }
}

/// The listeners of one world.
pub(crate) struct Listeners<'a> {
    pub(crate) shared: &'a Arc<Shared>,
    pub(crate) origin: &'a CloudContext,
    pub(crate) ports: Ports,
    pub(crate) announce: Option<&'a dyn Announce>,
    /// Each hub has an address of its own.
    pub(crate) hub_addresses: bool,
}

impl Listeners<'_> {
    pub(crate) fn start(&self) -> Result<Ready, StartError> {
        let (ports, CloudContext { config, file, authority, ca_path, .. }) = (self.ports, self.origin);
        let tls = authority.cloud()?;
        let vendor_hosts = ListenerKind::Cloud { tls: Some(tls) };
        let https = self.listen("https", ports.https, vendor_hosts.clone())?;
        let coordinator = ports.coordinator.map(|port| self.listen("coordinator", port, vendor_hosts)).transpose()?;
        let http = self.listen("http", ports.http, ListenerKind::Cloud { tls: None })?;
        let control = self.listen("control", ports.control, ListenerKind::Control)?;
        let count = file.hubs.iter().map(|hub| hub.count() as usize).sum::<usize>();
        let mut hubs = Vec::with_capacity(count.min(MOST_READY));
        let all = file.hubs.iter().flat_map(|hub| (0..hub.count()).map(move |n| (hub, n)));
        for (at, (hub, n)) in all.take(MOST_READY).enumerate() {
            let ready = self.shared.world.ready_hub(hub, n);
            let ready = ReadyHub { owner: self.owner(&hub.serial_of(n)), ..ready };
            hubs.push(if at < HUBS_WITH_PORTS { self.with_ports(ready, &hub.serial_of(n), at)? } else { ready });
        }
        let users = file.users.iter().map(|user| ReadyUser {
            username: user.username.clone(),
            password: Some(user.password.expose().to_owned()),
            account: user.account,
        });
        let wifi = file.wifi.iter().filter(|network| network.published).filter_map(|network| {
            let passkey = network.passkey.as_ref()?.expose().to_owned();
            Some(ReadyWifi { ssid: network.ssid.clone(), passkey })
        });
        Ok(Ready {
            ready: true,
            version: env!("CARGO_PKG_VERSION"),
            seed: config.effective_seed(),
            profile: config.profile.as_str(),
            https: format!("https://{https}"),
            http: format!("http://{http}"),
            relay: format!("wss://{https}"),
            coordinator: coordinator.map(|address| format!("https://{address}")),
            control: format!("http://{control}"),
            control_token: self.origin.control_token.clone(),
            ca_pem: ca_path.clone(),
            users: users.collect(),
            wifi: wifi.collect(),
            hubs,
        })
    }

    fn listen(&self, what: &str, port: u16, surface: ListenerKind) -> Result<SocketAddr, StartError> {
        let Config { bind, control_bind, .. } = &self.origin.config;
        let ip = if matches!(surface, ListenerKind::Control) { *control_bind } else { *bind };
        self.listen_at(what, ip, port, surface)
    }

    fn listen_at(&self, what: &str, ip: IpAddr, port: u16, surface: ListenerKind) -> Result<SocketAddr, StartError> {
        let address = SocketAddr::new(ip, port);
        let bound = server::bind(address, self.shared.is_port_shared(&surface));
        let (listener, address) =
            bound.map_err(|source| StartError::Bind { what: what.to_owned(), address, source })?;
        self.shared.world.spawn(server::serve(Arc::clone(self.shared), listener, address, surface));
        Ok(reachable(address))
    }

    /// Returns the first user of the account that owns the hub now.
    fn owner(&self, serial: &Serial) -> Option<String> {
        let accounts = self.shared.world.accounts();
        let account = accounts.ownership(serial)?.account;
        accounts.users_of(account).min_by_key(|user| user.id).map(|user| user.username.clone())
    }

    fn with_ports(&self, mut ready: ReadyHub, serial: &Serial, at: usize) -> Result<ReadyHub, StartError> {
        let cell = &self.shared.world.hub(serial);
        if let Some(cell) = cell.as_ref().filter(|cell| cell.kind != HubKind::Vera) {
            let ports = self.ports;
            let name = |what: &str| format!("{what} of hub {}", cell.serial);
            // Fixed ports count up from hub to hub. Port 0 stays 0: any free port.
            let port = |first: u16| if first == 0 { 0 } else { first.saturating_add(u16::try_from(at).unwrap_or(0)) };
            let ap = self.listen(&name("access point"), port(ports.ap), ListenerKind::AccessPoint(Arc::clone(cell)))?;
            let root = ListenerKind::AccessPointRoot(Arc::clone(cell));
            let ap_root = self.listen(&name("access point root"), port(ports.ap_root), root)?;
            ready.ap = Some(format!("http://{ap}"));
            ready.ap_root = Some(format!("http://{ap_root}"));
            self.open_local_ports(&mut ready, cell, at)?;
        }
        Ok(ready)
    }

    /// Opens the local ports of a hub and announces it.
    fn open_local_ports(&self, ready: &mut ReadyHub, cell: &Arc<HubActor>, at: usize) -> Result<(), StartError> {
        if cell.local == Local::None {
            return Ok(());
        }
        let config = &self.origin.config;
        let lan = || ListenerKind::Lan { hub: Arc::clone(cell) };
        let name = |what: &str| format!("{what} of hub {}", cell.serial);
        let is_full = cell.local == Local::Full;
        // Fixed ports count up from hub to hub. Port 0 stays 0: any free port.
        let port = |first: u16| if first == 0 { 0 } else { first.saturating_add(u16::try_from(at).unwrap_or(0)) };
        let (ip, port, http_port) = if self.hub_addresses {
            let last = u8::try_from(at + 1).unwrap_or(u8::MAX);
            (IpAddr::from([127, 0, 0, last]), if is_full { LINUX_PORT } else { BOARD_PORT }, None)
        } else {
            let ip = config.lan_bind.unwrap_or(config.bind);
            (ip, port(self.ports.lan), Some(port(self.ports.lan_http)))
        };
        let address = self.listen_at(&name("local port"), ip, port, lan())?;
        if let Some(announcer) = self.announce {
            let bound = SocketAddr::new(ip, address.port());
            self.shared.world.spawn(announcer.announce(cell, bound).map_err(StartError::Mdns)?);
        }
        ready.lan = Some(format!("{}://{address}", if is_full { "wss" } else { "ws" }));
        if is_full {
            // A real hub answers HTTP on the port of its WebSockets.
            let http = match http_port {
                Some(port) => self.listen_at(&name("local HTTP port"), ip, port, lan())?,
                None => address,
            };
            ready.lan_http = Some(format!("https://{http}"));
        }
        Ok(())
    }
}
