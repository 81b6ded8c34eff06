//! End-to-end tests: the SDK and independent clients against mock-cloud.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed step fails the test")]

use std::path::PathBuf;

mod bad_input;
mod bootstrap;
mod busy_hub;
mod canary;
mod certificates;
#[cfg(feature = "cluster")]
mod cluster;
mod control;
mod controller;
mod dump;
mod evidence;
mod examples;
mod faults;
mod field_reports;
mod fixtures;
mod flows;
mod hub_life;
mod journal;
mod lan;
mod onboarding;
mod relay;
mod seed;
mod snapshots;
mod sockets;
mod state;
mod support;
mod survival;
mod ways;
mod worlds;

/// Returns the path of the `mock-cloud` program of this build.
fn program() -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    if path.ends_with("deps") {
        path.pop();
    }
    let program = path.join(format!("mock-cloud{}", std::env::consts::EXE_SUFFIX));
    assert!(program.exists(), "{} is not built; run cargo xtask test", program.display());
    program
}
