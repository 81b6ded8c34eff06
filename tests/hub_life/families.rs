//! Families of hubs, hubs as processes, houses that live.

use super::*;

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
