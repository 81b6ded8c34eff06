//! Where the cloud is: the vendor's hosts, or somewhere else.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ezlo_protocol::cloud::call::HostRole;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Where the cloud is and whom to trust there. The default is the vendor.
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
    /// Everything at one base URL.
    Base(String),
    /// Vendor host names, reached at another address.
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

/// The environment cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnvironmentError {
    /// Not `http://…` or `https://…` with a host.
    #[error("{0:?} is not a base URL; write scheme and authority, such as https://127.0.0.1:8443")]
    BaseUrl(String),
    /// Not the address of a proxy.
    #[error("{0:?} is not a proxy; write scheme, host and port, such as http://proxy.example:3128")]
    Proxy(String),
    /// Not PEM certificates.
    #[error("cannot read the certificates: {0}")]
    Certificates(String),
}

/// An address as it may be shown: who logs in there, and with what, is nobody's business.
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

/// The vendor's hosts by role: primary and alternate.
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
    /// The vendor's own hosts.
    pub fn vendor() -> Self {
        Self::default()
    }

    /// Every server at one base URL, such as `https://127.0.0.1:8443`.
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

    /// The vendor's host names over TLS, every one reached at this address.
    pub fn with_host_override(address: SocketAddr) -> Self {
        Self { place: Place::Mapped(address), ..Self::default() }
    }

    /// Trusts these certificate authorities too, in PEM.
    pub fn trust_pem(mut self, pem: &str) -> Result<Self, EnvironmentError> {
        let read = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>();
        let read = read.map_err(|error| EnvironmentError::Certificates(error.to_string()))?;
        if read.is_empty() {
            return Err(EnvironmentError::Certificates("there are none".into()));
        }
        self.extra_roots.extend(read);
        Ok(self)
    }

    /// Goes through that HTTP proxy, such as `http://proxy.example:3128`. Without it the usual environment variables count.
    pub fn proxy(mut self, url: &str) -> Result<Self, EnvironmentError> {
        let proxy = url.parse().map_err(|_| EnvironmentError::Proxy(without_user(url)))?;
        self.proxy = Some(proxy);
        Ok(self)
    }

    /// Whether everything is said in clear: a base URL of `http`.
    pub fn is_clear_text(&self) -> bool {
        matches!(&self.place, Place::Base(url) if url.starts_with("http://"))
    }

    /// Certificate authorities trusted beside the public ones.
    pub fn extra_roots(&self) -> &[CertificateDer<'static>] {
        &self.extra_roots
    }

    /// The address that vendor host names are reached at, if it is not the vendor's own.
    pub const fn override_address(&self) -> Option<SocketAddr> {
        match self.place {
            Place::Mapped(address) => Some(address),
            Place::Vendor | Place::Base(_) => None,
        }
    }

    /// Primary and alternate host of a role.
    pub(crate) fn hosts(role: HostRole) -> (String, String) {
        let (primary, alternate) = vendor_hosts(role);
        (primary.into(), alternate.into())
    }

    /// Scheme and authority for a host that the service named.
    pub(crate) fn url(&self, host: &str) -> String {
        match &self.place {
            Place::Base(url) => url.clone(),
            Place::Vendor | Place::Mapped(_) => format!("https://{host}"),
        }
    }

    /// Whether primary and alternate are the same place.
    pub(crate) const fn has_one_server(&self) -> bool {
        matches!(self.place, Place::Base(_))
    }

    pub(crate) fn http_client(&self) -> Result<reqwest::Client, EnvironmentError> {
        let mut roots = RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        let (_, bad) = roots.add_parsable_certificates(self.extra_roots.iter().cloned());
        if bad > 0 {
            return Err(EnvironmentError::Certificates(format!("{bad} of them cannot be used")));
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

/// Resolves every name to one address.
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
