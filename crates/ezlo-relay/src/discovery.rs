//! Discovery of hubs on the local network by mDNS (`_ezlo._tcp.local`).

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ezlo_protocol::serial::Serial;
use mdns_sd::{Receiver, ResolvedService, ServiceDaemon, ServiceEvent};
use tokio::time::Instant;

use crate::config::LONGEST;

/// Service name of hubs (the vendor's guide; three clients).
const SERVICE: &str = "_ezlo._tcp.local.";
/// Maximum number of hubs that a search returns, so that a flood of announcements cannot fill the memory.
const MOST: usize = 256;

/// A hub that was announced on the local network.
///
/// Announcements are not authenticated. Only the certificate and the login prove the identity of a hub.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FoundHub {
    /// The announced serial.
    pub serial: Serial,
    /// Address and port of the WebSocket; IPv4 is preferred, link-local IPv6 addresses are ignored.
    pub address: SocketAddr,
    /// The host name, such as `HUB90000001.local`.
    pub host: String,
    /// The model, such as `h2.1`, if it is announced.
    pub model: Option<String>,
    /// The firmware version, if it is announced.
    pub firmware: Option<String>,
}

/// An error of the discovery.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum DiscoveryError {
    /// The mDNS socket cannot be opened.
    #[error("cannot listen for mDNS announcements: {0}")]
    Listen(String),
    /// No announcement of the hub arrived within the time limit.
    #[error("hub {serial} was not announced within {limit:?}; check that it is on this network")]
    NotFound {
        /// The serial of the hub.
        serial: Serial,
        /// The time limit of the search.
        limit: Duration,
    },
}

/// Searches the local network for hubs and returns them in the order of their serials.
///
/// Sends mDNS queries for `_ezlo._tcp.local` and collects the answers for the whole `limit` (at most 365 days), or until 256
/// hubs were found. Of several announcements with the same serial, the last one is returned.
///
/// # Errors
///
/// [`DiscoveryError::Listen`] if the mDNS socket cannot be opened. An empty network is not an error.
///
/// # Cancel safety
///
/// Dropping the future stops the search.
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

/// Searches the local network for one hub and returns its first announcement.
///
/// Sends mDNS queries for `_ezlo._tcp.local` and waits up to `limit` (at most 365 days).
///
/// # Errors
///
/// [`DiscoveryError::Listen`] if the mDNS socket cannot be opened; [`DiscoveryError::NotFound`] if the hub was not announced
/// in time.
///
/// # Cancel safety
///
/// Dropping the future stops the search.
pub async fn find(serial: &Serial, limit: Duration) -> Result<FoundHub, DiscoveryError> {
    let mut search = Search::start(limit)?;
    while let Some(hub) = search.next().await {
        if hub.serial == *serial {
            return Ok(hub);
        }
    }
    Err(DiscoveryError::NotFound { serial: serial.clone(), limit })
}

/// A running search. Dropping it stops the thread of the mDNS daemon.
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
        // Fails only if the command queue is full; the daemon then stops when its last handle is dropped.
        let _ = self.daemon.shutdown();
    }
}

/// Decodes an announcement. Returns `None` without a valid serial or a usable address. TXT keys are case-insensitive
/// (RFC 6763, 6.4): hubs write `Serial`, a public client reads `serial`.
fn read(service: &ResolvedService) -> Option<FoundHub> {
    let text = |name: &str| service.get_property_val_str(name).filter(|text| !text.is_empty()).map(str::to_owned);
    let serial = text("serial")?.parse().ok()?;
    let mut addresses: Vec<IpAddr> = service.addresses.iter().map(mdns_sd::ScopedIp::to_ip_addr).collect();
    // IPv4 first. Link-local IPv6 addresses do not work without their scope.
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
    fn announcements_of_both_firmwares_are_decoded() {
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
    fn announcement_without_serial_or_usable_address_is_ignored() {
        for (addresses, serial) in
            [("192.0.2.7", ""), ("192.0.2.7", "../etc"), ("", "90000001"), ("fe80::1", "90000001")]
        {
            assert_eq!(announced("h.local.", addresses, &[("Serial", serial)]), None, "{addresses:?} {serial:?}");
        }
        assert_eq!(announced("h.local.", "192.0.2.7", &[]), None);
    }
}
