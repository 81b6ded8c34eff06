//! The `mock-cloud` program.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that talks to its user")]

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use ezlo_mock_cloud::{Config, MockCloud, Profile};

#[derive(Debug, Parser)]
#[command(
    name = "mock-cloud",
    version,
    about = "Simulates the Ezlo and Vera cloud, relay, access points and hubs, offline. For tests only."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve until interrupted. Prints one line of JSON when ready, and nothing else on standard output.
    Serve(Box<Serve>),
}

#[derive(Debug, Args)]
struct Serve {
    /// Configuration file (TOML); flags win over it.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Shipped world (demo, bare) or path of a world file.
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
    /// Folder for what should be found again: the certificate authority's certificate, ca.pem.
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// Write the ready line to this file too.
    #[arg(long, value_name = "FILE")]
    endpoints_file: Option<PathBuf>,
    /// What to log on standard error.
    #[arg(long, default_value = "warn", value_parser = ["off", "error", "warn", "info", "debug", "trace"])]
    log: String,
}

fn main() -> ExitCode {
    let Command::Serve(serve) = Arguments::parse().command;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let outcome =
        runtime.map_err(|error| format!("cannot start: {error}")).and_then(|runtime| runtime.block_on(run(&serve)));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("mock-cloud: {text}");
            ExitCode::FAILURE
        }
    }
}

async fn run(serve: &Serve) -> Result<(), String> {
    if let Ok(level) = serve.log.parse::<tracing_subscriber::filter::LevelFilter>() {
        tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).init();
    }
    // Before the ready line, so that whoever reads it can already stop us cleanly.
    let stop = stop_signal().map_err(|error| format!("cannot listen for signals: {error}"))?;
    let cloud = MockCloud::builder().config(config(serve)?).start().await.map_err(|error| error.to_string())?;
    let line = cloud.ready().line();
    if let Some(path) = &serve.endpoints_file {
        std::fs::write(path, format!("{line}\n"))
            .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    println!("{line}");
    stop.await;
    Ok(())
}

fn config(serve: &Serve) -> Result<Config, String> {
    let mut config = match &serve.config {
        Some(path) => Config::from_file(path).map_err(|error| error.to_string())?,
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
    config.world = serve.world.clone().unwrap_or(config.world);
    config.state_dir = serve.state_dir.clone().or(config.state_dir);
    Ok(config)
}

/// Ends with Ctrl-C, or SIGTERM where there is one.
#[cfg(unix)]
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Ends with Ctrl-C.
#[cfg(not(unix))]
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}
