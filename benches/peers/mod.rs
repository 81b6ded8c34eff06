//! Small reference programs: what the bare libraries and the operating system do with the same work. Each runs as a process
//! of its own, so that its processor time can be told from the driver's, and says where it listens in one line.

use std::io::Write as _;

use clap::{Args, Subcommand};

mod http;
mod limit;
mod mock;
mod relay;

/// Runs one of the reference programs until it is killed.
#[derive(Debug, Args)]
pub(crate) struct Peer {
    /// Only on that core.
    #[arg(long)]
    core: Option<usize>,
    #[command(subcommand)]
    which: Which,
}

#[derive(Debug, Subcommand)]
enum Which {
    /// hyper alone: one fixed answer of so many bytes.
    Hyper { bytes: usize },
    /// wiremock with one mock: the same answer.
    Wiremock { bytes: usize },
    /// tokio-tungstenite alone: passes on between `/hub/N` and `/app/N`, with a read buffer of so many bytes.
    Relay { buffer: usize },
    /// hyper with an upgrade to tokio-tungstenite that says everything again, message by message.
    Echo,
    /// epoll and bytes: the same, without reading what passes.
    Limit,
    /// mock-cloud, with that configuration.
    Mock {
        config: std::path::PathBuf,
        /// Without the line of a whole world: the first hubs only.
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
            Which::Mock { config, quiet } => mock::run(config, *quiet).await,
            Which::Limit => Ok(()),
        }
    })
}

/// This process runs on that core alone.
pub(crate) fn pin(core: usize) -> Result<(), String> {
    let mut cores = rustix::thread::CpuSet::new();
    cores.set(core);
    rustix::thread::sched_setaffinity(None, &cores).map_err(|error| format!("cannot stay on core {core}: {error}"))
}

/// This process runs on every core again.
pub(crate) fn unpin() -> Result<(), String> {
    let mut cores = rustix::thread::CpuSet::new();
    let all = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).max(2);
    (0..all).for_each(|core| cores.set(core));
    rustix::thread::sched_setaffinity(None, &cores).map_err(|error| error.to_string())
}

/// Says where it listens.
fn listens(address: std::net::SocketAddr) -> Result<(), String> {
    writeln!(std::io::stdout(), "{{\"http\":\"http://{address}\"}}").map_err(|error| error.to_string())
}
