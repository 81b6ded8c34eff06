//! The command `mock-cloud hub`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use ezlo_mock_cloud::{Config, Controller, ControllerConfig, ControllerError};
use ezlo_protocol::mac::MacAddress;
use ezlo_protocol::serial::Serial;
use serde_json::json;

use crate::cli::say;

/// Waits between attempts to connect to the relay: doubled from the first to the last.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LAST_WAIT: Duration = Duration::from_secs(30);

/// Examples at the end of the help.
pub(crate) const EXAMPLES: &str = "\
Examples:
  Connect the hub 90000001 to a cloud on this machine, without TLS:
    mock-cloud hub --relay ws://127.0.0.1:8080 --serial 90000001
  Connect with TLS; the file is the one that the ready line of the cloud calls ca_pem:
    mock-cloud hub --relay wss://127.0.0.1:8443 --ca ca.pem --serial 90000001
  Serve one connection only, with the house of a world file and its behaviours:
    mock-cloud hub --relay ws://127.0.0.1:8080 --serial 90000001 --world my.toml --simulate-behaviours --once";

#[derive(Debug, Args)]
pub(crate) struct Hub {
    /// Address of the relay: ws://HOST:PORT, or wss://HOST:PORT together with --ca.
    #[arg(long, value_name = "URL")]
    relay: String,
    /// Serial of the hub, 1 to 18 digits.
    #[arg(long)]
    serial: Serial,
    /// Hardware address on the hub's label (default: the one of the world file). It must match the relay's record of a known
    /// serial.
    #[arg(long)]
    mac: Option<MacAddress>,
    /// CA certificate of the relay in PEM, the file `ca_pem` of its ready line (default: none). Required for wss://.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Bundled world or world file with the house (default: demo). The hub with this serial is used, otherwise the first hub
    /// that is not a Vera hub.
    #[arg(long, value_name = "NAME|FILE")]
    world: Option<String>,
    /// Random seed (default: 1).
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Run the behaviours of the world file, for example a drifting temperature (default: off).
    #[arg(long)]
    simulate_behaviours: bool,
    /// Exit when the connection ends, instead of reconnecting (default: reconnect).
    #[arg(long)]
    once: bool,
    /// Level of the log messages on standard error.
    #[arg(long, value_name = "LEVEL", default_value = "warn", value_parser = ["off", "error", "warn", "info", "debug", "trace"])]
    log: String,
}

pub(crate) async fn run(hub: &Hub) -> Result<(), String> {
    crate::cli::log_to_stderr(&hub.log);
    let stop = crate::cli::stop_signal().map_err(|error| format!("cannot listen for signals: {error}"))?;
    let controller = Controller::new(config(hub)?).map_err(|error| crate::cli::with_causes(&error))?;
    tokio::select! {
        () = stop => Ok(()),
        ended = serve(hub, &controller) => ended,
    }
}

async fn serve(hub: &Hub, controller: &Controller) -> Result<(), String> {
    let line = json!({"ready": true, "serial": hub.serial, "relay": hub.relay});
    let mut wait = FIRST_WAIT;
    loop {
        controller.wait_until_up().await;
        let mut was_registered = false;
        let ended = controller
            .serve(|| {
                was_registered = true;
                say!("{line}");
            })
            .await;
        let text = match ended {
            Ok(()) if controller.is_restarting() => continue,
            Ok(()) if hub.once => return Ok(()),
            // Another attempt would fail in the same way.
            Err(error) if hub.once || !matches!(error, ControllerError::Unreachable { .. }) => {
                return Err(crate::cli::with_causes(&error));
            }
            Ok(()) => "the relay closed the connection".to_owned(),
            Err(error) => error.to_string(),
        };
        wait = if was_registered { FIRST_WAIT } else { wait };
        eprintln!("mock-cloud: {text}; retrying in {} s", wait.as_secs());
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LAST_WAIT);
    }
}

fn config(hub: &Hub) -> Result<ControllerConfig, String> {
    let mut config = Config::default();
    config.world = hub.world.clone().unwrap_or(config.world);
    config.seed = hub.seed;
    config.assumptions.simulate_behaviours |= hub.simulate_behaviours;
    let read = |path: &PathBuf| {
        std::fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
    };
    let ca_pem = hub.ca.as_ref().map(read).transpose()?;
    Ok(ControllerConfig { relay: hub.relay.clone(), serial: hub.serial.clone(), mac: hub.mac, ca_pem, config })
}
