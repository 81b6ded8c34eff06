//! A client for the five HTTP calls of the access point of a hub.

use std::sync::Arc;
use std::time::Duration;

use ezlo_protocol::cloud::access_point::{ANSWER_TIME, API_BASE, ROOT_BASE, WifiNetworks, WifiStatus};
use ezlo_protocol::cloud::call::{
    AnswerError, Call, CloseAccessPoint, ConnectWifi, GetWifiStatus, HostRole, ListWifiNetworks, Restart,
};
use ezlo_protocol::secret::Passkey;

/// Timeout of connection set-up; the hub is one hop away.
const CONNECT_TIME: Duration = Duration::from_secs(5);
/// Maximum length of a response body in bytes.
const MAX_ANSWER: usize = 1024 * 1024;

/// A client for the access point of a hub. This machine must have joined the hub's own Wi-Fi network.
///
/// Calls are plain HTTP without proxy, connection reuse, redirects or retries, and they need a Tokio runtime.
/// Limits: 5 s for connection set-up, 10 s for each exchange, 1 MiB for a response body.
///
/// Evidence: vendor (requests), inferred (responses). Responses are therefore decoded leniently.
#[derive(Debug, Clone)]
pub struct AccessPoint {
    api: String,
    root: String,
    http: reqwest::Client,
}

/// A failed call to the access point.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AccessPointError {
    /// No connection or no complete response. The access point is closed, the hub restarts, or this machine is on another
    /// network.
    #[error("{call} failed: no access point at {base} ({text}); connect this machine to the hub's own network")]
    Unreachable {
        /// Name of the call, such as `wifi_status`.
        call: &'static str,
        /// Base URL of the access point.
        base: String,
        /// Cause, without the URL.
        text: String,
    },
    /// The response is not a success, or it cannot be decoded.
    #[error("{call} failed")]
    Answer {
        /// Name of the call, such as `wifi_status`.
        call: &'static str,
        /// Description of the response.
        #[source]
        error: AnswerError,
    },
    /// The response body is longer than 1 MiB.
    #[error("{call} failed: the response is longer than 1 MiB")]
    TooLong {
        /// Name of the call, such as `wifi_status`.
        call: &'static str,
    },
    /// The HTTP client could not be set up, or a request could not be built.
    #[error("cannot set up the HTTP client or the request: {0}")]
    Setup(String),
}

impl AccessPointError {
    /// Returns true for [`AccessPointError::Unreachable`].
    pub const fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }
}

impl AccessPoint {
    /// Creates a client for the address that every hub has while its access point is open. No network traffic.
    ///
    /// The address is `http://192.168.4.1:54540` for the Wi-Fi API and `http://192.168.4.1` for `restart` (vendor).
    ///
    /// # Errors
    ///
    /// [`AccessPointError::Setup`] if the HTTP client cannot be set up.
    pub fn usual() -> Result<Self, AccessPointError> {
        Self::at(API_BASE, ROOT_BASE)
    }

