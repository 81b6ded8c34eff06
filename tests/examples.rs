//! Every example of the facade as a program of its own, against a simulated cloud.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use ezlo_mock_cloud::MockCloud;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::support::{HUB, started};

/// How long an example may take; a machine that is busy with other tests is slow.
const LIMIT: Duration = Duration::from_secs(30);

fn example(name: &str) -> PathBuf {
    let program = crate::program().with_file_name("examples").join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(program.exists(), "{} is not built; run cargo xtask test", program.display());
    program
}

fn begin(cloud: &MockCloud, name: &str, arguments: &[&str]) -> Child {
    let mut command = Command::new(example(name));
    command.args(arguments).env_clear().envs([
        ("EZLO_CLOUD", cloud.ready().http.as_str()),
        ("EZLO_USER", "demo.user"),
        ("EZLO_PASSWORD", "demo-password"),
    ]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap()
}

/// What it printed; it has to end well.
async fn end(child: Child) -> String {
    let output = tokio::time::timeout(LIMIT, child.wait_with_output()).await.expect("the example hangs").unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

async fn run(cloud: &MockCloud, name: &str, arguments: &[&str]) -> String {
    end(begin(cloud, name, arguments)).await
}

/// Reads lines until one begins so.
async fn line(lines: &mut tokio::io::Lines<BufReader<tokio::process::ChildStdout>>, start: &str) {
    let found = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.starts_with(start) {
                return;
            }
        }
        panic!("it ended before it said {start:?}");
    };
    tokio::time::timeout(LIMIT, found).await.expect("the example hangs");
}

async fn rest(mut child: Child, mut lines: tokio::io::Lines<BufReader<tokio::process::ChildStdout>>) -> String {
    let mut text = String::new();
    tokio::time::timeout(LIMIT, lines.get_mut().read_to_string(&mut text)).await.expect("the example hangs").unwrap();
    assert!(child.wait().await.unwrap().success());
    text
}

fn lines(child: &mut Child) -> tokio::io::Lines<BufReader<tokio::process::ChildStdout>> {
    BufReader::new(child.stdout.take().unwrap()).lines()
}

#[tokio::test]
async fn examples_of_the_account() {
    let cloud = started(MockCloud::builder()).await;
    let text = run(&cloud, "account", &[]).await;
    assert!(text.starts_with("account 1200001\nuser demo.user\nhub 90000001 online\n"), "{text}");
    let mut made = Command::new(example("create_account"));
    made.arg("somebody@example.com").env_clear().envs([
        ("EZLO_CLOUD", cloud.ready().http.as_str()),
        ("EZLO_USER", "some.body"),
        ("EZLO_PASSWORD", "some-password"),
    ]);
    let text = end(made.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()).await;
    assert!(text.contains("is there, with 0 hubs"), "{text}");
    let missing = Command::new(example("account")).env_clear().output().await.unwrap();
    assert!(!missing.status.success() && String::from_utf8_lossy(&missing.stderr).contains("set EZLO_USER"));
}

#[tokio::test]
async fn examples_that_read_and_set() {
    let cloud = started(MockCloud::builder()).await;
    let text = run(&cloud, "devices", &[]).await;
    assert!(text.contains("Kitchen light (Kitchen)\n    switch = false"), "{text}");
    assert_eq!(run(&cloud, "set_item", &["Kitchen light", "switch", "true"]).await, "Kitchen light: true\n");
    assert!(run(&cloud, "call", &["hub.info.get"]).await.contains(HUB));
    assert!(run(&cloud, "modes", &[]).await.contains("* Home"));
    let scenes = run(&cloud, "scenes", &[]).await;
    let first = scenes.lines().next().unwrap();
    assert_eq!(run(&cloud, "scenes", &[first]).await, format!("{first} has run\n"));
    let lan = cloud.ready().hubs[0].lan.clone().unwrap();
    assert_eq!(run(&cloud, "local", &[lan.trim_start_matches("wss://")]).await, "Local: 21 devices\n");
}

#[tokio::test]
async fn examples_that_watch() {
    let cloud = started(MockCloud::builder()).await;
    let mut watching = begin(&cloud, "watch_item", &["Kitchen light", "switch", "2"]);
    let mut values = lines(&mut watching);
    line(&mut values, "false").await;
    let mut listening = begin(&cloud, "events", &["1"]);
    let mut told = lines(&mut listening);
    line(&mut told, "listening").await;
    run(&cloud, "set_item", &["Kitchen light", "switch", "true"]).await;
    assert_eq!(rest(watching, values).await, "true\n");
    assert!(rest(listening, told).await.contains("ItemChanged"));
}

#[tokio::test]
async fn an_example_of_inclusion() {
    let cloud = started(MockCloud::builder()).await;
    let mut including = begin(&cloud, "include", &[]);
    let mut steps = lines(&mut including);
    line(&mut steps, "put the device into inclusion now").await;
    cloud.hub(HUB).unwrap().press_include("power_strip").unwrap();
    let text = rest(including, steps).await;
    // A strip has channels, each a device of its own that comes after it: what was included is the strip.
    assert!(text.ends_with("included: New device 22\n"), "{text}");
    let devices = run(&cloud, "devices", &[]).await;
    assert!(devices.contains("New device 22 4"), "{devices}");
}

#[tokio::test]
async fn an_example_of_a_mode_that_is_reached() {
    let cloud = started(MockCloud::builder()).await;
    let mut switching = begin(&cloud, "modes", &["Night"]);
    let mut told = lines(&mut switching);
    line(&mut told, "Night in").await;
    cloud.advance(Duration::from_secs(600)).await;
    assert!(rest(switching, told).await.contains("* Night"));
}

#[tokio::test]
async fn an_example_of_a_hub_put_on_wifi() {
    let cloud = started(MockCloud::builder()).await;
    let fresh = &cloud.ready().hubs[1];
    let (api, root) = (fresh.ap.as_deref().unwrap(), fresh.ap_root.as_deref().unwrap());
    let arguments = [fresh.serial.as_str(), &fresh.mac, "NETWORK_SSID", "WIFIPASS", api, root];
    let text = run(&cloud, "onboard", &arguments).await;
    assert!(text.starts_with("Networks(") && text.ends_with("Restarting\nClaimed\nOnline\n3 devices\n"), "{text}");
    // Once more, as after a crash at the very end: everything is done already.
    let again = run(&cloud, "onboard", &arguments).await;
    assert_eq!(again, "Resuming\nClaimed\nOnline\n3 devices\n");
    assert!(run(&cloud, "account", &[]).await.contains(&format!("hub {} online", fresh.serial)));
}

#[test]
fn every_example_is_run_here() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/ezlo/examples");
    let here = include_str!("examples.rs");
    let mut found = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            assert!(here.contains(&format!("\"{name}\"")), "{name} is never run");
            found += 1;
        }
    }
    assert!(found >= 12, "{found} examples");
}
