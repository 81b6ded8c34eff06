//! The five calls of a hub's access point.

use std::sync::Arc;
use std::time::Duration;

use ezlo_protocol::cloud::access_point::{ANSWER_TIME, API_BASE, ROOT_BASE, WifiNetworks, WifiStatus};
use ezlo_protocol::cloud::call::{
    AnswerError, Call, CloseAccessPoint, ConnectWifi, GetWifiStatus, HostRole, ListWifiNetworks, Restart,
};
use ezlo_protocol::secret::Passkey;

/// How long a connection to the hub's own network may take; it is one hop away.
const CONNECT_TIME: Duration = Duration::from_secs(5);
/// Longest answer, in bytes.
const MAX_ANSWER: usize = 1024 * 1024;

/// A hub's access point. The client must be joined to the hub's own network.
#[derive(Debug, Clone)]
pub struct AccessPoint {
    api: String,
    root: String,
    http: reqwest::Client,
}

/// A call to the access point failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AccessPointError {
    /// Nobody is there: not joined to the hub's network, or the access point is closed.
    #[error("{call}: no access point at {base} ({text}); join the hub's own network")]
    Unreachable {
        /// Which call.
        call: &'static str,
        /// Where.
        base: String,
        /// Why.
        text: String,
    },
    /// It answered, but not with a success.
    #[error("{call}: {error}")]
    Answer {
        /// Which call.
        call: &'static str,
        /// What came.
        error: AnswerError,
    },
    /// The answer is longer than any real one.
    #[error("{call}: the answer is too long")]
    TooLong {
        /// Which call.
        call: &'static str,
    },
    /// The client could not be set up.
    #[error("cannot set up HTTP: {0}")]
    Setup(String),
}

impl AccessPointError {
    /// Nobody is there: the access point is closed, the hub restarts, or this machine is on another network.
    pub const fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }
}

impl AccessPoint {
    /// The address every hub has while its access point is open.
    pub fn usual() -> Result<Self, AccessPointError> {
        Self::at(API_BASE, ROOT_BASE)
    }

    /// Another address: of the Wi-Fi API, and of the root where `restart` is.
    pub fn at(api: &str, root: &str) -> Result<Self, AccessPointError> {
        let setup = |error: &dyn std::fmt::Display| AccessPointError::Setup(error.to_string());
        // The access point speaks plain HTTP; the HTTP library wants to know all the same.
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
            // A proxy cannot reach the hub's own network, and a kept connection does not survive it.
            .no_proxy()
            .pool_max_idle_per_host(0)
            .build()
            .map_err(|error| setup(&error))?;
        Ok(Self { api: api.to_owned(), root: root.to_owned(), http })
    }

    /// Lists the networks that the hub sees.
    pub async fn networks(&self) -> Result<WifiNetworks, AccessPointError> {
        self.send(&ListWifiNetworks).await
    }

    /// Asks how far joining a network has come.
    pub async fn status(&self) -> Result<WifiStatus, AccessPointError> {
        self.send(&GetWifiStatus).await
    }

    /// Starts joining a network; the outcome shows in the status.
    pub async fn connect(&self, ssid: &str, passkey: Option<&Passkey>) -> Result<(), AccessPointError> {
        self.send(&ConnectWifi { ssid, passkey }).await
    }

    /// Closes the access point.
    pub async fn close(&self) -> Result<(), AccessPointError> {
        self.send(&CloseAccessPoint).await
    }

    /// Restarts the hub.
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
