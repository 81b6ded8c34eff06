//! The soak run of `cargo xtask soak`. The integration tests are in `main.rs`.
#![allow(clippy::expect_used, reason = "a soak run that cannot continue has failed")]

pub mod soak;
