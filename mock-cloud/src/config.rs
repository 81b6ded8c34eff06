//! The configuration of a simulated cloud, from flags, a file or code. It is checked before anything starts.

use crate::core::control_token::ControlToken;
use crate::core::renamed;
use ezlo_hub_sim::HubAssumptions;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ezlo_protocol::evidence::Evidence;
use serde::Deserialize;

use crate::config::error::ConfigError;
use crate::core::host_name::check_host_name;

pub(crate) mod error;

/// Seed of a new cloud without an explicit one.
const DEFAULT_SEED: u64 = 1;

/// The configuration of a simulated cloud.
///
/// The configuration file is TOML with the same keys. Unknown keys are errors, and every key is optional.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Address that all ports except the control API bind to (default: 127.0.0.1).
    pub bind: IpAddr,
    /// Address that the port of the control API binds to (default: 127.0.0.1). Any other address than loopback requires the token.
    pub control_bind: IpAddr,
    /// Address of the local ports of the hubs, for example that of a network card (default: as `bind`).
    pub lan_bind: Option<IpAddr>,
    /// Each hub has an address of its own, 127.0.0.1 for the first one, and the port numbers of real hubs: 17000, and 17001 for
    /// EzloPi (default: false). Some systems have only the first address.
    pub hub_addresses: bool,
    /// Token that calls of the control API must present (default: none on loopback, otherwise 32 random digits). A call presents it as
    /// `Authorization: Bearer TOKEN`. It has at least 16 characters.
    pub control_token: Option<ControlToken>,
    /// Random seed (default: 1, or the seed of a persisted state). A persisted state with another seed is refused.
    pub seed: Option<u64>,
    /// Source of the key that signs all tokens (default: `seed`; `system` for a program that was started without a seed). With the key
    /// from the seed, the tokens of one process are valid in every other process with the same seed.
    pub signing_key: Option<SigningKey>,
    /// Behaviour profile (default: `calm`).
    pub profile: Profile,
    /// Ports (default: 0 for each, which is any free port).
    pub ports: Ports,
    /// Name of a bundled world, or path of a world file (default: `demo`).
    pub world: String,
    /// Directory that persists the state, also across a crash (default: none, nothing is persisted).
    /// The library requires the feature `state`; the program has it.
    pub state_dir: Option<PathBuf>,
    /// URL of a NATS server (default: none). All processes with the same URL serve one cloud, whose state is stored there. It
    /// requires the feature `cluster`.
    pub cluster: Option<ClusterUrl>,
    /// Further host names and IP addresses of the server certificate (default: none). A host name may begin with `*.`.
    pub tls_names: Vec<String>,
    /// Announces the hubs on the local network by mDNS (default: false). The library requires the feature `mdns`; the program has
    /// it.
    pub mdns: bool,
    /// The local ports of Linux hubs speak TLS 1.2 with the suite `AES256-SHA256` only, as real hubs are reported to do (default:
    /// false). The library and the program require the feature `legacy-tls`.
    pub legacy_tls: bool,
    /// Records the journal (default: true). Without it expectations never succeed.
    pub journal: bool,
    /// Values that the vendor has not published.
    pub assumptions: Assumptions,
}

/// The source of the key that signs tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SigningKey {
    /// The key is derived from the seed, so that tests are reproducible (default).
    #[default]
    Seed,
    /// The key consists of random bytes of the operating system.
    System,
}

/// The URL of a NATS server.
///
/// It may contain a user name and a password. `Display` and `Debug` omit everything before the host.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct ClusterUrl(String);

impl ClusterUrl {
    /// Returns the URL with its password.
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
            control_bind: IpAddr::V4(Ipv4Addr::LOCALHOST),
            lan_bind: None,
            hub_addresses: false,
            control_token: None,
            seed: None,
            signing_key: None,
            profile: Profile::Calm,
            ports: Ports::default(),
            world: "demo".into(),
            state_dir: None,
            cluster: None,
            tls_names: Vec::new(),
            mdns: false,
            legacy_tls: false,
            journal: true,
            assumptions: Assumptions::default(),
        }
    }
}

