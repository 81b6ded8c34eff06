//! What a simulated hub does, as a client at the relay hears it: transcripts in the vendor's order.

use std::time::Duration;

use ezlo_mock_cloud::{Builder, Clock, Config, MockCloud};
use ezlo_protocol::hub::scene::Comparator::Greater;
use ezlo_protocol::hub::scene::{
    SceneBuilder, SunEvent, SunTiming, all, daily_at, every, item_changed, item_compares, item_is, mode_changed_to,
    not, run_scene, set_item, sun, switch_mode,
};
use ezlo_protocol::wire;
use ezlo_testkit::{Socket, address, http as ask, within};
use serde_json::{Value, json};

use crate::support::{HUB, START, frozen, http, pair, registered, started};

/// A client that logged in and registered, with what it needs to name things.
struct House {
    cloud: MockCloud,
    socket: Socket,
    devices: Value,
    items: Value,
    /// What each id stands for.
    names: Vec<(String, String)>,
}

impl House {
    async fn new() -> Self {
        Self::of(frozen().await).await
    }

    /// Devices press their buttons only when the test says so.
    async fn by_hand() -> Self {
        let builder =
            MockCloud::builder().clock(Clock::frozen(START)).guesses(|guesses| guesses.zwave_auto_press = false);
        Self::of(started(builder).await).await
    }

    async fn of(cloud: MockCloud) -> Self {
        let socket = registered(&cloud).await;
        let mut house = Self { cloud, socket, devices: Value::Null, items: Value::Null, names: Vec::new() };
        house.look().await;
        house
    }

    /// Learns what there is.
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
        &self.names.iter().find(|(_, known)| known == name).unwrap_or_else(|| panic!("nothing is called {name}")).0
    }

    async fn call(&mut self, method: &str, params: Value) -> Value {
        self.socket.text(json!({"id": "call", "method": method, "params": params}).to_string()).await;
        loop {
            let frame = self.socket.json().await;
            if frame["id"] == "call" {
                return frame;
            }
        }
    }

    async fn good(&mut self, method: &str, params: Value) {
        let reply = self.call(method, params).await;
        assert_eq!(reply["error"], Value::Null, "{method}: {reply}");
    }

    /// Sends a call and waits so long; everything that came, in order, in short.
    async fn transcript(&mut self, method: &str, params: Value, wait: Duration) -> Vec<String> {
        self.socket.text(json!({"id": "call", "method": method, "params": params}).to_string()).await;
        let mut told = vec![short(&self.socket.json().await)];
        told.extend(self.heard(wait).await);
        told
    }

    /// What came within that time.
    async fn heard(&mut self, wait: Duration) -> Vec<String> {
        self.cloud.advance(wait).await;
        self.socket.text(r#"{"id":"sync","method":"hub.modes.current.get","params":{}}"#).await;
        let mut told = Vec::new();
        loop {
            let frame = self.socket.json().await;
            if frame["id"] == "sync" {
                return told.iter().map(|line: &String| self.named(line)).collect();
            }
            told.push(short(&frame));
        }
    }

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

/// What a frame says, without what every frame of its kind has.
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
    let said =
        members.iter().filter_map(|member| frame["result"].get(member).map(|value| format!(" {member}={value}")));
    format!("{name}{}", said.collect::<String>())
}

