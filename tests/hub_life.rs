//! Behaviour of simulated hubs as a client at the relay observes it: transcripts in the vendor's order.

use std::time::Duration;

use ezlo_mock_cloud::{Builder, Clock, Config, MockCloud};
use ezlo_protocol::hub::scene::Comparator::Greater;
use ezlo_protocol::hub::scene::{
    Block, SceneBuilder, SunEvent, SunTiming, all, any, daily_at, every, item_changed, item_compares, item_is,
    mode_changed_to, not, run_scene, set_item, sun, switch_mode,
};
use ezlo_protocol::wire;
use ezlo_testkit::{Socket, address, http as ask, within};
use serde_json::{Value, json};

use crate::support::{HUB, START, frozen, http, pair, registered, started};

mod families;
mod modes;
mod power;
mod scenes;
mod values;
mod zwave;

/// A registered client of a hub, with the names of all ids for transcripts.
struct House {
    cloud: MockCloud,
    socket: Socket,
    devices: Value,
    items: Value,
    /// Ids with the names of their devices, items and scenes.
    names: Vec<(String, String)>,
}

impl House {
    async fn new() -> Self {
        Self::of(frozen().await).await
    }

    /// Creates a house whose devices press no buttons by themselves.
    async fn by_hand() -> Self {
        let builder = MockCloud::builder()
            .clock(Clock::frozen(START))
            .assumptions(|assumptions| assumptions.zwave_auto_press = false);
        Self::of(started(builder).await).await
    }

    async fn of(cloud: MockCloud) -> Self {
        let socket = registered(&cloud).await;
        let mut house = Self { cloud, socket, devices: Value::Null, items: Value::Null, names: Vec::new() };
        house.look().await;
        house
    }

    /// Reads devices, items and scenes.
    async fn look(&mut self) {
        self.devices = self.call("hub.devices.list", json!({})).await["result"]["devices"].clone();
        self.items = self.call("hub.items.list", json!({})).await["result"]["items"].clone();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        for device in self.devices.as_array().unwrap() {
            self.names.push((text(&device["_id"]), text(&device["name"])));
        }
        for item in self.items.as_array().unwrap() {
            let device =
                self.devices.as_array().unwrap().iter().find(|device| device["_id"] == item["deviceId"]).unwrap();
            self.names.push((text(&item["_id"]), format!("{}/{}", text(&device["name"]), text(&item["name"]))));
        }
        let scenes = self.call("hub.scenes.list", json!({})).await["result"]["scenes"].clone();
        for scene in scenes.as_array().unwrap() {
            self.names.push((text(&scene["_id"]), format!("scene {}", text(&scene["name"]))));
        }
    }

    fn id(&self, name: &str) -> &str {
        &self.names.iter().find(|(_, known)| known == name).unwrap_or_else(|| panic!("unknown name {name}")).0
    }

    /// Sends a call and returns its reply; broadcasts are dropped.
    async fn call(&mut self, method: &str, params: Value) -> Value {
        self.socket.text(json!({"id": "call", "method": method, "params": params}).to_string()).await;
        loop {
            let frame = self.socket.json().await;
            if frame["id"] == "call" {
                return frame;
            }
        }
    }

    /// Returns the value of an item.
    async fn item(&mut self, id: &str) -> Value {
        let items = self.call("hub.items.list", json!({})).await["result"]["items"].clone();
        items.as_array().unwrap().iter().find(|item| item["_id"] == id).unwrap()["value"].clone()
    }

    /// Sends a call that must succeed.
    async fn good(&mut self, method: &str, params: Value) {
        let reply = self.call(method, params).await;
        assert_eq!(reply["error"], Value::Null, "{method}: {reply}");
    }

    /// Sends a call, advances the clock and returns a line for each frame that was received.
    async fn transcript(&mut self, method: &str, params: Value, wait: Duration) -> Vec<String> {
        self.socket.text(json!({"id": "call", "method": method, "params": params}).to_string()).await;
        // Broadcasts of an earlier call can arrive first. The time must not move before the call was answered.
        let mut lines = Vec::new();
        loop {
            let frame = self.socket.json().await;
            let is_reply = frame["id"] == "call";
            lines.push(self.named(&short(&frame)));
            if is_reply {
                break;
            }
        }
        lines.extend(self.heard(wait).await);
        lines
    }

    /// Advances the clock and returns a line for each frame that was received.
    async fn heard(&mut self, wait: Duration) -> Vec<String> {
        self.cloud.advance(wait).await;
        self.socket.text(r#"{"id":"sync","method":"hub.modes.current.get","params":{}}"#).await;
        let mut lines = Vec::new();
        loop {
            let frame = self.socket.json().await;
            if frame["id"] == "sync" {
                return lines.iter().map(|line: &String| self.named(line)).collect();
            }
            lines.push(short(&frame));
        }
    }

    /// Replaces ids by names.
    fn named(&self, line: &str) -> String {
        self.names
            .iter()
            .fold(line.to_owned(), |line, (id, name)| line.replace(&format!("\"{id}\""), &format!("<{name}>")))
    }

    async fn create(&mut self, scene: SceneBuilder) {
        let scene = scene.build().unwrap();
        self.good("hub.scenes.create", wire::to_value(&scene)).await;
        self.look().await;
    }

    fn report(&self, device: &str, item: &str, value: Value) {
        self.cloud.hub(HUB).unwrap().report(device, item, value).unwrap();
    }
}

/// Returns a frame as one line with its distinctive members.
fn short(frame: &Value) -> String {
    let Some(name) = frame["msg_subclass"].as_str() else {
        let outcome = if frame["error"].is_null() { &frame["result"] } else { &frame["error"]["data"] };
        return format!("reply {}: {outcome}", frame["method"].as_str().unwrap_or("?"));
    };
    let members: &[&str] = match name {
        "hub.extensions.plugin.ui_broadcast" => &["event", "modes", "key", "status"],
        "hub.extensions.plugin.run.progress" => &["status", "completed", "error"],
        "hub.device.added" | "hub.device.removed" => &["name", "category", "security"],
        "hub.device.updated" => &["_id", "armed", "reachable", "name"],
        "hub.item.added" => &["name", "value"],
        "hub.item.updated" => &["_id", "value"],
        "hub.modes.switched" => &["from", "to", "status", "switchToDelay"],
        "hub.modes.alarmed" => &["deviceId", "phase", "status", "silent"],
        "hub.scene.run.progress" => &["scene_name", "status"],
        _ => &[],
    };
    let text =
        members.iter().filter_map(|member| frame["result"].get(member).map(|value| format!(" {member}={value}")));
    format!("{name}{}", text.collect::<String>())
}

fn snapshot(name: &str, lines: &[String]) {
    insta::with_settings!({ snapshot_path => "snapshots", prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!(format!("life__{name}"), lines.join("\n"));
    });
}

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

fn script(name: &str) -> Value {
    json!({"script": format!("HUB:zwave/scripts/{name}")})
}

async fn run(house: &mut House, name: &str) -> Vec<String> {
    house.transcript("hub.extensions.plugin.run", script(name), SECOND).await
}
