//! Whole flows live in `main.rs`; here is what `cargo xtask soak` runs for longer than a test may.
#![allow(clippy::expect_used, reason = "a run that cannot go on has failed")]

pub mod soak;
