//! The servers that a client connects to: the vendor's hosts, or others.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ezlo_protocol::cloud::call::HostRole;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

/// Timeout of connection set-up, TLS handshake included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The servers of the account cloud, their certificate authorities and the proxy.
///
/// The default is [`Environment::vendor`]. Certificates are verified by the public certificate authorities and by those of
/// [`trust_pem`](Self::trust_pem).
#[derive(Clone, Default)]
pub struct Environment {
    place: Place,
    extra_roots: Vec<CertificateDer<'static>>,
    proxy: Option<reqwest::Url>,
}

#[derive(Clone, Default)]
enum Place {
    #[default]
    Vendor,
    /// One base URL for every server.
    Base(String),
    /// Vendor host names, all resolved to one address.
    Mapped(SocketAddr),
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Vendor => f.write_str("Vendor"),
            Self::Base(url) => write!(f, "Base({:?})", without_user(url)),
            Self::Mapped(address) => write!(f, "Mapped({address})"),
        }
    }
}

/// An invalid environment.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnvironmentError {
    /// The text is not `http://…` or `https://…` with a host and without a path.
    #[error("{0:?} is not a base URL; expected scheme and authority, such as https://127.0.0.1:8443")]
    BaseUrl(String),
    /// The text is not the address of a proxy.
    #[error("{0:?} is not a proxy; expected scheme, host and port, such as http://proxy.example:3128")]
    Proxy(String),
    /// The certificates cannot be used, or TLS cannot be set up.
    #[error("cannot use the certificates: {0}; pass CA certificates in PEM")]
    Certificates(String),
}

/// Masks user name and password of a URL, for errors and `Debug`.
fn without_user(url: &str) -> String {
    match (url.find("//").map_or(0, |at| at + 2), url.rfind('@')) {
        (start, Some(at)) if at >= start => format!("{}***{}", &url[..start], &url[at..]),
        _ => url.to_owned(),
    }
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let proxy = self.proxy.as_ref().map(|proxy| without_user(proxy.as_str()));
        f.debug_struct("Environment").field("place", &self.place).field("proxy", &proxy).finish_non_exhaustive()
    }
}

/// Returns the vendor's hosts of a role: primary and alternate (empty if none exists).
const fn vendor_hosts(role: HostRole) -> (&'static str, &'static str) {
    match role {
        HostRole::Account => ("vera-us-oem-account11.mios.com", "vera-us-oem-account12.mios.com"),
        HostRole::Device => ("vera-us-oem-device11.mios.com", "vera-us-oem-device12.mios.com"),
        HostRole::Locator => ("vera-us-oem-authd11.mios.com", "vera-us-oem-authd12.mios.com"),
        HostRole::Cloud => ("cloud.ezlo.com", ""),
        HostRole::CloudApi => ("api-cloud.ezlo.com", ""),
        _ => ("vera-us-oem-autha11.mios.com", "vera-us-oem-autha12.mios.com"),
    }
}

impl Environment {
    /// Returns the vendor's hosts (default).
    pub fn vendor() -> Self {
        Self::default()
    }

    /// Creates an environment with one server for everything, such as `https://127.0.0.1:8443`.
    ///
    /// With `http://`, passwords and tokens are sent in clear text. Use it for a simulator only.
    ///
    /// # Errors
    ///
    /// [`EnvironmentError::BaseUrl`] if the text is not an `http` or `https` URL with a host and without path and query.
    pub fn from_base_url(url: &str) -> Result<Self, EnvironmentError> {
        let uri: http::Uri = url.parse().map_err(|_| EnvironmentError::BaseUrl(without_user(url)))?;
        let good = matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some();
        let bare = matches!(uri.path(), "" | "/") && uri.query().is_none();
        if !good || !bare {
            return Err(EnvironmentError::BaseUrl(without_user(url)));
        }
        let place = Place::Base(url.trim_end_matches('/').to_owned());
        Ok(Self { place, ..Self::default() })
    }

    /// Creates an environment with the vendor's host names over TLS, all connected to one address.
    ///
    /// A port of 0 means 443. Proxies are not used.
    pub fn with_host_override(address: SocketAddr) -> Self {
        Self { place: Place::Mapped(address), ..Self::default() }
    }

