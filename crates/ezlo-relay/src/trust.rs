//! Verification of the peer's certificate.

use std::sync::Arc;

use ezlo_protocol::serial::Serial;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use sha2::{Digest, Sha256};
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::der::oid::db::rfc4519::COMMON_NAME;

/// The certificates that are accepted from the peer of a TLS connection.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum Trust {
    /// Certificates of the public certificate authorities (default). Suits the relay.
    #[default]
    PublicRoots,
    /// Certificates of the public certificate authorities and of these additional root certificates.
    PublicRootsAnd(Vec<CertificateDer<'static>>),
    /// The self-signed certificate of a hub. Its common name must be the serial.
    ///
    /// With a pin, only that certificate is accepted: persist the pin of the first connection
    /// ([`RelaySession::certificate_pin`](crate::RelaySession::certificate_pin)). The peer must prove that it holds the key of
    /// the certificate. The validity period and the issuer are not checked.
    Hub {
        /// The serial of the hub.
        serial: Serial,
        /// SHA-256 of the only accepted certificate; `None` accepts any certificate with this serial.
        pin: Option<[u8; 32]>,
    },
}

/// Returns the SHA-256 of a certificate.
pub(crate) fn pin_of(certificate: &CertificateDer<'_>) -> [u8; 32] {
    Sha256::digest(certificate).into()
}

impl Trust {
    /// Returns true if `self` is [`Trust::Hub`] and the certificate matches its serial and pin.
    #[cfg(feature = "legacy-tls")]
    pub(crate) fn accepts_hub(&self, certificate: &CertificateDer<'_>) -> bool {
        matches!(self, Self::Hub { serial, pin } if is_hubs(certificate, serial, *pin))
    }

    pub(crate) fn client_config(&self) -> Result<ClientConfig, Error> {
        let provider = Arc::new(ring::default_provider());
        let builder =
            ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
        let extra: &[CertificateDer<'static>] = match self {
            Self::Hub { serial, pin } => {
                let verifier = HubVerifier { serial: serial.clone(), pin: *pin, provider };
                let dangerous = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
                return Ok(dangerous.with_no_client_auth());
            }
            Self::PublicRoots => &[],
            Self::PublicRootsAnd(extra) => extra,
        };
        let mut roots = RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        for root in extra {
            roots.add(root.clone())?;
        }
        Ok(builder.with_root_certificates(roots).with_no_client_auth())
    }
}

/// Returns true if the common name of the certificate is the serial and its hash is the pin, if there is one.
fn is_hubs(certificate: &CertificateDer<'_>, serial: &Serial, pin: Option<[u8; 32]>) -> bool {
    let Ok(parsed) = Certificate::from_der(certificate) else { return false };
    let mut attributes = parsed.tbs_certificate().subject().iter();
    let name = attributes.find(|attribute| attribute.oid == COMMON_NAME);
    // A UTF-8 or printable string: the bytes of either are the text.
    let is_serial = name.is_some_and(|name| name.value.value() == serial.as_str().as_bytes());
    is_serial && pin.is_none_or(|pin| pin == pin_of(certificate))
}

/// Accepts the self-signed certificate of a hub by serial and pin. The signature of the handshake is verified as usual, so
/// the hub must hold the key of the certificate.
#[derive(Debug)]
struct HubVerifier {
    serial: Serial,
    pin: Option<[u8; 32]>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for HubVerifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if is_hubs(certificate, &self.serial, self.pin) {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
