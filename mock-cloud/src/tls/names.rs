//! Host names and addresses of server certificates.

use crate::core::host_name::check_host_name;
use crate::core::own_address::reachable;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use rcgen::{CidrSubnet, GeneralSubtree, NameConstraints, SanType};

use crate::tls::params::TlsError;

/// Host names of the vendor that a simulated cloud serves. An asterisk matches one label.
const VENDOR_NAMES: &[&str] =
    &["*.mios.com", "*.ezlo.com", "*.up.mios.com", "mios.com", "ezlo.com", "localhost", "*.localhost"];

/// Domains that the name constraints always permit, with their subdomains.
const VENDOR_DOMAINS: &[&str] = &["mios.com", "ezlo.com", "localhost"];

/// DNS names and addresses of a server certificate.
#[derive(Debug, Clone)]
pub(crate) struct TlsNames {
    dns: Vec<String>,
    /// Top-level domains with one certificate per requested name, because verifiers refuse a wildcard before a single label.
    top_level: Vec<String>,
    addresses: BTreeSet<IpAddr>,
    /// Address of this machine in its network, which can change.
    own_address: Option<IpAddr>,
}

impl TlsNames {
    /// Returns the names of [`new`](Self::new) and, for a listener on all addresses, the address of this machine in its network.
    pub(crate) fn with_own_address(bind: IpAddr, further: &[String]) -> Self {
        let own_address = Some(reachable(SocketAddr::new(bind, 0)).ip());
        Self { own_address, ..Self::new(bind, further) }
    }

    /// Returns the names without the address of this machine in its network.
    #[cfg(feature = "persisted-authority")]
    pub(crate) fn without_own_address(&self) -> Self {
        Self { own_address: None, ..self.clone() }
    }

    #[cfg(feature = "persisted-authority")]
    pub(crate) const fn own_address(&self) -> Option<IpAddr> {
        self.own_address
    }

    fn all_addresses(&self) -> BTreeSet<IpAddr> {
        self.addresses.iter().copied().chain(self.own_address).collect()
    }

    /// Returns the vendor's names, loopback, the bound address, and the names and addresses of `--tls-name`.
    pub(crate) fn new(bind: IpAddr, further: &[String]) -> Self {
        let mut dns: Vec<String> = VENDOR_NAMES.iter().map(|name| (*name).to_owned()).collect();
        let mut addresses = BTreeSet::from([Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into(), bind]);
        for name in further {
            match name.parse() {
                Ok(address) => {
                    addresses.insert(address);
                }
                Err(_) => dns.push(name.clone()),
            }
        }
        let is_single = |name: &String| name.strip_prefix("*.").is_some_and(|domain| !domain.contains('.'));
        let (stars, dns): (Vec<_>, Vec<_>) = dns.into_iter().partition(is_single);
        let top_level = stars.iter().map(|star| star.trim_start_matches("*.").to_owned()).collect();
        Self { dns, top_level, addresses, own_address: None }
    }

    /// Returns these names together with a requested name, if it is a single label below one of the top-level domains.
    pub(crate) fn with_requested(&self, name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let (label, domain) = name.split_once('.')?;
        let is_served = self.top_level.iter().any(|top| top == domain) && check_host_name(label).is_ok();
        is_served.then(|| Self { dns: self.dns.iter().cloned().chain([name.clone()]).collect(), ..self.clone() })
    }

    /// Returns one DNS name without addresses.
    pub(crate) fn only(name: &str) -> Self {
        Self { dns: vec![name.to_owned()], top_level: Vec::new(), addresses: BTreeSet::new(), own_address: None }
    }

    pub(crate) fn alternative_names(&self) -> Result<Vec<SanType>, TlsError> {
        let dns = self.dns.iter().map(|name| Ok(SanType::DnsName(name.as_str().try_into()?)));
        let addresses = self.all_addresses().into_iter().map(|address| Ok(SanType::IpAddress(address)));
        dns.chain(addresses).collect()
    }

