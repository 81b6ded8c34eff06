//! TLS for hubs with old firmware, by OpenSSL.

use std::io;
use std::pin::Pin;

use openssl::ssl::{Ssl, SslContext, SslMethod, SslVerifyMode, SslVersion};
use rustls_pki_types::CertificateDer;
use tokio::net::TcpStream;
use tokio_openssl::SslStream;

use crate::stream::boxed;
use crate::tls::{TlsConnector, TlsFuture, TlsStream};
use crate::trust::{Trust, pin_of};

/// The suite that Linux hubs are said to accept and no other (a public client), in OpenSSL's words, after those that are sound.
const SUITES: &str = "DEFAULT:AES256-SHA256:@SECLEVEL=0";

/// TLS 1.2 with `TLS_RSA_WITH_AES_256_CBC_SHA256` beside the usual suites, for hubs on the local network. That suite has no
/// forward secrecy and a fragile cipher mode: it is for [`Trust::Hub`] only, and every other trust is refused.
#[derive(Debug, Clone, Copy, Default)]
pub struct LegacyTls;

impl TlsConnector for LegacyTls {
    fn connect<'a>(&'a self, stream: TcpStream, _: &'a str, trust: &'a Trust) -> TlsFuture<'a> {
        Box::pin(async move {
            if !matches!(trust, Trust::Hub { .. }) {
                return Err(io::Error::other("the legacy suites are for hubs on the local network only"));
            }
            let mut stream = SslStream::new(session()?, stream)?;
            Pin::new(&mut stream).connect().await.map_err(io::Error::other)?;
            // The key exchange has shown that the hub holds the certificate's key.
            let certificate = stream.ssl().peer_certificate().ok_or_else(|| io::Error::other("no certificate"))?;
            let certificate = CertificateDer::from(certificate.to_der()?);
            if !trust.accepts_hub(&certificate) {
                return Err(io::Error::other("the certificate is not this hub's"));
            }
            Ok(TlsStream { certificate: Some(pin_of(&certificate)), stream: boxed(stream) })
        })
    }
}

fn session() -> io::Result<Ssl> {
    let mut context = SslContext::builder(SslMethod::tls_client())?;
    context.set_min_proto_version(Some(SslVersion::TLS1_2))?;
    context.set_max_proto_version(Some(SslVersion::TLS1_2))?;
    context.set_cipher_list(SUITES)?;
    // A hub signs for itself: serial and pin are checked once the handshake is done, before anything is said.
    context.set_verify(SslVerifyMode::NONE);
    Ok(Ssl::new(&context.build())?)
}