/// A behaviour profile: a named set of settings and faults.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// No faults (default).
    #[default]
    Calm,
    /// Refuses what is only inferred to be allowed. No faults.
    Strict,
    /// Takes the time of real hubs for restarts, inclusions, Wi-Fi, the relay and lock codes. No faults.
    Realistic,
    /// Refuses and delays some requests, drops some connections and expires the Identity after 120 s. The random seed decides.
    Hostile,
}

impl Profile {
    /// All profiles.
    pub const ALL: &[Self] = &[Self::Calm, Self::Strict, Self::Realistic, Self::Hostile];

    /// Returns the name, as in the configuration file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Calm => "calm",
            Self::Strict => "strict",
            Self::Realistic => "realistic",
            Self::Hostile => "hostile",
        }
    }
}

/// The ports of a simulated cloud.
///
/// The value 0 binds any free port (default). The first 16 hubs of the world have access-point and local ports of their own,
/// except Vera hubs. The hub at index `n` of the world uses the configured port plus `n`.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ports {
    /// TLS port of all vendor host names (default: 0).
    pub https: u16,
    /// Clear-text port of all vendor host names (default: 0).
    pub http: u16,
    /// Port of the control API (default: 0).
    pub control: u16,
    /// TLS port of the coordinator, which tells controllers their relay (default: none; 7000 at the vendor). It serves all vendor host
    /// names, like `https`.
    pub coordinator: Option<u16>,
    /// Port of the Wi-Fi API of the first hub's access point (default: 0; 54540 on a real hub).
    pub ap: u16,
    /// Port of the root of the first hub's access point (default: 0; 80 on a real hub).
    pub ap_root: u16,
    /// Local WebSocket and HTTP port of the first hub (default: 0; 17000 on a real hub).
    pub lan: u16,
    /// Local HTTP port of the first hub, which uses TLS (default: 0; 16000 on a real hub).
    pub lan_http: u16,
}

