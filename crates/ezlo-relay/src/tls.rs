//! TLS behind a trait: Linux hubs accept one old cipher suite only (client-source), and rustls will not support it.

use std::fmt::Debug;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use rustls_pki_types::ServerName;
use tokio::net::TcpStream;

use crate::stream::{Stream, boxed};
use crate::trust::{Trust, pin_of};

/// A connection after the TLS handshake.
#[derive(Debug)]
pub struct TlsStream {
    /// The decrypted byte stream.
    pub stream: Box<dyn Stream>,
    /// SHA-256 of the peer's certificate; `None` without TLS.
    pub certificate: Option<[u8; 32]>,
}

/// The future of a TLS handshake.
pub type TlsFuture<'a> = Pin<Box<dyn Future<Output = io::Result<TlsStream>> + Send + 'a>>;

/// A TLS implementation for the client side of a connection.
pub trait TlsConnector: Debug + Send + Sync {
    /// Performs the TLS handshake on `stream` and verifies the peer's certificate.
    ///
    /// `host` is the host name or IP address of the URL. The implementation must verify the certificate according to `trust`;
    /// the caller does not. The caller limits TCP and TLS together to 10 s.
    ///
    /// # Errors
    ///
    /// An [`io::Error`] if the handshake fails or the certificate is not trusted. The session reports it as
    /// [`ConnectError::Dial`](crate::ConnectError::Dial).
    ///
    /// # Cancel safety
    ///
    /// The caller may drop the future, which must close the stream.
    fn connect<'a>(&'a self, stream: TcpStream, host: &'a str, trust: &'a Trust) -> TlsFuture<'a>;
}

/// TLS 1.2 and 1.3 by rustls with its default cipher suites. Suits the relay.
#[derive(Debug, Clone, Copy, Default)]
pub struct ModernTls;

impl TlsConnector for ModernTls {
    fn connect<'a>(&'a self, stream: TcpStream, host: &'a str, trust: &'a Trust) -> TlsFuture<'a> {
        Box::pin(async move {
            let config = trust.client_config().map_err(io::Error::other)?;
            let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
            let stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
            let chain = stream.get_ref().1.peer_certificates();
            let certificate = chain.and_then(|chain| chain.first()).map(pin_of);
            Ok(TlsStream { stream: boxed(stream), certificate })
        })
    }
}
