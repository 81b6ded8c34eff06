//! Layers between packages, and between the modules of `mock-cloud`.

use std::fs;

use super::imports::ImportGraph;
use crate::root;

/// For each package, the only packages of this workspace that it may depend on.
const MAY_USE: &[(&str, &[&str])] = &[
    ("crates/ezlo-protocol", &[]),
    ("crates/ezlo-hub-sim", &["ezlo-protocol"]),
    ("crates/ezlo-mms", &["ezlo-protocol"]),
    ("crates/ezlo-relay", &["ezlo-protocol"]),
    ("crates/ezlo-onboarding", &["ezlo-protocol"]),
    ("crates/ezlo", &["ezlo-mms", "ezlo-relay", "ezlo-onboarding", "ezlo-protocol"]),
    ("crates/ezlo-testkit", &["ezlo-protocol"]),
    ("mock-cloud", &["ezlo-hub-sim", "ezlo-protocol"]),
    ("crates/mock-cloud-cli", &["ezlo-mock-cloud", "ezlo-protocol"]),
];

/// Packages without input and output. Their dependencies must not bring a runtime, sockets or clocks.
const WITHOUT_IO: &[(&str, &[&str])] = &[
    ("crates/ezlo-protocol", &["tokio", "hyper", "reqwest", "futures", "jiff", "chrono", "rustls"]),
    // jiff computes sunrise and local times from a given instant; its clock is not used.
    ("crates/ezlo-hub-sim", &["tokio", "hyper", "reqwest", "futures", "chrono", "rustls", "parking_lot"]),
];

/// Names that the sources of `ezlo-hub-sim` must not contain: its input is a call or a time.
const IMPURE: &[&str] = &[
    "tokio::",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "UnixStream",
    "Mutex",
    "RwLock",
    "SystemTime",
    "Instant",
    "Zoned::now",
    "Timestamp::now",
    "std::fs",
    "std::thread",
    "std::env",
    "std::process",
    "std::io::stdin",
];

/// Layers of `mock-cloud/src`, from the lowest. A module belongs to the layer with the longest matching name, and must not
/// import from a higher one. ARCHITECTURE.md contains the same table.
pub(crate) const LAYERS: &[&[&str]] = &[
    &["core"],
    &["config"],
    &["faults::point", "faults::kinds", "faults::spec"],
    &["evidence::entry", "evidence::policy", "evidence::error_table", "evidence::field_table"],
    &["wire"],
    &["faults"],
    &["journal"],
    &["tls", "persistence"],
    &["world"],
    &["worlds"],
    &["hub_client"],
    &["cluster"],
    &["server"],
    &["evidence"],
    &["mock_cloud"],
];

pub(crate) fn check(faults: &mut Vec<String>) {
    for (folder, allowed) in MAY_USE {
        dependencies(folder, allowed, faults);
        match ImportGraph::read(&root().join(folder).join("src")) {
            Ok(graph) => {
                faults.extend(graph.cycles());
                if *folder == "mock-cloud" {
                    faults.extend(graph.upward(LAYERS));
                }
            }
            Err(error) => faults.push(error),
        }
    }
    purity(faults);
}

fn dependencies(folder: &str, allowed: &[&str], faults: &mut Vec<String>) {
    let path = root().join(folder).join("Cargo.toml");
    let manifest = fs::read_to_string(&path).unwrap_or_default().parse::<toml::Table>().unwrap_or_default();
    if manifest.is_empty() {
        faults.push(format!("{folder}/Cargo.toml cannot be read"));
    }
    let section = |section: &str| manifest.get(section).and_then(toml::Value::as_table).cloned().unwrap_or_default();
    let local = |name: &str| name == "ezlo" || name.starts_with("ezlo-");
    let (normal, dev) = (section("dependencies"), section("dev-dependencies"));
    for dependency in normal.keys().chain(dev.keys()) {
        if local(dependency) && !allowed.contains(&dependency.as_str()) {
            faults.push(format!("{folder} must not depend on {dependency}"));
        }
        let banned = WITHOUT_IO.iter().filter(|(pure, _)| *pure == folder).flat_map(|(_, banned)| banned.iter());
        if banned.into_iter().any(|banned| dependency.starts_with(banned)) {
            faults.push(format!("{folder} must have no I/O, clock or runtime, but depends on {dependency}"));
        }
    }
    // `workspace = true` includes the version, and then the release of a crate waits for the release of its tests.
    let versioned = |spec: &toml::Value| spec.get("version").is_some() || spec.get("workspace").is_some();
    let faulty = dev.iter().filter(|(name, spec)| local(name) && versioned(spec));
    faults.extend(faulty.map(|(name, _)| format!("{folder}: path dev-dependency {name} has a version")));
}

fn purity(faults: &mut Vec<String>) {
    let mut sources = Vec::new();
    super::collect(&root().join("crates/ezlo-hub-sim/src"), "rs", &mut sources);
    for path in sources {
        let text = fs::read_to_string(&path).unwrap_or_default();
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            let found = IMPURE.iter().filter(|name| code.contains(**name));
            faults.extend(found.map(|found| {
                format!("{}:{}: {found} in a crate without I/O, clock and locks", super::name(&path), number + 1)
            }));
        }
    }
}