    /// Adds certificate authorities in PEM to the public ones.
    ///
    /// # Errors
    ///
    /// [`EnvironmentError::Certificates`] if the text is not PEM or contains no certificate.
    pub fn trust_pem(mut self, pem: &str) -> Result<Self, EnvironmentError> {
        let read = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>();
        let read = read.map_err(|error| EnvironmentError::Certificates(error.to_string()))?;
        if read.is_empty() {
            return Err(EnvironmentError::Certificates("the text contains no certificate".into()));
        }
        self.extra_roots.extend(read);
        Ok(self)
    }

    /// Sets an HTTP proxy, such as `http://proxy.example:3128` (default: the environment variables, such as `HTTPS_PROXY`).
    ///
    /// Has no effect with [`with_host_override`](Self::with_host_override).
    ///
    /// # Errors
    ///
    /// [`EnvironmentError::Proxy`] if the text is not a URL. A URL that is not usable as a proxy is reported by
    /// [`MmsClient::new`](crate::MmsClient::new).
    pub fn proxy(mut self, url: &str) -> Result<Self, EnvironmentError> {
        let proxy = url.parse().map_err(|_| EnvironmentError::Proxy(without_user(url)))?;
        self.proxy = Some(proxy);
        Ok(self)
    }

    /// Returns true if the base URL is `http://`, so that passwords and tokens are sent in clear text.
    pub fn is_clear_text(&self) -> bool {
        matches!(&self.place, Place::Base(url) if url.starts_with("http://"))
    }

    /// Returns the certificate authorities that were added to the public ones.
    pub fn extra_roots(&self) -> &[CertificateDer<'static>] {
        &self.extra_roots
    }

    /// Returns the address of [`with_host_override`](Self::with_host_override), if set.
    pub const fn override_address(&self) -> Option<SocketAddr> {
        match self.place {
            Place::Mapped(address) => Some(address),
            Place::Vendor | Place::Base(_) => None,
        }
    }

    /// Returns the default primary and alternate host of a role.
    pub(crate) fn hosts(role: HostRole) -> (String, String) {
        let (primary, alternate) = vendor_hosts(role);
        (primary.into(), alternate.into())
    }

    /// Returns the base URL for a vendor host.
    pub(crate) fn url(&self, host: &str) -> String {
        match &self.place {
            Place::Base(url) => url.clone(),
            Place::Vendor | Place::Mapped(_) => format!("https://{host}"),
        }
    }

    /// Returns true if primary and alternate are the same server.
    pub(crate) const fn has_one_server(&self) -> bool {
        matches!(self.place, Place::Base(_))
    }

    pub(crate) fn http_client(&self) -> Result<reqwest::Client, EnvironmentError> {
        let mut roots = RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        let (_, bad) = roots.add_parsable_certificates(self.extra_roots.iter().cloned());
        if bad > 0 {
            return Err(EnvironmentError::Certificates(format!("{bad} of them cannot be parsed")));
        }
        let failed = |error: &dyn std::fmt::Display| EnvironmentError::Certificates(error.to_string());
        let tls = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| failed(&error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none());
        if let Some(proxy) = &self.proxy {
            let wrong = |_| EnvironmentError::Proxy(without_user(proxy.as_str()));
            builder = builder.proxy(reqwest::Proxy::all(proxy.clone()).map_err(wrong)?);
        }
        if let Some(address) = self.override_address() {
            builder = builder.dns_resolver(OneAddress(address)).no_proxy();
        }
        builder.build().map_err(|error| failed(&error))
    }
}

/// A resolver that maps every name to one address.
struct OneAddress(SocketAddr);

impl Resolve for OneAddress {
    fn resolve(&self, _: Name) -> Resolving {
        let addresses: Addrs = Box::new(std::iter::once(self.0));
        Box::pin(std::future::ready(Ok(addresses)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_is_scheme_and_authority() {
        assert_eq!(Environment::from_base_url("http://127.0.0.1:1/").unwrap().url("x"), "http://127.0.0.1:1");
        for url in ["", "ftp://x", "https://x/path", "https://", "x"] {
            assert!(Environment::from_base_url(url).is_err(), "{url}");
        }
        let named = Environment::from_base_url("http://user:hunter2@127.0.0.1:1")
            .unwrap()
            .proxy("http://u:hunter2@x:1")
            .unwrap();
        let shown = format!("{named:?}");
        assert!(shown.contains("127.0.0.1:1") && !shown.contains("hunter2"), "{shown}");
    }
}
