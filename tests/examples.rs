//! Every example program of the crate `ezlo`, run against a simulated cloud.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use ezlo_mock_cloud::MockCloud;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::support::{HUB, started};

/// The time limit of an example, generous because other tests run at the same time.
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

/// Waits for the successful end of an example and returns its output.
async fn end(child: Child) -> String {
    let output = tokio::time::timeout(LIMIT, child.wait_with_output()).await.expect("the example timed out").unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

async fn run(cloud: &MockCloud, name: &str, arguments: &[&str]) -> String {
    end(begin(cloud, name, arguments)).await
}

/// Reads lines until one begins with `start`.
async fn line(lines: &mut tokio::io::Lines<BufReader<tokio::process::ChildStdout>>, start: &str) {
    let found = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.starts_with(start) {
                return;
            }
        }
        panic!("the example ended before it printed {start:?}");
    };
    tokio::time::timeout(LIMIT, found).await.expect("the example timed out");
}

async fn rest(mut child: Child, mut lines: tokio::io::Lines<BufReader<tokio::process::ChildStdout>>) -> String {
    let mut text = String::new();
    tokio::time::timeout(LIMIT, lines.get_mut().read_to_string(&mut text))
        .await
        .expect("the example timed out")
        .unwrap();
    assert!(child.wait().await.unwrap().success());
    text
}

fn lines(child: &mut Child) -> tokio::io::Lines<BufReader<tokio::process::ChildStdout>> {
    BufReader::new(child.stdout.take().unwrap()).lines()
}

#[tokio::test]
async fn account_examples_list_and_create_an_account() {
    let cloud = started(MockCloud::builder()).await;
    let text = run(&cloud, "account", &[]).await;
    assert!(text.starts_with("account 1200001\nuser demo.user\nhub 90000001 online\n"), "{text}");
    let mut create = Command::new(example("create_account"));
    create.arg("new.user@example.com").env_clear().envs([
        ("EZLO_CLOUD", cloud.ready().http.as_str()),
        ("EZLO_USER", "new.user"),
        ("EZLO_PASSWORD", "some-password"),
    ]);
    let text = end(create.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()).await;
    assert!(text.contains("created, with 0 hubs"), "{text}");
    let missing = Command::new(example("account")).env_clear().output().await.unwrap();
    assert!(!missing.status.success() && String::from_utf8_lossy(&missing.stderr).contains("set EZLO_USER"));
}

#[tokio::test]
async fn examples_read_and_set_values() {
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
async fn examples_receive_changes() {
    let cloud = started(MockCloud::builder()).await;
    let mut watching = begin(&cloud, "watch_item", &["Kitchen light", "switch", "2"]);
    let mut values = lines(&mut watching);
    line(&mut values, "false").await;
    let mut events = begin(&cloud, "events", &["1"]);
    let mut event_lines = lines(&mut events);
    line(&mut event_lines, "listening").await;
    run(&cloud, "set_item", &["Kitchen light", "switch", "true"]).await;
    assert_eq!(rest(watching, values).await, "true\n");
    assert!(rest(events, event_lines).await.contains("ItemChanged"));
}

#[tokio::test]
async fn inclusion_example_adds_a_device() {
    let cloud = started(MockCloud::builder()).await;
    let mut including = begin(&cloud, "include", &[]);
    let mut steps = lines(&mut including);
    line(&mut steps, "put the device into inclusion now").await;
    cloud.hub(HUB).unwrap().press_include("power_strip").unwrap();
    let text = rest(including, steps).await;
    // The channels of a power strip are devices that are added after it. The example reports the strip.
    assert!(text.ends_with("included: New device 22\n"), "{text}");
    let devices = run(&cloud, "devices", &[]).await;
    assert!(devices.contains("New device 22 4"), "{devices}");
}

#[tokio::test]
async fn mode_example_waits_until_the_mode_is_reached() {
    let cloud = started(MockCloud::builder()).await;
    let mut switching = begin(&cloud, "modes", &["Night"]);
    let mut output = lines(&mut switching);
    line(&mut output, "Night in").await;
    cloud.advance(Duration::from_secs(600)).await;
    assert!(rest(switching, output).await.contains("* Night"));
}

#[tokio::test]
async fn onboarding_example_puts_a_hub_on_wifi() {
    let cloud = started(MockCloud::builder()).await;
    let fresh = &cloud.ready().hubs[1];
    let (api, root) = (fresh.ap.as_deref().unwrap(), fresh.ap_root.as_deref().unwrap());
    let arguments = [fresh.serial.as_str(), &fresh.mac, "NETWORK_SSID", "WIFIPASS", api, root];
    let text = run(&cloud, "onboard", &arguments).await;
    assert!(text.starts_with("Networks(") && text.ends_with("Restarting\nClaimed\nOnline\n3 devices\n"), "{text}");
    // A second run, as after a crash at the end, finds every step complete.
    let again = run(&cloud, "onboard", &arguments).await;
    assert_eq!(again, "Resuming\nClaimed\nOnline\n3 devices\n");
    assert!(run(&cloud, "account", &[]).await.contains(&format!("hub {} online", fresh.serial)));
}

#[test]
fn every_example_is_run_by_a_test() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/ezlo/examples");
    let here = include_str!("examples.rs");
    let mut found = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            assert!(here.contains(&format!("\"{name}\"")), "no test runs the example {name}");
            found += 1;
        }
    }
    assert!(found >= 12, "{found} examples");
}
