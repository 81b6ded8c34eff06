//! `mock-cloud hub`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use ezlo_mock_cloud::{Config, Controller, ControllerConfig, ControllerError};
use ezlo_protocol::mac::MacAddress;
use ezlo_protocol::serial::Serial;
use serde_json::json;

use crate::cli::say;

/// Waits between attempts to reach the relay: doubled from the first to the last.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LAST_WAIT: Duration = Duration::from_secs(30);

#[derive(Debug, Args)]
pub(crate) struct Hub {
    /// Address of the relay: ws://HOST:PORT, or wss://HOST:PORT with --ca.
    #[arg(long)]
    relay: String,
    /// The hub's serial.
    #[arg(long)]
    serial: Serial,
    /// The address on the hub's label; a relay that knows the serial wants the one it knows.
    #[arg(long)]
    mac: Option<MacAddress>,
    /// Certificate of the relay's authority (PEM): the file that its ready line calls ca_pem.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// World to take the house from: the hub with this serial, else the first.
    #[arg(long, value_name = "NAME|FILE")]
    world: Option<String>,
    /// Where all chance comes from.
    #[arg(long)]
    seed: Option<u64>,
    /// Let the house live: behaviours run.
    #[arg(long)]
    living: bool,
    /// End when the connection ends, instead of connecting again.
    #[arg(long)]
    once: bool,
    /// What to log on standard error.
    #[arg(long, default_value = "warn", value_parser = ["off", "error", "warn", "info", "debug", "trace"])]
    log: String,
}

pub(crate) async fn run(hub: &Hub) -> Result<(), String> {
    crate::cli::log_to_stderr(&hub.log);
    let stop = crate::cli::stop_signal().map_err(|error| format!("cannot listen for signals: {error}"))?;
    let controller = Controller::new(config(hub)?).map_err(|error| super::with_causes(&error))?;
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
        let mut came = false;
        let ended = controller
            .serve(|| {
                came = true;
                say!("{line}");
            })
            .await;
        let text = match ended {
            Ok(()) if controller.is_restarting() => continue,
            Ok(()) if hub.once => return Ok(()),
            // Trying again changes nothing about these.
            Err(error) if hub.once || !matches!(error, ControllerError::Unreachable { .. }) => {
                return Err(super::with_causes(&error));
            }
            Ok(()) => "the relay closed the connection".to_owned(),
            Err(error) => error.to_string(),
        };
        wait = if came { FIRST_WAIT } else { wait };
        eprintln!("mock-cloud: {text}; trying again in {} s", wait.as_secs());
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LAST_WAIT);
    }
}

fn config(hub: &Hub) -> Result<ControllerConfig, String> {
    let mut config = Config::default();
    config.world = hub.world.clone().unwrap_or(config.world);
    config.seed = hub.seed.unwrap_or(config.seed);
    config.assumptions.simulate_behaviours |= hub.living;
    let read = |path: &PathBuf| {
        std::fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
    };
    let ca_pem = hub.ca.as_ref().map(read).transpose()?;
    Ok(ControllerConfig { relay: hub.relay.clone(), serial: hub.serial.clone(), mac: hub.mac, ca_pem, config })
}
