//! The command `mock-cloud serve`.

use std::io::Write as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use ezlo_mock_cloud::{Clock, ClusterUrl, Config, ControlToken, Evidence, MockCloud, Profile, SigningKey};

/// Examples at the end of the help.
pub(crate) const EXAMPLES: &str = "\
Examples:
  Serve the default world on free ports; scripts read the addresses from a file:
    mock-cloud serve --endpoints-file ready.json
  Serve on fixed ports and persist the state:
    mock-cloud serve --https-port 8443 --control-port 9000 --state-dir ./state
  Run a reproducible test: frozen time, a fixed seed, and a refusal of everything without a good source:
    mock-cloud serve --frozen-at 1700000000 --seed 7 --min-evidence client-source";

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Configuration file in TOML (default: none). Flags take precedence over it.
    #[arg(long, value_name = "FILE", help_heading = "World")]
    config: Option<PathBuf>,
    /// Bundled world, see `mock-cloud world list`, or path of a world file (default: demo).
    #[arg(long, value_name = "NAME|FILE", help_heading = "World")]
    world: Option<String>,
    /// Behaviour profile: calm, strict, realistic or hostile (default: calm).
    #[arg(long, value_name = "NAME", value_parser = profile, help_heading = "World")]
    profile: Option<Profile>,
    /// Random seed (default: 1). The same seed and the same requests give the same ids, tokens and random decisions. Without a seed here
    /// or in the configuration file, the key that signs tokens is random.
    #[arg(long, value_name = "N", help_heading = "World")]
    seed: Option<u64>,
    /// Start with a frozen clock at this Unix time in seconds, between 1970 and 3000 (default: a clock that runs with the
    /// machine's time). The control API moves it. A persisted state with a later time continues at that time.
    #[arg(long, value_name = "UNIX_SECONDS", value_parser = clap::value_parser!(i64).range(0..=32_503_680_000), help_heading = "World")]
    frozen_at: Option<i64>,
    /// Run the behaviours of the world file, for example a drifting temperature (default: off).
    #[arg(long, help_heading = "World")]
    simulate_behaviours: bool,
    /// Refuse requests whose answers have weaker evidence than this level: captured, vendor, client-source, community or
    /// inferred (default: everything is answered).
    #[arg(long, value_name = "LEVEL", help_heading = "World")]
    min_evidence: Option<Evidence>,
    /// Address to listen on, for all ports except the control API (default: 127.0.0.1).
    #[arg(long, value_name = "ADDRESS", help_heading = "Addresses and ports")]
    bind: Option<IpAddr>,
    /// Port of all vendor host names, with TLS (default: 0, any free port).
    #[arg(long, value_name = "PORT", help_heading = "Addresses and ports")]
    https_port: Option<u16>,
    /// Port of all vendor host names, without TLS (default: 0, any free port).
    #[arg(long, value_name = "PORT", help_heading = "Addresses and ports")]
    http_port: Option<u16>,
    /// TLS port of the coordinator, from which EzloPi boards learn their relay (default: none; 7000 at the vendor).
    #[arg(long, value_name = "PORT", help_heading = "Addresses and ports")]
    coordinator_port: Option<u16>,
    /// Further host name or address for the server certificate and the CA's name constraints, such as `hub.example.org` or
    /// `*.test` (repeatable, default: none). A persisted certificate authority that does not permit the name is replaced.
    #[arg(long = "tls-name", value_name = "NAME", help_heading = "Addresses and ports")]
    tls_names: Vec<String>,
    /// Address of the control API (default: 127.0.0.1). On another address its calls need the token.
    #[arg(long, value_name = "ADDRESS", help_heading = "Control API")]
    control_bind: Option<IpAddr>,
    /// Port of the control API (default: 0, any free port).
    #[arg(long, value_name = "PORT", help_heading = "Control API")]
    control_port: Option<u16>,
    /// Token that calls of the control API must present as `Authorization: Bearer TOKEN`, at least 16 characters (default: none on
    /// loopback, otherwise a random one in the ready line).
    #[arg(long, value_name = "TOKEN", help_heading = "Control API")]
    control_token: Option<ControlToken>,
    /// Address of the local ports of the hubs, for example that of a network card, so that clients find the hubs by mDNS (default: as
    /// --bind). The control API is not affected.
    #[arg(long, value_name = "ADDRESS", help_heading = "Hubs")]
    lan_bind: Option<IpAddr>,
    /// Give each hub an address of its own, 127.0.0.1 for the first one, with the port numbers of real hubs (default: off).
    #[arg(long, conflicts_with = "lan_bind", help_heading = "Hubs")]
    hub_addresses: bool,
    /// Port of the first hub's Wi-Fi API; further hubs count up (default: 0, any free port).
    #[arg(long, value_name = "PORT", help_heading = "Hubs")]
    ap_port: Option<u16>,
    /// Port of the first hub's access-point root; further hubs count up (default: 0, any free port).
    #[arg(long, value_name = "PORT", help_heading = "Hubs")]
    ap_root_port: Option<u16>,
    /// Port of the first hub's local WebSocket and HTTP server; further hubs count up (default: 0, any free port).
    #[arg(long, value_name = "PORT", help_heading = "Hubs")]
    lan_port: Option<u16>,
    /// Port of the first hub's local HTTP server; further hubs count up (default: 0, any free port).
    #[arg(long, value_name = "PORT", help_heading = "Hubs")]
    lan_http_port: Option<u16>,
    /// Announce the hubs on the local network by mDNS, as real hubs do (default: off).
    #[arg(long, help_heading = "Hubs")]
    mdns: bool,
    /// Speak the TLS of old firmware on the local ports of Linux hubs: TLS 1.2 with AES256-SHA256 (default: off). Requires a build with
    /// the Cargo feature `legacy-tls`.
    #[arg(long, help_heading = "Hubs")]
    legacy_tls: bool,
    /// Persist the state in this directory (default: not persisted). Acknowledged changes survive a crash. The next start with
    /// the same directory continues with the state and the same certificate authority (ca.pem).
    #[arg(long, value_name = "DIR", help_heading = "State")]
    state_dir: Option<PathBuf>,
    /// Share one cloud with all processes that use this NATS server, nats://HOST:PORT with JetStream (default: one process).
    /// Accounts, sessions and hubs are shared. Requires a build with the Cargo feature `cluster`.
    #[arg(long, value_name = "URL", conflicts_with = "state_dir", help_heading = "State")]
    cluster: Option<ClusterUrl>,
    /// Also write the ready line to this file (default: none). The file appears when the cloud is ready and is removed at exit.
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    endpoints_file: Option<PathBuf>,
    /// Level of the log messages on standard error.
    #[arg(long, default_value = "warn", value_parser = ["off", "error", "warn", "info", "debug", "trace"], value_name = "LEVEL", help_heading = "Output")]
    log: String,
}

