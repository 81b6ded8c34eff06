//! The ready line: one line of JSON with the addresses, users and hubs of a simulated cloud.

use std::fmt;

use serde::Serialize;

use crate::core::control_token::ControlToken;

/// The addresses, users, networks and hubs of a simulated cloud.
///
/// It contains the passwords of the simulated users. Its `Debug` output omits passwords and Wi-Fi keys.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Ready {
    /// Marks the ready line. Always `true`.
    pub ready: bool,
    /// Version of this program.
    pub version: &'static str,
    /// Random seed of the world.
    pub seed: u64,
    /// Name of the behaviour profile.
    pub profile: &'static str,
    /// URL of the TLS port of all vendor hosts.
    pub https: String,
    /// URL of the clear-text port of all vendor hosts.
    pub http: String,
    /// WebSocket URL of the relay, for clients with a configured address.
    pub relay: String,
    /// URL of the coordinator's port; absent without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coordinator: Option<String>,
    /// URL of the control API.
    pub control: String,
    /// Token that calls of the control API must present as `Authorization: Bearer TOKEN`; absent without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub control_token: Option<ControlToken>,
    /// Path of the PEM file with the certificate of the certificate authority.
    pub ca_pem: String,
    /// The users that can log in.
    pub users: Vec<ReadyUser>,
    /// The Wi-Fi networks with a known key.
    pub wifi: Vec<ReadyWifi>,
    /// The first 1,000 hubs of the world file.
    pub hubs: Vec<ReadyHub>,
}

/// A simulated user.
#[derive(Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ReadyUser {
    /// User name.
    pub username: String,
    /// Password; `null` after it was changed at run time.
    pub password: Option<String>,
    /// Number of the account (`PK_Account`).
    pub account: u64,
}

/// A Wi-Fi network that a hub can join.
#[derive(Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ReadyWifi {
    /// Network name.
    pub ssid: String,
    /// Network key.
    pub passkey: String,
}

// The JSON holds credentials for scripts. Debug output ends up in logs, so it omits them.

impl fmt::Debug for ReadyUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { username, account, .. } = self;
        f.debug_struct("ReadyUser").field("username", username).field("account", account).finish_non_exhaustive()
    }
}

impl fmt::Debug for ReadyWifi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadyWifi").field("ssid", &self.ssid).finish_non_exhaustive()
    }
}

/// A simulated hub with its addresses. Only the first 16 hubs of the world file have ports of their own.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ReadyHub {
    /// Serial of the hub.
    pub serial: String,
    /// Hardware address.
    pub mac: String,
    /// Hub family: `linux`, `rtos`, `ezlopi` or `vera`.
    pub kind: &'static str,
    /// Name of the hub model.
    pub model: String,
    /// `true` if the hub is connected to the relay.
    pub online: bool,
    /// User name of the first user of the owning account; `null` without an owner.
    pub owner: Option<String>,
    /// URL of the Wi-Fi API of the access point; `null` if the hub has none.
    pub ap: Option<String>,
    /// URL of the root of the access point; `null` if the hub has none.
    pub ap_root: Option<String>,
    /// URL of the local WebSocket and HTTP port; `null` if the hub has none.
    pub lan: Option<String>,
    /// URL of the local HTTP port, which uses TLS; `null` if the hub has none.
    pub lan_http: Option<String>,
}

impl Ready {
    /// Returns the line as JSON, without a line break.
    pub fn line(&self) -> String {
        ezlo_protocol::wire::to_text(self)
    }
}
