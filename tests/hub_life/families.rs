//! Hub families, hubs as separate processes, and behaviours.

use super::*;

/// Connects a client to a hub of the world `hostile`.
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
async fn rtos_hub_omits_formatted_values_and_device_info() {
    let (cloud, mut socket) = family("70000001").await;
    let items = socket.ask(request("hub.items.list", json!({}))).await;
    let items = items["result"]["items"].as_array().unwrap().clone();
    assert!(!items.is_empty() && items.iter().all(|item| item.get("valueFormatted").is_none()));
    let devices = socket.ask(request("hub.devices.list", json!({}))).await;
    let devices = devices["result"]["devices"].as_array().unwrap().clone();
    assert!(!devices.is_empty() && devices.iter().all(|device| device.get("info").is_none()));
    let ready = cloud.ready().hubs.iter().find(|hub| hub.serial == "70000001").unwrap();
    assert!(ready.kind == "rtos" && ready.lan.as_deref().is_some_and(|lan| lan.starts_with("wss://")), "{ready:?}");
}

#[tokio::test]
async fn ezlopi_hub_has_its_own_ids_errors_and_broadcasts() {
    let (cloud, mut socket) = family("105000001").await;
    let info = socket.ask(request("hub.info.get", json!({}))).await;
    assert_eq!((&info["result"]["serial"], info["msg_id"].is_u64()), (&json!(105_000_001), true));
    assert_eq!((&info["result"]["kernel"], info.get("api")), (&json!("FreeRTOS"), None));
    let gateways = socket.ask(request("hub.gateways.list", json!({}))).await["result"]["gateways"].clone();
    assert_eq!((&gateways[0]["label"], gateways.as_array().unwrap().len()), (&json!("virtual gateway"), 1));
    let unknown = socket.ask(request("hub.features.list", json!({}))).await;
    assert_eq!(unknown["error"], json!({"code": -32602, "data": "rpc.method.notfound", "message": "Unknown method"}));
    assert_eq!(socket.ask(request("hub.room.list", json!({}))).await["result"], json!({}));
    let devices = socket.ask(request("hub.devices.list", json!({}))).await["result"]["devices"].clone();
    assert_eq!(devices[0]["_id"].as_str().unwrap().len(), 8);
    let of_a_board = |device: &Value| device["persistent"] == true && device["armed"].is_boolean();
    assert!(devices.as_array().unwrap().iter().all(|one| of_a_board(one) && one["deviceTypeId"] == "ezlopi"));
    let lenient = socket.ask(request("hub.item.value.set", json!({"_id": "none", "value": 1}))).await;
    assert_eq!(lenient["error"], Value::Null);
    socket.text(request("hub.modes.force_disarm", json!({}))).await;
    socket.json().await;
    socket.text(request("hub.modes.switch", json!({"modeId": "2"}))).await;
    let (_, event) = (socket.json().await, socket.json().await);
    assert_eq!((&event["msg_subclass"], &event["result"]["status"]), (&json!("hub.modes.changed"), &json!("begin")));
    let ready = cloud.ready().hubs.iter().find(|hub| hub.serial == "105000001").unwrap();
    let lan = ready.lan.clone().unwrap();
    assert!(lan.starts_with("ws://") && ready.lan_http.is_none(), "{lan}");
    let mut local = Socket::connect(address(&lan)).await;
    assert_eq!(local.ask(request("hub.room.list", json!({}))).await["error"], Value::Null, "anonymous access is on");
}

#[tokio::test]
async fn rtos_hub_truncates_every_nth_reply() {
    let config = Config { world: "hostile".into(), ..Config::default() };
    let builder = MockCloud::builder().config(config).clock(Clock::frozen(START));
    let cloud = started(builder.assumptions(|assumptions| assumptions.rtos_truncate_every_nth_reply = 2)).await;
    let pair = pair(&cloud).await;
    let mut socket = Socket::connect(http(&cloud)).await;
    socket.ask(crate::support::login_text(&pair)).await;
    socket.ask(crate::support::register_text(&json!("70000001"))).await;
    let mut good = 0;
    for _ in 0..4 {
        // The test socket returns null for text that is not JSON.
        good += usize::from(!socket.ask(request("hub.room.list", json!({}))).await.is_null());
    }
    assert_eq!(good, 2);
}

