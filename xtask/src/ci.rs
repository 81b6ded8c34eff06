//! `cargo xtask test` and `cargo xtask ci`.

use std::process::{Command, Stdio};

use crate::say::say;
use crate::{Outcome, api, codegen, coverage, root, tidy};

#[derive(Debug, clap::Args)]
pub(crate) struct TestArguments {
    /// Passed on to the test runner, such as the name of a test.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

/// Doctests first, so that the last words are the runner's summary.
pub(crate) fn test(arguments: &TestArguments) -> Outcome {
    // Flows run these programs; a test build alone does not make them.
    cargo(&["build", "--workspace", "--bins", "--examples", "--locked"], &[])?;
    if arguments.rest.is_empty() {
        cargo(&["test", "--workspace", "--doc", "--quiet", "--locked"], &[])?;
    }
    let rest: Vec<&str> = arguments.rest.iter().map(String::as_str).collect();
    let runner: &[&str] = if has("nextest") {
        &["nextest", "run", "--workspace", "--locked"]
    } else {
        &["test", "--workspace", "--lib", "--bins", "--tests", "--locked"]
    };
    cargo(&[runner, &rest].concat(), &[("INSTA_UPDATE", "no")])
}

/// Always optimized: a debug build measures the compiler.
pub(crate) fn bench(rest: &[String]) -> Outcome {
    let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
    // All else is measured as it is built by default.
    let features: &[&str] = if rest.contains(&"cluster") { &["--features", "cluster"] } else { &[] };
    // Instructions are compared with those before, and a build for them need not be the fastest program.
    let profile = if rest.contains(&"instructions") { "counted" } else { "release" };
    let run = ["run", "--profile", profile, "--quiet", "--locked", "--package", "ezlo-bench"];
    cargo(&[&run, features, &["--"], &rest[..]].concat(), &[])
}

pub(crate) fn run() -> Outcome {
    test(&TestArguments { rest: Vec::new() })?;
    cargo(&["fmt", "--all", "--check"], &[])?;
    cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"], &[])?;
    cargo(
        &["doc", "--workspace", "--no-deps", "--locked", "--document-private-items"],
        &[("RUSTDOCFLAGS", "-D warnings")],
    )?;
    if has("deny") {
        cargo(&["deny", "check"], &[])?;
    } else {
        say!("xtask: cargo-deny is not installed; licences and advisories were not checked");
    }
    features()?;
    otherwise()?;
    codegen::run(&codegen::Arguments { check: true })?;
    coverage::run(&coverage::Arguments { json: true })?;
    instructions();
    api::run(&api::Arguments { check: true })?;
    tidy::run()
}

/// What the hot paths take now, beside what they took before. Printed, and nothing more: a number is no mistake.
fn instructions() {
    let there = Command::new("valgrind").arg("--version").stdout(Stdio::null()).status();
    if !there.is_ok_and(|status| status.success()) {
        say!("xtask: valgrind is not installed; no instructions were counted");
        return;
    }
    if let Err(error) = bench(&["instructions".to_owned(), "--quick".to_owned()]) {
        say!("xtask: no instructions were counted: {}", error.0);
    }
}

/// All flows again over framing of our own, and several processes as one cloud where there is a NATS server for them.
fn otherwise() -> Outcome {
    let is_there = Command::new("nats-server").arg("--version").stdout(Stdio::null()).status();
    let is_there = is_there.is_ok_and(|status| status.success());
    if !is_there {
        say!("xtask: nats-server is not installed; the cluster was not tested");
    }
    let features = if is_there { "cluster,own-framing" } else { "own-framing" };
    let of_tests = ["--package", "ezlo-tests", "--features", features, "--locked"];
    let of_cloud = ["--package", "ezlo-mock-cloud", "--features", "cluster,own-framing", "--locked"];
    cargo(&[&["clippy", "--all-targets"], &of_cloud[..], &["--", "-D", "warnings"]].concat(), &[])?;
    cargo(&[&["clippy", "--all-targets"], &of_tests[..], &["--", "-D", "warnings"]].concat(), &[])?;
    cargo(&[&["build", "--bins"], &of_cloud[..]].concat(), &[])?;
    cargo(&[&["test", "--tests", "--quiet"], &of_tests[..]].concat(), &[("INSTA_UPDATE", "no")])
}

/// Features, and whether they need OpenSSL's headers.
const FEATURES: &[(&str, &str, bool)] = &[
    ("ezlo-mms", "blocking", false),
    ("ezlo-mms", "keyring", false),
    ("ezlo-relay", "discovery", false),
    ("ezlo-relay", "legacy-tls", true),
    ("ezlo", "discovery", false),
    ("ezlo", "legacy-tls", true),
    ("ezlo-mock-cloud", "cluster", false),
];

/// Each feature alone, then all of a crate together, with their tests.
fn features() -> Outcome {
    let openssl =
        Command::new("pkg-config").args(["--exists", "openssl"]).status().is_ok_and(|status| status.success());
    cargo(&["check", "--package", "ezlo", "--no-default-features", "--locked"], &[])?;
    for (package, feature, needs_openssl) in FEATURES {
        if *needs_openssl && !openssl {
            say!("xtask: OpenSSL's headers are not installed; {package}/{feature} was not checked");
            continue;
        }
        cargo(&["check", "--package", package, "--no-default-features", "--features", feature, "--locked"], &[])?;
    }
    for (package, needs_openssl) in [("ezlo-mms", false), ("ezlo-relay", true), ("ezlo", true)] {
        if openssl || !needs_openssl {
            cargo(&["test", "--package", package, "--all-features", "--lib", "--tests", "--quiet", "--locked"], &[])?;
        }
    }
    Ok(())
}

/// Whether a cargo subcommand is installed.
fn has(subcommand: &str) -> bool {
    let probe =
        Command::new("cargo").args([subcommand, "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    probe.is_ok_and(|status| status.success())
}

fn cargo(arguments: &[&str], environment: &[(&str, &str)]) -> Outcome {
    eprintln!("xtask: cargo {}", arguments.join(" "));
    let status = Command::new("cargo").args(arguments).envs(environment.iter().copied()).current_dir(root()).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("cargo {} failed ({status})", arguments.join(" ")).into()),
        Err(error) => Err(format!("cannot run cargo: {error}").into()),
    }
}
