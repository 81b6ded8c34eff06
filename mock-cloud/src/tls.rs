//! The certificate authority of a simulated cloud, with one certificate for all vendor host names and one for each hub.

use crate::tls::names::TlsNames;
use crate::tls::params::DAY;
use crate::tls::params::TlsError;
use crate::tls::params::authority_validity;
use crate::tls::params::leaf_params;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use rcgen::KeyPair;
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::core::clock::Clock;
use crate::faults::kinds::ConnectionFault;

use crate::tls::issuer::{CertificateIssuer, ControllerNames, ControllerPem};
use crate::tls::leaf::LeafResolver;

pub(crate) mod issuer;
pub(crate) mod leaf;
#[cfg(feature = "legacy-tls")]
pub(crate) mod legacy;
pub(crate) mod names;
pub(crate) mod params;
#[cfg(feature = "persisted-authority")]
pub(crate) mod persisted;

/// Start of the validity of an expired certificate, a day in 2001 (Unix seconds).
const LONG_AGO: i64 = 1_000_000_000;

/// The certificate authority of one simulated cloud. Never trust it system-wide: the names that it may sign are real.
#[derive(Debug)]
pub(crate) struct Authority {
    issuer: Arc<CertificateIssuer>,
    pem: String,
    /// The persisted authority was unusable, so clients must trust this new one.
    is_replaced: bool,
    /// TLS configurations by purpose. Forks share them, so they present the same certificates.
    configs: Mutex<HashMap<String, Arc<ServerConfig>>>,
    /// TLS settings of old firmware, by serial of the hub.
    #[cfg(feature = "legacy-tls")]
    legacy: Mutex<HashMap<String, Arc<legacy::LegacyTls>>>,
}

#[cfg(feature = "legacy-tls")]
impl Authority {
    /// Returns the TLS settings of a hub with old firmware.
    pub(crate) fn legacy_hub(&self, serial: &str) -> std::io::Result<Arc<legacy::LegacyTls>> {
        let mut known = self.legacy.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tls) = known.get(serial) {
            return Ok(Arc::clone(tls));
        }
        let tls = Arc::new(legacy::LegacyTls::new(serial, authority_validity(self.issuer.clock()))?);
        known.insert(serial.to_owned(), Arc::clone(&tls));
        Ok(tls)
    }
}

impl Authority {
    /// Creates an authority whose name constraints permit only these names.
    pub(crate) fn new(clock: &Clock, names: TlsNames) -> Result<Self, TlsError> {
        let name = "mock-cloud test authority, do not trust";
        let (issuer, certificate) = issuer::new_issuer(name, &names, authority_validity(clock))?;
        let pem = certificate.pem();
        let issuer = CertificateIssuer::new(issuer, certificate.der().clone(), names, clock.clone());
        Ok(Self::with(Arc::new(issuer), pem))
    }

    fn with(issuer: Arc<CertificateIssuer>, pem: String) -> Self {
        Self {
            issuer,
            pem,
            is_replaced: false,
            configs: Mutex::default(),
            #[cfg(feature = "legacy-tls")]
            legacy: Mutex::default(),
        }
    }

    pub(crate) fn to_persisted(&self) -> PersistedAuthority {
        PersistedAuthority { certificate: self.pem.clone(), key: self.issuer.key_pem() }
    }

    /// Returns the CA certificate, which clients must trust.
    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    /// Signs the certificate of a controller with a new key.
    pub(crate) fn controller(&self, names: ControllerNames<'_>) -> Result<ControllerPem, TlsError> {
        self.issuer.sign_controller(names)
    }

    pub(crate) const fn is_replaced(&self) -> bool {
        self.is_replaced
    }

    fn cached(
        &self,
        purpose: &str,
        create: impl FnOnce() -> Result<Arc<ServerConfig>, TlsError>,
    ) -> Result<Arc<ServerConfig>, TlsError> {
        let mut configs = self.configs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = configs.get(purpose) {
            return Ok(Arc::clone(config));
        }
        let config = create()?;
        configs.insert(purpose.to_owned(), Arc::clone(&config));
        Ok(config)
    }

    /// Returns the TLS configuration for all vendor host names, `localhost` and the bound address. Its certificate is renewed
    /// as time passes.
    pub(crate) fn cloud(&self) -> Result<Arc<ServerConfig>, TlsError> {
        self.cached("cloud", || {
            let resolver = LeafResolver::new(Arc::clone(&self.issuer))?;
            Ok(Arc::new(config_builder()?.with_cert_resolver(Arc::new(resolver))))
        })
    }

