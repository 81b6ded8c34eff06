//! TLS by OpenSSL for the local ports of hubs, as real Linux hubs are reported to speak it.

use std::io;
use std::pin::Pin;

use openssl::asn1::{Asn1Integer, Asn1Time};
use openssl::bn::{BigNum, MsbOption};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::ssl::{Ssl, SslContext, SslMethod, SslVersion};
use openssl::x509::{X509, X509NameBuilder};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_openssl::SslStream;

/// The only suite that Linux hubs accept (client-source), as an OpenSSL cipher list. It has no forward secrecy.
const SUITE: &str = "AES256-SHA256:@SECLEVEL=0";
/// Length of the RSA key, in bits.
const KEY_BITS: u32 = 2048;
/// Length of the serial number of a certificate, in bits.
const SERIAL_BITS: i32 = 64;

/// The TLS settings of a hub's local port.
pub(crate) struct LegacyTls(SslContext);

impl std::fmt::Debug for LegacyTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LegacyTls")
    }
}

impl LegacyTls {
    /// Creates the settings of a hub, with a new RSA key and a self-signed certificate that is valid between two Unix times.
    pub(crate) fn new(serial: &str, validity: (i64, i64)) -> io::Result<Self> {
        let key = PKey::from_rsa(Rsa::generate(KEY_BITS)?)?;
        let certificate = self_signed(serial, &key, validity)?;
        let mut context = SslContext::builder(SslMethod::tls_server())?;
        context.set_min_proto_version(Some(SslVersion::TLS1_2))?;
        context.set_max_proto_version(Some(SslVersion::TLS1_2))?;
        context.set_cipher_list(SUITE)?;
        context.set_certificate(&certificate)?;
        context.set_private_key(&key)?;
        Ok(Self(context.build()))
    }

    /// Does the handshake of a server.
    pub(crate) async fn accept<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) -> io::Result<SslStream<S>> {
        let mut stream = SslStream::new(Ssl::new(&self.0)?, stream)?;
        Pin::new(&mut stream).accept().await.map_err(io::Error::other)?;
        Ok(stream)
    }
}

fn self_signed(serial: &str, key: &PKey<Private>, (from, until): (i64, i64)) -> io::Result<X509> {
    let mut name = X509NameBuilder::new()?;
    name.append_entry_by_nid(Nid::COMMONNAME, serial)?;
    let name = name.build();
    let mut number = BigNum::new()?;
    number.rand(SERIAL_BITS, MsbOption::MAYBE_ZERO, false)?;
    let mut certificate = X509::builder()?;
    certificate.set_version(2)?;
    certificate.set_serial_number(&*Asn1Integer::from_bn(&number)?)?;
    certificate.set_subject_name(&name)?;
    certificate.set_issuer_name(&name)?;
    certificate.set_pubkey(key)?;
    certificate.set_not_before(&*Asn1Time::from_unix(from)?)?;
    certificate.set_not_after(&*Asn1Time::from_unix(until)?)?;
    certificate.sign(key, MessageDigest::sha256())?;
    Ok(certificate.build())
}
