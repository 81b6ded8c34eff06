//! Signs certificates, and checks a persisted authority.

use std::net::IpAddr;

use rcgen::{BasicConstraints, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::core::clock::Clock;
use crate::tls::names::TlsNames;
use crate::tls::params::{DAY, LEAF_DAYS, TlsError, leaf_params, params};

/// The key and the certificate of an authority, with the names and the clock of the certificates that it signs.
#[derive(Debug)]
pub(crate) struct CertificateIssuer {
    issuer: Issuer<'static, KeyPair>,
    der: CertificateDer<'static>,
    names: TlsNames,
    clock: Clock,
}

impl CertificateIssuer {
    pub(crate) const fn new(
        issuer: Issuer<'static, KeyPair>,
        der: CertificateDer<'static>,
        names: TlsNames,
        clock: Clock,
    ) -> Self {
        Self { issuer, der, names, clock }
    }

    /// Creates an authority that no client trusts, for the same names.
    pub(crate) fn unknown(names: &TlsNames, clock: &Clock) -> Result<Self, TlsError> {
        let (issuer, certificate) =
            new_issuer("unknown test authority", names, crate::tls::params::authority_validity(clock))?;
        Ok(Self::new(issuer, certificate.der().clone(), names.clone(), clock.clone()))
    }

    pub(crate) const fn names(&self) -> &TlsNames {
        &self.names
    }

    pub(crate) const fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(crate) fn key_pem(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// Returns the validity of a server certificate that is signed now, in Unix seconds.
    pub(crate) fn leaf_validity(&self) -> (i64, i64) {
        leaf_validity(self.clock.unix_seconds(), Clock::real().unix_seconds())
    }

    /// Signs a server certificate with a new key. Returns the key and the chain, which includes the CA certificate.
    pub(crate) fn sign(
        &self,
        names: &TlsNames,
        validity: (i64, i64),
    ) -> Result<(KeyPair, Vec<CertificateDer<'static>>), TlsError> {
        let mut params = leaf_params("mock-cloud", validity);
        params.subject_alt_names = names.alternative_names()?;
        // Python 3.13 verifies with VERIFY_X509_STRICT, which requires the extension.
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let signed = params.signed_by(&key, &self.issuer)?;
        Ok((key, vec![signed.der().clone(), self.der.clone()]))
    }
}

/// Returns a period of at most a year around the world's time, in Unix seconds. It includes the machine's time, by which most
/// clients check. If both times are further apart than the period is long, the machine's time decides.
pub(crate) fn leaf_validity(world: i64, machine: i64) -> (i64, i64) {
    let half = LEAF_DAYS * DAY / 2;
    // Two days of margin on either side, because dates are rounded and clocks differ.
    let reach = 2 * half - 4 * DAY;
    let centre = if world.abs_diff(machine) > reach.unsigned_abs() {
        machine
    } else {
        let (earlier, later) = (world.min(machine), world.max(machine));
        world.clamp(later - half + 2 * DAY, earlier + half - 2 * DAY)
    };
    (centre.saturating_sub(half), centre.saturating_add(half))
}

/// Creates an authority whose name constraints permit only these names.
pub(crate) fn new_issuer(
    name: &str,
    names: &TlsNames,
    validity: (i64, i64),
) -> Result<(Issuer<'static, KeyPair>, rcgen::Certificate), TlsError> {
    let mut params = params(name, validity);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.name_constraints = Some(names.constraints());
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    Ok((Issuer::new(params, key), certificate))
}

/// Reads an authority from its certificate and key in PEM.
pub(crate) fn from_pem(
    certificate: &str,
    key: &str,
) -> Result<(Issuer<'static, KeyPair>, CertificateDer<'static>), TlsError> {
    let key = KeyPair::from_pem(key)?;
    let der =
        CertificateDer::from_pem_slice(certificate.as_bytes()).map_err(|_| rcgen::Error::CouldNotParseCertificate)?;
    Ok((Issuer::from_ca_cert_der(&der, key)?, der))
}

/// Describes the first property for which strict verifiers refuse an authority or what it would sign.
pub(crate) fn defect(pem: &str, names: &TlsNames, clock: &Clock) -> Option<String> {
    let Ok(der) = CertificateDer::from_pem_slice(pem.as_bytes()) else {
        return Some("it is not a certificate in PEM".into());
    };
    let Ok((_, certificate)) = X509Certificate::from_der(&der) else {
        return Some("it cannot be parsed".into());
    };
    let basic = certificate.basic_constraints().ok().flatten();
    if !basic.is_some_and(|basic| basic.value.ca && basic.critical) {
        return Some("it has no critical basic constraints of an authority".into());
    }
    if !certificate.key_usage().ok().flatten().is_some_and(|usage| usage.value.key_cert_sign()) {
        return Some("its key usage does not allow to sign certificates".into());
    }
    let has_key_id = |extension: &ParsedExtension<'_>| matches!(extension, ParsedExtension::SubjectKeyIdentifier(_));
    if !certificate.extensions().iter().any(|extension| has_key_id(extension.parsed_extension())) {
        return Some("it has no subject key identifier".into());
    }
    let validity = certificate.validity();
    let machine = Clock::real().unix_seconds();
    if machine + LEAF_DAYS * DAY > validity.not_after.timestamp() || machine < validity.not_before.timestamp() {
        return Some("it expires within a year or is not yet valid".into());
    }
    let (world, from) = (clock.unix_seconds(), validity.not_before.timestamp());
    if world < from || world > validity.not_after.timestamp() {
        return Some("it is not valid at the world's time".into());
    }
    outside_constraints(&certificate, names).map(|name| format!("its name constraints do not permit {name}"))
}

/// Returns the first name that the certificate's name constraints exclude; `None` without constraints.
fn outside_constraints(certificate: &X509Certificate<'_>, names: &TlsNames) -> Option<String> {
    let constraints = certificate.name_constraints().ok().flatten()?;
    let subtrees = constraints.value.permitted_subtrees.as_ref()?;
    let (mut domains, mut addresses) = (Vec::new(), Vec::new());
    for subtree in subtrees {
        match &subtree.base {
            GeneralName::DNSName(name) => domains.push(*name),
            GeneralName::IPAddress(bytes) => addresses.extend(single_address(bytes)),
            _ => {}
        }
    }
    names.first_outside(&domains, &addresses)
}

/// Returns the address of a subtree that permits a single address, encoded as the address and a mask of ones.
fn single_address(bytes: &[u8]) -> Option<IpAddr> {
    let (address, mask) = bytes.split_at_checked(bytes.len() / 2)?;
    if mask.iter().any(|byte| *byte != 0xff) {
        return None;
    }
    let four = || <[u8; 4]>::try_from(address).ok().map(IpAddr::from);
    let sixteen = || <[u8; 16]>::try_from(address).ok().map(IpAddr::from);
    four().or_else(sixteen)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_900_000_000;

    #[test]
    fn leaf_validity_is_at_most_a_year_and_includes_both_times_if_possible() {
        for apart in [0, 1, 30, 180, 182, 200, 355] {
            for world in [NOW - apart * DAY, NOW + apart * DAY] {
                let (from, until) = leaf_validity(world, NOW);
                assert!(until - from <= 365 * DAY);
                assert!(from < world && world < until, "{apart}: world");
                assert!(from < NOW && NOW < until, "{apart}: machine");
            }
        }
        let (from, until) = leaf_validity(NOW - 4000 * DAY, NOW);
        assert!(from < NOW && NOW < until && until - from <= 365 * DAY);
    }

    #[test]
    fn defects_of_an_authority_are_detected() {
        let clock = Clock::real();
        let names = |further: &[&str]| {
            let further: Vec<String> = further.iter().map(|name| (*name).to_owned()).collect();
            TlsNames::new(std::net::Ipv4Addr::LOCALHOST.into(), &further)
        };
        let now = clock.unix_seconds();
        let long = (now - 400 * DAY, now + 4000 * DAY);
        let (_, certificate) = new_issuer("x", &names(&[]), long).unwrap();
        assert_eq!(defect(&certificate.pem(), &names(&[]), &clock), None);
        let outside = defect(&certificate.pem(), &names(&["other.example"]), &clock).unwrap();
        assert!(outside.ends_with("permit other.example"), "{outside}");
        let (_, short) = new_issuer("x", &names(&[]), (now - DAY, now + 10 * DAY)).unwrap();
        assert!(defect(&short.pem(), &names(&[]), &clock).unwrap().contains("expires"));
        let leaf = leaf_params("x", long).self_signed(&KeyPair::generate().unwrap()).unwrap();
        assert!(defect(&leaf.pem(), &names(&[]), &clock).unwrap().contains("basic constraints"));
        assert!(defect("nothing", &names(&[]), &clock).unwrap().contains("PEM"));
    }
}
