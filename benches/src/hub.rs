//! A hub with 1,000 items, compared with a small hub and with serde_json writing the same list.

use std::hint::black_box;

use ezlo_mock_cloud::{Config, MockCloud};
use serde_json::{Value, json};

use crate::client::Client;
use crate::measure::{Goal, Measure, Scale, median, rate};

const USER: (&str, &str) = ("demo.user", "demo-password");
const SERIAL: &str = "90000001";

pub(crate) fn run(scale: Scale) -> Result<Vec<Measure>, String> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| error.to_string())?;
    runtime.block_on(compare(scale))
}

struct House {
    _cloud: MockCloud,
    client: Client,
    /// A call that sets an item and causes a reply and one broadcast.
    set: String,
    items: Value,
}

impl House {
    async fn new(world: &str) -> Result<Self, String> {
        let config = Config { world: world.to_owned(), ..Config::default() };
        let cloud = MockCloud::builder().config(config).start().await.map_err(|error| error.to_string())?;
        let mut client = Client::at_hub(&cloud, USER, SERIAL).await?;
        let answer = client.ask(json!({"id": 1, "method": "hub.items.list", "params": {}}).to_string()).await?;
        let answer: Value = serde_json::from_str(&answer).map_err(|error| error.to_string())?;
        let items = answer["result"].clone();
        let all = items["items"].as_array().ok_or("no items")?;
        // The last colour item has no linked items, so one set causes one broadcast.
        let colour = all.iter().rev().find(|item| item["valueType"] == "rgb").ok_or("no colour")?;
        let set =
            json!({"id": 1, "method": "hub.item.value.set", "params": {"_id": colour["_id"], "value": {"red": 1}}});
        Ok(Self { _cloud: cloud, client, set: set.to_string(), items })
    }

    async fn set(&mut self) -> Result<(), String> {
        self.client.ask(self.set.clone()).await?;
        self.client.next().await.map(drop)
    }

    async fn list(&mut self) -> Result<(), String> {
        self.client.ask(r#"{"id":1,"method":"hub.items.list","params":{}}"#.to_owned()).await.map(drop)
    }
}

async fn compare(scale: Scale) -> Result<Vec<Measure>, String> {
    let (mut large, mut small) = (House::new("villa").await?, House::new("demo").await?);
    let count = |house: &House| house.items["items"].as_array().map_or(0, Vec::len);
    let (many, few) = (count(&large), count(&small));
    let (mut large_sets, mut small_sets, mut lists, mut writes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..scale.rounds() {
        large_sets.push(rate(scale.round(), async || large.set().await).await?);
        small_sets.push(rate(scale.round(), async || small.set().await).await?);
        lists.push(rate(scale.round(), async || large.list().await).await?);
        let written = rate(scale.round(), async || {
            // The lower bound for any reply: the list is serialised once.
            black_box(black_box(&large.items).to_string());
            Ok::<_, String>(())
        });
        writes.push(written.await?);
    }
    let (large_sets, small_sets, lists, writes) =
        (median(large_sets), median(small_sets), median(lists), median(writes));
    Ok(vec![
        Measure {
            name: "hub, set of 1,000 items".into(),
            peer: "a small hub".into(),
            ratio: large_sets / small_sets,
            goal: Goal::AtLeast(0.8),
            detail: format!("{large_sets:.0}/s with {many} items, {small_sets:.0}/s with {few}"),
        },
        Measure {
            name: "hub, list of 1,000 items".into(),
            peer: "serde_json writing that list".into(),
            ratio: writes / lists,
            goal: Goal::AtMost(10.0),
            detail: format!("{lists:.0} lists/s through the relay, {writes:.0}/s written"),
        },
    ])
}
