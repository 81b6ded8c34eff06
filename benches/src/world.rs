//! Start, fork and simulated time of a whole world, and the cost of its journal.

use std::time::{Duration, Instant};

use ezlo_mock_cloud::{Clock, Config, MockCloud};
use serde_json::json;

use crate::client::Client;
use crate::measure::{Goal, Measure, Scale, median, rate};

const USER: (&str, &str) = ("demo.user", "demo-password");
const SERIAL: &str = "90000001";
/// Start time of the frozen worlds, as a Unix time in seconds.
const START: i64 = 1_700_000_000;
/// Operations per round.
const TIMES: usize = 20;

pub(crate) fn run(scale: Scale) -> Result<Vec<Measure>, String> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| error.to_string())?;
    runtime.block_on(async {
        Ok(vec![starts(scale).await?, forks(scale).await?, days(scale).await?, journal(scale).await?])
    })
}

async fn cloud(world: &str, journal: bool) -> Result<MockCloud, String> {
    let config = Config { world: world.to_owned(), journal, ..Config::default() };
    let builder = MockCloud::builder().config(config).clock(Clock::frozen(START));
    builder.start().await.map_err(|error| error.to_string())
}

/// Measures the median time of an operation relative to a limit.
async fn within(
    scale: Scale,
    (name, peer, limit): (&'static str, &'static str, Duration),
    mut act: impl AsyncFnMut() -> Result<(), String>,
) -> Result<Measure, String> {
    let mut times = Vec::new();
    for _ in 0..scale.rounds() * TIMES {
        let began = Instant::now();
        act().await?;
        times.push(began.elapsed().as_secs_f64());
    }
    let time = median(times);
    let detail = format!("{:.3} ms", time * 1000.0);
    Ok(Measure {
        name: name.into(),
        peer: peer.into(),
        ratio: time / limit.as_secs_f64(),
        goal: Goal::AtMost(1.0),
        detail,
    })
}

async fn starts(scale: Scale) -> Result<Measure, String> {
    let what = ("start of the default world", "2 ms", Duration::from_millis(2));
    within(scale, what, async || cloud("demo", true).await.map(drop)).await
}

async fn forks(scale: Scale) -> Result<Measure, String> {
    let villa = cloud("villa", true).await?;
    let what = ("fork of a 200-device house", "1 ms", Duration::from_millis(1));
    within(scale, what, async || villa.fork().await.map(drop).map_err(|error| error.to_string())).await
}

async fn days(scale: Scale) -> Result<Measure, String> {
    let world = cloud("demo", true).await?;
    let what = ("a day of the default world", "50 ms", Duration::from_millis(50));
    let day = Duration::from_secs(86_400);
    within(scale, what, async || {
        world.advance(day).await;
        Ok(())
    })
    .await
}

/// Compares relayed calls with the journal and without it.
async fn journal(scale: Scale) -> Result<Measure, String> {
    let (with, without) = (cloud("demo", true).await?, cloud("demo", false).await?);
    let (mut on, mut off) = (Client::at_hub(&with, USER, SERIAL).await?, Client::at_hub(&without, USER, SERIAL).await?);
    let call = json!({"id": 1, "method": "hub.modes.current.get", "params": {}}).to_string();
    let (mut on_rates, mut off_rates) = (Vec::new(), Vec::new());
    for _ in 0..scale.rounds() {
        on_rates.push(rate(scale.round(), async || on.ask(call.clone()).await.map(drop)).await?);
        off_rates.push(rate(scale.round(), async || off.ask(call.clone()).await.map(drop)).await?);
    }
    let (on, off) = (median(on_rates), median(off_rates));
    Ok(Measure {
        name: "relayed call with the journal".into(),
        peer: "the same without it".into(),
        ratio: on / off,
        goal: Goal::AtLeast(0.9),
        detail: format!("{on:.0}/s with, {off:.0}/s without"),
    })
}