    /// Returns the TLS configuration of a hub. Its certificate is self-signed with the serial as common name, as on real hubs.
    pub(crate) fn hub(&self, serial: &str) -> Result<Arc<ServerConfig>, TlsError> {
        self.cached(&format!("hub {serial}"), || {
            let params = leaf_params(serial, authority_validity(self.issuer.clock()));
            let key = KeyPair::generate()?;
            let certificate = params.self_signed(&key)?;
            server(vec![certificate.der().clone()], &key)
        })
    }

    /// Returns a TLS configuration with a certificate that clients must refuse; `None` if the fault is not about certificates.
    pub(crate) fn faulty(&self, fault: &ConnectionFault) -> Result<Option<Arc<ServerConfig>>, TlsError> {
        let (own, valid) = (self.issuer.names(), self.issuer.leaf_validity());
        let (purpose, names, validity, is_unknown) = match fault {
            ConnectionFault::CertificateExpired => ("expired", own.clone(), (LONG_AGO, LONG_AGO + DAY), false),
            // The name is permitted by the name constraints, so the mismatch is the only defect.
            ConnectionFault::CertificateWrongHost => {
                ("wrong host", TlsNames::only("wrong.host.mios.com"), valid, false)
            }
            ConnectionFault::CertificateUnknownAuthority => ("unknown authority", own.clone(), valid, true),
            ConnectionFault::ResetOnAccept
            | ConnectionFault::Unresponsive
            | ConnectionFault::ResetAfter { .. }
            | ConnectionFault::FragmentWrites { .. }
            | ConnectionFault::Latency { .. }
            | ConnectionFault::StallAfter { .. }
            | ConnectionFault::SlowClose { .. }
            | ConnectionFault::NoCommonCipher
            | ConnectionFault::Bandwidth { .. } => return Ok(None),
        };
        let create = || {
            let unknown = is_unknown.then(|| CertificateIssuer::unknown(own, self.issuer.clock())).transpose()?;
            let (key, chain) = unknown.as_ref().unwrap_or(&self.issuer).sign(&names, validity)?;
            server(chain, &key)
        };
        self.cached(purpose, create).map(Some)
    }
}

#[cfg(feature = "persisted-authority")]
impl Authority {
    /// Restores a persisted authority. Replaces it if strict clients refuse it, or if it does not permit all names.
    ///
    /// The address of this machine can change with its network. It is then left out, so that clients need not trust a new authority.
    pub(crate) fn restore(persisted: &PersistedAuthority, clock: &Clock, names: TlsNames) -> Result<Self, TlsError> {
        let defect = |names: &TlsNames| persisted::defect(&persisted.certificate, names, clock);
        if defect(&names).is_none() {
            return Self::restore_as_is(persisted, clock, names);
        }
        let fixed = names.without_own_address();
        match defect(&fixed) {
            None => {
                tracing::warn!(
                    address = ?names.own_address(),
                    "the persisted certificate authority does not permit the present address of this machine; \
                     the server certificate omits it"
                );
                Self::restore_as_is(persisted, clock, fixed)
            }
            Some(defect) => {
                tracing::warn!(%defect, "replaced the persisted certificate authority; clients must trust the new ca.pem");
                Ok(Self { is_replaced: true, ..Self::new(clock, names)? })
            }
        }
    }

    /// Restores an authority that other processes use as well. It is not checked, because it must not be replaced.
    pub(crate) fn restore_as_is(
        persisted: &PersistedAuthority,
        clock: &Clock,
        names: TlsNames,
    ) -> Result<Self, TlsError> {
        let (issuer, der) = persisted::from_pem(&persisted.certificate, &persisted.key)?;
        let issuer = Arc::new(CertificateIssuer::new(issuer, der, names, clock.clone()));
        let pem = persisted.certificate.clone();
        Ok(Self::with(issuer, pem))
    }
}

fn config_builder() -> Result<rustls::ConfigBuilder<ServerConfig, rustls::server::WantsServerCert>, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?.with_no_client_auth())
}

fn server(chain: Vec<CertificateDer<'static>>, key: &KeyPair) -> Result<Arc<ServerConfig>, TlsError> {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    Ok(Arc::new(config_builder()?.with_single_cert(chain, key)?))
}

/// The persisted certificate authority: certificate and key in PEM. A client that trusts it still does after a restart.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct PersistedAuthority {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl std::fmt::Debug for PersistedAuthority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PersistedAuthority(***)")
    }
}
