//! Signs certificates.

use rcgen::{BasicConstraints, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls_pki_types::CertificateDer;

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

/// The names in the certificate of a controller (EzloPi firmware source).
#[derive(Debug, Clone, Copy)]
pub(crate) struct ControllerNames<'a> {
    /// Type of the hardware, such as `32.1`.
    pub(crate) hardware: &'a str,
    pub(crate) uuid: &'a str,
    pub(crate) serial: &'a str,
}

/// The key pair and the certificate of a controller, in PEM.
pub(crate) struct ControllerPem {
    pub(crate) private_key: String,
    pub(crate) public_key: String,
    pub(crate) certificate: String,
}

impl CertificateIssuer {
    /// Signs the certificate of a controller with a new key. The curve is P-256; the vendor's is secp256k1, which the TLS library lacks.
    pub(crate) fn sign_controller(&self, names: ControllerNames<'_>) -> Result<ControllerPem, TlsError> {
        let mut params = leaf_params(names.serial, self.leaf_validity());
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        params.distinguished_name.push(DnType::LocalityName, names.hardware);
        params.distinguished_name.push(DnType::OrganizationName, "controller");
        params.distinguished_name.push(DnType::OrganizationalUnitName, names.uuid);
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?.pem();
        Ok(ControllerPem { private_key: key.serialize_pem(), public_key: key.public_key_pem(), certificate })
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
}
