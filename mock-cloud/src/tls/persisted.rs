//! Reads and checks a certificate authority of an earlier start.

use std::net::IpAddr;

use rcgen::{Issuer, KeyPair};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::core::clock::Clock;
use crate::tls::names::TlsNames;
use crate::tls::params::{DAY, LEAF_DAYS, TlsError};

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
    use crate::tls::Authority;
    use crate::tls::issuer::new_issuer;
    use crate::tls::params::leaf_params;

    #[test]
    fn an_authority_survives_a_new_address_of_the_machine() {
        let (clock, any) = (Clock::real(), std::net::Ipv4Addr::UNSPECIFIED.into());
        let persisted = Authority::new(&clock, TlsNames::new(any, &[])).unwrap().to_persisted();
        let restore = |names| Authority::restore(&persisted, &clock, names).unwrap().is_replaced();
        assert!(!restore(TlsNames::with_own_address(any, &[])));
        assert!(restore(TlsNames::with_own_address(any, &["hub.example.org".to_owned()])));
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
