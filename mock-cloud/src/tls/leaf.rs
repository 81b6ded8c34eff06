//! The server certificate of the vendor's host names, renewed as time passes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::core::clock::Clock;
use crate::tls::issuer::{CertificateIssuer, leaf_validity};
use crate::tls::names::TlsNames;
use crate::tls::params::TlsError;

/// Maximum number of cached certificates. Clients choose the requested names, so the cache must be bounded.
const CACHED_LEAVES: usize = 64;

/// A certificate resolver that signs a new server certificate when the present one is not valid at the world's time.
#[derive(Debug)]
pub(crate) struct LeafResolver {
    issuer: Arc<CertificateIssuer>,
    /// Certificates by requested name. The key of the common certificate is the empty string.
    leaves: Mutex<HashMap<String, Leaf>>,
}

#[derive(Debug)]
struct Leaf {
    key: Arc<CertifiedKey>,
    validity: (i64, i64),
}

impl Leaf {
    fn sign(issuer: &CertificateIssuer, names: &TlsNames) -> Result<Self, TlsError> {
        let validity = issuer.leaf_validity();
        let (key, chain) = issuer.sign(names, validity)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let key = CertifiedKey::from_der(chain, key, &rustls::crypto::ring::default_provider())?;
        Ok(Self { key: Arc::new(key), validity })
    }

    /// Returns true if a newly signed certificate would be valid at a time at which this one is not.
    fn is_stale(&self, world: i64, machine: i64) -> bool {
        let covers = |(from, until): (i64, i64), time| (from..until).contains(&time);
        let renewed = leaf_validity(world, machine);
        [world, machine].iter().any(|time| covers(renewed, *time) && !covers(self.validity, *time))
    }
}

impl LeafResolver {
    pub(crate) fn new(issuer: Arc<CertificateIssuer>) -> Result<Self, TlsError> {
        let common = Leaf::sign(&issuer, issuer.names())?;
        Ok(Self { issuer, leaves: Mutex::new(HashMap::from([(String::new(), common)])) })
    }

    /// Returns the certificate of a requested name that needs one of its own, otherwise the common certificate.
    fn leaf(&self, requested: &str) -> Option<Arc<CertifiedKey>> {
        let own = self.issuer.names().with_requested(requested);
        let (name, names) = match &own {
            Some(names) => (requested.to_ascii_lowercase(), names),
            None => (String::new(), self.issuer.names()),
        };
        let mut leaves = self.leaves.lock().unwrap_or_else(PoisonError::into_inner);
        let (world, machine) = (self.issuer.clock().unix_seconds(), Clock::real().unix_seconds());
        if leaves.get(&name).is_none_or(|leaf| leaf.is_stale(world, machine)) {
            if leaves.len() >= CACHED_LEAVES {
                leaves.retain(|name, _| name.is_empty());
            }
            match Leaf::sign(&self.issuer, names) {
                Ok(leaf) => {
                    leaves.insert(name.clone(), leaf);
                }
                // The expired certificate is presented, because the client's error then names the expiry.
                Err(error) => tracing::warn!(%error, "cannot sign a server certificate"),
            }
        }
        leaves.get(&name).map(|leaf| Arc::clone(&leaf.key))
    }
}

impl ResolvesServerCert for LeafResolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.leaf(hello.server_name().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leaf_is_stale_if_a_new_one_covers_more_time() {
        let clock = Clock::real();
        let names = TlsNames::new(std::net::Ipv4Addr::LOCALHOST.into(), &[]);
        let authority = crate::tls::Authority::new(&clock, names).unwrap();
        let leaf = Leaf::sign(&authority.issuer, authority.issuer.names()).unwrap();
        let (now, day) = (clock.unix_seconds(), 86_400);
        assert!(!leaf.is_stale(now, now));
        assert!(!leaf.is_stale(now + 100 * day, now));
        assert!(leaf.is_stale(now + 300 * day, now), "a period with both times exists");
        assert!(!leaf.is_stale(now + 3000 * day, now), "no period includes both; clients check by the machine's time");
        assert!(leaf.is_stale(now + 400 * day, now + 400 * day));
    }

    #[test]
    fn requested_names_share_a_bounded_cache() {
        let names = TlsNames::new(std::net::Ipv4Addr::LOCALHOST.into(), &[]);
        let authority = crate::tls::Authority::new(&Clock::real(), names).unwrap();
        let resolver = LeafResolver::new(Arc::clone(&authority.issuer)).unwrap();
        let common = resolver.leaf("vera-us-oem-autha.mios.com").unwrap();
        assert!(Arc::ptr_eq(&common, &resolver.leaf("").unwrap()));
        let own = resolver.leaf("w1.localhost").unwrap();
        assert!(!Arc::ptr_eq(&common, &own) && Arc::ptr_eq(&own, &resolver.leaf("W1.localhost").unwrap()));
        for number in 0..200 {
            resolver.leaf(&format!("w{number}.localhost")).unwrap();
        }
        assert!(resolver.leaves.lock().unwrap().len() <= CACHED_LEAVES);
        assert!(Arc::ptr_eq(&common, &resolver.leaf("localhost").unwrap()), "the common certificate was evicted");
    }
}
