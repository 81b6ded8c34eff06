//! A soak test: the SDK and a simulated cloud in one process, with a faulty proxy between them. It checks invariants, such as
//! that no command is executed twice. One seed gives one sequence of faults.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ezlo::{
    Account, CallError, Change, Credentials, Environment, Error, Hub, HubEvent, ItemHandle, MomentaryEvent, RelayEvent,
    SessionConfig,
};
use ezlo_mock_cloud::faults::{FaultKind, FaultSpec, Trigger};
use ezlo_mock_cloud::random::Random;
use ezlo_mock_cloud::{HubHandle, MockCloud};
use ezlo_relay::BackoffPolicy;
use serde_json::{Value, json};

pub mod proxy;

use proxy::Proxy;

const SERIAL: &str = "90000001";
/// Commands in flight.
const WORKERS: usize = 4;
/// Time limit of a command: the call, the confirmation and the resync.
const PATIENCE: Duration = Duration::from_secs(20);

/// The parameters of a run.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Seed of all random values.
    pub seed: u64,
    /// Duration of the faults and commands.
    pub length: Duration,
}

/// The results of a run.
#[derive(Debug, Default)]
pub struct Report {
    /// Commands sent.
    pub commands: u64,
    /// Faults injected.
    pub faults: u64,
    /// Reconnections of the session.
    pub reconnects: u64,
    /// Commands with an unknown outcome.
    pub unknown_outcomes: u64,
    /// Commands confirmed.
    pub confirmed: u64,
    /// Violations of the invariants, each with the command or event that showed it (at most 40).
    pub violations: Vec<String>,
}

/// The history of the commands and presses, as the hub executed them and as the SDK reported them.
#[derive(Debug, Default)]
struct Ledger {
    /// Executions at the hub, by command. A negated key marks a command reported as not executed. A key above [`CONFIRMED`]
    /// marks a confirmed command.
    executions: HashMap<i64, u32>,
    /// Value changes that the SDK reported, by command.
    told: HashMap<i64, u32>,
    /// Presses of the simulated button.
    pressed: HashSet<i64>,
    /// Presses that the SDK reported, by number.
    edges: HashMap<i64, u32>,
}

type Shared = Arc<Mutex<(Ledger, Report)>>;

fn locked(shared: &Shared) -> std::sync::MutexGuard<'_, (Ledger, Report)> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn violation(shared: &Shared, text: String) {
    let report = &mut locked(shared).1;
    // The first violations show the cause; later ones would hide it.
    if report.violations.len() < 20 {
        report.violations.push(text);
    }
}

/// Runs the soak test with one seed.
///
/// # Panics
/// If the simulated cloud cannot be started, or if the SDK cannot connect to it before the first fault.
pub async fn run(plan: Plan) -> Report {
    let world = concat!(env!("CARGO_MANIFEST_DIR"), "/soak/world.toml");
    let cloud = MockCloud::builder().world(world).seed(plan.seed).start().await.expect("a cloud");
    let proxy = Proxy::start(cloud.ready().http.trim_start_matches("http://").parse().expect("an address")).await;
    let shared = Shared::default();
    let account = log_in(&format!("http://{}", proxy.address())).await;
    let observer = observe(&cloud).await;
    let config = {
        let mut config = SessionConfig::default();
        config.seed = Some(plan.seed);
        config.call_timeout = Duration::from_secs(3);
        config.handshake_timeout = Duration::from_secs(2);
        config.idle_timeout = Duration::from_secs(1);
        config.backoff = BackoffPolicy { initial: Duration::from_millis(20), max: Duration::from_millis(300) };
        config
    };
    let hub = account.connect_with(&SERIAL.parse().expect("a serial"), None, config).await.expect("a connection");
    hub.synced().await.expect("a model");
    let targets = targets(&hub).await;
    let watchers = [
        tokio::spawn(count_executions(observer.session().events(), Arc::clone(&shared))),
        tokio::spawn(count_events(hub.events(), Arc::clone(&shared))),
    ];
    let end = Instant::now() + plan.length;
    let workers: Vec<_> =
        (0..WORKERS).map(|worker| tokio::spawn(command(targets.clone(), worker, end, Arc::clone(&shared)))).collect();
    inject_faults(&cloud, &proxy, plan.seed, end, &shared).await;
    proxy.mend();
    cloud.remove_fault(None);
    cloud.hub(SERIAL).expect("a hub").set_internet(true);
    for worker in workers {
        if worker.await.is_err() {
            violation(&shared, "a worker panicked".into());
        }
    }
    settle(&hub, &observer, &shared).await;
    let connections = hub.status().connections;
    watchers.iter().for_each(tokio::task::JoinHandle::abort);
    hub.close().await;
    observer.close().await;
    let (ledger, report) = std::mem::take(&mut *locked(&shared));
    let mut report = evaluate(&ledger, report);
    report.reconnects = connections.saturating_sub(1);
    report
}

