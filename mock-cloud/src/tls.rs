//! The certificate authority of a simulated cloud: one certificate for every vendor host name, one for each hub.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::clock::Clock;
use crate::faults::FaultKind;
use crate::state::KeptAuthority;

/// Host names of the vendor that a simulated cloud speaks for. A star stands for one label.
const VENDOR_NAMES: &[&str] =
    &["*.mios.com", "*.ezlo.com", "*.up.mios.com", "mios.com", "ezlo.com", "localhost", "*.localhost"];

/// Days a certificate is valid before and after it is made. Long, so that a moved clock does not end it by accident.
const VALID_DAYS: i64 = 3650;

/// When a certificate was good that has expired: a day in 2001.
const LONG_AGO: i64 = 1_000_000_000;

/// Signs the certificates of one simulated cloud. Never trust it system-wide: its key lives in the process only, but the
/// names it speaks for are real.
#[derive(Debug)]
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    der: CertificateDer<'static>,
    validity: (i64, i64),
    /// What was made already, by whom it is for: a copy of a world shows the same certificates, and pays nothing for them.
    made: Mutex<HashMap<String, Arc<ServerConfig>>>,
}

impl Authority {
    /// The one that a state was kept with.
    pub(crate) fn kept(kept: &KeptAuthority, clock: &Clock) -> Result<Self, TlsError> {
        let key = KeyPair::from_pem(&kept.key)?;
        let der = CertificateDer::from_pem_slice(kept.certificate.as_bytes())
            .map_err(|_| rcgen::Error::CouldNotParseCertificate)?;
        let issuer = Issuer::from_ca_cert_der(&der, key)?;
        Ok(Self { issuer, pem: kept.certificate.clone(), der, validity: validity(clock), made: Mutex::default() })
    }

    pub(crate) fn to_keep(&self) -> KeptAuthority {
        KeptAuthority { certificate: self.pem.clone(), key: self.issuer.key().serialize_pem() }
    }

    pub(crate) fn new(clock: &Clock) -> Result<Self, rcgen::Error> {
        let validity = validity(clock);
        let (issuer, certificate) = authority_of("mock-cloud test authority, do not trust", validity)?;
        let (pem, der) = (certificate.pem(), certificate.der().clone());
        Ok(Self { issuer, pem, der, validity, made: Mutex::default() })
    }

    /// The authority's own certificate, for clients that are to trust it.
    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    fn once(
        &self,
        whom: &str,
        make: impl FnOnce() -> Result<Arc<ServerConfig>, TlsError>,
    ) -> Result<Arc<ServerConfig>, TlsError> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = made.get(whom) {
            return Ok(Arc::clone(config));
        }
        let config = make()?;
        made.insert(whom.to_owned(), Arc::clone(&config));
        Ok(config)
    }

    /// TLS for every vendor host name, `localhost` and the address itself.
    pub(crate) fn cloud(&self, bind: IpAddr) -> Result<Arc<ServerConfig>, TlsError> {
        self.once("cloud", || self.make_cloud(bind))
    }

    /// TLS of a hub: self-signed, with the serial as its common name, as on real hubs.
    pub(crate) fn hub(&self, serial: &str) -> Result<Arc<ServerConfig>, TlsError> {
        self.once(&format!("hub {serial}"), || self.make_hub(serial))
    }

    /// TLS with a certificate that no client may take, if the fault is one of those.
    pub(crate) fn faulty(&self, fault: &FaultKind) -> Result<Option<Arc<ServerConfig>>, TlsError> {
        let past = (LONG_AGO, LONG_AGO + 86_400);
        let (names, validity, stranger) = match fault {
            FaultKind::CertificateExpired => (VENDOR_NAMES, past, false),
            FaultKind::CertificateWrongHost => (&["wrong.host.invalid"][..], self.validity, false),
            FaultKind::CertificateUnknownAuthority => (VENDOR_NAMES, self.validity, true),
            _ => return Ok(None),
        };
        let make = || {
            let mut params = params("mock-cloud", validity);
            for name in names {
                params.subject_alt_names.push(SanType::DnsName((*name).try_into()?));
            }
            if fault != &FaultKind::CertificateWrongHost {
                let local = [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()];
                params.subject_alt_names.extend(local.map(SanType::IpAddress));
            }
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            let key = KeyPair::generate()?;
            if stranger {
                let (issuer, certificate) = authority_of("nobody knows this authority", self.validity)?;
                let signed = params.signed_by(&key, &issuer)?;
                return server(vec![signed.der().clone(), certificate.der().clone()], &key);
            }
            let signed = params.signed_by(&key, &self.issuer)?;
            server(vec![signed.der().clone(), self.der.clone()], &key)
        };
        self.once(&fault.name(), make).map(Some)
    }

    fn make_cloud(&self, bind: IpAddr) -> Result<Arc<ServerConfig>, TlsError> {
        let mut params = params("mock-cloud", self.validity);
        for name in VENDOR_NAMES {
            params.subject_alt_names.push(SanType::DnsName((*name).try_into()?));
        }
        let addresses = BTreeSet::from([Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into(), bind]);
        params.subject_alt_names.extend(addresses.into_iter().map(SanType::IpAddress));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        server(vec![certificate.der().clone(), self.der.clone()], &key)
    }

    fn make_hub(&self, serial: &str) -> Result<Arc<ServerConfig>, TlsError> {
        let params = params(serial, self.validity);
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        server(vec![certificate.der().clone()], &key)
    }
}

/// A new authority, and its certificate.
fn authority_of(
    name: &str,
    validity: (i64, i64),
) -> Result<(Issuer<'static, KeyPair>, rcgen::Certificate), rcgen::Error> {
    let mut params = params(name, validity);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    Ok((Issuer::new(params, key), certificate))
}

/// Around the time of the world, and around that of the machine: most clients know no other.
fn validity(clock: &Clock) -> (i64, i64) {
    let (world, machine) = (clock.unix_seconds(), Clock::real().unix_seconds());
    let span = VALID_DAYS * 86_400;
    (world.min(machine).saturating_sub(span), world.max(machine).saturating_add(span))
}

fn params(common_name: &str, validity: (i64, i64)) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    let (from, until) = validity;
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

fn server(chain: Vec<CertificateDer<'static>>, key: &KeyPair) -> Result<Arc<ServerConfig>, TlsError> {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    Ok(Arc::new(config))
}

/// Certificates could not be made or used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error("cannot make a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    #[error("cannot use a certificate: {0}")]
    Tls(#[from] rustls::Error),
}
