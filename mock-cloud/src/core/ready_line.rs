//! The ready line: one line of JSON that tells a program in any language where everything is.

use std::fmt;

use serde::Serialize;

/// Where a simulated cloud listens and who is in it.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Ready {
    /// Always true; a line that says so is this one.
    pub ready: bool,
    /// Version of this program.
    pub version: &'static str,
    /// Where all chance comes from.
    pub seed: u64,
    /// Set of manners.
    pub profile: &'static str,
    /// Every vendor host name, with TLS.
    pub https: String,
    /// The same in clear text.
    pub http: String,
    /// The relay, for clients that want it fixed.
    pub relay: String,
    /// The control API.
    pub control: String,
    /// File with the certificate authority's certificate.
    pub ca_pem: String,
    /// Who can log in.
    pub users: Vec<ReadyUser>,
    /// The networks whose key is known.
    pub wifi: Vec<ReadyWifi>,
    /// The hubs.
    pub hubs: Vec<ReadyHub>,
}

/// Somebody who can log in. Invented, so the password may be shown.
#[derive(Clone, Serialize)]
#[non_exhaustive]
pub struct ReadyUser {
    /// Name.
    pub username: String,
    /// Password; null once the user has another one, which nobody knows any more.
    pub password: Option<String>,
    /// `PK_Account`.
    pub account: u64,
}

/// A network that a hub can join.
#[derive(Clone, Serialize)]
#[non_exhaustive]
pub struct ReadyWifi {
    /// Name.
    pub ssid: String,
    /// Key.
    pub passkey: String,
}

// The ready line is for scripts and holds what they log in with; what is printed for debugging ends up in logs.

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

/// A hub.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct ReadyHub {
    /// Serial.
    pub serial: String,
    /// Hardware address.
    pub mac: String,
    /// Firmware family.
    pub kind: &'static str,
    /// Model.
    pub model: String,
    /// Whether it is at the relay.
    pub online: bool,
    /// Who owns it.
    pub owner: Option<String>,
    /// Its Wi-Fi API; null for a hub that has none.
    pub ap: Option<String>,
    /// Its access-point root.
    pub ap_root: Option<String>,
    /// Its local WebSocket and HTTP port.
    pub lan: Option<String>,
    /// Its local HTTP port.
    pub lan_http: Option<String>,
}

impl Ready {
    /// The line itself, without a line break.
    pub fn line(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}
