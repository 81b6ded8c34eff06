//! `cargo xtask test` and `cargo xtask ci`.

use std::process::{Command, Stdio};
use std::time::Instant;

use crate::say::say;
use crate::{Outcome, api, codegen, coverage, docs, root, tidy, torture};

#[derive(Debug, clap::Args)]
pub(crate) struct TestArguments {
    /// Arguments for the test runner, such as the name of a test.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

/// Runs the doctests first, so that the output ends with the summary of the test runner.
pub(crate) fn test(arguments: &TestArguments) -> Outcome {
    // Some tests start these programs, and a build of the tests does not include them.
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

/// Runs a benchmark in an optimised build.
pub(crate) fn bench(rest: &[String]) -> Outcome {
    let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
    // The other benchmarks measure the default features.
    let features: &[&str] = if rest.contains(&"cluster") { &["--features", "cluster"] } else { &[] };
    // Instruction counts are compared with earlier counts of the same profile; `counted` builds sooner than `dist`.
    let profile = if rest.contains(&"instructions") { "counted" } else { "dist" };
    let run = ["run", "--profile", profile, "--quiet", "--locked", "--package", "ezlo-bench"];
    cargo(&[&run, features, &["--"], &rest[..]].concat(), &[])
}

pub(crate) fn run() -> Outcome {
    test(&TestArguments { rest: Vec::new() })?;
    cargo(&["fmt", "--all", "--check"], &[])?;
    // All other code is checked with all features.
    cargo(&["clippy", "--package", "ezlo-mock-cloud", "--all-targets", "--locked", "--", "-D", "warnings"], &[])?;
    cargo(
        &["doc", "--workspace", "--no-deps", "--locked", "--document-private-items"],
        &[("RUSTDOCFLAGS", "-D warnings")],
    )?;
    if has("deny") {
        cargo(&["deny", "check", "bans", "licenses", "sources"], &[])?;
        // Advisories need their database, which may be unreachable.
        match cargo(&["deny", "fetch", "db"], &[]) {
            Ok(()) => cargo(&["deny", "check", "advisories"], &[])?,
            Err(_) => say!("xtask: the advisory database is not reachable; advisories were not checked"),
        }
    } else {
        say!("xtask: cargo-deny is not installed; licences and advisories were not checked");
    }
    features()?;
    codegen::run(&codegen::Arguments { check: true })?;
    coverage::run(&coverage::Arguments { json: true })?;
    api::run(&api::Arguments { check: true })?;
    docs::run(&docs::Arguments::default())?;
    torture::run(&torture::Arguments::minutes(2.0))?;
    tidy::run()
}

/// The external requirement of a feature's tests.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Needs {
    Nothing,
    OpenSsl,
    NatsServer,
    Python,
}

impl Needs {
    /// Returns the missing requirement, if any.
    fn missing(self) -> Option<&'static str> {
        let runs = |program: &str, arguments: &[&str]| {
            let ended = Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
            ended.is_ok_and(|status| status.success())
        };
        match self {
            Self::Nothing => None,
            Self::OpenSsl => (!runs("pkg-config", &["--exists", "openssl"])).then_some("OpenSSL's headers"),
            Self::NatsServer => (!runs("nats-server", &["--version"])).then_some("nats-server"),
            Self::Python => python_environment().err(),
        }
    }
}

/// Creates `target/python`, a virtual environment with the packages that the tests use, if it does not exist yet.
fn python_environment() -> Result<(), &'static str> {
    let folder = root().join("target/python");
    let requirements = root().join("tests/python/requirements.txt");
    let run = |program: std::path::PathBuf, arguments: &[&std::ffi::OsStr]| {
        let status = Command::new(program).args(arguments).stdout(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    };
    if !folder.join("bin/pip").exists() && !run("python3".into(), &["-m".as_ref(), "venv".as_ref(), folder.as_ref()]) {
        return Err("Python 3 with its module venv");
    }
    let install = ["install".as_ref(), "--quiet".as_ref(), "--requirement".as_ref(), requirements.as_os_str()];
    if run(folder.join("bin/pip"), &install) { Ok(()) } else { Err("the packages of tests/python/requirements.txt") }
}