pub(crate) async fn run(serve: &Serve) -> Result<(), String> {
    crate::cli::log_to_stderr(&serve.log);
    // Installed before the ready line, so that its reader can already stop the program cleanly.
    let stop = crate::cli::stop_signal().map_err(|error| format!("cannot listen for signals: {error}"))?;
    let config = config(serve)?;
    ezlo_mock_cloud::raise_descriptor_limit();
    let has_behaviours = !config.assumptions.simulate_behaviours
        || ezlo_mock_cloud::worlds::summary(&config.world).is_ok_and(|world| world.behaviours > 0);
    let lan_bind = config.lan_bind.unwrap_or(config.bind);
    let warnings = [
        (config.mdns && lan_bind.is_loopback()).then_some(
            "--mdns with a loopback address: clients on other interfaces do not find the hubs; give --lan-bind the address of \
             a network card",
        ),
        (config.lan_bind.is_some_and(|ip| !ip.is_loopback()))
            .then_some("--lan-bind is not loopback: the network reaches the local ports of the hubs"),
        (!has_behaviours).then_some("--simulate-behaviours has no effect: the world has no behaviours"),
        (!config.bind.is_loopback())
            .then_some("--bind is not loopback: the network can log in with the passwords of the world"),
        (!config.control_bind.is_loopback()).then_some(
            "--control-bind is not loopback: who has the control_token of the ready line controls the simulator",
        ),
    ];
    let mut builder = MockCloud::builder().config(config);
    if let Some(second) = serve.frozen_at {
        builder = builder.clock(Clock::frozen(second));
    }
    let cloud = builder.start().await.map_err(|error| crate::cli::with_causes(&error))?;
    // Printed at every log level.
    for warning in warnings.into_iter().flatten() {
        eprintln!("mock-cloud: warning: {warning}");
    }
    let line = cloud.ready().line();
    let _file = serve.endpoints_file.as_deref().map(|path| EndpointsFile::write(path, &line)).transpose()?;
    writeln!(std::io::stdout(), "{line}").map_err(|error| format!("cannot print the ready line: {error}"))?;
    tokio::select! {
        () = stop => Ok(()),
        why = cloud.persistence_failed() => Err(format!("{why}; changes can no longer be persisted, so the program ends")),
    }
}