    /// Creates a client for other addresses: the base URL of the Wi-Fi API (`api`) and that of `restart` (`root`).
    ///
    /// No network traffic. The base URLs are checked by the first call.
    ///
    /// # Errors
    ///
    /// [`AccessPointError::Setup`] if the HTTP client cannot be set up.
    pub fn at(api: &str, root: &str) -> Result<Self, AccessPointError> {
        let setup = |error: &dyn std::fmt::Display| AccessPointError::Setup(error.to_string());
        // The access point speaks plain HTTP, but the HTTP library requires a TLS configuration.
        let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| setup(&error))?
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .connect_timeout(CONNECT_TIME)
            .timeout(ANSWER_TIME)
            .redirect(reqwest::redirect::Policy::none())
            // A proxy cannot reach the hub's own network, and an idle connection does not survive a restart of the hub.
            .no_proxy()
            .pool_max_idle_per_host(0)
            .build()
            .map_err(|error| setup(&error))?;
        Ok(Self { api: api.to_owned(), root: root.to_owned(), http })
    }

    /// Fetches the Wi-Fi networks that the hub receives.
    ///
    /// Sends one `GET /wifi/networks`; the result is not cached.
    ///
    /// # Errors
    ///
    /// [`AccessPointError::Unreachable`], [`AccessPointError::Answer`] or [`AccessPointError::TooLong`], as described there.
    /// [`AccessPointError::Setup`] if the address is not a valid base URL.
    ///
    /// # Cancel safety
    ///
    /// The future can be dropped without loss.
    pub async fn networks(&self) -> Result<WifiNetworks, AccessPointError> {
        self.send(&ListWifiNetworks).await
    }

    /// Fetches the state of the hub's Wi-Fi client.
    ///
    /// Sends one `GET /wifi/status`; the result is not cached.
    ///
    /// # Errors
    ///
    /// [`AccessPointError::Unreachable`], [`AccessPointError::Answer`] or [`AccessPointError::TooLong`], as described there.
    /// [`AccessPointError::Setup`] if the address is not a valid base URL.
    ///
    /// # Cancel safety
    ///
    /// The future can be dropped without loss.
    pub async fn status(&self) -> Result<WifiStatus, AccessPointError> {
        self.send(&GetWifiStatus).await
    }

    /// Requests that the hub joins a network. Use `None` as `passkey` for an open network.
    ///
    /// Sends one `POST /wifi/network/connect`. [`status`](Self::status) reports the outcome.
    ///
    /// # Errors
    ///
    /// [`AccessPointError::Unreachable`], [`AccessPointError::Answer`] or [`AccessPointError::TooLong`], as described there.
    /// [`AccessPointError::Setup`] if the address is not a valid base URL.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the hub may join the network.
    pub async fn connect(&self, ssid: &str, passkey: Option<&Passkey>) -> Result<(), AccessPointError> {
        self.send(&ConnectWifi { ssid, passkey }).await
    }

    /// Closes the access point.
    ///
    /// Sends one `POST /wifi/network/close`. The response may be lost with the network.
    ///
    /// # Errors
    ///
    /// [`AccessPointError::Unreachable`], [`AccessPointError::Answer`] or [`AccessPointError::TooLong`], as described there.
    /// [`AccessPointError::Setup`] if the address is not a valid base URL.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the access point may be closed.
    pub async fn close(&self) -> Result<(), AccessPointError> {
        self.send(&CloseAccessPoint).await
    }

    /// Restarts the hub.
    ///
    /// Sends one `POST /restart` to port 80.
    ///
    /// # Errors
    ///
    /// [`AccessPointError::Unreachable`], [`AccessPointError::Answer`] or [`AccessPointError::TooLong`], as described there.
    /// [`AccessPointError::Setup`] if the address is not a valid base URL.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the hub may restart.
    pub async fn restart(&self) -> Result<(), AccessPointError> {
        self.send(&Restart).await
    }

    async fn send<C: Call>(&self, call: &C) -> Result<C::Answer, AccessPointError> {
        let name = C::SPEC.name;
        let base = if C::SPEC.role == HostRole::AccessPointRoot { &self.root } else { &self.api };
        let gone = |text: String| AccessPointError::Unreachable { call: name, base: base.clone(), text };
        let request = call.request(base).map_err(|error| AccessPointError::Setup(error.to_string()))?;
        let request =
            reqwest::Request::try_from(request).map_err(|error| AccessPointError::Setup(error.to_string()))?;
        let mut response = self.http.execute(request).await.map_err(|error| gone(error.without_url().to_string()))?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| gone(error.without_url().to_string()))? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(AccessPointError::TooLong { call: name });
            }
            body.extend_from_slice(&chunk);
        }
        call.parse(status, &body).map_err(|error| AccessPointError::Answer { call: name, error })
    }
}
