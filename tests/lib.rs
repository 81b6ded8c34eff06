//! The runs of `cargo xtask soak` and `cargo xtask torture`. The integration tests are in `main.rs`.
#![allow(clippy::expect_used, reason = "a soak run that cannot continue has failed")]

pub mod soak;
pub mod torture;