/// Values and behaviours that the vendor has not published.
///
/// The defaults are plausible values that known clients cope with. Durations are in simulated time. Unless a field names other
/// evidence, its default is inferred.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Assumptions {
    /// Lifetime of an Identity, in seconds (default: 86,400; allowed: 1 to 31,536,000). The default is captured; a shorter
    /// lifetime is for tests of the expiry.
    pub identity_seconds: i64,
    /// Lifetime of a session token, in seconds (default: 86,400; allowed: 1 to 31,536,000). Clients assume the lifetime of the
    /// Identity (client-source).
    pub session_seconds: i64,
    /// Lifetime of a cloud token, in seconds (default: 86,400; allowed: 1 to 31,536,000). One client renews it about daily
    /// (client-source).
    pub cloud_token_seconds: i64,
    /// Close code of a relay connection whose Identity expires: 1000, or 3000 to 4999 (default: none, the connection stays
    /// open; 1000 in the profile `hostile`). Inferred.
    pub close_at_expiry: Option<u16>,
    /// Interval of the pings on WebSockets, in milliseconds of machine time (default: 20,000; allowed: 10 to 3,600,000). Two public
    /// clients document "about every 20 s" and close the connection after 60 s without a ping (client-source).
    pub ping_ms: u64,
    /// Time from a request to join a Wi-Fi network to its outcome, in milliseconds (default: 150; at most 3,600,000). Inferred.
    pub wifi_join_ms: u64,
    /// Time from joining a network to connecting to the relay, in milliseconds (default: 50; at most 3,600,000). Inferred.
    pub relay_attach_ms: u64,
    /// Duration of a restart and of each step of a firmware update, in milliseconds (default: 100; at most 3,600,000).
    /// Inferred.
    pub restart_ms: u64,
    /// Time between the steps of a Z-Wave inclusion or exclusion, in milliseconds (default: 40; at most 3,600,000). Inferred.
    pub zwave_step_ms: u64,
    /// Timeout of a Z-Wave inclusion or exclusion that no device answers, in milliseconds (default: 60,000; at most 3,600,000).
    /// Inferred.
    pub zwave_timeout_ms: u64,
    /// Time from a change of a lock code until the lock confirms or refuses it, in milliseconds (default: 100; at most
    /// 3,600,000). Inferred.
    pub lock_code_ms: u64,
    /// Time after which the relay counts a hub that lost its power as disconnected, in milliseconds (default: 60,000; at most
    /// 3,600,000). Public clients give up after 60 s without a sign of life (client-source); the relay's time is inferred.
    pub relay_timeout_ms: u64,
    /// A mode switch that waits for its delay survives a restart of the hub (default: true). Inferred.
    pub mode_switch_survives_restart: bool,
    /// The color item of templates is `rgb_color` instead of `rgbcolor` (default: false). Vendor documents have both names (vendor).
    pub rgb_color_name: bool,
    /// The item `barrier` of templates can be read (default: false). Vendor documents have both forms (vendor).
    pub barrier_has_getter: bool,
    /// Maximum payload of a WebSocket frame to a client, in bytes: longer messages are sent as several frames (default: 0, no limit;
    /// otherwise at least 128). A user reports fragmented replies of a hub (users).
    pub max_frame_bytes: usize,
    /// A login with another `PK_Oem` than the user's is refused like a wrong password (default: false; true in the profile `strict`).
    /// Inferred: one public client sends the `PK_Oem` of its users (client-source).
    pub refuse_other_oem: bool,
    /// A device answers automatically when an inclusion or exclusion starts (default: true). Inferred.
    pub zwave_auto_press: bool,
    /// The access point is also open on a hub that is online (default: true; false in the profile `strict`). Inferred: the
    /// default lets the steps of the vendor's note run against any hub of the world.
    pub access_point_always_open: bool,
    /// The behaviours of the world file run (default: false). A setting of the simulator without evidence.
    pub simulate_behaviours: bool,
    /// The scene action `sendHttpRequest` may call other machines (default: false, loopback addresses only). A setting of the
    /// simulator without evidence.
    pub allow_external_scene_http: bool,
    /// A reply of an RTOS hub lacks its last byte if it is every n-th message of the hub, with broadcasts counted (default: 0,
    /// none). One public client handles such replies (client-source); the rate is inferred.
    pub rtos_truncate_every_nth_reply: u64,
    /// RTOS hubs send the id of a device as `id` instead of `_id` (default: false). One public client expects it
    /// (client-source).
    pub rtos_device_id: bool,
    /// Scenes with conditions or actions that the simulator does not execute are refused (default: false; true in the profile `strict`).
    /// Otherwise they are stored, and the report lists them. A setting of the simulator without evidence.
    pub refuse_unsupported_scenes: bool,
    /// Scenes that run each other in a circle are refused with `scenes.cycle.detected` (default: false; the profile `strict` sets
    /// it). Inferred.
    pub refuse_scene_cycles: bool,
    /// `hub.scene.changed` has the member `changed_by`, which names the method that changed the scene (default: true). Vendor
    /// documents and firmware have it (vendor); a capture of 2021 lacks it.
    pub scene_changed_by: bool,
    /// Time after which an EzloPi hub closes a local connection without received frames, in milliseconds of machine time (default:
    /// 30,000; 0 for never; at most 3,600,000). One public client sends a call every 15 s for that reason (client-source); the time is
    /// inferred.
    pub ezlopi_idle_ms: u64,
    /// Lowest evidence level of replies that are sent; others are refused (default: none, nothing is refused). It restricts a
    /// test to documented behaviour. A setting of the simulator without evidence.
    pub min_evidence: Option<Evidence>,
}

impl Default for Assumptions {
    fn default() -> Self {
        Self {
            identity_seconds: ezlo_protocol::identity::LIFETIME_SECONDS,
            session_seconds: ezlo_protocol::identity::LIFETIME_SECONDS,
            cloud_token_seconds: 86_400,
            close_at_expiry: None,
            ping_ms: 20_000,
            wifi_join_ms: 150,
            relay_attach_ms: 50,
            restart_ms: 100,
            zwave_step_ms: 40,
            zwave_timeout_ms: 60_000,
            lock_code_ms: 100,
            relay_timeout_ms: 60_000,
            mode_switch_survives_restart: true,
            rgb_color_name: false,
            barrier_has_getter: false,
            max_frame_bytes: 0,
            refuse_other_oem: false,
            zwave_auto_press: true,
            access_point_always_open: true,
            simulate_behaviours: false,
            allow_external_scene_http: false,
            rtos_truncate_every_nth_reply: 0,
            rtos_device_id: false,
            refuse_unsupported_scenes: false,
            refuse_scene_cycles: false,
            scene_changed_by: true,
            ezlopi_idle_ms: 30_000,
            min_evidence: None,
        }
    }
}

