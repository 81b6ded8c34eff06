//! Small reference programs that do the same work with bare libraries or the operating system alone. Each runs as a separate
//! process, so that its processor time is separate from the driver's, and prints its address in one line.

use std::io::Write as _;

use clap::{Args, Subcommand};

mod http;
mod limit;
mod mock;
mod pairs;
mod relay;
mod websockets;

/// Runs one of the reference programs until it is killed.
#[derive(Debug, Args)]
pub(crate) struct Peer {
    /// Run on this core only.
    #[arg(long)]
    core: Option<usize>,
    #[command(subcommand)]
    which: Which,
}

#[derive(Debug, Subcommand)]
enum Which {
    /// Serve one fixed response of a number of bytes with hyper.
    Hyper { bytes: usize },
    /// Serve the same response with wiremock-rs.
    Wiremock { bytes: usize },
    /// Forward between `/hub/N` and `/app/N` with tokio-tungstenite and a read buffer of a number of bytes.
    Relay { buffer: usize },
    /// Echo each message with hyper and an upgrade to tokio-tungstenite.
    Echo,
    /// Forward between `/hub/N` and `/app/N` with tokio-websockets.
    WebsocketsRelay,
    /// Echo each message with tokio-websockets.
    WebsocketsEcho,
    /// Forward bytes with epoll, without parsing them.
    Limit,
    /// Serve mock-cloud with a configuration file.
    Mock {
        config: std::path::PathBuf,
        /// Print only the two addresses of the cloud instead of the whole ready line.
        #[arg(long)]
        quiet: bool,
    },
}

pub(crate) fn run(peer: &Peer) -> Result<(), String> {
    if let Some(core) = peer.core {
        pin(core)?;
    }
    if let Which::Limit = peer.which {
        return limit::run();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.map_err(|error| error.to_string())?.block_on(async {
        match &peer.which {
            Which::Hyper { bytes } => http::hyper(*bytes).await,
            Which::Wiremock { bytes } => http::wiremock(*bytes).await,
            Which::Relay { buffer } => relay::relay(*buffer).await,
            Which::Echo => relay::echo().await,
            Which::WebsocketsRelay => websockets::relay().await,
            Which::WebsocketsEcho => websockets::echo().await,
            Which::Mock { config, quiet } => mock::run(config, *quiet).await,
            Which::Limit => Ok(()),
        }
    })
}

/// Binds this process to one core.
pub(crate) fn pin(core: usize) -> Result<(), String> {
    let mut cores = rustix::thread::CpuSet::new();
    cores.set(core);
    rustix::thread::sched_setaffinity(None, &cores).map_err(|error| format!("cannot bind to core {core}: {error}"))
}

/// Allows this process to use every core again.
pub(crate) fn unpin() -> Result<(), String> {
    let mut cores = rustix::thread::CpuSet::new();
    let all = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).max(2);
    (0..all).for_each(|core| cores.set(core));
    rustix::thread::sched_setaffinity(None, &cores).map_err(|error| error.to_string())
}

/// Prints the address of the server as a line of JSON.
fn print_address(address: std::net::SocketAddr) -> Result<(), String> {
    writeln!(std::io::stdout(), "{{\"http\":\"http://{address}\"}}").map_err(|error| error.to_string())
}
