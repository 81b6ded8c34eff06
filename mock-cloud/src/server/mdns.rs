//! Announces hubs on the local network by mDNS, as real hubs do.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use mdns_sd::{ServiceDaemon, ServiceInfo};

use crate::world::hub_actor::HubActor;
use ezlo_hub_sim::world_file::HubKind;

/// Service type of hubs (the vendor's guide, three clients).
const SERVICE: &str = "_ezlo._tcp.local.";

/// Time after which other machines forget the address of a hub that has vanished (RFC 6762, section 10).
const RECORD_LIFE: Duration = Duration::from_secs(120);

/// An mDNS daemon that announces hubs until it is dropped.
pub(crate) struct Announcer {
    daemon: ServiceDaemon,
    /// Instance and host names in use. Names that clash are numbered, as RFC 6762 (section 9) does.
    names: Mutex<BTreeSet<String>>,
}

impl std::fmt::Debug for Announcer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Announcer")
    }
}

impl Announcer {
    /// Starts the daemon.
    pub(crate) fn new() -> Result<Self, mdns_sd::Error> {
        Ok(Self { daemon: ServiceDaemon::new()?, names: Mutex::default() })
    }

    /// Returns a future that announces a hub at the given address while the hub is on its network.
    pub(crate) fn announce_hub(
        &self,
        hub: &HubActor,
        address: SocketAddr,
    ) -> Result<impl Future<Output = ()> + Send + use<>, mdns_sd::Error> {
        let free = |name: &str| self.free(name);
        let (daemon, service) = (self.daemon.clone(), service(hub, address, &free)?);
        let mut on_network = hub.on_network.subscribe();
        on_network.mark_changed();
        let has_power = hub.has_power.subscribe();
        Ok(async move {
            while on_network.changed().await.is_ok() {
                let is_announced = *on_network.borrow_and_update();
                if !is_announced && !*has_power.borrow() {
                    // A hub without power sends no goodbye: its records expire.
                    let _ = tokio::time::timeout(RECORD_LIFE, on_network.changed()).await;
                    on_network.mark_changed();
                    if *on_network.borrow() {
                        continue;
                    }
                }
                // Errors are ignored because the daemon ends together with the cloud.
                if is_announced {
                    let _ = daemon.register(service.clone());
                } else {
                    let _ = daemon.unregister(service.get_fullname());
                }
            }
        })
    }
}

impl Announcer {
    /// Returns the name, or the name with the next free number, and reserves it.
    fn free(&self, name: &str) -> String {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let numbered = (2_u32..).map(|number| format!("{name}-{number}"));
        let free = std::iter::once(name.to_owned()).chain(numbered).find(|name| !names.contains(name));
        let free = free.unwrap_or_else(|| name.to_owned());
        names.insert(free.clone());
        free
    }
}

impl Drop for Announcer {
    fn drop(&mut self) {
        // The daemon's thread sends the goodbye messages of all hubs.
        let _ = self.daemon.shutdown();
    }
}

/// Creates the service of a hub.
///
/// Linux hubs use the names of (guide20:p3), including the spaces in the names of TXT members. EzloPi hubs use those of the
/// firmware's source (EzloPi).
fn service(hub: &HubActor, address: SocketAddr, free: &dyn Fn(&str) -> String) -> Result<ServiceInfo, mdns_sd::Error> {
    let serial = hub.serial.as_str();
    let model = hub.read(|hub| hub.model.clone());
    let last = serial.len().saturating_sub(4);
    let (instance, host, members) = match hub.kind {
        HubKind::Ezlopi => (
            "EzloPi".to_owned(),
            format!("ezlopi_{}", &serial[last..]),
            vec![("Serial", serial.to_owned()), ("ezlopi_device_type", model)],
        ),
        _ => (
            format!("eZLO {model} controller ({serial})"),
            format!("HUB{serial}"),
            vec![
                ("Hub Type", model),
                ("Vendor", "eZLO".to_owned()),
                ("Firmware Version", hub.family.firmware.to_owned()),
                ("Serial", serial.to_owned()),
            ],
        ),
    };
    let (instance, host) = (free(&instance), format!("{}.local.", free(&host)));
    let members: Vec<(&str, &str)> = members.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let bound: Option<IpAddr> = (!address.ip().is_unspecified()).then(|| address.ip());
    let ip = bound.map(|ip| ip.to_string()).unwrap_or_default();
    let info = ServiceInfo::new(SERVICE, &instance, &host, ip.as_str(), address.port(), members.as_slice())?;
    // Without a specific address, all addresses of this machine are announced.
    Ok(if bound.is_none() { info.enable_addr_auto() } else { info })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::hub_actor::hub_snapshot::HubSnapshot;
    use crate::world::hub_env::HubEnv;
    use ezlo_hub_sim::HubAssumptions;
    use ezlo_hub_sim::world_file::WorldFile;

    fn hub(serial: &str) -> HubActor {
        let world = WorldFile::bundled("hostile").unwrap();
        let file = world.hubs.iter().find(|hub| hub.serial.as_str() == serial).unwrap();
        let snapshot = HubSnapshot::from_file(file, 0, 1, &HubAssumptions::default(), 0);
        HubActor::from_shot(&HubEnv::for_tests(), &snapshot)
    }

    #[test]
    fn announced_names_match_those_that_clients_search() {
        let info = service(&hub("90000001"), "127.0.0.1:17000".parse().unwrap(), &str::to_owned).unwrap();
        // The dot is escaped only in the text form of a DNS name, not on the wire.
        assert_eq!(info.get_fullname(), r"eZLO h2\.1 controller (90000001)._ezlo._tcp.local.");
        assert_eq!((info.get_hostname(), info.get_port()), ("HUB90000001.local.", 17000));
        assert_eq!(info.get_property_val_str("serial"), Some("90000001"), "a client reads it in lower case");
        assert_eq!(info.get_property_val_str("Hub Type"), Some("h2.1"));
        assert_eq!(info.get_addresses_v4().len(), 1);
        let info = service(&hub("105000001"), "0.0.0.0:17001".parse().unwrap(), &str::to_owned).unwrap();
        assert_eq!((info.get_hostname(), info.is_addr_auto()), ("ezlopi_0001.local.", true));
    }

    #[test]
    fn names_that_clash_are_numbered() {
        let announcer = Announcer::new().unwrap();
        let names = [(); 3].map(|()| announcer.free("EzloPi"));
        assert_eq!(names, ["EzloPi", "EzloPi-2", "EzloPi-3"]);
        assert_eq!(announcer.free("ezlopi_0001"), "ezlopi_0001");
    }
}
