//! Hubs that announce themselves on the local network (mDNS, `_ezlo._tcp.local`).

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ezlo_protocol::serial::Serial;
use mdns_sd::{Receiver, ResolvedService, ServiceDaemon, ServiceEvent};
use tokio::time::Instant;

use crate::config::LONGEST;

/// What hubs call their service (the vendor's guide, three clients).
const SERVICE: &str = "_ezlo._tcp.local.";
/// Hubs that one search keeps; a network that announces more is not a home.
const MOST: usize = 256;

/// A hub that announced itself. Anybody can announce anything: only its certificate and the login prove who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FoundHub {
    /// Its serial, as announced.
    pub serial: Serial,
    /// Its WebSocket port.
    pub address: SocketAddr,
    /// Its name on the network, such as `HUB90000001.local`.
    pub host: String,
    /// Its model, such as `h2.1`, where it says so.
    pub model: Option<String>,
    /// Its firmware, where it says so.
    pub firmware: Option<String>,
}

/// Looking for hubs failed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum DiscoveryError {
    /// This machine lets nobody listen for announcements.
    #[error("cannot listen for announcements on the local network: {0}")]
    Listen(String),
    /// The hub did not announce itself in time.
    #[error("hub {serial} did not announce itself within {limit:?}; is it on this network?")]
    NotFound {
        /// Which hub.
        serial: Serial,
        /// How long was listened.
        limit: Duration,
    },
}

/// Listens that long, and returns every hub that announced itself, each once, in the order of serials.
pub async fn discover(limit: Duration) -> Result<Vec<FoundHub>, DiscoveryError> {
    let mut search = Search::start(limit)?;
    let mut found: Vec<FoundHub> = Vec::new();
    while let Some(hub) = search.next().await {
        // The newest announcement counts.
        found.retain(|known| known.serial != hub.serial);
        found.push(hub);
        if found.len() == MOST {
            break;
        }
    }
    found.sort_by(|a, b| a.serial.as_str().cmp(b.serial.as_str()));
    Ok(found)
}

/// Listens until that hub announced itself.
pub async fn find(serial: &Serial, limit: Duration) -> Result<FoundHub, DiscoveryError> {
    let mut search = Search::start(limit)?;
    while let Some(hub) = search.next().await {
        if hub.serial == *serial {
            return Ok(hub);
        }
    }
    Err(DiscoveryError::NotFound { serial: serial.clone(), limit })
}

/// Ends the daemon's thread when it is dropped.
struct Search {
    daemon: ServiceDaemon,
    heard: Receiver<ServiceEvent>,
    end: Instant,
}

impl Search {
    fn start(limit: Duration) -> Result<Self, DiscoveryError> {
        let failed = |error: mdns_sd::Error| DiscoveryError::Listen(error.to_string());
        let daemon = ServiceDaemon::new().map_err(failed)?;
        let heard = daemon.browse(SERVICE).map_err(failed)?;
        Ok(Self { daemon, heard, end: Instant::now() + limit.min(LONGEST) })
    }

    async fn next(&mut self) -> Option<FoundHub> {
        loop {
            match tokio::time::timeout_at(self.end, self.heard.recv_async()).await {
                Ok(Ok(ServiceEvent::ServiceResolved(service))) => {
                    if let Some(hub) = read(&service) {
                        return Some(hub);
                    }
                }
                Ok(Ok(_)) => {}
                Ok(Err(_)) | Err(_) => return None,
            }
        }
    }
}

impl Drop for Search {
    fn drop(&mut self) {
        // Its own thread ends by it; a queue that is full ends with the daemon's last handle.
        let _ = self.daemon.shutdown();
    }
}

/// Names of members are the same in capitals (RFC 6763, 6.4): hubs write `Serial`, a public client reads `serial`.
fn read(service: &ResolvedService) -> Option<FoundHub> {
    let text = |name: &str| service.get_property_val_str(name).filter(|text| !text.is_empty()).map(str::to_owned);
    let serial = text("serial")?.parse().ok()?;
    let mut addresses: Vec<IpAddr> = service.addresses.iter().map(mdns_sd::ScopedIp::to_ip_addr).collect();
    // IPv4 first: link-local IPv6 addresses do not work without their scope.
    addresses.sort_by_key(|address| (address.is_ipv6(), *address));
    let address = addresses.into_iter().find(|address| !is_link_local(address))?;
    Some(FoundHub {
        serial,
        address: SocketAddr::new(address, service.port),
        host: service.host.trim_end_matches('.').to_owned(),
        model: text("hub type").or_else(|| text("ezlopi_device_type")),
        firmware: text("firmware version"),
    })
}

const fn is_link_local(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => false,
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mdns_sd::ServiceInfo;

    fn announced(host: &str, addresses: &str, members: &[(&str, &str)]) -> Option<FoundHub> {
        let info = ServiceInfo::new(SERVICE, "some hub", host, addresses, 17_000, members).unwrap();
        read(&info.as_resolved_service())
    }

    #[test]
    fn both_firmwares_announcements_are_read() {
        let members =
            [("Hub Type", "g150"), ("Vendor", "eZLO"), ("Firmware Version", "2.0.35"), ("Serial", "90000001")];
        let hub = announced("HUB90000001.local.", "fe80::1,2001:db8::7,192.0.2.7", &members).unwrap();
        assert_eq!((hub.serial.as_str(), hub.host.as_str()), ("90000001", "HUB90000001.local"));
        assert_eq!(hub.address, "192.0.2.7:17000".parse().unwrap());
        assert_eq!((hub.model.as_deref(), hub.firmware.as_deref()), (Some("g150"), Some("2.0.35")));
        let pi = announced("ezlopi_0001.local.", "192.0.2.8", &[("serial", "105000001"), ("ezlopi_device_type", "x")]);
        assert_eq!(pi.unwrap().model.as_deref(), Some("x"));
    }

    #[test]
    fn what_is_no_hub_is_passed_over() {
        for (addresses, serial) in
            [("192.0.2.7", ""), ("192.0.2.7", "../etc"), ("", "90000001"), ("fe80::1", "90000001")]
        {
            assert_eq!(announced("h.local.", addresses, &[("Serial", serial)]), None, "{addresses:?} {serial:?}");
        }
        assert_eq!(announced("h.local.", "192.0.2.7", &[]), None);
    }
}
