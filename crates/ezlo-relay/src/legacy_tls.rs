//! TLS by OpenSSL for hubs with old firmware.

use std::io;
use std::pin::Pin;

use openssl::ssl::{Ssl, SslContext, SslMethod, SslVerifyMode, SslVersion};
use rustls_pki_types::CertificateDer;
use tokio::net::TcpStream;
use tokio_openssl::SslStream;

use crate::stream::boxed;
use crate::tls::{TlsConnector, TlsFuture, TlsStream};
use crate::trust::{Trust, pin_of};

/// The secure suites, then the only suite that Linux hubs accept (client-source), as an OpenSSL cipher list.
const SUITES: &str = "DEFAULT:AES256-SHA256:@SECLEVEL=0";

/// TLS 1.2 by OpenSSL with the suite `TLS_RSA_WITH_AES_256_CBC_SHA256` beside the usual ones, for hubs on the local network.
///
/// Linux hubs accept this suite only (client-source). It has no forward secrecy and uses CBC mode. Therefore only
/// [`Trust::Hub`] is supported; a connection with any other trust fails.
#[derive(Debug, Clone, Copy, Default)]
pub struct LegacyTls;

impl TlsConnector for LegacyTls {
    fn connect<'a>(&'a self, stream: TcpStream, _: &'a str, trust: &'a Trust) -> TlsFuture<'a> {
        Box::pin(async move {
            if !matches!(trust, Trust::Hub { .. }) {
                return Err(io::Error::other("legacy cipher suites are allowed for hubs on the local network only"));
            }
            let mut stream = SslStream::new(session()?, stream)?;
            Pin::new(&mut stream).connect().await.map_err(io::Error::other)?;
            // The handshake has proved that the hub holds the key of the certificate.
            let certificate =
                stream.ssl().peer_certificate().ok_or_else(|| io::Error::other("the hub sent no certificate"))?;
            let certificate = CertificateDer::from(certificate.to_der()?);
            if !trust.accepts_hub(&certificate) {
                return Err(io::Error::other("the certificate does not match the serial or pin of the hub"));
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
    // Hub certificates are self-signed. Serial and pin are checked after the handshake, before any data is sent.
    context.set_verify(SslVerifyMode::NONE);
    Ok(Ssl::new(&context.build())?)
}
