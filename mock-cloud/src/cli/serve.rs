//! `mock-cloud serve`.

use std::io::Write as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use ezlo_mock_cloud::{Clock, ClusterUrl, Config, Evidence, Framing, MockCloud, Profile};

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Configuration file (TOML); flags win over it.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Shipped world (`mock-cloud world list`) or path of a world file.
    #[arg(long, value_name = "NAME|FILE")]
    world: Option<String>,
    /// Address to bind. Keep it on loopback: passwords and tokens of the world are in the open.
    #[arg(long)]
    bind: Option<IpAddr>,
    /// Port for all vendor host names with TLS; 0 = any free one, as for every port.
    #[arg(long)]
    https_port: Option<u16>,
    /// The same in clear text.
    #[arg(long)]
    http_port: Option<u16>,
    /// Control API.
    #[arg(long)]
    control_port: Option<u16>,
    /// First hub's Wi-Fi API; further hubs count up.
    #[arg(long)]
    ap_port: Option<u16>,
    /// First hub's access-point root.
    #[arg(long)]
    ap_root_port: Option<u16>,
    /// First hub's local WebSocket and HTTP port.
    #[arg(long)]
    lan_port: Option<u16>,
    /// First hub's local HTTP port.
    #[arg(long)]
    lan_http_port: Option<u16>,
    /// Where all chance comes from; the same seed gives the same ids and decisions.
    #[arg(long)]
    seed: Option<u64>,
    /// Set of manners.
    #[arg(long, value_enum)]
    profile: Option<Profile>,
    /// What reads and writes WebSocket frames. Our own takes less memory for an idle connection and reads more at once.
    #[arg(long, value_enum)]
    framing: Option<Framing>,
    /// Keep the state here: what a client was told is done is still so after any end of the program, and the next start goes
    /// on from it, with the same certificate authority (ca.pem).
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// Be one cloud with every process that names this NATS server (nats://HOST:PORT, with JetStream): accounts, sessions and
    /// hubs are shared, each hub lives in one of them. For builds with the feature cluster.
    #[arg(long, value_name = "URL", conflicts_with = "state_dir")]
    cluster: Option<ClusterUrl>,
    /// Further host name or address that the server certificate is valid for, such as `hub.example.org` or `*.test`. May be
    /// given several times. A persisted certificate authority that does not permit the name is replaced.
    #[arg(long = "tls-name", value_name = "NAME")]
    tls_names: Vec<String>,
    /// Write the ready line to this file too.
    #[arg(long, value_name = "FILE")]
    endpoints_file: Option<PathBuf>,
    /// Announce the hubs on the local network by mDNS, as real ones do.
    #[arg(long)]
    mdns: bool,
    /// Begin at this Unix second, and let time stand still until the control API moves it: the same requests then give the
    /// same answers, byte for byte. Between the years 1970 and 3000. A kept state that is further on stays there.
    #[arg(long, value_name = "UNIX_SECONDS", value_parser = clap::value_parser!(i64).range(0..=32_503_680_000))]
    frozen_at: Option<i64>,
    /// Let the houses of the world live: behaviours run.
    #[arg(long)]
    living: bool,
    /// Refuse answers that are known less well than this: captured, vendor, client-source, community or inferred.
    #[arg(long, value_name = "LEVEL")]
    min_evidence: Option<Evidence>,
    /// What to log on standard error.
    #[arg(long, default_value = "warn", value_parser = ["off", "error", "warn", "info", "debug", "trace"])]
    log: String,
}

pub(crate) async fn run(serve: &Serve) -> Result<(), String> {
    crate::cli::log_to_stderr(&serve.log);
    // Before the ready line, so that whoever reads it can already stop us cleanly.
    let stop = crate::cli::stop_signal().map_err(|error| format!("cannot listen for signals: {error}"))?;
    let config = config(serve)?;
    ezlo_mock_cloud::raise_descriptor_limit();
    let is_local = config.bind.is_loopback();
    let mut builder = MockCloud::builder().config(config);
    if let Some(second) = serve.frozen_at {
        builder = builder.clock(Clock::frozen(second));
    }
    let cloud = builder.start().await.map_err(|error| super::with_causes(&error))?;
    if !is_local {
        tracing::warn!(
            "others on the network can reach everything, the control API and the passwords of the world too"
        );
    }
    let line = cloud.ready().line();
    let _file = serve.endpoints_file.as_deref().map(|path| EndpointsFile::write(path, &line)).transpose()?;
    writeln!(std::io::stdout(), "{line}").map_err(|error| format!("cannot print the ready line: {error}"))?;
    tokio::select! {
        () = stop => Ok(()),
        why = cloud.persistence_failed() => Err(format!("{why}; nothing would be kept any more, so this ends")),
    }
}

/// The file with the ready line: there at once or not at all, and gone with the program, so that nobody reads the ports of an
/// earlier run.
struct EndpointsFile<'a>(&'a Path);

impl<'a> EndpointsFile<'a> {
    fn write(path: &'a Path, line: &str) -> Result<Self, String> {
        let failed = |error| format!("cannot write {}: {error}", path.display());
        let mut beside = path.as_os_str().to_owned();
        beside.push(format!(".{}", std::process::id()));
        std::fs::write(&beside, format!("{line}\n")).map_err(failed)?;
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

fn config(serve: &Serve) -> Result<Config, String> {
    let mut config = match &serve.config {
        Some(path) => Config::from_file(path).map_err(|error| super::with_causes(&error))?,
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
    config.bind = serve.bind.unwrap_or(config.bind);
    config.seed = serve.seed.unwrap_or(config.seed);
    config.profile = serve.profile.unwrap_or(config.profile);
    config.framing = serve.framing.unwrap_or(config.framing);
    config.mdns |= serve.mdns;
    config.tls_names.extend(serve.tls_names.iter().cloned());
    config.assumptions.simulate_behaviours |= serve.living;
    config.assumptions.min_evidence = serve.min_evidence.or(config.assumptions.min_evidence);
    config.world = serve.world.clone().unwrap_or(config.world);
    config.cluster = serve.cluster.clone().or(config.cluster);
    config.state_dir = serve.state_dir.clone().or(config.state_dir);
    Ok(config)
}