#[tokio::test]
async fn hub_runs_as_a_separate_process() {
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
    let (reply, event) = (app.json().await, app.json().await);
    assert_eq!((&reply["result"]["switchToDelay"], &event["msg_subclass"]), (&json!(30), &json!("hub.modes.switched")));
    child.kill().unwrap();
    child.wait().unwrap();
    std::fs::remove_file(ca).unwrap();
    assert_eq!(app.json().await["result"]["connected"], false);
}

#[tokio::test]
async fn behaviours_run_only_if_they_are_enabled() {
    let hour = Duration::from_secs(3600);
    let config = Config { world: "villa".into(), ..Config::default() };
    let start = |enabled: bool| {
        let builder = MockCloud::builder().config(config.clone()).clock(Clock::frozen(START));
        builder.assumptions(move |assumptions| assumptions.simulate_behaviours = enabled)
    };
    let mut still = House::of(started(start(false)).await).await;
    let quiet = still.heard(hour).await;
    assert!(quiet.iter().all(|line| !line.contains("temp>")), "{quiet:?}");
    let mut first = House::of(started(start(true)).await).await;
    // Long enough for several reports of each kind, short enough for the queue of the connection.
    let lines = first.heard(Duration::from_secs(600)).await;
    assert!(lines.iter().any(|line| line.contains("thermostat/temp>")), "{lines:?}");
    let mut second = House::of(started(start(true)).await).await;
    assert_eq!(second.heard(Duration::from_secs(600)).await, lines, "the same seed gives the same broadcasts");
}

/// A house with one behaviour of each kind runs for a day.
#[tokio::test]
async fn every_kind_of_behaviour_changes_its_device() {
    let world = r#"
        [[users]]
        username = "demo.user"
        password = "demo-password"
        email = "demo.user@example.com"
        account = 1200001
        user = 2800001

        [[hubs]]
        serial = "90000001"
        mac = "AA:BB:CC:00:00:01"
        kind = "linux"
        model = "h2.1"
        owner = "demo.user"
        online = true
        devices = [
            { template = "thermostat", name = "Heat" }, { template = "motion_sensor", name = "Motion" },
            { template = "door_sensor", name = "Door" }, { template = "metered_plug", name = "Plug" },
            { template = "scene_controller", name = "Bell" },
        ]
        behaviours = [
            { kind = "climate", device = "Heat", outside = 4.0 },
            { kind = "motion", device = "Motion", hours = [1, 2], per_hour = 6.0, seconds = 60 },
            { kind = "door", device = "Door", hours = [3], per_hour = 6.0, seconds = 20 },
            { kind = "power", device = "Plug", watts = 60.0 },
            { kind = "battery", device = "Motion", percent_per_day = 24.0 },
            { kind = "outage", device = "Door", per_day = 12.0, seconds = 60 },
            { kind = "button", device = "Bell", times = ["04:30"] },
        ]
    "#;
    let file = std::env::temp_dir().join(format!("ezlo-test-behaviours-{}.toml", std::process::id()));
    std::fs::write(&file, world).unwrap();
    let config = Config { world: file.display().to_string(), ..Config::default() };
    let builder = MockCloud::builder().config(config).clock(Clock::frozen(START));
    let mut house =
        House::of(started(builder.assumptions(|assumptions| assumptions.simulate_behaviours = true)).await).await;
    std::fs::remove_file(&file).unwrap();
    let plug = house.id("Plug/switch").to_owned();
    house.good("hub.item.value.set", json!({"_id": plug, "value": true})).await;
    // Lines by hour of the day. The hub is in UTC, and START is 22:13:20.
    let mut by_hour = std::collections::BTreeMap::<u64, Vec<String>>::new();
    for step in 0..6 * 24 {
        let lines = house.heard(Duration::from_secs(600)).await;
        by_hour.entry((22 * 60 + 13 + 10 * step) / 60 % 24).or_default().extend(lines);
    }
    let hours = |part: &str| {
        let with = by_hour.iter().filter(|(_, lines)| lines.iter().any(|line| line.contains(part)));
        with.map(|(hour, _)| *hour).collect::<Vec<_>>()
    };
    let count = |part: &str| by_hour.values().flatten().filter(|line| line.contains(part)).count();
    assert!(
        hours("<Motion/motion> value=true").iter().all(|hour| matches!(hour, 0..=2)),
        "{:?}",
        hours("Motion/motion")
    );
    assert!(count("<Motion/motion> value=true") > 0 && count("<Motion/motion> value=false") > 0);
    assert!(hours("dw_is_opened").iter().all(|hour| matches!(hour, 2..=3)) && count("dw_is_opened") > 0);
    assert!(count("dw_is_closed") > 0, "the door closes again");
    assert_eq!(hours("press_1_time"), [4], "the button is pressed at 04:30");
    let slow = [count("<Heat/temp>"), count("<Plug/electric_meter_kwh>"), count("<Motion/battery>")];
    assert!(slow[0] > 10 && slow[1] > 0 && slow[2] >= 20, "{slow:?}");
    assert!(count("reachable=false") > 0 && count("reachable=true") > 0, "nodes fail and recover");
}