impl Assumptions {
    /// Sets the times that the configuration leaves at their defaults to those of real hubs (users, public clients; the values
    /// within the reported ranges are inferred).
    fn take_real_times(&mut self) {
        let default = Self::default();
        let times = [
            (&mut self.restart_ms, default.restart_ms, 120_000),
            (&mut self.zwave_step_ms, default.zwave_step_ms, 3_000),
            (&mut self.wifi_join_ms, default.wifi_join_ms, 8_000),
            (&mut self.relay_attach_ms, default.relay_attach_ms, 5_000),
            (&mut self.lock_code_ms, default.lock_code_ms, 4_000),
        ];
        for (time_ms, default_ms, real_ms) in times {
            if *time_ms == default_ms {
                *time_ms = real_ms;
            }
        }
    }

    /// Returns the part that simulated hubs use.
    pub(crate) fn hub(&self) -> HubAssumptions {
        let mut hub = HubAssumptions::default();
        hub.wifi_join_ms = self.wifi_join_ms;
        hub.relay_attach_ms = self.relay_attach_ms;
        hub.restart_ms = self.restart_ms;
        hub.zwave_step_ms = self.zwave_step_ms;
        hub.zwave_timeout_ms = self.zwave_timeout_ms;
        hub.lock_code_ms = self.lock_code_ms;
        hub.relay_timeout_ms = self.relay_timeout_ms;
        hub.mode_switch_survives_restart = self.mode_switch_survives_restart;
        hub.rgb_color_name = self.rgb_color_name;
        hub.barrier_has_getter = self.barrier_has_getter;
        hub.zwave_auto_press = self.zwave_auto_press;
        hub.access_point_always_open = self.access_point_always_open;
        hub.simulate_behaviours = self.simulate_behaviours;
        hub.rtos_device_id = self.rtos_device_id;
        hub.refuse_unsupported_scenes = self.refuse_unsupported_scenes;
        hub.refuse_scene_cycles = self.refuse_scene_cycles;
        hub.scene_changed_by = self.scene_changed_by;
        hub.min_evidence = self.min_evidence;
        hub
    }
}