async fn log_in(base: &str) -> Account {
    let environment = Environment::from_base_url(base).expect("an environment");
    let credentials = Credentials::new("demo.user", "demo-password");
    Account::log_in(environment, &credentials).await.expect("a login")
}

/// Time limit for the confirmation of a command. The simulated hub applies commands at once.
const REPORT_TIME: Duration = Duration::from_secs(1);

/// Returns items that accept any whole number. Each command writes a unique number.
async fn targets(hub: &Hub) -> Vec<ItemHandle> {
    let devices = hub.devices().await.expect("devices");
    devices.iter().filter_map(|device| device.item("rgbcolor").ok()).collect()
}

fn mark(value: &Value) -> Option<i64> {
    value["indexed"].as_i64()
}

/// Sends commands until the end and records their outcomes.
async fn command(targets: Vec<ItemHandle>, worker: usize, end: Instant, shared: Shared) {
    let mut number = i64::try_from(worker).unwrap_or_default() + 1;
    while Instant::now() < end {
        let target = &targets[worker % targets.len()];
        let value = json!({"red": 1, "indexed": number});
        locked(&shared).1.commands += 1;
        let outcome = tokio::time::timeout(PATIENCE, target.set(value).timeout(REPORT_TIME).send_and_confirm()).await;
        let confirmed = match outcome {
            Err(_) => {
                violation(&shared, format!("command {number} had no outcome within {PATIENCE:?}"));
                false
            }
            Ok(Ok(_)) => true,
            Ok(Err(Error::OutcomeUnknown { .. } | Error::ConfirmationTimeout { .. })) => {
                locked(&shared).1.unknown_outcomes += 1;
                false
            }
            Ok(Err(Error::NotApplied { .. })) => {
                // The error is based on the state that was read. The hub must not execute the command later either.
                locked(&shared).0.executions.entry(-number).or_insert(0);
                false
            }
            Ok(Err(Error::Call(CallError::NotSent { .. } | CallError::Refused { .. }))) => {
                locked(&shared).0.executions.entry(-number).or_insert(0);
                false
            }
            Ok(Err(error)) => {
                violation(&shared, format!("command {number}: {error}"));
                false
            }
        };
        if confirmed {
            let mut shared = locked(&shared);
            shared.1.confirmed += 1;
            // The final check finds confirmed commands by this key.
            shared.0.executions.entry(number + CONFIRMED).or_insert(0);
        }
        number += i64::try_from(WORKERS).unwrap_or(1);
    }
}

/// Offset of the keys that mark confirmed commands.
const CONFIRMED: i64 = 1 << 40;

/// Counts the executions at the hub, by a separate connection without faults.
async fn count_executions(mut events: ezlo_relay::RelayEvents, shared: Shared) {
    while let Some(event) = events.next().await {
        match event {
            RelayEvent::Hub(event) => {
                if let ezlo_protocol::hub::broadcast::Event::ItemUpdated(update) = &*event
                    && let Some(number) = update.value.get().and_then(mark)
                {
                    *locked(&shared).0.executions.entry(number).or_insert(0) += 1;
                }
            }
            RelayEvent::Lagged(lost) => {
                violation(&shared, format!("the observer lost {lost} events; the run has no result"))
            }
            _ => {}
        }
    }
}

/// Counts the values and presses that the SDK reports.
async fn count_events(mut events: ezlo::HubEvents, shared: Shared) {
    while let Some(event) = events.next().await {
        let mut shared = locked(&shared);
        match event {
            HubEvent::Changed(change) => {
                if let Change::ItemChanged { after, .. } = &*change
                    && let Some(number) = mark(after)
                {
                    *shared.0.told.entry(number).or_insert(0) += 1;
                }
            }
            HubEvent::Momentary(edge) => {
                if let MomentaryEvent::Button { number: Some(number), state, .. } = &*edge
                    && state == "press_1_time"
                {
                    *shared.0.edges.entry(*number).or_insert(0) += 1;
                }
            }
            _ => {}
        }
    }
}

