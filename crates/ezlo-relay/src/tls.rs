//! TLS behind a trait: real Linux hubs are said to accept one old cipher suite only, which the usual library will never have.

use std::fmt::Debug;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use rustls_pki_types::ServerName;
use tokio::net::TcpStream;

use crate::stream::{Stream, boxed};
use crate::trust::{Trust, pin_of};

/// A connection that TLS was agreed on.
#[derive(Debug)]
pub struct TlsStream {
    /// What goes over it in clear.
    pub stream: Box<dyn Stream>,
    /// SHA-256 of the other side's certificate.
    pub certificate: Option<[u8; 32]>,
}

/// TLS that is being agreed on.
pub type TlsFuture<'a> = Pin<Box<dyn Future<Output = io::Result<TlsStream>> + Send + 'a>>;

/// Speaks TLS over a connection.
pub trait TlsConnector: Debug + Send + Sync {
    /// Agrees on TLS with that host. Whoever implements it checks the certificate as `trust` wants it; an error closes the
    /// connection.
    fn connect<'a>(&'a self, stream: TcpStream, host: &'a str, trust: &'a Trust) -> TlsFuture<'a>;
}

/// TLS 1.2 and 1.3 with suites that are sound today, by rustls: right for the relay.
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
