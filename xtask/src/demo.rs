//! `cargo xtask demo`: runs the flows of the vendor's note with the SDK against a simulated cloud in the same process.

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ezlo::protocol::cloud::account::{AccountRecord, Address};
use ezlo::protocol::hub::DeviceId;
use ezlo::protocol::serial::Serial;
use ezlo::{AccessPoint, Account, Cloud, Credentials, Device, Environment, Hub, MmsClient, NewAccount, Plan, onboard};
use ezlo_mock_cloud::MockCloud;
use indicatif::ProgressBar;
use serde_json::json;

use crate::say::say;
use crate::{Failure, Outcome};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Print one JSON object per line.
    #[arg(long)]
    json: bool,
}

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot start: {error}"))?;
    let mut report = Report::new(arguments.json);
    let outcome = runtime.block_on(run_flows(&mut report));
    report.end();
    match outcome {
        Ok(()) => Ok(()),
        // The report has already printed the failed step.
        Err(_) => Err(Failure(String::new())),
    }
}

/// Prints each step when it has ended.
struct Report {
    json: bool,
    spinner: Option<ProgressBar>,
    began: Instant,
    step_began: Instant,
    failed: bool,
}

impl Report {
    fn new(json: bool) -> Self {
        let spinner = (!json && std::io::stdout().is_terminal()).then(ProgressBar::new_spinner);
        if let Some(spinner) = &spinner {
            spinner.enable_steady_tick(Duration::from_millis(100));
        }
        Self { json, spinner, began: Instant::now(), step_began: Instant::now(), failed: false }
    }

    async fn step<T>(&mut self, name: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
        if let Some(spinner) = &self.spinner {
            spinner.set_message(name.to_owned());
        }
        let outcome = work.await;
        self.ended(name, outcome.as_ref().err().map(ToString::to_string));
        outcome
    }

    fn ended(&mut self, name: &str, error: Option<String>) {
        let took = std::mem::replace(&mut self.step_began, Instant::now()).elapsed();
        let ms = (took.as_secs_f64() * 10_000.0).round() / 10.0;
        let ok = error.is_none();
        self.failed |= !ok;
        let line = match (self.json, error) {
            (true, None) => json!({"step": name, "ok": true, "ms": ms}).to_string(),
            (true, Some(error)) => json!({"step": name, "ok": false, "ms": ms, "error": error}).to_string(),
            (false, None) => format!("✓ {name:<28} {ms:>8.1} ms"),
            (false, Some(error)) => format!("✗ {name:<28} {ms:>8.1} ms  {error}"),
        };
        match &self.spinner {
            Some(spinner) => spinner.println(line),
            None => say!("{line}"),
        }
    }

    fn end(&self) {
        if let Some(spinner) = &self.spinner {
            spinner.finish_and_clear();
        }
        if !self.json {
            let word = if self.failed { "failed" } else { "done" };
            say!("{word} in {:.2} s", self.began.elapsed().as_secs_f64());
        }
    }
}

/// A check of the locator for a hub, which needs no login.
struct Located<'a> {
    mms: &'a MmsClient,
    serial: &'a Serial,
}

impl Cloud for Located<'_> {
    async fn is_online(&mut self) -> bool {
        let hubs = self.mms.locate().await.unwrap_or_default();
        hubs.iter().any(|hub| hub.serial.get() == self.serial)
    }
}

fn address(url: &str) -> Result<SocketAddr> {
    Ok(url.split("//").nth(1).unwrap_or_default().parse()?)
}

async fn run_flows(report: &mut Report) -> Result<()> {
    let cloud = report.step("start the simulated cloud", async { Ok(MockCloud::start().await?) }).await?;
    let ready = cloud.ready();
    let environment = Environment::with_host_override(address(&ready.https)?).trust_pem(cloud.ca_pem())?;
    let fresh = ready.hubs.iter().find(|hub| hub.owner.is_none() && hub.ap.is_some()).ok_or("no unclaimed hub")?;
    let serial: Serial = fresh.serial.parse()?;
    let mms = MmsClient::new(environment.clone())?;

    let text = |url: &Option<String>| url.clone().unwrap_or_default();
    let access_point = AccessPoint::at(&text(&fresh.ap), &text(&fresh.ap_root))?;
    wifi(report, &access_point, Located { mms: &mms, serial: &serial }, ready).await?;
    let account = register(report, environment, &serial, &fresh.mac).await?;
    let hub = connect(report, &account, &serial).await?;
    let light = house(report, &hub, &cloud).await?;
    local(report, &account, &serial, address(&text(&fresh.lan))?, &light).await?;
    report
        .step("close the relay", async {
            hub.session().clone().close().await;
            Ok(())
        })
        .await
}

/// Puts the hub on Wi-Fi through its access point.
async fn wifi(
    report: &mut Report,
    access_point: &AccessPoint,
    mut cloud: Located<'_>,
    ready: &ezlo_mock_cloud::ready::Ready,
) -> Result<()> {
    let network = ready.wifi.first().ok_or("no network")?;
    let plan = Plan::new(&network.ssid, Some(network.passkey.as_str().into()));
    let outcome = onboard(access_point, plan, &mut cloud, |progress| {
        use ezlo::Progress;
        let name = match progress {
            Progress::Networks(_) => "scan Wi-Fi",
            Progress::Joining => "send the Wi-Fi network",
            Progress::Joined(_) => "wait until it is connected",
            Progress::AccessPointClosed => "close the access point",
            Progress::Restarting => "restart the hub",
            _ => "wait until the hub is online",
        };
        report.ended(name, None);
    })
    .await;
    if let Err(error) = outcome {
        report.ended("put the hub on Wi-Fi", Some(error.to_string()));
        return Err(error.into());
    }
    Ok(())
}