    /// Returns the domains that cover all DNS names, without wildcards.
    fn domains(&self) -> BTreeSet<&str> {
        let covered = |name: &&str| !VENDOR_DOMAINS.iter().any(|domain| is_below(name, domain));
        let names = self.dns.iter().chain(&self.top_level);
        let own = names.map(|name| name.strip_prefix("*.").unwrap_or(name)).filter(covered);
        VENDOR_DOMAINS.iter().copied().chain(own).collect()
    }

    /// Returns name constraints that permit only these names.
    pub(crate) fn constraints(&self) -> NameConstraints {
        let domains = self.domains().into_iter().map(|domain| GeneralSubtree::DnsName(domain.to_owned()));
        let subnet = |address: &IpAddr| {
            let bits = if address.is_ipv4() { 32 } else { 128 };
            GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(*address, bits))
        };
        let permitted_subtrees = domains.chain(self.all_addresses().iter().map(subnet)).collect();
        NameConstraints { permitted_subtrees, excluded_subtrees: Vec::new() }
    }

    /// Returns the first name that the permitted domains and addresses do not cover.
    pub(crate) fn first_outside(&self, domains: &[&str], addresses: &[IpAddr]) -> Option<String> {
        let outside = |name: &&str| !domains.iter().any(|domain| is_below(name, domain));
        let name = self.domains().into_iter().find(outside).map(str::to_owned);
        name.or_else(|| self.all_addresses().iter().find(|own| !addresses.contains(own)).map(ToString::to_string))
    }
}

/// Returns true if a name is the domain or one of its subdomains.
fn is_below(name: &str, domain: &str) -> bool {
    let name = name.strip_prefix("*.").unwrap_or(name);
    name == domain || name.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_all_addresses_has_the_address_of_the_machine() {
        let any = TlsNames::with_own_address(Ipv4Addr::UNSPECIFIED.into(), &[]);
        let own = reachable(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0)).ip();
        assert!(!own.is_unspecified() && any.all_addresses().contains(&own), "{own}");
        let one = TlsNames::with_own_address(Ipv4Addr::LOCALHOST.into(), &[]);
        assert_eq!(one.all_addresses(), TlsNames::new(Ipv4Addr::LOCALHOST.into(), &[]).all_addresses());
    }

    #[test]
    fn constraints_cover_every_name() {
        let further = ["hub.example.org".to_owned(), "*.test".to_owned(), "10.1.2.3".to_owned()];
        let names = TlsNames::new(Ipv4Addr::LOCALHOST.into(), &further);
        let domains: Vec<&str> = names.domains().into_iter().collect();
        assert_eq!(domains, ["ezlo.com", "hub.example.org", "localhost", "mios.com", "test"]);
        let addresses: Vec<IpAddr> = names.addresses.iter().copied().collect();
        assert_eq!(names.first_outside(&domains, &addresses), None);
        assert_eq!(names.first_outside(&["mios.com", "ezlo.com", "localhost"], &addresses).unwrap(), "hub.example.org");
        assert_eq!(names.first_outside(&domains, &addresses[1..]), Some(addresses[0].to_string()));
    }

    #[test]
    fn each_name_below_a_top_level_domain_is_signed_on_request() {
        let names = TlsNames::new(Ipv4Addr::LOCALHOST.into(), &["*.test".to_owned()]);
        assert!(names.dns.iter().all(|name| name != "*.test" && name != "*.localhost"));
        for good in ["w1.localhost", "A.test"] {
            assert!(names.with_requested(good).unwrap().dns.contains(&good.to_ascii_lowercase()));
        }
        for bad in ["localhost", "a.b.test", "a.mios.com", "*.test", ".test", "a.other"] {
            assert!(names.with_requested(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn further_names_are_validated() {
        for good in ["a", "hub.example.org", "*.example.org", "127.0.0.2", "::1", "xn--mgbh0fb.example"] {
            assert_eq!(check_host_name(good), Ok(()));
        }
        for bad in ["", ".", "a..b", "*", "a.*.b", "-a", "a b", "https://a", "a:443", "ü.example"] {
            assert!(check_host_name(bad).is_err(), "{bad}");
        }
    }
}