/// The file with the ready line. It is written atomically and removed at the end of the program, so that scripts never read the
/// ports of an earlier run.
struct EndpointsFile<'a>(&'a Path);

impl<'a> EndpointsFile<'a> {
    fn write(path: &'a Path, line: &str) -> Result<Self, String> {
        let failed = |error| format!("cannot write {}: {error}", path.display());
        let mut beside = path.as_os_str().to_owned();
        beside.push(format!(".{}", std::process::id()));
        // The file holds passwords. A new file is never a link that another user has prepared.
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(&beside).and_then(|mut file| writeln!(file, "{line}")).map_err(failed)?;
        std::fs::rename(&beside, path).map_err(|error| {
            let _ = std::fs::remove_file(&beside);
            failed(error)
        })?;
        Ok(Self(path))
    }
}

impl Drop for EndpointsFile<'_> {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.0);
    }
}

/// Reads the name of a profile.
fn profile(name: &str) -> Result<Profile, String> {
    let names = || Profile::ALL.iter().map(|profile| profile.as_str()).collect::<Vec<_>>().join(", ");
    let known = Profile::ALL.iter().find(|profile| profile.as_str() == name);
    known.copied().ok_or_else(|| format!("use one of {}", names()))
}

fn config(serve: &Serve) -> Result<Config, String> {
    let mut config = match &serve.config {
        Some(path) => Config::from_file(path).map_err(|error| crate::cli::with_causes(&error))?,
        None => Config::default(),
    };
    let ports = [
        (serve.https_port, &mut config.ports.https),
        (serve.http_port, &mut config.ports.http),
        (serve.control_port, &mut config.ports.control),
        (serve.ap_port, &mut config.ports.ap),
        (serve.ap_root_port, &mut config.ports.ap_root),
        (serve.lan_port, &mut config.ports.lan),
        (serve.lan_http_port, &mut config.ports.lan_http),
    ];
    for (flag, port) in ports {
        *port = flag.unwrap_or(*port);
    }
    config.ports.coordinator = serve.coordinator_port.or(config.ports.coordinator);
    config.bind = serve.bind.unwrap_or(config.bind);
    config.control_bind = serve.control_bind.unwrap_or(config.control_bind);
    config.lan_bind = serve.lan_bind.or(config.lan_bind);
    config.hub_addresses |= serve.hub_addresses;
    config.control_token = serve.control_token.clone().or(config.control_token);
    config.seed = serve.seed.or(config.seed);
    if config.seed.is_none() {
        // The default seed is public, so a key that is derived from it would be public, too.
        config.signing_key.get_or_insert(SigningKey::System);
    }
    config.profile = serve.profile.unwrap_or(config.profile);
    config.mdns |= serve.mdns;
    config.legacy_tls |= serve.legacy_tls;
    config.tls_names.extend(serve.tls_names.iter().cloned());
    config.assumptions.simulate_behaviours |= serve.simulate_behaviours;
    config.assumptions.min_evidence = serve.min_evidence.or(config.assumptions.min_evidence);
    config.world = serve.world.clone().unwrap_or(config.world);
    config.cluster = serve.cluster.clone().or(config.cluster);
    config.state_dir = serve.state_dir.clone().or(config.state_dir);
    Ok(config)
}