/// Creates an account, logs in and claims the hub.
async fn register(report: &mut Report, environment: Environment, serial: &Serial, mac: &str) -> Result<Account> {
    let credentials = Credentials::new("test69212", "Ezlo@2021");
    let new_account = NewAccount { credentials: credentials.clone(), email: "test69212@example.com".into() };
    let created = report
        .step("create an account", async { Ok(Account::create(environment.clone(), &new_account).await?) })
        .await?;
    report
        .step("decode the Identity", async {
            let session = created.session().await?;
            let identity = session.identity();
            let is_expected =
                identity.username.as_deref() == Some("test69212") && identity.expires - identity.generated == 86_400;
            if is_expected { Ok(()) } else { Err("the Identity has another user name or lifetime".into()) }
        })
        .await?;
    let account = report
        .step("log in with the SHA-1 hash", async { Ok(Account::log_in(environment, &credentials).await?) })
        .await?;
    report.step("claim the hub", async { Ok(account.claim(serial, mac.parse()?).await?) }).await?;
    report.step("read the account", async { Ok(account.record().await?) }).await?;
    report
        .step("change the account", async {
            let billing = Address { first_name: "John".into(), last_name: "Doe".into(), ..Address::default() };
            account.update_record(&AccountRecord { billing: billing.into(), ..AccountRecord::default() }).await?;
            let record = account.record().await?;
            let name = record.billing.get().and_then(|billing| billing.first_name.as_deref());
            if name == Some("John") { Ok(()) } else { Err("the changed name was not returned".into()) }
        })
        .await?;
    report.step("list users", async { some(account.users().await?.len(), "user") }).await?;
    report.step("list hubs", async { some(account.hubs().await?.len(), "hub") }).await?;
    Ok(account)
}

fn some(count: usize, what: &str) -> Result<()> {
    if count > 0 { Ok(()) } else { Err(format!("the list has no {what}").into()) }
}

/// Connects to the hub over the relay: its address from the hub's record, then WebSocket, `loginUserMios`, `register`.
async fn connect(report: &mut Report, account: &Account, serial: &Serial) -> Result<Hub> {
    report.step("read the relay's address", relay_address(account, serial)).await?;
    let hub = report.step("loginUserMios and register", async { Ok(account.connect(serial).await?) }).await?;
    report
        .step("read the hub's information", async {
            let info = hub.info().await?;
            let same = info.serial.get().is_some_and(|reported| reported.get() == serial);
            if same { Ok(()) } else { Err("the reply has another serial".into()) }
        })
        .await?;
    Ok(hub)
}

/// Polls the hub's record until it reports the hub as online, then checks that it names a relay.
async fn relay_address(account: &Account, serial: &Serial) -> Result<()> {
    for _ in 0..500 {
        let record = account.hub_record(serial).await?;
        if record.is_online() == Some(true) {
            return record.relay().map(|_| ()).ok_or_else(|| "the record names no relay".into());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Err("the hub did not connect to the relay within 500 polls".into())
}

/// Exercises devices, Z-Wave, modes and scenes. Returns the light that was switched.
async fn house(report: &mut Report, hub: &Hub, cloud: &MockCloud) -> Result<Device> {
    let devices = report.step("list devices and items", async { Ok(hub.devices().await?) }).await?;
    report.step("list rooms", async { some(hub.rooms().await?.len(), "room") }).await?;
    let light = devices.into_iter().find(|device| device.item("switch").is_ok()).ok_or("no device has a switch")?;
    report
        .step("switch a light", async {
            hub.set(&light.item("switch")?.id, true.into()).await?;
            Ok(())
        })
        .await?;
    let included = report
        .step("include a Z-Wave device", async {
            let id = hub.include().await?;
            if has(hub, &id).await? { Ok(id) } else { Err("the new device is not listed".into()) }
        })
        .await?;
    report
        .step("exclude it", async {
            hub.exclude().await?;
            if has(hub, &included).await? { Err("the device is still listed".into()) } else { Ok(()) }
        })
        .await?;
    report
        .step("switch the house mode", async {
            let switch = hub.switch_mode("Night").await?;
            // The delay runs on the simulated clock, which is advanced to avoid a real wait.
            cloud.advance(Duration::from_secs(switch.delay_seconds())).await;
            switch.reached().await?;
            let current = hub.modes().await?.current;
            if current.as_str() == "3" { Ok(()) } else { Err(format!("the house is in mode {current}").into()) }
        })
        .await?;
    report.step("run the scene Test", async { Ok(hub.run_scene("Test").await?) }).await?;
    Ok(light)
}

async fn has(hub: &Hub, id: &DeviceId) -> Result<bool> {
    Ok(hub.devices().await?.iter().any(|device| device.id == *id))
}

/// Controls the same hub through its local port.
async fn local(report: &mut Report, account: &Account, serial: &Serial, lan: SocketAddr, light: &Device) -> Result<()> {
    let credentials =
        report.step("exchange token, fetch local keys", async { Ok(account.local_credentials(serial).await?) }).await?;
    let hub = report
        .step("connect on the LAN port", async { Ok(Account::connect_local(serial, lan, credentials, None).await?) })
        .await?;
    report
        .step("control it on the LAN", async {
            hub.set(&light.item("switch")?.id, false.into()).await?;
            hub.session().clone().close().await;
            Ok(())
        })
        .await
}
