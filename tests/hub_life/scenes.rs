//! Scenes that are started by conditions and by calls.

use ezlo_mock_cloud::journal::{EntryKind, Filter};

use super::*;

#[tokio::test]
async fn conditions_on_values_and_modes_start_scenes() {
    let mut house = House::new().await;
    let (light, temp) = (house.id("Kitchen light/switch").to_owned(), house.id("Bedroom temperature/temp").to_owned());
    let (lamp, door) = (house.id("Ceiling light/switch").to_owned(), house.id("Front door/dw_state").to_owned());
    let warm = SceneBuilder::new("Warm")
        .when(all([item_compares(temp.as_str(), Greater, 26.0), not(item_is(door.as_str(), "dw_is_opened"))]));
    house.create(warm.then(set_item(light.as_str(), true)).then(set_item(light.as_str(), false).after(MINUTE))).await;
    house.report("Bedroom temperature", "temp", json!(26.5));
    let mut lines = house.heard(2 * MINUTE).await;
    house.report("Bedroom temperature", "temp", json!(27.0));
    lines.push("-- still warm: nothing starts again".into());
    lines.extend(house.heard(2 * MINUTE).await);
    snapshot("scene_by_comparison_with_delay", &lines);

    house
        .create(
            SceneBuilder::new("Both")
                .when(item_changed(light.as_str()))
                .then(set_item(lamp.as_str(), true))
                .then(switch_mode("3")),
        )
        .await;
    house.create(SceneBuilder::new("At night").when(mode_changed_to(["3"])).then(set_item(lamp.as_str(), false))).await;
    let both = house.transcript("hub.item.value.set", json!({"_id": light, "value": true}), MINUTE).await;
    snapshot("scene_by_change_and_by_mode", &both);
}

