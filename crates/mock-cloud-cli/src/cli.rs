//! The subcommands and their shared helpers.

pub(crate) mod evidence;
pub(crate) mod hub;
pub(crate) mod serve;
pub(crate) mod state;
pub(crate) mod world;

/// Prints a line to standard output. A closed pipe, as in `… | head`, ends the program with success.
pub(crate) fn print_line(line: std::fmt::Arguments<'_>) {
    use std::io::Write as _;
    if let Err(error) = writeln!(std::io::stdout().lock(), "{line}") {
        let is_closed_pipe = error.kind() == std::io::ErrorKind::BrokenPipe;
        if !is_closed_pipe {
            eprintln!("cannot write to standard output: {error}");
        }
        std::process::exit(i32::from(!is_closed_pipe));
    }
}

/// `println!` without its panic on a closed pipe.
macro_rules! say {
    ($($part:tt)*) => { crate::cli::print_line(format_args!($($part)*)) };
}
pub(crate) use say;

pub(crate) use ezlo_protocol::error::with_causes;

pub(crate) fn log_to_stderr(level: &str) {
    if let Ok(level) = level.parse::<tracing_subscriber::filter::LevelFilter>() {
        tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).init();
    }
}

/// Returns a future that completes on Ctrl-C or SIGTERM.
#[cfg(unix)]
pub(crate) fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Returns a future that completes on Ctrl-C.
#[cfg(not(unix))]
pub(crate) fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}