/// Features to test: package, feature, requirement of its tests, and `true` if users can enable it alone.
const FEATURES: &[(&str, &str, Needs, bool)] = &[
    ("ezlo-mms", "blocking", Needs::Nothing, true),
    ("ezlo-mms", "keyring", Needs::Nothing, true),
    ("ezlo-relay", "discovery", Needs::Nothing, true),
    ("ezlo-relay", "legacy-tls", Needs::OpenSsl, true),
    ("ezlo", "discovery", Needs::Nothing, true),
    ("ezlo", "legacy-tls", Needs::OpenSsl, true),
    ("ezlo-mock-cloud", "state", Needs::Nothing, true),
    ("ezlo-mock-cloud", "mdns", Needs::Nothing, true),
    ("ezlo-mock-cloud", "legacy-tls", Needs::OpenSsl, true),
    ("mock-cloud-cli", "legacy-tls", Needs::OpenSsl, false),
    ("ezlo-tests", "legacy-tls", Needs::OpenSsl, false),
    ("ezlo-mock-cloud", "cluster", Needs::Nothing, true),
    ("mock-cloud-cli", "cluster", Needs::Nothing, false),
    ("ezlo-bench", "cluster", Needs::Nothing, false),
    ("ezlo-tests", "cluster", Needs::NatsServer, false),
    ("ezlo-tests", "python", Needs::Python, false),
];

/// Checks each feature alone, then runs all tests with all features enabled, including those of the cluster.
fn features() -> Outcome {
    cargo(&["check", "--package", "ezlo", "--no-default-features", "--locked"], &[])?;
    let mut together = Vec::new();
    for (package, feature, needs, alone) in FEATURES {
        let missing = needs.missing();
        match missing {
            Some(missing) => say!("xtask: {missing} not installed; {package}/{feature} was not tested"),
            None => together.push(format!("{package}/{feature}")),
        }
        // `cargo check` compiles only, and the build needs only OpenSSL.
        if *alone && (missing.is_none() || *needs != Needs::OpenSsl) {
            cargo(&["check", "--package", package, "--no-default-features", "--features", feature, "--locked"], &[])?;
        }
    }
    let together = together.join(",");
    let all = ["--workspace", "--features", &together, "--locked"];
    cargo(&[&["clippy", "--all-targets"], &all[..], &["--", "-D", "warnings"]].concat(), &[])?;
    cargo(&[&["build", "--bins", "--examples"], &all[..]].concat(), &[])?;
    let only = ["--filterset", WITH_FEATURES];
    let runner: Vec<&str> = if has("nextest") {
        [&["nextest", "run"], &only[..]].concat()
    } else {
        vec!["test", "--lib", "--bins", "--tests"]
    };
    cargo(&[&runner[..], &all].concat(), &[("INSTA_UPDATE", "no")])
}

/// The tests that depend on features: those of the packages with features, and the whole flows that need one. The others have
/// passed without features.
const WITH_FEATURES: &str = "package(ezlo-mms) | package(ezlo-relay) | package(ezlo) | package(ezlo-mock-cloud) | package(mock-cloud-cli) \
     | (package(ezlo-tests) & test(/^(cluster|state|certificates|control|ways)::/))";

/// Returns `true` if a cargo subcommand is installed.
fn has(subcommand: &str) -> bool {
    let probe =
        Command::new("cargo").args([subcommand, "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    probe.is_ok_and(|status| status.success())
}

fn cargo(arguments: &[&str], environment: &[(&str, &str)]) -> Outcome {
    let name = arguments.join(" ");
    eprintln!("xtask: cargo {name}");
    let begun = Instant::now();
    let status = Command::new("cargo").args(arguments).envs(environment.iter().copied()).current_dir(root()).status();
    match status {
        Ok(status) if status.success() => {
            eprintln!("xtask: {:.0} s for cargo {name}", begun.elapsed().as_secs_f64());
            Ok(())
        }
        Ok(status) => Err(format!("cargo {name} failed ({status})").into()),
        Err(error) => Err(format!("cannot run cargo: {error}").into()),
    }
}
