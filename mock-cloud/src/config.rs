//! The one configuration: filled from flags, a file or code, and checked before anything starts.

use ezlo_hub_sim::HubAssumptions;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ezlo_protocol::evidence::Evidence;
use serde::Deserialize;

use crate::tls::names::TlsNames;
use ezlo_hub_sim::world_file::WorldFile;

/// How a simulated cloud is set up.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Address to bind. Everything here is for tests; keep it on loopback.
    pub bind: IpAddr,
    /// Where all chance comes from.
    pub seed: u64,
    /// Set of manners.
    pub profile: Profile,
    /// Ports; 0 = any free one.
    pub ports: Ports,
    /// Name of a shipped world, or path of a world file.
    pub world: String,
    /// Folder that the state is kept in, through any end of the program; nothing is kept when absent.
    pub state_dir: Option<PathBuf>,
    /// Address of a NATS server: all processes that name it are one cloud. Such a cloud keeps its state there.
    pub cluster: Option<ClusterUrl>,
    /// Further host names and addresses that the server certificate is valid for. A host name may begin with `*.`.
    pub tls_names: Vec<String>,
    /// Announce the hubs on the local network by mDNS.
    pub mdns: bool,
    /// Keep a journal. Without it expectations never come true.
    pub journal: bool,
    /// What reads and writes WebSocket frames.
    pub framing: Framing,
    /// What the vendor never published.
    pub assumptions: Assumptions,
}

/// What reads and writes WebSocket frames. Both read the same and say the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Framing {
    /// That of tokio-tungstenite.
    #[cfg_attr(not(feature = "own-framing"), default)]
    Tungstenite,
    /// Our own: less memory for a connection that is idle, fewer reads for one that is busy.
    #[cfg_attr(feature = "own-framing", default)]
    Own,
}

/// Address of a NATS server, which may hold a password: it is shown without.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct ClusterUrl(String);

impl ClusterUrl {
    /// With everything in it.
    #[cfg(feature = "cluster")]
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl<T: Into<String>> From<T> for ClusterUrl {
    fn from(url: T) -> Self {
        Self(url.into())
    }
}

impl std::fmt::Display for ClusterUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.rsplit_once('@').map_or(&self.0, |(_, server)| server))
    }
}

impl std::fmt::Debug for ClusterUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ClusterUrl({self})")
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            bind: IpAddr::V4(Ipv4Addr::LOCALHOST),
            seed: 1,
            profile: Profile::Calm,
            ports: Ports::default(),
            world: "demo".into(),
            state_dir: None,
            cluster: None,
            tls_names: Vec::new(),
            mdns: false,
            journal: true,
            framing: Framing::default(),
            assumptions: Assumptions::default(),
        }
    }
}

/// A set of manners.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// Friendly; the default for tests.
    #[default]
    Calm,
    /// Rejects what is only inferred to be allowed.
    Strict,
    /// Refuses some requests, drops some connections and expires early, by the seed.
    Hostile,
}

impl Profile {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Calm => "calm",
            Self::Strict => "strict",
            Self::Hostile => "hostile",
        }
    }
}

/// Ports to bind; 0 = any free one. Each hub has access-point and LAN ports of its own, counted up from these.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ports {
    /// All vendor host names, with TLS.
    pub https: u16,
    /// The same in clear text.
    pub http: u16,
    /// The control API.
    pub control: u16,
    /// The first hub's Wi-Fi API (54540 on a real hub).
    pub ap: u16,
    /// The first hub's access-point root (80 on a real hub).
    pub ap_root: u16,
    /// The first hub's local WebSocket and HTTP port (17000 on a real hub).
    pub lan: u16,
    /// The first hub's local HTTP port (16000 on a real hub).
    pub lan_http: u16,
}

/// Behaviour that the vendor never published: chosen because clients can live with it, and open to change.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Assumptions {
    /// Lifetime of an Identity. Known to be 86 400 s; shorter in tests of expiry.
    pub identity_seconds: i64,
    /// Lifetime of a session token. Clients treat it as living as long as the Identity.
    pub session_seconds: i64,
    /// Lifetime of a cloud token. About a day by one client's habits.
    pub cloud_token_seconds: i64,
    /// Whether a relay connection is closed when its Identity expires, with this code.
    pub close_at_expiry: Option<u16>,
    /// From the request to join a network to the outcome, in milliseconds.
    pub wifi_join_ms: u64,
    /// From joined to connected to the relay, in milliseconds.
    pub relay_attach_ms: u64,
    /// How long a restart takes, in milliseconds.
    pub restart_ms: u64,
    /// Between the steps of a Z-Wave inclusion or exclusion, in milliseconds.
    pub zwave_step_ms: u64,
    /// How long a Z-Wave inclusion or exclusion waits for a device, in milliseconds.
    pub zwave_timeout_ms: u64,
    /// Whether a device presses its button by itself when an inclusion or exclusion starts.
    pub zwave_auto_press: bool,
    /// Whether the access point of a hub that is online already is open. The vendor does not say; open lets the vendor's
    /// note run against any hub of the world.
    pub access_point_always_open: bool,
    /// Whether the behaviours of the world's houses run.
    pub simulate_behaviours: bool,
    /// Whether `sendHttpRequest` of scenes may call other machines; this one alone otherwise.
    pub allow_external_scene_http: bool,
    /// Each n-th answer of an RTOS hub is cut, as a public client has seen them; 0 = none.
    pub rtos_truncate_every_nth_reply: u64,
    /// Whether RTOS hubs write a device's id as `id`, as once seen by a public client.
    pub rtos_device_id: bool,
    /// Answers that are known less well than this are refused, so that a test that passes counts.
    pub min_evidence: Option<Evidence>,
}

