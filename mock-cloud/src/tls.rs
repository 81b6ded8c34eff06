//! The certificate authority of a simulated cloud: one certificate for every vendor host name, one for each hub.

use crate::tls::names::TlsNames;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::core::clock::Clock;
use crate::faults::kinds::FaultKind;
use crate::persistence::rows::PersistedAuthority;

use crate::tls::issuer::CertificateIssuer;
use crate::tls::leaf::LeafResolver;

pub(crate) mod issuer;
pub(crate) mod leaf;
pub(crate) mod names;

/// Validity of a server certificate. Some TLS stacks refuse more than 398 days.
const LEAF_DAYS: i64 = 364;

/// Days before and after now that the authority itself is valid, so that a client can keep trusting a persisted one.
const AUTHORITY_DAYS: i64 = 3650;

/// A day in 2001, when an expired certificate was valid.
const LONG_AGO: i64 = 1_000_000_000;

const DAY: i64 = 86_400;

/// Signs the certificates of one simulated cloud. Never trust it system-wide: the names that it may sign are real.
#[derive(Debug)]
pub(crate) struct Authority {
    issuer: Arc<CertificateIssuer>,
    pem: String,
    /// The persisted authority could not be used; clients must trust this one.
    is_replaced: bool,
    /// TLS configurations by purpose. Forks present the same certificates and create none.
    configs: Mutex<HashMap<String, Arc<ServerConfig>>>,
}

impl Authority {
    /// Creates an authority that may sign these names only.
    pub(crate) fn new(clock: &Clock, names: TlsNames) -> Result<Self, TlsError> {
        let name = "mock-cloud test authority, do not trust";
        let (issuer, certificate) = issuer::new_issuer(name, &names, authority_validity(clock))?;
        let pem = certificate.pem();
        let issuer = CertificateIssuer::new(issuer, certificate.der().clone(), names, clock.clone());
        Ok(Self { issuer: Arc::new(issuer), pem, is_replaced: false, configs: Mutex::default() })
    }

    /// Restores a persisted authority. One that strict clients refuse, or that may not sign all names, is replaced.
    pub(crate) fn restore(persisted: &PersistedAuthority, clock: &Clock, names: TlsNames) -> Result<Self, TlsError> {
        match issuer::defect(&persisted.certificate, &names, clock) {
            None => Self::restore_as_is(persisted, clock, names),
            Some(defect) => {
                tracing::warn!(%defect, "the persisted certificate authority is replaced; clients must trust the new ca.pem");
                Ok(Self { is_replaced: true, ..Self::new(clock, names)? })
            }
        }
    }

    /// Restores a persisted authority that other processes use as well, without checks.
    pub(crate) fn restore_as_is(
        persisted: &PersistedAuthority,
        clock: &Clock,
        names: TlsNames,
    ) -> Result<Self, TlsError> {
        let (issuer, der) = issuer::from_pem(&persisted.certificate, &persisted.key)?;
        let issuer = Arc::new(CertificateIssuer::new(issuer, der, names, clock.clone()));
        let pem = persisted.certificate.clone();
        Ok(Self { issuer, pem, is_replaced: false, configs: Mutex::default() })
    }

    pub(crate) fn to_persisted(&self) -> PersistedAuthority {
        PersistedAuthority { certificate: self.pem.clone(), key: self.issuer.key_pem() }
    }

    /// The authority's own certificate, for clients that are to trust it.
    pub(crate) fn pem(&self) -> &str {
        &self.pem
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

    /// TLS for every vendor host name, `localhost` and the bound address. The certificate is renewed as time passes.
    pub(crate) fn cloud(&self) -> Result<Arc<ServerConfig>, TlsError> {
        self.cached("cloud", || {
            let resolver = LeafResolver::new(Arc::clone(&self.issuer))?;
            Ok(Arc::new(config_builder()?.with_cert_resolver(Arc::new(resolver))))
        })
    }

    /// TLS of a hub: self-signed, with the serial as its common name, as on real hubs. Clients do not verify it.
    pub(crate) fn hub(&self, serial: &str) -> Result<Arc<ServerConfig>, TlsError> {
        self.cached(&format!("hub {serial}"), || {
            let params = leaf_params(serial, authority_validity(self.issuer.clock()));
            let key = KeyPair::generate()?;
            let certificate = params.self_signed(&key)?;
            server(vec![certificate.der().clone()], &key)
        })
    }

    /// TLS with a certificate that clients must refuse, if the fault is one of those.
    pub(crate) fn faulty(&self, fault: &FaultKind) -> Result<Option<Arc<ServerConfig>>, TlsError> {
        let (own, valid) = (self.issuer.names(), self.issuer.leaf_validity());
        let (names, validity, is_unknown) = match fault {
            FaultKind::CertificateExpired => (own.clone(), (LONG_AGO, LONG_AGO + DAY), false),
            // Inside the authority's name constraints, so that the host name is all that is wrong.
            FaultKind::CertificateWrongHost => (TlsNames::only("wrong.host.mios.com"), valid, false),
            FaultKind::CertificateUnknownAuthority => (own.clone(), valid, true),
            _ => return Ok(None),
        };
        let create = || {
            let unknown = is_unknown.then(|| CertificateIssuer::unknown(own, self.issuer.clock())).transpose()?;
            let (key, chain) = unknown.as_ref().unwrap_or(&self.issuer).sign(&names, validity)?;
            server(chain, &key)
        };
        self.cached(&fault.name(), create).map(Some)
    }
}

/// Covers the world's time and the machine's: most clients check by the latter.
fn authority_validity(clock: &Clock) -> (i64, i64) {
    let (world, machine) = (clock.unix_seconds(), Clock::real().unix_seconds());
    let span = AUTHORITY_DAYS * DAY;
    (world.min(machine).saturating_sub(span), world.max(machine).saturating_add(span))
}

/// Parameters of a certificate that is no authority, as strict verifiers want them.
fn leaf_params(common_name: &str, validity: (i64, i64)) -> CertificateParams {
    let mut params = params(common_name, validity);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
}

fn params(common_name: &str, (from, until): (i64, i64)) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    let ((year, month, day), (last_year, last_month, last_day)) = (date(from), date(until));
    params.not_before = rcgen::date_time_ymd(year, month, day);
    params.not_after = rcgen::date_time_ymd(last_year, last_month, last_day);
    params
}

/// Year, month and day of that Unix second.
fn date(unix_seconds: i64) -> (i32, u8, u8) {
    let day = jiff::Timestamp::from_second(unix_seconds)
        .unwrap_or_default()
        .to_zoned_datetime(jiff::tz::TimeZone::UTC)
        .date();
    let byte = |part: i8| u8::try_from(part).unwrap_or(1);
    (i32::from(day.year()), byte(day.month()), byte(day.day()))
}

fn config_builder() -> Result<rustls::ConfigBuilder<ServerConfig, rustls::server::WantsServerCert>, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?.with_no_client_auth())
}

fn server(chain: Vec<CertificateDer<'static>>, key: &KeyPair) -> Result<Arc<ServerConfig>, TlsError> {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    Ok(Arc::new(config_builder()?.with_single_cert(chain, key)?))
}

/// Certificates could not be created or used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error("cannot create a certificate")]
    Certificate(#[from] rcgen::Error),
    #[error("cannot use a certificate")]
    Tls(#[from] rustls::Error),
}