impl Config {
    /// Reads a configuration file in TOML. Absent keys have their defaults.
    ///
    /// # Errors
    ///
    /// - [`ConfigError::Read`] if the file cannot be read.
    /// - [`ConfigError::Syntax`] if it is not TOML or has an unknown or malformed key. The text names line and key.
    pub fn from_file(path: &Path) -> Result<Self, ConfigError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        toml::from_str(&text).map_err(|error: toml::de::Error| {
            // The full text of the error quotes the source, which may contain backticks. Only the message is examined.
            let text = match renamed::explain(renamed::CONFIG_KEYS, error.message().to_owned()).split_once('\n') {
                Some((_, hint)) => format!("{error}{hint}"),
                None => error.to_string(),
            };
            ConfigError::Syntax { path: path.to_owned(), text }
        })
    }

    /// Returns the seed, or its default.
    pub(crate) fn effective_seed(&self) -> u64 {
        self.seed.unwrap_or(DEFAULT_SEED)
    }

    /// Returns the assumptions with the changes of the profile.
    pub(crate) fn effective_assumptions(&self) -> Assumptions {
        let mut assumptions = self.assumptions.clone();
        match self.profile {
            Profile::Calm => {}
            Profile::Strict => {
                assumptions.access_point_always_open = false;
                assumptions.refuse_unsupported_scenes = true;
                assumptions.refuse_scene_cycles = true;
                assumptions.refuse_other_oem = true;
            }
            Profile::Realistic => assumptions.take_real_times(),
            Profile::Hostile => {
                assumptions.close_at_expiry = assumptions.close_at_expiry.or(Some(1000));
            }
        }
        assumptions
    }

    /// Checks the bounds of all values.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Value`] for the first value that is out of its bounds.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if self.hub_addresses && self.lan_bind.is_some() {
            let text = "excludes lan_bind: each hub has an address of its own".to_owned();
            return Err(ConfigError::Value { key: "hub_addresses", text });
        }
        if self.legacy_tls && !cfg!(feature = "legacy-tls") {
            let text = "this build has no old TLS; enable the Cargo feature `legacy-tls`".to_owned();
            return Err(ConfigError::Value { key: "legacy_tls", text });
        }
        if let Some(text) = self.tls_names.iter().find_map(|name| check_host_name(name).err()) {
            return Err(ConfigError::Value { key: "tls_names", text });
        }
        let lifetimes = [
            ("identity_seconds", self.assumptions.identity_seconds),
            ("session_seconds", self.assumptions.session_seconds),
            ("cloud_token_seconds", self.assumptions.cloud_token_seconds),
        ];
        if let Some((name, value)) = lifetimes.into_iter().find(|(_, value)| !(1..=31_536_000).contains(value)) {
            return Err(ConfigError::Value { key: name, text: format!("{value} s is not between 1 s and a year") });
        }
        let code = self.assumptions.close_at_expiry;
        if code.is_some_and(|code| code != 1000 && !(3000..5000).contains(&code)) {
            let text = "the close code must be 1000, or 3000 to 4999".into();
            return Err(ConfigError::Value { key: "close_at_expiry", text });
        }
        if !(10..=3_600_000).contains(&self.assumptions.ping_ms) {
            let text = format!("{} ms is not between 10 and 3600000", self.assumptions.ping_ms);
            return Err(ConfigError::Value { key: "ping_ms", text });
        }
        if (1..128).contains(&self.assumptions.max_frame_bytes) {
            let text = format!("{} is neither 0 nor at least 128 bytes", self.assumptions.max_frame_bytes);
            return Err(ConfigError::Value { key: "max_frame_bytes", text });
        }
        let is_short = |token: &ControlToken| token.expose().len() < ControlToken::SHORTEST;
        if self.control_token.as_ref().is_some_and(is_short) {
            let text = format!("the token is shorter than {} characters", ControlToken::SHORTEST);
            return Err(ConfigError::Value { key: "control_token", text });
        }
        let longest = Duration::from_secs(3600).as_millis();
        let waits = [
            self.assumptions.wifi_join_ms,
            self.assumptions.relay_attach_ms,
            self.assumptions.restart_ms,
            self.assumptions.zwave_step_ms,
            self.assumptions.zwave_timeout_ms,
            self.assumptions.lock_code_ms,
            self.assumptions.relay_timeout_ms,
            self.assumptions.ezlopi_idle_ms,
        ];
        if waits.iter().any(|wait| u128::from(*wait) > longest) {
            return Err(ConfigError::Value {
                key: "assumptions.*_ms",
                text: "a duration is at most 3600000 ms".into(),
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_syntax_error_names_line_and_key() {
        let error = toml::from_str::<Config>("seed = 1\nsede = 2\n").unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("sede"), "{error}");
    }

    #[test]
    fn values_out_of_bounds_are_refused() {
        let mut config = Config::default();
        config.assumptions.identity_seconds = 0;
        assert!(config.check().unwrap_err().to_string().starts_with("identity_seconds: 0 s is not"));
        let mut config = Config::default();
        config.assumptions.close_at_expiry = Some(1006);
        assert!(config.check().is_err());
        let config = Config { tls_names: vec!["a b".into()], ..Config::default() };
        let error = config.check().unwrap_err().to_string();
        assert_eq!(error, "tls_names: \"a b\" is neither a host name nor an IP address");
        assert!(Config::default().check().is_ok());
    }

    #[test]
    fn realistic_profile_keeps_configured_times() {
        let assumptions = Assumptions { restart_ms: 7, ..Assumptions::default() };
        let config = Config { profile: Profile::Realistic, assumptions, ..Config::default() };
        let effective = config.effective_assumptions();
        assert_eq!((effective.restart_ms, effective.zwave_step_ms, effective.lock_code_ms), (7, 3_000, 4_000));
    }
}