impl Default for Assumptions {
    fn default() -> Self {
        Self {
            identity_seconds: ezlo_protocol::identity::LIFETIME_SECONDS,
            session_seconds: ezlo_protocol::identity::LIFETIME_SECONDS,
            cloud_token_seconds: 86_400,
            close_at_expiry: None,
            wifi_join_ms: 150,
            relay_attach_ms: 50,
            restart_ms: 100,
            zwave_step_ms: 40,
            zwave_timeout_ms: 60_000,
            zwave_auto_press: true,
            access_point_always_open: true,
            simulate_behaviours: false,
            allow_external_scene_http: false,
            rtos_truncate_every_nth_reply: 0,
            rtos_device_id: false,
            min_evidence: None,
        }
    }
}

impl Assumptions {
    /// Returns the part that simulated hubs use.
    pub(crate) fn hub(&self) -> HubAssumptions {
        let mut hub = HubAssumptions::default();
        hub.wifi_join_ms = self.wifi_join_ms;
        hub.relay_attach_ms = self.relay_attach_ms;
        hub.restart_ms = self.restart_ms;
        hub.zwave_step_ms = self.zwave_step_ms;
        hub.zwave_timeout_ms = self.zwave_timeout_ms;
        hub.zwave_auto_press = self.zwave_auto_press;
        hub.access_point_always_open = self.access_point_always_open;
        hub.simulate_behaviours = self.simulate_behaviours;
        hub.rtos_device_id = self.rtos_device_id;
        hub.min_evidence = self.min_evidence;
        hub
    }
}

impl Config {
    /// Reads a configuration file (TOML). The error names file, line and key.
    pub fn from_file(path: &Path) -> Result<Self, ConfigError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        toml::from_str(&text).map_err(|error| ConfigError::Syntax { path: path.to_owned(), text: error.to_string() })
    }

    /// What the profile makes of the assumptions.
    pub(crate) fn effective_guesses(&self) -> Assumptions {
        let mut assumptions = self.assumptions.clone();
        match self.profile {
            Profile::Calm => {}
            Profile::Strict => assumptions.access_point_always_open = false,
            Profile::Hostile => {
                assumptions.close_at_expiry = assumptions.close_at_expiry.or(Some(1000));
            }
        }
        assumptions
    }

    /// The world to start with.
    pub(crate) fn load_world(&self) -> Result<WorldFile, ConfigError> {
        crate::worlds::load(&self.world)
    }

    /// Refuses what cannot work, before anything is bound.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if let Some(text) = self.tls_names.iter().find_map(|name| TlsNames::check(name).err()) {
            return Err(ConfigError::Value { key: "tls_names", text });
        }
        let lifetimes = [
            ("identity_seconds", self.assumptions.identity_seconds),
            ("session_seconds", self.assumptions.session_seconds),
            ("cloud_token_seconds", self.assumptions.cloud_token_seconds),
        ];
        if let Some((name, value)) = lifetimes.into_iter().find(|(_, value)| !(1..=31_536_000).contains(value)) {
            return Err(ConfigError::Value { key: name, text: format!("{value} is not between 1 s and a year") });
        }
        let code = self.assumptions.close_at_expiry;
        if code.is_some_and(|code| code != 1000 && !(3000..5000).contains(&code)) {
            let text = "a close code is 1000 or 3000 to 4999".into();
            return Err(ConfigError::Value { key: "close_at_expiry", text });
        }
        let longest = Duration::from_secs(3600).as_millis();
        let waits = [
            self.assumptions.wifi_join_ms,
            self.assumptions.relay_attach_ms,
            self.assumptions.restart_ms,
            self.assumptions.zwave_step_ms,
            self.assumptions.zwave_timeout_ms,
        ];
        if waits.iter().any(|wait| u128::from(*wait) > longest) {
            return Err(ConfigError::Value { key: "assumptions.*_ms", text: "a wait is at most an hour".into() });
        }
        Ok(())
    }
}

/// The configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A file could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("{}: {text}", path.display())]
    Syntax {
        /// Which.
        path: PathBuf,
        /// Line, key and reason.
        text: String,
    },
    /// A value cannot work.
    #[error("{key}: {text}")]
    Value {
        /// Which.
        key: &'static str,
        /// Why.
        text: String,
    },
    /// No world has that name, and no file is there.
    #[error("no world is called {name:?} and no such file exists; bundled worlds: {bundled}")]
    NoWorld {
        /// What was asked for.
        name: String,
        /// What there is.
        bundled: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_line_and_key() {
        let error = toml::from_str::<Config>("seed = 1\nsede = 2\n").unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("sede"), "{error}");
    }

    #[test]
    fn framings_are_chosen_by_name() {
        for (name, framing) in [("own", Framing::Own), ("tungstenite", Framing::Tungstenite)] {
            let config: Config = toml::from_str(&format!("framing = \"{name}\"")).unwrap();
            assert_eq!(config.framing, framing);
        }
        let error = toml::from_str::<Config>("framing = \"ours\"").unwrap_err().to_string();
        assert!(error.contains("tungstenite") && error.contains("own"), "{error}");
    }

    #[test]
    fn values_are_refused_not_clipped() {
        let mut config = Config::default();
        config.assumptions.identity_seconds = 0;
        assert!(config.check().unwrap_err().to_string().starts_with("identity_seconds: 0 is not"));
        let mut config = Config::default();
        config.assumptions.close_at_expiry = Some(1006);
        assert!(config.check().is_err());
        let config = Config { tls_names: vec!["a b".into()], ..Config::default() };
        let error = config.check().unwrap_err().to_string();
        assert_eq!(error, "tls_names: \"a b\" is neither a host name nor an IP address");
        assert!(Config::default().check().is_ok());
    }
}