#[tokio::test]
async fn time_conditions_start_scenes() {
    let config = Config { world: "villa".into(), ..Config::default() };
    let mut house = House::of(started(MockCloud::builder().config(config).clock(Clock::frozen(START))).await).await;
    let plug = house.id("Study plug/switch").to_owned();
    // START is 2023-11-14 22:13:20 UTC, 23:13 in Berlin; sunset was at 16:13, the next one is at 16:12.
    house
        .create(
            SceneBuilder::new("Each quarter").when(every("15m".parse().unwrap())).then(set_item(plug.as_str(), true)),
        )
        .await;
    let lines = house.heard(Duration::from_secs(3600)).await;
    let runs = |lines: &[String], name: &str| {
        lines.iter().filter(|line| line.contains(name) && line.contains("started")).count()
    };
    assert_eq!(
        (runs(&lines, "\"Each quarter\""), runs(&lines, "\"Good night\"")),
        (4, 1),
        "the hour includes 23:30 in Berlin"
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
async fn scenes_that_trigger_each_other_end() {
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
    let lines = house.transcript("hub.item.value.set", json!({"_id": light, "value": true}), SECOND).await;
    assert!(lines.len() > 10 && lines.len() < 500, "{}", lines.len());
    let lines = house.transcript("hub.scenes.run", json!({"sceneId": own}), SECOND).await;
    assert!(lines.len() < 100, "{}", lines.len());
    // Time conditions continue, also that of a scene that starts such a loop.
    let again = SceneBuilder::new("Again").when(every("1m".parse().unwrap())).then(set_item(light.as_str(), true));
    house.create(again).await;
    let lines = house.heard(Duration::from_secs(185)).await;
    let runs = lines.iter().filter(|line| line.contains("\"Again\"") && line.contains("started")).count();
    assert_eq!(runs, 3, "{lines:#?}");
}

#[tokio::test]
async fn mode_switch_starts_ninety_scenes() {
    let mut house = House::new().await;
    for number in 0..90 {
        house.create(SceneBuilder::new(&format!("S{number}")).when(mode_changed_to(["2"]))).await;
    }
    let lines = house.transcript("hub.modes.switch", json!({"modeId": "2"}), MINUTE).await;
    let runs = lines.iter().filter(|line| line.contains("scene.run.progress") && line.contains("finished")).count();
    assert_eq!(runs, 90);
}

#[tokio::test]
async fn scene_run_ends_with_the_restart_it_requests() {
    let mut house = House::new().await;
    let light = house.id("Kitchen light/switch").to_owned();
    let scene =
        SceneBuilder::new("Restart").then(Block::new("then", "rebootHub", [])).then(set_item(light.as_str(), true));
    house.create(scene).await;
    let id = house.id("scene Restart").to_owned();
    let lines = house.transcript("hub.scenes.run", json!({"sceneId": id}), MINUTE).await;
    assert!(
        lines.iter().all(|line| !line.contains("Kitchen light/switch") && !line.contains("finished")),
        "{lines:#?}"
    );
}

#[tokio::test]
async fn refusal_of_a_scene_names_the_faulty_block() {
    let mut house = House::new().await;
    let mut scene = wire::to_value(&SceneBuilder::new("x").when(not(item_is("a", true))).build().unwrap());
    scene["when"][0]["fields"][0]["value"]["blockOptions"]["method"]["name"] = json!("isNothing");
    let refused = house.call("hub.scenes.create", scene).await;
    assert_eq!(refused["error"]["data"], "ezlo.scenes.method.unknown");
    assert!(refused["error"]["reason"].as_str().unwrap().starts_with("when[0].block:"), "{refused}");
}

/// Accepts a connection, answers its request and returns the text of the request.
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
async fn scene_http_requests_reach_only_the_local_machine() {
    let mut house = House::new().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook?x=1", listener.local_addr().unwrap());
    // The name of another machine is not resolved.
    let elsewhere = ezlo_protocol::hub::scene::http_get("http://hooks.example.com/hook");
    house.create(SceneBuilder::new("Hook").then(elsewhere).then(ezlo_protocol::hub::scene::http_get(&url))).await;
    let id = house.id("scene Hook").to_owned();
    let lines = house.transcript("hub.scenes.run", json!({"sceneId": id}), SECOND).await;
    assert!(lines.last().unwrap().ends_with("\"finished\""), "{lines:?}");
    let request = within(one_request(listener)).await;
    assert!(request.starts_with("GET /hook?x=1 HTTP/1.1\r\n"), "{request}");
}

/// An app user must not reach the control API, or any other port of the simulator, by a scene.
#[tokio::test]
async fn scene_http_requests_never_reach_the_ports_of_the_simulator() {
    let mut house = House::new().await;
    let ready = house.cloud.ready().clone();
    let other = crate::support::frozen().await;
    let own = [&ready.control, &ready.http, ready.hubs[0].lan.as_ref().unwrap(), &other.ready().control];
    let mut scene = SceneBuilder::new("Own ports");
    for url in own {
        let port = ezlo_testkit::address(url).port();
        for host in ["127.0.0.1", "localhost", "[::1]"] {
            scene = scene.then(post(&format!("http://{host}:{port}/faults"), r#"{"fault":"reset_on_accept"}"#));
        }
    }
    // The last request shows that the earlier ones were tried.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let last = format!("http://{}/last", listener.local_addr().unwrap());
    house.create(scene.then(ezlo_protocol::hub::scene::http_get(&last))).await;
    let id = house.id("scene Own ports").to_owned();
    house.transcript("hub.scenes.run", json!({"sceneId": id}), SECOND).await;
    assert!(within(one_request(listener)).await.starts_with("GET /last"));
    house.cloud.advance(SECOND).await;
    for cloud in [&house.cloud, &other] {
        let count = |kind| cloud.journal(&Filter::kind(kind).name("/faults")).len();
        assert_eq!((count(EntryKind::Request), count(EntryKind::Control)), (0, 0));
        assert_eq!(cloud.faults().len(), 0, "no request has changed the simulator");
    }
}

/// Returns an action that sends a request with a body.
fn post(url: &str, body: &str) -> ezlo_protocol::hub::scene::Block {
    let fields = [("request", "POST"), ("url", url), ("content", body), ("contentType", "application/json")];
    let args: serde_json::Map<String, Value> =
        fields.iter().map(|(name, _)| ((*name).to_owned(), json!(name))).collect();
    let fields = fields.map(|(name, value)| json!({"name": name, "type": "string", "value": value}));
    let block = json!({"blockType": "then", "fields": fields,
        "blockOptions": {"method": {"name": "sendHttpRequest", "args": args}}});
    serde_json::from_value(block).unwrap()
}

#[tokio::test]
async fn user_information_of_a_url_is_sent_as_credentials() {
    let mut house = House::new().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap();
    let url = format!("http://user:p%40ss@{host}/hook");
    house.create(SceneBuilder::new("User").then(ezlo_protocol::hub::scene::http_get(&url))).await;
    let id = house.id("scene User").to_owned();
    house.transcript("hub.scenes.run", json!({"sceneId": id}), SECOND).await;
    let request = within(one_request(listener)).await.to_ascii_lowercase();
    assert!(request.contains(&format!("\r\nhost: {host}\r\n")), "{request}");
    // user:p@ss
    assert!(request.contains(&"\r\nauthorization: Basic dXNlcjpwQHNz\r\n".to_ascii_lowercase()), "{request}");
}

/// Servers that do not answer must not use up the file descriptors of the process.
#[tokio::test]
async fn the_number_of_scene_http_requests_in_progress_is_bounded() {
    let mut house = House::new().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/silent", listener.local_addr().unwrap());
    let mut scene = SceneBuilder::new("Flood");
    for _ in 0..90 {
        scene = scene.then(ezlo_protocol::hub::scene::http_get(&url));
    }
    house.create(scene).await;
    let id = house.id("scene Flood").to_owned();
    for _ in 0..3 {
        house.transcript("hub.scenes.run", json!({"sceneId": id}), SECOND).await;
    }
    let mut held = Vec::new();
    while held.len() < 64 {
        held.push(within(listener.accept()).await.unwrap());
    }
    house.cloud.advance(SECOND).await;
    let further = std::future::poll_fn(|context| std::task::Poll::Ready(listener.poll_accept(context))).await;
    assert!(further.is_pending(), "more than 64 requests are in progress");
}

#[tokio::test]
async fn conditions_that_begin_to_hold_in_one_call_start_a_scene_once() {
    let mut house = House::new().await;
    let (light, plug) = (house.id("Kitchen light/switch").to_owned(), house.id("Plug/switch").to_owned());
    let (dimmer, lamp) = (house.id("Ceiling light/dimmer").to_owned(), house.id("Ceiling light/switch").to_owned());
    let both = all([item_is(light.as_str(), true), item_is(plug.as_str(), true)]);
    house.create(SceneBuilder::new("Both on").when(both)).await;
    let bright = all([item_compares(dimmer.as_str(), Greater, 0_i64), item_is(lamp.as_str(), true)]);
    house.create(SceneBuilder::new("Bright").when(bright)).await;
    let started = |lines: &[String]| lines.iter().filter(|line| line.contains("started")).count();
    let lines = house.transcript("hub.item.value.set", json!({"ids": [light, plug], "value": true}), SECOND).await;
    assert_eq!(started(&lines), 1, "{lines:?}");
    let lines = house.transcript("hub.item.value.set", json!({"_id": dimmer, "value": 50}), SECOND).await;
    assert_eq!(started(&lines), 1, "{lines:?}");
    let codes = house.id("Front door lock/user_codes").to_owned();
    house.create(SceneBuilder::new("Codes").when(item_changed(codes.as_str()))).await;
    let element = json!({"type": "userCode", "value": {"code": "4711", "name": "Guest"}});
    let params = json!({"_id": codes, "element": element});
    assert_eq!(started(&house.transcript("hub.item.dictionary.value.add", params, SECOND).await), 1);
}

/// `or`, `and`, `xor`, `not` and `else`: which of the scenes run when their parts begin and cease to hold.
#[tokio::test]
async fn condition_groups_follow_their_operator() {
    let mut house = House::new().await;
    let (door, motion) = (house.id("Front door/dw_state").to_owned(), house.id("Hall motion/motion").to_owned());
    let open = || item_is(door.as_str(), "dw_is_opened");
    let moves = || item_is(motion.as_str(), true);
    let mut one_of = all([open(), moves()]);
    let name = "xor";
    one_of.options.get_mut().unwrap().method.get_mut().unwrap().name = name.into();
    for (name, condition) in
        [("Any", any([open(), moves()])), ("All", all([open(), moves()])), ("One", one_of), ("No", not(open()))]
    {
        let otherwise = SceneBuilder::new(name).when(condition).then(switch_mode("1")).otherwise(switch_mode("1"));
        house.create(otherwise).await;
    }
    let mut runs = async |device: &str, item: &str, value: Value| {
        house.report(device, item, value);
        let lines = house.heard(SECOND).await;
        let started = |line: &String| line.contains("scene.run.progress") && line.contains("status=\"started\"");
        let names = ["Any", "All", "One", "No"];
        let ran =
            |name: &&str| lines.iter().any(|line| started(line) && line.contains(&format!("scene_name=\"{name}\"")));
        names.into_iter().filter(ran).collect::<Vec<_>>()
    };
    assert_eq!(runs("Front door", "dw_state", json!("dw_is_opened")).await, ["Any", "One", "No"], "No runs its else");
    assert_eq!(runs("Hall motion", "motion", json!(true)).await, ["All", "One"], "One runs its else");
    assert_eq!(runs("Front door", "dw_state", json!("dw_is_closed")).await, ["All", "One", "No"], "All runs its else");
    assert_eq!(runs("Hall motion", "motion", json!(false)).await, ["Any", "One"], "both run their else");
}

/// Headers of the action replace those that follow from the URL, the credential and the content type.
#[tokio::test]
async fn headers_of_a_scene_are_sent_once() {
    let mut house = House::new().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://user:one@{}/hook", listener.local_addr().unwrap());
    let mut action = wire::to_value(&post(&url, "{}"));
    for (name, kind, value) in [
        ("headers", "dictionary", json!({"authorization": "Bearer three", "content-type": "text/x-own"})),
        ("credential", "credential", json!({"user": "user", "password": "two"})),
    ] {
        action["blockOptions"]["method"]["args"][name] = json!(name);
        action["fields"].as_array_mut().unwrap().push(json!({"name": name, "type": kind, "value": value}));
    }
    house.create(SceneBuilder::new("Headers").then(serde_json::from_value(action).unwrap())).await;
    let id = house.id("scene Headers").to_owned();
    house.transcript("hub.scenes.run", json!({"sceneId": id}), SECOND).await;
    let request = within(one_request(listener)).await.to_ascii_lowercase();
    let count = |name: &str| request.matches(&format!("\r\n{name}: ")).count();
    assert_eq!((count("authorization"), count("content-type"), count("host")), (1, 1, 1), "{request}");
    assert!(request.contains("bearer three") && request.contains("text/x-own"), "{request}");
}