fn snapshot(name: &str, told: &[String]) {
    insta::with_settings!({ snapshot_path => "snapshots", prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!(format!("life__{name}"), told.join("\n"));
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

#[tokio::test]
async fn inclusion_plain() {
    let mut house = House::by_hand().await;
    let mut told = run(&mut house, "start_include").await;
    house.cloud.hub(HUB).unwrap().press_include("power_strip").unwrap();
    told.extend(house.heard(SECOND).await);
    snapshot("inclusion_of_a_multi_channel_device", &told);
    house.look().await;
    let strip =
        house.devices.as_array().unwrap().iter().find(|device| device["deviceTypeId"] == "134_3_11").unwrap().clone();
    let parts = house.devices.as_array().unwrap().iter().filter(|device| device["parentDeviceId"] == strip["_id"]);
    assert_eq!(parts.count(), 4);
    let mut told = run(&mut house, "start_exclude").await;
    house.cloud.hub(HUB).unwrap().press_exclude(strip["name"].as_str().unwrap()).unwrap();
    told.extend(house.heard(SECOND).await);
    snapshot("exclusion_of_a_multi_channel_device", &told);
}

#[tokio::test]
async fn inclusion_with_security() {
    let mut house = House::by_hand().await;
    let hub = house.cloud.hub(HUB).unwrap();
    let mut told = run(&mut house, "start_include").await;
    hub.press_include("door_lock").unwrap();
    told.extend(house.heard(SECOND).await);
    told.extend(run(&mut house, "start_include").await);
    let modes = json!({"script": "HUB:zwave/scripts/set_authentication_mode", "scriptParams": {"modes": ["accessControl", "unauthenticated"]}});
    told.extend(house.transcript("hub.extensions.plugin.run", modes.clone(), SECOND).await);
    let label = hub.device_specific_key().unwrap();
    let key: u64 = label.split('-').next().unwrap().parse().unwrap();
    let right = |key: u64| json!({"script": "HUB:zwave/scripts/set_device_specific_key", "scriptParams": {"key": key}});
    told.extend(house.transcript("hub.extensions.plugin.run", right(key), SECOND).await);
    snapshot("inclusion_with_a_device_specific_key", &told);

    run(&mut house, "start_include").await;
    hub.press_include("door_lock").unwrap();
    house.heard(SECOND).await;
    house.good("hub.extensions.plugin.run", modes.clone()).await;
    let told = house.transcript("hub.extensions.plugin.run", right(key ^ 1), SECOND).await;
    snapshot("inclusion_with_a_wrong_key", &told);

    run(&mut house, "start_include").await;
    hub.press_include("keypad").unwrap();
    house.heard(SECOND).await;
    let told = house.transcript("hub.extensions.plugin.run", modes, SECOND).await;
    snapshot("inclusion_of_a_device_with_keys", &told);

    run(&mut house, "start_include").await;
    hub.press_include("door_lock").unwrap();
    let told = house.heard(2 * MINUTE).await;
    snapshot("inclusion_nobody_chose", &told);
    let mut told = run(&mut house, "start_include").await;
    told.extend(house.heard(2 * MINUTE).await);
    snapshot("inclusion_nobody_pressed", &told);
}

#[tokio::test]
async fn mode_switches() {
    let mut house = House::new().await;
    let mut told = house.transcript("hub.modes.switch", json!({"modeId": "2"}), 10 * SECOND).await;
    told.extend(house.transcript("hub.modes.switch", json!({"name": "Night"}), 10 * SECOND).await);
    told.extend(house.transcript("hub.modes.cancel_switch", json!({}), MINUTE).await);
    told.extend(house.transcript("hub.modes.switch", json!({"modeId": "3"}), MINUTE).await);
    told.extend(house.transcript("hub.modes.switch", json!({"modeId": "3"}), SECOND).await);
    told.extend(house.transcript("hub.modes.switch", json!({"modeId": "1"}), SECOND).await);
    snapshot("mode_switches", &told);
}

#[tokio::test]
async fn alarms() {
    let mut house = House::new().await;
    let (door, smoke) = (house.id("Front door").to_owned(), house.id("Smoke sensor").to_owned());
    house.transcript("hub.modes.switch", json!({"modeId": "2"}), MINUTE).await;
    house.report("Front door", "dw_state", json!("dw_is_opened"));
    let mut told = house.heard(10 * SECOND).await;
    let modes = house.call("hub.modes.get", json!({})).await;
    assert_eq!(modes["result"]["alarmed"]["timeIsLeft"], 20);
    assert_eq!(modes["result"]["alarmed"]["sources"][0]["deviceId"], door);
    told.extend(house.heard(MINUTE).await);
    told.extend(house.transcript("hub.modes.local.alarm.off", json!({}), SECOND).await);
    snapshot("alarm_through_entry_delay_to_sirens", &told);

    house.report("Front door", "dw_state", json!("dw_is_closed"));
    house.heard(SECOND).await;
    house.good("hub.modes.alarms_off.add", json!({"modeId": "2", "deviceIds": [house.id("Siren")]})).await;
    house.report("Front door", "dw_state", json!("dw_is_opened"));
    let mut told = house.heard(SECOND).await;
    told.extend(house.transcript("hub.modes.entry_delay.skip", json!({}), SECOND).await);
    told.extend(house.transcript("hub.modes.switch", json!({"modeId": "1"}), SECOND).await);
    snapshot("alarm_in_silence_ended_by_coming_home", &told);

    house.report("Smoke sensor", "smoke_alarm", json!("smoke_detected"));
    let told = house.heard(SECOND).await;
    snapshot("alarm_of_an_emergency_at_home", &told);
    house.good("hub.modes.local.alarm.off", json!({})).await;

    house.good("hub.modes.bypass_devices.add", json!({"modeId": "3", "deviceIds": [door, smoke]})).await;
    house.transcript("hub.modes.switch", json!({"modeId": "3"}), MINUTE).await;
    house.report("Front door", "dw_state", json!("dw_is_closed"));
    house.report("Front door", "dw_state", json!("dw_is_opened"));
    let told = house.heard(MINUTE).await;
    snapshot("alarm_of_a_bypassed_device", &told);
    house.transcript("hub.modes.switch", json!({"modeId": "1"}), MINUTE).await;
    let bypassed = house.call("hub.modes.get", json!({})).await["result"]["modes"][2]["bypassDevices"].clone();
    assert_eq!(bypassed, json!([]), "the old mode's bypass list is cleared");

    house
        .good("hub.modes.protect.buttons.set", json!({"deviceId": house.id("Bedside buttons"), "service": "panic"}))
        .await;
    house.report("Bedside buttons", "button_state", json!({"button_number": 1, "button_state": "press_1_time"}));
    let told = house.heard(SECOND).await;
    assert!(told.iter().any(|line| line.contains("phase=\"main\" status=\"begin\"")), "{told:?}");
}

#[tokio::test]
async fn scenes_start_by_themselves() {
    let mut house = House::new().await;
    let (light, temp) = (house.id("Kitchen light/switch").to_owned(), house.id("Bedroom temperature/temp").to_owned());
    let (lamp, door) = (house.id("Ceiling light/switch").to_owned(), house.id("Front door/dw_state").to_owned());
    let warm = SceneBuilder::new("Warm")
        .when(all([item_compares(temp.as_str(), Greater, 26.0), not(item_is(door.as_str(), "dw_is_opened"))]));
    house.create(warm.then(set_item(light.as_str(), true)).then(set_item(light.as_str(), false).after(MINUTE))).await;
    house.report("Bedroom temperature", "temp", json!(26.5));
    let mut told = house.heard(2 * MINUTE).await;
    house.report("Bedroom temperature", "temp", json!(27.0));
    told.push("-- still warm: nothing starts again".into());
    told.extend(house.heard(2 * MINUTE).await);
    snapshot("scene_by_comparison_with_delay", &told);

    house
        .create(
            SceneBuilder::new("Both")
                .when(item_changed(light.as_str()))
                .then(set_item(lamp.as_str(), true))
                .then(switch_mode("3")),
        )
        .await;
    house.create(SceneBuilder::new("At night").when(mode_changed_to("3")).then(set_item(lamp.as_str(), false))).await;
    let both = house.transcript("hub.item.value.set", json!({"_id": light, "value": true}), MINUTE).await;
    snapshot("scene_by_change_and_by_mode", &both);
}

#[tokio::test]
async fn scenes_start_on_time() {
    let config = Config { world: "villa".into(), ..Config::default() };
    let mut house = House::of(started(MockCloud::builder().config(config).clock(Clock::frozen(START))).await).await;
    let plug = house.id("Study plug/switch").to_owned();
    // START is 2023-11-14 22:13:20 UTC, 23:13 in Berlin; sunset was at 16:13, the next one is at 16:12.
    house
        .create(
            SceneBuilder::new("Each quarter").when(every("15m".parse().unwrap())).then(set_item(plug.as_str(), true)),
        )
        .await;
    let told = house.heard(Duration::from_secs(3600)).await;
    let runs = |told: &[String], name: &str| {
        told.iter().filter(|line| line.contains(name) && line.contains("started")).count()
    };
    assert_eq!(
        (runs(&told, "\"Each quarter\""), runs(&told, "\"Good night\"")),
        (4, 1),
        "23:30 in Berlin is in the hour"
    );
    let id = house.id("scene Each quarter").to_owned();
    house.good("hub.scenes.enabled.set", json!({"_id": id, "enabled": false})).await;
    let after = sun(SunEvent::Sunrise, SunTiming::After, "01:00:00".parse().unwrap());
    house
        .create(
            SceneBuilder::new("Day")
                .when(after)
                .when(daily_at("12:00".parse().unwrap()))
                .then(set_item(plug.as_str(), false)),
        )
        .await;
    let day = house.heard(Duration::from_secs(24 * 3600)).await;
    assert_eq!((runs(&day, "\"Each quarter\""), runs(&day, "\"Day\""), runs(&day, "\"Evening light\"")), (0, 2, 1));
}

#[tokio::test]
async fn scenes_that_set_off_each_other_come_to_an_end() {
    let mut house = House::new().await;
    let light = house.id("Kitchen light/switch").to_owned();
    for (name, value) in [("On", true), ("Off", false)] {
        house
            .create(SceneBuilder::new(name).when(item_is(light.as_str(), value)).then(set_item(light.as_str(), !value)))
            .await;
    }
    house.create(SceneBuilder::new("Self")).await;
    let own = house.id("scene Self").to_owned();
    let endless = SceneBuilder::new("Self").then(run_scene(own.as_str())).build().unwrap();
    house.good("hub.scenes.edit", json!({"_id": own, "eo": wire::to_value(&endless)})).await;
    let told = house.transcript("hub.item.value.set", json!({"_id": light, "value": true}), SECOND).await;
    assert!(told.len() > 10 && told.len() < 500, "{}", told.len());
    let told = house.transcript("hub.scenes.run", json!({"sceneId": own}), SECOND).await;
    assert!(told.len() < 100, "{}", told.len());
}

#[tokio::test]
async fn a_scene_is_refused_where_it_is_wrong() {
    let mut house = House::new().await;
    let mut scene = wire::to_value(&SceneBuilder::new("x").when(not(item_is("a", true))).build().unwrap());
    scene["when"][0]["fields"][0]["value"]["blockOptions"]["method"]["name"] = json!("isNothing");
    let refused = house.call("hub.scenes.create", scene).await;
    assert_eq!(refused["error"]["data"], "ezlo.scenes.method.unknown");
    assert!(refused["error"]["reason"].as_str().unwrap().starts_with("when[0].block:"), "{refused}");
}

#[tokio::test]
async fn values_are_converted_checked_and_kept_apart() {
    let mut house = House::new().await;
    let (heat, cool) = (
        house.id("Thermostat/thermostat_setpoint_heating").to_owned(),
        house.id("Thermostat/thermostat_setpoint_cooling").to_owned(),
    );
    let told =
        house.transcript("hub.item.value.set", json!({"_id": heat, "value": 68, "scale": "fahrenheit"}), SECOND).await;
    assert_eq!(told[1], "hub.item.updated _id=<Thermostat/thermostat_setpoint_heating> value=20.0");
    let data = |reply: Value| reply["error"]["data"].as_str().unwrap_or("none").to_owned();
    let refusals = [
        (json!({"_id": heat, "value": 20, "scale": "watt"}), "rpc.params.scale.invalid"),
        (json!({"_id": heat, "value": 99}), "rpc.params.range.invalid.thermostat_setpoint_heating"),
        (json!({"_id": heat, "value": "20"}), "rpc.params.invalid"),
        (json!({"_id": cool, "value": 21}), "rpc.params.range.invalid.thermostat_setpoint_cooling"),
        (json!({"_id": house.id("Bedroom temperature/temp"), "value": 21}), "rpc.params.invalid"),
    ];
    for (params, wanted) in refusals {
        assert_eq!(data(house.call("hub.item.value.set", params).await), wanted);
    }
    let away = house.cloud.hub(HUB).unwrap();
    away.set_reachable("Thermostat", false).unwrap();
    assert_eq!(
        data(house.call("hub.item.value.set", json!({"_id": cool, "value": 26})).await),
        "ezlo.gateway.send.error"
    );
}

#[tokio::test]
async fn codes_of_a_lock() {
    let mut house = House::new().await;
    let codes = house.id("Front door lock/user_codes").to_owned();
    let code =
        |digits: &str| json!({"type": "userCode", "value": {"code": digits, "name": "Guest", "mode": "enabled"}});
    let refused = house.call("hub.item.dictionary.value.add", json!({"_id": codes, "element": code("12")})).await;
    assert_eq!(refused["error"]["data"], "rpc.params.invalid");
    house.socket.text(json!({"id": "call", "method": "hub.item.dictionary.value.add", "params": {"_id": codes, "element": code("4711")}}).to_string()).await;
    let (reply, told) = (house.socket.json().await, house.socket.json().await);
    assert_eq!((&reply["result"], &told["msg_subclass"]), (&json!({}), &json!("hub.item.dictionary.updated")));
    assert_eq!(
        (&told["result"]["operation"], &told["result"]["element"]["1"]["value"]["code"]),
        (&json!("added"), &json!("4711"))
    );
}

async fn family(serial: &str) -> (MockCloud, Socket) {
    let config = Config { world: "hostile".into(), ..Config::default() };
    let cloud = started(Builder::default().config(config).clock(Clock::frozen(START))).await;
    let pair = pair(&cloud).await;
    let mut socket = Socket::connect(http(&cloud)).await;
    socket.ask(crate::support::login_text(&pair)).await;
    assert_eq!(socket.ask(crate::support::register_text(&json!(serial))).await["method"], "registered");
    (cloud, socket)
}

fn request(method: &str, params: Value) -> String {
    json!({"id": 1, "method": method, "params": params}).to_string()
}

#[tokio::test]
async fn an_rtos_hub_leaves_things_out() {
    let (cloud, mut socket) = family("70000001").await;
    let items = socket.ask(request("hub.items.list", json!({}))).await;
    assert!(items["result"]["items"].as_array().unwrap().iter().all(|item| item.get("valueFormatted").is_none()));
    let devices = socket.ask(request("hub.devices.list", json!({}))).await;
    assert!(devices["result"]["devices"].as_array().unwrap().iter().all(|device| device.get("info").is_none()));
    let ready = cloud.ready().hubs.iter().find(|hub| hub.serial == "70000001").unwrap();
    assert_eq!((ready.kind, &ready.lan), ("rtos", &None), "the first generation has no local access");
}

#[tokio::test]
async fn an_ezlopi_hub_speaks_its_own_dialect() {
    let (cloud, mut socket) = family("105000001").await;
    let info = socket.ask(request("hub.info.get", json!({}))).await;
    assert_eq!((&info["result"]["serial"], info["msg_id"].is_u64()), (&json!(105_000_001), true));
    let unknown = socket.ask(request("hub.features.list", json!({}))).await;
    assert_eq!(unknown["error"], json!({"code": -32602, "data": "rpc.method.notfound", "message": "Unknown method"}));
    assert_eq!(socket.ask(request("hub.room.list", json!({}))).await["result"], json!({}));
    let devices = socket.ask(request("hub.devices.list", json!({}))).await["result"]["devices"].clone();
    assert_eq!(devices[0]["_id"].as_str().unwrap().len(), 8);
    let lenient = socket.ask(request("hub.item.value.set", json!({"_id": "none", "value": 1}))).await;
    assert_eq!(lenient["error"], Value::Null);
    socket.text(request("hub.modes.force_disarm", json!({}))).await;
    socket.json().await;
    socket.text(request("hub.modes.switch", json!({"modeId": "2"}))).await;
    let (_, told) = (socket.json().await, socket.json().await);
    assert_eq!((&told["msg_subclass"], &told["result"]["status"]), (&json!("hub.modes.changed"), &json!("begin")));
    let ready = cloud.ready().hubs.iter().find(|hub| hub.serial == "105000001").unwrap();
    let lan = ready.lan.clone().unwrap();
    assert!(lan.starts_with("ws://") && ready.lan_http.is_none(), "{lan}");
    let mut local = Socket::connect(address(&lan)).await;
    assert_eq!(local.ask(request("hub.room.list", json!({}))).await["error"], Value::Null, "anonymous access is on");
}

#[tokio::test]
async fn every_nth_answer_of_an_rtos_hub_can_be_broken_json() {
    let config = Config { world: "hostile".into(), ..Config::default() };
    let builder = MockCloud::builder().config(config).clock(Clock::frozen(START));
    let cloud = started(builder.guesses(|guesses| guesses.rtos_malformed_every = 2)).await;
    let pair = pair(&cloud).await;
    let mut socket = Socket::connect(http(&cloud)).await;
    socket.ask(crate::support::login_text(&pair)).await;
    socket.ask(crate::support::register_text(&json!("70000001"))).await;
    let mut good = 0;
    for _ in 0..4 {
        // Text that is not JSON comes as null.
        good += usize::from(!socket.ask(request("hub.room.list", json!({}))).await.is_null());
    }
    assert_eq!(good, 2);
}

#[tokio::test]
async fn a_hub_as_a_process_of_its_own() {
    let cloud = frozen().await;
    let relay = cloud.ready().relay.clone();
    let ca = std::env::temp_dir().join(format!("ezlo-test-ca-{}.pem", std::process::id()));
    std::fs::write(&ca, cloud.ca_pem()).unwrap();
    let mut child = std::process::Command::new(crate::program())
        .args([
            "hub",
            "--relay",
            &relay,
            "--serial",
            "92000001",
            "--mac",
            "AA:BB:CC:00:00:03",
            "--world",
            "villa",
            "--once",
        ])
        .arg("--ca")
        .arg(&ca)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let line = tokio::task::spawn_blocking({
        let stdout = child.stdout.take().unwrap();
        move || {
            let mut line = String::new();
            std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line).unwrap();
            line
        }
    });
    let ready: Value = serde_json::from_str(&within(line).await.unwrap()).unwrap();
    assert_eq!(ready["serial"], "92000001");
    let mut app = Socket::connect(http(&cloud)).await;
    app.ask(crate::support::login_text(&pair(&cloud).await)).await;
    assert_eq!(app.ask(crate::support::register_text(&json!("92000001"))).await["method"], "registered");
    let devices = app.ask(request("hub.devices.list", json!({}))).await;
    assert_eq!(devices["result"]["devices"].as_array().unwrap().len(), 200);
    assert_eq!(devices["sender"]["type"], "ui");
    app.text(request("hub.modes.switch", json!({"modeId": "2"}))).await;
    let (reply, told) = (app.json().await, app.json().await);
    assert_eq!((&reply["result"]["switchToDelay"], &told["msg_subclass"]), (&json!(30), &json!("hub.modes.switched")));
    child.kill().unwrap();
    child.wait().unwrap();
    std::fs::remove_file(ca).unwrap();
    assert_eq!(app.json().await["result"]["connected"], false);
}

#[tokio::test]
async fn the_control_api_presses_buttons_and_reports() {
    let mut house = House::by_hand().await;
    let control = address(&house.cloud.ready().control);
    let post = async |path: &str, body: Value| {
        let answer = ask(control, &format!("POST /hubs/{path}"), &[], body.to_string().as_bytes()).await;
        (answer.status, answer.json())
    };
    let (status, refused) = post("90000001/include", json!({"template": "door_lock"})).await;
    assert_eq!(status, 409, "{refused}");
    run(&mut house, "start_include").await;
    assert_eq!(post("90000001/include", json!({"template": "door_lock"})).await.0, 200);
    let about = ask(control, "GET /hubs/90000001", &[], b"").await.json();
    assert_eq!(about["zwave"]["state"], "agreeing on keys");
    assert_eq!(about["zwave"]["device_specific_key"].as_str().unwrap().split('-').count(), 8);
    assert_eq!(post("90000001/report", json!({"device": "Hall motion", "item": "motion", "value": true})).await.0, 200);
    assert_eq!(post("90000001/report", json!({"device": "Hall motion", "item": "motion", "value": "x"})).await.0, 400);
    assert_eq!(post("90000001/report", json!({"device": "Nobody", "item": "motion", "value": true})).await.0, 404);
    assert_eq!(post("90000001/reachable", json!({"device": "Hall motion", "reachable": false})).await.0, 200);
    assert_eq!(post("99999999/reachable", json!({})).await.0, 404);
    let told = house.heard(SECOND).await;
    assert!(told.contains(&"hub.item.updated _id=<Hall motion/motion> value=true".to_owned()), "{told:?}");
    assert!(told.contains(&"hub.device.updated _id=<Hall motion> reachable=false".to_owned()), "{told:?}");
}

#[tokio::test]
async fn houses_live_when_they_are_told_to() {
    let hour = Duration::from_secs(3600);
    let config = Config { world: "villa".into(), ..Config::default() };
    let start = |living: bool| {
        let builder = MockCloud::builder().config(config.clone()).clock(Clock::frozen(START));
        builder.guesses(move |guesses| guesses.living_houses = living)
    };
    let mut still = House::of(started(start(false)).await).await;
    let quiet = still.heard(hour).await;
    assert!(quiet.iter().all(|line| !line.contains("temp>")), "{quiet:?}");
    let mut first = House::of(started(start(true)).await).await;
    // Enough for a few things of each kind, few enough to fit the connection's queue.
    let told = first.heard(Duration::from_secs(600)).await;
    assert!(told.iter().any(|line| line.contains("thermostat/temp>")), "{told:?}");
    let mut second = House::of(started(start(true)).await).await;
    assert_eq!(second.heard(Duration::from_secs(600)).await, told, "one seed, one life");
}

/// One request that came, by its first line and body.
async fn one_request(listener: tokio::net::TcpListener) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut text = String::new();
    while !text.contains("\r\n\r\n") {
        let mut buffer = [0; 1024];
        let read = stream.read(&mut buffer).await.unwrap();
        text += std::str::from_utf8(&buffer[..read]).unwrap();
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    text
}

#[tokio::test]
async fn requests_of_scenes_stay_on_this_machine() {
    let mut house = House::new().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook?x=1", listener.local_addr().unwrap());
    // A name that is not this machine's is not even looked up.
    let elsewhere = ezlo_protocol::hub::scene::http_get("http://hooks.example.com/hook");
    house.create(SceneBuilder::new("Hook").then(elsewhere).then(ezlo_protocol::hub::scene::http_get(&url))).await;
    let id = house.id("scene Hook").to_owned();
    let told = house.transcript("hub.scenes.run", json!({"sceneId": id}), SECOND).await;
    assert!(told.last().unwrap().ends_with("\"finished\""), "{told:?}");
    let request = within(one_request(listener)).await;
    assert!(request.starts_with("GET /hook?x=1 HTTP/1.1\r\n"), "{request}");
}

#[tokio::test]
async fn conditions_that_come_true_in_one_call_start_a_scene_once() {
    let mut house = House::new().await;
    let (light, plug) = (house.id("Kitchen light/switch").to_owned(), house.id("Plug/switch").to_owned());
    let (dimmer, lamp) = (house.id("Ceiling light/dimmer").to_owned(), house.id("Ceiling light/switch").to_owned());
    let both = all([item_is(light.as_str(), true), item_is(plug.as_str(), true)]);
    house.create(SceneBuilder::new("Both on").when(both)).await;
    let bright = all([item_compares(dimmer.as_str(), Greater, 0_i64), item_is(lamp.as_str(), true)]);
    house.create(SceneBuilder::new("Bright").when(bright)).await;
    let started = |told: &[String]| told.iter().filter(|line| line.contains("started")).count();
    let told = house.transcript("hub.item.value.set", json!({"ids": [light, plug], "value": true}), SECOND).await;
    assert_eq!(started(&told), 1, "{told:?}");
    let told = house.transcript("hub.item.value.set", json!({"_id": dimmer, "value": 50}), SECOND).await;
    assert_eq!(started(&told), 1, "{told:?}");
    let codes = house.id("Front door lock/user_codes").to_owned();
    house.create(SceneBuilder::new("Codes").when(item_changed(codes.as_str()))).await;
    let element = json!({"type": "userCode", "value": {"code": "4711", "name": "Guest"}});
    let params = json!({"_id": codes, "element": element});
    assert_eq!(started(&house.transcript("hub.item.dictionary.value.add", params, SECOND).await), 1);
}

#[tokio::test]
async fn sirens_that_sound_fall_silent_whatever_the_next_mode_says() {
    let mut house = House::new().await;
    let siren = house.id("Siren").to_owned();
    house.good("hub.modes.alarms_off.add", json!({"modeId": "1", "deviceIds": [siren]})).await;
    house.transcript("hub.modes.switch", json!({"modeId": "2"}), MINUTE).await;
    house.report("Front door", "dw_state", json!("dw_is_opened"));
    house.heard(MINUTE).await;
    let told = house.transcript("hub.modes.switch", json!({"modeId": "1"}), SECOND).await;
    assert!(told.contains(&"hub.item.updated _id=<Siren/siren_alarm> value=\"siren_inactive\"".to_owned()), "{told:?}");
}

#[tokio::test]
async fn limits_hold_for_what_is_set_together_and_by_scenes() {
    let mut house = House::new().await;
    let (heat, cool) = (
        house.id("Thermostat/thermostat_setpoint_heating").to_owned(),
        house.id("Thermostat/thermostat_setpoint_cooling").to_owned(),
    );
    let set = async |house: &mut House, heating: i64, cooling: i64| {
        let items = json!({heat.clone(): {"value": heating}, cool.clone(): {"value": cooling}});
        house.call("hub.item.value.set", json!({"items": items})).await["error"]["data"].clone()
    };
    assert_eq!(set(&mut house, 27, 30).await, Value::Null, "far enough apart once both are set");
    assert_eq!(set(&mut house, 23, 22).await, "rpc.params.range.invalid.thermostat_setpoint_heating");
    let near = ezlo_protocol::hub::scene::BlockValue::new("temperature", 29.5);
    house.create(SceneBuilder::new("Near").then(set_item(heat.as_str(), near))).await;
    let id = house.id("scene Near").to_owned();
    let told = house.transcript("hub.scenes.run", json!({"sceneId": id}), SECOND).await;
    assert!(told.last().unwrap().ends_with("\"failed\""), "{told:?}");
}

#[tokio::test]
async fn a_factory_reset_ends_what_was_under_way() {
    let mut house = House::new().await;
    house.transcript("hub.modes.switch", json!({"modeId": "2"}), 25 * SECOND).await;
    house.good("hub.reset", json!({"resetToFactoryDefaults": true})).await;
    house.cloud.advance(SECOND).await;
    let told = house.transcript("hub.modes.switch", json!({"modeId": "2"}), 20 * SECOND).await;
    assert!(!told.iter().any(|line| line.contains("\"done\"")), "{told:?}");
    assert_eq!(house.call("hub.devices.list", json!({})).await["result"]["devices"], json!([]));
}

#[tokio::test]
async fn what_is_gone_is_no_favourite() {
    let mut house = House::new().await;
    let plug = house.id("Plug").to_owned();
    let unknown = house.call("hub.favorite.set", json!({"devices": [{"_id": "nobody"}]})).await;
    assert_eq!(unknown["error"]["data"], "generic.object.not.found");
    house.good("hub.favorite.set", json!({"devices": [{"_id": plug}]})).await;
    let told = house.transcript("hub.device.force_remove", json!({"_id": plug}), SECOND).await;
    assert!(told.contains(&"hub.favorite.removed".to_owned()), "{told:?}");
    assert_eq!(house.call("hub.favorite.list", json!({})).await["result"]["favorites"]["devices"], json!([]));
}