/// A connection without pings does not delay the simulated time.
#[tokio::test]
async fn clock_advances_for_hubs_that_do_not_ping() {
    let (cloud, mut socket) = family("105000001").await;
    let scene = SceneBuilder::new("Tick").when(every("1s".parse().unwrap())).build().unwrap();
    let made = socket.ask(request("hub.scenes.create", wire::to_value(&scene))).await;
    assert_eq!(made["error"], Value::Null, "{made}");
    let lan = cloud.ready().hubs.iter().find(|hub| hub.serial == "105000001").unwrap().lan.clone().unwrap();
    let mut local = Socket::connect(address(&lan)).await;
    assert_eq!(local.ask(request("hub.room.list", json!({}))).await["error"], Value::Null);
    // A timer is due every second, so a delay would add up.
    within(cloud.advance(Duration::from_secs(100))).await;
}

/// Local connections of a board receive broadcasts without a login, their pings stay unanswered, and idle ones are dropped (EzloPi).
#[tokio::test]
async fn local_connections_of_a_board_follow_its_firmware() {
    let config = Config { world: "hostile".into(), ..Config::default() };
    let builder = MockCloud::builder().config(config).clock(Clock::frozen(START));
    let cloud = started(builder.assumptions(|assumptions| assumptions.ezlopi_idle_ms = 500)).await;
    let pair = pair(&cloud).await;
    let mut relay = Socket::connect(http(&cloud)).await;
    relay.ask(crate::support::login_text(&pair)).await;
    relay.ask(crate::support::register_text(&json!("105000001"))).await;
    relay.ask(request("hub.offline.anonymous_access.enabled.set", json!({"enabled": false}))).await;
    relay.ask(request("hub.reboot", json!({}))).await;
    cloud.advance(MINUTE).await;
    let lan = cloud.ready().hubs.iter().find(|hub| hub.serial == "105000001").unwrap().lan.clone().unwrap();
    let mut guest = ezlo_testkit::RawSocket::connect(address(&lan), "localhost").await;
    guest.send(&ezlo_testkit::frame(ezlo_testkit::PING, b"there?")).await;
    guest.send(&ezlo_testkit::frame(0x81, request("hub.room.list", json!({})).as_bytes())).await;
    let (_, refused) = guest.next().await.unwrap();
    let refused: Value = serde_json::from_slice(&refused).unwrap();
    assert_eq!(refused["error"]["message"], "Bad request", "the ping before it has no answer");
    relay.text(request("hub.room.create", json!({"name": "Attic"}))).await;
    let (_, broadcast) = guest.next().await.unwrap();
    let broadcast: Value = serde_json::from_slice(&broadcast).unwrap();
    assert_eq!(broadcast["msg_subclass"], "hub.room.created");
    assert!(within(guest.next()).await.is_none(), "an idle connection ends without a close frame");
}