/// Injects faults until the end. The seed decides their kind and time.
async fn inject_faults(cloud: &MockCloud, proxy: &Proxy, seed: u64, end: Instant, shared: &Shared) {
    let random = Random::new(seed ^ 0x5eed);
    let hub = cloud.hub(SERIAL).expect("a hub");
    let mut press = 0;
    let draw = |most: u64| {
        let mut bytes = [0; 8];
        random.fill(&mut bytes);
        u64::from_le_bytes(bytes) % most
    };
    let mut next = tokio::time::Instant::now();
    let mut online = true;
    while Instant::now() < end {
        next += Duration::from_millis(20 + draw(280));
        tokio::time::sleep_until(next).await;
        locked(shared).1.faults += 1;
        match draw(24) {
            0..=7 => proxy.drop_all(),
            8 | 9 => proxy.stall(Duration::from_millis(50 + draw(400))),
            10 | 11 => proxy.refuse(Duration::from_millis(50 + draw(200))),
            12 => proxy.go_silent(Duration::from_millis(1200)),
            13 => cloud.advance(Duration::from_secs(86_400)).await,
            14 => {
                online = !online;
                hub.set_internet(online);
            }
            15..=17 => add_message_fault(cloud, draw(4), 2 + draw(5)),
            _ => {
                press += 1;
                locked(shared).0.pressed.insert(press);
                report_press(&hub, press, shared);
            }
        }
    }
}

/// Injects a fault that duplicates messages, adds unrelated ones or aborts connections, until the next message fault.
fn add_message_fault(cloud: &MockCloud, which: u64, every: u64) {
    let kind = match which {
        0 => FaultKind::DuplicateMessage,
        1 => FaultKind::UnsolicitedReply,
        2 => FaultKind::GarbageMessage,
        _ => FaultKind::Abort,
    };
    cloud.remove_fault(None);
    // Repeated aborts would prevent every connection, so this fault fires once.
    let when = if kind == FaultKind::Abort { Trigger::Nth(every) } else { Trigger::Every(every) };
    let mut fault = FaultSpec::new(kind).when(when);
    // The observer uses the local network, so its connection has no faults.
    fault.matcher.listener = Some("cloud".into());
    cloud.add_fault(fault).expect("a fault");
}

/// Connects the observer through the local network, without the proxy and its faults.
async fn observe(cloud: &MockCloud) -> Hub {
    let account = log_in(&cloud.ready().http).await;
    let serial = SERIAL.parse().expect("a serial");
    let credentials = account.local_credentials(&serial).await.expect("credentials");
    let lan = cloud.ready().hubs[0].lan.as_deref().expect("a local port");
    let lan = lan.trim_start_matches("wss://").parse().expect("an address");
    Account::connect_local(&serial, lan, credentials, None).await.expect("a connection")
}

fn report_press(hub: &HubHandle, number: i64, shared: &Shared) {
    for state in ["press_1_time", "released"] {
        let press = json!({"button_number": number, "button_state": state});
        if let Err(error) = hub.report("Bedside buttons", "button_state", press) {
            violation(shared, format!("the simulated button: {error}"));
        }
    }
}

/// Waits until the model of the SDK equals the state of the hub, for at most 20 s.
async fn settle(hub: &Hub, observer: &Hub, shared: &Shared) {
    let limit = Instant::now() + Duration::from_secs(20);
    let mut interval = tokio::time::interval(Duration::from_millis(50));
    loop {
        interval.tick().await;
        let (mine, truth) = (hub.snapshot().clone(), observer.snapshot().clone());
        let same = mine == truth && hub.status().is_live();
        if same {
            return;
        }
        if Instant::now() > limit {
            let differ: Vec<String> = truth
                .items
                .values()
                .filter(|item| mine.items.get(&item.id) != Some(*item))
                .map(|item| item.id.to_string())
                .collect();
            violation(
                shared,
                format!(
                    "the model differs from the hub: {} items differ, mode {} and {}",
                    differ.len(),
                    mine.mode,
                    truth.mode
                ),
            );
            return;
        }
    }
}

fn evaluate(ledger: &Ledger, mut report: Report) -> Report {
    let times = |number: i64| ledger.executions.get(&number).copied().unwrap_or_default();
    let mut found = Vec::new();
    for (&number, &count) in &ledger.executions {
        if number >= CONFIRMED {
            let command = number - CONFIRMED;
            if times(command) != 1 {
                found.push(format!("command {command} was confirmed and executed {} times", times(command)));
            }
        } else if number < 0 {
            if times(-number) != 0 {
                found.push(format!(
                    "command {} was reported as not executed and was executed {} times",
                    -number,
                    times(-number)
                ));
            }
        } else if count > 1 {
            found.push(format!("command {number} was executed {count} times"));
        }
    }
    for (number, count) in &ledger.told {
        if *count > 1 {
            found.push(format!("the value of command {number} was reported {count} times"));
        }
    }
    for (number, count) in &ledger.edges {
        if !ledger.pressed.contains(number) || *count > 1 {
            found.push(format!(
                "press {number} was reported {count} times, pressed: {}",
                ledger.pressed.contains(number)
            ));
        }
    }
    found.sort();
    report.violations.extend(found.into_iter().take(20));
    report
}
